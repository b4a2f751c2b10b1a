"""The rolling window of finished bars."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradetui.domain.errors import DomainError
from tradetui.domain.events import HistoryEvent
from tradetui.domain.market_data import BarSource, Candle
from tradetui.market.history import History


def bar(at: int, close: float = 1.0, slot: int = 0, interval_s: int = 60) -> Candle:
    return Candle(
        slot, interval_s, at * 60_000, close, close, close, close, at, 2.0, BarSource.BROKER, gap=at % 2 == 0
    )


@given(st.integers(1, 40), st.integers(0, 300))
def test_window_keeps_the_newest_bars_in_order(limit: int, count: int) -> None:
    history = History({60: limit})
    for at in range(1, count + 1):
        assert history.append(bar(at))
    kept = list(range(max(1, count - limit + 1), count + 1))
    view = history.bars(0, 60)
    assert (view.start_ms // 60_000).tolist() == view.volume.tolist() == kept
    assert view.gap.tolist() == [at % 2 == 0 for at in kept]
    assert history.candles(0, 60) == [bar(at) for at in kept]
    assert (history.bars(0, 60, 3).start_ms // 60_000).tolist() == kept[-3:]
    assert history.origin_ms(0, 60) == (60_000 if count else 0)
    assert history.last_ms(0, 60) == count * 60_000


def test_bars_that_are_not_newer_are_refused_and_can_be_revised() -> None:
    history = History()
    history.append(bar(5))
    assert not history.append(bar(5, 9.0))
    assert not history.append(bar(4))
    assert history.revise(bar(5, 9.0))
    assert not history.revise(bar(5, 9.0)), "nothing changed"
    assert not history.revise(bar(6)), "not there"
    assert history.bars(0, 60).close.tolist() == [9.0]
    assert history.series() == [(0, 60)]


def test_warm_up_before_the_first_bar_needs_no_rebuild() -> None:
    history = History()
    loaded = history.load(HistoryEvent(0, 0, 60, tuple(bar(at) for at in (1, 2, 3))))
    assert (loaded.added, loaded.replaced, loaded.rebuild) == (3, 0, False)
    assert history.append(bar(4))
    assert history.origin_ms(0, 60) == 60_000


def test_filling_a_gap_puts_bars_where_they_belong_and_asks_for_a_rebuild() -> None:
    history = History()
    for at in (1, 2, 6):
        history.append(bar(at))
    loaded = history.merge(0, 60, [bar(4), bar(3), bar(2, 7.0), bar(6)])
    assert (loaded.added, loaded.replaced, loaded.rebuild) == (2, 1, True)
    assert (history.bars(0, 60).start_ms // 60_000).tolist() == [1, 2, 3, 4, 6]
    assert history.bars(0, 60).close.tolist() == [1, 7, 1, 1, 1]
    again = history.merge(0, 60, [bar(4), bar(3)])
    assert (again.added, again.replaced, again.rebuild) == (0, 0, False)


def test_older_bars_move_the_origin_and_a_full_window_keeps_it() -> None:
    history = History({60: 4})
    history.append(bar(10))
    history.merge(0, 60, [bar(8), bar(9)])
    assert history.origin_ms(0, 60) == 8 * 60_000
    for at in range(11, 20):
        history.append(bar(at))
    assert history.origin_ms(0, 60) == 8 * 60_000
    assert len(history.bars(0, 60).close) == 4


def test_foreign_bars_and_empty_windows_are_refused() -> None:
    with pytest.raises(DomainError):
        History().merge(0, 60, [bar(1, slot=3)])
    for limits, default in (({60: 0}, 10), ({}, 0)):
        with pytest.raises(DomainError):
            History(limits, default)


def test_empty_series_and_frames() -> None:
    history = History()
    assert len(history.bars(3, 60).close) == 0
    assert history.candles(3, 60) == []
    assert history.frame(3, 60).is_empty()
    history.append(bar(1, 2.5))
    frame = history.frame(0, 60)
    assert frame.rows(named=True) == [
        {
            "ts": datetime.fromtimestamp(60, UTC),
            "open": 2.5,
            "high": 2.5,
            "low": 2.5,
            "close": 2.5,
            "volume": 1,
            "oi": 2.0,
            "source": "broker",
            "gap": False,
        }
    ]
    history.append(bar(2, 3.0))
    assert len(frame) == 1, "a frame is a copy"
