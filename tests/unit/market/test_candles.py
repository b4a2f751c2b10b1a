"""Bar building, rule by rule."""

from __future__ import annotations

from datetime import date
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradetui.domain.calendar import ns
from tradetui.domain.errors import DomainError
from tradetui.domain.market_data import BarSource, Candle, FrameKind, Has, Px, Qty, TickBatch
from tradetui.market.candles import CandleBuilder
from tradetui.market.quotes import Quotes

DAY = date(2026, 10, 1)
OPEN = ns(DAY, "09:15") // 1_000_000
END = ns(DAY, "15:30") // 1_000_000
NS = 1_000_000


def continuous(slot: int, day: date) -> tuple[int, int] | None:
    return (OPEN * NS, END * NS) if day == DAY else None


class Market:
    """A builder and the ways to feed it; times are ms after the open."""

    def __init__(self, **settings: Any) -> None:
        self.quotes = Quotes(continuous, 2)
        self.builder = CandleBuilder(self.quotes, **settings)
        self.bars: list[Candle] = []
        self.see(-60_000, 0, ltt=-60_000, price=99.0, vtt=500)  # known since the pre-open

    def see(
        self,
        at: int,
        slot: int,
        *,
        ltt: int,
        price: float,
        vtt: int,
        i1: tuple[float, ...] | None = None,
        kind: FrameKind = FrameKind.LIVE,
    ) -> list[Candle]:
        batch = TickBatch.zeros(kind, 0, 1)
        batch.slot[0] = slot
        batch.mask[0] = Has.LTPC | Has.FULL | (Has.MINUTE if i1 else 0)
        batch.px[0, Px.LTP] = price
        batch.qty[0, Qty.LTT_MS] = OPEN + ltt
        batch.qty[0, Qty.VTT] = vtt
        if i1:
            batch.minute[0] = (*i1[:5], OPEN + i1[5])
        return self.feed(at, batch)

    def feed(self, at: int, batch: TickBatch) -> list[Candle]:
        t_ns = (OPEN + at) * NS
        out = self.builder.on_batch(t_ns, batch, self.quotes.apply(batch, t_ns))
        self.bars += out
        return out

    def time(self, at: int) -> list[Candle]:
        out = self.builder.on_time((OPEN + at) * NS)
        self.bars += out
        return out

    def minutes(self) -> list[tuple[int, float, float, float, float, int]]:
        return [
            (c.start_ms - OPEN, c.open, c.high, c.low, c.close, c.volume)
            for c in self.bars
            if c.interval_s == 60
        ]


def test_minute_from_trades_closes_when_the_exchange_clock_has_passed_it() -> None:
    m = Market()
    m.see(100, 0, ltt=50, price=100, vtt=510)
    m.see(200, 0, ltt=150, price=103, vtt=530)
    m.see(300, 0, ltt=150, price=103, vtt=530)  # the book changed, nothing traded
    m.see(59_000, 0, ltt=58_000, price=98, vtt=531)
    assert m.see(61_000, 0, ltt=60_500, price=101, vtt=540) == []
    (bar,) = m.see(63_500, 0, ltt=63_200, price=102, vtt=545)
    assert (bar.start_ms, bar.open, bar.high, bar.low, bar.close, bar.volume) == (OPEN, 100, 103, 98, 98, 31)
    assert bar.source is BarSource.TICKS
    assert not bar.gap
    forming = m.builder.forming(0, 60)
    assert forming is not None
    assert (forming.start_ms, forming.open, forming.close, forming.volume) == (OPEN + 60_000, 101, 102, 14)


def test_brokers_minute_closes_the_bar_and_is_right() -> None:
    m = Market()
    m.see(100, 0, ltt=50, price=100, vtt=510)
    (bar,) = m.see(60_900, 0, ltt=60_100, price=101, vtt=530, i1=(100, 104, 97, 99, 25, 0))
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (100, 104, 97, 99, 25)
    assert bar.source is BarSource.BROKER
    # Repeated in every frame of the next minute, it says nothing new.
    assert m.see(61_000, 0, ltt=60_200, price=101, vtt=531, i1=(100, 104, 97, 99, 25, 0)) == []
    assert m.builder.take_revised() == []


