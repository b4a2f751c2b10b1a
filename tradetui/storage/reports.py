"""Reports from the ledger: profit and loss, trades, orders, charges, slippage.

Everything comes from the tables alone, so it can be asked while a run is active and after it. Sums are integers in
1/10,000 rupee; `rupees` turns them into decimals at the edge. Charges are estimates; the broker's note is final.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from tradetui.domain.errors import UsageError
from tradetui.domain.money import SCALE, Money, Price
from tradetui.domain.order import Fill, Order, Product, Side
from tradetui.domain.position import Position, PositionKey
from tradetui.storage import reads
from tradetui.storage.fold import DayFold

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ChargeOf = Callable[[str, Product, Side, int, Price, int], Money]
"""Estimated charges of one executed order: instrument key, product, side, units, average price, UTC ns."""

BY: Final = ("symbol", "strategy", "day")
FOREIGN: Final = "elsewhere"
"""Stands for the strategy of an order that was not placed here."""
EXITS: Final = "exit"


@dataclass(frozen=True, slots=True)
class PnlRow:
    """Booked profit of one symbol, strategy or day.

    Attributes:
        name: Instrument key, strategy or ISO date; ``total`` for the sum.
        gross: Realised profit before charges.
        charges: Estimated charges of all orders that filled, opening ones included.
        trades: Fills.
        orders: Orders that filled.
        turnover: Bought and sold value.
    """

    name: str
    gross: Money = Money(0)
    charges: Money = Money(0)
    trades: int = 0
    orders: int = 0
    turnover: Money = Money(0)

    @property
    def net(self) -> Money:
        """Profit after charges."""
        return Money(self.gross - self.charges)

    def __add__(self, other: PnlRow) -> PnlRow:
        return replace(
            self,
            gross=Money(self.gross + other.gross),
            charges=Money(self.charges + other.charges),
            trades=self.trades + other.trades,
            orders=self.orders + other.orders,
            turnover=Money(self.turnover + other.turnover),
        )


@dataclass(frozen=True, slots=True)
class OrderCharge:
    """Estimated charges of one order that filled."""

    tag: str
    broker_id: str
    instrument_key: str
    side: Side
    product: Product
    qty: int
    average_price: Price
    charges: Money


@dataclass(frozen=True, slots=True)
class Slippage:
    """What the road from decision to fill cost one order.

    Attributes:
        cost: Against the middle at the decision; positive is a cost.
        ticks: The same for one unit, in ticks; ``None`` when no middle was known.
        spread_ticks: Best ask less best bid at the decision, in ticks.
        to_wire_ms, to_answer_ms, to_fill_ms: From the decision on, in engine time; ``None`` where it never came.
    """

    tag: str
    instrument_key: str
    side: Side
    source: str
    decided_ns: int
    qty: int
    average_price: Price
    decided_mid: Price
    cost: Money
    ticks: float | None
    spread_ticks: float | None
    to_wire_ms: float | None
    to_answer_ms: float | None
    to_fill_ms: float | None
    answer: str


def rupees(value: int) -> Decimal:
    """1/10,000 rupee as an exact decimal of rupees."""
    return Decimal(value) / SCALE


def pnl(
    cursor: DuckDBPyConnection,
    charge: ChargeOf,
    first: date | None = None,
    last: date | None = None,
    by: str = "symbol",
) -> tuple[PnlRow, ...]:
    """Booked profit from ``first`` to ``last`` (both included), net of charges, best first; days in their order.

    A fill's profit and its order's charges belong to the IST day on which it was booked. An exit belongs to the
    strategy that opened the position, as far as one strategy alone did.

    Raises:
        UsageError: No such way to group.
    """
    if by not in BY:
        raise UsageError(f"no grouping {by!r}", f"known: {', '.join(BY)}")
    sources = dict(cursor.execute("SELECT tag, source FROM orders").fetchall())
    fold = _Fold(_multipliers(cursor))
    owners: dict[PositionKey, str] = {}
    out: dict[str, PnlRow] = {}
    named: dict[tuple[str, str], str] = {}  # an order of a day -> the row that its charges belong to
    for day, step in _steps(cursor):
        if not isinstance(step, Fill):
            fold.take(day, step)
            continue
        key = (step.instrument_key, step.product)
        source = sources.get(step.tag, FOREIGN)
        held = fold.qty(day, key)
        if source.startswith(EXITS):
            source = owners.get(key, source)
        elif not held:
            owners[key] = source
        gross = fold.take(day, step)
        if (first is not None and day < first.isoformat()) or (last is not None and day > last.isoformat()):
            continue
        name = {"symbol": step.instrument_key, "strategy": source, "day": day}[by]
        new = (day, step.broker_id) not in named
        turnover = step.qty * step.price * fold.multiplier(step.instrument_key)
        row = PnlRow(name, gross, trades=1, orders=int(new), turnover=Money(turnover))
        out[name] = out.get(name, PnlRow(name)) + row
        if new:
            named[day, step.broker_id] = name
    for at, cost in _charges_by_day(cursor, charge).items():
        if at in named:
            out[named[at]] += PnlRow(named[at], charges=cost)
    rows = sorted(out.values(), key=lambda row: row.name if by == "day" else (-row.net, row.name))
    return tuple(rows)


def total(rows: Iterable[PnlRow]) -> PnlRow:
    """The sum of some rows."""
    summed = PnlRow("total")
    for row in rows:
        summed += row
    return summed


def trades(cursor: DuckDBPyConnection, first: date | None = None, last: date | None = None) -> list[Fill]:
    """Trades from ``first`` to ``last`` (both included) in the order they were booked."""
    return [
        fill
        for day, fill in reads.fills_by_day(cursor)
        if (first is None or day >= first.isoformat()) and (last is None or day <= last.isoformat())
    ]


def orders(cursor: DuckDBPyConnection, first: date | None = None, last: date | None = None) -> list[Order]:
    """Orders created from ``first`` to ``last`` (both included), oldest first, each in its last known state."""
    return reads.orders_between(cursor, first, last)


def order_charges(
    cursor: DuckDBPyConnection, charge: ChargeOf, names: Iterable[str] | None = None
) -> list[OrderCharge]:
    """Estimated charges of orders that filled, named by our tag or the broker's id; of all without names."""
    wanted = None if names is None else set(names)
    out = []
    for (broker_id, tag), fills in _orders_filled(cursor).items():
        if wanted is None or tag in wanted or broker_id in wanted:
            first, qty = fills[0], sum(fill.qty for fill in fills)
            average = _average(fills)
            cost = charge(first.instrument_key, first.product, first.side, qty, average, first.time_ns)
            out.append(
                OrderCharge(
                    tag, broker_id, first.instrument_key, first.side, first.product, qty, average, cost
                )
            )
    return out


