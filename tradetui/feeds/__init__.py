"""Market data that is not a venue's socket: recordings played back, and the recorder that makes them."""
