"""What we want to stream, what the server was told, and what it has answered.

There is no acknowledgement on the wire: a subscription is known to have worked when the instrument's
`initial_feed` arrives, and a bad key is met with silence (`upstox.md` 3.3). So requests are differences
between plan and told, and keys without an answer are remembered. Nothing is ever asked for twice on one connection.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Final, NamedTuple

from tradetui.brokers.upstox.key_budget import (
    D30,
    FULL,
    GREEKS,
    LTPC,
    NOTHING,
    STANDARD,
    KeyBudget,
    Plan,
    make_plan,
)
from tradetui.domain.market_data import FrameKind, TickBatch
from tradetui.ports import FeedMode

KEYS_PER_REQUEST: Final = 500
"""Keys in one request; the broker states no limit, 500 keys are about 12 KB."""

_DOWN_FIRST: Final = (LTPC, GREEKS, FULL, D30)
_UP_FIRST: Final = (D30, FULL, GREEKS, LTPC)


class KeyUse(NamedTuple):
    """Keys of one mode that are streamed, and how many may be."""

    mode: str
    used: int
    limit: int


@dataclass(frozen=True, slots=True)
class Step:
    """One kind of request: ``sub``, ``unsub`` or ``change_mode``, of some keys."""

    method: str
    mode: FeedMode | None
    keys: tuple[str, ...]


def steps(told: Mapping[str, FeedMode], target: Mapping[str, FeedMode], budget: KeyBudget) -> list[Step]:
    """The fewest requests that lead from one state of a connection to another, with no limit passed on the way.

    Unsubscriptions go first, to make room. A change of mode for which there is no room at its turn becomes an
    unsubscription and a new subscription: that costs a request, a refusal would cost the data.
    """
    gone = [key for key in told if key not in target]
    changed: dict[FeedMode, list[str]] = {}
    fresh: dict[FeedMode, list[str]] = {}
    for key, mode in target.items():
        known = told.get(key)
        if known is None:
            fresh.setdefault(mode, []).append(key)
        elif known is not mode:
            changed.setdefault(mode, []).append(key)
    kept = {key: mode for key, mode in told.items() if key in target}
    orders = permutations(mode for mode in _DOWN_FIRST if mode in changed)
    order, pulled = min(
        ((order, _pulled(kept, changed, budget, order)) for order in orders), key=lambda found: len(found[1])
    )
    out = [Step("unsub", None, (*gone, *pulled))] if gone or pulled else []
    moved = ((mode, tuple(key for key in changed[mode] if key not in pulled)) for mode in order)
    out += [Step("change_mode", mode, keys) for mode, keys in moved if keys]
    for mode in _UP_FIRST:
        keys = (*fresh.get(mode, ()), *(key for key in changed.get(mode, ()) if key in pulled))
        if keys:
            out.append(Step("sub", mode, keys))
    return out


def _pulled(
    kept: Mapping[str, FeedMode],
    changed: Mapping[FeedMode, list[str]],
    budget: KeyBudget,
    order: Iterable[FeedMode],
) -> dict[str, None]:
    """Keys whose mode cannot be changed in place, when modes are changed in a given order."""
    pulled: dict[str, None] = {}
    while True:
        used = Counter(mode for key, mode in kept.items() if key not in pulled)
        for mode in order:
            keys = [key for key in changed.get(mode, ()) if key not in pulled]
            room = budget.room(used, mode) if keys else 0
            if len(keys) > room:
                pulled.update(dict.fromkeys(keys[room:]))
                break
            for key in keys:
                used[kept[key]] -= 1
            used[mode] += len(keys)
        else:
            return pulled


class Subscriptions:
    """Wanted, planned, told and answered, for every connection of the feed.

    Args:
        slots: Instrument key to slot, as the decoder uses it.
        budget: What the account may stream.
        monotonic: Seconds, for the age of unanswered subscriptions.
    """

    def __init__(
        self,
        slots: Mapping[str, int],
        budget: KeyBudget = STANDARD,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slots = slots
        self._budget = budget
        self._monotonic = monotonic
        self._wanted: dict[str, FeedMode] = {}
        self._told: list[dict[str, FeedMode]] = [{} for _ in range(budget.lanes)]
        self._asked_s: dict[str, float] = {}
        self._serial = 0
        self._plan = NOTHING
        self._stale = False
        self._lanes = budget.lanes

    @property
    def budget(self) -> KeyBudget:
        """What the account may stream."""
        return self._budget

    @property
    def wanted(self) -> Mapping[str, FeedMode]:
        """Keys and modes asked for by the program, the most important first."""
        return self._wanted

    @property
    def plan(self) -> Plan:
        """Who is to be streamed how."""
        if self._stale:
            self._stale = False
            before = {key: lane for lane, told in enumerate(self._told) for key in told}
            self._plan = make_plan(self._wanted, before, self._budget, self._lanes)
        return self._plan

    @property
    def lanes(self) -> int:
        """Connections that the plan needs; at least one."""
        return max(self.plan.lanes.values(), default=0) + 1

    def want(self, keys: Mapping[str, FeedMode]) -> None:
        """Add instruments behind those wanted before, or change their mode."""
        self._wanted.update(keys)
        self._stale = True

    def follow(self, wanted: Mapping[str, FeedMode]) -> None:
        """Want exactly these, the most important first."""
        if list(self._wanted.items()) != list(wanted.items()):
            self._wanted = dict(wanted)
            self._stale = True

    def drop(self, keys: Iterable[str]) -> None:
        """Stop wanting instruments; unknown ones are ignored."""
        for key in keys:
            self._wanted.pop(key, None)
        self._stale = True

    def use_lanes(self, count: int) -> None:
        """Plan with so many connections from now on: the broker refuses more, or lets us have them again."""
        self._lanes = max(1, min(count, self._budget.lanes))
        self._stale = True

    def reconnected(self, lane: int = 0) -> None:
        """A new connection knows nothing: everything has to be told again."""
        for key in self._told[lane]:
            self._asked_s.pop(key, None)
        self._told[lane] = {}

    def requests(self, lane: int = 0) -> list[bytes]:
        """The messages that bring a connection from what it was told to the plan; none if nothing changed."""
        target = self.plan.on(lane)
        out = []
        now = self._monotonic()
        for step in steps(self._told[lane], target, self._budget):
            if step.method == "unsub":
                for key in step.keys:
                    self._asked_s.pop(key, None)
            elif step.method == "sub":
                self._asked_s.update(dict.fromkeys(step.keys, now))
            out += self._messages(step)
        self._told[lane] = target
        return out

    def _messages(self, step: Step) -> list[bytes]:
        """One request for every `KEYS_PER_REQUEST` keys (`upstox.md` 3.3)."""
        out = []
        for start in range(0, len(step.keys), KEYS_PER_REQUEST):
            self._serial += 1
            data: dict[str, object] = {"instrumentKeys": step.keys[start : start + KEYS_PER_REQUEST]}
            if step.mode is not None:
                data["mode"] = step.mode.value
            body = {"guid": f"t{self._serial}", "method": step.method, "data": data}
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
        """Keys subscribed on a living connection at least ``after_s`` seconds ago that never had a snapshot."""
        before = self._monotonic() - after_s
        return tuple(key for key, asked in self._asked_s.items() if asked <= before)

    def use(self) -> tuple[KeyUse, ...]:
        """Keys streamed by mode against the limit, the richest mode first; modes that nobody uses are left out."""
        plan = self.plan
        used = Counter(plan.modes.values())
        return tuple(
            KeyUse(mode.value, used[mode], self._budget.limit(mode, mixed=plan.mixed) * self._lanes)
            for mode in _UP_FIRST
            if used[mode]
        )
