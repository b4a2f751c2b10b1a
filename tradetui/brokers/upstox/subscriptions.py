"""What we want to stream, what the server was told, and what it has answered.

There is no acknowledgement on the wire: a subscription is known to have worked when the instrument's
`initial_feed` arrives, and a bad key is met with silence (`upstox.md` 3.3). So requests are differences
between wanted and told, and keys without an answer are remembered.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from tradetui.domain.market_data import FrameKind, TickBatch
from tradetui.ports import FeedMode

KEYS_PER_REQUEST: Final = 500
"""Keys in one request; the broker states no limit, 500 keys are about 12 KB."""


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """Most keys a user may stream (`upstox.md` 3.2): of a mode alone, and of it beside other modes.

    Whether the broker counts by connection or by user is not documented; one connection is assumed.
    """

    alone: tuple[tuple[FeedMode, int], ...] = (
        (FeedMode.LTPC, 5000),
        (FeedMode.OPTION_GREEKS, 3000),
        (FeedMode.FULL, 2000),
    )
    mixed: tuple[tuple[FeedMode, int], ...] = (
        (FeedMode.LTPC, 2000),
        (FeedMode.OPTION_GREEKS, 2000),
        (FeedMode.FULL, 1500),
    )

    def within(self, wanted: Mapping[str, FeedMode]) -> tuple[dict[str, FeedMode], list[str]]:
        """Split ``wanted`` into what may be asked for, first come first served, and the keys that do not fit."""
        limits = dict(self.mixed if len(set(wanted.values())) > 1 else self.alone)
        used: Counter[FeedMode] = Counter()
        fits: dict[str, FeedMode] = {}
        over: list[str] = []
        for key, mode in wanted.items():
            if used[mode] < limits[mode]:
                used[mode] += 1
                fits[key] = mode
            else:
                over.append(key)
        return fits, over


class Subscriptions:
    """Wanted, told and answered, for one connection at a time.

    Args:
        slots: Instrument key to slot, as the decoder uses it.
        limits: Most keys by mode.
        monotonic: Seconds, for the age of unanswered subscriptions.
    """

    def __init__(
        self,
        slots: Mapping[str, int],
        limits: KeyLimits | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slots = slots
        self._limits = limits or KeyLimits()
        self._monotonic = monotonic
        self._wanted: dict[str, FeedMode] = {}
        self._told: dict[str, FeedMode] = {}
        self._asked_s: dict[str, float] = {}
        self._serial = 0
        self.over_limit: list[str] = []
        """Keys that were wanted but do not fit the broker's limits, as of the last request."""

    @property
    def wanted(self) -> Mapping[str, FeedMode]:
        """Keys and modes asked for by the program."""
        return self._wanted

    def want(self, keys: Mapping[str, FeedMode]) -> None:
        """Add instruments or change their mode."""
        self._wanted.update(keys)

    def drop(self, keys: Iterable[str]) -> None:
        """Stop wanting instruments; unknown ones are ignored."""
        for key in keys:
            self._wanted.pop(key, None)

    def reconnected(self) -> None:
        """A new connection knows nothing: everything has to be told again."""
        self._told.clear()
        self._asked_s.clear()

    def requests(self) -> list[bytes]:
        """The messages that bring the server from what it was told to what is wanted; none if nothing changed.

        Unsubscriptions come first, to make room.
        """
        target, self.over_limit = self._limits.within(self._wanted)
        gone = [key for key in self._told if key not in target]
        changed: dict[FeedMode, list[str]] = {}
        fresh: dict[FeedMode, list[str]] = {}
        for key, mode in target.items():
            told = self._told.get(key)
            if told is None:
                fresh.setdefault(mode, []).append(key)
            elif told is not mode:
                changed.setdefault(mode, []).append(key)
        now = self._monotonic()
        for key in gone:
            self._asked_s.pop(key, None)
        for keys in fresh.values():
            self._asked_s.update(dict.fromkeys(keys, now))
        self._told = target
        out = self._messages("unsub", None, gone)
        for mode, keys in changed.items():
            out += self._messages("change_mode", mode, keys)
        for mode, keys in fresh.items():
            out += self._messages("sub", mode, keys)
        return out

    def _messages(self, method: str, mode: FeedMode | None, keys: list[str]) -> list[bytes]:
        """One request for every `KEYS_PER_REQUEST` keys (`upstox.md` 3.3)."""
        out = []
        for start in range(0, len(keys), KEYS_PER_REQUEST):
            self._serial += 1
            data: dict[str, object] = {"instrumentKeys": keys[start : start + KEYS_PER_REQUEST]}
            if mode is not None:
                data["mode"] = mode.value
            body = {"guid": f"t{self._serial}", "method": method, "data": data}
            out.append(json.dumps(body, separators=(",", ":")).encode())
        return out

    def heard(self, batch: TickBatch) -> None:
        """A frame arrived: its snapshots answer their subscriptions."""
        if batch.kind is not FrameKind.SNAPSHOT or not self._asked_s:
            return
        answered = set(batch.slot.tolist())
        slots = self._slots
        for key in [key for key in self._asked_s if slots.get(key) in answered]:
            del self._asked_s[key]

    def silent(self, after_s: float) -> tuple[str, ...]:
        """Keys subscribed on this connection at least ``after_s`` seconds ago that never had a snapshot."""
        before = self._monotonic() - after_s
        return tuple(key for key, asked in self._asked_s.items() if asked <= before)
