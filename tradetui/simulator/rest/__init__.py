"""Upstox's REST, one module per family of endpoints (`upstox.md` 2)."""
