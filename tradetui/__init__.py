"""tradetui: a keyboard-driven trading workstation for Indian markets, in the terminal."""

__version__ = "0.1.0"
