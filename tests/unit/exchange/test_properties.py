"""What must hold for every sequence of orders and market events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.exchange.support import ACCOUNT, OTHER, SHARE, Desk, order, rs
from tradetui.domain.events import Holding
from tradetui.domain.order import OrderRequest, OrderType, Product, Side, Validity
from tradetui.exchange.orders import ExchangeEvent, OrderChanged, OrderState, RawStatus, Traded

TICK = rs(0.05)
PRICES = st.integers(1995, 2005).map(lambda n: n * 0.05)
QTY = st.integers(1, 60)
SIDES = st.sampled_from(Side)
ACCOUNTS = st.sampled_from([ACCOUNT, OTHER])


@dataclass(frozen=True)
class Place:
    account: str
    request: OrderRequest


@dataclass(frozen=True)
class Change:
    """Modify or cancel the n-th order so far."""

    nth: int
    qty: int
    price: float
    cancel: bool


@dataclass(frozen=True)
class Depth:
    middle: int
    bids: tuple[int, ...]
    asks: tuple[int, ...]


@dataclass(frozen=True)
class Print:
    price: float
    qty: int


Action = Place | Change | Depth | Print


@st.composite
def requests(draw: st.DrawFn) -> OrderRequest:
    side, price = draw(SIDES), draw(PRICES)
    kind = draw(st.sampled_from([OrderType.LIMIT] * 4 + [OrderType.MARKET, OrderType.SL, OrderType.SL_M]))
    product = draw(st.sampled_from([Product.INTRADAY, Product.INTRADAY, Product.DELIVERY]))
    made = order(side, draw(QTY), price, product=product)
    if kind is OrderType.LIMIT:
        return replace(made, validity=draw(st.sampled_from([Validity.DAY, Validity.DAY, Validity.IOC])))
    if kind is OrderType.SL:
        away = draw(st.integers(0, 10)) * TICK * -side.sign
        return replace(made, order_type=kind, trigger_price=made.price + away)
    trigger = made.price if kind is OrderType.SL_M else 0
    return replace(made, order_type=kind, price=rs(0), trigger_price=trigger)  # type: ignore[arg-type]


SIZES = st.lists(st.integers(0, 80), max_size=5).map(tuple)
ACTIONS: st.SearchStrategy[list[Action]] = st.lists(
    st.one_of(
        st.builds(Place, ACCOUNTS, requests()),
        st.builds(Place, ACCOUNTS, requests()),
        st.builds(Change, st.integers(0, 30), QTY, PRICES, st.booleans()),
        st.builds(Depth, st.integers(1997, 2003), SIZES, SIZES),
        st.builds(Print, PRICES, st.integers(0, 100)),
    ),
    min_size=5,
    max_size=45,
)


class Run:
    """Plays actions and checks after each."""

    def __init__(self) -> None:
        holding = Holding(SHARE.key, 40, 0, 0, rs(90))
        self.desk = Desk(cash=100_000, holdings=[holding])
        self.desk.market([(99.8, 20)], [(100.2, 20)], last=100)
        self.events: list[ExchangeEvent] = []

    def orders(self) -> list[OrderState]:
        exchange = self.desk.exchange
        return sorted(
            (o for account in exchange.accounts for o in exchange.orders(account)), key=lambda o: o.order_id
        )

    def play(self, action: Action) -> None:
        exchange, t_ns = self.desk.exchange, self.desk.t_ns
        before = {o.order_id: o for o in self.orders() if o.status is RawStatus.OPEN}
        target = ""
        if isinstance(action, Place):
            reply = exchange.place(action.account, action.request, "t", t_ns)
            target, events = reply.order_id, reply.events
        elif isinstance(action, Change):
            known = self.orders()
            if not known:
                return
            chosen = known[action.nth % len(known)]
            target = chosen.order_id
            if action.cancel:
                events = exchange.cancel(chosen.account_id, target, t_ns).events
            else:
                price = rs(action.price) if chosen.request.price else rs(0)
                terms = self.desk.terms(chosen, qty=action.qty, price=price)
                events = exchange.modify(chosen.account_id, target, terms, t_ns).events
        elif isinstance(action, Depth):
            events = self.desk.market(
                [((action.middle - 1 - n) * 0.05, qty) for n, qty in enumerate(action.bids)],
                [((action.middle + 1 + n) * 0.05, qty) for n, qty in enumerate(action.asks)],
            )
        else:
            events = self.desk.print(action.price, action.qty)
        self.check_priority(before, target, events)
        self.check_limits(before, events)
        self.events += events
        self.desk.t_ns += 1_000_000
        if isinstance(action, Print):
            assert makers_filled(before, target, events) <= action.qty

    def check_priority(
        self, before: dict[str, OrderState], target: str, events: Sequence[ExchangeEvent]
    ) -> None:
        """A resting order trades only when every resting order before it has traded in full."""
        queue = {k: v for k, v in before.items() if k != target}
        left = {order_id: o.remaining for order_id, o in queue.items()}
        for event in events:
            if isinstance(event, OrderChanged) and event.order.status is RawStatus.CANCELLED:
                left[event.order.order_id] = 0
            if not isinstance(event, Traded) or event.trade.order_id not in queue:
                continue
            mine = queue[event.trade.order_id]
            for other in queue.values():
                if other.request.side is mine.request.side and rank(other) < rank(mine):
                    assert left[other.order_id] == 0, (other, mine)
            left[mine.order_id] -= event.trade.qty

    def check_limits(self, before: dict[str, OrderState], events: Sequence[ExchangeEvent]) -> None:
        """No trade beyond the limit that was in force."""
        now = dict(before)
        for event in events:
            if isinstance(event, OrderChanged):
                now[event.order.order_id] = event.order
                continue
            if not isinstance(event, Traded):
                continue
            state = now[event.trade.order_id]
            limit, sign = state.request.price, state.request.side.sign
            assert not limit or sign * event.trade.price <= sign * limit

    def check_books(self) -> None:
        """Orders, trades, positions and cash tell one story."""
        exchange = self.desk.exchange
        for account in exchange.accounts:
            trades = exchange.trades(account)
            by_order: dict[str, int] = defaultdict(int)
            value: dict[str, int] = defaultdict(int)
            net: dict[Product, int] = defaultdict(int)
            paid: dict[Product, int] = defaultdict(int)
            for trade in trades:
                by_order[trade.order_id] += trade.qty
                value[trade.order_id] += trade.qty * trade.price
                net[trade.product] += trade.side.sign * trade.qty
                paid[trade.product] += trade.side.sign * trade.qty * trade.price
            for state in exchange.orders(account):
                assert state.filled_qty == by_order[state.order_id] <= state.request.qty
                assert state.filled_value == value[state.order_id]
                assert (state.status is RawStatus.COMPLETE) == (state.remaining == 0)
                assert exchange.history(account, state.order_id)[-1] == state
            positions = {p.product: p for p in exchange.positions(account)}
            assert {product: p.qty for product, p in positions.items()} == dict(net)
            held = 40 if account == ACCOUNT else 0
            assert net[Product.DELIVERY] >= -held
            funds = exchange.funds(account)
            intraday = positions.get(Product.INTRADAY)
            assert funds.cash - (intraday.cost if intraday else 0) == funds.opening - sum(paid.values())
            working = [o for o in exchange.orders(account) if not o.status.terminal]
            assert funds.blocked >= 0
            if not working:
                assert funds.blocked == 0
            if not any(p.qty for p in positions.values()):
                assert funds.margin == 0

    def check_conservation(self) -> None:
        """Between accounts, whatever one bought from the other was sold by the other."""
        sides: dict[str, set[Side]] = defaultdict(set)
        for event in self.events:
            if isinstance(event, Traded):
                assert event.trade.side not in sides[event.trade.trade_id]
                sides[event.trade.trade_id].add(event.trade.side)

    def check_book_is_uncrossed(self) -> None:
        book = self.desk.exchange.book(SHARE.key)
        resting = [o for o in self.orders() if o.status is RawStatus.OPEN]
        assert book.has_users == bool(resting)
        for state in resting:
            best = book.best(state.request.side.opposite)
            sign = state.request.side.sign
            assert best is None or sign * state.request.price < sign * best


def rank(state: OrderState) -> tuple[int, int]:
    return -state.request.side.sign * state.request.price, state.seq


def makers_filled(before: dict[str, OrderState], target: str, events: Sequence[ExchangeEvent]) -> int:
    """Units of resting orders that traded with the rest of the market (not with another user)."""
    by_trade: dict[str, list[Traded]] = defaultdict(list)
    for event in events:
        if isinstance(event, Traded):
            by_trade[event.trade.trade_id].append(event)
    return sum(
        legs[0].trade.qty
        for legs in by_trade.values()
        if len(legs) == 1 and legs[0].trade.order_id in before and legs[0].trade.order_id != target
    )


@settings(max_examples=150)
@given(ACTIONS)
def test_everything_that_must_always_hold(actions: list[Action]) -> None:
    run = Run()
    for action in actions:
        run.play(action)
        run.check_books()
        run.check_book_is_uncrossed()
    run.check_conservation()


@settings(max_examples=40)
@given(ACTIONS)
def test_same_inputs_same_outputs(actions: list[Action]) -> None:
    first, second = Run(), Run()
    for action in actions:
        first.play(action)
        second.play(action)
    assert first.events == second.events


@settings(max_examples=60)
@given(ACTIONS)
def test_at_the_end_of_the_session_nothing_works_and_nothing_is_blocked(actions: list[Action]) -> None:
    run = Run()
    for action in actions:
        run.play(action)
    run.desk.phase = "CLOSED"
    run.desk.exchange.advance(run.desk.t_ns)
    run.check_books()
    assert all(o.status.terminal for o in run.orders())
    assert not run.desk.exchange.book(SHARE.key).has_users
    assert all(run.desk.exchange.funds(a).blocked == 0 for a in run.desk.exchange.accounts)
