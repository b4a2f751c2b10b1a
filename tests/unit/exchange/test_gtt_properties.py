"""What must hold for GTTs and auctions on every path of the price."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.exchange.support import ACCOUNT, OTHER, SHARE, Desk, order, rs
from tests.unit.exchange.test_gtt import ABOVE, BELOW, ENTRY, NOW, STOP, TARGET, rule
from tradetui.domain.gtt import GttRequest, RuleStatus
from tradetui.domain.order import Product, Side
from tradetui.exchange.orders import GttChanged, GttState, RawStatus

TICKS = st.integers(1900, 2100)
_RANK = {
    RuleStatus.SCHEDULED: 0,
    RuleStatus.INACTIVE: 0,
    RuleStatus.TRIGGERED: 2,
    RuleStatus.OPEN: 1,
    RuleStatus.COMPLETED: 3,
    RuleStatus.CANCELLED: 3,
    RuleStatus.EXPIRED: 3,
    RuleStatus.FAILED: 3,
}


@st.composite
def gtts(draw: st.DrawFn) -> GttRequest:
    side = draw(st.sampled_from(Side))
    entry = draw(st.integers(1950, 2050)) * 0.05
    trigger = draw(st.sampled_from([ABOVE, BELOW, NOW]))
    pct = draw(st.sampled_from([-1, 0, 3]))
    rules = [rule(ENTRY, entry, trigger, pct=pct)]
    if draw(st.booleans()):
        rules.append(rule(TARGET, entry + side.sign * draw(st.integers(1, 40)) * 0.05, pct=pct))
    if draw(st.booleans()):
        gap = draw(st.sampled_from([0.0, 2.0, 5.0]))
        rules.append(rule(STOP, entry - side.sign * draw(st.integers(1, 40)) * 0.05, gap=gap, pct=pct))
    return GttRequest(SHARE.key, side, draw(st.integers(1, 60)), Product.INTRADAY, tuple(rules))


STEPS = st.lists(
    st.tuples(TICKS, st.integers(0, 80), st.integers(0, 80), st.booleans()), min_size=1, max_size=25
)


def check(before: dict[str, GttState], after: GttState) -> None:
    """One rule never goes back, exits wait for the entry, and at most one of them becomes an order."""
    old = before.get(after.gtt_id)
    for state in after.rules:
        was = old.rule(state.rule.strategy) if old is not None else None
        if was is not None:
            entry = state.rule.strategy is ENTRY
            # An entry is TRIGGERED for a moment, then OPEN.
            assert _RANK[state.status] >= _RANK[was.status] or (entry and was.status is RuleStatus.TRIGGERED)
            assert not was.order_id or state.order_id == was.order_id
    entered = after.rule(ENTRY)
    assert entered is not None
    exits = [state for state in after.rules if state.rule.strategy is not ENTRY]
    if not entered.status.terminal:
        assert all(state.status is RuleStatus.INACTIVE for state in exits)
    assert sum(bool(state.order_id) for state in exits) <= 1


@settings(max_examples=120)
@given(st.lists(gtts(), min_size=1, max_size=4), STEPS)
def test_gtts_go_forward_only_and_never_close_more_than_they_opened(
    asked: list[GttRequest], steps: list[tuple[int, int, int, bool]]
) -> None:
    desk = Desk(cash=100_000_000)
    desk.normal()
    known: dict[str, GttState] = {}
    for request in asked:
        reply = desk.exchange.place_gtt(ACCOUNT, request, desk.t_ns)
        for event in reply.events:
            if isinstance(event, GttChanged):
                check(known, event.gtt)
                known[event.gtt.gtt_id] = event.gtt
    for ticks, bids, asks, prints in steps:
        price = ticks * 0.05
        events = list(desk.market([(price - 0.05, bids)], [(price + 0.05, asks)]))
        if prints:
            events += desk.print(price, bids)
        for event in events:
            if isinstance(event, GttChanged):
                check(known, event.gtt)
                known[event.gtt.gtt_id] = event.gtt
    for gtt in desk.exchange.gtts(ACCOUNT):
        filled = {
            state.rule.strategy: found.filled_qty
            for state in gtt.rules
            if (found := desk.exchange.order(ACCOUNT, state.order_id)) is not None
        }
        closed = sum(qty for strategy, qty in filled.items() if strategy is not ENTRY)
        assert closed <= filled.get(ENTRY, 0)
    for made in desk.exchange.orders(ACCOUNT):
        assert made.gtt_id in known
        if made.status is RawStatus.OPEN:
            assert made.remaining > 0


ORDERS = st.lists(
    st.tuples(
        st.sampled_from([ACCOUNT, OTHER]), st.sampled_from(Side), st.integers(1990, 2010), st.integers(1, 60)
    ),
    min_size=1,
    max_size=14,
)
DEPTH = st.lists(
    st.tuples(st.integers(1990, 2010), st.integers(1, 80)), max_size=5, unique_by=lambda one: one[0]
)


@settings(max_examples=150)
@given(ORDERS, DEPTH, DEPTH)
def test_an_auction_trades_at_one_price_nobody_worse_than_his_limit_and_the_better_first(
    asked: list[tuple[str, Side, int, int]], bids: list[tuple[int, int]], asks: list[tuple[int, int]]
) -> None:
    desk = Desk(cash=100_000_000)
    desk.exchange.set_last(SHARE.key, rs(100))
    desk.phase = "CLOSING_AUCTION"
    desk.market(
        [(p * 0.05, q) for p, q in sorted(bids, reverse=True)], [(p * 0.05, q) for p, q in sorted(asks)]
    )
    placed = [
        desk.place(order(side, qty, price * 0.05), account=account) for account, side, price, qty in asked
    ]
    desk.phase = "POST_CLOSE"
    desk.exchange.advance(desk.t_ns)
    trades = [trade for account in (ACCOUNT, OTHER) for trade in desk.exchange.trades(account)]
    assert len({trade.price for trade in trades}) <= 1
    done = [desk.now(one) for one in placed if one.status is not RawStatus.REJECTED]
    for one in done:
        assert one.status in (RawStatus.COMPLETE, RawStatus.CANCELLED)
        for trade in trades:
            if trade.order_id == one.order_id:
                assert (one.request.price - trade.price) * one.request.side.sign >= 0
    if trades:
        price = trades[0].price
        for one in done:
            for worse in done:
                if one.request.side is worse.request.side and worse.filled_qty and one.remaining:
                    # Nobody at a better price goes without while one at a worse price trades.
                    assert (one.request.price - worse.request.price) * one.request.side.sign <= 0
        left_buys = [
            o for o in done if o.request.side is Side.BUY and o.remaining and o.request.price > price
        ]
        left_sells = [
            o for o in done if o.request.side is Side.SELL and o.remaining and o.request.price < price
        ]
        assert not (left_buys and left_sells)
