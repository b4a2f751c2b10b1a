"""One journal record's data as the row of its table: what is not understood raises, and stays in ``journal`` only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from tradetui.domain.conversion import Conversion
from tradetui.domain.gtt import Gtt
from tradetui.domain.order import Fill, Order, OrderRequest
from tradetui.domain.records import freeze
from tradetui.domain.thawing import thaw
from tradetui.storage.fold import DayPosition

Row = dict[str, Any]


def as_json(value: Any) -> str:
    """Canonical JSON of plain data."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def text(value: Any) -> str | None:
    """A value as text; ``None`` stays."""
    return None if value is None else str(value)


def request(data: Mapping[str, Any]) -> Row:
    """Terms of an order."""
    asked = thaw(OrderRequest, data)
    return {
        "instrument_key": str(data["instrument_key"]),
        "side": str(data["side"]),
        "qty": int(data["qty"]),
        "product": str(data["product"]),
        "order_type": str(data["order_type"]),
        "price": int(data["price"]),
        "trigger_price": int(data["trigger_price"]),
        "validity": str(data["validity"]),
        "disclosed_qty": int(data["disclosed_qty"]),
        "protection_pct": int(data["protection_pct"]),
        "source": str(data["source"]),
        "reason": str(data["reason"]),
        "stop": int(data["stop"]),
        "target": int(data["target"]),
        "client_id": str(data["client_id"]),
        "group_label": asked.group,
        "trail": None if asked.trail is None else as_json(freeze(asked.trail)),
        "time_exit_s": int(asked.time_exit_s),
        "overnight": bool(asked.overnight),
    }


def order(data: Mapping[str, Any]) -> Row:
    """One order's state."""
    one = thaw(Order, data)  # refuses what is not an order before it reaches a table
    return {
        "tag": one.tag,
        "status": one.status.value,
        "created": one.created_ns // 1000,
        "updated": one.updated_ns // 1000,
        "created_ns": one.created_ns,
        "updated_ns": one.updated_ns,
        "broker_id": one.broker_id,
        "exchange_id": one.exchange_id,
        **request(data["request"]),
        "filled_qty": int(one.filled_qty),
        "average_price": int(one.average_price),
        "raw_status": one.raw_status,
        "message": one.message,
        "foreign": bool(one.foreign),
        "cancel_pending": bool(one.cancel_pending),
        "modify_pending": bool(one.modify_pending),
    }


def fill(data: Mapping[str, Any]) -> Row:
    """One trade."""
    trade = thaw(Fill, data)
    return {
        "trade_id": trade.trade_id,
        "broker_id": trade.broker_id,
        "tag": trade.tag,
        "instrument_key": trade.instrument_key,
        "side": trade.side.value,
        "qty": int(trade.qty),
        "price": int(trade.price),
        "product": trade.product.value,
        "t": trade.time_ns // 1000,
        "t_ns": trade.time_ns,
    }


def signal(data: Mapping[str, Any]) -> Row:
    """A strategy's suggestion."""
    score = data.get("score")
    return {
        "id": text(data.get("id")),
        "strategy": text(data.get("strategy")),
        "instrument_key": text(data.get("instrument_key", data.get("key"))),
        "side": text(data.get("side")),
        "score": None if score is None else float(score),
    }


def position(row: DayPosition) -> Row:
    """One position on one day."""
    one = row.position
    return {
        "day": date.fromisoformat(row.day),
        "instrument_key": one.instrument_key,
        "product": one.product.value,
        "qty": one.qty,
        "average_price": int(one.average_price),
        "cost": int(one.cost),
        "realised": int(one.realised),
        "buy_qty": one.buy_qty,
        "sell_qty": one.sell_qty,
        "buy_value": int(one.buy_value),
        "sell_value": int(one.sell_value),
        "opening_qty": row.opening_qty,
        "opening_cost": int(row.opening_cost),
        "multiplier": one.multiplier,
        "updated": row.updated_ns // 1000,
        "updated_ns": row.updated_ns,
    }


