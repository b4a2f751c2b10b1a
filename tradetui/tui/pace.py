"""How often to paint: less on a link that cannot keep up (`tui.md` e4)."""

from __future__ import annotations

RATES = (20.0, 10.0, 5.0, 2.0, 1.0)
"""Frames a second that a slowing link steps down through."""
SLOW_FRAME_MS = 50.0
SLOW_QUEUE = 5
FULL_QUEUE = 25
"""Textual's writer holds 30 frames and then blocks the loop: painting stops before that."""


def adapted(hz: float, wanted: float, took_ms: float, queued: int) -> float:
    """The next frame rate: a step down when a frame took long or writes pile up, a step up when all is well.

    Args:
        hz: Rate now.
        wanted: Rate that was asked for.
        took_ms: Time from the start of the frame until it was painted.
        queued: Writes that wait for the terminal.
    """
    lower = [rate for rate in RATES if rate < hz]
    if (took_ms > SLOW_FRAME_MS and took_ms > 500 / hz) or queued > SLOW_QUEUE:
        return lower[0] if lower else hz
    if took_ms < SLOW_FRAME_MS / 2 and queued <= 1 and hz < wanted:
        higher = [rate for rate in RATES if rate > hz]
        return min(higher[-1], wanted)
    return hz
