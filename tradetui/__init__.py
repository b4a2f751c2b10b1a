"""tradetui: a keyboard-driven trading workstation for Indian markets, in the terminal."""

from typing import Final

__version__: Final = "0.1.0"
