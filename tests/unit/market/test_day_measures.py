"""Day, year, open interest, usual volume and the book: numbers worked by hand."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pytest

from tradetui.domain.calendar import ns
from tradetui.domain.events import PastDaysEvent
from tradetui.domain.market_data import I64, Bar, FrameKind, Has, Px, Qty, TickBatch
from tradetui.market.book_measures import book_measures
from tradetui.market.day_measures import BuildUp, build_up, oi_change, percent_from, range_position
from tradetui.market.measures import measure
from tradetui.market.microstructure import Microstructure
from tradetui.market.quotes import Quotes
from tradetui.market.relative_volume import RelativeVolume, usual_volume

DAY = date(2026, 10, 1)
OPEN = ns(DAY, "09:15") // 1_000_000
MIDNIGHT = ns(DAY, "00:00") // 1_000_000
NS = 1_000_000
MINUTE = 60_000


def column(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array(values, np.float64)


def book(*sides: tuple[float, float, float, float]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Books of one level: bid, its quantity, ask, its quantity."""
    depth = np.zeros((len(sides), 4, 5))
    depth[:, :, 0] = sides
    return depth


def test_book_by_hand() -> None:
    depth = book((100.00, 300, 100.10, 100), (0, 0, 50, 10), (0, 0, 0, 0), (100.1, 5, 100.0, 5))
    depth[0, 1, 1:3], depth[0, 3, 1:3] = 100, 150  # second and third level
    found = book_measures(depth, column(0.05, 0.05, 0.05, 0.05))
    assert found.spread_rupees[[0, 3]].tolist() == [0.1, -0.1]
    assert found.spread_ticks[[0, 3]].tolist() == [2.0, -2.0]
    assert found.spread_bps[0] == pytest.approx(0.1 / 100.05 * 10_000)
    # Three quarters of the best units are bid: the fair price lies three quarters up the spread.
    assert found.microprice[0] == pytest.approx(100.075)
    assert found.imbalance_1.tolist()[:2] == [0.5, -1.0]
    assert found.imbalance_5[0] == pytest.approx((500 - 400) / 900)
    assert math.isnan(found.imbalance_1[2])
    for values in (found.spread_rupees, found.spread_ticks, found.spread_bps, found.microprice):
        assert np.isnan(values[1:3]).all()
    assert math.isnan(book_measures(depth[:1], column(0.0)).spread_ticks[0])


def test_range_position_and_percent() -> None:
    last, low, high = (
        column(105, 100, 112, 100, 0),
        column(100, 100, 100, 100, 100),
        column(110, 110, 110, 100, 110),
    )
    assert range_position(last, low, high)[:3].tolist() == [0.5, 0.0, 1.0]
    assert np.isnan(range_position(last, low, high)[3:]).all()
    assert percent_from(column(99), column(100))[0] == pytest.approx(-1.0)
    assert np.isnan(percent_from(column(0, 5), column(5, 0))).all()
    assert oi_change(column(1_200, 0), column(1_000, 1_000))[0] == 200
    assert math.isnan(oi_change(column(0), column(1_000))[0])


@pytest.mark.parametrize(
    ("price", "oi", "kind"),
    [
        (101, 1_100, BuildUp.LONG),
        (99, 1_100, BuildUp.SHORT),
        (101, 900, BuildUp.COVERING),
        (99, 900, BuildUp.UNWINDING),
        (100.1, 1_010, BuildUp.LONG),  # exactly the least move of both
        (99.9, 990, BuildUp.UNWINDING),
        (100.09, 1_100, BuildUp.NONE),
        (101, 1_009, BuildUp.NONE),
        (101, 0, BuildUp.NONE),
    ],
)
def test_build_up(price: float, oi: float, kind: BuildUp) -> None:
    assert build_up(column(price), column(100), column(oi), column(1_000)).tolist() == [kind]
    assert build_up(column(price), column(0), column(oi), column(1_000)).tolist() == [BuildUp.NONE]


def bars(*days: dict[int, int]) -> tuple[I64, I64]:
    """Starts and volumes of minute bars: for each day before today the volume by number of the minute."""
    rows = [
        (OPEN - before * 86_400_000 + minute * MINUTE, volume)
        for before, day in enumerate(days)
        for minute, volume in day.items()
    ]
    table = np.array(rows, np.int64)
    return table[:, 0], table[:, 1]


def test_usual_volume_by_hand() -> None:
    opens = [OPEN - day * 86_400_000 for day in range(4)]
    days = [
        {0: 10, 1: 0, 9: 10},
        {-1: 5, 0: 15, 1: 20, 9: 10},  # an opening auction's bar counts with the first minute
        {0: 30, 1: 10, 9: 10, 12: 90},  # longer than today: the rest counts with the last minute
        {0: 1_000_000},  # an hour of Muhurat trading is no usual day
    ]
    usual = usual_volume(*bars(*days), opens, 10)
    assert usual[:2] == (20.0, 30.0)
    assert usual[2:9] == (30.0,) * 7
    assert usual[9] == pytest.approx((20 + 50 + 140) / 3)
    assert usual_volume(*bars(*days), opens[:2], 10) == ()
    assert usual_volume(*bars(*[{0: 0, 9: 0}] * 3), opens[:3], 10) == ()
    assert usual_volume(np.zeros(0, np.int64), np.zeros(0, np.int64), opens, 10) == ()


