"""Pane 6: orders; UNKNOWN first, then those that work, then the rest, newest first."""

from __future__ import annotations

from tradetui.domain.gtt import Gtt, GttStatus, GttStrategy
from tradetui.domain.order import Order, OrderStatus, OrderType, Side
from tradetui.domain.text import clean
from tradetui.tui import fmt
from tradetui.tui.layout import Pane
from tradetui.tui.panes.base import PaneSpec, marked, window
from tradetui.tui.spans import Line, Span, fit, right, wrap
from tradetui.tui.state import Frame, name_of, sorted_orders

_WORDS = {
    OrderStatus.TRIGGER_PENDING: ("WAITING", "warn"),
    OrderStatus.UNKNOWN: ("UNKNOWN", "alarm"),
    OrderStatus.OPEN: ("OPEN", "key"),
    OrderStatus.PENDING: ("PENDING", "key"),
    OrderStatus.INTENT: ("INTENT", "dim"),
    OrderStatus.SENT: ("SENT", "key"),
    OrderStatus.FILLED: ("FILLED", "good"),
    OrderStatus.CANCELLED: ("CANCELLED", "dim"),
    OrderStatus.REJECTED: ("REJECTED", "error"),
    OrderStatus.REFUSED: ("REFUSED", "error"),
    OrderStatus.ABSENT: ("ABSENT", "dim"),
}


_RULES = {GttStrategy.ENTRY: "entry", GttStrategy.STOPLOSS: "stop", GttStrategy.TARGET: "target"}


def title(frame: Frame, width: int) -> tuple[Line, Line]:
    """How many work, how many there are."""
    del width
    orders = frame.snap.orders
    busy = sum(1 for order in orders if not order.status.terminal)
    lost = sum(1 for order in orders if order.status is OrderStatus.UNKNOWN)
    side: Line = ((f" {lost} UNKNOWN: new risk there is locked ", "alarm"),) if lost else ()
    return ((f"Orders {busy} open of {len(orders)}", "title"),), side


def price_words(order: Order, width: int = 80) -> str:
    """Price of an order in words: limit, trigger, or market; where there is little room, the trigger without its limit."""
    request = order.request
    if request.order_type is OrderType.MARKET:
        return "MARKET"
    if request.order_type is OrderType.LIMIT:
        return fmt.money(request.price)
    trigger = fmt.money(request.trigger_price)
    if order.status is OrderStatus.OPEN and request.order_type is OrderType.SL:
        return fmt.money(request.price)  # it has triggered: what rests now is its limit
    longest = f"SL {trigger}/{fmt.money(request.price)}"
    words = [f"SL-M {trigger}"] if request.order_type is OrderType.SL_M else [longest, f"SL {trigger}"]
    return next((text for text in words if len(text) <= width), trigger)


