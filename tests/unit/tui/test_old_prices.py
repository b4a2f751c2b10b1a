"""What the watchlist says of a price that is old, or that was asked for."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.tui.test_measures import ROW, watch

PLAIN = replace(ROW, measures=None, trend=(1.0, 2.0, 3.0))


def test_an_old_price_shows_its_age_in_the_place_of_its_trend() -> None:
    fresh, old = watch(60, PLAIN)[1], watch(60, replace(PLAIN, stale=True, age_s=185.0))[1]
    assert "▁" in fresh
    assert "3m05" not in fresh
    assert "3m05" in old
    assert "~" in old
    assert "▁" not in old
    assert len(old) == len(fresh)


def test_a_price_that_was_asked_for_says_so() -> None:
    line = watch(60, replace(PLAIN, stale=True, asked=True, age_s=12.0))[1]
    assert "R    101.50" in line
    assert "~" not in line
    never_streamed = watch(60, replace(PLAIN, stale=True, asked=True, age_s=0.0))[1]
    assert "R    101.50" in never_streamed
