"""What outlives a run: two DuckDB files beside the journal, and the lock of the data directory."""
