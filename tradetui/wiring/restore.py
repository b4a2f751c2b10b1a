"""What an earlier run left in the journal, given back to a new engine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from tradetui.desk import Desk
from tradetui.domain.calendar import ist_date
from tradetui.domain.money import Money, Price
from tradetui.domain.order import Fill, Order, Product, Side
from tradetui.domain.portfolio import Opening
from tradetui.domain.position import Position, PositionKey
from tradetui.domain.records import Record, RecordKind, thaw_fill, thaw_order
from tradetui.risk.checks import RiskState


@dataclass(slots=True)
class Past:
    """The journal, folded.

    Attributes:
        orders: Last state of every order of the day, in order of creation.
        fills: Trades of the day.
        carried: Positions from the days before (for brokers that cannot tell themselves: paper).
        earned: Profit realised on the days before, gross.
        sequence: Highest number used in a tag of ours today.
        risk_state, risk_reason: Latched state at the end of the last run of the day.
        entries: Entries of the day.
    """

    orders: dict[str, Order] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    carried: dict[PositionKey, Position] = field(default_factory=dict)
    earned: Money = Money(0)
    sequence: int = 0
    risk_state: RiskState = RiskState.ACTIVE
    risk_reason: str = ""
    entries: int = 0

    def last_order_states(self) -> list[Order]:
        """Orders of the day, oldest first."""
        return list(self.orders.values())


def read_past(records: Iterable[Record], today: date, tag_prefix: str) -> Past:
    """Fold the whole journal: positions over all days, everything else of today."""
    past = Past()
    seen: set[tuple[str, str]] = set()
    for record in records:
        is_today = ist_date(record.t_ns) == today
        match record.kind:
            case RecordKind.FILL:
                fill = thaw_fill(record.data)
                if (fill.trade_id, fill.broker_id) in seen:
                    continue
                seen.add((fill.trade_id, fill.broker_id))
                if is_today:
                    past.fills.append(fill)
                else:
                    _carry(past, fill)
            case RecordKind.OPENING if not is_today:
                _open(past, record)
            case RecordKind.INTENT | RecordKind.ORDER if is_today:
                order = thaw_order(record.data)
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
    past.earned = Money(sum(position.realised for position in past.carried.values()))
    past.carried = {key: _afresh(position) for key, position in past.carried.items() if position.qty}
    return past


def _afresh(position: Position) -> Position:
    """A carried position at the start of a new day: its cost stays, the profit of old days is cash now."""
    return Position(
        position.instrument_key, position.product, position.qty, position.cost, multiplier=position.multiplier
    )


def _carry(past: Past, fill: Fill) -> None:
    key = (fill.instrument_key, fill.product)
    position = past.carried.get(key, Position(*key))
    past.carried[key] = position.apply(fill.side, fill.qty, fill.price)


def _open(past: Past, record: Record) -> None:
    data = record.data
    opening = Opening(
        data["instrument_key"], Product(data["product"]), data["qty"], Price(data["average_price"])
    )
    key = (opening.instrument_key, opening.product)
    position = past.carried.get(key, Position(*key))
    side = Side.BUY if opening.qty > 0 else Side.SELL
    past.carried[key] = position.apply(side, abs(opening.qty), opening.average_price)


def give_back(past: Past, desk: Desk, t_ns: int) -> None:
    """Put the day so far into a new desk: orders, trades, latched risk state."""
    desk.manager.restore(past.last_order_states(), past.sequence, t_ns)
    for fill in past.fills:
        desk.rebook(fill)
    if past.risk_state is not RiskState.ACTIVE:
        desk.state, desk.state_reason = past.risk_state, past.risk_reason
    desk.entries_today = past.entries
