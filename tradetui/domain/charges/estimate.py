"""Charges of orders before they are sent: integer arithmetic, rounded once per line.

Rounding (india-markets 4.3): STT to the nearest rupee, half up (Zerodha support); CTT and every other line to
the nearest paisa, half up. Turnover is added up first and rounded once, as Zerodha's calculator does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from tradetui.domain.charges.schedule import RATE_BASE, BrokerPlan, ChargeClass, Schedule, shipped_schedule
from tradetui.domain.errors import DomainError, RateUnknown
from tradetui.domain.money import PAISA, SCALE, Money, Price
from tradetui.domain.order import Side


@dataclass(frozen=True, slots=True)
class Charges:
    """Lines of a contract note, each in 1/10,000 rupee."""

    brokerage: Money = Money(0)
    stt: Money = Money(0)
    """Securities or commodities transaction tax."""
    exchange_txn: Money = Money(0)
    """Exchange transaction charges with the investor protection fund."""
    sebi: Money = Money(0)
    gst: Money = Money(0)
    """On brokerage, exchange and SEBI fees."""
    stamp: Money = Money(0)
    dp: Money = Money(0)
    """Depository charge for a delivery sale, its GST included."""

    @property
    def total(self) -> Money:
        """All lines together."""
        return Money(
            self.brokerage + self.stt + self.exchange_txn + self.sebi + self.gst + self.stamp + self.dp
        )

    def __add__(self, other: Charges) -> Charges:
        return Charges(
            brokerage=Money(self.brokerage + other.brokerage),
            stt=Money(self.stt + other.stt),
            exchange_txn=Money(self.exchange_txn + other.exchange_txn),
            sebi=Money(self.sebi + other.sebi),
            gst=Money(self.gst + other.gst),
            stamp=Money(self.stamp + other.stamp),
            dp=Money(self.dp + other.dp),
        )

    def net(self, gross: Money) -> Money:
        """Profit after charges, from profit before them."""
        return Money(gross - self.total)

    def per_unit(self, qty: int) -> Price:
        """Points the price must move to pay for the charges, rounded up to 1/10,000 rupee."""
        return Price(-(-self.total // qty))


@dataclass(frozen=True, slots=True)
class Leg:
    """One executed order, or one exercise of an option.

    Attributes:
        venue: ``NSE``, ``BSE`` or ``MCX``.
        kind: How it is charged; see `charge_class`.
        side: Bought or sold.
        qty: Units, always positive.
        price: Price per unit in 1/10,000 rupee; the intrinsic value for an exercise.
        day: Trade date in India.
        multiplier: Money per point and unit.
        underlying: Name of the underlying, for option rates that depend on it.
        security: Any key that tells securities apart; taxes are rounded per security.
        is_agri: A farm commodity, free of CTT.
        is_exercise: The holder exercised (or the exchange did, at expiry): STT on intrinsic value, no other fee.
    """

    venue: str
    kind: ChargeClass
    side: Side
    qty: int
    price: Price
    day: date
    multiplier: int = 1
    underlying: str = ""
    security: str = ""
    is_agri: bool = False
    is_exercise: bool = False

    @property
    def value(self) -> Money:
        """Traded value, in 1/10,000 rupee."""
        return Money(self.qty * self.price * self.multiplier)


def round_half_up(numerator: int, denominator: int, step: int) -> Money:
    """The multiple of ``step`` nearest to a non-negative fraction; halves go up."""
    whole = denominator * step
    return Money((2 * numerator + whole) // (2 * whole) * step)


def order_brokerage(plan: BrokerPlan, kind: ChargeClass, value: int) -> Money:
    """Brokerage of one executed order of that traded value, in 1/10,000 rupee.

    Raises:
        RateUnknown: The plan does not cover that kind.
    """
    rule = plan.rules.get(kind)
    if rule is None:
        raise RateUnknown(f"plan {plan.name} has no brokerage for {kind.value.lower().replace('_', ' ')}")
    if rule.rate is None:
        return rule.cap
    return min(rule.cap, round_half_up(value * rule.rate, RATE_BASE, PAISA))


def dp_charge(plan: BrokerPlan, gst_percent: int) -> Money:
    """Depository charge of one security and day, GST included."""
    return round_half_up(plan.dp * (100 + gst_percent), 100, PAISA)


def gst_on(fees: int, percent: int) -> Money:
    """GST on the sum of brokerage, exchange and SEBI fees, to the paisa."""
    return round_half_up(fees * percent, 100, PAISA)


def estimate(
    leg: Leg, plan: BrokerPlan, schedule: Schedule | None = None, *, with_dp: bool = True
) -> Charges:
    """Charges of one order, if it executes in full at its price.

    Args:
        leg: The order.
        plan: What the broker charges.
        schedule: Rates; the shipped ones by default.
        with_dp: Add the depository charge to a delivery sale. It is due once per security and day.

    Raises:
        RateUnknown: A rate is not known for that venue, kind and date.
        DomainError: Quantity or price cannot be.
    """
    return estimate_all((leg,), plan, schedule, with_dp=with_dp)


def round_trip(buy: Leg, sell: Leg, plan: BrokerPlan, schedule: Schedule | None = None) -> Charges:
    """Charges of buying and selling; on one day, turnover is added before it is rounded.

    Raises:
        RateUnknown: A rate is not known for that venue, kind and date.
        DomainError: Quantity or price cannot be, or the legs are on the wrong sides.
    """
    if buy.side is not Side.BUY or sell.side is not Side.SELL:
        raise DomainError("a round trip is a buy and a sell")
    return estimate_all((buy, sell), plan, schedule)


def estimate_all(
    legs: Iterable[Leg], plan: BrokerPlan, schedule: Schedule | None = None, *, with_dp: bool = True
) -> Charges:
    """Charges of several orders, such as the slices of one decision. Brokerage is per leg.

    Raises:
        RateUnknown: A rate is not known for that venue, kind and date.
        DomainError: Quantity or price cannot be.
    """
    rates = schedule or shipped_schedule()
    groups: dict[tuple[object, ...], list[Leg]] = {}
    for leg in legs:
        check(leg)
        key = (leg.day, leg.venue, leg.kind, leg.underlying, leg.security, leg.is_agri)
        groups.setdefault(key, []).append(leg)
    total = Charges()
    for group in groups.values():
        total += _group_charges(group, plan, rates, with_dp=with_dp)
    return total


def check(leg: Leg) -> None:
    """Refuse a leg that cannot have happened.

    Raises:
        DomainError: Quantity, multiplier or price is out of range, or something else than an option is exercised.
    """
    if leg.qty <= 0 or leg.multiplier <= 0 or leg.price < 0:
        raise DomainError(f"not a trade: {leg.qty} x {leg.multiplier} at {leg.price}")
    if leg.is_exercise and leg.kind is not ChargeClass.OPTION:
        raise DomainError(f"only options are exercised, not {leg.kind.value.lower()}")


def _group_charges(legs: Sequence[Leg], plan: BrokerPlan, rates: Schedule, *, with_dp: bool) -> Charges:
    """Charges of legs that share day, venue, kind and security."""
    first = legs[0]
    kind, day = first.kind, first.day
    trades = [leg for leg in legs if not leg.is_exercise]
    bought = sum(leg.value for leg in trades if leg.side is Side.BUY)
    sold = sum(leg.value for leg in trades if leg.side is Side.SELL)
    exercised = sum(leg.value for leg in legs if leg.is_exercise)
    tax_row = rates.tax(day)
    tax = bought * tax_row.buy.get(kind, 0) + exercised * tax_row.exercise.get(kind, 0)
    if not first.is_agri:
        tax += sold * tax_row.sell.get(kind, 0)
    brokerage = sum(order_brokerage(plan, kind, leg.value) for leg in trades)
    exchange_txn = sebi = Money(0)
    if trades:
        exchange_rate = rates.exchange_rate(first.venue, kind, day, first.underlying)
        exchange_txn = round_half_up((bought + sold) * exchange_rate, RATE_BASE, PAISA)
        sebi = round_half_up((bought + sold) * rates.sebi_rate(day), RATE_BASE, PAISA)
    gst_percent = rates.gst_percent(day)
    delivered = with_dp and kind is ChargeClass.DELIVERY and sold > 0
    return Charges(
        brokerage=Money(brokerage),
        stt=round_half_up(tax, RATE_BASE, PAISA if kind.is_commodity else SCALE),
        exchange_txn=exchange_txn,
        sebi=sebi,
        gst=gst_on(brokerage + exchange_txn + sebi, gst_percent),
        stamp=round_half_up(bought * rates.stamp(day).buy.get(kind, 0), RATE_BASE, PAISA),
        dp=dp_charge(plan, gst_percent) if delivered else Money(0),
    )
