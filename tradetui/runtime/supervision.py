"""Looks after the stream: is a silence the market's or the line's, and who tells prices meanwhile.

* The whole stream is silent while its market trades (the engine's alarm): the broker is asked by REST. Have trades
  happened that the stream did not bring, the line is at fault and is made anew, with growing pauses. Has none
  happened, or does the broker say that the exchange is shut, the line is left alone: a quiet night causes no storm.
* Single instruments are silent (never answered, beyond the account's limits, or silent for longer than their own pace
  explains), or the stream is down: their prices are asked for by REST, all in one request, every few seconds, the most
  important first, while their market trades. They are marked, and stand in until the stream speaks again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from typing import Final

import numpy as np

from tradetui.domain.errors import TradeTuiError
from tradetui.domain.events import AskedQuote, Event, FeedState, QuotesEvent
from tradetui.engine import Engine
from tradetui.ports import Clock, Feed, PlannedFeed
from tradetui.runtime.interest import Interest

log = logging.getLogger(__name__)

TURN_S: Final = 1.0
"""Real seconds between two looks."""
ASK_EVERY_S: Final = 5.0
"""Real seconds between two requests for prices: 360 of the 2,000 that half an hour allows (`upstox.md` 6.1)."""
REFUSED_PAUSE_S: Final = 30.0
"""Real seconds without a request after one that failed."""
UNANSWERED_S: Final = 10.0
"""A subscription without a snapshot for so long counts as silent."""
DOWN_S: Final = 5.0
"""A stream that is back sooner needs nobody to stand in."""
MOST_KEYS: Final = 500
"""Keys of one quote request."""
_FIRST_CHECK_S: Final = 15.0
_LAST_CHECK_S: Final = 300.0
_LIVELY: Final = 20
"""Instruments that are asked for when the whole stream is silent: the liveliest."""
_NEWER_MS: Final = 3_000
"""So much younger must the broker's last trade be than the stream's."""
_SHUT: Final = frozenset({"NORMAL_CLOSE", "CLOSING_START", "CLOSING_END", "PRE_OPEN_START", "PRE_OPEN_END"})
_NAMED: Final = 5

AskQuotes = Callable[[Sequence[str]], Awaitable[Sequence[AskedQuote]]]
AskStatus = Callable[[str], Awaitable[tuple[str, int]]]


class Silence(StrEnum):
    """What a silence of the whole stream is."""

    STALLED = "trades happen that the stream does not bring"
    SHUT = "the broker says that the exchange is shut"
    QUIET = "nothing has traded"


def judge(stream_ms: int, quotes: Sequence[AskedQuote], words: Sequence[str]) -> Silence:
    """Whose fault a silence is.

    Args:
        stream_ms: The newest trade time that the stream told of, epoch ms.
        quotes: What the broker says of the liveliest instruments.
        words: What the broker says of their exchanges.
    """
    if any(quote.ltt_ms > stream_ms + _NEWER_MS for quote in quotes):
        return Silence.STALLED
    return Silence.SHUT if words and all(word in _SHUT for word in words) else Silence.QUIET


class Supervision:
    """See the module's docstring.

    Args:
        engine: Judges silence.
        feed: What streams.
        interest: What is important.
        clock: Engine time.
        take: Takes events.
        ask: Asks the broker for prices; ``None`` where nobody can be asked.
        status: Asks what an exchange does now: word and since when.
        monotonic: Real seconds.
    """

    def __init__(
        self,
        engine: Engine,
        feed: Feed,
        interest: Interest,
        clock: Clock,
        take: Callable[[Event], None],
        ask: AskQuotes | None = None,
        status: AskStatus | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._feed = feed
        self._interest = interest
        self._clock = clock
        self._take = take
        self._ask = ask
        self._status = status
        self._monotonic = monotonic
        self._check_s = 0.0
        self._pause_s = _FIRST_CHECK_S
        self._ask_s = 0.0
        self._well_s = monotonic()
        self._said: tuple[str, ...] = ()
        self.checks = 0
        """How often the broker was asked whose fault a silence is."""
        self.asked_for: tuple[str, ...] = ()
        """Keys whose prices come by REST at present."""
        self.verdict = ""
        """What the present silence is, in words; empty while there is none."""

    async def run(self) -> None:
        """Look once a second, until cancelled."""
        while True:
            await self.turn()
            await asyncio.sleep(TURN_S)

    async def turn(self) -> None:
        """One look."""
        self._interest.turn()
        if self._ask is None:
            return
        try:
            await self._watch_stream(self._ask)
            await self._watch_keys(self._ask)
        except TradeTuiError as error:
            # No reconnect without evidence: a line whose broker cannot be reached could not be made anew either.
            self._ask_s = self._check_s = self._monotonic() + REFUSED_PAUSE_S
            log.warning("prices could not be asked for: %s", error.message)

    # --- the whole stream -------------------------------------------------------------------------------

    async def _watch_stream(self, ask: AskQuotes) -> None:
        engine, now_s = self._engine, self._monotonic()
        if not engine.silent:
            if engine.feed.state is FeedState.UP and self.verdict:
                self.verdict, self._pause_s, self._check_s = "", _FIRST_CHECK_S, 0.0
            return
        if now_s < self._check_s:
            return
        self.checks += 1
        keys = self.liveliest()
        quotes = await ask(keys)
        words: list[str] = []
        if self._status is not None:
            exchanges = dict.fromkeys(key.partition("_")[0] for key in keys)
            words = [(await self._status(exchange))[0] for exchange in exchanges]
        found = judge(engine.quotes.clock_ms, quotes, words)
        self._check_s = self._monotonic() + self._pause_s
        self._pause_s = min(_LAST_CHECK_S, self._pause_s * 2)
        if self.verdict != found:
            log.warning("the stream is silent: %s", found)
        self.verdict = found
        if found is Silence.STALLED and isinstance(self._feed, PlannedFeed):
            self._feed.reconnect(f"stalled: {found}")

    def liveliest(self) -> tuple[str, ...]:
        """Instruments whose market trades and that are heard of most often."""
        engine = self._engine
        instruments = engine.universe.instruments
        rates = np.array([engine.liveness.rate(slot) for slot in range(len(instruments))])
        order = np.argsort(-rates, kind="stable").tolist()
        trading = (slot for slot in order if engine.phase(instruments[slot]) == "continuous")
        return tuple(instruments[slot].key for slot, _ in zip(trading, range(_LIVELY), strict=False))

    # --- single instruments -----------------------------------------------------------------------------

    async def _watch_keys(self, ask: AskQuotes) -> None:
        now_s = self._monotonic()
        if self._engine.feed.state is FeedState.UP:
            self._well_s = now_s
        if now_s < self._ask_s:
            return
        keys = self.silent_keys()
        self.asked_for = keys
        self._say(keys)
        if not keys:
            return
        self._ask_s = now_s + ASK_EVERY_S
        quotes = await ask(keys)
        if quotes:
            self._take(QuotesEvent(self._clock.now_ns(), tuple(quotes)))

    def silent_keys(self) -> tuple[str, ...]:
        """Keys to be asked for, the most important first: they trade, and the stream says nothing of them."""
        engine, feed = self._engine, self._feed
        wanted = dict.fromkeys(self._interest.important())
        if engine.feed.state is FeedState.UP and not engine.silent:
            silent: dict[str, None] = {}
            if isinstance(feed, PlannedFeed):
                silent.update(dict.fromkeys((*feed.silent_keys(UNANSWERED_S), *feed.over_limit_keys())))
            instruments = engine.universe.instruments
            slots = engine.liveness.silent(engine.now_ns)
            silent.update(dict.fromkeys(instruments[slot].key for slot in slots if slot < len(instruments)))
            order = [*(key for key in wanted if key in silent), *(key for key in silent if key not in wanted)]
        elif engine.feed.state is FeedState.ENDED or (
            not engine.silent and self._monotonic() - self._well_s < DOWN_S
        ):
            return ()
        else:
            order = list(wanted)
        found = ((key, engine.universe.get(key)) for key in order)
        trading = (key for key, one in found if one is not None and engine.phase(one) == "continuous")
        return tuple(key for key, _ in zip(trading, range(MOST_KEYS), strict=False))

    def _say(self, keys: tuple[str, ...]) -> None:
        if keys == self._said:
            return
        if keys:
            universe = self._engine.universe
            names = [one.symbol for key in keys[:_NAMED] if (one := universe.get(key)) is not None]
            more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
            log.warning("the stream is silent about %s%s: asking by REST", ", ".join(names), more)
        else:
            log.info("the stream tells all prices again")
        self._said = keys
