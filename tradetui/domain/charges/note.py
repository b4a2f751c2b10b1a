"""The charges of a whole day, as the contract note computes them.

STT is levied per client, security and day on the weighted average price of all that day's buys and sells in
the security (NSE CMO/0146/2004; Zerodha support): what was both bought and sold is intraday, the rest delivery,
whatever product the orders carried. Derivatives pay on what was sold, per contract. Stamp duty is shown in whole
rupees per segment, the other lines in paise. Still an estimate: the broker's own note is final.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from tradetui.domain.charges.estimate import (
    Charges,
    Leg,
    check,
    dp_charge,
    gst_on,
    order_brokerage,
    round_half_up,
)
from tradetui.domain.charges.schedule import RATE_BASE, BrokerPlan, ChargeClass, Schedule, shipped_schedule
from tradetui.domain.errors import DomainError
from tradetui.domain.money import PAISA, SCALE, Money
from tradetui.domain.order import Side


@dataclass(frozen=True, slots=True)
class Trade:
    """One fill.

    Attributes:
        leg: What was traded; ``leg.security`` must tell securities apart.
        order_id: The order it belongs to; brokerage is charged once per executed order.
        trade_for_trade: The security settles every trade for itself (series BE, BZ; BSE T): nothing nets.
    """

    leg: Leg
    order_id: str
    trade_for_trade: bool = False


@dataclass(frozen=True, slots=True)
class NoteLine:
    """One security or contract of the day. Quantities in units, money in 1/10,000 rupee."""

    venue: str
    security: str
    bought_qty: int
    sold_qty: int
    intraday_qty: int
    """Bought and sold on the same day; 0 for derivatives."""
    stt_intraday: Money
    stt_delivery: Money
    """On what was delivered; for derivatives, on what was sold or exercised."""


@dataclass(frozen=True, slots=True)
class DayNote:
    """A day's charges and the tax of each security."""

    lines: tuple[NoteLine, ...]
    charges: Charges


@dataclass(slots=True)
class _Segment:
    """Running sums of one segment, rounded at the end."""

    brokerage: int = 0
    stt: int = 0
    exchange: int = 0
    """Sum of value times rate: still to be divided by `RATE_BASE`."""
    value: int = 0
    stamp: Fraction = field(default_factory=Fraction)
    deliveries: int = 0
    """Securities with a delivery sale."""


def day_note(trades: Iterable[Trade], plan: BrokerPlan, schedule: Schedule | None = None) -> DayNote:
    """Charges of all trades of one day.

    Raises:
        RateUnknown: A rate is not known for a venue, kind and date.
        DomainError: Trades of different days, a trade that cannot be, or one order on two securities.
    """
    rates = schedule or shipped_schedule()
    fills = list(trades)
    if len({fill.leg.day for fill in fills}) > 1:
        raise DomainError("a contract note covers one day")
    for fill in fills:
        check(fill.leg)
    segments: dict[tuple[str, str], _Segment] = {}
    securities: dict[tuple[str, str, bool, str], list[Trade]] = {}
    for fill in fills:
        leg = fill.leg
        segment = segments.setdefault((leg.venue, _segment_name(leg.kind)), _Segment())
        if not leg.is_exercise:
            rate = rates.exchange_rate(leg.venue, leg.kind, leg.day, leg.underlying)
            segment.value += leg.value
            segment.exchange += leg.value * rate
        key = (leg.venue, _segment_name(leg.kind), fill.trade_for_trade, leg.security)
        securities.setdefault(key, []).append(fill)
    _add_brokerage(fills, plan, segments)
    lines = [
        _security_line([fill.leg for fill in group], segments[venue, name], rates, nets=not trade_for_trade)
        for (venue, name, trade_for_trade, _security), group in securities.items()
    ]
    total = Charges()
    if fills:
        day = fills[0].leg.day
        for segment in segments.values():
            total += _close(segment, plan, rates.sebi_rate(day), rates.gst_percent(day))
    return DayNote(lines=tuple(lines), charges=total)


def _segment_name(kind: ChargeClass) -> str:
    if kind.is_cash:
        return "cash"
    if kind in (ChargeClass.FUTURE, ChargeClass.OPTION):
        return "equity derivatives"
    return "commodity" if kind.is_commodity else "currency"


