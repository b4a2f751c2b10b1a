"""The dated schedule of rates (``schedule.toml``) and brokerage plans, as typed tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

from tradetui.domain.errors import RateUnknown
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.money import Money, to_money
from tradetui.domain.order import Product

RATE_BASE = 10_000_000
"""Rates are rupees per crore."""


class ChargeClass(StrEnum):
    """Kinds of trade that are charged alike."""

    DELIVERY = "DELIVERY"
    INTRADAY = "INTRADAY"
    FUTURE = "FUTURE"
    OPTION = "OPTION"
    CURRENCY_FUTURE = "CURRENCY_FUTURE"
    CURRENCY_OPTION = "CURRENCY_OPTION"
    COMMODITY_FUTURE = "COMMODITY_FUTURE"
    COMMODITY_OPTION = "COMMODITY_OPTION"

    @property
    def is_cash(self) -> bool:
        """Equity cash, where buys and sells of a day net into intraday and delivery."""
        return self in (ChargeClass.DELIVERY, ChargeClass.INTRADAY)

    @property
    def is_commodity(self) -> bool:
        """Commodity derivative: pays CTT, which keeps its paise."""
        return self in (ChargeClass.COMMODITY_FUTURE, ChargeClass.COMMODITY_OPTION)


def charge_class(instrument: Instrument, product: Product) -> ChargeClass:
    """How a trade in an instrument under a product is charged. MTF is delivery.

    Raises:
        RateUnknown: The instrument cannot be traded (an index).
    """
    if instrument.kind is InstrumentKind.EQUITY:
        return ChargeClass.INTRADAY if product is Product.INTRADAY else ChargeClass.DELIVERY
    if not instrument.is_derivative:
        raise RateUnknown(f"{instrument.symbol} cannot be traded, so nothing is charged for it")
    if instrument.segment in ("NCD_FO", "BCD_FO"):
        return ChargeClass.CURRENCY_OPTION if instrument.is_option else ChargeClass.CURRENCY_FUTURE
    if instrument.segment in ("MCX_FO", "NSE_COM"):
        return ChargeClass.COMMODITY_OPTION if instrument.is_option else ChargeClass.COMMODITY_FUTURE
    return ChargeClass.OPTION if instrument.is_option else ChargeClass.FUTURE


@dataclass(frozen=True, slots=True)
class TaxRow:
    """STT and CTT from a date on, rupees per crore."""

    effective_from: date
    buy: Mapping[ChargeClass, int]
    sell: Mapping[ChargeClass, int]
    exercise: Mapping[ChargeClass, int]
    source: str


@dataclass(frozen=True, slots=True)
class ExchangeRow:
    """Transaction charges of one exchange from a date on, rupees per crore, IPFT included."""

    effective_from: date
    venue: str
    rates: Mapping[str, int]
    prime: frozenset[str]
    """Underlyings whose options pay the ``OPTION_PRIME`` rate."""
    source: str


@dataclass(frozen=True, slots=True)
class SimpleRow:
    """One number from a date on."""

    effective_from: date
    value: int
    source: str


@dataclass(frozen=True, slots=True)
class StampRow:
    """Stamp duty on the buyer from a date on, rupees per crore."""

    effective_from: date
    buy: Mapping[ChargeClass, int]
    source: str


@dataclass(frozen=True, slots=True)
class BrokerageRule:
    """Brokerage of one executed order."""

    cap: Money
    """Most that one order costs, in 1/10,000 rupee; the flat fee when there is no rate."""
    rate: int | None = None
    """Rupees per crore of the order's value; None for a flat fee."""


@dataclass(frozen=True, slots=True)
class BrokerPlan:
    """What the broker itself charges."""

    name: str
    rules: Mapping[ChargeClass, BrokerageRule]
    dp: Money
    """DP charge per security and day with a delivery sale, before GST, in 1/10,000 rupee."""
    source: str = ""

    def with_cap(self, cap: Money) -> BrokerPlan:
        """The same plan with another price per order, such as Rs 30; free classes stay free."""
        rules = {kind: replace(rule, cap=cap) if rule.cap else rule for kind, rule in self.rules.items()}
        return replace(self, rules=rules)

    def with_dp(self, dp: Money) -> BrokerPlan:
        """The same plan with another DP charge (before GST)."""
        return replace(self, dp=dp)


