"""Requests of unknown outcome: when to look for them, and how many looks in vain prove absence.

`design.md` 4: absence is proven only by three looks without a trace, the first at least ten seconds after the
time-out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

SECOND: Final = 1_000_000_000
FIRST_PROBE_NS: Final = 10 * SECOND
PROBE_EVERY_NS: Final = 3 * SECOND
PROBES_TO_PROVE: Final = 3
_APART_NS: Final = SECOND
"""Looks closer together than this count as one."""


@dataclass(slots=True)
class _Doubt:
    since_ns: int
    next_probe_ns: int
    misses: int = 0
    last_miss_ns: int = 0


class Doubts:
    """Tags of unknown outcome."""

    def __init__(self) -> None:
        self._doubts: dict[str, _Doubt] = {}

    def __contains__(self, tag: str) -> bool:
        return tag in self._doubts

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._doubts))

    def begin(self, tag: str, t_ns: int) -> None:
        """The outcome of a request is not known; an older doubt goes on."""
        self._doubts.setdefault(tag, _Doubt(t_ns, t_ns + FIRST_PROBE_NS))

    def end(self, tag: str) -> None:
        """Evidence has told."""
        self._doubts.pop(tag, None)

    def due(self, t_ns: int) -> list[str]:
        """Tags to look for now; each is due again after a pause."""
        due = [tag for tag, doubt in self._doubts.items() if t_ns >= doubt.next_probe_ns]
        for tag in due:
            self._doubts[tag].next_probe_ns = t_ns + PROBE_EVERY_NS
        return due

    def missed(self, tag: str, looked_ns: int) -> bool:
        """A look that began at ``looked_ns`` found no trace. Returns whether absence is proven by now."""
        doubt = self._doubts.get(tag)
        if doubt is None or looked_ns - doubt.since_ns < FIRST_PROBE_NS:
            return False
        if not doubt.misses or looked_ns - doubt.last_miss_ns >= _APART_NS:
            doubt.misses, doubt.last_miss_ns = doubt.misses + 1, looked_ns
        return doubt.misses >= PROBES_TO_PROVE
