"""The paper broker: our own exchange core fed with live quotes.

It lives in event time and nothing else: a command submitted at engine time *t* takes effect at the first
observed event at or after *t* plus latency, after that event's market data went into the books. So a paper
order never fills on a price that was gone before it could have arrived, and the same events always give the
same fills. Charges are reckoned elsewhere.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence

from tradetui.brokers.paper_events import (
    fill_of,
    first_serial,
    gtt_update_of,
    lost_with_restart,
    unlisted,
    update_of,
)
from tradetui.brokers.paper_market import LatestMarket
from tradetui.brokers.paper_restore import filled_by_order, gtt_state_of, state_of, with_fills
from tradetui.domain.calendar.ist import ist_date
from tradetui.domain.conversion import Conversion
from tradetui.domain.errors import CalendarUnknown
from tradetui.domain.events import (
    AccountSnapshot,
    BrokerPosition,
    Evidence,
    FillEvent,
    GttUpdate,
    Holding,
    OrderUpdate,
    RequestAccepted,
    RequestRefused,
    RequestSent,
    TagAbsence,
    TickEvent,
    TimeEvent,
)
from tradetui.domain.gtt import Gtt
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Money, Price, to_money
from tradetui.domain.order import Fill, Order, OrderType
from tradetui.domain.position import Position
from tradetui.domain.requests import (
    CancelGtt,
    CancelOrder,
    Command,
    ConvertPosition,
    ModifyGtt,
    ModifyOrder,
    PlaceGtt,
    PlaceOrder,
    ProbeTag,
    Reconcile,
)
from tradetui.exchange.exchange import Exchange
from tradetui.exchange.orders import (
    Amendment,
    ExchangeEvent,
    GttChanged,
    OrderChanged,
    Reply,
)
from tradetui.exchange.rules import RuleBook
from tradetui.exchange.sessions import Phase, PhaseOf
from tradetui.ports import EventSink

ACCOUNT = "PAPER"
DEFAULT_CAPITAL = to_money(50_000)
_NS_PER_MS = 1_000_000
_Writes = PlaceOrder | ModifyOrder | CancelOrder | PlaceGtt | ModifyGtt | CancelGtt | ConvertPosition
_KINDS: dict[type[object], str] = {
    PlaceOrder: "place",
    ModifyOrder: "modify",
    CancelOrder: "cancel",
    PlaceGtt: "gtt place",
    ModifyGtt: "gtt modify",
    CancelGtt: "gtt cancel",
    ConvertPosition: "convert",
}


class PaperBroker:
    """An account of `ports.Broker` that trades against live quotes and never reaches an exchange.

    Args:
        instruments: Instrument by slot; may be a list that grows while running.
        phase_of: Phase word of an instrument at an instant; a year without calendar data counts as closed.
        capital: Cash before ``positions`` were opened, 1/10,000 rupee.
        positions: Positions before the first of ``fills``, with their cost and realised profit. One in an
            instrument that is no longer listed stays as it is: held at its cost, closed to orders.
        orders: Orders of earlier runs of the day that still work.
        fills: Trades of earlier runs of the day: booked on top of ``positions``, reported again, and their
            numbers are not given out twice.
        holdings: Shares in the demat account.
        gtts: Good-till-triggered orders of earlier runs that still work.
        conversions: Conversions of earlier runs of the day, each with the number of ``fills`` before it.
        square_off_s: Second of the day, IST, at which intraday positions are closed as a broker does it; ``None``
            for never.
        latency_ms: From submit to effect.
        stale_after_s: Depth older than this is not traded against.
        start_ns: Engine time at construction, UTC ns; also keeps order numbers of one day's runs apart.
        rule_book: Switches of the exchange's rules.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        phase_of: PhaseOf,
        *,
        capital: Money = DEFAULT_CAPITAL,
        positions: Iterable[Position] = (),
        orders: Iterable[Order] = (),
        fills: Iterable[Fill] = (),
        holdings: Iterable[Holding] = (),
        gtts: Iterable[Gtt] = (),
        conversions: Iterable[tuple[int, Conversion]] = (),
        square_off_s: int | None = None,
        latency_ms: int = 150,
        stale_after_s: float = 60.0,
        start_ns: int = 0,
        rule_book: RuleBook | None = None,
    ) -> None:
        self._instruments = instruments
        self._slots: dict[str, int] = {}
        self._phase_of = phase_of
        self._latency_ns = latency_ms * _NS_PER_MS
        self._stale_ns = int(stale_after_s * 1e9)
        self._now_ns = start_ns
        self._sink: EventSink | None = None
        self._queue: list[tuple[int, int, Command]] = []
        self._submitted = 0
        self._market = LatestMarket()
        self._hot: dict[int, str] = {}
        carried, self._old_fills = list(orders), list(fills)
        self._exchange = Exchange(
            (),
            self._phase,
            rule_book=rule_book,
            first_serial=first_serial(start_ns, carried, self._old_fills),
        )
        self._exchange.risk.source = self._risk_price
        self._list_new()
        held = self._held(positions, conversions)
        self._exchange.add_account(ACCOUNT, capital, held, holdings)
        self._exchange.set_cut_off(square_off_s)
        self._lost = [self._restore(order) for order in carried if order.status.working and order.broker_id]
        filled = filled_by_order(self._old_fills, carried)
        for gtt in gtts:
            if gtt.status.working and gtt.gtt_id:
                self._restore_gtt(gtt, filled)

    # --- ports.Broker ---------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Always ``paper``."""
        return "paper"

    @property
    def live(self) -> bool:
        """Never: no order leaves the process."""
        return False

    async def start(self, sink: EventSink) -> None:
        """Report the account as it stands."""
        self._sink = sink
        self._report(self._now_ns, self._now_ns)

    def submit(self, command: Command) -> None:
        """Queue a command; it takes effect with a later event."""
        self._submitted += 1
        heapq.heappush(self._queue, (command.t_ns + self._latency_ns, self._submitted, command))

    def observe(self, event: TickEvent | TimeEvent) -> None:
        """Let resting orders meet the market of this event, then let due commands take effect."""
        t_ns = self._now_ns = max(self._now_ns, event.t_ns)
        if isinstance(event, TickEvent):
            for slot, seen, deep in self._market.take(event.batch, t_ns, self._hot):
                key = self._hot[slot]
                if seen is not None:
                    self._tell(self._exchange.external_trade(key, seen.price, seen.qty, t_ns))
                if deep:
                    self._show_depth(slot, key, t_ns)
                self._keep_hot(slot, key)
        elif self._hot:
            self._tell(self._exchange.advance(t_ns))
            self._cool()
        self._open_doors(t_ns)
        while self._queue and self._queue[0][0] <= t_ns:
            self._execute(heapq.heappop(self._queue)[2], t_ns)
            self._cool()

    def _open_doors(self, t_ns: int) -> None:
        """Let after-market orders in when their session begins, into a book that shows the latest quotes."""
        due = self._exchange.due_keys(t_ns)
        for key in due:
            self._load(self._slots[key], key, t_ns)
            self._hot[self._slots[key]] = key
        if due:
            self._tell(self._exchange.advance(t_ns))
            self._cool()

    async def close(self) -> None:
        """Stop reporting. Commands not yet due are dropped: they never reached the (paper) exchange.

        After a restart the engine finds their tags absent, as it would with a real broker.
        """
        self._queue.clear()
        self._sink = None

    # --- reading, for screens and tests ---------------------------------------------------------------

    @property
    def exchange(self) -> Exchange:
        """The exchange behind it (read it, do not change it)."""
        return self._exchange

    # --- commands -------------------------------------------------------------------------------------

    def _execute(self, command: Command, t_ns: int) -> None:
        if isinstance(command, _Writes):
            # In truth the bytes would have left when the command was given, a latency ago.
            self._emit(RequestSent(command.t_ns, _KINDS[type(command)], command.tag))
        match command:
            case PlaceOrder():
                self._place(command, t_ns)
            case ModifyOrder():
                self._warm(command.broker_id, t_ns)
                terms = Amendment(
                    command.qty,
                    command.price,
                    command.trigger_price,
                    command.order_type,
                    command.validity,
                    command.disclosed_qty,
                    command.protection_pct,
                )
                reply = self._exchange.modify(ACCOUNT, command.broker_id, terms, t_ns)
                self._answer(command, reply, t_ns)
            case CancelOrder():
                reply = self._exchange.cancel(ACCOUNT, command.broker_id, t_ns)
                self._answer(command, reply, t_ns)
            case PlaceGtt():
                self._place_gtt(command, t_ns)
            case ModifyGtt():
                asked = command.request
                reply = self._exchange.modify_gtt(ACCOUNT, command.gtt_id, asked.qty, asked.rules, t_ns)
                self._answer(command, reply, t_ns)
            case CancelGtt():
                self._answer(command, self._exchange.cancel_gtt(ACCOUNT, command.gtt_id, t_ns), t_ns)
            case ConvertPosition():
                reply = self._exchange.convert(
                    ACCOUNT, command.instrument_key, command.side, command.qty, command.old, command.new, t_ns
                )
                self._answer(command, reply, t_ns)
            case ProbeTag():
                found = self._exchange.by_tag(ACCOUNT, command.tag)
                for order in found:
                    self._emit(update_of(order, t_ns, Evidence.POLL))
                if not found:
                    self._emit(TagAbsence(t_ns, command.tag))
            case Reconcile():
                self._report(t_ns, command.t_ns)

    def _ready(self, command: PlaceOrder | PlaceGtt, t_ns: int) -> int | None:
        """The slot of an order's instrument, its book loaded; ``None`` when it is not listed."""
        key = command.request.instrument_key
        self._list_new()
        slot = self._slots.get(key)
        if slot is None:
            words = f"{key} is not listed here: it has expired, or is not among this run's instruments"
            self._emit(RequestRefused(t_ns, _KINDS[type(command)], command.tag, "UDAPI100011", words))
        elif slot not in self._hot:
            self._load(slot, key, t_ns)
        return slot

    def _place_gtt(self, command: PlaceGtt, t_ns: int) -> None:
        slot = self._ready(command, t_ns)
        if slot is not None:
            self._answer(command, self._exchange.place_gtt(ACCOUNT, command.request, t_ns), t_ns)
            self._keep_hot(slot, command.request.instrument_key)

    def _place(self, command: PlaceOrder, t_ns: int) -> None:
        slot, key = self._ready(command, t_ns), command.request.instrument_key
        if slot is None:
            return
        why = self._no_quotes(slot, t_ns) if command.request.order_type is OrderType.MARKET else ""
        if why:
            self._emit(RequestRefused(t_ns, "place", command.tag, "PAPER", why))
        else:
            reply = self._exchange.place(ACCOUNT, command.request, command.tag, t_ns)
            self._answer(command, reply, t_ns)
        self._keep_hot(slot, key)

    def _answer(self, command: _Writes, reply: Reply, t_ns: int) -> None:
        """Acknowledgement first, then what came of it; a refusal comes after what made it too late."""
        kind = _KINDS[type(command)]
        if reply.refusal is not None:
            self._tell(reply.events)
            refusal = reply.refusal
            self._emit(RequestRefused(t_ns, kind, command.tag, refusal.code, refusal.message))
            return
        waited_ms = (t_ns - command.t_ns) // _NS_PER_MS
        self._emit(RequestAccepted(t_ns, kind, command.tag, reply.order_id, waited_ms))
        self._tell(reply.events)

    def _report(self, t_ns: int, asked_ns: int) -> None:
        self._tell(self._exchange.advance(t_ns))
        orders = self._exchange.orders(ACCOUNT)
        today = ist_date(t_ns)
        funds = self._exchange.funds(ACCOUNT)
        shown = [o for o in orders if not o.status.terminal or ist_date(o.placed_ns) == today]
        self._emit(
            AccountSnapshot(
                t_ns,
                asked_ns,
                tuple(update_of(order, t_ns, Evidence.POLL) for order in shown)
                + tuple(lost_with_restart(order, t_ns) for order in self._lost if order is not None),
                (
                    *self._old_fills,
                    *(fill_of(trade) for trade in self._exchange.trades(ACCOUNT, day_ns=t_ns)),
                ),
                tuple(
                    BrokerPosition(p.instrument_key, p.product, p.qty, p.average_price, p.realised)
                    for p in self._exchange.positions(ACCOUNT)
                ),
                tuple(self._exchange.holdings(ACCOUNT)),
                funds.available,
                funds.used,
                gtts=tuple(
                    gtt_update_of(gtt, t_ns, Evidence.POLL)
                    for gtt in self._exchange.gtts(ACCOUNT)
                    if gtt.active or ist_date(gtt.updated_ns) == today
                ),
            )
        )

    # --- market ---------------------------------------------------------------------------------------

    def _risk_price(self, key: str) -> Price | None:
        """What a contract or an underlying stands at, for margins by scenario."""
        slot = self._slots.get(key)
        return self._market.last(slot) if slot is not None else None

    def _no_quotes(self, slot: int, t_ns: int) -> str:
        """Why a market order has nothing to trade against; empty when it has."""
        symbol, since = self._instruments[slot].symbol, self._market.depth_ns(slot)
        if not since:
            return f"no live depth for {symbol}: a paper MARKET order needs it; use LIMIT or subscribe in full mode"
        age_s = (t_ns - since) / 1e9
        if t_ns - since > self._stale_ns:
            return f"depth of {symbol} is {age_s:.0f} s old: MARKET refused; use LIMIT or wait for a quote"
        return ""

    def _warm(self, order_id: str, t_ns: int) -> None:
        """A restored order that is modified before its first tick needs its book loaded."""
        order = self._exchange.order(ACCOUNT, order_id)
        if order is not None and order.key in self._slots and self._slots[order.key] not in self._hot:
            self._load(self._slots[order.key], order.key, t_ns)

    def _load(self, slot: int, key: str, t_ns: int) -> None:
        """Bring an idle book up to the latest quotes."""
        last = self._market.last(slot)
        if last is not None:
            self._exchange.set_last(key, last)
        if self._no_quotes(slot, t_ns):
            self._exchange.forget_external(key)
        else:
            self._show_depth(slot, key, t_ns)

    def _show_depth(self, slot: int, key: str, t_ns: int) -> None:
        if self._market.depth_ns(slot):
            bids, asks = self._market.depth(slot)
            self._tell(self._exchange.set_external(key, bids, asks, t_ns))
        else:
            self._exchange.forget_external(key)

    def _keep_hot(self, slot: int, key: str) -> None:
        """Follow an instrument tick by tick only while orders work in it or its book carries our marks."""
        if self._exchange.watches(key) or self._exchange.book(key).has_marks:
            self._hot[slot] = key
        else:
            self._hot.pop(slot, None)

    def _cool(self) -> None:
        for slot, key in list(self._hot.items()):
            self._keep_hot(slot, key)

    def _phase(self, instrument: Instrument, t_ns: int) -> str:
        try:
            return self._phase_of(instrument, t_ns)
        except CalendarUnknown:
            return Phase.CLOSED.value

    def _list_new(self) -> None:
        for slot in range(len(self._slots), len(self._instruments)):
            instrument = self._instruments[slot]
            self._slots[instrument.key] = slot
            self._exchange.list_instrument(instrument)

    # --- telling --------------------------------------------------------------------------------------

    def _emit(self, event: _Told) -> None:
        if self._sink is not None:
            self._sink(event)

    def _tell(self, events: Sequence[ExchangeEvent]) -> None:
        """Report fills and every status an order can rest in; steps on the way stay in its history."""
        for event in events:
            if isinstance(event, GttChanged):
                self._emit(gtt_update_of(event.gtt, event.t_ns, Evidence.STREAM))
            elif not isinstance(event, OrderChanged):
                self._emit(FillEvent(event.t_ns, fill_of(event.trade)))
            elif event.order.status.resting:
                self._emit(update_of(event.order, event.t_ns, Evidence.STREAM))

    def _held(
        self, positions: Iterable[Position], conversions: Iterable[tuple[int, Conversion]]
    ) -> list[Position]:
        """Carried positions with the day's earlier trades and conversions on top."""
        book = with_fills(positions, self._old_fills, conversions, self._multipliers())
        for key in sorted({key for key, _ in book}):
            if key not in self._slots:
                self._exchange.list_instrument(unlisted(key))
        return list(book.values())

    def _multipliers(self) -> dict[str, int]:
        return {one.key: one.multiplier for one in self._instruments if one.key in self._slots}

    def _restore(self, order: Order) -> Order | None:
        """Seat an order of an earlier run again; returns it when that is impossible."""
        slot = self._slots.get(order.request.instrument_key)
        state = state_of(order, ACCOUNT) if slot is not None else None
        if slot is None or state is None:
            return order
        self._exchange.restore(state)
        self._hot[slot] = order.request.instrument_key
        return None

    def _restore_gtt(self, gtt: Gtt, filled: Mapping[str, int]) -> None:
        slot = self._slots.get(gtt.request.instrument_key)
        if slot is not None:
            self._exchange.restore_gtt(gtt_state_of(gtt, ACCOUNT, filled), filled)
            self._hot[slot] = gtt.request.instrument_key


_Told = (
    AccountSnapshot
    | FillEvent
    | GttUpdate
    | OrderUpdate
    | RequestAccepted
    | RequestRefused
    | RequestSent
    | TagAbsence
)
