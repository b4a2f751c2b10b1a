"""Merging frames into market state, rule by rule."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradetui.domain.calendar import ns
from tradetui.domain.market_data import FrameKind, Greek, Has, Px, Qty, TickBatch
from tradetui.market.quotes import FUTURE_MS, Quotes, TradeColumns, Trades

DAY = date(2026, 10, 1)
OPEN, END = (ns(DAY, wall) // 1_000_000 for wall in ("09:15", "15:30"))
NS = 1_000_000
Edit = Callable[[TickBatch], object]


def make(capacity: int = 4) -> Quotes:
    return Quotes(lambda slot, day: (OPEN * NS, END * NS) if day == DAY else None, capacity)


def frame(
    *edits: Edit,
    mask: int = Has.LTPC | Has.FULL,
    kind: FrameKind = FrameKind.LIVE,
    slot: int = 0,
    rows: int = 1,
) -> TickBatch:
    """A batch whose first row is edited; with more rows the others are empty rows of other slots."""
    batch = TickBatch.zeros(kind, 0, rows)
    batch.slot[:] = np.arange(10, 10 + rows)
    batch.slot[0] = slot
    batch.mask[0] = mask
    for edit in edits:
        edit(batch)
    return batch


def px(column: Px, value: float) -> Edit:
    return lambda batch: batch.px.__setitem__((0, column), value)


def qty(column: Qty, value: int) -> Edit:
    return lambda batch: batch.qty.__setitem__((0, column), value)


def trade(price: float, at: int, vtt: int = 0) -> Edit:
    def edit(batch: TickBatch) -> None:
        batch.px[0, Px.LTP] = price
        batch.qty[0, Qty.LTT_MS] = at
        batch.qty[0, Qty.VTT] = vtt

    return edit


@pytest.fixture(params=[1, 30], ids=["row", "columns"])
def rows(request: pytest.FixtureRequest) -> int:
    """Both ways of merging: one row alone, and as the first of many."""
    return int(request.param)


def volumes(trades: Trades) -> list[int]:
    return trades.volume.tolist() if isinstance(trades, TradeColumns) else [t.volume for t in trades]


def test_live_frames_are_partial(rows: int) -> None:
    quotes = make()
    quotes.apply(
        frame(
            trade(100, OPEN, 500),
            px(Px.CLOSE, 98),
            px(Px.OI, 7_000),
            px(Px.TBQ, 40),
            lambda b: b.depth.__setitem__(0, 5.0),
            lambda b: b.greeks.__setitem__((0, Greek.DELTA), 0.5),
            mask=Has.LTPC | Has.FULL | Has.DEPTH | Has.GREEKS,
            rows=rows,
        ),
        OPEN * NS,
    )
    quotes.apply(frame(trade(101, OPEN + 5, 510), rows=rows), (OPEN + 10) * NS)
    assert quotes.ltp[0] == 101
    assert quotes.close[0] == 98
    assert (quotes.oi[0], quotes.tbq[0], quotes.vtt[0]) == (7_000, 40, 510)
    assert (quotes.depth[0] == 5).all()
    assert quotes.greeks[0, Greek.DELTA] == 0.5
    # A group that is there replaces the old one, empty levels included.
    quotes.apply(
        frame(lambda b: b.depth.__setitem__((0, 0, 0), 6.0), mask=Has.FULL | Has.DEPTH, rows=rows),
        (OPEN + 20) * NS,
    )
    assert quotes.depth[0, 0].tolist() == [6, 0, 0, 0, 0]
    assert quotes.ltp[0] == 101
    assert quotes.version[0] == 3


def test_a_snapshot_replaces_even_by_zeros(rows: int) -> None:
    quotes = make()
    quotes.apply(
        frame(
            trade(100, OPEN, 500),
            px(Px.OI, 7_000),
            px(Px.TSQ, 3),
            lambda b: b.depth.__setitem__(0, 5.0),
            mask=Has.LTPC | Has.FULL | Has.DEPTH,
            rows=rows,
        ),
        OPEN * NS,
    )
    quotes.apply(frame(trade(99, OPEN + 9, 520), kind=FrameKind.SNAPSHOT, rows=rows), (OPEN + 10) * NS)
    assert (quotes.oi[0], quotes.tsq[0], quotes.vtt[0], quotes.ltp[0]) == (0, 0, 520, 99)
    assert not quotes.depth[0].any()
    # One of prices alone leaves no book: nobody would tell when it changes.
    quotes.apply(
        frame(px(Px.OI, 5.0), lambda b: b.depth.__setitem__(0, 4.0), mask=Has.FULL | Has.DEPTH), OPEN * NS
    )
    quotes.apply(
        frame(trade(98, OPEN + 11), mask=Has.LTPC, kind=FrameKind.SNAPSHOT, rows=rows), (OPEN + 12) * NS
    )
    assert quotes.oi[0] == 5
    assert not quotes.depth[0].any()


def test_out_of_order_is_counted_and_not_merged(rows: int) -> None:
    quotes = make()
    quotes.apply(frame(trade(100, OPEN + 100, 500), rows=rows), (OPEN + 100) * NS)
    quotes.apply(frame(trade(101, OPEN + 200, 510), rows=rows), (OPEN + 200) * NS)
    told = quotes.apply(
        frame(trade(90, OPEN + 150, 505), px(Px.OI, 1.0), lambda b: b.depth.__setitem__(0, 9.0), rows=rows),
        (OPEN + 300) * NS,
    )
    assert quotes.out_of_order == 1
    assert (quotes.ltp[0], quotes.ltt_ms[0], quotes.vtt[0], quotes.oi[0]) == (101, OPEN + 200, 510, 0)
    assert volumes(told) == [0]
    late = told.late.tolist() if isinstance(told, TradeColumns) else [t.late for t in told]
    assert late == [True]
    # A snapshot is believed whatever it says.
    quotes.apply(frame(trade(95, OPEN + 150, 505), kind=FrameKind.SNAPSHOT, rows=rows), (OPEN + 400) * NS)
    assert (quotes.ltp[0], quotes.vtt[0], quotes.out_of_order) == (95, 505, 1)


def test_a_time_from_the_future_does_not_poison_the_slot(rows: int) -> None:
    quotes = make()
    quotes.apply(frame(trade(100, OPEN, 500), rows=rows), OPEN * NS)
    told = quotes.apply(frame(trade(77, OPEN + 1 + FUTURE_MS, 900), rows=rows), OPEN * NS)
    assert len(told) == 0
    assert (quotes.ltp[0], quotes.from_future, quotes.clock_ms) == (100, 1, OPEN)
    quotes.apply(frame(trade(101, OPEN + 50, 501), rows=rows), OPEN * NS)
    assert quotes.ltp[0] == 101


def test_what_is_a_trade_and_how_much_volume_it_has(rows: int) -> None:
    quotes = make()
    step = [
        volumes(quotes.apply(frame(edit, rows=rows), (OPEN + at) * NS))
        for at, edit in enumerate(
            [
                trade(100, OPEN, 500),  # first sight
                trade(100, OPEN, 500),  # nothing but the book
                trade(101, OPEN + 1),  # the price first
                trade(101, OPEN + 1, 530),  # then its volume
                trade(101, OPEN + 2, 520),  # a correction
                trade(101, OPEN + 3, 525),
            ]
        )
    ]
    assert step == [[0], [], [0], [30], [0], [5]]


def test_going_from_prices_to_full_is_no_trade_of_the_whole_day(rows: int) -> None:
    quotes = make()
    quotes.apply(frame(trade(100, OPEN), mask=Has.LTPC, rows=rows), OPEN * NS)
    assert volumes(quotes.apply(frame(trade(101, OPEN + 9, 1_000_000), rows=rows), (OPEN + 9) * NS)) == [0]
    assert volumes(quotes.apply(frame(trade(101, OPEN + 10, 1_000_005), rows=rows), (OPEN + 10) * NS)) == [5]


def test_the_first_trade_of_something_known_counts(rows: int) -> None:
    quotes = make()
    quotes.apply(frame(px(Px.CLOSE, 98.0), mask=Has.FULL, rows=rows), (OPEN - 500) * NS)
    assert quotes.since_ms[0] == OPEN - 500
    assert volumes(quotes.apply(frame(trade(100, OPEN + 5, 30), rows=rows), (OPEN + 9) * NS)) == [30]


def test_a_new_day_of_an_unbroken_stream_starts_from_zero(rows: int) -> None:
    quotes = make()
    yesterday = OPEN - 86_400_000
    quotes.apply(frame(trade(100, yesterday, 9_000), rows=rows), yesterday * NS)
    told = quotes.apply(frame(trade(100, OPEN + 5, 30), rows=rows), (OPEN + 9) * NS)
    assert volumes(told) == [30]
    assert quotes.vtt[0] == 30
    quotes = make()
    quotes.apply(frame(trade(100, yesterday, 9_000), rows=rows), yesterday * NS)
    told = quotes.apply(frame(trade(100, OPEN + 5, 30), kind=FrameKind.SNAPSHOT, rows=rows), (OPEN + 9) * NS)
    assert volumes(told) == [0], "after a break nobody knows how much of it is new"


@pytest.mark.parametrize("moves", [True, False], ids=["with a trade", "price alone"])
def test_the_official_close_has_a_place_of_its_own(rows: int, moves: bool) -> None:
    quotes = make()
    quotes.apply(frame(trade(100, END - 10, 500), rows=rows), (END + 30_000) * NS)
    assert (quotes.ltp[0], quotes.official_close[0]) == (100, 0), "a last trade that arrives late is a trade"
    at, vtt = (END + 600_000, 520) if moves else (END - 10, 500)
    told = quotes.apply(frame(trade(103, at, vtt), rows=rows), (END + 600_500) * NS)
    assert (quotes.ltp[0], quotes.official_close[0], quotes.vtt[0]) == (100, 103, vtt)
    assert len(told) == moves
    # Who comes late knows no better price.
    quotes.apply(frame(trade(55, END + 600_000, 520), slot=1, rows=rows), (END + 600_600) * NS)
    assert (quotes.ltp[1], quotes.official_close[1]) == (55, 55)


def test_an_index_trades_when_its_level_moves(rows: int) -> None:
    quotes = make()
    told = [
        len(quotes.apply(frame(trade(level, OPEN), mask=Has.LTPC | Has.INDEX, rows=rows), OPEN * NS))
        for level in (100.0, 101.0, 101.0, 99.0)
    ]
    assert told == [1, 1, 0, 1]


def test_older_broker_minutes_do_not_replace_newer_ones(rows: int) -> None:
    quotes = make()
    for stamp in (OPEN, OPEN + 60_000, OPEN):
        quotes.apply(
            frame(
                lambda b, stamp=stamp: b.minute.__setitem__(0, [1, 1, 1, 1, 1, stamp]),  # type: ignore[misc]
                mask=Has.MINUTE | Has.FULL,
                rows=rows,
            ),
            (OPEN + 90_000) * NS,
        )
    assert quotes.minute[0, 5] == OPEN + 60_000


def test_growth_keeps_what_is_known_and_age_tells_silence() -> None:
    quotes = make(2)
    quotes.apply(frame(trade(100, OPEN, 5)), OPEN * NS)
    quotes.apply(frame(trade(50, OPEN, 6), slot=37), (OPEN + 1_000) * NS)
    assert quotes.capacity == 64
    assert (quotes.ltp[0], quotes.ltp[37]) == (100, 50)
    ages = quotes.age_ns((OPEN + 3_000) * NS)
    assert (ages[0], ages[37], ages[1]) == (3_000 * NS, 2_000 * NS, -1)
    assert quotes.apply(TickBatch.zeros(FrameKind.LIVE, 0, 0), OPEN * NS) == []


masks = st.sampled_from(
    [
        Has.LTPC,
        Has.LTPC | Has.FULL,
        Has.LTPC | Has.FULL | Has.DEPTH,
        Has.FULL | Has.GREEKS | Has.AUCTION,
        Has.LTPC | Has.FULL | Has.DAY | Has.MINUTE,
        Has.LTPC | Has.INDEX,
    ]
)
row = st.tuples(
    st.integers(0, 7),
    masks,
    st.sampled_from([0.0, 99.0, 100.0, 101.0]),
    st.sampled_from([-90_000_000, -5, 0, 1, 60_000, 2 * FUTURE_MS]),
    st.integers(0, 40),
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(list(FrameKind)),
            st.sampled_from([0, 10, 23_000_000, 86_400_000]),
            st.lists(row, min_size=1, max_size=8, unique_by=lambda r: r[0]),
        ),
        max_size=25,
    )
)
def test_rows_and_columns_merge_the_same(
    plan: list[tuple[FrameKind, int, list[tuple[int, Has, float, int, int]]]],
) -> None:
    """Whatever arrives: a frame merged at once equals its rows merged one by one."""
    whole, single = make(8), make(8)
    now = OPEN
    for kind, passed, given_rows in plan:
        now += passed
        batch = TickBatch.zeros(kind, 0, len(given_rows) + 25)
        batch.slot[len(given_rows) :] = np.arange(8, 33)  # empty rows, so that the columns are used
        for i, (slot, mask, price, ago, vtt) in enumerate(given_rows):
            batch.slot[i], batch.mask[i] = slot, mask
            batch.px[i] = price * (np.arange(7) + 1) if mask & Has.FULL else [price, price, 0, 0, 0, 0, 0]
            batch.qty[i] = (now + ago if price else 0, vtt, vtt)
            batch.depth[i] = vtt if mask & Has.DEPTH else 0  # as the contract of TickBatch says
            batch.greeks[i], batch.auction[i] = vtt, price
            batch.day[i], batch.minute[i] = price, [price, price, price, price, vtt, now + ago]
        told_whole = list(_objects(whole.apply(batch, now * NS)))
        told_single = []
        for i in range(len(batch)):
            one = TickBatch(
                kind,
                0,
                *(
                    getattr(batch, name)[i : i + 1]
                    for name in ("slot", "mask", "px", "qty", "depth", "greeks", "day", "minute", "auction")
                ),
            )
            told_single += _objects(single.apply(one, now * NS))
        assert told_whole == told_single
        for name in vars(whole):
            mine, theirs = getattr(whole, name), getattr(single, name)
            if isinstance(mine, np.ndarray):
                assert np.array_equal(mine, theirs), name
            elif isinstance(mine, int):
                assert mine == theirs, name


def _objects(trades: Trades) -> list[tuple[object, ...]]:
    if isinstance(trades, TradeColumns):
        return [tuple(t) for t in trades.rows(np.ones(len(trades), np.bool_))]
    return [tuple(t) for t in trades]
