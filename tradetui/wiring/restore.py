"""What an earlier run left in the journal, given back to a new engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from tradetui.desk import Desk
from tradetui.domain.calendar import ist_date
from tradetui.domain.money import Money, Price
from tradetui.domain.order import Fill, Order, Product, Side
from tradetui.domain.portfolio import Opening
from tradetui.domain.position import Position, PositionKey
from tradetui.domain.records import Record, RecordKind
from tradetui.domain.thawing import thaw
from tradetui.risk.facts import RiskState


@dataclass(slots=True)
class Past:
    """The journal, folded.

    Attributes:
        orders: Last state of every order of the day, in order of creation.
        fills: Trades of the day.
        openings: What the broker's positions showed today beyond its trades: carried over night.
        carried: Positions from the days before (for brokers that cannot tell themselves: paper).
        earned: Profit realised on the days before, gross.
        sequence: Highest number used in a tag of ours today.
        risk_state, risk_reason: Latched state at the end of the last run of the day.
        entries: Entries of the day.
        signals: Engine time and journal data of the day's signals, oldest first.
    """

    orders: dict[str, Order] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    openings: list[Opening] = field(default_factory=list)
    carried: dict[PositionKey, Position] = field(default_factory=dict)
    earned: Money = Money(0)
    sequence: int = 0
    risk_state: RiskState = RiskState.ACTIVE
    risk_reason: str = ""
    entries: int = 0
    signals: list[tuple[int, Mapping[str, Any]]] = field(default_factory=list)

    def last_order_states(self) -> list[Order]:
        """Orders of the day, oldest first."""
        return list(self.orders.values())


def read_past(records: Iterable[Record], today: date, tag_prefix: str) -> Past:
    """Fold the whole journal: positions over all days, everything else of today."""
    past, before = Past(), _Before()
    seen: set[tuple[str, str]] = set()
    for record in records:
        day = ist_date(record.t_ns)
        is_today = day == today
        match record.kind:
            case RecordKind.FILL:
                fill = thaw(Fill, record.data)
                if (fill.trade_id, fill.broker_id) in seen:
                    continue
                seen.add((fill.trade_id, fill.broker_id))
                if is_today:
                    past.fills.append(fill)
                else:
                    before.fill(day, fill)
            case RecordKind.OPENING:
                opening = _opening_of(record)
                if is_today:
                    past.openings.append(opening)
                else:
                    before.open(day, opening)
            case RecordKind.SIGNAL if is_today:
                past.signals.append((record.t_ns, record.data))
            case RecordKind.INTENT | RecordKind.ORDER if is_today:
                order = thaw(Order, record.data)
                if record.kind is RecordKind.INTENT and not order.request.source.startswith("exit"):
                    past.entries += 1
                past.orders[order.tag] = order
                number = order.tag.removeprefix(tag_prefix)
                if number.isdigit():
                    past.sequence = max(past.sequence, int(number))
            case RecordKind.RISK if is_today and "state" in record.data:
                past.risk_state = RiskState(record.data["state"])
                past.risk_reason = record.data["reason"]
            case _:
                pass
    past.earned = Money(sum(position.realised for position in before.positions.values()))
    past.carried = {key: _afresh(position) for key, position in before.positions.items() if position.qty}
    return past


class _Before:
    """Positions at the end of the days before today.

    What the broker showed as carried into a day takes the place of what the trades before it made: a position
    may have been closed where we did not see it, and must not count twice where we did.
    """

    def __init__(self) -> None:
        self.positions: dict[PositionKey, Position] = {}
        self._day: date | None = None
        self._start: dict[PositionKey, Position] = {}
        self._fills: dict[PositionKey, list[Fill]] = {}
        self._opened: set[PositionKey] = set()

    def fill(self, day: date, fill: Fill) -> None:
        """A trade of an earlier day."""
        self._turn(day)
        key = (fill.instrument_key, fill.product)
        self._fills.setdefault(key, []).append(fill)
        self.positions[key] = self._at(key).apply(fill.side, fill.qty, fill.price)

    def open(self, day: date, opening: Opening) -> None:
        """What an earlier day began with."""
        self._turn(day)
        key = (opening.instrument_key, opening.product)
        fills: Iterable[Fill] = ()
        position = self._at(key)
        if key not in self._opened:
            self._opened.add(key)
            start = self._start.get(key, Position(*key))
            if start.qty == opening.qty:
                return  # we knew it already, and to the paisa
            position = Position(*key, realised=start.realised, multiplier=start.multiplier)
            fills = self._fills.get(key, ())
        side = Side.BUY if opening.qty > 0 else Side.SELL
        position = position.apply(side, abs(opening.qty), opening.average_price)
        for fill in fills:
            position = position.apply(fill.side, fill.qty, fill.price)
        self.positions[key] = position

    def _at(self, key: PositionKey) -> Position:
        return self.positions.setdefault(key, Position(*key))

    def _turn(self, day: date) -> None:
        if day != self._day:
            self._day, self._start = day, dict(self.positions)
            self._fills.clear()
            self._opened.clear()


def _afresh(position: Position) -> Position:
    """A carried position at the start of a new day: its cost stays, the profit of old days is cash now."""
    return Position(
        position.instrument_key, position.product, position.qty, position.cost, multiplier=position.multiplier
    )


def _opening_of(record: Record) -> Opening:
    data = record.data
    return Opening(
        data["instrument_key"], Product(data["product"]), data["qty"], Price(data["average_price"])
    )


def give_back(past: Past, desk: Desk, t_ns: int) -> None:
    """Put the day so far into a new desk: orders, trades, latched risk state."""
    desk.manager.restore(past.last_order_states(), past.sequence, t_ns)
    for order in past.last_order_states():
        desk.remember(order)
    for opening in past.openings:
        desk.portfolio.open_with(opening)
    for fill in past.fills:
        desk.rebook(fill)
    if past.risk_state is not RiskState.ACTIVE:
        desk.books.state, desk.books.state_reason = past.risk_state, past.risk_reason
    desk.books.entries_today = past.entries
