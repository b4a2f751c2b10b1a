"""Trade flow of the session: hand-worked cases, and against the slow reference over random markets."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.market.flow_reference import One, SlowFlow
from tradetui.domain.calendar import ns
from tradetui.domain.events import PastDaysEvent
from tradetui.domain.market_data import Bar, FrameKind, Has, Px, Qty, TickBatch
from tradetui.market import microstructure
from tradetui.market.microstructure import Microstructure
from tradetui.market.quotes import Quotes

DAY, NEXT = date(2026, 10, 1), date(2026, 10, 5)
OPEN, END = (ns(DAY, wall) // 1_000_000 for wall in ("09:15", "15:30"))
OPEN_2 = ns(NEXT, "09:15") // 1_000_000
NS = 1_000_000
ZERO = np.array([0])


def hours(slot: int, day: date) -> tuple[int, int] | None:
    return (ns(day, "09:15"), ns(day, "15:30")) if day in (DAY, NEXT) else None


class Market:
    """Frames written by hand through quotes into the microstructure; optionally as one row of a large frame."""

    def __init__(self, rows: int = 1) -> None:
        self.quotes = Quotes(hours, 4)
        self.micro = Microstructure(self.quotes, lambda slot: 0.05)
        self.rows = rows

    def frame(
        self,
        at: int,
        price: float = 0.0,
        vtt: int = 0,
        *,
        bid: float | None = None,
        ask: float = 0.0,
        kind: FrameKind = FrameKind.LIVE,
        atp: float = 0.0,
        oi: float = 0.0,
        ltt: int | None = None,
    ) -> None:
        batch = TickBatch.zeros(kind, 0, self.rows)
        batch.slot[:] = np.arange(10, 10 + self.rows)
        batch.slot[0] = 0
        batch.mask[0] = Has.FULL | (Has.LTPC if price else 0) | (Has.DEPTH if bid is not None else 0)
        batch.px[0, [Px.LTP, Px.ATP, Px.OI]] = price, atp, oi
        batch.qty[0, [Qty.LTT_MS, Qty.VTT]] = (at if ltt is None else ltt) if price else 0, vtt
        if bid is not None:
            batch.depth[0, :, 0] = bid, 100 if bid else 0, ask, 300 if ask else 0
        self.take(at, batch)

    def take(self, at: int, batch: TickBatch) -> None:
        self.micro.turn(at * NS)
        self.micro.update(batch, self.quotes.apply(batch, at * NS))

    @property
    def sums(self) -> tuple[int, int, int]:
        """Volume seen, begun by buyers, by sellers."""
        flow = self.micro.flow
        return int(flow.volume[0]), int(flow.buy_volume[0]), int(flow.sell_volume[0])


@pytest.fixture(params=[1, 40], ids=["row", "columns"])
def market(request: pytest.FixtureRequest) -> Market:
    return Market(request.param)


def test_the_first_row_is_the_base_and_no_trade_of_ours(market: Market) -> None:
    market.frame(OPEN + 1000, 100.0, 5_000, bid=99.95, ask=100.05, atp=98.0)
    assert market.sums == (0, 0, 0)
    assert market.micro.vwap(ZERO).tolist() == [98.0]
    assert math.isnan(market.micro.vwap_seen(ZERO)[0])
    assert math.isnan(market.micro.deviation(ZERO)[0])
    assert market.micro.profile(0).total == 0


def test_sides_follow_the_book_before_the_trade(market: Market) -> None:
    market.frame(OPEN, 100.0, 1_000, bid=99.90, ask=100.10)
    # At the ask that stood before; the frame's own book has moved up already, where 100.10 is the bid.
    market.frame(OPEN + 1, 100.10, 1_010, bid=100.10, ask=100.30)
    assert market.sums == (10, 10, 0)
    assert market.micro.flow.aggressor[0] == 1
    market.frame(OPEN + 2, 100.15, 1_015, bid=100.10, ask=100.30)  # below the middle of 100.20
    assert market.sums == (15, 10, 5)
    assert market.micro.flow.aggressor[0] == -1
    market.frame(OPEN + 3, 100.20, 1_022)  # at the middle: up from 100.15
    assert market.sums == (22, 17, 5)
    market.frame(OPEN + 4, 100.20, 1_030)  # at the middle, unchanged: as the last change
    assert market.sums == (30, 25, 5)
    assert market.micro.delta(ZERO).tolist() == [20]
    assert market.micro.unclassified(ZERO).tolist() == [0]


def test_the_tick_rule_where_there_is_no_book(market: Market) -> None:
    market.frame(OPEN, 100.0, 1_000)
    market.frame(OPEN + 1, 100.0, 1_001)  # never changed: nobody knows
    assert market.sums == (1, 0, 0)
    assert market.micro.unclassified(ZERO).tolist() == [1]
    market.frame(OPEN + 2, 99.0, 1_003)
    market.frame(OPEN + 3, 99.0, 1_007)
    assert market.sums == (7, 0, 6)
    market.frame(OPEN + 4, 99.5, 1_015, bid=99.5, ask=99.4)  # the next book is crossed
    market.frame(OPEN + 5, 99.5, 1_031, bid=99.5)  # and the one after has no offers
    assert market.sums == (31, 24, 6)
    market.frame(OPEN + 6, 99.9, 1_063, bid=0.0, ask=99.5)
    assert market.sums == (63, 24, 38)  # a buyer cannot take from nobody
    market.frame(OPEN + 7, 99.0, 1_127)
    assert market.sums == (127, 88, 38)


def test_vwap_and_bands_by_hand(market: Market) -> None:
    market.frame(OPEN, 100.0, 500)
    market.frame(OPEN + 1, 100.0, 530)
    market.frame(OPEN + 2, 104.0, 540)
    # 30 at 100 and 10 at 104: mean 101, variance (30 x 1 + 10 x 9) / 40 = 3
    assert market.micro.vwap(ZERO).tolist() == [101.0]
    assert market.micro.deviation(ZERO)[0] == pytest.approx(math.sqrt(3), rel=1e-12)
    assert market.micro.vwap_band(ZERO, -2)[0] == pytest.approx(101 - 2 * math.sqrt(3), rel=1e-12)
    assert market.micro.profile(0).price[[0, -1]].tolist() == [100.0, 104.0]
    assert market.micro.profile(0).volume[[0, -1]].tolist() == [30, 10]


def test_a_snapshot_after_a_gap_is_unseen_volume_at_the_brokers_average(market: Market) -> None:
    market.frame(OPEN, 100.0, 1_000, bid=99.9, ask=100.1, atp=100.0)
    market.frame(OPEN + 1, 100.1, 1_100, atp=100.01)
    market.frame(OPEN + 9_000, 110.0, 2_000, kind=FrameKind.SNAPSHOT, bid=109.9, ask=110.1, atp=105.0)
    assert market.sums == (100, 100, 0)
    assert market.micro.vwap(ZERO)[0] == pytest.approx(105.0, abs=1e-12)
    assert market.micro.flow.base_volume[0] == 1_900
    market.frame(OPEN + 9_001, 109.9, 2_050, atp=105.12)
    assert market.sums == (150, 100, 50)
    assert market.micro.vwap(ZERO)[0] == pytest.approx((105.0 * 2_000 + 109.9 * 50) / 2_050, rel=1e-12)


def test_auctions_and_late_trades_count_but_nobody_began_them(market: Market) -> None:
    market.frame(OPEN, 100.0, 1_000, bid=99.9, ask=100.1)
    market.frame(OPEN + 50, 100.1, 1_010)
    market.frame(OPEN + 60, 100.0, 1_014, ltt=OPEN + 40)  # told after a younger one
    assert market.quotes.out_of_order == 1
    assert market.sums == (14, 10, 0)
    assert market.micro.profile(0).total == 14
    market.frame(END + 600_000, 101.0, 1_114)  # after the close
    assert market.sums == (114, 10, 0)
    assert market.micro.unclassified(ZERO).tolist() == [104]
    assert market.micro.flow.aggressor[0] == 0


def test_a_new_day_begins_again(market: Market) -> None:
    market.frame(OPEN, 100.0, 1_000, bid=99.9, ask=100.1, oi=500, atp=100.0)
    market.frame(OPEN + 1, 100.1, 1_010, oi=510, bid=99.9, ask=100.3)
    assert (market.micro.first_oi[0], market.micro.first_price[0]) == (500, 100.0)
    market.frame(OPEN_2 - 600_000, oi=520, bid=99.9, ask=100.3)  # before the open: nothing traded yet
    assert market.sums == (0, 0, 0)
    assert math.isnan(market.micro.vwap(ZERO)[0])
    assert market.micro.past.oi[0] == 510
    assert market.micro.first_oi[0] == 520
    market.frame(OPEN_2, 101.0, 70, atp=101.0)
    assert market.sums == (70, 70, 0)
    assert market.micro.profile(0).total == 70
    assert market.micro.vwap(ZERO).tolist() == [101.0]


def test_last_nights_book_and_price_tell_nothing_about_the_first_trade(market: Market) -> None:
    market.frame(OPEN, 100.0, 1_000, bid=99.9, ask=100.1)
    market.frame(OPEN + 1, 100.1, 1_010)
    market.frame(OPEN_2, 104.0, 70)
    assert market.sums == (70, 0, 0)
    market.frame(OPEN_2 + 1, 104.5, 71)
    assert market.sums == (71, 1, 0)


def test_yesterdays_figures_are_no_base_of_today(market: Market) -> None:
    """A run that begins before the open hears what yesterday ended with."""
    market.frame(OPEN_2 - 600_000, 100.0, 9_000, ltt=OPEN + 5, atp=99.0, kind=FrameKind.SNAPSHOT)
    assert math.isnan(market.micro.vwap(ZERO)[0])
    assert market.micro.flow.base_volume[0] == 0
    market.frame(OPEN_2, 101.0, 70)
    assert market.micro.vwap(ZERO).tolist() == [101.0]


def test_an_instrument_of_prices_only_has_no_flow(market: Market) -> None:
    for step in range(3):
        batch = TickBatch.zeros(FrameKind.LIVE, 0, market.rows)
        batch.slot[:] = np.arange(10, 10 + market.rows)
        batch.slot[0] = 0
        batch.mask[0] = Has.LTPC
        batch.px[0, Px.LTP], batch.qty[0, Qty.LTT_MS] = 100.0 + step, OPEN + step
        market.take(OPEN + step, batch)
    assert market.sums == (0, 0, 0)
    assert math.isnan(market.micro.vwap(ZERO)[0])
    # Promoted to full mode: what traded before is the base.
    market.frame(OPEN + 10, 103.0, 400, atp=101.5)
    assert market.micro.vwap(ZERO).tolist() == [101.5]
    assert market.sums == (0, 0, 0)


@pytest.mark.parametrize("rows", [1, 40])
def test_of_a_book_of_which_only_the_best_level_is_read(rows: int) -> None:
    """Its four other levels are not empty: nobody looked. Sides, spread and microprice need none of them."""
    market = Market(rows)
    for shallow, five in ((True, math.nan), (False, 0.5), (True, math.nan)):
        batch = TickBatch.zeros(FrameKind.LIVE, 0, rows)
        batch.slot[:] = np.arange(rows)
        batch.mask[:] = Has.LTPC | Has.FULL | Has.DEPTH | (Has.BEST if shallow else 0)
        batch.depth[:, :, 0] = 99.95, 300, 100.05, 100
        market.take(OPEN, batch)
        book = market.micro.book(np.arange(rows))
        assert book.imbalance_1.tolist() == [0.5] * rows
        assert book.imbalance_5 == pytest.approx([five] * rows, nan_ok=True)
        # A row without a book changes nothing.
        batch = TickBatch.zeros(FrameKind.LIVE, 0, rows)
        batch.slot[:], batch.mask[:] = np.arange(rows), Has.FULL
        market.take(OPEN + 1, batch)
        assert market.micro.book(ZERO).imbalance_5 == pytest.approx([five], nan_ok=True)


def test_past_figures_may_come_before_the_first_frame() -> None:
    market = Market()
    event = PastDaysEvent(OPEN * NS, 300, 120.0, 80.0, 7_000.0)
    market.micro.take_past(event)
    market.quotes.day[0, [Bar.HIGH, Bar.LOW, Bar.TS_MS]] = 130.0, 90.0, ns(DAY, "00:00") // NS
    market.micro.take_past(PastDaysEvent(OPEN * NS, 0, 120.0, 80.0, 7_000.0))
    market.frame(OPEN, 100.0, 1_000, oi=7_500)
    market.frame(OPEN_2, 100.0, 1_000, oi=7_600)
    past = market.micro.past
    assert (past.high_rupees[300], past.low_rupees[300], past.oi[300]) == (120, 80, 7_000)
    # The day that ended is part of the past now.
    assert (past.high_rupees[0], past.low_rupees[0], past.oi[0]) == (130, 80, 7_500)


# --- against the slow reference ---------------------------------------------------------------------------

PRICES = [99.5, 99.95, 100.0, 100.05, 100.1, 102.3, 250.0]


def frames(seed: int, count: int) -> list[tuple[int, TickBatch]]:
    """Frames of a wild market: gaps, late rows, crossed books, price-only rows, a new day."""
    rng = np.random.default_rng(seed)
    out, at, vtt = [], OPEN - 5_000, np.zeros(60, np.int64)
    for _ in range(count):
        at += int(rng.integers(0, 3_000))
        if rng.random() < 0.03 and at < OPEN_2:
            at = int(rng.choice([END - 1_000, OPEN_2 - 2_000]))
        rows = int(rng.choice([1, 2, 5, 21, 45]))
        kind = FrameKind.SNAPSHOT if rng.random() < 0.1 else FrameKind.LIVE
        batch = TickBatch.zeros(kind, at, rows)
        slots = np.sort(rng.permutation(60)[:rows])
        batch.slot[:] = slots
        has = Has.LTPC | Has.FULL | Has.DEPTH
        batch.mask[:] = rng.choice([has, has, has, Has.LTPC | Has.FULL, Has.FULL | Has.DEPTH, Has.LTPC], rows)
        batch.px[:, Px.LTP] = rng.choice(PRICES, rows)
        batch.px[:, Px.ATP] = rng.choice([0.0, 100.0, 100.02], rows)
        batch.px[:, Px.OI] = rng.choice([0.0, 5_000.0, 5_050.0], rows)
        vtt[slots] += rng.integers(-2, 40, rows) * (rng.random(rows) < 0.8)
        batch.qty[:, Qty.VTT] = np.maximum(vtt[slots], 0)
        batch.qty[:, Qty.LTT_MS] = at - rng.integers(0, 4, rows) * 500
        batch.depth[:, 0, 0] = rng.choice([0.0, 99.9, 100.0], rows)
        batch.depth[:, 2, 0] = rng.choice([0.0, 99.9, 100.1, 100.2], rows)
        out.append((at, batch))
    return out


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 40),
    read_every=st.integers(1, 30),
    notes=st.sampled_from([24, 64, 2048]),
)
def test_any_market_gives_what_the_slow_reference_gives(
    seed: int, count: int, read_every: int, notes: int
) -> None:
    """To the last bit, whenever somebody reads and however many trades are written down first."""
    patch = pytest.MonkeyPatch()
    patch.setattr(microstructure, "NOTES", notes)
    try:
        quotes, slow = Quotes(hours, 4), SlowFlow()
        micro = Microstructure(quotes, lambda slot: 0.05)
        for number, (at, batch) in enumerate(frames(seed, count)):
            micro.turn(at * NS)
            trades = quotes.apply(batch, at * NS)
            micro.update(batch, trades)
            slow.update(quotes, batch, trades)
            if number % read_every == 0:
                micro.settle()
        check(micro, slow)
    finally:
        patch.undo()


def check(micro: Microstructure, slow: SlowFlow) -> None:
    flow = micro.flow
    get: list[Callable[[One], float]] = [
        lambda one: one.volume,
        lambda one: one.buy,
        lambda one: one.sell,
        lambda one: one.trades,
        lambda one: one.aggressor,
        lambda one: one.reference,
        lambda one: one.moment1,
        lambda one: one.moment2,
        lambda one: one.base_volume,
        lambda one: one.base_value,
        lambda one: one.first_oi,
        lambda one: one.first_price,
    ]
    for slot in range(min(60, micro.capacity)):
        one = slow.slots.get(slot, One())
        mine = [
            flow.volume[slot],
            flow.buy_volume[slot],
            flow.sell_volume[slot],
            flow.trades[slot],
            flow.aggressor[slot],
            flow.reference[slot],
            flow.moment1[slot],
            flow.moment2[slot],
            flow.base_volume[slot],
            flow.base_value[slot],
            micro.first_oi[slot],
            micro.first_price[slot],
        ]
        assert mine == [read(one) for read in get], f"slot {slot}"
        profile = micro.profile(slot)
        assert profile.total == one.volume
        bins = [0] * len(profile.price)
        for price, volume in one.at_price.items():
            inside = np.flatnonzero(
                (profile.price < price + 0.001) & (price < profile.price + profile.width - 0.001)
            )
            assert len(inside) == 1
            bins[int(inside[0])] += volume
        assert profile.volume.tolist() == bins
        assert micro.unclassified(np.array([slot]))[0] == one.volume - one.buy - one.sell