_RowT = TypeVar("_RowT", TaxRow, ExchangeRow, SimpleRow, StampRow)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Every rate with its dates. Rows of each table are newest first."""

    tax_rows: tuple[TaxRow, ...]
    exchange_rows: tuple[ExchangeRow, ...]
    sebi_rows: tuple[SimpleRow, ...]
    stamp_rows: tuple[StampRow, ...]
    gst_rows: tuple[SimpleRow, ...]

    def tax(self, day: date) -> TaxRow:
        """STT and CTT in force on a day.

        Raises:
            RateUnknown: The schedule does not go back that far.
        """
        for row in self.tax_rows:
            if row.effective_from <= day:
                return row
        raise _unknown("transaction tax", day)

    def stamp(self, day: date) -> StampRow:
        """Stamp duty in force on a day.

        Raises:
            RateUnknown: The schedule does not go back that far.
        """
        for row in self.stamp_rows:
            if row.effective_from <= day:
                return row
        raise _unknown("stamp duty", day)

    def sebi_rate(self, day: date) -> int:
        """SEBI's fee in force on a day, rupees per crore.

        Raises:
            RateUnknown: The schedule does not go back that far.
        """
        return _value_on(self.sebi_rows, day, "SEBI fee")

    def gst_percent(self, day: date) -> int:
        """GST in force on a day, percent.

        Raises:
            RateUnknown: The schedule does not go back that far.
        """
        return _value_on(self.gst_rows, day, "GST")

    def exchange_rate(self, venue: str, kind: ChargeClass, day: date, underlying: str = "") -> int:
        """The exchange's charge, rupees per crore.

        Raises:
            RateUnknown: No rate for that venue and kind on that day.
        """
        for row in self.exchange_rows:
            if row.venue == venue and row.effective_from <= day:
                prime = kind is ChargeClass.OPTION and underlying.upper() in row.prime
                rate = row.rates.get("OPTION_PRIME" if prime else kind.value)
                if rate is not None:
                    return rate
                break
        raise _unknown(f"{venue} charge for {kind.value.lower().replace('_', ' ')}", day)


def _unknown(what: str, day: date) -> RateUnknown:
    return RateUnknown(f"no {what} known for {day}")


def _value_on(rows: tuple[SimpleRow, ...], day: date, what: str) -> int:
    for row in rows:
        if row.effective_from <= day:
            return row.value
    raise _unknown(what, day)


def _by_class(raw: Mapping[str, int]) -> dict[ChargeClass, int]:
    return {ChargeClass(name): rate for name, rate in raw.items()}


def _newest_first(rows: Iterable[_RowT]) -> tuple[_RowT, ...]:
    return tuple(sorted(rows, key=lambda row: row.effective_from, reverse=True))


@cache
def _raw() -> dict[str, Any]:
    # Late: only a program that charges anything pays for reading the schedule.
    import tomllib
    from importlib import resources

    return tomllib.loads(resources.files(__package__).joinpath("schedule.toml").read_text(encoding="utf-8"))


@cache
def shipped_schedule() -> Schedule:
    """The schedule that comes with the program, read once."""
    raw = _raw()
    return Schedule(
        tax_rows=_newest_first(
            TaxRow(
                row["from"],
                _by_class(row["buy"]),
                _by_class(row["sell"]),
                _by_class(row["exercise"]),
                row["source"],
            )
            for row in raw["tax"]
        ),
        exchange_rows=_newest_first(
            ExchangeRow(
                row["from"], row["venue"], row["rates"], frozenset(row.get("prime", ())), row["source"]
            )
            for row in raw["exchange"]
        ),
        sebi_rows=_newest_first(SimpleRow(row["from"], row["rate"], row["source"]) for row in raw["sebi"]),
        stamp_rows=_newest_first(
            StampRow(row["from"], _by_class(row["buy"]), row["source"]) for row in raw["stamp"]
        ),
        gst_rows=_newest_first(SimpleRow(row["from"], row["percent"], row["source"]) for row in raw["gst"]),
    )


@cache
def broker_plan(name: str) -> BrokerPlan:
    """A shipped brokerage plan: ``zerodha`` or ``upstox``.

    Raises:
        RateUnknown: There is no plan of that name.
    """
    plans = _raw()["plan"]
    if name not in plans:
        raise RateUnknown(f"no brokerage plan {name!r}", f"Known: {', '.join(sorted(plans))}")
    raw = plans[name]
    rules = {
        ChargeClass(kind): BrokerageRule(cap=to_money(Decimal(rule["cap"])), rate=rule.get("rate"))
        for kind, rule in raw["rules"].items()
    }
    return BrokerPlan(name=name, rules=rules, dp=to_money(Decimal(raw["dp"])), source=raw["source"])
