"""The exchange's words turned into the broker port's events."""

from __future__ import annotations

from collections.abc import Iterable

from tradetui.domain.calendar.ist import day_start_ns, ist_date
from tradetui.domain.events import Evidence, GttUpdate, OrderUpdate
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.order import Fill, Order, OrderStatus
from tradetui.exchange.orders import GttState, OrderState, RawStatus, Trade

_NS_PER_MS = 1_000_000
_ID_PREFIX = len("yymmdd")
_LOST_WITH_RESTART = "cancelled: the paper broker restarted and could not seat this order again"

STATUS_OF: dict[RawStatus, OrderStatus] = {
    RawStatus.RECEIVED: OrderStatus.PENDING,
    RawStatus.VALIDATING: OrderStatus.PENDING,
    RawStatus.OPEN_PENDING: OrderStatus.PENDING,
    RawStatus.OPEN: OrderStatus.OPEN,
    RawStatus.TRIGGER_PENDING: OrderStatus.TRIGGER_PENDING,
    RawStatus.COMPLETE: OrderStatus.FILLED,
    RawStatus.CANCELLED: OrderStatus.CANCELLED,
    RawStatus.REJECTED: OrderStatus.REJECTED,
    RawStatus.AMO_RECEIVED: OrderStatus.PENDING,
    RawStatus.AMO_MODIFIED: OrderStatus.PENDING,
    RawStatus.AMO_CANCELLED: OrderStatus.CANCELLED,
}
"""Statuses an order can be found in. The steps of a modify or a cancel are rows of the history only."""


def update_of(order: OrderState, t_ns: int, evidence: Evidence) -> OrderUpdate:
    """An order's present state as a statement of the broker."""
    request = order.request
    return OrderUpdate(
        t_ns,
        evidence,
        order.tag,
        order.order_id,
        STATUS_OF[order.status],
        order.status.value,
        order.exchange_order_id,
        order.key,
        request.side,
        request.product,
        request.order_type,
        request.validity,
        request.qty,
        request.price,
        request.trigger_price,
        order.filled_qty,
        order.average_price,
        order.message,
        order.exchange_ns,
    )


def gtt_update_of(gtt: GttState, t_ns: int, evidence: Evidence) -> GttUpdate:
    """A GTT's present state as a statement of the broker."""
    request = gtt.request
    return GttUpdate(
        t_ns, evidence, gtt.gtt_id, gtt.key, request.side, request.qty, request.product, gtt.rules,
        gtt.created_ns, gtt.expires_ns,
    )  # fmt: skip


def lost_with_restart(order: Order, t_ns: int) -> OrderUpdate:
    """The end of an order that could not be seated again."""
    return OrderUpdate(
        t_ns,
        Evidence.POLL,
        order.tag,
        order.broker_id,
        OrderStatus.CANCELLED,
        RawStatus.CANCELLED.value,
        instrument_key=order.request.instrument_key,
        side=order.request.side,
        message=_LOST_WITH_RESTART,
    )


def fill_of(trade: Trade) -> Fill:
    """A trade as the engine books it."""
    return Fill(
        trade.trade_id,
        trade.order_id,
        trade.tag,
        trade.instrument_key,
        trade.side,
        trade.qty,
        trade.price,
        trade.product,
        trade.t_ns,
    )


def unlisted(key: str) -> Instrument:
    """A stand-in for an instrument that a carried position is in and that is not listed any more.

    Options are by far the most common: they expire. What was paid for one stays spent.
    """
    segment = key.partition("|")[0]
    kind = InstrumentKind.CALL if segment.endswith("_FO") else InstrumentKind.EQUITY
    return Instrument(key, segment, segment.partition("_")[0], key, key, kind)


def first_serial(start_ns: int, orders: Iterable[Order], fills: Iterable[Fill]) -> int:
    """A first number that no earlier run of the day has used.

    Milliseconds since midnight run ahead of any number of orders a day, and known numbers are passed over.
    """
    used = [order.broker_id[_ID_PREFIX:] for order in orders]
    for fill in fills:
        used += [fill.broker_id[_ID_PREFIX:], fill.trade_id]
    highest = max((int(text) for text in used if text.isdecimal()), default=0)
    of_day = (start_ns - day_start_ns(ist_date(start_ns))) // _NS_PER_MS if start_ns else 0
    return max(highest, of_day) + 1