def test_late_broker_minute_revises_the_bar_and_the_longer_bar_it_ends() -> None:
    m = Market(intervals=(60, 300))
    for minute in range(5):
        m.see(minute * 60_000 + 100, 0, ltt=minute * 60_000 + 50, price=100 + minute, vtt=510 + minute)
    closed = m.time(5 * 60_000 + 15_000)
    assert [(c.interval_s, c.close) for c in closed] == [(60, 103), (60, 104), (300, 104)]
    m.see(5 * 60_000 + 15_500, 0, ltt=240_050, price=104, vtt=514, i1=(104, 110, 104, 105, 7, 240_000))
    one, five = m.builder.take_revised()
    assert (one.high, one.close, one.volume, one.source) == (110, 105, 7, BarSource.BROKER)
    assert (five.open, five.high, five.close, five.volume) == (100, 110, 105, 10 + 1 + 1 + 1 + 7)
    assert five.source is BarSource.MERGED
    assert m.builder.take_revised() == []


def test_a_brokers_minute_that_is_not_over_is_not_taken() -> None:
    m = Market()
    m.see(100, 0, ltt=50, price=100, vtt=510, i1=(100, 100, 100, 100, 10, 0))
    assert m.bars == []
    (bar,) = m.see(60_100, 0, ltt=60_050, price=101, vtt=511, i1=(100, 102, 100, 102, 12, 0))
    assert bar.high == 102


def test_insane_or_foreign_broker_minutes_are_ignored() -> None:
    m = Market()
    m.see(100, 0, ltt=50, price=100, vtt=510)
    for i1 in (
        (100, 90, 95, 99, 5, 0),
        (0, 0, 0, 0, 0, 0),
        (100, 104, 97, 99, 25, 30_000),
        (9, 9, 9, 9, 9, -420_000),
    ):
        m.see(60_900, 0, ltt=60_100, price=101, vtt=530, i1=i1)
    assert m.bars == []


def test_silence_closes_bars_by_engine_time() -> None:
    m = Market(patience_ms=15_000)
    m.see(100, 0, ltt=50, price=100, vtt=510)
    assert m.time(74_999) == []
    assert [c.start_ms - OPEN for c in m.time(75_000)] == [0]


def test_first_sight_is_a_baseline_for_the_minute_and_belongs_to_the_day() -> None:
    m = Market()
    m.see(30_000, 1, ltt=29_000, price=50, vtt=1_000_000)
    assert m.builder.forming(1, 60) is None
    m.see(31_000, 1, ltt=30_500, price=52, vtt=1_000_004)
    m.time(120_000)
    bar = next(c for c in m.bars if c.slot == 1)
    assert (bar.open, bar.volume, bar.gap) == (52, 4, True)
    own = next(c for c in m.builder.finish_day() if c.slot == 1 and c.interval_s == 86_400)
    assert (own.open, own.close, own.volume, own.gap) == (50, 52, 1_000_004, True)


def test_minutes_without_trades_are_absent_and_bars_are_anchored_to_the_open() -> None:
    m = Market()
    m.see(100, 0, ltt=50, price=100, vtt=510)
    m.see(3 * 60_000 + 100, 0, ltt=3 * 60_000 + 50, price=101, vtt=511)
    m.see(61 * 60_000, 0, ltt=61 * 60_000, price=102, vtt=512)
    m.time(63 * 60_000)
    assert [row[0] for row in m.minutes()] == [0, 3 * 60_000, 61 * 60_000]
    hours = [c for c in m.bars if c.interval_s == 3600]
    assert [(c.start_ms, c.close, c.volume) for c in hours] == [(OPEN, 101, 11)]
    forming = m.builder.forming(0, 3600)
    assert forming is not None
    assert (forming.start_ms, forming.open) == (OPEN + 3_600_000, 102)


def test_the_sessions_end_cuts_the_last_bar_short() -> None:
    m = Market()
    last = END - OPEN - 60_000
    m.see(last, 0, ltt=last, price=100, vtt=510)
    closed = m.see(
        END - OPEN + 500, 0, ltt=END - OPEN - 100, price=101, vtt=520, i1=(100, 101, 100, 101, 20, last)
    )
    assert [c.interval_s for c in closed] == [60, 180, 300, 900, 1800, 3600]