def _add_brokerage(
    fills: Sequence[Trade], plan: BrokerPlan, segments: dict[tuple[str, str], _Segment]
) -> None:
    """Brokerage once per order, on the value of all its fills."""
    orders: dict[str, list[Leg]] = {}
    for fill in fills:
        if not fill.leg.is_exercise:
            orders.setdefault(fill.order_id, []).append(fill.leg)
    for order_id, legs in orders.items():
        first = legs[0]
        if any((leg.venue, leg.kind, leg.security, leg.side) != _identity(first) for leg in legs):
            raise DomainError(f"order {order_id} has fills of different securities, kinds or sides")
        brokerage = order_brokerage(plan, first.kind, sum(leg.value for leg in legs))
        segments[first.venue, _segment_name(first.kind)].brokerage += brokerage


def _identity(leg: Leg) -> tuple[str, ChargeClass, str, Side]:
    return leg.venue, leg.kind, leg.security, leg.side


def _security_line(legs: Sequence[Leg], segment: _Segment, rates: Schedule, *, nets: bool) -> NoteLine:
    """Taxes of one security; adds them and the stamp duty to its segment."""
    first = legs[0]
    trades = [leg for leg in legs if not leg.is_exercise]
    bought = [leg for leg in trades if leg.side is Side.BUY]
    sold = [leg for leg in trades if leg.side is Side.SELL]
    bought_qty, sold_qty = sum(leg.qty for leg in bought), sum(leg.qty for leg in sold)
    bought_value = sum(leg.value for leg in bought)
    intraday_qty = min(bought_qty, sold_qty) if first.kind.is_cash and nets else 0
    if first.kind.is_cash:
        stt_intraday, stt_delivery = _cash_tax(trades, bought_qty, sold_qty, intraday_qty, rates)
        segment.deliveries += sold_qty > intraday_qty
    else:
        stt_intraday, stt_delivery = Money(0), _derivative_tax(legs, rates)
    stamp = rates.stamp(first.day).buy
    if bought_qty:
        same_day = Fraction(intraday_qty, bought_qty)
        kept_kind = ChargeClass.DELIVERY if first.kind.is_cash else first.kind
        rate = same_day * stamp[ChargeClass.INTRADAY] + (1 - same_day) * stamp[kept_kind]
        segment.stamp += bought_value * rate / RATE_BASE
    segment.stt += stt_intraday + stt_delivery
    return NoteLine(
        venue=first.venue,
        security=first.security,
        bought_qty=bought_qty,
        sold_qty=sold_qty,
        intraday_qty=intraday_qty,
        stt_intraday=stt_intraday,
        stt_delivery=stt_delivery,
    )


def _cash_tax(
    trades: Sequence[Leg], bought_qty: int, sold_qty: int, intraday_qty: int, rates: Schedule
) -> tuple[Money, Money]:
    """STT of one cash security: intraday part and delivery part, each to the rupee.

    The weighted average price of the day is ``value / qty``; it stays a fraction until the end.
    """
    row = rates.tax(trades[0].day)
    value, qty = sum(leg.value for leg in trades), bought_qty + sold_qty
    intraday = intraday_qty * value * row.sell[ChargeClass.INTRADAY]
    delivery = value * (
        (bought_qty - intraday_qty) * row.buy[ChargeClass.DELIVERY]
        + (sold_qty - intraday_qty) * row.sell[ChargeClass.DELIVERY]
    )
    return round_half_up(intraday, qty * RATE_BASE, SCALE), round_half_up(delivery, qty * RATE_BASE, SCALE)


def _derivative_tax(legs: Sequence[Leg], rates: Schedule) -> Money:
    """STT of one contract to the rupee, or CTT to the paisa: on what was sold, and on exercise."""
    first = legs[0]
    row = rates.tax(first.day)
    exercised = sum(leg.value for leg in legs if leg.is_exercise)
    tax = exercised * row.exercise.get(first.kind, 0)
    if not first.is_agri:
        sold = sum(leg.value for leg in legs if leg.side is Side.SELL and not leg.is_exercise)
        tax += sold * row.sell.get(first.kind, 0)
    return round_half_up(tax, RATE_BASE, PAISA if first.kind.is_commodity else SCALE)


def _close(segment: _Segment, plan: BrokerPlan, sebi_rate: int, gst_percent: int) -> Charges:
    """Round the sums of a segment into the lines of the note."""
    exchange_txn = round_half_up(segment.exchange, RATE_BASE, PAISA)
    sebi = round_half_up(segment.value * sebi_rate, RATE_BASE, PAISA)
    return Charges(
        brokerage=Money(segment.brokerage),
        stt=Money(segment.stt),
        exchange_txn=exchange_txn,
        sebi=sebi,
        gst=gst_on(segment.brokerage + exchange_txn + sebi, gst_percent),
        stamp=round_half_up(segment.stamp.numerator, segment.stamp.denominator, SCALE),
        dp=Money(segment.deliveries * dp_charge(plan, gst_percent)),
    )