def slippage(
    cursor: DuckDBPyConnection, first: date | None = None, last: date | None = None
) -> list[Slippage]:
    """Decision times and slippage of every order, oldest decision first."""
    found = cursor.execute(
        "SELECT tag, instrument_key, side, source, decided_ns, decided_mid, decided_spread, sent_ns, acked_ns, "
        "first_fill_ns, filled_qty, filled_value, slippage, tick_size, multiplier, answer FROM order_times "
        "WHERE (?::DATE IS NULL OR journal_day >= ?::DATE) AND (?::DATE IS NULL OR journal_day <= ?::DATE) "
        "ORDER BY decided_ns, tag",
        [first, first, last, last],
    ).fetchall()
    return [_slippage(row) for row in found]


# --- inside -------------------------------------------------------------------------------------------


def _slippage(row: tuple[Any, ...]) -> Slippage:
    decided_ns, mid, spread = row[4], row[5], row[6]
    qty, value, cost, tick, multiplier = row[10], row[11], row[12], row[13], row[14]

    def after_ms(t_ns: int) -> float | None:
        return (t_ns - decided_ns) / 1e6 if t_ns else None

    return Slippage(
        tag=row[0],
        instrument_key=row[1],
        side=Side(row[2]),
        source=row[3],
        decided_ns=decided_ns,
        qty=qty,
        average_price=Price((2 * value + qty) // (2 * qty) if qty else 0),
        decided_mid=Price(mid),
        cost=Money(cost),
        ticks=cost / multiplier / qty / tick if qty and mid and tick else None,
        spread_ticks=spread / tick if spread and tick else None,
        to_wire_ms=after_ms(row[7]),
        to_answer_ms=after_ms(row[8]),
        to_fill_ms=after_ms(row[9]),
        answer=row[15],
    )


@dataclass(frozen=True, slots=True)
class _Opened:
    key: PositionKey
    qty: int
    price: Price


@dataclass(frozen=True, slots=True)
class _Converted:
    tag: str
    key: str
    old: Product
    new: Product
    qty: int


class _Fold:
    """Positions day by day, asked for the profit that each step books."""

    def __init__(self, multipliers: Mapping[str, int]) -> None:
        self._multipliers = multipliers
        self._days = DayFold(self.multiplier)

    def multiplier(self, key: str) -> int:
        """Money per point and unit."""
        return self._multipliers.get(key, 1)

    def qty(self, day: str, key: PositionKey) -> int:
        """Signed units before the next step."""
        return self._now(day, key).qty

    def take(self, day: str, step: Fill | _Opened | _Converted) -> Money:
        """Take one step; returns the profit that it booked."""
        if isinstance(step, _Opened):
            self._days.open(day, step.key, step.qty, step.price, 0)
        elif isinstance(step, _Converted):
            self._days.convert(day, step.tag, step.key, step.old, step.new, step.qty, 0)
        else:
            key = (step.instrument_key, step.product)
            before = self._now(day, key).realised
            self._days.fill(day, step)
            return Money(self._now(day, key).realised - before)
        return Money(0)

    def _now(self, day: str, key: PositionKey) -> Position:
        row = self._days.rows.get(key)
        if row is None:
            return Position(*key)
        return row.position if row.day == day else replace(row.position, realised=Money(0))


def _steps(cursor: DuckDBPyConnection) -> list[tuple[str, Fill | _Opened | _Converted]]:
    """Everything that makes positions, in the order in which it counts: a day's openings lie under its trades."""
    steps: list[tuple[tuple[str, int, int], Fill | _Opened | _Converted]] = []
    places = cursor.execute(
        "SELECT journal_day, journal_number FROM fills ORDER BY journal_day, journal_number"
    ).fetchall()
    for (day, number), fill in zip(places, reads.fills(cursor), strict=True):
        steps.append(((day.isoformat(), 1, number), fill))
    for day, number, key, product, qty, price in cursor.execute(
        "SELECT journal_day, journal_number, instrument_key, product, qty, average_price FROM openings"
    ).fetchall():
        steps.append(((day.isoformat(), 0, number), _Opened((key, Product(product)), qty, Price(price))))
    for day, number, tag, key, side, qty, old, new in cursor.execute(
        "SELECT journal_day, journal_number, tag, instrument_key, side, qty, old, new FROM conversions "
        "WHERE status = 'done'"
    ).fetchall():
        moved = _Converted(tag, key, Product(old), Product(new), Side(side).sign * qty)
        steps.append(((day.isoformat(), 1, number), moved))
    steps.sort(key=lambda one: one[0])
    return [(place[0], step) for place, step in steps]


def _multipliers(cursor: DuckDBPyConnection) -> dict[str, int]:
    return dict(cursor.execute("SELECT instrument_key, multiplier FROM multipliers").fetchall())


def _orders_filled(cursor: DuckDBPyConnection) -> dict[tuple[str, str], list[Fill]]:
    """(broker id, tag) of every order that filled, with its fills."""
    out: dict[tuple[str, str], list[Fill]] = {}
    for fill in reads.fills(cursor):
        out.setdefault((fill.broker_id, fill.tag), []).append(fill)
    return out


def _charges_by_day(cursor: DuckDBPyConnection, charge: ChargeOf) -> dict[tuple[str, str], Money]:
    """Charges of each order, on the day of its first fill (an order lives one day)."""
    by_order: dict[tuple[str, str], list[Fill]] = {}
    for day, fill in reads.fills_by_day(cursor):
        by_order.setdefault((day, fill.broker_id), []).append(fill)
    return {
        at: charge(
            fills[0].instrument_key,
            fills[0].product,
            fills[0].side,
            sum(fill.qty for fill in fills),
            _average(fills),
            fills[0].time_ns,
        )
        for at, fills in by_order.items()
    }


def _average(fills: list[Fill]) -> Price:
    qty = sum(fill.qty for fill in fills)
    return Price((2 * sum(fill.qty * fill.price for fill in fills) + qty) // (2 * qty))