def gtt(data: Mapping[str, Any]) -> Row:
    """One GTT's state."""
    one = thaw(Gtt, data)
    asked = one.request
    return {
        "tag": one.tag,
        "gtt_id": one.gtt_id,
        "status": one.status.value,
        "instrument_key": asked.instrument_key,
        "side": asked.side.value,
        "qty": int(asked.qty),
        "product": asked.product.value,
        "kind": asked.kind,
        "rules": as_json(freeze(one.rules or asked.rules)),
        "source": asked.source,
        "reason": asked.reason,
        "message": one.message,
        "foreign": bool(one.foreign),
        "cancel_pending": bool(one.cancel_pending),
        "modify_pending": bool(one.modify_pending),
        "created": one.created_ns // 1000,
        "updated": one.updated_ns // 1000,
        "created_ns": one.created_ns,
        "updated_ns": one.updated_ns,
        "expires_ns": int(one.expires_ns),
    }


def group(data: Mapping[str, Any]) -> Row:
    """One parent order's state."""
    return {
        "label": str(data["label"]),
        "kind": str(data["kind"]),
        "state": str(data["state"]),
        "words": str(data.get("words") or ""),
        "parts": len(data["parts"]),
        "tags": as_json(list(data["tags"])),
        "data": as_json(data),
    }


def plan(data: Mapping[str, Any]) -> Row:
    """A change of how a position is to be left."""
    what = next((name for name in data if name not in ("instrument_key", "product")), "")
    return {
        "instrument_key": str(data["instrument_key"]),
        "product": str(data["product"]),
        "what": what,
        "data": as_json(data),
    }


def limit(data: Mapping[str, Any]) -> Row:
    """A limit that was changed."""
    old, new = data.get("old"), data.get("new")
    return {
        "name": str(data["name"]),
        "old": None if old is None else float(old),
        "new": None if new is None else float(new),
        "reason": str(data.get("reason") or ""),
    }


def risk(data: Mapping[str, Any]) -> Row:
    """A change of the risk state."""
    return {"state": text(data.get("state")), "reason": text(data.get("reason")), "data": as_json(data)}


def conversion(one: Conversion) -> Row:
    """One conversion's state."""
    return {
        "tag": one.tag,
        "status": one.status.value,
        "instrument_key": one.instrument_key,
        "side": one.side.value,
        "qty": int(one.qty),
        "old": one.old.value,
        "new": one.new.value,
        "message": one.message,
        "foreign": bool(one.foreign),
        "created": one.created_ns // 1000,
        "updated": one.updated_ns // 1000,
        "created_ns": one.created_ns,
        "updated_ns": one.updated_ns,
    }


_TIMES_NAMES: Final = (
    "decided_ns", "decided_mid", "decided_spread", "sent_ns", "sent_mid", "acked_ns", "acked_mid", "first_fill_ns",
    "first_fill_mid", "last_fill_ns", "filled_qty", "filled_value", "slippage", "tick_size", "multiplier",
)  # fmt: skip


def times(data: Mapping[str, Any]) -> Row:
    """One order's decision times (`desk/times.py` writes them)."""
    return {
        "tag": str(data["tag"]),
        "instrument_key": str(data["instrument_key"]),
        "side": str(data["side"]),
        "source": str(data["source"]),
        "decided": int(data["decided_ns"]) // 1000,
        "answer": str(data["answer"]),
        **{name: int(data[name]) for name in _TIMES_NAMES},
    }


_WHOLE: Final = frozenset(
    {
        *_TIMES_NAMES, "t_ns", "created_ns", "updated_ns", "expires_ns", "qty", "price", "trigger_price",
        "disclosed_qty", "protection_pct", "stop", "target", "average_price", "journal_number", "time_exit_s",
        "cost", "realised", "buy_qty", "sell_qty", "buy_value", "sell_value", "opening_qty", "opening_cost", "parts",
    }
)  # fmt: skip
_INSTANTS: Final = frozenset({"t", "created", "updated", "decided"})
_FLAGS: Final = frozenset({"foreign", "cancel_pending", "modify_pending", "overnight"})
_DAYS: Final = frozenset({"journal_day", "day"})


def arrow_type(table: str, column: str) -> Any:
    """Arrow type of a column, so that a batch of nothing but NULLs has one too."""
    import pyarrow as pa

    if table == "limits" and column in ("old", "new"):
        return pa.float64()
    if column in _INSTANTS:
        return pa.timestamp("us", "UTC")
    if column in _WHOLE:
        return pa.int64()
    if column in _FLAGS:
        return pa.bool_()
    if column in _DAYS:
        return pa.date32()
    return pa.float64() if column == "score" else pa.string()
