"""Upstox's protocol on the loopback address, with an exchange behind it."""
