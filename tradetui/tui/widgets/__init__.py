"""Drawing that knows nothing of trading state."""
