"""Bars that end with what was traded instead of with the clock: tick bars, volume bars, range bars.

They are made of the updates that a feed sends, and a feed is conflated: one update carries the last of many trades
and the volume of all of them. So the policy is:

* **A tick** is an update in which the instrument traded, not a trade of the exchange. ``100t`` is a hundred such
  updates; how many trades they stand for nobody can know. The prices between two updates are unknown too.
* **Volume bars** (``50000v``) end with the update that brings their volume to the size. An update is never split, since
  the prices of its parts are not known: a bar may hold more than its size, and the next one begins with nothing.
* **Range bars** (``2.5r``, rupees) end before an update that would stretch them beyond the size; that update begins the
  next bar. So high minus low is at most the size. A jump over several sizes makes no bars in between: nothing was
  seen to trade there.
* **Which trades.** Those of continuous trading, as for minutes: pre-open, auction and post-close prices never enter. The
  first sight of an instrument is a baseline whose volume belongs to the day.
* **Late updates** (out of order) extend the high and the low of the forming bar and add their volume, never its close,
  and never end a bar. Where they would stretch a range bar beyond its size, only their volume counts.
* **Gaps.** The first update after the feed was down says so on its bar (``gap``); the volume stepped over belongs to the
  day, not to a bar.
* **Sessions.** No bar crosses a night: the first trade of another session ends what was forming, marked ``cut``. `finish`
  does the same when the day is over.

Unlike minutes they have no arbiter: the broker sends none, and history cannot be had from its candles. The same updates
in the same order give the same bars, so a recorded day gives those of the live run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Final

from tradetui.domain.errors import DomainError
from tradetui.market.folding import Gaps
from tradetui.market.quotes import Trade, Trades

Bounds = Callable[[int], tuple[int, int]]
"""Slot to the start and end of today's continuous trading, epoch ms; zeros when there is none."""

_RULE: Final = re.compile(r"(\d+(?:\.\d+)?)([tvr])")
_SLACK: Final = 1e-9
"""Rupees by which a range may be exceeded: prices are floats, 0.05 is not exact."""


class BarKind(StrEnum):
    """What ends a bar."""

    TICKS = "t"
    """A number of updates that traded."""
    VOLUME = "v"
    """A traded volume, units."""
    RANGE = "r"
    """A distance between high and low, rupees."""


@dataclass(frozen=True, slots=True, order=True)
class BarRule:
    """When a bar ends; make it with `parse_rule`.

    Attributes:
        kind: What is measured.
        size: How much of it, in the kind's own unit.
    """

    kind: BarKind
    size: float

    def __str__(self) -> str:
        return f"{self.size:.15g}{self.kind.value}"


def parse_rule(text: str) -> BarRule:
    """A rule as people write it: ``100t``, ``50000v``, ``2.5r``.

    Raises:
        DomainError: Not of that form; nothing, or not a whole number of ticks or units.
    """
    found = _RULE.fullmatch(text.strip().lower())
    if found is None:
        raise DomainError(
            f"no bars of {text!r}", "write 100t (ticks), 50000v (units) or 2.5r (rupees of range)"
        )
    rule = BarRule(BarKind(found[2]), float(found[1]))
    if not isfinite(rule.size) or rule.size <= 0 or (rule.kind is not BarKind.RANGE and rule.size % 1):
        raise DomainError(
            f"no bars of {text!r}", "ticks and units are whole numbers, and all sizes above zero"
        )
    return rule


@dataclass(frozen=True, slots=True)
class EventBar:
    """A bar that is over.

    Attributes:
        slot: Instrument slot of this run.
        rule: What ended it.
        number: Its place in the session, from 0.
        start_ms: Trade time of its first update, epoch ms.
        end_ms: Trade time of its last update that was not late, epoch ms.
        open, high, low, close: Rupees.
        volume: Units.
        updates: Updates in it, late ones included.
        gap: The feed was down before one of its updates.
        cut: The session ended it, not its rule.
    """

    slot: int
    rule: BarRule
    number: int
    start_ms: int
    end_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: int
    updates: int
    gap: bool = False
    cut: bool = False


@dataclass(slots=True)
class _Forming:
    """The bar of one instrument while it forms; ``updates`` 0: none does."""

    session_ms: int
    number: int = 0
    start_ms: int = 0
    last_ms: int = 0
    open: float = 0.0
    high: float = 0.0
    low: float = 0.0
    close: float = 0.0
    volume: int = 0
    ticks: int = 0
    updates: int = 0
    gap: bool = False


