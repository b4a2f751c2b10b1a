"""GTTs as Upstox's JSON objects (`upstox.md` 2.6, 4); shared by REST and portfolio stream."""

from __future__ import annotations

from typing import Any

from tradetui.domain.gtt import RuleState
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import to_rupees
from tradetui.exchange.gtt_rules import side_of
from tradetui.exchange.orders import GttState

_NS_PER_US = 1000


def gtt_row(gtt: GttState, instrument: Instrument) -> dict[str, Any]:
    """A GTT of the book. ``exchange`` is a segment here, and times are microseconds."""
    return {**_common(gtt, instrument), "trading_symbol": instrument.symbol}


def gtt_update(gtt: GttState, instrument: Instrument) -> dict[str, Any]:
    """A ``gtt_order`` frame: no symbol."""
    return {"update_type": "gtt_order", **_common(gtt, instrument)}


def _common(gtt: GttState, instrument: Instrument) -> dict[str, Any]:
    return {
        "gtt_order_id": gtt.gtt_id,
        "type": gtt.request.kind,
        "exchange": instrument.segment,
        "instrument_token": gtt.key,
        "quantity": gtt.request.qty,
        "product": gtt.request.product.value,
        "created_at": gtt.created_ns // _NS_PER_US,
        "expires_at": gtt.expires_ns // _NS_PER_US,
        "rules": [_rule(gtt, rule) for rule in gtt.rules],
    }


def _rule(gtt: GttState, state: RuleState) -> dict[str, Any]:
    rule = state.rule
    return {
        "strategy": rule.strategy.value,
        "status": state.status.value,
        "trigger_type": rule.trigger.value,
        "trigger_price": to_rupees(rule.trigger_price),
        "transaction_type": side_of(gtt.request, rule.strategy).value,
        "message": state.message,
        "order_id": state.order_id or None,
        "trailing_gap": to_rupees(rule.trailing_gap),
    }
