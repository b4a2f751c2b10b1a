"""Requests that put a question to the broker itself: what an order costs, which segments are closed.

The answers never reach the engine; they are for people, beside our own reckoning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tradetui.control.host import Args, Host, choice, instrument_of, price, text, whole
from tradetui.control.rows import Row, moment, rupees
from tradetui.domain.errors import TradeTuiError, UsageError
from tradetui.domain.inquiry import ChargesAnswer, SegmentLock
from tradetui.domain.money import Money, Price
from tradetui.domain.order import Product, Side
from tradetui.engine import Charge
from tradetui.ports import Inquiries

MOST_ASKED: Final = 10
"""Orders of one request that the broker is asked about; the rest shows our estimate only."""


def _inquiries(host: Host) -> Inquiries:
    found = host.parts.inquiries
    if found is None:
        raise TradeTuiError("this run has no broker that could be asked")
    return found


async def charges_preview(host: Host, args: Args, charge: Charge) -> dict[str, Any]:
    """Charges of an order that was not sent: our estimate and the broker's own, line by line.

    Raises:
        UsageError: The order is not one.
    """
    instrument = instrument_of(host, text(args, "instrument"))
    side = choice(args, "side", Side, "")
    product = choice(args, "product", Product, Product.INTRADAY.value)
    qty, level = whole(args, "qty"), price(args, "price")
    if not qty or not level:
        raise UsageError("charges need a quantity and a price above zero")
    ours = charge(instrument, product, side, qty, level, host.engine.now_ns)
    theirs, words = await _broker_says(host, instrument.key, qty, product, side, level)
    rows: list[Row] = [
        {
            "symbol": instrument.symbol,
            "side": side.value,
            "qty": qty,
            "price": rupees(level),
            "product": product.value,
            **_compared(ours, theirs),
        }
    ]
    return {
        "source": "engine",
        "mode": host.parts.mode.value.lower(),
        "account": host.parts.account,
        "time": moment(host.engine.now_ns),
        "broker_words": words,
        "broker_lines": _lines(theirs),
        "rows": rows,
    }


async def compare(host: Host, rows: list[Row]) -> tuple[list[Row], str]:
    """Put the broker's own figure beside our estimate in rows of orders that filled.

    Returns:
        The rows, and why there is no figure of the broker's, if so.
    """
    out, words = [], ""
    for number, row in enumerate(rows):
        theirs = None
        if number < MOST_ASKED and not words:
            level = Price(round(row["price"] * 10_000))
            terms = (Product(row["product"]), Side(row["side"]))
            theirs, words = await _broker_says(host, row["instrument_key"], row["qty"], *terms, level)
        out.append(row | _compared(Money(round(row["charges"] * 10_000)), theirs))
    return out, words


async def _broker_says(
    host: Host, key: str, qty: int, product: Product, side: Side, level: Price
) -> tuple[ChargesAnswer | None, str]:
    try:
        answer = await _inquiries(host).charges(key, qty, product, side, level)
    except TradeTuiError as error:
        return None, f"the broker's calculator gave no answer: {error}"
    return (None, "paper has no broker whose calculator could be asked") if answer.estimate else (answer, "")


def _compared(ours: Money, theirs: ChargesAnswer | None) -> Row:
    # The broker keeps the depository charge apart from its total.
    return {
        "charges": rupees(ours),
        "brokers": rupees(theirs.total) if theirs is not None else None,
        "difference": rupees(ours - theirs.total) if theirs is not None else None,
        "brokers_dp_min": rupees(theirs.dp_min) if theirs is not None else None,
    }


def _lines(answer: ChargesAnswer | None) -> Mapping[str, float] | None:
    if answer is None:
        return None
    names = ("brokerage", "stt", "stamp", "transaction", "clearing", "ipft", "sebi", "gst", "dp_min", "total")
    return {name: rupees(getattr(answer, name)) for name in names}


# --- the account's own kill switch ---------------------------------------------------------------------


async def locks(host: Host, args: Args) -> dict[str, Any]:
    """Which segments the account's own kill switch at the broker has closed."""
    return _locks(host, await _inquiries(host).kill_switch())


async def set_lock(host: Host, args: Args) -> dict[str, Any]:
    """Close a segment at the broker, or open it again.

    Raises:
        UsageError: No segment was named.
    """
    segment, close = text(args, "segment", most=20), args.get("close")
    if not segment or not isinstance(close, bool):
        raise UsageError("a segment is needed, and whether to close it")
    return _locks(host, await _inquiries(host).set_kill_switch(segment.upper(), close))


def _locks(host: Host, found: tuple[SegmentLock, ...]) -> dict[str, Any]:
    rows = [{"segment": one.segment, "active": one.active, "closed": one.locked} for one in found]
    return {
        "source": "engine",
        "mode": host.parts.mode.value.lower(),
        "account": host.parts.account,
        "time": moment(host.engine.now_ns),
        "rows": rows,
    }
