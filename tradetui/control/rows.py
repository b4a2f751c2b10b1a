"""Rows of the read commands: plain JSON data, prices and money in rupees, times in ISO format, IST.

The names are stable (`design.md` 11). The same functions serve the running engine and the stored files.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from tradetui.domain.events import Holding
from tradetui.domain.gtt import Gtt
from tradetui.domain.order import Fill, Order

IST = timezone(timedelta(hours=5, minutes=30))
Row = dict[str, Any]
Symbol = Callable[[str], str]
"""Instrument key to the name that people use; the key itself where none is known."""


def rupees(amount: int) -> float:
    """Rupees of an amount in 1/10,000 rupee; exact to the fourth decimal."""
    return round(amount / 10_000, 4)


def moment(t_ns: int) -> str | None:
    """ISO time in IST, to the millisecond; ``None`` for no time."""
    if not t_ns:
        return None
    seconds, rest = divmod(t_ns, 1_000_000_000)
    at = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)
    return at.astimezone(IST).isoformat(timespec="milliseconds")


def order_row(order: Order, symbol: Symbol) -> Row:
    """One order."""
    request = order.request
    return {
        "tag": order.tag,
        "created": moment(order.created_ns),
        "symbol": symbol(request.instrument_key),
        "side": request.side.value,
        "qty": request.qty,
        "filled_qty": order.filled_qty,
        "status": order.status.value,
        "type": request.order_type.value,
        "price": rupees(request.price),
        "trigger_price": rupees(request.trigger_price),
        "average_price": rupees(order.average_price),
        "product": request.product.value,
        "validity": request.validity.value,
        "source": request.source,
        "message": order.message,
        "broker_id": order.broker_id,
        "exchange_id": order.exchange_id,
        "raw_status": order.raw_status,
        "pending_qty": order.pending_qty,
        "disclosed_qty": request.disclosed_qty,
        "stop": rupees(request.stop),
        "target": rupees(request.target),
        "reason": request.reason,
        "client_id": request.client_id,
        "group": request.group,
        "foreign": order.foreign,
        "cancel_pending": order.cancel_pending,
        "modify_pending": order.modify_pending,
        "updated": moment(order.updated_ns),
        "instrument_key": request.instrument_key,
    }


def fill_row(fill: Fill, symbol: Symbol) -> Row:
    """One trade."""
    return {
        "time": moment(fill.time_ns),
        "trade_id": fill.trade_id,
        "symbol": symbol(fill.instrument_key),
        "side": fill.side.value,
        "qty": fill.qty,
        "price": rupees(fill.price),
        "product": fill.product.value,
        "tag": fill.tag,
        "broker_id": fill.broker_id,
        "instrument_key": fill.instrument_key,
    }


def holding_row(holding: Holding, symbol: Symbol, last: int | None) -> Row:
    """Shares in the demat account."""
    units = holding.qty + holding.t1_qty
    return {
        "symbol": symbol(holding.instrument_key),
        "qty": holding.qty,
        "t1_qty": holding.t1_qty,
        "used_qty": holding.used_qty,
        "free_qty": max(0, holding.qty - holding.used_qty),
        "average_price": rupees(holding.average_price),
        "last": rupees(last) if last is not None else None,
        "value": rupees(last * units) if last is not None else None,
        "pnl": rupees((last - holding.average_price) * units) if last is not None else None,
        "instrument_key": holding.instrument_key,
    }


def gtt_row(gtt: Gtt, symbol: Symbol) -> Row:
    """One GTT; a rule's fields stand in a list of their own."""
    request = gtt.request
    stated = {state.rule.strategy: state for state in gtt.rules}
    rules = []
    for rule in request.rules:
        state = stated.get(rule.strategy)
        rules.append(
            {
                "strategy": rule.strategy.value,
                "trigger": rule.trigger.value,
                "trigger_price": rupees((state.rule if state else rule).trigger_price),
                "status": state.status.value if state else None,
                "order_id": state.order_id if state else "",
                "message": state.message if state else "",
            }
        )
    return {
        "tag": gtt.tag,
        "created": moment(gtt.created_ns),
        "symbol": symbol(request.instrument_key),
        "side": request.side.value,
        "qty": request.qty,
        "product": request.product.value,
        "kind": request.kind,
        "status": gtt.status.value,
        "expires": moment(gtt.expires_ns),
        "source": request.source,
        "message": gtt.message,
        "gtt_id": gtt.gtt_id,
        "foreign": gtt.foreign,
        "instrument_key": request.instrument_key,
        "rules": rules,
    }