def test_relative_volume_by_hand() -> None:
    usual = RelativeVolume(2)
    usual.grow(40)
    usual.learn(39, (100.0, 300.0, 400.0))
    usual.learn(3, ())

    def ratio(volume: int, seconds: float) -> float:
        found = usual.ratio(np.array([39, 3]), np.array([volume, 5]), np.full(2, round(seconds * 1000)))
        assert math.isnan(found[1])
        return float(found[0])

    assert ratio(100, 60) == 1.0
    assert ratio(100, 30) == 2.0  # half a minute: half of its volume
    assert ratio(400, 90) == 2.0
    assert ratio(800, 180) == 2.0
    assert ratio(800, 9_000) == 2.0  # after the last minute the usual volume stays
    assert math.isnan(ratio(5, 0))
    assert math.isnan(ratio(5, -60))
    for slot in range(40):
        usual.learn(slot, (float(slot + 1),))
    assert usual.ratio(np.arange(40), np.arange(40) + 1, np.full(40, MINUTE)).tolist() == [1.0] * 40
    usual.learn(39, ())
    assert math.isnan(usual.ratio(np.array([39]), np.array([1]), np.array([MINUTE]))[0])


def test_all_measures_of_a_moment() -> None:
    """One instrument at 09:17 with a past, and one that was only just seen."""
    quotes = Quotes(lambda slot, day: (ns(DAY, "09:15"), ns(DAY, "15:30")), 4)
    micro = Microstructure(quotes, lambda slot: 0.05)
    micro.take_past(PastDaysEvent(OPEN * NS, 1, 120.0, 80.0, 1_000.0, (500.0, 800.0)))
    batch = TickBatch.zeros(FrameKind.SNAPSHOT, 0, 2)
    batch.slot[:] = 1, 2
    batch.mask[:] = Has.LTPC | Has.FULL | Has.DAY | Has.DEPTH
    batch.px[:, [Px.LTP, Px.CLOSE, Px.ATP, Px.OI]] = 102.0, 100.0, 101.5, 1_500.0
    batch.qty[:, [Qty.LTT_MS, Qty.VTT]] = OPEN + 2 * MINUTE, 1_600
    batch.day[:, [Bar.OPEN, Bar.HIGH, Bar.LOW, Bar.TS_MS]] = 101.0, 104.0, 100.0, MIDNIGHT
    batch.depth[:, :, 0] = 101.95, 10, 102.05, 10
    batch.px[1, Px.CLOSE] = 0.0
    micro.apply(batch, (OPEN + 2 * MINUTE) * NS)
    found = measure(quotes, micro, np.array([1, 2]), (OPEN + 2 * MINUTE) * NS)
    assert found.vwap.tolist() == [101.5, 101.5]
    assert found.relative_volume[0] == 2.0
    assert found.day_position.tolist() == [0.5, 0.5]
    assert found.gap_percent[0] == pytest.approx(1.0)
    assert found.from_high_percent[0] == pytest.approx(-15.0)
    assert found.from_low_percent[0] == pytest.approx(27.5)
    assert (found.oi_change[0], found.oi_change_session[0]) == (500, 0)
    assert found.oi_change_percent[0] == pytest.approx(50.0)
    assert found.build_up.tolist() == [BuildUp.LONG, BuildUp.NONE]
    for values in (
        found.relative_volume, found.gap_percent, found.from_high_percent, found.from_low_percent, found.oi_change
    ):  # fmt: skip
        assert math.isnan(values[1])
    # A new high of the year is the year's high at once; the open interest of the session moves on.
    batch.px[:, [Px.LTP, Px.OI]] = 125.0, 1_600.0
    batch.day[:, Bar.HIGH] = 125.0
    batch.qty[:, Qty.LTT_MS] += 500
    micro.apply(batch, (OPEN + 2 * MINUTE + 500) * NS)
    found = measure(quotes, micro, np.array([1, 2]), (OPEN + 2 * MINUTE) * NS)
    assert found.from_high_percent[0] == 0.0
    assert found.oi_change_session.tolist() == [100, 100]
    assert found.build_up[1] == BuildUp.LONG  # since its first frame: that is all that is known


def test_the_last_sessions_bar_is_not_todays() -> None:
    """Before the first trade of a day the broker still shows yesterday's bar."""
    quotes = Quotes(lambda slot, day: (ns(DAY, "09:15"), ns(DAY, "15:30")), 4)
    micro = Microstructure(quotes, lambda slot: 0.05)
    batch = TickBatch.zeros(FrameKind.SNAPSHOT, 0, 1)
    batch.mask[:] = Has.LTPC | Has.FULL | Has.DAY
    batch.px[:, [Px.LTP, Px.CLOSE]] = 102.0, 100.0
    batch.qty[:, [Qty.LTT_MS, Qty.VTT]] = OPEN - 18 * 3_600_000, 9_000
    batch.day[:, [Bar.OPEN, Bar.HIGH, Bar.LOW, Bar.TS_MS]] = 101.0, 104.0, 100.0, MIDNIGHT - 86_400_000
    micro.take_past(PastDaysEvent(OPEN * NS, 0, volume_by_minute=(500.0, 800.0)))
    micro.apply(batch, (OPEN - MINUTE) * NS)
    found = measure(quotes, micro, np.array([0]), (OPEN - MINUTE) * NS)
    for values in (found.day_position, found.gap_percent, found.vwap, found.relative_volume):
        assert math.isnan(values[0])
    # Two minutes into the day, and still not traded: none of the usual volume.
    assert measure(quotes, micro, np.array([0]), (OPEN + 2 * MINUTE) * NS).relative_volume.tolist() == [0.0]
