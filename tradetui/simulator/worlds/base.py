"""A world: where the simulated exchange gets its market from.

A world owns instruments, prices and the other participants. It never looks at a clock: the simulator
advances it to a moment of exchange time, and it hands out what happened until then, in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from tradetui.domain.instrument import Instrument
from tradetui.domain.market_data import Candle
from tradetui.pb.market_feed_v3_pb2 import Feed


@dataclass(frozen=True, slots=True)
class WorldUpdate:
    """What one frame would carry.

    Attributes:
        t_ns: Exchange time of the update, UTC ns.
        feeds: Instrument key to a *full-mode* feed message (the simulator cuts it down for other modes).
            A live update may be partial, as on the real wire.
    """

    t_ns: int
    feeds: Mapping[str, Feed]


class World(Protocol):
    """See the module's docstring."""

    @property
    def instruments(self) -> Sequence[Instrument]:
        """Everything listed."""
        ...

    @property
    def start_ns(self) -> int:
        """Exchange time of the first update."""
        ...

    @property
    def end_ns(self) -> int | None:
        """Exchange time after which nothing more happens; ``None`` for an endless world."""
        ...

    @property
    def waits_for_subscriber(self) -> bool:
        """A recorded world stands still until somebody subscribes, so that no tick is missed."""
        ...

    def master_rows(self) -> Sequence[Mapping[str, Any]]:
        """The instrument file's rows, in Upstox's shape (`upstox.md` 5; tick size in paise)."""
        ...

    def advance(self, to_ns: int) -> Iterator[WorldUpdate]:
        """Everything that happens up to and including ``to_ns``, in order of time."""
        ...

    def skip(self, to_ns: int) -> None:
        """Move on to ``to_ns`` without the updates in between; snapshots then hold what they would have led to."""
        ...

    def next_ns(self) -> int | None:
        """Exchange time of the next update, ``None`` when there is none (for worlds run at full speed)."""
        ...

    def snapshot(self, key: str) -> Feed | None:
        """The full state of one instrument now (for `initial_feed` and quotes); ``None`` before any update."""
        ...

    def history(self, key: str, interval_s: int, first: date, last: date) -> Sequence[Candle]:
        """Finished bars of past sessions (today excluded), oldest first; ``slot`` is -1."""
        ...

    def minutes(self, key: str, day: date) -> Sequence[Candle]:
        """Finished minute bars of a session, oldest first, where the world knows more than its updates showed.

        That is so after `skip`, or after a start in mid-session; else it may be empty.
        """
        ...

    def trade(self, key: str, price: float, qty: int, t_ns: int) -> None:
        """A simulated account traded: the world may show it as a print."""
        ...
