"""What an earlier run left in the journal, given back to a new engine."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, TypeVar

from tradetui.desk import Desk
from tradetui.desk.guard import Memory
from tradetui.domain.calendar import ist_date
from tradetui.domain.conversion import Conversion, ConversionStatus
from tradetui.domain.errors import DomainError
from tradetui.domain.gtt import Gtt
from tradetui.domain.money import Money
from tradetui.domain.order import Fill, Order, OrderStatus, Side
from tradetui.domain.portfolio import Opening
from tradetui.domain.position import Position, PositionKey
from tradetui.domain.records import Record, RecordKind
from tradetui.domain.thawing import thaw
from tradetui.risk.facts import RiskState
from tradetui.wiring.restore_plans import PlanFold, Plans, give_plans_back
from tradetui.wiring.restore_risk import RiskFold

log = logging.getLogger(__name__)

T = TypeVar("T")

NOT_NEEDED: Final = frozenset({RecordKind.WIRE, RecordKind.OPERATOR, RecordKind.TIMES})
"""Kinds that nothing is folded from; `read_past` takes them without their content. Two thirds of a journal."""


@dataclass(slots=True)
class Past:
    """The journal, folded.

    Attributes:
        orders: Last state of every order of the day, in order of creation, and of those of earlier days that still
            worked when last heard of (after-market orders live on; the others end by proof).
        filled_before: Broker order id -> units that traded on the days before.
        fills: Trades of the day.
        openings: What the broker's positions showed today beyond its trades: carried over night.
        carried: Positions from the days before (for brokers that cannot tell themselves: paper).
        earned: Profit realised on the days before, gross.
        sequence: Highest number used in a tag of ours today.
        risk_state, risk_reason: Latched state at the end of the last run of the day.
        risk: What the risk limits must remember.
        signals: Engine time and journal data of the day's signals, oldest first.
        gtts: Last state of every GTT that may still be at work, and of those of the day.
        conversions: Last state of every conversion of the day.
        moves: Conversions that were booked today, each with the number of trades booked before it.
        plans: Exit plans, exits under way, parent orders.
    """

    orders: dict[str, Order] = field(default_factory=dict)
    filled_before: dict[str, int] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    openings: list[Opening] = field(default_factory=list)
    carried: dict[PositionKey, Position] = field(default_factory=dict)
    earned: Money = Money(0)
    sequence: int = 0
    risk_state: RiskState = RiskState.ACTIVE
    risk_reason: str = ""
    risk: Memory = field(default_factory=Memory)
    signals: list[tuple[int, Mapping[str, Any]]] = field(default_factory=list)
    gtts: dict[str, Gtt] = field(default_factory=dict)
    conversions: dict[str, Conversion] = field(default_factory=dict)
    moves: list[tuple[int, Conversion]] = field(default_factory=list)
    plans: Plans = field(default_factory=Plans)

    def last_order_states(self) -> list[Order]:
        """Orders of the day, oldest first."""
        return list(self.orders.values())


def read_past(records: Iterable[Record], today: date, tag_prefix: str) -> Past:
    """Fold the whole journal: positions over all days, requests that still work, everything else of today."""
    past, before, risk, plans = Past(), _Before(), RiskFold(today), PlanFold()
    orders: dict[str, Mapping[str, Any]] = {}
    for record in records:
        day = ist_date(record.t_ns)
        risk.take(record, day)
        plans.take(record, is_today=day == today)
        match record.kind:
            case RecordKind.FILL | RecordKind.OPENING | RecordKind.CONVERSION:
                _move_money(record, day, today, past, before)
            case RecordKind.SIGNAL if day == today:
                past.signals.append((record.t_ns, record.data))
            case RecordKind.RISK if day == today and "state" in record.data:
                past.risk_state = RiskState(record.data["state"])
                past.risk_reason = record.data["reason"]
            case _:
                pass
        _keep_request(record, day == today, past, orders, tag_prefix)
    # Only now: an order has half a dozen records, and only the last of them counts.
    past.orders = {tag: thaw(Order, data) for tag, data in orders.items()}
    past.risk, past.plans = risk.memory(), plans.plans()
    past.earned = Money(sum(position.realised for position in before.positions.values()))
    past.carried = {key: position.afresh() for key, position in before.positions.items() if position.qty}
    return past


def _move_money(record: Record, day: date, today: date, past: Past, before: _Before) -> None:
    """A trade, a carried position or a conversion."""
    match record.kind:
        case RecordKind.FILL:
            fill = thaw(Fill, record.data)
            if (fill.trade_id, fill.broker_id) in before.seen:
                return
            before.seen.add((fill.trade_id, fill.broker_id))
            if day == today:
                past.fills.append(fill)
            else:
                before.fill(day, fill)
        case RecordKind.OPENING:
            opening = thaw(Opening, record.data)
            if day == today:
                past.openings.append(opening)
            else:
                before.open(day, opening)
        case _:
            one = thaw(Conversion, record.data)
            done = one.status is ConversionStatus.DONE and one.qty
            if done and day == today:
                past.moves.append((len(past.fills), one))
            elif done:
                before.convert(day, one)


def _keep_request(
    record: Record, is_today: bool, past: Past, orders: dict[str, Mapping[str, Any]], tag_prefix: str
) -> None:
    """The newest state of an order, a GTT or a conversion; those of earlier days only while they may still work."""
    tag = ""
    match record.kind:
        case RecordKind.INTENT | RecordKind.ORDER:
            tag, status = record.data["tag"], OrderStatus(record.data["status"])
            # An intent that never became more is looked for like everything of unknown outcome.
            _replace(orders, tag, record.data, status.working or status is OrderStatus.INTENT or is_today)
            if not is_today and status.working and record.data["filled_qty"]:
                past.filled_before[record.data["broker_id"]] = record.data["filled_qty"]
        case RecordKind.GTT:
            gtt = thaw(Gtt, record.data)
            tag = gtt.tag
            _replace(past.gtts, tag, gtt, gtt.status.working or is_today)
        case RecordKind.CONVERSION if is_today:
            tag = record.data["tag"]
            past.conversions[tag] = thaw(Conversion, record.data)
        case _:
            pass
    number = tag.removeprefix(tag_prefix)
    if number.isdigit():
        past.sequence = max(past.sequence, int(number))


def _replace(kept: dict[str, T], tag: str, state: T, keep: bool) -> None:
    if keep:
        kept[tag] = state
    else:
        kept.pop(tag, None)


class _Before:
    """Positions at the end of the days before today.

    What the broker showed as carried into a day takes the place of what the trades before it made: a position
    may have been closed where we did not see it, and must not count twice where we did.
    """

    def __init__(self) -> None:
        self.positions: dict[PositionKey, Position] = {}
        self.seen: set[tuple[str, str]] = set()
        """Trades of any day, by trade id and broker order id."""
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

    def convert(self, day: date, one: Conversion) -> None:
        """Units moved between products on an earlier day."""
        self._turn(day)
        old, new = (one.instrument_key, one.old), (one.instrument_key, one.new)
        try:
            left, cost = self._at(old).give(one.signed_qty)
        except DomainError:
            return  # what the broker shows on the next day takes its place
        self.positions[old] = left
        self.positions[new] = self._at(new).take(one.signed_qty, cost)

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


def give_back(past: Past, desk: Desk, t_ns: int) -> None:
    """Put the day so far into a new desk: orders, trades, latched risk state."""
    for broker_id, qty in past.filled_before.items():
        # What an order of yesterday had filled is in what was carried over night; its trades do not come again.
        desk.portfolio.counted_before(broker_id, qty)
    # GTTs first: they say which orders came out of them.
    desk.manager.gtts.restore(list(past.gtts.values()), t_ns)
    desk.manager.restore(past.last_order_states(), past.sequence, t_ns)
    desk.manager.conversions.restore(list(past.conversions.values()), t_ns)
    desk.facts.remember_sizes(past.risk.sizes)
    desk.facts.remember_groups(past.risk.groups)
    for order in past.last_order_states():
        desk.remember(order)
    for opening in past.openings:
        desk.portfolio.open_with(opening)
    moves = list(past.moves)
    for number, fill in enumerate(past.fills):
        _move(moves, number, desk)
        desk.rebook(fill)
    _move(moves, len(past.fills), desk)
    desk.manager.positions.remembered = past.carried
    if past.risk_state is not RiskState.ACTIVE:
        desk.books.state, desk.books.state_reason = past.risk_state, past.risk_reason
    desk.guard.give_back(past.risk, ist_date(t_ns))
    give_plans_back(past.plans, desk)


def _move(moves: list[tuple[int, Conversion]], booked: int, desk: Desk) -> None:
    """Book the conversions that came when so many trades had been booked."""
    while moves and moves[0][0] <= booked:
        _, one = moves.pop(0)
        try:
            desk.portfolio.convert(one.instrument_key, one.old, one.new, one.signed_qty)
        except DomainError as error:
            # What it moved came from a record that is lost: the comparison with the broker will say what lacks.
            log.warning("a conversion of %s cannot be booked again: %s", one.instrument_key, error.message)
