"""Commands as requests of the broker: which call, which body, who goes first (`upstox.md` 2.4, 2.6, 2.8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tradetui.brokers.upstox import endpoints as ep
from tradetui.brokers.upstox.governor import Lane
from tradetui.domain.errors import OutcomeUnknown
from tradetui.domain.gtt import GttRequest, GttRule
from tradetui.domain.money import to_rupees
from tradetui.domain.order import EXIT_SOURCE, OrderType
from tradetui.domain.requests import (
    CancelGtt,
    CancelOrder,
    ConvertPosition,
    ModifyGtt,
    ModifyOrder,
    PlaceGtt,
    PlaceOrder,
)
from tradetui.domain.text import clean

Write = PlaceOrder | ModifyOrder | CancelOrder | PlaceGtt | ModifyGtt | CancelGtt | ConvertPosition
"""Commands that change something at the broker."""
WRITES: Final = (PlaceOrder, ModifyOrder, CancelOrder, PlaceGtt, ModifyGtt, CancelGtt, ConvertPosition)
PLACE_WAIT_S: Final = 5.0
"""Longest wait of a new order for our own rate limit; an older decision is not worth sending."""
CHANGE_WAIT_S: Final = 30.0

_KINDS: Final[Mapping[type[Any], str]] = {
    PlaceOrder: "place",
    ModifyOrder: "modify",
    CancelOrder: "cancel",
    PlaceGtt: "gtt place",
    ModifyGtt: "gtt modify",
    CancelGtt: "gtt cancel",
    ConvertPosition: "convert",
}


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request, ready to go.

    Attributes:
        endpoint: What to call.
        lane: Who asks, for the order limits.
        max_wait_s: Longest wait for our own rate limits.
        body: JSON body; ``None`` for none.
        query: Query parameters.
    """

    endpoint: ep.Endpoint
    lane: Lane
    max_wait_s: float
    body: Mapping[str, Any] | None = None
    query: tuple[tuple[str, str], ...] = ()


def kind_of(command: Write) -> str:
    """The word for a command in `domain.events.RequestAccepted`."""
    return _KINDS[type(command)]


def prepare(command: Write) -> Outgoing:
    """The request that a command becomes. What protects or closes a position may use the reserve."""
    match command:
        case PlaceOrder():
            lane = Lane.EXIT if command.request.is_exit else Lane.NORMAL
            return Outgoing(ep.PLACE, lane, PLACE_WAIT_S, place_body(command))
        case ModifyOrder():
            lane = Lane.EXIT if command.urgent else Lane.TRAIL if command.trailing else Lane.NORMAL
            return Outgoing(ep.MODIFY, lane, CHANGE_WAIT_S, modify_body(command))
        case CancelOrder():
            return Outgoing(ep.CANCEL, Lane.EXIT, CHANGE_WAIT_S, query=(("order_id", command.broker_id),))
        case PlaceGtt():
            return Outgoing(ep.GTT_PLACE, _gtt_lane(command.request), PLACE_WAIT_S, gtt_body(command.request))
        case ModifyGtt():
            body = {"gtt_order_id": command.gtt_id, **_gtt_terms(command.request)}
            return Outgoing(ep.GTT_MODIFY, _gtt_lane(command.request), CHANGE_WAIT_S, body)
        case CancelGtt():
            # The only cancel that wants a body (`upstox.md` 2.6).
            return Outgoing(ep.GTT_CANCEL, Lane.EXIT, CHANGE_WAIT_S, {"gtt_order_id": command.gtt_id})
        case ConvertPosition():
            return Outgoing(ep.CONVERT, Lane.NORMAL, CHANGE_WAIT_S, convert_body(command))


def place_body(command: PlaceOrder) -> dict[str, Any]:
    """The body of a place request, v3 (`upstox.md` 2.4)."""
    request = command.request
    body: dict[str, Any] = {
        "instrument_token": request.instrument_key,
        "transaction_type": request.side.value,
        "quantity": request.qty,
        "product": request.product.value,
        "order_type": request.order_type.value,
        "price": to_rupees(request.price),
        "trigger_price": to_rupees(request.trigger_price),
        "validity": request.validity.value,
        "disclosed_quantity": request.disclosed_qty,
        # Must be there and is ignored: the broker's session clock decides. It is what the user was told.
        "is_amo": request.amo,
        "tag": command.tag,
        # We slice ourselves, each child under a tag of its own.
        "slice": False,
    }
    if request.order_type in (OrderType.MARKET, OrderType.SL_M):
        body["market_protection"] = request.protection_pct
    return body


def modify_body(command: ModifyOrder) -> dict[str, Any]:
    """The body of a modify request, v3: all terms, changed or not (`upstox.md` 2.4)."""
    body: dict[str, Any] = {
        "order_id": command.broker_id,
        "quantity": command.qty,
        "order_type": command.order_type.value,
        "validity": command.validity.value,
        "price": to_rupees(command.price),
        "trigger_price": to_rupees(command.trigger_price),
        "disclosed_quantity": command.disclosed_qty,
    }
    if command.order_type in (OrderType.MARKET, OrderType.SL_M):
        body["market_protection"] = command.protection_pct
    return body


def gtt_body(request: GttRequest) -> dict[str, Any]:
    """The body of a GTT place request, v3 (`upstox.md` 2.6)."""
    return {
        **_gtt_terms(request),
        "product": request.product.value,
        "instrument_token": request.instrument_key,
        "transaction_type": request.side.value,
    }


def convert_body(command: ConvertPosition) -> dict[str, Any]:
    """The body of a conversion (`upstox.md` 2.8)."""
    return {
        "instrument_token": command.instrument_key,
        "old_product": command.old.value,
        "new_product": command.new.value,
        "transaction_type": command.side.value,
        "quantity": command.qty,
    }


def answer_id(kind: str, data: object) -> str:
    """The broker's id in a good answer; empty where there is none to be expected.

    Raises:
        OutcomeUnknown: Something new was placed, and the answer does not name it.
    """
    fields: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
    ids = fields.get("gtt_order_ids" if kind.startswith("gtt") else "order_ids")
    found = ids[0] if isinstance(ids, list) and ids else fields.get("gtt_order_id") or fields.get("order_id")
    broker_id = clean(found, 60)
    if not broker_id and kind in ("place", "gtt place"):
        raise OutcomeUnknown("the broker's answer names no order", "Its books will tell")
    return broker_id


def _gtt_terms(request: GttRequest) -> dict[str, Any]:
    return {
        "type": request.kind,
        "quantity": request.qty,
        "rules": [_rule_body(rule) for rule in request.rules],
    }


def _rule_body(rule: GttRule) -> dict[str, Any]:
    body: dict[str, Any] = {
        "strategy": rule.strategy.value,
        "trigger_type": rule.trigger.value,
        "trigger_price": to_rupees(rule.trigger_price),
        "market_protection": rule.protection_pct,
    }
    if rule.trailing_gap:
        body["trailing_gap"] = to_rupees(rule.trailing_gap)
    return body


def _gtt_lane(request: GttRequest) -> Lane:
    return Lane.EXIT if request.source.startswith(EXIT_SOURCE) else Lane.NORMAL