class EventBars:
    """Builds the bars of one rule for every instrument.

    Args:
        rule: When a bar ends.
        bounds: Session times; the same that `market.quotes` goes by.
        gaps: When the feed was down.
    """

    def __init__(self, rule: BarRule, bounds: Bounds, gaps: Gaps | None = None) -> None:
        self.rule = rule
        self._bounds = bounds
        self._gaps = gaps
        self._forming: dict[int, _Forming] = {}

    def on_trades(self, trades: Trades) -> list[EventBar]:
        """Take in the trades of one frame, as `Quotes.apply` told them; return the bars that ended, in their order."""
        out: list[EventBar] = []
        rows: Iterable[Trade] = trades if isinstance(trades, list) else trades.rows(trades.slot >= 0)
        for trade in rows:
            self._take(trade, out)
        return out

    def _take(self, trade: Trade, out: list[EventBar]) -> None:
        start_ms, end_ms = self._bounds(trade.slot)
        if trade.first or not start_ms <= trade.ltt_ms < end_ms:
            return
        bar = self._forming.get(trade.slot)
        if bar is None:
            bar = self._forming[trade.slot] = _Forming(start_ms)
        elif bar.session_ms != start_ms:
            self._end(trade.slot, bar, out, cut=True)
            bar = self._forming[trade.slot] = _Forming(start_ms)
        volume, gap = trade.volume, False
        if self._gaps is not None and not trade.late and bar.last_ms:
            gap = self._gaps.overlap(0, bar.last_ms, trade.ltt_ms)
            volume = 0 if gap else volume
        if trade.late:
            self._add_late(bar, trade.price, volume)
            return
        if (
            self.rule.kind is BarKind.RANGE
            and bar.updates
            and self._stretch(bar, trade.price) > self.rule.size
        ):
            self._end(trade.slot, bar, out)
        self._add(bar, trade, volume, gap)
        if (self.rule.kind is BarKind.TICKS and bar.ticks >= self.rule.size) or (
            self.rule.kind is BarKind.VOLUME and bar.volume >= self.rule.size
        ):
            self._end(trade.slot, bar, out)

    @staticmethod
    def _stretch(bar: _Forming, price: float) -> float:
        """High minus low with a price in it, less what floats add."""
        return max(bar.high, price) - min(bar.low, price) - _SLACK

    @staticmethod
    def _add(bar: _Forming, trade: Trade, volume: int, gap: bool) -> None:
        price = trade.price
        if bar.updates:
            bar.high, bar.low = max(bar.high, price), min(bar.low, price)
        else:
            bar.start_ms = trade.ltt_ms
            bar.open = bar.high = bar.low = price
        bar.close = price
        bar.last_ms = trade.ltt_ms
        bar.volume += volume
        bar.ticks += 1
        bar.updates += 1
        bar.gap = bar.gap or gap

    def _add_late(self, bar: _Forming, price: float, volume: int) -> None:
        if not bar.updates:
            return  # the bar it belongs to has ended; its volume is in the day
        bar.volume += volume
        bar.updates += 1
        if self.rule.kind is not BarKind.RANGE or self._stretch(bar, price) <= self.rule.size:
            bar.high, bar.low = max(bar.high, price), min(bar.low, price)

    def _end(self, slot: int, bar: _Forming, out: list[EventBar], *, cut: bool = False) -> None:
        """Hand out what has formed, if anything has, and begin the next."""
        if not bar.updates:
            return
        out.append(self._bar(slot, bar, cut=cut))
        bar.number += 1
        bar.volume = bar.ticks = bar.updates = 0
        bar.gap = False

    def _bar(self, slot: int, bar: _Forming, *, cut: bool) -> EventBar:
        return EventBar(
            slot,
            self.rule,
            bar.number,
            bar.start_ms,
            bar.last_ms,
            bar.open,
            bar.high,
            bar.low,
            bar.close,
            bar.volume,
            bar.updates,
            bar.gap,
            cut,
        )

    def forming(self, slot: int) -> EventBar | None:
        """The unfinished bar; None if there is none."""
        bar = self._forming.get(slot)
        return None if bar is None or not bar.updates else self._bar(slot, bar, cut=False)

    def finish(self) -> list[EventBar]:
        """End what is forming: the day is over. Ordered by slot."""
        out: list[EventBar] = []
        for slot in sorted(self._forming):
            self._end(slot, self._forming[slot], out, cut=True)
        self._forming.clear()
        return out
