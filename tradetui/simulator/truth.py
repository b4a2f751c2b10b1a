"""The exchange's own view of the account, to compare a client's against (`GET /state`)."""

from __future__ import annotations

from typing import Any

from tradetui.domain.money import to_rupees
from tradetui.domain.order import Side
from tradetui.exchange.orders import GttState, OrderState, Trade
from tradetui.simulator.tokens import USER_ID
from tradetui.simulator.venue import Venue


def truth(venue: Venue) -> dict[str, Any]:
    """What the exchange knows, to compare a client's view against."""
    exchange, funds = venue.exchange, venue.funds()
    return {
        "orders": [order_truth(order) for order in exchange.orders(USER_ID)],
        "fills": [trade_truth(trade) for trade in exchange.trades(USER_ID)],
        "gtts": [gtt_truth(gtt) for gtt in exchange.gtts(USER_ID)],
        "positions": [
            {
                "instrument_key": position.instrument_key,
                "product": position.product.value,
                "qty": position.qty,
                "average_price": to_rupees(position.average_price),
                "realised": to_rupees(position.realised),
                "buy_qty": position.buy_qty,
                "sell_qty": position.sell_qty,
            }
            for position in exchange.positions(USER_ID)
        ],
        "funds": {"available": to_rupees(funds.available), "used": to_rupees(funds.used)},
        "book": {
            key: {
                side.value: [
                    {"price": to_rupees(price), "qty": qty, "orders": count}
                    for price, qty, count in exchange.book(key).depth(side, 5)
                ]
                for side in Side
            }
            for key in venue.working_keys()
        },
        "world_ended": venue.ended.is_set(),
    }


def order_truth(order: OrderState) -> dict[str, Any]:
    """An order as `/state` shows it."""
    request = order.request
    return {
        "order_id": order.order_id,
        "tag": order.tag,
        "instrument_key": order.key,
        "side": request.side.value,
        "qty": request.qty,
        "order_type": request.order_type.value,
        "product": request.product.value,
        "price": to_rupees(request.price),
        "trigger_price": to_rupees(request.trigger_price),
        "status": order.status.value,
        "filled_qty": order.filled_qty,
        "average_price": to_rupees(order.average_price),
        "message": order.message,
        "placed_ms": order.placed_ns // 1_000_000,
        "placed_by": order.placed_by,
        "gtt_id": order.gtt_id,
    }


def gtt_truth(gtt: GttState) -> dict[str, Any]:
    """A good-till-triggered order as `/state` shows it."""
    return {
        "gtt_id": gtt.gtt_id,
        "instrument_key": gtt.key,
        "side": gtt.request.side.value,
        "qty": gtt.request.qty,
        "product": gtt.request.product.value,
        "exit_qty": gtt.exit_qty,
        "rules": [
            {
                "strategy": one.rule.strategy.value,
                "status": one.status.value,
                "trigger_price": to_rupees(one.rule.trigger_price),
                "order_id": one.order_id,
                "message": one.message,
            }
            for one in gtt.rules
        ],
    }


def trade_truth(trade: Trade) -> dict[str, Any]:
    """A trade as `/state` shows it."""
    return {
        "trade_id": trade.trade_id,
        "order_id": trade.order_id,
        "tag": trade.tag,
        "instrument_key": trade.instrument_key,
        "side": trade.side.value,
        "qty": trade.qty,
        "price": to_rupees(trade.price),
        "time_ms": trade.t_ns // 1_000_000,
    }
