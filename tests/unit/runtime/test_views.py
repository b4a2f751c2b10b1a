"""Engine state as the screen gets it, of states that are known."""

from __future__ import annotations

from collections import deque

import pytest

from tests.fixtures.engine_rig import SECOND
from tests.unit.exchange.support import CALL, INDEX, SHARE, order, rs
from tests.unit.runtime.parts import Bench
from tradetui.domain.events import FeedState, OperatorKind, PastDaysEvent
from tradetui.domain.exit_plan import ExitPlan
from tradetui.domain.money import to_money
from tradetui.domain.order import OrderRequest, OrderStatus, OrderType, Side
from tradetui.domain.view import LogRow, Look, Snapshot, Verdict
from tradetui.runtime.core import Runtime
from tradetui.runtime.measures import MeasuresKept
from tradetui.runtime.views import ViewBuilder, instrument_row

LOOK = Look(watch=(SHARE.key, CALL.key, "NSE_EQ|NONE"), selected=SHARE.key, bars=10)


class View:
    """A rig, and the screen's view of it."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.rig = self.bench.rig
        self.log = deque([LogRow(1, 2, "INFO", "hello")])
        self.builder = ViewBuilder(Runtime(self.bench.parts), self.log, deque())
        self.rig.feed(FeedState.UP)

    def __call__(self, look: Look = LOOK) -> Snapshot:
        return self.builder.build(look)


@pytest.fixture
def view() -> View:
    return View()


def test_before_any_price_everything_is_empty_and_stale(view: View) -> None:
    shot = view()
    share, call = shot.watch
    assert (share.symbol, share.ltp, share.change, share.bid, share.stale) == (
        "RELIANCE",
        None,
        None,
        None,
        True,
    )
    assert call.symbol == CALL.symbol
    assert shot.stale_count == 2
    assert (shot.positions, shot.orders, shot.signals) == ((), (), ())
    assert (shot.feed_state, shot.phase, shot.host, shot.account) == ("up", "continuous", "nowhere", "**42")
    assert shot.subscribed == 3
    assert [row.text for row in shot.log] == ["hello"]
    assert shot.chart is not None
    assert shot.chart.close == ()


def test_prices_depth_and_trend(view: View) -> None:
    for price in (100.0, 101.0, 101.0, 100.5):
        view.rig.tick(price)
        view()
    shot = view()
    row = shot.watch[0]
    assert (row.ltp, row.change, row.bid, row.ask, row.volume) == (100.5, 1.5, 100.45, 100.55, view.rig.vtt)
    assert row.change_pct == pytest.approx(1.5 / 99 * 100)
    assert row.trend == (100.0, 101.0, 100.5)
    assert not row.stale
    assert shot.depth is not None
    assert [level.price for level in shot.depth.bids][:2] == [100.45, 100.4]
    assert [level.qty for level in shot.depth.asks] == [100] * 5
    assert shot.depth.prev_close == 99.0
    view.rig.time(31.0)
    assert view().watch[0].stale, "older than the limit that warns"


def test_microstructure_of_what_is_watched_and_selected(view: View) -> None:
    assert view().watch[0].measures is None
    view.rig.tick(100.0)
    view.rig.tick(100.05)  # at the ask that stood before
    view.rig.tick(99.0)  # below the bid
    view.rig.tick(99.0)
    view.rig.step(PastDaysEvent(view.rig.now_ns, 0, 120.0, 80.0, 0.0, (10.0,) * 400))
    shot = view()
    found = shot.watch[0].measures
    assert found is not None
    # The first tick is the base; then 10 bought, 10 sold, 10 at the middle of 98.95 and 99.05 after a fall.
    assert (found.cumulative_delta, found.seen_volume, found.unclassified_volume) == (-10, 30, 0)
    assert found.aggressor == "SELL"
    assert found.spread_ticks == pytest.approx(0.1 / (SHARE.tick_size / 10_000))
    assert found.microprice == pytest.approx(99.0)
    assert (found.imbalance_1, found.imbalance_5) == (0.0, 0.0)
    assert found.from_high_percent == pytest.approx(-17.5)
    assert found.from_low_percent == pytest.approx(23.75)
    assert (found.gap_percent, found.oi_change, found.build_up) == (None, None, "")
    assert shot.depth is not None
    assert shot.depth.measures == found
    assert shot.depth.profile is not None
    assert shot.depth.profile.control == 99.0
    assert shot.watch[1].measures is None, "never heard of"


def test_measures_of_quiet_instruments_are_kept_and_follow_the_clock(view: View) -> None:
    view.rig.tick(100.0)
    kept = MeasuresKept(view.rig.engine)
    first = kept.of([0])[0]
    assert kept.of([0, 1, 9_999])[0] is first
    view.rig.tick(101.0)
    moved = kept.of([0])[0]
    assert moved.cumulative_delta == 10
    assert [kept.of([0])[0] is moved for _ in range(10)].count(False) > 0, "worked out anew now and then"


def test_indices_are_shown_apart(view: View) -> None:
    view.rig.tick(26_000.0, INDEX)
    ((symbol, level, change),) = view().indices
    assert (symbol, level) == ("NIFTY", 26_000.0)
    assert change == pytest.approx((26_000 / 99 - 1) * 100)


def test_a_position_its_profit_and_what_protects_it(view: View) -> None:
    view.rig.hold(10, 100.0)
    view.rig.tick(103.0)
    shot = view()
    (position,) = shot.positions
    assert (position.symbol, position.qty, position.average, position.last) == (
        "RELIANCE",
        10,
        rs(100.0),
        103.0,
    )
    assert (position.realised, position.unrealised, position.pnl) == (0, to_money(30), to_money(30))
    assert position.charges == shot.day_charges > 0
    assert (position.naked, position.naked_why, position.plan) == (True, "no stop", None)
    assert shot.day_pnl == to_money(30)
    assert shot.watch[0].position_qty == 10
    stop = view.rig.place(order(Side.SELL, 10, 94.0, kind=OrderType.SL, trigger=95.0))
    view.rig.update(stop, OrderStatus.TRIGGER_PENDING, view.rig.accept(stop))
    assert (view().positions[0].naked, view().positions[0].naked_why) == (False, "")


def test_own_orders_and_prices_are_marked_on_depth_and_chart(view: View) -> None:
    view.rig.hold(10, 100.0, source="said", stop=rs(90.0), target=rs(120.0))
    resting = view.rig.orders()[-1]
    view.rig.update(resting, OrderStatus.TRIGGER_PENDING, view.rig.accept(resting))
    shot = view()
    assert shot.depth is not None
    assert shot.depth.own == (("SELL", 90.0, 10),), "a stop stands at its trigger"
    assert shot.chart is not None
    assert dict(shot.chart.marks) == {"SELL 10": 90.0, "avg +10": 100.0, "stop": 90.0, "target": 120.0}
    assert not shot.positions[0].naked
    assert shot.positions[0].plan == ExitPlan(rs(90.0), rs(120.0))
    assert [order.tag for order in shot.orders] == [resting.tag, "tt-00001"], "newest first"
    assert shot.symbols == {SHARE.key: "RELIANCE"}


def test_the_chart_has_finished_bars_and_the_forming_one(view: View) -> None:
    view.rig.minute(100.0, 102.0)
    view.rig.minute(101.0, 99.0)
    view.rig.tick(105.0)
    chart = view().chart
    assert chart is not None
    assert chart.close == (102.0, 99.0, 105.0)
    assert {name: len(values) for name, values in chart.overlays} == {"ema(20)": 3, "vwap": 3}
    assert view(Look(selected="NSE_EQ|NONE")).chart is None


def test_gauges_warn_and_block_in_time(view: View) -> None:
    gauges = {gauge.name: gauge for gauge in view().gauges}
    assert {gauge.verdict for gauge in gauges.values()} == {Verdict.PASS}
    view.rig.hold(100, 1000.0)
    view.rig.tick(880.0)  # 12,000 of 15,000
    gauges = {gauge.name: gauge for gauge in view().gauges}
    assert gauges["Day loss"].verdict is Verdict.WARN
    assert gauges["Positions"].text == "1 / 6"
    view.rig.tick(840.0)
    assert {gauge.name: gauge for gauge in view().gauges}["Day loss"].verdict is Verdict.BLOCK
    view.rig.ask(OperatorKind.KILL)
    shot = view()
    assert shot.gauges[0].text == shot.risk_state == "halted"


def test_strategies_show_what_only_they_earned(view: View) -> None:
    view.rig.hold(10, 100.0, source="said", stop=rs(90.0), target=rs(120.0))
    view.rig.tick(107.0)
    (row,) = view().strategies
    assert (row.name, row.running, row.auto, row.pnl) == ("said", True, False, to_money(70))
    mixed = view.rig.place(order(Side.BUY, 10, 107.0))
    view.rig.fill(mixed, 107.0)
    assert view().strategies[0].pnl == 0, "a position that a person traded too is nobody's merit"


def test_a_ticket_is_previewed_and_an_unsent_one_changes_nothing(view: View) -> None:
    view.rig.tick(100.0)
    before = len(view.rig.engine.desk.manager.orders)
    shot = view(Look(ticket=OrderRequest(SHARE.key, Side.BUY, 10, price=rs(100.0))))
    assert shot.preview is not None
    assert shot.preview.value == to_money(1_000)
    assert view().preview is None
    assert len(view.rig.engine.desk.manager.orders) == before


def test_a_silent_feed_is_called_so(view: View) -> None:
    view.rig.tick(100.0)
    view.rig.time(16.0)
    assert view().feed_state == "silent"
    assert view().feed_age_s == 16.0


def test_health_counts_and_snapshots_are_numbered(view: View) -> None:
    first, second = view(), view()
    assert second.seq == first.seq + 1
    health = second.health
    assert (health.dropped, health.reconnects, health.bad_frames, health.store_queue) == (1, 2, 3, 7)
    assert (health.store_dropped, health.store_lag_s, health.store_problem) == (4, 0.25, "")
    assert health.rss_mb > 1


def test_terms_of_an_option() -> None:
    row = instrument_row(CALL)
    assert (row.kind, row.lot, row.strike, row.expiry, row.tradable) == (
        "CE",
        65,
        rs(26_000),
        "2026-11-23",
        True,
    )
    assert not instrument_row(INDEX).tradable


def test_an_arming_shows_until_when(view: View) -> None:
    view.rig.ask(OperatorKind.SQUARE_OFF_OK)
    view.rig.ask(OperatorKind.ARM, until_ns=view.rig.now_ns + SECOND)
    assert view().armed_until_ns == view.rig.now_ns + SECOND
