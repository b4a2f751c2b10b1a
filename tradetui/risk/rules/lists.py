"""What exchanges and brokers publish: F&O ban, intraday list, surveillance; and the days around an expiry."""

from __future__ import annotations

from typing import Final

from tradetui.domain.instrument import InstrumentKind
from tradetui.domain.order import Product, Side
from tradetui.domain.price_rules import TRADE_TO_TRADE, is_index_contract, is_stock_derivative
from tradetui.domain.view import Check
from tradetui.risk.facts import Facts
from tradetui.risk.rules.answers import block, noted, ok, warn

DELIVERY_DAYS: Final = 4
"""Trading days before expiry in which the margin of stock derivatives ramps up to full delivery."""


def ban_list(f: Facts) -> Check:
    """Derivatives of a share in the F&O ban period may only be reduced (over 95% of MWPL; india-markets 2.5)."""
    assert f.instrument is not None
    if not is_stock_derivative(f.instrument):
        return ok("F&O ban")
    if f.listed.banned is None:
        return warn("F&O ban", "no F&O ban list of today is at hand: whether this share is banned is unknown")
    if not f.listed.banned:
        return ok("F&O ban")
    if f.reducing:
        return warn("F&O ban", "banned: closing one leg of a hedge may raise the rest of it")
    return block("F&O ban", f"{f.instrument.name} is in the F&O ban period: positions may only be reduced")


def intraday_list(f: Facts) -> Check:
    """Intraday is open in shares on the broker's list only; without a list that is said."""
    assert f.instrument is not None
    if f.request.product is not Product.INTRADAY or f.instrument.kind is not InstrumentKind.EQUITY:
        return ok("intraday list")
    if f.listed.intraday is None:
        return noted(
            "intraday list", "no intraday list of the broker is at hand: it may refuse intraday here"
        )
    if f.listed.intraday or f.reducing:
        return ok("intraday list")
    return block("intraday list", f"{f.instrument.symbol} is not on the broker's intraday list: use delivery")


def surveillance(f: Facts) -> Check:
    """Shares under surveillance (ASM, GSM, ESM): said; where they settle trade by trade, delivery only."""
    assert f.instrument is not None
    if f.instrument.kind is not InstrumentKind.EQUITY:
        return ok("surveillance")
    said = f.listed.surveillance
    if said is None:
        return noted("surveillance", "no surveillance list is at hand")
    if not said:
        return ok("surveillance")
    if f.listed.trade_for_trade and f.request.product is not Product.DELIVERY and not f.reducing:
        return block("surveillance", f"{said}: settled trade by trade, delivery only")
    return warn("surveillance", f"{said}: full margin, narrow price band, the broker may refuse it")


def same_day_sale(f: Facts) -> Check:
    """What settles trade by trade cannot be sold before it has arrived: there is no netting."""
    assert f.instrument is not None
    if (
        f.instrument.kind is not InstrumentKind.EQUITY
        or f.request.side is not Side.SELL
        or f.request.product is not Product.DELIVERY
        or not (f.instrument.series in TRADE_TO_TRADE or f.listed.trade_for_trade)
    ):
        return ok("T2T")
    settled = (f.free_qty or 0) - f.t1_qty - max(0, f.position_qty)
    if f.free_qty is None or f.request.qty <= settled:
        return ok("T2T")
    return block("T2T", f"trade-for-trade: only {max(0, settled)} have arrived and may be sold")


def expiry(f: Facts) -> Check:
    """Stock derivatives settle in shares: no intraday on expiry day, nothing fresh in the money the day before.

    Short index options cost 2% more margin on expiry day. Sources: india-markets 5 and 12.
    """
    assert f.instrument is not None
    instrument, days = f.instrument, f.expiry_days
    if not instrument.is_derivative or days is None or f.reducing:
        return ok("expiry")
    if days < 0:
        return block("expiry", "the contract has expired")
    if not is_stock_derivative(instrument):
        if (
            days == 0
            and instrument.is_option
            and f.request.side is Side.SELL
            and is_index_contract(instrument)
        ):
            return warn("expiry", "expires today: 2% of the contract's value is added to the margin")
        return ok("expiry")
    if days == 0 and f.request.product is Product.INTRADAY:
        return block("expiry", "expires today: intraday is closed in stock derivatives on their last day")
    if days <= 1 and instrument.is_option and _in_the_money(f) is not False:
        return block(
            "expiry", "no fresh stock option in the money this close to expiry: it settles in shares"
        )
    if days <= DELIVERY_DAYS:
        left = "today" if days == 0 else f"in {days} trading day{'s' if days > 1 else ''}"
        return warn("expiry", f"expires {left} and settles in shares: the margin grows to full delivery")
    return ok("expiry")


def _in_the_money(f: Facts) -> bool | None:
    """Whether the option has intrinsic value; ``None`` while the underlying's price is not known."""
    assert f.instrument is not None
    if f.underlying_last is None or f.instrument.strike is None:
        return None
    if f.instrument.kind is InstrumentKind.CALL:
        return f.underlying_last > f.instrument.strike
    return f.underlying_last < f.instrument.strike
