"""Questions to the stored past: profit, charges, and one SELECT. For the running engine and for files alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from tradetui.control.rows import Symbol, rupees
from tradetui.domain.errors import TradeTuiError, UsageError
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.money import Money, Price
from tradetui.domain.order import Product, Side
from tradetui.storage import reports
from tradetui.storage.exports import export_beside
from tradetui.storage.questions import TIME_S, Past, ask
from tradetui.storage.reports import ChargeOf, PnlRow

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tradetui import config
    from tradetui.runtime.core import Runtime

Lookup = Callable[[str], Instrument | None]


async def answer_from_store(
    runtime: Runtime, settings: config.Config, name: str, args: Mapping[str, Any]
) -> dict[str, Any]:
    """Answer ``pnl``, ``slippage``, ``charges``, ``sql`` or ``client-id`` from the running engine's store, off its loop.

    Raises:
        TradeTuiError: Nothing is stored, or the question cannot be answered.
    """
    from tradetui.storage.store import Store

    store = runtime.parts.store
    if not isinstance(store, Store):
        raise TradeTuiError("nothing is stored in this run")

    def symbol(key: str) -> str:
        found = runtime.parts.lookup(key)
        return found.symbol if found is not None else key

    def work(cursor: DuckDBPyConnection) -> dict[str, Any]:
        if name == "client-id":
            sql = "SELECT count(*) > 0 FROM orders WHERE client_id = ?"
            return {"used": bool((cursor.execute(sql, [args["client_id"]]).fetchone() or (False,))[0])}
        charge = charge_by_key(settings, runtime.parts.lookup)
        if name == "pnl":
            return profit(cursor, symbol, args, charge)
        if name == "slippage":
            return slippage(cursor, symbol, args)
        return charges_of(cursor, symbol, args, charge)

    def wait() -> dict[str, Any]:
        store.flush()  # what the engine decided a moment ago counts too
        if name == "sql":
            return store.on_past(lambda past: select(past, args))
        if name == "export":
            return store.on_past(lambda past: export_beside(past, store.folder, args))
        if name == "check":
            return store.check().as_data()
        if name == "archive":
            return {"rows": [one.as_data() for one in store.archive(_day(args, "before"))]}
        return store.on_ledger(work)

    found = await asyncio.to_thread(wait)
    return {
        "source": "engine",
        "mode": runtime.parts.mode.value.lower(),
        "account": runtime.parts.account,
        **found,
    }


def charge_by_key(settings: config.Config, lookup: Lookup) -> ChargeOf:
    """Charges of one executed order, by instrument key; 0 for an instrument whose terms are not known any more."""
    from tradetui.wiring.settings import charge_from

    charge = charge_from(settings)

    def by_key(key: str, product: Product, side: Side, qty: int, price: Price, t_ns: int) -> Money:
        found = lookup(key)
        return charge(found, product, side, qty, price, t_ns) if found is not None else Money(0)

    return by_key


def stored_instruments(market: DuckDBPyConnection) -> dict[str, Instrument]:
    """Terms of every instrument that was ever streamed, by key."""
    found = market.execute(
        "SELECT key, segment, exchange, symbol, name, kind, series, lot_size, expiry FROM instruments "
        "ORDER BY last_seen"
    ).fetchall()
    return {
        row[0]: Instrument(
            row[0], row[1], row[2], row[3], row[4], InstrumentKind(row[5]), row[6], row[7], expiry=row[8]
        )
        for row in found
    }


# --- profit -------------------------------------------------------------------------------------------


def profit(
    cursor: DuckDBPyConnection, symbol: Symbol, args: Mapping[str, Any], charge: ChargeOf
) -> dict[str, Any]:
    """Booked profit by symbol, strategy or day; net of estimated charges.

    Raises:
        UsageError: No such grouping, or no such day.
    """
    first, last, by = _day(args, "first"), _day(args, "last"), str(args.get("by") or "symbol")
    if first and last and first > last:
        raise UsageError("--from lies behind --to")
    found = reports.pnl(cursor, charge, first, last, by)
    total = _pnl_row(reports.total(found), "total")
    rows = [_pnl_row(row, symbol(row.name) if by == "symbol" else row.name) for row in found]
    return {
        "from": first.isoformat() if first else None,
        "to": last.isoformat() if last else None,
        "by": by,
        "basis": "realised in that time, before charges; charges are estimates, the contract note is final",
        "total": total,
        "rows": rows,
    }


def _pnl_row(row: PnlRow, name: str) -> dict[str, Any]:
    return {
        "key": name,
        "orders": row.orders,
        "fills": row.trades,
        "turnover": rupees(row.turnover),
        "gross": rupees(row.gross),
        "charges": rupees(row.charges),
        "net": rupees(row.net),
    }


def slippage(cursor: DuckDBPyConnection, symbol: Symbol, args: Mapping[str, Any]) -> dict[str, Any]:
    """Decision times and slippage of every order, oldest decision first.

    Raises:
        UsageError: No such day.
    """
    first, last = _day(args, "first"), _day(args, "last")
    found = reports.slippage(cursor, first, last)
    return {
        "from": first.isoformat() if first else None,
        "to": last.isoformat() if last else None,
        "basis": "against the middle of the book at the decision; times in ms after it, by the engine's clock",
        "cost": rupees(sum(row.cost for row in found)),
        "rows": [
            {
                "tag": row.tag,
                "symbol": symbol(row.instrument_key),
                "side": row.side.value,
                "source": row.source,
                "qty": row.qty,
                "decided_mid": rupees(row.decided_mid),
                "average_price": rupees(row.average_price),
                "ticks": _short(row.ticks),
                "spread_ticks": _short(row.spread_ticks),
                "cost": rupees(row.cost),
                "to_wire_ms": _short(row.to_wire_ms),
                "to_answer_ms": _short(row.to_answer_ms),
                "to_fill_ms": _short(row.to_fill_ms),
                "answer": row.answer,
            }
            for row in found
        ],
    }


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _day(args: Mapping[str, Any], name: str) -> date | None:
    given = args.get(name)
    if not given:
        return None
    try:
        return date.fromisoformat(str(given))
    except ValueError:
        raise UsageError(f"{name}: not a day: {str(given)[:20]!r}", "write it like 2026-11-20") from None


# --- charges ------------------------------------------------------------------------------------------


def charges_of(
    cursor: DuckDBPyConnection, symbol: Symbol, args: Mapping[str, Any], charge: ChargeOf
) -> dict[str, Any]:
    """Estimated charges of orders that filled, named by tag or by the broker's id; of all without names.

    Raises:
        UsageError: A name is no order that filled.
    """
    names = args.get("tags") or None
    if names is not None and not (isinstance(names, list) and all(isinstance(one, str) for one in names)):
        raise UsageError("tags must be a list of texts")
    found = reports.order_charges(cursor, charge, names)
    missing = set(names or ()) - {one.tag for one in found} - {one.broker_id for one in found}
    if missing:
        raise UsageError(f"no order {sorted(missing)[0]!r} that filled", "see `tradetui orders`")
    rows = [
        {
            "tag": one.tag,
            "broker_id": one.broker_id,
            "symbol": symbol(one.instrument_key),
            "side": one.side.value,
            "qty": one.qty,
            "price": rupees(one.average_price),
            "product": one.product.value,
            "charges": rupees(one.charges),
            "instrument_key": one.instrument_key,
        }
        for one in found
    ]
    return {"total": rupees(sum(one.charges for one in found)), "rows": rows}


# --- one SELECT ---------------------------------------------------------------------------------------


def select(past: Past, args: Mapping[str, Any]) -> dict[str, Any]:
    """Answer one SELECT on both databases; see `storage.questions`.

    Raises:
        UsageError: It is not one SELECT, or the database refuses it.
    """
    text = args.get("statement", "")
    if not isinstance(text, str):
        raise UsageError("statement must be a text")
    seconds = args.get("seconds", TIME_S)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= 600:
        raise UsageError("seconds must be a number from 0 to 600")
    most = args.get("most", 1000)
    if isinstance(most, bool) or not isinstance(most, int):
        raise UsageError("most must be a whole number")
    answer = ask(past, text, most, float(seconds))
    return {"columns": answer.columns, "more": answer.more, "rows": answer.rows}
