"""No order leaves while a limit is breached: random requests and states against a bookkeeper of the test's own."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures.engine_rig import DAY, SECOND, Rig
from tests.unit.exchange.support import CALL, SHARE, order
from tradetui.domain.calendar.ist import ns
from tradetui.domain.events import AccountSnapshot, FeedState, OperatorKind
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import to_money, to_price
from tradetui.domain.order import Order, OrderRequest, OrderStatus, Product, Side
from tradetui.domain.requests import PlaceOrder
from tradetui.risk.limits import Limits

LIMITS = Limits(
    capital=to_money(20_000),
    daily_loss_pct=1.5,
    weekly_loss_pct=0,
    max_positions=3,
    max_intraday_positions=1,
    max_swing_positions=2,
    max_underlying_positions=2,
    max_leverage=1.4,
    max_order_value=to_money(12_000),
    max_trades_per_day=3,
    orders_per_second=3,
    cooldown_s=0,
    stale_block_s=1e6,
    max_ltp_distance_pct=60,
    max_losses_in_a_row=0,
)
INSTRUMENTS = (SHARE, CALL)
ASK = st.tuples(
    st.just("ask"),
    st.sampled_from(INSTRUMENTS),
    st.sampled_from([Side.BUY, Side.BUY, Side.SELL]),
    st.sampled_from([65, 65, 65, 130, 1]),
    st.sampled_from([Product.INTRADAY, Product.DELIVERY]),
    st.sampled_from(["manual", "manual", "said"]),
)
FILL = st.tuples(st.just("fill"), st.integers(0, 5))
PRICE = st.tuples(
    st.just("price"), st.sampled_from(INSTRUMENTS), st.sampled_from([95.0, 98.0, 99.0, 100.0, 101.0, 105.0])
)
RARE = st.one_of(
    st.tuples(st.just("cancelled"), st.integers(0, 5)),
    st.tuples(st.just("pass"), st.sampled_from([0.1, 1.0, 1.0, 3_600.0])),
    st.tuples(st.just("lock"), st.sampled_from([(), (), (), (), ("NSE_EQ",), ("NSE_FO",)])),
    st.tuples(st.just("feed"), st.sampled_from([FeedState.UP] * 5 + [FeedState.DOWN])),
    st.tuples(st.just("operator"), st.sampled_from([OperatorKind.RESUME] * 5 + [OperatorKind.KILL])),
)
STEPS = st.lists(st.one_of(ASK, ASK, ASK, ASK, FILL, FILL, PRICE, RARE), min_size=20, max_size=50)


@dataclass
class Keeper:
    """Counts for itself what the limits are about, from what went in and came out."""

    rig: Rig
    cash: dict[str, int] = field(default_factory=dict)
    qty: dict[tuple[str, Product], int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    working: dict[str, Order] = field(default_factory=dict)
    entries: int = 0
    sent_ns: list[int] = field(default_factory=list)
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

    def open_keys(self) -> set[tuple[str, Product]]:
        held = {at for at, qty in self.qty.items() if qty}
        for one in self.working.values():
            at = (one.request.instrument_key, one.request.product)
            if self.qty.get(at, 0) * one.request.side.sign >= 0:
                held.add(at)
        return held

    def exposure(self) -> int:
        held = sum(abs(qty) * self.last[key] for (key, _), qty in self.qty.items())
        return held + sum(
            one.request.qty * one.request.price for one in self.working.values()
            if self.qty.get((one.request.instrument_key, one.request.product), 0) * one.request.side.sign >= 0
        )  # fmt: skip

    def may_leave(self, request: OrderRequest, instrument: Instrument, now_ns: int) -> None:
        """Every limit that the order could breach, asserted."""
        assert request.qty > 0
        assert request.qty % instrument.lot_size == 0
        if self.reducing(request):
            return
        value = request.qty * request.price
        at = (request.instrument_key, request.product)
        known = self.open_keys()
        assert self.up
        assert not self.halted
        assert instrument.segment not in self.locked
        assert -self.net() < LIMITS.daily_loss
        assert value <= LIMITS.max_order_value
        assert self.exposure() + value <= LIMITS.most_exposure
        assert sum(now_ns - t_ns < SECOND for t_ns in self.sent_ns) < LIMITS.orders_per_second
        if at not in known:
            assert self.entries < LIMITS.max_trades_per_day
            after = known | {at}
            assert len(after) <= LIMITS.max_positions
            intraday = sum(product is Product.INTRADAY for _, product in after)
            if request.product is Product.INTRADAY:
                assert intraday <= LIMITS.max_intraday_positions
            else:
                assert len(after) - intraday <= LIMITS.max_swing_positions
        if request.product is Product.INTRADAY:
            assert now_ns < ns(DAY, "15:00")


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_property_no_order_leaves_while_a_limit_is_breached(steps: list[tuple[object, ...]]) -> None:
    rig = Rig(limits=LIMITS)
    keeper = Keeper(rig)
    # Cash is no limit here: it would stand before all the others.
    rig.engine.desk.portfolio.available = to_money(10**8)
    for instrument in INSTRUMENTS:
        rig.tick(100.0, instrument)
        keeper.last[instrument.key] = to_price(100)
    for step in steps:
        take(rig, keeper, step)


def take(rig: Rig, keeper: Keeper, step: tuple[object, ...]) -> None:
    match step:
        case ("ask", Instrument() as instrument, Side() as side, int(qty), Product() as product, str(source)):
            ask(rig, keeper, instrument, side, qty, product, source)
        case ("price", Instrument() as instrument, float(price)):
            keeper.last[instrument.key] = to_price(price)
            rig.tick(price, instrument)
        case ("fill", int(which)) if keeper.working:
            tag = list(keeper.working)[which % len(keeper.working)]
            one = keeper.working.pop(tag)
            request = one.request
            at = (request.instrument_key, request.product)
            keeper.qty[at] = keeper.qty.get(at, 0) + request.side.sign * request.qty
            flow = -request.side.sign * request.qty * request.price
            keeper.cash[request.instrument_key] = keeper.cash.get(request.instrument_key, 0) + flow
            rig.fill(rig.engine.desk.manager.orders[tag], request.price / 10_000)
        case ("cancelled", int(which)) if keeper.working:
            tag = list(keeper.working)[which % len(keeper.working)]
            keeper.working.pop(tag)
            known = rig.engine.desk.manager.orders[tag]
            rig.update(known, OrderStatus.CANCELLED, known.broker_id or rig.accept(known))
        case ("pass", float(seconds)):
            rig.time(seconds)
        case ("lock", tuple(segments)):
            keeper.locked = segments
            rig.step(AccountSnapshot(rig.now_ns, 0, (), (), locked_segments=segments))
        case ("feed", FeedState() as state):
            keeper.up = state is FeedState.UP
            rig.feed(state)
        case ("operator", OperatorKind() as kind):
            keeper.halted = kind is OperatorKind.KILL
            rig.ask(kind, note="me" if keeper.halted else "")
        case _:
            pass


def ask(
    rig: Rig, keeper: Keeper, instrument: Instrument, side: Side, qty: int, product: Product, source: str
) -> None:
    price = keeper.last[instrument.key] / 10_000
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
            known = keeper.open_keys()
            at = (instrument.key, command.request.product)
            if at not in known and not keeper.reducing(command.request):
                keeper.entries += 1
            keeper.sent_ns.append(rig.now_ns)
            keeper.working[command.tag] = rig.engine.desk.manager.orders[command.tag]
    rig.time(0.3)
