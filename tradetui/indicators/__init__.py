"""Columns in, columns out: Polars and TA-Lib live here."""
