"""What the market looks like now: quotes, bars, and a window of the past, as columns by slot."""