def body(frame: Frame, width: int, height: int) -> list[Line]:
    """Column heads and rows."""
    symbol = 14 if width < 100 else 24
    price = max(12, min(22 if width >= 100 else 16, width - symbol - 35))
    head = f" {fit('SIDE', 5)}{right('DONE/QTY', 11)} {fit('SYMBOL', symbol)}{right('PRICE', price)} {fit('STATE', 10)}AGE   "
    lines: list[Line] = [((fit(head, width), "dim"),)]
    orders = sorted_orders(frame.snap.orders)
    if not orders and not frame.snap.gtts:
        return [*lines, ((" no orders today" if frame.snap.seq else " not known yet", "dim"),)]
    cursor = frame.ui.cursors.get(Pane.ORDERS, "")
    index = next((i for i, order in enumerate(orders) if order.tag == cursor), -1)
    # What waits at the broker for days is never pushed out of sight by today's orders.
    gtts = [gtt for gtt in frame.snap.gtts if gtt.status.working or gtt.status is GttStatus.REJECTED]
    gtts = gtts[: max(1, (height - 1) // 3)]
    room = height - 1 - len(gtts)
    start = window(frame.ui, Pane.ORDERS, index, len(orders), room)
    focused = frame.ui.focus is Pane.ORDERS
    for order in orders[start : start + room]:
        line = _row(frame, order, symbol, price)
        lines.append(marked(line, width, cursor=order.tag == cursor, focused=focused))
    lines += [_gtt(frame, gtt, symbol, price) for gtt in gtts]
    return lines[:height]


def _gtt(frame: Frame, gtt: Gtt, symbol: int, price: int) -> Line:
    """One GTT: what waits for which price, what follows it, and what the broker says of each rule."""
    request = gtt.request
    first, *then = request.rules
    follows = " ".join(f"{_RULES[rule.strategy]} {fmt.money(rule.trigger_price)}" for rule in then)
    said = " ".join(clean(state.raw_status).lower() for state in gtt.rules)
    style = "alarm" if gtt.status is GttStatus.UNKNOWN else "error" if gtt.message else "accent"
    number = clean(gtt.gtt_id)
    return (
        (" " + fit(request.side.value, 5), "buy" if request.side is Side.BUY else "sell"),
        (right(fmt.units(request.qty), 11), "text"),
        (" " + fit(fit(name_of(frame.snap, frame.ui, request.instrument_key), symbol - 1), symbol), "text"),
        (right(f"GTT {fmt.money(first.trigger_price)}", price), "text"),
        (" " + fit(gtt.status.value.upper(), 10), style),
        # The end of its number, which is what `:gtt cancel` takes.
        (fit(f"#{number[-4:]}" if number else "", 6), "dim"),
        (f"then {follows}  " if follows else "", "text"),
        (clean(gtt.message) or " ".join(part for part in (number, said) if part), "dim"),
        (" foreign" if gtt.foreign else "", "accent"),
    )


def _row(frame: Frame, order: Order, symbol: int, price: int) -> Line:
    request = order.request
    ended = order.status.terminal
    word, style = _WORDS[order.status]
    if order.cancel_pending:
        word, style = "CANCELLING", "warn"
    elif order.modify_pending:
        word, style = "MODIFYING", "warn"
    done = f"{fmt.units(order.filled_qty)}/{fmt.units(request.qty)}"
    words = clean(order.message)
    turned_down = order.status in (OrderStatus.REJECTED, OrderStatus.REFUSED)
    moment = order.updated_ns if ended else order.created_ns
    age = max(0.0, (frame.snap.t_ns - moment) / 1e9)
    at = fmt.money(order.average_price) if order.status is OrderStatus.FILLED else price_words(order, price)
    name = fit(fit(name_of(frame.snap, frame.ui, request.instrument_key), symbol - 1), symbol)
    if turned_down and words:
        # The reason matters more than the price it was not taken at.
        return (
            (fit(request.side.value, 5), "buy" if request.side is Side.BUY else "sell"),
            (right(done, 11) + " " + name, "dim"),
            (fit(word, 9), style + "+bold"),
            (words, style),
        )
    spans: list[Span] = [
        (
            fit(request.side.value, 5),
            ("buy" if request.side is Side.BUY else "sell") + ("" if ended else "+bold"),
        ),
        (right(done, 11), "dim" if ended else "text"),
        (" " + name, "dim" if ended else "text"),
        (right(at, price), "dim" if ended else "text"),
        (" " + fit(word, 10), style),
        (fit(fmt.clock(moment // 1_000_000, seconds=False) if ended else fmt.age(age), 6), "dim"),
    ]
    if order.foreign:
        spans.append(("foreign ", "accent"))
    if words:
        spans.append((words, "alarm" if order.status is OrderStatus.UNKNOWN else "dim"))
    elif request.source != "manual":
        spans.append((clean(request.source), "dim"))
    return tuple(spans)


def details(order: Order, symbol: str) -> tuple[str, tuple[str, ...]]:
    """Title and lines that say all that is known of an order."""
    request = order.request
    side = f"{request.side.value} {fmt.units(request.qty)} {symbol}"
    lines = [
        f"{side}  {price_words(order)}  {request.product.value} {request.validity.value}",
        f"state    {order.status.value}"
        + (f" (the broker says: {clean(order.raw_status)})" if order.raw_status else ""),
        f"filled   {fmt.units(order.filled_qty)} of {fmt.units(request.qty)}"
        + (f" at {fmt.money(order.average_price)}" if order.average_price else ""),
        f"made     {fmt.clock(order.created_ns // 1_000_000)} IST, last change {fmt.clock(order.updated_ns // 1_000_000)}",
        f"tag      {clean(order.tag)}",
        f"broker   {clean(order.broker_id) or fmt.NEVER}   exchange {clean(order.exchange_id) or fmt.NEVER}",
        f"source   {clean(request.source)}" + (f": {clean(request.reason)}" if request.reason else ""),
    ]
    if order.foreign:
        lines.append("foreign  placed elsewhere and adopted here")
    if order.message:
        lines += ["", *wrap(clean(order.message), 74)]
    if order.status is OrderStatus.UNKNOWN:
        lines += ["", "Sent, and no answer that makes sense came back. Only the broker's own book can tell."]
    return side, tuple(lines)


SPEC = PaneSpec(Pane.ORDERS, title, body, 4.0)
