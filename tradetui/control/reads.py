"""Requests that only look. Each gives the data of one answer; lists of rows stand under ``rows``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final

from tradetui import __version__
from tradetui.control.host import Args, Hearing, Host, number, text
from tradetui.control.rows import Row, fill_row, gtt_row, holding_row, moment, order_row, rupees
from tradetui.domain.errors import TradeTuiError
from tradetui.domain.events import AccountSnapshot
from tradetui.domain.position import Position
from tradetui.ports import PlannedFeed
from tradetui.risk.breakers import Span, limit_of

RECONCILE_S: Final = 20.0
"""Longest wait for the broker's account, seconds."""


def _symbol(host: Host, key: str) -> str:
    found = host.engine.universe.get(key) or host.parts.lookup(key)
    return found.symbol if found is not None else key


def _answer(host: Host, rows: Sequence[Row], **more: Any) -> dict[str, Any]:
    """The common frame of an answer: where it comes from, and when, by the engine's clock."""
    return {
        "source": "engine",
        "mode": host.parts.mode.value.lower(),
        "account": host.parts.account,
        "time": moment(host.engine.now_ns),
        **more,
        "rows": list(rows),
    }


async def status(host: Host, args: Args) -> dict[str, Any]:
    """What runs, in which state."""
    engine, books = host.engine, host.engine.desk.books
    working = [order for order in books.manager.orders.values() if order.status.working]
    return {
        "source": "engine",
        "mode": host.parts.mode.value.lower(),
        "account": host.parts.account,
        "host": host.parts.host,
        "broker": host.parts.broker.name,
        "live": books.live,
        "version": __version__,
        "pid": os.getpid(),
        "time": moment(engine.now_ns),
        "risk_state": books.state.value,
        "risk_reason": books.state_reason,
        "armed_until": moment(books.armed_until_ns) if books.armed_until_ns > engine.now_ns else None,
        "feed": "silent" if engine.silent else engine.feed.state.value,
        "feed_reason": engine.feed.reason,
        **stream_state(host),
        "journal_problem": books.journal_problem,
        "account_problem": books.manager.account_trouble,
        **_store(host),
        "working_orders": len(working),
        "open_positions": len(books.portfolio.open_positions()),
        "day_pnl": rupees(engine.desk.figures.day_pnl()),
        "day_charges": rupees(engine.desk.figures.day_charges()),
    }


def _store(host: Host) -> dict[str, Any]:
    """How the writing of what is stored keeps up."""
    store = host.parts.store
    if store is None:
        return {}
    load = store.load()
    ago = load.flushed_ago_s
    return {
        "store_queued": load.queued,
        "store_dropped": load.dropped,
        "store_lag_s": round(load.lag_s, 3),
        "store_flush_ms": round(load.flush_ms, 1),
        "store_flushed_ago_s": None if ago is None else round(ago, 1),
        "store_problem": load.problem,
    }


def stream_state(host: Host) -> dict[str, Any]:
    """How the stream does: what is streamed how, what is silent, and what was dropped or odd."""
    feed = host.parts.feed
    planned = feed if isinstance(feed, PlannedFeed) else None
    asked = sum(host.engine.prices.asked(slot) is not None for slot in range(len(host.engine.universe)))
    return {
        "streamed": [
            {"mode": mode, "used": used, "limit": limit}
            for mode, used, limit in (planned.key_use() if planned is not None else ())
        ],
        "not_streamed": len(planned.over_limit_keys()) if planned is not None else 0,
        "prices_by_rest": asked,
        "feed_counters": dict(feed.counters()),
        "out_of_order": host.engine.quotes.out_of_order,
        "from_future": host.engine.quotes.from_future,
        "late_trades": host.engine.candles.late,
    }


async def orders(host: Host, args: Args) -> dict[str, Any]:
    """Orders of the day, oldest first; ``open`` leaves only those that still work."""
    wanted = text(args, "tag")
    found = [
        order
        for order in host.engine.desk.manager.orders.values()
        if (order.status.working or not args.get("open")) and wanted in ("", order.tag, order.broker_id)
    ]
    return _answer(host, [order_row(order, lambda key: _symbol(host, key)) for order in found])


async def trades(host: Host, args: Args) -> dict[str, Any]:
    """Trades of the day in the order in which they were booked."""
    fills = host.engine.desk.portfolio.fills.values()
    return _answer(host, [fill_row(fill, lambda key: _symbol(host, key)) for fill in fills])


async def positions(host: Host, args: Args) -> dict[str, Any]:
    """Positions of the day; ``open`` leaves only those that are not flat."""
    found = [p for p in host.engine.desk.portfolio.positions.values() if p.qty or not args.get("open")]
    return _answer(host, [_position_row(host, position) for position in found])


def _position_row(host: Host, position: Position) -> Row:
    desk = host.engine.desk
    market = host.engine.market(position.instrument_key)
    breakeven = desk.figures.breakeven(position)
    key = (position.instrument_key, position.product)
    unrealised, charges = desk.figures.unrealised(position), desk.figures.charges_of(*key)
    gross = desk.figures.day_profit(position)
    why = desk.protection.why_naked(position) if position.qty else ""
    return {
        "symbol": _symbol(host, position.instrument_key),
        "product": position.product.value,
        "qty": position.qty,
        "average_price": rupees(position.average_price),
        "last": rupees(market.last) if market.last is not None else None,
        "realised": rupees(position.realised),
        "unrealised": rupees(unrealised),
        "day_pnl": rupees(gross),
        "charges": rupees(charges),
        "day_net": rupees(gross - charges),
        "breakeven": rupees(breakeven.price) if breakeven is not None else None,
        "ticks_to_breakeven": breakeven.ticks if breakeven is not None else None,
        "carried_qty": desk.portfolio.carried_qty(key),
        "naked": bool(why),
        "naked_why": why,
        "instrument_key": position.instrument_key,
    }