def test_trades_outside_continuous_trading_are_kept_apart() -> None:
    m = Market()
    m.see(100, 0, ltt=50, price=100, vtt=510)
    m.see(END - OPEN + 600_000, 0, ltt=END - OPEN + 600_000, price=111, vtt=900)
    m.builder.take_revised()
    days = [c for c in m.builder.finish_day() if c.interval_s == 86_400]
    assert all(c.high < 111 for c in [*m.bars, *days])
    assert days[0].volume == 900
    assert m.builder.outside == 2  # one before the open, one after the end
    assert m.quotes.official_close[0] == 111
    assert m.quotes.ltp[0] == 100


def test_out_of_order_trade_extends_the_bar_but_not_its_close() -> None:
    m = Market()
    m.see(1_000, 0, ltt=900, price=100, vtt=510)
    m.see(2_000, 0, ltt=1_900, price=101, vtt=520)
    m.see(2_100, 0, ltt=1_500, price=105, vtt=515)  # older in both
    forming = m.builder.forming(0, 60)
    assert forming is not None
    assert (forming.high, forming.close, forming.volume) == (105, 101, 20)
    assert m.quotes.out_of_order == 1
    assert m.quotes.ltp[0] == 101
    assert m.quotes.vtt[0] == 520


def test_late_trade_of_a_finished_minute_is_told_with_the_next() -> None:
    m = Market()
    m.see(1_000, 0, ltt=900, price=100, vtt=510)
    m.time(80_000)  # closed by engine time, the feed lags
    m.see(81_000, 0, ltt=50_000, price=107, vtt=530)
    assert m.builder.take_revised() == []
    m.see(82_000, 0, ltt=61_000, price=104, vtt=531)
    m.time(200_000)
    (revised,) = [c for c in m.builder.take_revised() if c.interval_s == 60]
    assert (revised.start_ms, revised.high, revised.close, revised.volume) == (OPEN, 107, 107, 30)


def test_late_trade_adds_nothing_to_the_brokers_figures() -> None:
    m = Market()
    m.see(1_000, 0, ltt=900, price=100, vtt=510)
    m.see(60_900, 0, ltt=950, price=100, vtt=511, i1=(100, 102, 100, 101, 30, 0))
    m.see(61_000, 0, ltt=59_000, price=109, vtt=530, i1=(100, 102, 100, 101, 30, 0))
    m.time(200_000)
    assert m.builder.take_revised() == []
    assert m.minutes() == [(0, 100, 102, 100, 101, 30)]


def test_a_gap_flags_its_bars_and_its_volume_stays_out_of_the_minute() -> None:
    m = Market()
    m.see(1_000, 0, ltt=900, price=100, vtt=510)
    m.builder.mark_gap((OPEN + 2_000) * NS)
    m.time(90_000)
    m.builder.mark_gap((OPEN + 2_000) * NS, (OPEN + 185_000) * NS)
    m.see(186_000, 0, ltt=185_900, price=110, vtt=9_000)
    m.see(187_000, 0, ltt=186_900, price=111, vtt=9_005)
    m.see(241_000, 0, ltt=240_900, price=112, vtt=9_006)
    m.time(400_000)
    assert m.minutes() == [
        (0, 100, 100, 100, 100, 10),
        (180_000, 110, 111, 110, 111, 5),
        (240_000, 112, 112, 112, 112, 1),
    ]
    assert [c.gap for c in m.bars if c.interval_s == 60] == [True, True, False]
    assert [c.gap for c in m.bars if c.interval_s == 300] == [True]


def test_volume_in_a_second_step_and_a_correction_are_never_negative() -> None:
    m = Market()
    m.see(1_000, 0, ltt=900, price=100, vtt=500)  # the price first
    m.see(1_100, 0, ltt=900, price=100, vtt=520)  # then the volume of the same trade
    m.see(2_000, 0, ltt=1_900, price=101, vtt=505)  # trades were cancelled
    m.see(3_000, 0, ltt=2_900, price=101, vtt=506)
    forming = m.builder.forming(0, 60)
    assert forming is not None
    assert forming.volume == 21
    assert m.quotes.vtt[0] == 506


