"""Requests that change something. Orders of scripts pass the same gate as any, and their own arming before it.

A reply waits, within bounds, for the broker's evidence: it says what became of the order, never what was hoped.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

from tradetui.control.host import (
    Args,
    Hearing,
    Host,
    choice,
    instrument_of,
    number,
    price,
    products,
    text,
    whole,
)
from tradetui.control.rows import moment, order_row, rupees
from tradetui.control.scripts import MOST_MINUTES, Caps, Refused, Scripts
from tradetui.domain.errors import UsageError
from tradetui.domain.events import OperatorEvent, OperatorKind
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Price, to_money
from tradetui.domain.order import Order, OrderRequest, OrderStatus, OrderType, Product, Side, Validity
from tradetui.domain.portfolio import Portfolio

WAIT_S: Final = 5.0
MOST_WAIT_S: Final = 60.0
QUOTE_S: Final = 3.0
"""How long to wait for the first price of an instrument that was not streamed yet."""
_NAME: Final = re.compile(r"^[A-Za-z0-9_.-]{1,40}$")
_UNSETTLED: Final = frozenset({OrderStatus.INTENT, OrderStatus.SENT, OrderStatus.PENDING})
_GOOD: Final = frozenset(
    {OrderStatus.PENDING, OrderStatus.OPEN, OrderStatus.TRIGGER_PENDING, OrderStatus.FILLED}
)


UsedBefore = Callable[[str], Awaitable[bool]]


class Writes:
    """Scripted orders of one run.

    Args:
        host: The running engine.
        scripts: Their arming and caps.
        note: Writes what changed about the arming into the journal; raises when it cannot.
        used_before: Whether a client id was used on any earlier day.
    """

    def __init__(
        self, host: Host, scripts: Scripts, note: Callable[[dict[str, Any]], None], used_before: UsedBefore
    ) -> None:
        self._host = host
        self.scripts = scripts
        self._note = note
        self._used_before = used_before

    # --- permission -----------------------------------------------------------------------------------

    async def arm_scripts(self, args: Args) -> dict[str, Any]:
        """Let scripts send orders for some minutes, within caps."""
        minutes = number(args, "minutes", 10.0, 0.1, MOST_MINUTES)
        most = number(args, "max_orders", 20, 1, 10_000)
        value = number(args, "max_value", 100_000, 1, 1e9)
        total = number(args, "max_total", value * most, 1, 1e12)
        caps = Caps(int(most), to_money(value), to_money(total))
        until_ns = self._host.parts.clock.now_ns() + round(minutes * 60e9)
        self._note(
            {
                "what": "scripts armed",
                "until_ns": until_ns,
                "orders": caps.orders,
                "value": caps.value,
                "total": caps.total,
                "by": text(args, "by"),
            }
        )
        self.scripts.arm(caps, until_ns)
        return self.permission()

    async def disarm(self, args: Args) -> dict[str, Any]:
        """Take away what scripts may do; without ``only_scripts`` the engine's own arming too."""
        self.scripts.disarm()
        if not args.get("only_scripts"):
            self._take(OperatorKind.DISARM, note="disarm command")
        return self.permission()

    def permission(self) -> dict[str, Any]:
        """What scripts may do now, and what of it is used."""
        scripts, books = self.scripts, self._host.engine.desk.books
        armed = scripts.armed(self._host.parts.clock.now_ns())
        caps = scripts.caps if armed else None
        return {
            "scripts_armed": armed,
            "scripts_until": moment(scripts.until_ns) if armed else None,
            "orders_used": scripts.orders,
            "orders_most": caps.orders if caps else 0,
            "value_most": rupees(caps.value) if caps else 0,
            "total_used": rupees(scripts.total),
            "total_most": rupees(caps.total) if caps else 0,
            "live": books.live,
            "engine_armed_until": moment(books.armed_until_ns)
            if books.armed_until_ns > books.now_ns
            else None,
        }

    # --- orders ---------------------------------------------------------------------------------------

    async def place(self, args: Args) -> dict[str, Any]:
        """Send one order through the gate; wait for what the broker says to it."""
        request, wait_s = self._request(args), _wait(args)
        again = self._known(request)
        if again is not None:
            return await self._outcome([again.tag], wait_s, repeated=True)
        # Asked once without waiting, so that nothing is streamed for a script that may not trade.
        self.scripts.check(0, self._now())
        if request.client_id and await self._used_before(request.client_id):
            raise Refused(f"the client id {request.client_id!r} was used before", "use a new one")
        await self._streamed(request.instrument_key)
        # Others were served while this one waited: the last look is the one that counts.
        again = self._known(request)
        if again is not None:
            return await self._outcome([again.tag], wait_s, repeated=True)
        value = self._value(request)
        self.scripts.check(value, self._now())
        known = len(self._host.engine.desk.manager.orders)
        with Hearing(self._host) as hearing:
            self._take(OperatorKind.PLACE, request=request)
            orders = list(self._host.engine.desk.manager.orders.values())[known:]
            tags = [order.tag for order in orders if order.request.source == request.source]
            if any(order.status is not OrderStatus.REFUSED for order in orders):
                self.scripts.used(value)
            if not tags:
                raise Refused(hearing.refusals[-1] if hearing.refusals else "the gate took no order")
            return await self._outcome(tags, wait_s, hearing)

    async def modify(self, args: Args) -> dict[str, Any]:
        """Change price, trigger or quantity of a working order."""
        order, wait_s = self._order(args), _wait(args)
        qty, limit, trigger = whole(args, "qty"), price(args, "price"), price(args, "trigger_price")
        if qty is None and limit is None and trigger is None:
            raise UsageError("nothing to change", "give --qty, --price or --trigger")
        old = order.request
        new_qty = old.qty if qty is None else qty
        instrument = self._host.engine.universe.get(old.instrument_key)
        level = (old.price if limit is None else limit) or self._host.engine.market(old.instrument_key).last
        value = (level or 0) * new_qty * (instrument.multiplier if instrument else 1)
        self.scripts.check(value, self._now())
        with Hearing(self._host) as hearing:
            event = {"qty": qty, "price": limit, "trigger_price": trigger}
            self._take(OperatorKind.MODIFY, tag=order.tag, note=_source(args), **event)
            if hearing.refusals:
                raise Refused(hearing.refusals[-1])
            # What the terms were worth before was counted when they were sent.
            self.scripts.used(max(0, value - (old.price or level or 0) * old.qty))
            settled = await hearing.until(lambda: not self._now_is(order.tag).modify_pending, wait_s)
        now = self._now_is(order.tag)
        wanted = {"qty": qty, "price": limit, "trigger_price": trigger}
        done = settled and all(
            value is None or getattr(now.request, name) == value for name, value in wanted.items()
        )
        words = "" if done else now.message or "the broker has not confirmed the change"
        return self._told([now], done=done, settled=settled, words=words)

    async def cancel(self, args: Args) -> dict[str, Any]:
        """Cancel one order, all of one instrument, or all. Never needs arming."""
        wait_s = _wait(args)
        if args.get("all"):
            key = ""
            if args.get("instrument"):
                key = instrument_of(self._host, text(args, "instrument")).key
            tags = [order.tag for order in self._host.engine.desk.manager.working(key)]
            event: dict[str, Any] = {"instrument_key": key}
            kind = OperatorKind.CANCEL_ALL
        else:
            tags = [self._order(args).tag]
            kind, event = OperatorKind.CANCEL, {"tag": tags[0]}
        with Hearing(self._host) as hearing:
            self._take(kind, note=_source(args), **event)
            if hearing.refusals:
                raise Refused(hearing.refusals[-1])
            settled = await hearing.until(
                lambda: all(self._now_is(tag).status.terminal for tag in tags), wait_s
            )
        orders = [self._now_is(tag) for tag in tags]
        done = all(order.status is OrderStatus.CANCELLED for order in orders)
        left = next((order for order in orders if order.status is not OrderStatus.CANCELLED), None)
        words = "" if left is None else left.message or f"{left.tag} is {left.status.value}"
        return self._told(orders, done=done, settled=settled, words=words)

    async def exit(self, args: Args) -> dict[str, Any]:
        """Close one position, or all. Never needs arming."""
        event: dict[str, Any] = {}
        wait_s = _wait(args)
        if args.get("all"):
            kind = OperatorKind.EXIT_ALL
            event["include"] = products(args, "include")
            held = [(p.instrument_key, p.product) for p in self._portfolio.open_positions()]
        else:
            kind = OperatorKind.EXIT
            key = instrument_of(self._host, text(args, "instrument")).key
            product = choice(args, "product", Product, Product.INTRADAY.value)
            if not self._portfolio.qty(key, product):
                raise Refused(f"no {product.value} position in {text(args, 'instrument')}")
            event = {"instrument_key": key, "product": product, "qty": whole(args, "qty")}
            held = [(key, product)]
        before = {at: self._portfolio.qty(*at) for at in held}
        known = len(self._host.engine.desk.manager.orders)
        with Hearing(self._host) as hearing:
            self._take(kind, note=_source(args), **event)
            if hearing.refusals:
                raise Refused(hearing.refusals[-1])
            settled = await hearing.until(lambda: self._closed(before, event), wait_s)
        orders = list(self._host.engine.desk.manager.orders.values())[known:]
        words = "" if settled else "not closed yet; the engine goes on trying"
        return self._told(orders, done=settled, settled=settled, words=words)

    def _closed(self, before: dict[tuple[str, Product], int], event: dict[str, Any]) -> bool:
        if event.get("qty"):
            ((at, held),) = before.items()
            left: int = max(0, abs(held) - event["qty"])
            return abs(self._portfolio.qty(*at)) <= left
        included = event.get("include")
        wanted = [
            at
            for at in before
            if included is None or at[1] is Product.INTRADAY or at[1] in included or self._derivative(at[0])
        ]
        return not any(self._portfolio.qty(*at) for at in wanted)

    def _derivative(self, key: str) -> bool:
        found = self._host.engine.universe.get(key)
        return found is not None and found.is_derivative

    # --- inside ---------------------------------------------------------------------------------------

    @property
    def _portfolio(self) -> Portfolio:
        return self._host.engine.desk.portfolio

    def _now(self) -> int:
        return self._host.parts.clock.now_ns()

    def _take(self, kind: OperatorKind, **fields: Any) -> None:
        self._host.take(OperatorEvent(self._now(), kind, **fields))

    def _now_is(self, tag: str) -> Order:
        return self._host.engine.desk.manager.orders[tag]

    def _order(self, args: Args) -> Order:
        wanted = text(args, "tag")
        for order in self._host.engine.desk.manager.orders.values():
            if wanted and wanted in (order.tag, order.broker_id, order.request.client_id):
                return order
        raise Refused(f"no order {wanted!r} today", "see `tradetui orders`")

    def _request(self, args: Args) -> OrderRequest:
        instrument = instrument_of(self._host, text(args, "instrument"))
        limit, trigger = price(args, "price"), price(args, "trigger_price")
        protection = args.get("protection_pct", -1)
        if isinstance(protection, bool) or not isinstance(protection, int):
            raise UsageError("protection_pct must be a whole number of percent")
        return OrderRequest(
            instrument.key,
            choice(args, "side", Side, ""),
            whole(args, "qty") or 0,
            choice(args, "product", Product, Product.INTRADAY.value),
            choice(args, "type", OrderType, _form(limit, trigger).value),
            limit or Price(0),
            trigger or Price(0),
            choice(args, "validity", Validity, Validity.DAY.value),
            whole(args, "disclosed_qty") or 0,
            protection,
            source=_source(args),
            reason=text(args, "reason"),
            stop=price(args, "stop") or Price(0),
            target=price(args, "target") or Price(0),
            client_id=_client_id(args),
            amo=bool(args.get("amo")),
        )

    def _known(self, request: OrderRequest) -> Order | None:
        """The order that this client id was used for, if it was.

        Raises:
            Refused: It was used for something else, or on an earlier day.
        """
        if not self._host.engine.desk.manager.was_asked(request):
            return None
        for order in self._host.engine.desk.manager.orders.values():
            if order.request.client_id == request.client_id:
                asked = order.request
                if (asked.instrument_key, asked.side) != (request.instrument_key, request.side):
                    break
                return order
        raise Refused(f"the client id {request.client_id!r} was used for another order", "use a new one")

    async def _streamed(self, key: str) -> None:
        """Make sure of a price: the gate refuses what it cannot measure."""
        engine = self._host.engine
        if engine.market(key).last is not None:
            return
        found: Instrument | None = engine.universe.get(key) or self._host.parts.lookup(key)
        if found is not None:
            self._host.watch_more(found)
            with Hearing(self._host) as hearing:
                await hearing.until(lambda: engine.market(key).last is not None, QUOTE_S)

    def _value(self, request: OrderRequest) -> int:
        preview = self._host.engine.desk.preview(request)
        instrument = self._host.engine.universe.get(request.instrument_key)
        worst = preview.worst_price * request.qty * (instrument.multiplier if instrument else 1)
        value = max(preview.value, worst)
        if value <= 0:
            raise Refused(
                "the order's value is not known: no price has been seen for it", "give a limit price"
            )
        return value

    async def _outcome(
        self, tags: list[str], wait_s: float, hearing: Hearing | None = None, *, repeated: bool = False
    ) -> dict[str, Any]:
        """What became of orders that were sent, once the broker has said something about each, or time is up."""
        if hearing is None:
            with Hearing(self._host) as own:
                return await self._outcome(tags, wait_s, own, repeated=repeated)
        settled = await hearing.until(lambda: all(_is_settled(self._now_is(tag)) for tag in tags), wait_s)
        orders = [self._now_is(tag) for tag in tags]
        # Ended by a cancel is what an IOC order does that found nothing: it was sent, and it is over.
        done = all(
            order.status in _GOOD
            or (order.status is OrderStatus.CANCELLED and order.request.validity is Validity.IOC)
            for order in orders
        )
        bad = next((order for order in orders if order.status not in _GOOD), None)
        words = "" if done or bad is None else bad.message or f"the order is {bad.status.value}"
        return self._told(orders, done=done, settled=settled, words=words, repeated=repeated)

    def _told(
        self, orders: list[Order], *, done: bool, settled: bool, words: str, repeated: bool = False
    ) -> dict[str, Any]:
        def symbol(key: str) -> str:
            found = self._host.engine.universe.get(key)
            return found.symbol if found is not None else key

        return {
            "done": done,
            "settled": settled,
            "words": words,
            "repeated": repeated,
            "tag": orders[0].tag if orders else "",
            "status": orders[0].status.value if orders else "",
            "rows": [order_row(order, symbol) for order in orders],
        }


def _form(limit: Price | None, trigger: Price | None) -> OrderType:
    """The order type that goes with the prices given."""
    if trigger:
        return OrderType.SL if limit else OrderType.SL_M
    return OrderType.LIMIT if limit else OrderType.MARKET


def _source(args: Args) -> str:
    name = text(args, "script", "cli") or "cli"
    if not _NAME.match(name):
        raise UsageError("a script's name is at most 40 letters, digits, '_', '.' and '-'")
    return f"script:{name}"


def _client_id(args: Args) -> str:
    given = text(args, "client_id")
    if given and not _NAME.match(given):
        raise UsageError("a client id is at most 40 letters, digits, '_', '.' and '-'")
    return given


def _is_settled(order: Order) -> bool:
    """Whether an order stands where its kind comes to stand: one at the market, or IOC, does not rest."""
    passes = order.request.order_type is OrderType.MARKET or order.request.validity is Validity.IOC
    return order.status.terminal or (order.status not in _UNSETTLED and not passes)


def _wait(args: Args) -> float:
    return number(args, "wait", WAIT_S, 0.0, MOST_WAIT_S)
