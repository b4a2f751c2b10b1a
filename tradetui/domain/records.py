"""Journal records, and the plain-data form of domain values inside them.

A record is what the engine decided or heard, as plain JSON data. `freeze` turns frozen dataclasses into
plain data and `thaw_*` turns it back; the pair is what restart, audit and the ledger stand on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum, StrEnum
from typing import Any

from tradetui.domain.money import Price
from tradetui.domain.order import Fill, Order, OrderRequest, OrderStatus, OrderType, Product, Side, Validity


class RecordKind(StrEnum):
    """Kinds of journal records."""

    RUN = "run"
    """The program started or stopped: version, mode, account, settings."""
    OPERATOR = "operator"
    """A person asked for something."""
    INTENT = "intent"
    """An order is about to be sent; written and synced before any byte leaves."""
    ORDER = "order"
    """The whole state of one order after a change."""
    FILL = "fill"
    """A trade of ours, booked once."""
    OPENING = "opening"
    """A position that was there before the first fill we know of (carried over night)."""
    SIGNAL = "signal"
    """A strategy's suggestion, with every vote."""
    DECISION = "decision"
    """What risk said about a request, when it said no; or a command that was given up."""
    RISK = "risk"
    """The risk state changed, or a breaker latched."""
    STRATEGY = "strategy"
    """A strategy was switched, or suspended after an error."""
    RECONCILE = "reconcile"
    """Our book and the broker's were compared and something was found."""
    FEED = "feed"
    """The market data stream changed state."""
    WIRE = "wire"
    """A request, raw reply or push, redacted. Timing matters here, so it stays out of the content hash."""


NOT_HASHED = frozenset({RecordKind.WIRE, RecordKind.RUN})
"""Kinds that depend on timing or machine, and so stay outside the content hash."""


@dataclass(frozen=True, slots=True)
class Record:
    """One thing decided or heard.

    Attributes:
        t_ns: Engine time, UTC ns.
        kind: What it is.
        data: Plain JSON data: strings, integers, floats, booleans, ``None``, lists, maps.
        meta: Latency stamps and the like: kept, but outside the content hash.
    """

    t_ns: int
    kind: RecordKind
    data: Mapping[str, Any]
    meta: Mapping[str, Any] = field(default_factory=dict)


def freeze(value: Any) -> Any:
    """Plain JSON data of a domain value: dataclasses become maps, enums their values, tuples lists."""
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: freeze(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): freeze(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [freeze(v) for v in value]
    return value


def thaw_request(data: Mapping[str, Any]) -> OrderRequest:
    """The order request that `freeze` turned into ``data``."""
    return OrderRequest(
        instrument_key=data["instrument_key"],
        side=Side(data["side"]),
        qty=data["qty"],
        product=Product(data["product"]),
        order_type=OrderType(data["order_type"]),
        price=Price(data["price"]),
        trigger_price=Price(data["trigger_price"]),
        validity=Validity(data["validity"]),
        disclosed_qty=data["disclosed_qty"],
        protection_pct=data["protection_pct"],
        source=data["source"],
        reason=data["reason"],
        stop=Price(data["stop"]),
        target=Price(data["target"]),
        client_id=data["client_id"],
    )


def thaw_order(data: Mapping[str, Any]) -> Order:
    """The order that `freeze` turned into ``data``."""
    return Order(
        tag=data["tag"],
        request=thaw_request(data["request"]),
        status=OrderStatus(data["status"]),
        created_ns=data["created_ns"],
        updated_ns=data["updated_ns"],
        broker_id=data["broker_id"],
        exchange_id=data["exchange_id"],
        filled_qty=data["filled_qty"],
        average_price=Price(data["average_price"]),
        raw_status=data["raw_status"],
        message=data["message"],
        foreign=data["foreign"],
        cancel_pending=data["cancel_pending"],
        modify_pending=data["modify_pending"],
    )


def thaw_fill(data: Mapping[str, Any]) -> Fill:
    """The fill that `freeze` turned into ``data``."""
    return Fill(
        trade_id=data["trade_id"],
        broker_id=data["broker_id"],
        tag=data["tag"],
        instrument_key=data["instrument_key"],
        side=Side(data["side"]),
        qty=data["qty"],
        price=Price(data["price"]),
        product=Product(data["product"]),
        time_ns=data["time_ns"],
    )