def test_a_date_change_finishes_the_day() -> None:
    m = Market()
    m.see(1_000, 0, ltt=900, price=100, vtt=510)
    out = m.time(86_400_000)
    assert [c.interval_s for c in out] == [60, 180, 300, 900, 1800, 3600, 86_400]
    assert {c.source for c in out} == {BarSource.TICKS}
    assert m.builder.finish_day() == []


def test_the_day_settles_by_itself_after_the_session() -> None:
    m = Market(settle_ms=1_800_000)
    m.see(1_000, 0, ltt=900, price=100, vtt=510)
    m.time(END - OPEN)
    assert [c.interval_s for c in m.time(END - OPEN + 1_800_000)] == [86_400]
    assert m.builder.finish_day() == []


def test_wrong_intervals_are_refused() -> None:
    for intervals in ((300,), (60, 90), (60, 0)):
        with pytest.raises(DomainError):
            CandleBuilder(Quotes(continuous), intervals=intervals)
    with pytest.raises(DomainError):
        Market().builder.forming(0, 7200)


rows = st.tuples(
    st.integers(0, 11), st.integers(0, 4_000), st.sampled_from([99.0, 100.0, 101.5, 103.0]), st.integers(0, 9)
)


@given(
    st.lists(st.lists(rows, min_size=1, max_size=12, unique_by=lambda r: r[0]), max_size=60), st.booleans()
)
def test_columns_and_rows_build_the_same_bars(
    plan: list[list[tuple[int, int, float, int]]], i1: bool
) -> None:
    """A frame taken in by columns equals the same frame taken in row by row, call by call."""
    together, apart = Market(), Market()
    now = 1_000
    volume = [500] * 12
    frames = []
    for rows_ in plan:
        now += 2_500
        batch = TickBatch.zeros(FrameKind.LIVE, 0, len(rows_))
        for i, (slot, back, price, step) in enumerate(rows_):
            volume[slot] += step
            batch.slot[i] = slot
            batch.mask[i] = Has.LTPC | Has.FULL | (Has.MINUTE if i1 and back % 3 == 0 else 0)
            batch.px[i, Px.LTP] = price
            batch.qty[i, Qty.LTT_MS] = OPEN + now - back
            batch.qty[i, Qty.VTT] = volume[slot]
            minute = (now - 30_000) // 60_000 * 60_000
            batch.minute[i] = (price, price + 1, price - 1, price, step + 1, OPEN + minute)
        frames.append((now, batch))
    for at, batch in frames:
        found = []
        for market, limit in ((together, 0), (apart, 1_000)):
            with (
                patch("tradetui.market.quotes._SCALAR_ROWS", limit),
                patch("tradetui.market.candles._SCALAR_ROWS", limit),
            ):
                found.append((market.feed(at, batch), market.time(at + 1), market.builder.take_revised()))
        assert found[0] == found[1]
    for name in ("late", "late_dropped", "outside", "confirmed"):
        assert getattr(together.builder, name) == getattr(apart.builder, name)
    assert together.builder.finish_day() == apart.builder.finish_day()
    assert together.builder.take_revised() == apart.builder.take_revised()


def test_the_clock_closes_many_instruments_in_slices() -> None:
    m = Market()
    slots = 1_200
    for at in (100, 1_000):  # the first sight is a baseline
        batch = TickBatch.zeros(FrameKind.LIVE, 0, slots)
        batch.slot[:] = np.arange(slots)
        batch.mask[:] = Has.LTPC | Has.FULL
        batch.px[:, Px.LTP] = 100 + at
        batch.qty[:, Qty.LTT_MS] = OPEN + at
        batch.qty[:, Qty.VTT] = 10 + at
        m.feed(at, batch)
    slices = [(len(m.time(90_000 + at)), m.builder.behind) for at in range(7)]
    assert slices == [*[(200, True)] * 5, (200, False), (0, False)]
    assert sorted({c.slot for c in m.bars}) == list(range(slots))
    together = [len(m.time(330_000 + at)) for at in range(40)]
    longer = sum(together)
    assert (longer, max(together), m.builder.behind) == (slots * 2, 200, False), "3m and 5m, in slices too"
