"""Generated protobuf code; `make proto` writes it from `proto/`, nobody edits it (ADR 0002)."""
