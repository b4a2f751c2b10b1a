"""Good-till-triggered orders: rules that watch the last price and become orders of the exchange.

`upstox.md` 2.6 in code. An ENTRY rule fires once; its child is a plain LIMIT at the trigger, widened by the
protection, and rests as any other order: so the price must come twice, to trigger and to fill. When the entry has
filled, TARGET and STOPLOSS are armed over what it filled; the first to trigger cancels the other. Nobody looks
whether the position still exists.

How the statuses of a rule are read here (the broker documents the words, not the moves):

- entry: ``SCHEDULED`` waits, ``TRIGGERED`` for the moment of firing, ``OPEN`` while its child works, then
  ``COMPLETED`` (filled), ``CANCELLED`` (the child ended otherwise) or ``FAILED`` (the child was rejected).
- exit: ``INACTIVE`` until the entry has filled, ``OPEN`` while it watches, ``TRIGGERED`` while its child works,
  then as the entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from tradetui.domain.calendar.ist import DAY_NS, day_start_ns, ist_date
from tradetui.domain.gtt import GttRequest, GttRule, GttStrategy, GttTrigger, RuleState, RuleStatus
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Price, ceil_to_tick, floor_to_tick, nearest_tick
from tradetui.domain.order import OrderRequest, OrderType, Product, Side
from tradetui.exchange.gtt_rules import refuse_change, refuse_new
from tradetui.exchange.matching import Matcher
from tradetui.exchange.orders import GttChanged, GttState, OrderState, RawStatus, Refusal
from tradetui.exchange.rules import NO_BAND, Band, protected_price

_YEAR_NS = 365 * DAY_NS
_NOT_FOUND = "UDAPI100010"
_CANCEL_FINISHED = "UDAPI100040"
_MODIFY_FINISHED = "UDAPI100041"
_EXITS = (GttStrategy.STOPLOSS, GttStrategy.TARGET)
"""The stop is asked first: when one jump of the price reaches both, the worse one counts."""

PlaceChild = Callable[[str, OrderRequest, str, int], "str | Refusal"]
"""(account, terms, GTT id, UTC ns) -> order id, or why not even an order was made."""


def expiry_ns(product: Product, t_ns: int) -> int:
    """When a GTT placed now ends by itself: an intraday one with the day, any other after one year."""
    return day_start_ns(ist_date(t_ns)) + DAY_NS if product is Product.INTRADAY else t_ns + _YEAR_NS


def child_price(instrument: Instrument, side: Side, rule: GttRule, band: Band) -> Price:
    """Limit price of a rule's child: the trigger, widened by the protection (0: not at all)."""
    tick = instrument.tick_size
    if rule.protection_pct:
        base = nearest_tick(rule.trigger_price, tick)
        return protected_price(instrument, side, base, rule.protection_pct, band)
    rounded = floor_to_tick if side is Side.BUY else ceil_to_tick
    return rounded(rule.trigger_price, tick)


