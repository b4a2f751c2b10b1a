"""What the market looks like now: quotes, candles, and a rolling history."""
