"""What the long-run benchmark makes of its samples."""

from __future__ import annotations

import os
import sys

import pytest

from tradetui.commands.bench.soak import Samples


def samples(mb_per_hour: float, saw_mb: float = 0.0) -> Samples:
    """Eight hours in 288 seconds, a sample a second."""
    made = Samples(market_s=8 * 3600.0)
    for second in range(289):
        made.at_s.append(float(second))
        made.rss_mb.append(300 + mb_per_hour * second / 36 + saw_mb * (second % 30) / 30)
        made.handles.append(50 + (second % 3 == 0))
    return made


def test_a_leak_is_seen_and_a_saw_is_none() -> None:
    assert samples(5.0).slope_mb_per_hour == pytest.approx(5.0)
    assert samples(5.0).growth(samples(5.0).rss_mb) > 16
    assert abs(samples(0.0, saw_mb=30.0).slope_mb_per_hour) < 1.0
    assert abs(samples(0.0, saw_mb=30.0).growth(samples(0.0, saw_mb=30.0).rss_mb)) < 3
    assert samples(0.0).growth(samples(0.0).handles) == 0


def test_memory_is_told_by_the_hour() -> None:
    hours = samples(2.0).by_hour()
    assert len(hours) == 8
    assert hours[-1] - hours[0] == pytest.approx(14.0)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is sampled from /proc")
def test_a_process_is_sampled_and_one_that_is_gone_is_not() -> None:
    made = Samples()
    made.take(os.getpid(), 0.0)
    made.take(2**22 + 1, 1.0)
    assert len(made.rss_mb) == len(made.handles) == len(made.at_s) == 1
    assert made.rss_mb[0] > 5