class GttDesk:
    """All GTTs of an exchange.

    Args:
        matcher: Orders, last prices, and where events are told.
        instruments: Everything listed.
        bands: Price limits of the day.
        place: Places a child order.
        first_serial: Where the numbers of GTTs start.
    """

    def __init__(
        self,
        matcher: Matcher,
        instruments: Mapping[str, Instrument],
        bands: Mapping[str, Band],
        place: PlaceChild,
        first_serial: int,
    ) -> None:
        self.gtts: dict[str, GttState] = {}
        self.by_key: dict[str, dict[str, None]] = {}
        """Active GTTs of each instrument: the hot path looks here and nowhere else."""
        self._matcher = matcher
        self._instruments = instruments
        self._bands = bands
        self._place_child = place
        self._serial = first_serial
        self._next_expiry_ns: int | None = None

    # --- requests -------------------------------------------------------------------------------------

    def place(self, account_id: str, request: GttRequest, t_ns: int) -> str | Refusal:
        """Take a new GTT; returns its id. One that enters at once has its child at once."""
        instrument = self._instruments.get(request.instrument_key)
        refusal = refuse_new(instrument, request, self._matcher.last.get(request.instrument_key))
        if refusal is not None:
            return refusal
        gtt_id = f"GTT-C{ist_date(t_ns):%y%m%d}{self._serial:08d}"
        self._serial += 1
        gtt = GttState(
            gtt_id, account_id, request, _first_states(request), t_ns, t_ns,
            expiry_ns(request.product, t_ns),
        )  # fmt: skip
        self._put(gtt)
        self._start(gtt, t_ns)
        return gtt_id

    def modify(
        self, account_id: str, gtt_id: str, qty: int, rules: tuple[GttRule, ...], t_ns: int
    ) -> str | Refusal:
        """Replace quantity and rules. Once the entry is an order, only the exits can change."""
        gtt = self._own(account_id, gtt_id)
        if gtt is None:
            return Refusal(_NOT_FOUND, f"GTT {gtt_id} not found")
        if not gtt.active:
            return Refusal(_MODIFY_FINISHED, f"GTT {gtt_id} has ended")
        request = replace(gtt.request, qty=qty, rules=rules)
        instrument, last = self._instruments[gtt.key], self._matcher.last.get(gtt.key)
        entry = gtt.rule(GttStrategy.ENTRY)
        assert entry is not None
        if entry.status is RuleStatus.SCHEDULED:
            refusal = refuse_new(instrument, request, last)
            if refusal is None:
                gtt = replace(gtt, request=request, rules=_first_states(request), updated_ns=t_ns)
                self._put(gtt)
                self._start(gtt, t_ns)
        else:
            refusal = refuse_change(instrument, gtt, request, last)
            if refusal is None:
                self._put(replace(gtt, request=request, rules=_changed(gtt, request), updated_ns=t_ns))
        return refusal or gtt_id

    def cancel(self, account_id: str, gtt_id: str, t_ns: int) -> str | Refusal:
        """End a GTT with all its rules; a child that still works is cancelled with it."""
        gtt = self._own(account_id, gtt_id)
        if gtt is None:
            return Refusal(_NOT_FOUND, f"GTT {gtt_id} not found")
        if not gtt.active:
            return Refusal(_CANCEL_FINISHED, f"GTT {gtt_id} has ended")
        self._end(gtt, RuleStatus.CANCELLED, "cancelled by the user", t_ns)
        return gtt_id

    def end_intraday(self, account_id: str, words: str, t_ns: int) -> None:
        """Cancel every intraday GTT of an account."""
        for gtt in [g for g in self.gtts.values() if g.account_id == account_id and g.active]:
            if gtt.request.product is Product.INTRADAY:
                self._end(gtt, RuleStatus.CANCELLED, words, t_ns)

    def restore(self, gtt: GttState, filled: Mapping[str, int]) -> None:
        """Take a GTT of an earlier run up again; nothing is reported.

        Args:
            gtt: Its last known state.
            filled: Units that finished child orders have filled, by order id.
        """
        rules = []
        for rule in gtt.rules:
            lost = rule.order_id and not rule.status.terminal and rule.order_id not in self._matcher.orders
            if lost:
                done = filled.get(rule.order_id, 0)
                whole = done >= (gtt.exit_qty or gtt.request.qty)
                status = RuleStatus.COMPLETED if whole else RuleStatus.CANCELLED
                rule = replace(rule, status=status, raw_status=status.value)
                if rule.rule.strategy is GttStrategy.ENTRY:
                    gtt = replace(gtt, exit_qty=done)
            rules.append(rule)
        gtt = replace(gtt, rules=tuple(rules))
        entry = gtt.rule(GttStrategy.ENTRY)
        if entry is not None and entry.status is RuleStatus.COMPLETED and not gtt.exit_qty:
            gtt = replace(gtt, exit_qty=filled.get(entry.order_id, gtt.request.qty))
        if entry is not None and entry.status.terminal:
            armed = RuleStatus.OPEN if gtt.exit_qty else RuleStatus.CANCELLED
            gtt = self._waiting(gtt, armed, "", gtt.updated_ns)
        self._keep(gtt)

    # --- the market -----------------------------------------------------------------------------------

    def react(self, key: str, t_ns: int, *, trading: bool) -> None:
        """Follow children that moved, and fire rules that the last price reaches (while it trades)."""
        moved = True
        while moved:
            moved = False
            for gtt_id in list(self.by_key.get(key, ())):
                moved |= self._step(self.gtts[gtt_id], t_ns, trading=trading)

    def expire(self, t_ns: int) -> None:
        """End what has outlived its time. Cheap while nothing has."""
        if self._next_expiry_ns is None or t_ns < self._next_expiry_ns:
            return
        for gtt in [g for g in self.gtts.values() if g.active and g.expires_ns <= t_ns]:
            self._end(gtt, RuleStatus.EXPIRED, "expired", t_ns)
        self._next_expiry_ns = min((g.expires_ns for g in self.gtts.values() if g.active), default=None)

    # --- inside ---------------------------------------------------------------------------------------

    def _own(self, account_id: str, gtt_id: str) -> GttState | None:
        gtt = self.gtts.get(gtt_id)
        return gtt if gtt is not None and gtt.account_id == account_id else None

    def _keep(self, gtt: GttState) -> None:
        self.gtts[gtt.gtt_id] = gtt
        watched = self.by_key.setdefault(gtt.key, {})
        if gtt.active:
            watched[gtt.gtt_id] = None
            if self._next_expiry_ns is None or gtt.expires_ns < self._next_expiry_ns:
                self._next_expiry_ns = gtt.expires_ns
        else:
            watched.pop(gtt.gtt_id, None)
        if not watched:
            del self.by_key[gtt.key]

    def _put(self, gtt: GttState) -> GttState:
        self._keep(gtt)
        self._matcher.tell(GttChanged(gtt.updated_ns, gtt))
        return gtt

    def _set(
        self,
        gtt: GttState,
        strategy: GttStrategy,
        status: RuleStatus,
        t_ns: int,
        message: str = "",
        order_id: str = "",
    ) -> GttState:
        rules = tuple(
            replace(
                rule,
                status=status,
                raw_status=status.value,
                message=message,
                order_id=order_id or rule.order_id,
            )
            if rule.rule.strategy is strategy
            else rule
            for rule in gtt.rules
        )
        return replace(gtt, rules=rules, updated_ns=t_ns)

    def _start(self, gtt: GttState, t_ns: int) -> None:
        entry = gtt.request.rule(GttStrategy.ENTRY)
        assert entry is not None
        if entry.trigger is GttTrigger.IMMEDIATE:
            self._fire(gtt, GttStrategy.ENTRY, t_ns)

    def _end(self, gtt: GttState, status: RuleStatus, words: str, t_ns: int) -> None:
        ended = gtt
        for rule in gtt.rules:
            if not rule.status.terminal:
                ended = self._set(ended, rule.rule.strategy, status, t_ns, words)
        self._put(ended)
        for rule in gtt.rules:
            child = self._matcher.orders.get(rule.order_id)
            if child is not None and not child.status.terminal and status is RuleStatus.CANCELLED:
                self._matcher.cancel(child.order_id, t_ns, f"{words}, with its GTT")

    def _step(self, gtt: GttState, t_ns: int, *, trading: bool) -> bool:
        """One move of one GTT; whether there was any."""
        for rule in gtt.rules:
            child = self._matcher.orders.get(rule.order_id) if not rule.status.terminal else None
            if child is not None and child.status.terminal:
                self._settle(gtt, rule, child, t_ns)
                return True
        last = self._matcher.last.get(gtt.key)
        if last is None or not trading:
            return False
        entry = gtt.rule(GttStrategy.ENTRY)
        if entry is not None and entry.status is RuleStatus.SCHEDULED:
            if _entry_hit(entry.rule, last):
                self._fire(gtt, GttStrategy.ENTRY, t_ns)
                return True
            return False
        gtt = self._trail(gtt, last)
        for strategy in _EXITS:
            way_out = gtt.rule(strategy)
            if way_out is None or way_out.status is not RuleStatus.OPEN:
                continue
            if _exit_hit(gtt.request.side, way_out.rule, last):
                self._fire(gtt, strategy, t_ns)
                return True
        return False

    def _fire(self, gtt: GttState, strategy: GttStrategy, t_ns: int) -> None:
        """Turn a rule into an order."""
        is_entry = strategy is GttStrategy.ENTRY
        gtt = self._set(gtt, strategy, RuleStatus.TRIGGERED, t_ns)
        if not is_entry:
            for other in gtt.rules:
                if other.rule.strategy is not strategy and not other.status.terminal:
                    gtt = self._set(
                        gtt, other.rule.strategy, RuleStatus.CANCELLED, t_ns, "the other exit triggered"
                    )
        self._put(gtt)
        state = gtt.rule(strategy)
        assert state is not None
        side = gtt.request.side if is_entry else gtt.request.side.opposite
        price = child_price(self._instruments[gtt.key], side, state.rule, self._bands.get(gtt.key, NO_BAND))
        terms = OrderRequest(
            gtt.key, side, gtt.request.qty if is_entry else gtt.exit_qty, gtt.request.product,
            OrderType.LIMIT, price, source="gtt",
        )  # fmt: skip
        child = self._place_child(gtt.account_id, terms, gtt.gtt_id, t_ns)
        if isinstance(child, Refusal):
            self._fail(gtt, state, child.message, t_ns)
            return
        status = RuleStatus.OPEN if is_entry else RuleStatus.TRIGGERED
        self._put(self._set(gtt, strategy, status, t_ns, order_id=child))

    def _settle(self, gtt: GttState, rule: RuleState, child: OrderState, t_ns: int) -> None:
        """A child has ended: say how, and arm the exits over what an entry filled."""
        strategy = rule.rule.strategy
        if child.status is RawStatus.REJECTED:
            self._fail(gtt, rule, child.message, t_ns)
            return
        status = RuleStatus.COMPLETED if child.status is RawStatus.COMPLETE else RuleStatus.CANCELLED
        gtt = self._set(gtt, strategy, status, t_ns, child.message)
        if strategy is GttStrategy.ENTRY:
            if child.filled_qty:
                gtt = replace(gtt, exit_qty=child.filled_qty, best=self._matcher.last.get(gtt.key, Price(0)))
                gtt = self._waiting(gtt, RuleStatus.OPEN, "", t_ns)
            else:
                gtt = self._waiting(gtt, RuleStatus.CANCELLED, "the entry did not fill", t_ns)
        self._put(gtt)

    def _fail(self, gtt: GttState, rule: RuleState, words: str, t_ns: int) -> None:
        gtt = self._set(gtt, rule.rule.strategy, RuleStatus.FAILED, t_ns, words)
        if rule.rule.strategy is GttStrategy.ENTRY:
            gtt = self._waiting(gtt, RuleStatus.CANCELLED, "the entry failed", t_ns)
        self._put(gtt)

    def _waiting(self, gtt: GttState, status: RuleStatus, words: str, t_ns: int) -> GttState:
        """Give every exit that waited for the entry its next status."""
        for rule in gtt.rules:
            if rule.status is RuleStatus.INACTIVE:
                gtt = self._set(gtt, rule.rule.strategy, status, t_ns, words)
        return gtt

    def _trail(self, gtt: GttState, last: Price) -> GttState:
        """Let an armed stop follow the price; it never goes back, and says nothing."""
        stop = gtt.rule(GttStrategy.STOPLOSS)
        if stop is None or stop.status is not RuleStatus.OPEN or not stop.rule.trailing_gap:
            return gtt
        sign = gtt.request.side.sign
        best = gtt.best if gtt.best and (last - gtt.best) * sign <= 0 else last
        tick = self._instruments[gtt.key].tick_size
        wanted = best - sign * stop.rule.trailing_gap
        wanted = floor_to_tick(Price(wanted), tick) if sign > 0 else ceil_to_tick(Price(wanted), tick)
        if (wanted - stop.rule.trigger_price) * sign <= 0:
            moved = stop
        else:
            moved = replace(stop, rule=replace(stop.rule, trigger_price=wanted))
        if best == gtt.best and moved is stop:
            return gtt
        rules = tuple(moved if rule is stop else rule for rule in gtt.rules)
        gtt = replace(gtt, rules=rules, best=best)
        self._keep(gtt)
        return gtt


