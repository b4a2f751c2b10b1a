"""The venue: a world's market and the exchange's matching joined under one clock.

The world moves as the clock does; what it shows goes to the board and, for instruments in which a user's
order works, into the exchange. What the exchange reports goes to whoever listens (the portfolio stream).
An instrument nobody has an order in costs the exchange nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tradetui.domain.calendar import Calendar, Segment, ist_date, segment_of
from tradetui.domain.calendar.ist import day_number, day_start_ns
from tradetui.domain.errors import CalendarUnknown
from tradetui.domain.events import Holding
from tradetui.domain.gtt import GttRequest, GttRule
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.money import Money, Price, floor_to_tick, to_price, to_rupees
from tradetui.domain.order import OrderRequest, Product, Side
from tradetui.exchange.book import Quote
from tradetui.exchange.days import DayFigures
from tradetui.exchange.exchange import Exchange
from tradetui.exchange.orders import (
    Amendment,
    ExchangeEvent,
    Funds,
    OrderState,
    Refusal,
    Reply,
    Trade,
    Traded,
)
from tradetui.exchange.rules import RuleBook
from tradetui.exchange.sessions import Phase, phase_word
from tradetui.pb.market_feed_v3_pb2 import Feed, MarketFullFeed
from tradetui.simulator.bend import Bend
from tradetui.simulator.board import Board
from tradetui.simulator.clock import SimClock
from tradetui.simulator.faults import Faults
from tradetui.simulator.keep import Kept
from tradetui.simulator.marks import band_of, ltpc_of, quotes_of
from tradetui.simulator.tokens import USER_ID
from tradetui.simulator.trouble import Trouble
from tradetui.simulator.worlds.base import World, WorldUpdate

_DEMO_HOLDINGS = ((25, 0), (100, 10))
"""(settled, not yet settled) units held of the first shares listed, bought 3% below their last close."""
_HOLDING_DISCOUNT_PCT = 3
_YIELD_EVERY = 64
_IDLE_NS = 250_000_000

Listener = Callable[[Sequence[ExchangeEvent]], None]
Publish = Callable[[WorldUpdate], Awaitable[None]]
Finish = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class _Seen:
    """What the exchange last heard of an instrument."""

    ltt: int = 0
    vtt: int = 0


class Venue:
    """See the module's docstring.

    Args:
        world: Where the market comes from.
        board: Latest state of every instrument.
        clock: The exchange's clock.
        calendar: Its days and hours.
        faults: Asked whether the exchange refuses orders.
        opening: Cash of the simulated account.
        kept: An earlier run's account, in place of a new one.
    """

    def __init__(
        self,
        world: World,
        board: Board,
        clock: SimClock,
        calendar: Calendar,
        faults: Faults,
        opening: Money,
        kept: Kept | None = None,
    ) -> None:
        self.world = world
        self.board = board
        self.calendar = calendar
        self.instruments: dict[str, Instrument] = {one.key: one for one in world.instruments}
        self.bend = Bend(self.instruments)
        board.bend = self.bend.state
        self._clock = clock
        self._faults = faults
        self._trouble = Trouble(faults, self.instruments, self.bend)
        self._segments: dict[tuple[str, int], Segment | None] = {}
        self._seen: dict[str, _Seen] = {}
        self._listeners: list[Listener] = []
        self._on_relist: list[Callable[[], None]] = []
        self._on_conversion: list[Callable[[str], None]] = []
        self.refuse_segment: Callable[[str], Refusal | None] = lambda _segment: None
        self._day = day_number(clock.now_ns())
        self.ended = asyncio.Event()
        self.exchange = Exchange(
            world.instruments,
            self.phase_of,
            rule_book=RuleBook(after_market=True),
            first_serial=kept.next_serial if kept is not None else 1,
        )
        self.exchange.risk.source = self._risk_price
        self.exchange.risk.at(clock.now_ns())
        if kept is None:
            self.exchange.add_account(USER_ID, opening, holdings=self._demo_holdings())
        else:
            self.exchange.add_account(USER_ID, kept.opening, kept.positions, kept.holdings)
            kept.seat(self.exchange)
            for key in self.working_keys():
                self._catch_up(key, clock.now_ns())
        self.exchange.screen = self._screen
        faults.on_change(self._switched)
        self._switched()

    # --- time ----------------------------------------------------------------------------------------

    async def run(self, publish: Publish, finish: Finish) -> None:
        """Move the world with the clock until cancelled.

        Args:
            publish: Takes every update to the feed.
            finish: Called once, when the world has ended.
        """
        count = 0
        while True:
            due_ns = self.world.next_ns()
            if due_ns is None:
                if not self.ended.is_set():
                    self.ended.set()
                    await finish()
                # The market has gone quiet, but orders still expire.
                await self._clock.wait_until(self._clock.now_ns() + _IDLE_NS)
                self._advance(self._clock.now_ns())
                continue
            await self._clock.drive_to(due_ns)
            until_ns = max(due_ns, self._clock.now_ns())
            for made in self.world.advance(until_ns):
                update = self.bend.update(made)
                if day_number(update.t_ns) != self._day:
                    self._relist(update.t_ns)
                self.take(update)
                await publish(update)
                count += 1
                if count % _YIELD_EVERY == 0:
                    await asyncio.sleep(0)
            self._advance(until_ns)

    def _advance(self, t_ns: int) -> None:
        """Let the exchange's time pass; orders that waited for the open meet a market it knows."""
        for key in self.exchange.due_keys(t_ns):
            self._sync(key, t_ns)
        self._report(self.exchange.advance(t_ns))

    def jump(self, to_ns: int) -> None:
        """Set the clock forward; the market in between is skipped, not replayed.

        Raises:
            UsageError: The moment has passed.
        """
        if to_ns > self._clock.now_ns():
            self.world.skip(to_ns)
            self.board.reload()
            self._relist(to_ns)
        self._clock.jump(to_ns)
        self._advance(to_ns)
        for key in self.working_keys():
            self._catch_up(key, to_ns)

    def on_relist(self, act: Callable[[], None]) -> None:
        """Have ``act`` called when the list of instruments may have changed."""
        self._on_relist.append(act)

    def _relist(self, t_ns: int) -> None:
        """Take over what the world lists now: another day has begun, or a jump may have reached one."""
        self._day = day_number(t_ns)
        for instrument in self.world.instruments:
            if self.instruments.get(instrument.key) != instrument:
                self.instruments[instrument.key] = instrument
                self.exchange.list_instrument(instrument)
        for act in self._on_relist:
            act()

    # --- the market ----------------------------------------------------------------------------------

    def take(self, update: WorldUpdate) -> None:
        """Show one update on the board, and to the exchange where an order works."""
        self.board.apply(update)
        for key in update.feeds:
            if self.exchange.watches(key):
                self._feed_exchange(key, update.feeds[key], update.t_ns)

    def _feed_exchange(self, key: str, update: Feed, t_ns: int) -> None:
        """First what traded, then the book as it stands afterwards."""
        market = self._market(key)
        if market is None:
            return
        seen = self._seen.setdefault(key, _Seen(market.ltpc.ltt, market.vtt))
        moved = market.vtt > seen.vtt or market.ltpc.ltt > seen.ltt
        qty = max(0, market.vtt - seen.vtt)
        seen.ltt, seen.vtt = market.ltpc.ltt, market.vtt
        # Under the fault `partial` the book stays as the order left it, and what prints fills nobody.
        starved = self._faults.active("partial") is not None
        if moved and market.ltpc.ltp > 0:
            filling = 0 if starved else qty
            self._report(self.exchange.external_trade(key, to_price(market.ltpc.ltp), filling, t_ns))
        if update.fullFeed.marketFF.HasField("marketLevel") and not starved:
            self._report(self.exchange.set_external(key, *self._quotes(key, market), t_ns))

    def _sync(self, key: str, t_ns: int) -> None:
        """Bring the exchange's idea of an instrument up to date, before it is first needed again."""
        market = self._market(key)
        if market is None:
            return
        instrument = self.instruments[key]
        close = self._band_close(instrument, market)
        self.exchange.set_band(key, band_of(instrument, close), t_ns)
        if Phase.of(self.phase_of(instrument, t_ns)) is Phase.PRE_OPEN:
            self.exchange.set_reference(key, close)
        self._seen[key] = _Seen(market.ltpc.ltt, market.vtt)
        if market.ltpc.ltp > 0:
            self.exchange.set_last(key, to_price(market.ltpc.ltp))
        self._report(self.exchange.set_external(key, *self._quotes(key, market), t_ns))

    def _catch_up(self, key: str, t_ns: int) -> None:
        """Show working orders the market as it stands after a jump; stops that were passed fire now."""
        market = self._market(key)
        if market is None:
            return
        self._seen[key] = _Seen(market.ltpc.ltt, market.vtt)
        if market.ltpc.ltp > 0:
            self._report(self.exchange.external_trade(key, to_price(market.ltpc.ltp), 0, t_ns))
        self._report(self.exchange.set_external(key, *self._quotes(key, market), t_ns))

    def _market(self, key: str) -> MarketFullFeed | None:
        feed = self.board.feed(key)
        return feed.fullFeed.marketFF if feed is not None and feed.fullFeed.HasField("marketFF") else None

    def _quotes(self, key: str, market: MarketFullFeed) -> tuple[list[Quote], list[Quote]]:
        """Bids and asks; at a circuit one side is empty."""
        bids, asks = quotes_of(market)
        gone = self.bend.one_sided.get(key)
        return [] if gone == "bids" else bids, [] if gone == "asks" else asks

    def _band_close(self, instrument: Instrument, market: MarketFullFeed) -> Price:
        return to_price(market.ltpc.cp or market.ltpc.ltp)

    def close_of(self, key: str) -> float:
        """Previous close, rupees; 0 when there is none."""
        feed = self.board.feed(key)
        return ltpc_of(feed).cp if feed is not None else 0.0

    def last_of(self, key: str) -> float:
        """Last price, rupees; 0 when there is none."""
        feed = self.board.feed(key)
        return ltpc_of(feed).ltp if feed is not None else 0.0

    def phase_of(self, instrument: Instrument, t_ns: int) -> str:
        """What the exchange does in an instrument; a day the calendar does not know is closed."""
        day = ist_date(t_ns)
        where = (instrument.key, day.toordinal())
        if where not in self._segments:
            try:
                self._segments[where] = segment_of(self.calendar, instrument, day)
            except (CalendarUnknown, ValueError):
                self._segments[where] = None
        segment = self._segments[where]
        try:
            phase = None if segment is None else self.calendar.phase(segment, t_ns)
        except CalendarUnknown:
            phase = None
        return self._trouble.phase(instrument, phase_word(phase))

    def phase_now(self, instrument: Instrument) -> str:
        """What the exchange does in an instrument at this moment."""
        return self.phase_of(instrument, self._clock.now_ns())

    # --- orders --------------------------------------------------------------------------------------

    def place(self, request: OrderRequest, tag: str) -> Reply:
        """Take an order in."""
        t_ns = self._clock.now_ns()
        listed = self.instruments.get(request.instrument_key)
        if listed is not None and (locked := self.refuse_segment(listed.segment)) is not None:
            return Reply(refusal=locked)
        self._get_ready(request.instrument_key, t_ns)
        partial = self._faults.strike("partial")
        if partial is not None and listed is not None:
            self._starve(listed, request, float(partial["percent"]), t_ns)
        reply = self.exchange.place(USER_ID, request, tag, t_ns)
        self._report(reply.events)
        return reply

    def modify(self, order_id: str, terms: Amendment) -> Reply:
        """Change a working order."""
        reply = self.exchange.modify(USER_ID, order_id, terms, self._clock.now_ns())
        self._report(reply.events)
        return reply

    def cancel(self, order_id: str) -> Reply:
        """Cancel a working order; under the fault `late-cancel` it has filled a moment before."""
        order = self.exchange.order(USER_ID, order_id)
        rests = order is not None and not order.status.terminal and not order.waits_for_trigger
        if order is not None and rests and self._faults.strike("late-cancel") is not None:
            self._report(self.exchange.hit(order_id, order.remaining, self._clock.now_ns()))
        reply = self.exchange.cancel(USER_ID, order_id, self._clock.now_ns())
        self._report(reply.events)
        return reply

    def _screen(self, order: OrderState) -> Refusal | None:
        """Why risk control rejects an order that reached it: a locked segment (a GTT's child), or a fault."""
        locked = self.refuse_segment(self.instruments[order.key].segment)
        if locked is not None and not order.placed_by:
            return Refusal("RMS", f"RMS: {locked.message}")
        return self._trouble.screen(order)

    def place_gtt(self, request: GttRequest) -> Reply:
        """Take a good-till-triggered order in."""
        t_ns = self._clock.now_ns()
        listed = self.instruments.get(request.instrument_key)
        if listed is not None and (locked := self.refuse_segment(listed.segment)) is not None:
            return Reply(refusal=locked)
        self._get_ready(request.instrument_key, t_ns)
        reply = self.exchange.place_gtt(USER_ID, request, t_ns)
        self._report(reply.events)
        return reply

    def modify_gtt(self, gtt_id: str, qty: int, rules: tuple[GttRule, ...]) -> Reply:
        """Replace quantity and rules of a GTT."""
        reply = self.exchange.modify_gtt(USER_ID, gtt_id, qty, rules, self._clock.now_ns())
        self._report(reply.events)
        return reply

    def cancel_gtt(self, gtt_id: str) -> Reply:
        """End a GTT."""
        reply = self.exchange.cancel_gtt(USER_ID, gtt_id, self._clock.now_ns())
        self._report(reply.events)
        return reply

    def _get_ready(self, key: str, t_ns: int) -> None:
        if key in self.instruments and not self.exchange.watches(key):
            self._sync(key, t_ns)

    def _starve(self, instrument: Instrument, request: OrderRequest, percent: float, t_ns: int) -> None:
        """Leave only a part of an order's quantity in the book, at the best price of the other side."""
        market = self._market(instrument.key)
        if market is None:
            return
        bids, asks = self._quotes(instrument.key, market)
        lots = max(1, int(request.qty * percent / 100) // instrument.lot_size)
        buys = request.side is Side.BUY
        bids = bids[:1] if buys else [(bids[0][0], lots * instrument.lot_size)] if bids else []
        asks = ([(asks[0][0], lots * instrument.lot_size)] if asks else []) if buys else asks[:1]
        self._report(self.exchange.set_external(instrument.key, bids, asks, t_ns))

    def orders(self) -> list[OrderState]:
        """Today's orders."""
        return self.exchange.orders(USER_ID, self._clock.now_ns())

    def trades(self, order_id: str = "") -> list[Trade]:
        """Today's trades, of one order if given."""
        return self.exchange.trades(USER_ID, order_id, self._clock.now_ns())

    def funds(self) -> Funds:
        """Cash and margins."""
        self.exchange.risk.at(self._clock.now_ns())
        return self.exchange.funds(USER_ID)

    def day_figures(self) -> list[DayFigures]:
        """Positions as today's book shows them."""
        return self.exchange.day_figures(
            USER_ID, self._clock.now_ns(), lambda key: to_price(self.close_of(key))
        )

    def convert(self, key: str, side: Side, qty: int, old: Product, new: Product) -> Reply:
        """Move units of a position to another product, and tell who listens to positions."""
        t_ns = self._clock.now_ns()
        reply = self.exchange.convert(USER_ID, key, side, qty, old, new, t_ns)
        self._report(reply.events)
        if reply.refusal is None:
            for act in self._on_conversion:
                act(key)
        return reply

    def on_conversion(self, act: Callable[[str], None]) -> None:
        """Have ``act`` called with the instrument of every conversion."""
        self._on_conversion.append(act)

    def _risk_price(self, key: str) -> Price | None:
        """What a contract or an underlying stands at, for the exchange's risk file."""
        rupees = self.last_of(key) or self.close_of(key)
        return to_price(rupees) if rupees > 0 else None

    def working_keys(self) -> list[str]:
        """Instruments in which an order works or a GTT waits."""
        return [key for key in self.instruments if self.exchange.watches(key)]

    def now_ns(self) -> int:
        """Exchange time, UTC ns."""
        return self._clock.now_ns()

    def report(self, events: Sequence[ExchangeEvent]) -> None:
        """Tell everybody what a call on the exchange has caused."""
        self._report(events)

    def _switched(self) -> None:
        """A fault was switched: halts, circuits and the broker's cut-off follow."""
        t_ns = self._clock.now_ns()
        self._trouble.set_circuits()
        second = (t_ns - day_start_ns(ist_date(t_ns))) // 1_000_000_000
        self.exchange.set_cut_off(self._trouble.cut_off_s(second))
        self._report(self.exchange.halt(self._trouble.halts(), t_ns))
        for key in self.working_keys():
            market = self._market(key) if key in self.bend.one_sided else None
            if market is not None:
                self._report(self.exchange.set_external(key, *self._quotes(key, market), t_ns))
        self._advance(t_ns)

    def listen(self, listener: Listener) -> None:
        """Have ``listener`` called with everything the exchange reports, in order."""
        self._listeners.append(listener)

    def _report(self, events: Sequence[ExchangeEvent]) -> None:
        if not events:
            return
        for event in events:
            if isinstance(event, Traded):
                trade = event.trade
                self.world.trade(trade.instrument_key, to_rupees(trade.price), trade.qty, trade.t_ns)
        for listener in self._listeners:
            listener(events)

    # --- the account ---------------------------------------------------------------------------------

    def _demo_holdings(self) -> list[Holding]:
        """A few shares, so that delivery sales and the holdings page have something to work on."""
        shares = [one for one in self.world.instruments if one.kind is InstrumentKind.EQUITY and one.isin]
        holdings = []
        for share, (qty, t1_qty) in zip(shares, _DEMO_HOLDINGS, strict=False):
            close = to_price(self.close_of(share.key) or self.last_of(share.key))
            paid = floor_to_tick(Price(close * (100 - _HOLDING_DISCOUNT_PCT) // 100), share.tick_size)
            if paid > 0:
                holdings.append(Holding(share.key, qty, t1_qty, 0, paid))
        return holdings
