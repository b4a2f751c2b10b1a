"""The screen: a viewer that pulls snapshots and submits what the operator asks for.

Importing this package sets the switches that Textual reads once, when it is imported: the clock on which
pending repaints are shown (`tui.md` e3: 120 a second halves the waiting of a key; our own pull rate limits
the work) and no animations.
"""

from __future__ import annotations

import os

os.environ.setdefault("TEXTUAL_FPS", "120")
os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
