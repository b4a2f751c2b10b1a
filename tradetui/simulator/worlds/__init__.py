"""Where the simulated market comes from."""
