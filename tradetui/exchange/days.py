"""Positions by day: what was carried over night, what today's trades and conversions did to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from tradetui.domain.calendar.ist import day_number
from tradetui.domain.money import Money, Price
from tradetui.domain.order import Product, Side
from tradetui.domain.position import Position, PositionKey
from tradetui.exchange.orders import Trade


@dataclass(frozen=True, slots=True)
class Conversion:
    """A part of a position moved to another product.

    Attributes:
        side: Of the position: BUY for a long one.
        qty: Units moved.
        price: Average price they were moved at, once it is done.
    """

    t_ns: int
    instrument_key: str
    old: Product
    new: Product
    side: Side
    qty: int
    price: Price = Price(0)

    @property
    def keys(self) -> tuple[PositionKey, PositionKey]:
        """Where the units come from and where they go."""
        return (self.instrument_key, self.old), (self.instrument_key, self.new)


@dataclass(frozen=True, slots=True)
class DayFigures:
    """One position as a day's book shows it.

    Attributes:
        position: Since entry, at cost.
        today: The same units with what was carried entered at the previous close: its profit is the day's.
        overnight_qty: Signed units carried over night.
        overnight_value: Their cost, 1/10,000 rupee, signed.
        buy_qty, sell_qty: Units bought and sold today.
        buy_value, sell_value: Money of those.
    """

    position: Position
    today: Position
    overnight_qty: int
    overnight_value: Money
    buy_qty: int = 0
    sell_qty: int = 0
    buy_value: Money = Money(0)
    sell_value: Money = Money(0)

    @property
    def idle(self) -> bool:
        """Whether the day's book has no line for it: flat, and nothing happened today."""
        return not (self.position.qty or self.overnight_qty or self.buy_qty or self.sell_qty)


@dataclass(slots=True)
class DayBook:
    """What was carried into the present day, and the conversions of all days.

    Attributes:
        carried: Positions at the start of the day.
        day: Number of the day; 0 before anything happened.
    """

    carried: dict[PositionKey, Position]
    day: int = 0
    conversions: list[Conversion] = field(default_factory=list)

    def roll(self, t_ns: int, positions: Mapping[PositionKey, Position]) -> None:
        """Begin a new day with ``positions``, if ``t_ns`` is in one."""
        today = day_number(t_ns)
        if today > self.day:
            self.carried = dict(positions)
            self.day = today

    def restore(self, trades: Iterable[Trade], positions: Mapping[PositionKey, Position]) -> None:
        """Find out what was carried into the day of the last of ``trades``, which ``positions`` contain.

        The book's conversions must be known already.
        """
        acts: list[tuple[int, Trade | Conversion]] = [(one.t_ns, one) for one in trades]
        acts += [(one.t_ns, one) for one in self.conversions]
        if not acts:
            return
        self.day = max(day_number(t_ns) for t_ns, _ in acts)
        before: dict[PositionKey, Position] = {}
        for t_ns, act in sorted(acts, key=lambda pair: pair[0]):
            keys = act.keys if isinstance(act, Conversion) else ((act.instrument_key, act.product),)
            for key in keys:
                multiplier = positions[key].multiplier if key in positions else 1
                before.setdefault(key, Position(*key, multiplier=multiplier))
            if day_number(t_ns) == self.day:
                continue
            if isinstance(act, Conversion):
                source, target = act.keys
                before[source], before[target] = moved(before[source], before[target], act.qty)
            else:
                before[keys[0]] = before[keys[0]].apply(act.side, act.qty, act.price)
        self.carried = {**positions, **before}


@dataclass(slots=True)
class DayTrades:
    """Sums of one day's trades of one position; a conversion counts as a trade moved elsewhere."""

    buy_qty: int = 0
    sell_qty: int = 0
    buy_value: int = 0
    sell_value: int = 0
    steps: list[tuple[Side, int, Price]] = field(default_factory=list)

    def add(self, side: Side, qty: int, price: Price, multiplier: int) -> None:
        """One more trade, or with a negative quantity one that moved away."""
        if side is Side.BUY:
            self.buy_qty += qty
            self.buy_value += qty * price * multiplier
        else:
            self.sell_qty += qty
            self.sell_value += qty * price * multiplier
        self.steps.append((side if qty > 0 else side.opposite, abs(qty), price))

    @classmethod
    def of(
        cls,
        book: DayBook,
        trades: Iterable[Trade],
        t_ns: int,
        positions: Mapping[PositionKey, Position] | None = None,
    ) -> dict[PositionKey, DayTrades]:
        """Sums by position on the day of ``t_ns``."""
        today, known = day_number(t_ns), positions or {}
        sums: dict[PositionKey, DayTrades] = {}
        moves: list[tuple[int, PositionKey, Side, int, Price]] = [
            (one.t_ns, (one.instrument_key, one.product), one.side, one.qty, one.price) for one in trades
        ]
        for change in book.conversions:
            source, target = change.keys
            moves.append((change.t_ns, source, change.side, -change.qty, change.price))
            moves.append((change.t_ns, target, change.side, change.qty, change.price))
        for when, key, side, qty, price in sorted(moves, key=lambda move: move[0]):
            if day_number(when) == today:
                multiplier = known[key].multiplier if key in known else 1
                sums.setdefault(key, cls()).add(side, qty, price, multiplier)
        return sums


def day_figures(position: Position, book: DayBook, sums: DayTrades, close: Price, t_ns: int) -> DayFigures:
    """One position on the day of ``t_ns``; ``close`` is the previous close, 0 when unknown."""
    key = (position.instrument_key, position.product)
    overnight = position.qty - sums.buy_qty + sums.sell_qty
    carried = position if day_number(t_ns) > book.day else book.carried.get(key)
    average = carried.average_price if carried is not None and carried.qty else position.average_price
    units = overnight * position.multiplier
    today = Position(*key, overnight, Money(units * (close or average)), multiplier=position.multiplier)
    for side, qty, price in sums.steps:
        today = today.apply(side, qty, price)
    return DayFigures(
        position,
        today,
        overnight,
        Money(units * average),
        sums.buy_qty,
        sums.sell_qty,
        Money(sums.buy_value),
        Money(sums.sell_value),
    )


def moved(source: Position, target: Position, qty: int) -> tuple[Position, Position]:
    """Both positions after ``qty`` units of ``source`` became units of ``target``, at their average cost.

    The trades that brought them move along: nothing is realised, unless ``target`` is on the other side.
    """
    side = Side.BUY if source.qty > 0 else Side.SELL
    cost = source.cost * qty // abs(source.qty) if qty < abs(source.qty) else source.cost
    price = source.average_price
    left = replace(source, qty=source.qty - side.sign * qty, cost=Money(source.cost - cost))
    value = abs(cost)
    if side is Side.BUY:
        left = replace(left, buy_qty=source.buy_qty - qty, buy_value=Money(source.buy_value - value))
    else:
        left = replace(left, sell_qty=source.sell_qty - qty, sell_value=Money(source.sell_value - value))
    if target.qty * side.sign < 0:
        return left, target.apply(side, qty, price)
    joined = replace(target, qty=target.qty + side.sign * qty, cost=Money(target.cost + cost))
    if side is Side.BUY:
        joined = replace(joined, buy_qty=target.buy_qty + qty, buy_value=Money(target.buy_value + value))
    else:
        joined = replace(joined, sell_qty=target.sell_qty + qty, sell_value=Money(target.sell_value + value))
    return left, joined
