"""Somebody else's hand in the simulated market: other participants' prices, and the account's own phone.

Serves ``POST /price`` and ``POST /orders`` of the control URL and the faults that happen at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from tradetui.domain.errors import UsageError
from tradetui.domain.money import Price, format_rupees, nearest_tick, to_price, to_rupees
from tradetui.domain.order import OrderRequest, OrderType, Product, Side
from tradetui.exchange.orders import Amendment, OrderState, Reply
from tradetui.exchange.reset_band import RESET_PCT, band_around
from tradetui.pb.market_feed_v3_pb2 import Feed, Quote
from tradetui.simulator.bend import strip
from tradetui.simulator.faults import Args, Faults
from tradetui.simulator.truth import order_truth
from tradetui.simulator.venue import Venue
from tradetui.simulator.worlds.base import WorldUpdate

Body = Mapping[str, Any]
Publish = Callable[[WorldUpdate], Awaitable[None]]
_LEVELS = 5


class Hand:
    """See the module's docstring.

    Args:
        venue: The market and the exchange.
        publish: Takes an update to the feed.
        faults: Whose sudden faults are served here.
    """

    def __init__(self, venue: Venue, publish: Publish, faults: Faults) -> None:
        self._venue = venue
        self._publish = publish
        self._told: set[asyncio.Task[None]] = set()
        for name, act in (
            ("gap", self.gap),
            ("no-fill-trigger", self.no_fill_trigger),
            ("band-reset", self.band_reset),
            ("phone", self.phone),
        ):
            faults.on_sudden(name, act)

    # --- prices ---------------------------------------------------------------------------------------

    def price(self, body: Body) -> dict[str, Any]:
        """Set book and last price of an instrument, as other participants would.

        ``price`` and ``qty`` are a trade; ``bids`` and ``asks`` (lists of [price, units]) replace the book. With
        ``hold`` the world's own updates of the instrument are dropped from now on; ``release`` lets them through.

        Raises:
            UsageError: The body makes no sense.
        """
        key = self._key(body)
        bend = self._venue.bend
        if body.get("hold"):
            bend.held[key] = None
        feed = Feed()
        if "bids" in body or "asks" in body:
            _set_book(feed, _levels(body.get("bids", ())), _levels(body.get("asks", ())))
        if body.get("price") is not None:
            self._set_trade(key, feed, _rupees(body["price"]), int(body.get("qty", 1)))
        if feed.HasField("fullFeed"):
            self._show(key, feed)
        if body.get("release"):
            bend.held.pop(key, None)
        return {"instrument_key": key, "last": self._venue.last_of(key), "held": key in bend.held}

    def gap(self, args: Args) -> None:
        """The fault: a price jumps by ``pct`` percent and stays there."""
        pct = float(args["pct"])
        if pct <= -100:
            raise UsageError(f"a price cannot fall by {-pct:g}%")
        for key in self._keys(str(args["instrument"])):
            self._jump(key, 1 + pct / 100)

    def no_fill_trigger(self, args: Args) -> None:
        """The fault: the market jumps through trigger and limit of every stop that waits."""
        away = float(args["pct"]) / 100
        for order in self._venue.orders():
            request, last = order.request, to_price(self._venue.last_of(order.key))
            if not order.waits_for_trigger or order.status.terminal or not last:
                continue
            limit = request.price or request.trigger_price
            wanted = limit * (1 + away * request.side.sign)
            self._jump(order.key, wanted / last)

    def band_reset(self, args: Args) -> None:
        """The fault: the exchange resets price bands around the last price now."""
        venue = self._venue
        for key in self._keys(str(args["instrument"])):
            last = to_price(venue.last_of(key))
            if last and venue.exchange.watches(key):
                band = band_around(last, int(args["pct"]) or RESET_PCT, venue.instruments[key].tick_size)
                venue.report(venue.exchange.narrow_band(key, band, venue.now_ns()))

    def _jump(self, key: str, factor: float) -> None:
        bend = self._venue.bend
        now = self._venue.board.feed(key)
        if now is None:
            raise UsageError(f"{key} has no price yet")
        feed = Feed()
        feed.CopyFrom(now)
        bend.scale(key, feed, factor)
        bend.factors[key] = bend.factors.get(key, 1.0) * factor
        shown = Feed()
        if feed.fullFeed.HasField("indexFF"):
            shown.fullFeed.indexFF.ltpc.CopyFrom(feed.fullFeed.indexFF.ltpc)
        else:
            market = feed.fullFeed.marketFF
            shown.fullFeed.marketFF.marketLevel.CopyFrom(market.marketLevel)
            lot = self._venue.instruments[key].lot_size
            self._set_trade(key, shown, market.ltpc.ltp, lot)
        self._show(key, shown)

    def _set_trade(self, key: str, feed: Feed, price: float, qty: int) -> None:
        known = self._venue.board.feed(key)
        before = known.fullFeed.marketFF if known is not None else Feed().fullFeed.marketFF
        market = feed.fullFeed.marketFF
        market.ltpc.ltp, market.ltpc.cp = price, before.ltpc.cp or price
        market.ltpc.ltt = max(self._venue.now_ns() // 1_000_000, before.ltpc.ltt + 1)
        market.ltpc.ltq, market.vtt = qty, before.vtt + qty

    def _show(self, key: str, feed: Feed) -> None:
        gone = self._venue.bend.one_sided.get(key)
        if gone is not None:
            strip(feed, gone)
        update = WorldUpdate(self._venue.now_ns(), {key: feed})
        self._venue.take(update)
        task = asyncio.get_running_loop().create_task(self._send(update))
        self._told.add(task)
        task.add_done_callback(self._told.discard)

    async def _send(self, update: WorldUpdate) -> None:
        await self._publish(update)

    # --- orders ---------------------------------------------------------------------------------------

    def order(self, body: Body) -> dict[str, Any]:
        """Place, modify or cancel on the same account from another app, or fill an order from outside.

        Raises:
            UsageError: The body makes no sense, or the broker refused it.
        """
        action = body.get("action")
        match action:
            case "place":
                return self._said(self._place(body))
            case "modify":
                order = self._order(body)
                return self._said(self._venue.modify(order.order_id, _amended(order, body)))
            case "cancel":
                return self._said(self._venue.cancel(self._order(body).order_id))
            case "fill":
                order = self._order(body)
                qty = int(body.get("qty") or order.remaining)
                self._venue.report(self._venue.exchange.hit(order.order_id, qty, self._venue.now_ns()))
                return self._shown(order.order_id)
        raise UsageError(f"no action {action!r}", "It is place, modify, cancel or fill")

    def phone(self, args: Args) -> None:
        """The fault: the phone places an order, or changes or cancels the newest one that works."""
        given = {name: value for name, value in args.items() if value not in ("", 0)}
        self.order({**given, "action": given.get("action", "place")})

    def _place(self, body: Body) -> Reply:
        key = self._key(body)
        instrument = self._venue.instruments[key]
        price = to_price(float(body.get("price") or 0))
        trigger = to_price(float(body.get("trigger_price") or 0))
        default = "SL" if trigger else "LIMIT" if price else "MARKET"
        try:
            request = OrderRequest(
                key,
                Side(str(body.get("side", "BUY")).upper()),
                int(body.get("qty") or instrument.lot_size),
                Product(str(body.get("product", "I")).upper()),
                OrderType(str(body.get("order_type", default)).upper()),
                price,
                trigger,
            )
        except ValueError as error:
            raise UsageError(f"not an order: {error}") from error
        return self._venue.place(request, str(body.get("tag", "")))

    def _order(self, body: Body) -> OrderState:
        working = [order for order in self._venue.orders() if not order.status.terminal]
        wanted = body.get("order_id") or (working[-1].order_id if working else "")
        found = next((order for order in self._venue.orders() if order.order_id == wanted), None)
        if found is None:
            raise UsageError(f"no order {wanted!r}" if wanted else "no order works")
        return found

    def _said(self, reply: Reply) -> dict[str, Any]:
        if reply.refusal is not None:
            raise UsageError(f"{reply.refusal.code}: {reply.refusal.message}")
        return self._shown(reply.order_id)

    def _shown(self, order_id: str) -> dict[str, Any]:
        return order_truth(next(order for order in self._venue.orders() if order.order_id == order_id))

    # --- reading what is asked ------------------------------------------------------------------------

    def _key(self, body: Body) -> str:
        asked = str(body.get("instrument_key") or body.get("instrument") or "")
        keys = self._keys(asked) if asked else []
        if len(keys) != 1:
            raise UsageError(f"{asked!r} names {len(keys)} instruments", "Give one instrument key or symbol")
        return keys[0]

    def _keys(self, asked: str) -> list[str]:
        """Instruments by key or symbol; with nothing asked, those in which something works."""
        if not asked:
            return self._venue.working_keys()
        found = [one.key for one in self._venue.instruments.values() if asked in (one.key, one.symbol)]
        if not found:
            raise UsageError(f"no instrument {asked!r}")
        return found


def _levels(rows: Any) -> list[tuple[float, int]]:
    if not isinstance(rows, Sequence):
        raise UsageError("bids and asks are lists of [price, units]")
    try:
        return [(_rupees(price), int(qty)) for price, qty in rows][:_LEVELS]
    except (TypeError, ValueError) as error:
        raise UsageError("bids and asks are lists of [price, units]") from error


def _rupees(value: Any) -> float:
    price = to_price(float(value))
    if price <= 0:
        raise UsageError(f"not a price: {format_rupees(price)}")
    return to_rupees(price)


def _set_book(feed: Feed, bids: list[tuple[float, int]], asks: list[tuple[float, int]]) -> None:
    level = feed.fullFeed.marketFF.marketLevel
    for index in range(_LEVELS):
        bid = bids[index] if index < len(bids) else (0.0, 0)
        ask = asks[index] if index < len(asks) else (0.0, 0)
        level.bidAskQuote.append(Quote(bidP=bid[0], bidQ=bid[1], askP=ask[0], askQ=ask[1]))


def _amended(order: OrderState, body: Body) -> Amendment:
    now = order.request

    def price(name: str, old: Price) -> Price:
        return nearest_tick(to_price(float(body[name])), Price(1)) if body.get(name) else old

    return Amendment(
        int(body.get("qty") or now.qty),
        price("price", now.price),
        price("trigger_price", now.trigger_price),
        now.order_type,
        now.validity,
        now.disclosed_qty,
        now.protection_pct,
    )
