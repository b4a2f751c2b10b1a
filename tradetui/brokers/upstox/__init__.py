"""Upstox: hosts, instruments, market feed, orders. The wire stops in this folder (`docs/architecture.md`)."""