async def holdings(host: Host, args: Args) -> dict[str, Any]:
    """Shares in the demat account, as last read from the broker."""
    found = host.engine.desk.portfolio.holdings
    return _answer(
        host,
        [
            holding_row(one, lambda key: _symbol(host, key), host.engine.market(one.instrument_key).last)
            for one in found or ()
        ],
        known=found is not None,
    )


async def funds(host: Host, args: Args) -> dict[str, Any]:
    """Cash as the broker tells it; the capital that limits refer to."""
    portfolio, limits = host.engine.desk.portfolio, host.engine.desk.books.limits
    known = portfolio.available is not None
    return {
        "source": "engine",
        "mode": host.parts.mode.value.lower(),
        "account": host.parts.account,
        "time": moment(host.engine.now_ns),
        "known": known,
        "available": rupees(portfolio.available) if portfolio.available is not None else None,
        "used": rupees(portfolio.used) if portfolio.used is not None else None,
        "capital": rupees(limits.capital),
        "exposure": rupees(host.engine.desk.figures.exposure()),
    }


async def gtts(host: Host, args: Args) -> dict[str, Any]:
    """GTTs, oldest first; ``open`` leaves only those that may still fire."""
    found = [
        gtt
        for gtt in host.engine.desk.manager.gtts.gtts.values()
        if gtt.status.working or not args.get("open")
    ]
    return _answer(host, [gtt_row(gtt, lambda key: _symbol(host, key)) for gtt in found])


async def naked(host: Host, args: Args) -> dict[str, Any]:
    """Positions without full protection right now, and why."""
    rows = [
        {
            "symbol": _symbol(host, one.instrument_key),
            "product": one.product.value,
            "qty": host.engine.desk.portfolio.qty(one.instrument_key, one.product),
            "why": one.why,
            "instrument_key": one.instrument_key,
        }
        for one in host.engine.desk.protection.naked()
    ]
    return _answer(host, rows)


async def budget(host: Host, args: Args) -> dict[str, Any]:
    """Requests used of each window of the broker's limits."""
    rows = [
        {
            "account": one.account or "orders",
            "seconds": use.seconds,
            "used": use.used,
            "allowed": use.allowed,
            "reserve": use.reserve,
            "next_slot_s": round(one.next_slot_s, 3),
            "pause_s": round(one.pause_s, 3),
        }
        for one in (host.parts.budgets() if host.parts.budgets is not None else ())
        for use in one.windows
    ]
    return _answer(host, rows)


async def risk(host: Host, args: Args) -> dict[str, Any]:
    """State of the gate, breakers that latched, and every limit with what is used of it."""
    desk = host.engine.desk
    books, limits, figures = desk.books, desk.books.limits, desk.figures
    losses = desk.guard.losses()
    held = books.portfolio.open_positions()
    intraday = sum(position.product.value == "I" for position in held)
    rows: list[Row] = [
        {
            "limit": f"{span.value} loss",
            "used": rupees(losses.of(span)),
            "most": rupees(limit_of(limits, span)) or None,
            "unit": "rupees",
            "latched": desk.guard.latches[span].words if span in desk.guard.latches else "",
        }
        for span in Span
    ]
    for name, used, most in (
        ("positions", len(held), limits.max_positions),
        ("intraday positions", intraday, limits.max_intraday_positions),
        ("swing positions", len(held) - intraday, limits.max_swing_positions),
        ("entries today", books.entries_today, limits.max_trades_per_day),
        ("losses in a row", desk.guard.losses_in_a_row, limits.max_losses_in_a_row),
    ):
        rows.append({"limit": name, "used": used, "most": most or None, "unit": "number", "latched": ""})
    for name, amount, limit in (
        ("exposure", figures.exposure(), limits.most_exposure),
        ("value of one order", None, limits.order_value),
        ("risk of one trade", None, limits.trade_risk),
    ):
        used_rupees = None if amount is None else rupees(amount)
        rows.append(
            {"limit": name, "used": used_rupees, "most": rupees(limit), "unit": "rupees", "latched": ""}
        )
    return _answer(
        host,
        rows,
        state=books.state.value,
        reason=books.state_reason,
        live=books.live,
        armed_until=moment(books.armed_until_ns) if books.armed_until_ns > books.now_ns else None,
        capital=rupees(limits.capital),
    )


async def reconcile(host: Host, args: Args) -> dict[str, Any]:
    """Read the broker's account now, and tell what differed from ours.

    Raises:
        TradeTuiError: The account did not come in time.
    """
    wait_s = number(args, "wait", RECONCILE_S, 0.1, 300.0)
    manager = host.engine.desk.manager
    before = {tag: order.status for tag, order in manager.orders.items()}
    fills = len(host.engine.desk.portfolio.fills)
    with Hearing(host) as hearing:
        manager.reconcile_soon()
        came = await hearing.until(lambda: AccountSnapshot in hearing.events, wait_s)
    if not came:
        raise TradeTuiError(
            f"the broker's account did not come within {wait_s:g} s",
            manager.account_trouble or "see the log file",
        )
    changed = [
        {
            "tag": tag,
            "symbol": _symbol(host, order.request.instrument_key),
            "before": before[tag].value if tag in before else None,
            "after": order.status.value,
            "foreign": order.foreign,
        }
        for tag, order in manager.orders.items()
        if before.get(tag) is not order.status
    ]
    return _answer(
        host,
        changed,
        agrees=not hearing.found and not changed,
        differences=hearing.found,
        new_trades=len(host.engine.desk.portfolio.fills) - fills,
    )