def _first_states(request: GttRequest) -> tuple[RuleState, ...]:
    states = []
    for rule in request.rules:
        entry = rule.strategy is GttStrategy.ENTRY
        status = RuleStatus.SCHEDULED if entry else RuleStatus.INACTIVE
        states.append(RuleState(rule, status, status.value))
    return tuple(states)


def _changed(gtt: GttState, request: GttRequest) -> tuple[RuleState, ...]:
    """The states under new exit rules; the entry, and an exit that has fired, stay as they are."""
    entry = gtt.rule(GttStrategy.ENTRY)
    assert entry is not None
    fresh = RuleStatus.OPEN if gtt.exit_qty else RuleStatus.INACTIVE
    states = []
    for rule in request.rules:
        now = gtt.rule(rule.strategy)
        if rule.strategy is GttStrategy.ENTRY:
            states.append(entry)
        elif now is None:
            states.append(RuleState(rule, fresh, fresh.value))
        else:
            states.append(replace(now, rule=rule) if not (now.order_id or now.status.terminal) else now)
    return tuple(states)


def _entry_hit(rule: GttRule, last: Price) -> bool:
    return last >= rule.trigger_price if rule.trigger is GttTrigger.ABOVE else last <= rule.trigger_price


def _exit_hit(entry_side: Side, rule: GttRule, last: Price) -> bool:
    rising = (rule.strategy is GttStrategy.TARGET) is (entry_side is Side.BUY)
    return last >= rule.trigger_price if rising else last <= rule.trigger_price
