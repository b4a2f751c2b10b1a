"""Bars that were seen in part are put right: minutes with the broker's own, longer bars folded from mended minutes.

A bar says ``gap`` when the feed was down for some of it, or when its instrument joined in its middle (ADR 0004). The
broker has the whole minute a few seconds after its end. One request brings every minute of one instrument's day, so
instruments are asked for one by one, the most important first, at a pace that half an hour's limit allows for ever.
Bars of which the broker has nothing keep their mark.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tradetui.domain.errors import TradeTuiError
from tradetui.domain.events import Event, HistoryEvent
from tradetui.domain.instrument import Instrument
from tradetui.domain.market_data import BarSource, Candle
from tradetui.engine import Engine, Outcome
from tradetui.market.warmup import fold_minutes
from tradetui.ports import Clock

log = logging.getLogger(__name__)

SETTLE_NS: Final = 5_000_000_000
"""Engine time after a minute's end when the broker's minute is asked for: `I1` came within ten seconds, mostly two."""
PACE_S: Final = 1.2
"""Real seconds between two requests: 1,500 of the 2,000 that half an hour allows (`upstox.md` 6.1)."""
TRIES: Final = 3
_TURN_S: Final = 0.5
_RETRY_NS: Final = 30_000_000_000
_MINUTE_S: Final = 60
_DAY_S: Final = 86_400
_NS_PER_MS: Final = 1_000_000

FetchMinutes = Callable[[Instrument], Awaitable[Sequence[Candle]]]
"""The broker's finished minutes of today, oldest first; slots do not matter."""


@dataclass(slots=True)
class _Due:
    """An instrument whose minutes are to be asked for."""

    first_ms: int
    at_ns: int
    tries: int = 0


class Mending:
    """See the module's docstring.

    Args:
        engine: Whose bars are mended.
        clock: Engine time.
        take: Takes the events that bring mended bars.
        store: Keeps mended bars.
        fetch: Asks the broker; ``None`` where nobody can be asked.
        important: Keys, the most important first.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        take: Callable[[Event], object],
        store: Callable[[Sequence[Candle]], None] | None,
        fetch: FetchMinutes | None,
        important: Callable[[], Sequence[str]],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._take = take
        self._store = store
        self._fetch = fetch
        self._important = important
        self._monotonic = monotonic
        self._due: dict[int, _Due] = {}
        self._folds: dict[tuple[int, int, int], None] = {}
        self._next_s = 0.0
        self.flagged = 0
        """Minutes that were seen in part."""
        self.mended = 0
        """Minutes that the broker's own have replaced since."""

    @property
    def waiting(self) -> int:
        """Instruments whose bars are still to be mended."""
        return len(self._due)

    def heard(self, event: Event, outcome: Outcome) -> None:
        """A listener of `Runtime`: bars that finished with a gap are noted."""
        del event
        if self._fetch is None:
            return
        for bar in outcome.candles:
            if not bar.gap or bar.source is BarSource.BROKER or bar.interval_s >= _DAY_S:
                continue
            if bar.interval_s == _MINUTE_S:
                self._note(bar)
            elif bar.interval_s > _MINUTE_S:
                self._folds[bar.slot, bar.interval_s, bar.start_ms] = None

    def _note(self, bar: Candle) -> None:
        self.flagged += 1
        ready_ns = (bar.start_ms + _MINUTE_S * 1000) * _NS_PER_MS + SETTLE_NS
        known = self._due.get(bar.slot)
        if known is None:
            self._due[bar.slot] = _Due(bar.start_ms, max(ready_ns, self._clock.now_ns()))
        else:
            known.first_ms = min(known.first_ms, bar.start_ms)
            known.at_ns = max(known.at_ns, ready_ns)

    async def run(self) -> None:
        """Mend until cancelled."""
        while True:
            await self.turn()
            await asyncio.sleep(_TURN_S)

    async def turn(self) -> None:
        """Fold what can be folded, and ask for the minutes of one instrument, if one is due."""
        self._fold()
        now_s = self._monotonic()
        slot = self._next() if now_s >= self._next_s else None
        if slot is None or self._fetch is None:
            return
        self._next_s = now_s + PACE_S
        due = self._due[slot]
        instrument = self._engine.universe.instruments[slot]
        try:
            minutes = await self._fetch(instrument)
        except TradeTuiError as error:
            log.info("%s could not be mended yet: %s", instrument.symbol, error.message)
            minutes = ()
        if self._put(slot, due, minutes):
            del self._due[slot]
            self._fold()
            return
        due.tries += 1
        due.at_ns = self._clock.now_ns() + _RETRY_NS * due.tries
        if due.tries >= TRIES:
            log.info("%s: the broker has no minutes for the gap; its bars stay marked", instrument.symbol)
            del self._due[slot]

    def _next(self) -> int | None:
        """The most important instrument that is due."""
        now_ns = self._clock.now_ns()
        ready = {slot for slot, due in self._due.items() if due.at_ns <= now_ns}
        if not ready:
            return None
        slots = self._engine.universe.slots
        ranked = (slots[key] for key in self._important() if key in slots)
        return next((slot for slot in ranked if slot in ready), min(ready))

    def _put(self, slot: int, due: _Due, minutes: Sequence[Candle]) -> bool:
        """Hand the broker's minutes since the gap on; whether those that were flagged are among them."""
        now_ms = self._clock.now_ns() // _NS_PER_MS
        flagged = {
            bar.start_ms
            for bar in self._engine.history.candles(slot, _MINUTE_S)
            if bar.gap and bar.start_ms >= due.first_ms
        }
        bars = tuple(
            replace(bar, slot=slot, source=BarSource.BROKER, gap=False)
            for bar in minutes
            if due.first_ms <= bar.start_ms and bar.start_ms + _MINUTE_S * 1000 <= now_ms
        )
        if bars:
            self._hand_on(slot, _MINUTE_S, bars)
        found = flagged & {bar.start_ms for bar in bars}
        self.mended += len(found)
        return found == flagged

    def _fold(self) -> None:
        """Make longer bars anew whose minutes are whole by now."""
        for slot, interval_s, start_ms in list(self._folds):
            if slot in self._due:
                continue
            del self._folds[slot, interval_s, start_ms]
            end_ms = start_ms + interval_s * 1000
            minutes = [
                bar
                for bar in self._engine.history.candles(slot, _MINUTE_S)
                if start_ms <= bar.start_ms < end_ms
            ]
            if minutes and not any(bar.gap for bar in minutes):
                bars = fold_minutes(minutes, interval_s, lambda day, at=start_ms: at)  # type: ignore[misc]
                self._hand_on(slot, interval_s, tuple(bars[:1]))

    def _hand_on(self, slot: int, interval_s: int, bars: tuple[Candle, ...]) -> None:
        self._take(HistoryEvent(self._clock.now_ns(), slot, interval_s, bars))
        if self._store is not None:
            self._store(bars)
