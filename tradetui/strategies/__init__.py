"""What we want to hold; one strategy per file."""
