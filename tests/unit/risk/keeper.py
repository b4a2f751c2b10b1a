"""A bookkeeper of the tests' own: counts what went in and came out, and names the limit that an order breaches."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

from tests.fixtures.engine_rig import DAY, SECOND, Rig
from tests.unit.exchange.support import CALL, SHARE, order
from tradetui.domain.calendar.ist import ns
from tradetui.domain.events import (
    AccountSnapshot,
    BandsEvent,
    DayBand,
    FeedState,
    OperatorKind,
    RequestUnknown,
)
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import to_money, to_price
from tradetui.domain.order import Order, OrderRequest, OrderStatus, Product, Side
from tradetui.domain.requests import PlaceOrder
from tradetui.risk.limits import Limits

INSTRUMENTS = (SHARE, CALL)
STRATEGY = "said"
STEPS = st.lists(
    st.one_of(
        *[
            st.tuples(
                st.just("ask"),
                st.sampled_from(INSTRUMENTS),
                st.sampled_from([Side.BUY, Side.BUY, Side.SELL]),
                st.sampled_from([65, 65, 65, 130, 1]),
                st.sampled_from([Product.INTRADAY, Product.DELIVERY]),
                st.sampled_from(["manual", "manual", STRATEGY]),
                st.sampled_from([0.0] * 9 + [0.2]),
            )
        ]
        * 4,
        *[st.tuples(st.just("fill"), st.integers(0, 5))] * 2,
        st.tuples(
            st.just("price"),
            st.sampled_from(INSTRUMENTS),
            st.sampled_from([95.0, 98.0, 99.0, 100.0, 101.0, 105.0]),
        ),
        st.one_of(
            st.tuples(st.just("cancelled"), st.integers(0, 5)),
            st.tuples(st.just("lost"), st.integers(0, 5)),
            st.tuples(st.just("pass"), st.sampled_from([0.1, 1.0, 20.0, 90.0])),
            st.tuples(st.just("lock"), st.sampled_from([(), (), (), (), ("NSE_EQ",), ("NSE_FO",)])),
            st.tuples(st.just("feed"), st.sampled_from([FeedState.UP] * 5 + [FeedState.DOWN])),
            st.tuples(st.just("operator"), st.sampled_from([OperatorKind.RESUME] * 5 + [OperatorKind.KILL])),
            st.tuples(
                st.just("band"),
                st.sampled_from(INSTRUMENTS),
                st.sampled_from([(50.0, 150.0)] * 3 + [(97.0, 102.0)]),
            ),
        ),
    ),
    min_size=20,
    max_size=50,
)


class Breached(Exception):
    """An order left that breaches a limit.

    Args:
        limit: Which.
    """

    def __init__(self, limit: str) -> None:
        super().__init__(limit)
        self.limit = limit


@dataclass(frozen=True)
class Pressure:
    """What a run presses against.

    Attributes:
        limits: Numbers that the steps can reach.
        funds: Rupees that the broker says are available, once.
        later_s: Seconds after 10:00 at which it begins.
        latched: Breakers latch as they do; else only the rule itself stands in the way.
    """

    limits: Limits
    funds: int = 10**8
    later_s: float = 0.0
    latched: bool = True


@dataclass
class Keeper:
    """Knows nothing of the gate but the numbers of its limits."""

    rig: Rig
    limits: Limits
    funds: int
    cash: dict[str, int] = field(default_factory=dict)
    qty: dict[tuple[str, Product], int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    working: dict[str, Order] = field(default_factory=dict)
    bands: dict[str, tuple[int, int]] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    entries: int = 0
    sent_ns: list[int] = field(default_factory=list)
    strategy_ns: dict[str, int] = field(default_factory=dict)
    locked: tuple[str, ...] = ()
    halted: bool = False
    up: bool = True

    def net(self) -> int:
        worth = sum(qty * self.last[key] for (key, _), qty in self.qty.items())
        return sum(self.cash.values()) + worth - self.rig.engine.desk.figures.day_charges()

    def reducing(self, request: OrderRequest) -> bool:
        at = (request.instrument_key, request.product)
        held = self.qty.get(at, 0)
        resting = sum(
            one.request.qty for one in self.working.values()
            if (one.request.instrument_key, one.request.product) == at and one.request.side is request.side
        )  # fmt: skip
        return held * request.side.sign < 0 and request.qty + resting <= abs(held)

    def entering(self) -> list[OrderRequest]:
        """Working orders that open or add."""
        found = [one.request for one in self.working.values()]
        return [r for r in found if self.qty.get((r.instrument_key, r.product), 0) * r.side.sign >= 0]

    def open_keys(self) -> set[tuple[str, Product]]:
        held = {at for at, qty in self.qty.items() if qty}
        return held | {(r.instrument_key, r.product) for r in self.entering()}

    def exposure(self) -> int:
        held = sum(abs(qty) * self.last[key] for (key, _), qty in self.qty.items())
        return held + sum(r.qty * r.price for r in self.entering())

    def needs(self, request: OrderRequest) -> int:
        """Margin: all of it for shares in delivery and for options bought, a fifth for shares intraday."""
        value = request.qty * request.price
        if request.instrument_key == CALL.key and request.side is Side.SELL:
            return 0  # reckoned from the strike: no business of this bookkeeper
        fifth = request.instrument_key == SHARE.key and request.product is Product.INTRADAY
        return value // 5 if fifth else value

    def may_leave(self, request: OrderRequest, instrument: Instrument, now_ns: int) -> None:
        """Every limit that the order could breach.

        Raises:
            Breached: It does.
        """
        _must("lot", request.qty > 0 and request.qty % instrument.lot_size == 0)
        if self.reducing(request):
            return
        limits, key = self.limits, request.instrument_key
        value = request.qty * request.price
        _must("feed", self.up)
        _must("state", not self.halted)
        _must("segment", instrument.segment not in self.locked)
        _must("unknown", not any(self.working[tag].request.instrument_key == key for tag in self.unknown))
        low, high = self.bands.get(key, (0, request.price))
        _must("band", low <= request.price <= high)
        away = (request.price - self.last[key]) * request.side.sign * 100
        _must("distance", away <= limits.max_ltp_distance_pct * self.last[key])
        loss = -self.net()
        _must("day loss", loss < limits.daily_loss)
        _must("week loss", not limits.weekly_loss or loss < limits.weekly_loss)
        _must("month loss", not limits.monthly_drawdown or loss < limits.monthly_drawdown)
        _must("value", value <= limits.order_value)
        _must("exposure", self.exposure() + value <= limits.most_exposure)
        _must("funds", self.needs(request) <= self.funds)
        _must("rate", sum(now_ns - t_ns < SECOND for t_ns in self.sent_ns) < limits.orders_per_second)
        short = instrument is SHARE and (request.side, request.product) == (Side.SELL, Product.DELIVERY)
        _must("holdings", not short)
        if request.product is Product.INTRADAY:
            _must("square-off", now_ns < ns(DAY, "15:00"))
        self._counts(request)
        if request.source == STRATEGY:
            self._strategy(request, now_ns)

    def _counts(self, request: OrderRequest) -> None:
        limits, known = self.limits, self.open_keys()
        at = (request.instrument_key, request.product)
        if at in known:
            return
        _must("trades", not limits.max_trades_per_day or self.entries < limits.max_trades_per_day)
        after = known | {at}
        intraday = sum(product is Product.INTRADAY for _, product in after)
        _must("positions", len(after) <= limits.max_positions)
        if request.product is Product.INTRADAY:
            _must("positions", intraday <= limits.max_intraday_positions)
        else:
            _must("positions", len(after) - intraday <= limits.max_swing_positions)
        same = sum(key == request.instrument_key for key, _ in after)
        _must("positions", same <= limits.max_underlying_positions)

    def _strategy(self, request: OrderRequest, now_ns: int) -> None:
        limits, at = self.limits, (request.instrument_key, request.product)
        _must("window", now_ns < ns(DAY, "15:00"))
        _must("trade risk", abs(request.price - request.stop) * request.qty <= limits.trade_risk)
        resting = {(o.request.instrument_key, o.request.product) for o in self.working.values()}
        _must("holding", not self.qty.get(at, 0) and at not in resting)
        sent_ns = self.strategy_ns.get(request.instrument_key)
        _must("cooldown", sent_ns is None or now_ns - sent_ns >= limits.cooldown_s * SECOND)

    def left(self, tag: str, request: OrderRequest, now_ns: int) -> None:
        """An order went to the broker."""
        at = (request.instrument_key, request.product)
        if not self.reducing(request):
            self.entries += at not in self.open_keys()
            self.funds -= self.needs(request)
        self.sent_ns.append(now_ns)
        if request.source == STRATEGY:
            self.strategy_ns[request.instrument_key] = now_ns
        self.working[tag] = self.rig.engine.desk.manager.orders[tag]

    def filled(self, tag: str) -> OrderRequest:
        """A working order filled whole, at its price."""
        request = self.working.pop(tag).request
        self.unknown.discard(tag)
        at = (request.instrument_key, request.product)
        self.qty[at] = self.qty.get(at, 0) + request.side.sign * request.qty
        flow = -request.side.sign * request.qty * request.price
        self.cash[request.instrument_key] = self.cash.get(request.instrument_key, 0) + flow
        return request


def play(pressure: Pressure, steps: list[tuple[object, ...]]) -> None:
    """Let people, strategies, the market and the broker do ``steps``.

    Raises:
        Breached: An order left that it must not.
    """
    rig = Rig(limits=pressure.limits)
    keeper = Keeper(rig, pressure.limits, to_money(pressure.funds))
    portfolio = rig.engine.desk.portfolio
    portfolio.available, portfolio.holdings_known = to_money(pressure.funds), True
    if not pressure.latched:
        rig.engine.desk.guard.check = lambda: None  # type: ignore[method-assign]
    if pressure.later_s:
        rig.time(pressure.later_s)
    for instrument in INSTRUMENTS:
        rig.tick(100.0, instrument)
        keeper.last[instrument.key] = to_price(100)
    for step in steps:
        _take(rig, keeper, step)


def _must(limit: str, holds: bool) -> None:
    if not holds:
        raise Breached(limit)


def _take(rig: Rig, keeper: Keeper, step: tuple[object, ...]) -> None:
    match step:
        case (
            "ask",
            Instrument() as instrument,
            Side() as side,
            int(qty),
            Product() as product,
            str(source),
            float(off),
        ):
            _ask(rig, keeper, instrument, side, qty, product, source, off)
        case ("price", Instrument() as instrument, float(price)):
            keeper.last[instrument.key] = to_price(price)
            rig.tick(price, instrument)
        case ("fill", int(which)) if keeper.working:
            tag = list(keeper.working)[which % len(keeper.working)]
            request = keeper.filled(tag)
            rig.fill(rig.engine.desk.manager.orders[tag], request.price / 10_000)
        case ("cancelled", int(which)) if keeper.working:
            tag = list(keeper.working)[which % len(keeper.working)]
            keeper.working.pop(tag)
            keeper.unknown.discard(tag)
            known = rig.engine.desk.manager.orders[tag]
            rig.update(known, OrderStatus.CANCELLED, known.broker_id or rig.accept(known))
        case ("lost", int(which)) if keeper.working:
            tag = list(keeper.working)[which % len(keeper.working)]
            if rig.engine.desk.manager.orders[tag].status is OrderStatus.SENT:
                keeper.unknown.add(tag)
                rig.step(RequestUnknown(rig.now_ns, "place", tag, "no answer"))
        case ("pass", float(seconds)):
            rig.time(seconds)
        case ("lock", tuple(segments)):
            keeper.locked = segments
            rig.engine.desk.guard.on_snapshot(
                AccountSnapshot(rig.now_ns, 0, (), (), locked_segments=segments)
            )
        case ("band", Instrument() as instrument, (float(low), float(high))):
            keeper.bands[instrument.key] = (to_price(low), to_price(high))
            rig.step(BandsEvent(rig.now_ns, (DayBand(instrument.key, to_price(low), to_price(high)),)))
        case ("feed", FeedState() as state):
            keeper.up = state is FeedState.UP
            rig.feed(state)
        case ("operator", OperatorKind() as kind):
            keeper.halted = kind is OperatorKind.KILL
            rig.ask(kind, note="me" if keeper.halted else "")
        case _:
            pass


def _ask(
    rig: Rig,
    keeper: Keeper,
    instrument: Instrument,
    side: Side,
    qty: int,
    product: Product,
    source: str,
    off: float,
) -> None:
    """A person or a strategy wants an order near the market, or ``off`` through it."""
    last = keeper.last[instrument.key] / 10_000
    if keeper.up:
        rig.tick(last, instrument)  # the stream has not gone silent
    price = last * (1 + off * side.sign)
    request = replace(
        order(side, qty, price, product=product),
        instrument_key=instrument.key,
        source=source,
        stop=to_price(price - side.sign),
        target=to_price(price + 3 * side.sign),
    )
    before = len(rig.commands)
    if source == "manual":
        rig.ask(OperatorKind.PLACE, request=request)
    else:
        rig.engine.desk.request(request, 80.0)
        rig.time()
    for command in rig.commands[before:]:
        if isinstance(command, PlaceOrder):
            keeper.may_leave(command.request, instrument, rig.now_ns)
            keeper.left(command.tag, command.request, rig.now_ns)
    rig.time(0.3)
