"""Positions day by day, folded from the journal's trades, openings and conversions.

A day begins with what the day before ended with. Where the broker's positions showed something else at the start
(`RecordKind.OPENING`), that takes its place: a position may have been closed where we did not see it, and must
not count twice where we did. Profit is of the day; average cost goes on over days.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from tradetui.domain.errors import DomainError
from tradetui.domain.money import Money, Price
from tradetui.domain.order import Fill, Product, Side
from tradetui.domain.position import Position, PositionKey

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DayPosition:
    """One position on one day.

    Attributes:
        day: IST date, ISO format.
        position: As it is at the end of what is known of that day; its realised profit is that day's.
        opening_qty: Signed units at the beginning of the day.
        opening_cost: Their signed cost.
        updated_ns: When it last changed, UTC ns.
    """

    day: str
    position: Position
    opening_qty: int = 0
    opening_cost: Money = Money(0)
    updated_ns: int = 0

    @property
    def key(self) -> PositionKey:
        """Which position."""
        return (self.position.instrument_key, self.position.product)


@dataclass(slots=True)
class DayFold:
    """Takes trades, openings and conversions in the journal's order.

    Attributes:
        multiplier: Instrument key to money per point and unit.
        rows: The newest day of every position.
        seen: Trades taken in, as (trade id, broker id).
        converted: Conversions taken in, by tag.
    """

    multiplier: Callable[[str], int]
    rows: dict[PositionKey, DayPosition] = field(default_factory=dict)
    seen: set[tuple[str, str]] = field(default_factory=set)
    converted: set[str] = field(default_factory=set)
    _fills: dict[PositionKey, list[Fill]] = field(default_factory=dict)
    _opened: set[PositionKey] = field(default_factory=set)
    _day: str = ""

    def load(
        self, rows: Iterable[DayPosition], fills: Iterable[tuple[str, Fill]], opened: Iterable[PositionKey]
    ) -> None:
        """Go on from what was stored.

        Args:
            rows: The newest stored row of every position.
            fills: Every stored trade with its journal day, in the order of booking.
            opened: Positions that had an opening on the newest of those days.
        """
        self.rows = {row.key: row for row in rows}
        self._day = max((row.day for row in self.rows.values()), default="")
        for day, fill in fills:
            self.seen.add((fill.trade_id, fill.broker_id))
            if day == self._day:
                self._fills.setdefault((fill.instrument_key, fill.product), []).append(fill)
        self._opened.update(opened)

    def fill(self, day: str, fill: Fill) -> list[DayPosition]:
        """Book a trade; returns the rows that changed, none for one that was booked before."""
        if (fill.trade_id, fill.broker_id) in self.seen:
            return []
        self.seen.add((fill.trade_id, fill.broker_id))
        row = self._on(day, (fill.instrument_key, fill.product))
        self._fills.setdefault(row.key, []).append(fill)
        return [self._keep(row, row.position.apply(fill.side, fill.qty, fill.price), fill.time_ns)]

    def open(self, day: str, key: PositionKey, qty: int, price: Price, t_ns: int) -> list[DayPosition]:
        """What the broker showed beyond the day's trades: it lies under them."""
        row = self._on(day, key)
        side = Side.BUY if qty > 0 else Side.SELL
        if key in self._opened:
            return [self._keep(row, row.position.apply(side, abs(qty), price), t_ns)]
        self._opened.add(key)
        if row.opening_qty == qty:
            return [self._keep(row, row.position, t_ns)]  # known already, and to the paisa
        position = Position(*key, multiplier=row.position.multiplier).apply(side, abs(qty), price)
        row = replace(row, opening_qty=qty, opening_cost=position.cost)
        for fill in self._fills.get(key, ()):
            position = position.apply(fill.side, fill.qty, fill.price)
        return [self._keep(row, position, t_ns)]

    def convert(
        self, day: str, tag: str, key: str, old: Product, new: Product, qty: int, t_ns: int
    ) -> list[DayPosition]:
        """Move ``qty`` signed units to another product at their average price."""
        if tag in self.converted:
            return []
        self.converted.add(tag)
        source = self._on(day, (key, old))
        try:
            left, cost = source.position.give(qty)
        except DomainError as error:
            log.warning("a conversion does not fit the position it is from: %s", error)
            return []
        target = self._on(day, (key, new))
        return [
            self._keep(source, left, t_ns),
            self._keep(target, target.position.take(qty, cost), t_ns),
        ]

    def _on(self, day: str, key: PositionKey) -> DayPosition:
        """The row of a position on a day; made from where the day before left it."""
        if day != self._day:
            self._day = day
            self._fills.clear()
            self._opened.clear()
        row = self.rows.get(key)
        if row is not None and row.day == day:
            return row
        if row is None:
            return DayPosition(day, Position(*key, multiplier=self.multiplier(key[0])))
        last = row.position
        carried = Position(*key, qty=last.qty, cost=last.cost, multiplier=last.multiplier)
        return DayPosition(day, carried, last.qty, last.cost)

    def _keep(self, row: DayPosition, position: Position, t_ns: int) -> DayPosition:
        kept = replace(row, position=position, updated_ns=max(row.updated_ns, t_ns))
        self.rows[kept.key] = kept
        return kept
