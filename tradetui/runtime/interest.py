"""Which instruments deserve how much of the feed, the most important first.

Held, ordered, planned and typed about; under the cursor (depth and chart follow it); on the screen; on the user's own
list: these stream in full while the account's limits allow. The rest stream with their price alone. What nobody looks
at any more is lowered after a minute only, so that scrolling up and down costs no requests.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from typing import Final

from tradetui.domain.view import Look
from tradetui.engine import Engine
from tradetui.ports import Feed, FeedMode, PlannedFeed

KEPT_S: Final = 60.0
"""Real seconds for which something stays in full after the last reason for it is gone."""


class Interest:
    """Tells the feed what is wanted, whenever that changes.

    Args:
        engine: What is held and ordered.
        feed: What streams. One that plans nothing is asked for everything in full, once.
        own: Keys of the user's own list.
        monotonic: Real seconds.
    """

    def __init__(
        self,
        engine: Engine,
        feed: Feed,
        own: Iterable[str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._feed = feed
        self._own = tuple(own)
        self._monotonic = monotonic
        self._look = Look()
        self._needed_s: dict[str, float] = {}
        self._told: dict[str, FeedMode] = {}
        self._needed: tuple[str, ...] = ()
        self._seen: tuple[object, ...] = ()
        self._next_s = 0.0

    def look(self, look: Look) -> None:
        """The screen shows something else."""
        self._look = look
        self.turn()

    def turn(self) -> None:
        """Look again; to be called about once a second, and when an instrument has joined."""
        seen = (tuple(self._at_risk()), tuple(self._shown()), len(self._engine.universe))
        if seen == self._seen and self._monotonic() < self._next_s:
            return
        self._seen = seen
        wanted = self.wanted()
        if wanted == self._told and list(wanted) == list(self._told):
            return
        before, self._told = self._told, wanted
        if isinstance(self._feed, PlannedFeed):
            self._feed.follow(wanted)
        else:
            self._feed.subscribe({key: FeedMode.FULL for key in wanted if key not in before})

    def important(self) -> tuple[str, ...]:
        """What somebody needs right now, the most important first: at risk, under the cursor, on the screen, own."""
        return tuple(dict.fromkeys((*self._at_risk(), *self._shown(), *self._own)))

    def wanted(self) -> dict[str, FeedMode]:
        """Key to mode, the most important first."""
        slots, now_s = self._engine.universe.slots, self._monotonic()
        needed = [key for key in self.important() if key in slots]
        # What was needed until now counts from now.
        self._needed_s.update(dict.fromkeys(self._needed, now_s))
        self._needed = tuple(needed)
        for key in needed:
            self._needed_s.pop(key, None)
        self._needed_s = {key: at for key, at in self._needed_s.items() if now_s - at <= KEPT_S}
        self._next_s = min(self._needed_s.values(), default=math.inf) + KEPT_S
        out = dict.fromkeys(needed, FeedMode.FULL)
        selected = self._look.selected
        if selected in out and self._thirty_levels():
            out[selected] = FeedMode.FULL_D30
        for key in self._needed_s:
            out.setdefault(key, FeedMode.FULL)
        for key in slots:
            out.setdefault(key, FeedMode.LTPC)
        return out

    def _at_risk(self) -> Iterable[str]:
        desk, look = self._engine.desk, self._look
        yield from (position.instrument_key for position in desk.portfolio.open_positions())
        yield from (order.request.instrument_key for order in desk.manager.working())
        yield from (gtt.request.instrument_key for gtt in desk.manager.gtts.working())
        yield from (key for key, _ in desk.protection.plans)
        if look.ticket is not None:
            yield look.ticket.instrument_key

    def _shown(self) -> Iterable[str]:
        if self._look.selected:
            yield self._look.selected
        yield from self._look.watch

    def _thirty_levels(self) -> bool:
        feed = self._feed
        return isinstance(feed, PlannedFeed) and feed.allows(FeedMode.FULL_D30)
