"""Past bars from the broker into the store: which instruments, what is missing, asking, and what came of it."""
