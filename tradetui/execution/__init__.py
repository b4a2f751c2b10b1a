"""How we get there: quantities (`sizing`), orders and their states (`manager`)."""
