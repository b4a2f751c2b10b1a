"""Which requests and replies are worth a place in the journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

_ORDER_CALLS: Final = (
    "/order/place",
    "/order/modify",
    "/order/cancel",
    "/order/multi",
    "/order/gtt",
    "/order/positions",
)
_OPEN_KEPT: Final = 1_000


class WireNotes:
    """Keeps what an audit needs: order writes with their raw replies, every push, and everything that failed.

    Polls of book and positions that were answered say nothing that the records made from them do not say; at a
    request every few seconds they would be most of the journal.

    Args:
        write: Takes what is kept.
    """

    def __init__(self, write: Callable[[dict[str, Any]], None]) -> None:
        self._write = write
        self._polls: dict[int, dict[str, Any]] = {}

    def __call__(self, data: Mapping[str, Any]) -> None:
        """Take one redacted request, reply or push."""
        number, what = data.get("n"), data.get("dir")
        if what == "request" and not any(call in str(data.get("call", "")) for call in _ORDER_CALLS):
            self._polls[int(number or 0)] = dict(data)
            if len(self._polls) > _OPEN_KEPT:
                self._polls.pop(next(iter(self._polls)))
            return
        poll = self._polls.pop(int(number), None) if number is not None else None
        if poll is None:
            self._write(dict(data))
        elif what != "reply" or int(data.get("status") or 0) >= 400:
            self._write(poll)
            self._write(dict(data))
