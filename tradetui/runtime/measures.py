"""Microstructure for the screen: columns of the visible instruments turned into values."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import numpy as np

from tradetui.domain.market_data import I64
from tradetui.domain.measures import MarketMeasures, ProfileView
from tradetui.engine import Engine
from tradetui.market.day_measures import BuildUp
from tradetui.market.measures import Measures, measure

_ALL_EVERY: Final = 10
"""Every so many looks all is worked out anew."""
_NOTHING: Final = (-1, None)
_SIDES: Final = {1: "BUY", -1: "SELL", 0: ""}
BUILD_UPS: Final = {
    BuildUp.NONE: "",
    BuildUp.LONG: "long build-up",
    BuildUp.SHORT: "short build-up",
    BuildUp.COVERING: "short covering",
    BuildUp.UNWINDING: "long unwinding",
}


def market_measures(engine: Engine, slots: Iterable[int]) -> dict[int, MarketMeasures]:
    """Measures by slot, of those slots that have been seen."""
    quotes = engine.quotes
    seen: I64 = np.array(
        sorted({s for s in slots if s < quotes.capacity and quotes.last_seen_ns[s] > 0}), np.int64
    )
    if not len(seen):
        return {}
    found = measure(quotes, engine.microstructure, seen, engine.now_ns)
    floats = [_plain(values) for values in _float_columns(found)]
    whole = [values.tolist() for values in (found.delta, found.seen, found.unclassified, found.aggressor)]
    classes = found.build_up.tolist()
    rows = zip(seen.tolist(), zip(*floats, strict=True), zip(*whole, strict=True), classes, strict=True)
    return {
        slot: MarketMeasures(
            spread_rupees=numbers[0],
            spread_ticks=numbers[1],
            spread_bps=numbers[2],
            microprice=numbers[3],
            imbalance_1=numbers[4],
            imbalance_5=numbers[5],
            vwap=numbers[6],
            deviation=numbers[7],
            relative_volume=numbers[8],
            day_position=numbers[9],
            gap_percent=numbers[10],
            from_high_percent=numbers[11],
            from_low_percent=numbers[12],
            oi_change=numbers[13],
            oi_change_percent=numbers[14],
            oi_change_session=numbers[15],
            cumulative_delta=units[0],
            seen_volume=units[1],
            unclassified_volume=units[2],
            aggressor=_SIDES[units[3]],
            build_up=BUILD_UPS[BuildUp(kind)] if engine.universe.instruments[slot].is_derivative else "",
        )
        for slot, numbers, units, kind in rows
    }


class MeasuresKept:
    """Measures of the visible instruments, worked out anew for those that something was heard of.

    Args:
        engine: What to look at.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: dict[int, tuple[int, MarketMeasures]] = {}
        self._looks = 0

    def of(self, slots: Iterable[int]) -> dict[int, MarketMeasures]:
        """Measures by slot, of those slots that have been seen."""
        quotes = self._engine.quotes
        wanted = {slot: quotes.version.item(slot) for slot in slots if slot < quotes.capacity}
        # What is compared with the time of day goes on by itself.
        if self._looks % _ALL_EVERY == 0:
            self._known.clear()
        self._looks += 1
        due = [slot for slot, version in wanted.items() if self._known.get(slot, _NOTHING)[0] != version]
        for slot, measures in market_measures(self._engine, due).items():
            self._known[slot] = (wanted[slot], measures)
        return {slot: self._known[slot][1] for slot in wanted if slot in self._known}


def profile_view(engine: Engine, slot: int) -> ProfileView | None:
    """Where the session's volume of one instrument traded; ``None`` when nothing was seen to trade."""
    if slot >= engine.microstructure.capacity:
        return None
    profile = engine.microstructure.profile(slot)
    if not profile.total:
        return None
    low, high = profile.value_area()
    return ProfileView(profile.control, low, high)


def _float_columns(found: Measures) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], ...]:
    book = found.book
    return (
        book.spread_rupees, book.spread_ticks, book.spread_bps, book.microprice, book.imbalance_1,
        book.imbalance_5, found.vwap, found.deviation, found.relative_volume, found.day_position,
        found.gap_percent, found.from_high_percent, found.from_low_percent, found.oi_change,
        found.oi_change_percent, found.oi_change_session,
    )  # fmt: skip


def _plain(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[float | None]:
    """Plain numbers, ``None`` for NaN."""
    return [None if math.isnan(value) else value for value in values.tolist()]
