"""What the paper broker takes up again after a restart: positions, orders, GTTs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tradetui.domain.conversion import Conversion
from tradetui.domain.gtt import Gtt, RuleStatus
from tradetui.domain.order import Fill, Order, OrderStatus, OrderType
from tradetui.domain.position import Position, PositionKey
from tradetui.exchange.days import moved
from tradetui.exchange.gtt import expiry_ns
from tradetui.exchange.orders import GttState, OrderState, RawStatus


def state_of(order: Order, account_id: str) -> OrderState | None:
    """A working order as the exchange holds it; ``None`` when it cannot be seated again."""
    request = order.request
    stop = request.order_type in (OrderType.SL, OrderType.SL_M)
    waits = stop and order.status is OrderStatus.TRIGGER_PENDING
    after_market = order.raw_status == RawStatus.AMO_RECEIVED.value
    if not request.price and not waits and not after_market:
        # Half a MARKET order: at what price the rest would stand is not known any more.
        return None
    return OrderState(
        order.broker_id,
        account_id,
        order.tag,
        request,
        0,
        RawStatus.AMO_RECEIVED if after_market else RawStatus.TRIGGER_PENDING if waits else RawStatus.OPEN,
        order.created_ns,
        order.updated_ns,
        order.exchange_id,
        order.updated_ns,
        order.filled_qty,
        order.filled_qty * order.average_price,
        request.price or request.trigger_price,
        triggered=stop and not waits and not after_market,
        message=order.message,
        after_market=after_market,
    )


def gtt_state_of(gtt: Gtt, account_id: str, filled: Mapping[str, int]) -> GttState:
    """A GTT as the exchange holds it.

    Args:
        gtt: What the engine knows.
        account_id: Whose it is.
        filled: Units that orders have filled, by order id.
    """
    entry = next((rule for rule in gtt.rules if rule.rule.strategy.value == "ENTRY"), None)
    exit_qty = 0
    if entry is not None and entry.status.terminal:
        whole = gtt.request.qty if entry.status is RuleStatus.COMPLETED else 0
        exit_qty = filled.get(entry.order_id, whole)
    return GttState(
        gtt.gtt_id,
        account_id,
        gtt.request,
        gtt.rules,
        gtt.created_ns,
        gtt.updated_ns,
        gtt.expires_ns or expiry_ns(gtt.request.product, gtt.created_ns),
        exit_qty,
    )


def filled_by_order(fills: Iterable[Fill], orders: Iterable[Order]) -> dict[str, int]:
    """Units filled, by the broker's order id: trades of the day, and what orders say of earlier ones."""
    units: Counter[str] = Counter()
    for fill in fills:
        units[fill.broker_id] += fill.qty
    for order in orders:
        units[order.broker_id] = max(units[order.broker_id], order.filled_qty)
    return dict(units)


def with_fills(
    positions: Iterable[Position],
    fills: Sequence[Fill],
    conversions: Iterable[tuple[int, Conversion]],
    multipliers: Mapping[str, int],
) -> dict[PositionKey, Position]:
    """Carried positions with the day's earlier trades and conversions on top.

    Args:
        positions: Carried in.
        fills: The day's trades, oldest first.
        conversions: Each with the number of trades that came before it.
        multipliers: Money per point and unit, by instrument key.
    """
    book = {(position.instrument_key, position.product): position for position in positions}
    moves = list(conversions)
    for number in range(len(fills) + 1):
        while moves and moves[0][0] <= number:
            _convert(book, moves.pop(0)[1])
        if number < len(fills):
            fill = fills[number]
            at = (fill.instrument_key, fill.product)
            known = book.get(at) or Position(*at, multiplier=multipliers.get(fill.instrument_key, 1))
            book[at] = known.apply(fill.side, fill.qty, fill.price)
    return book


def _convert(book: dict[PositionKey, Position], change: Conversion) -> None:
    source, target = (change.instrument_key, change.old), (change.instrument_key, change.new)
    held = book.get(source)
    qty = abs(change.signed_qty)
    if held is None or held.qty * change.signed_qty <= 0 or abs(held.qty) < qty:
        return  # what it moved is not known any more
    there = book.get(target) or Position(*target, multiplier=held.multiplier)
    book[source], book[target] = moved(held, there, qty)
