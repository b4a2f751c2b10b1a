"""How many instruments an account may stream, in which mode, over how many connections; and who gets what.

The broker states limits by mode, for a mode used alone and for one used beside others (`upstox.md` 3.2). Whether they
count by user or by connection is not documented, so they are taken to hold for the user, and one connection carries
everything, until the settings say otherwise.

A plan is made anew from what is wanted, the most important first, and depends on nothing else but where keys already
stream: the same wishes always give the same plan. What does not fit in its mode is streamed with its price alone
(lowered); what does not fit at all is named (over).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tradetui.ports import FeedMode

LTPC, GREEKS, FULL, D30 = FeedMode.LTPC, FeedMode.OPTION_GREEKS, FeedMode.FULL, FeedMode.FULL_D30
_LADDER: Final = {
    D30: (D30, FULL, LTPC),
    FULL: (FULL, LTPC),
    GREEKS: (GREEKS, LTPC),
    LTPC: (LTPC,),
}
"""What a key is streamed in where its own mode has no room, best first."""


@dataclass(frozen=True, slots=True)
class KeyBudget:
    """What an account may stream (`upstox.md` 3.2).

    Attributes:
        alone: Most keys of a mode that is used alone.
        mixed: Most keys of a mode that is used beside others.
        connections: Connections that the account may open.
        by_connection: The limits hold for each connection, not for the user.
    """

    alone: Mapping[FeedMode, int]
    mixed: Mapping[FeedMode, int]
    connections: int
    by_connection: bool = False

    @property
    def lanes(self) -> int:
        """Connections worth opening: more than one only where each carries its own keys."""
        return self.connections if self.by_connection else 1

    def limit(self, mode: FeedMode, *, mixed: bool) -> int:
        """Most keys of a mode on one connection."""
        return (self.mixed if mixed else self.alone).get(mode, 0)

    def room(self, used: Mapping[FeedMode, int], mode: FeedMode) -> int:
        """How many more keys of a mode a connection that streams ``used`` takes right now."""
        others = any(count for other, count in used.items() if other is not mode)
        return max(0, self.limit(mode, mixed=others) - used.get(mode, 0))


STANDARD: Final = KeyBudget(
    alone={LTPC: 5000, GREEKS: 3000, FULL: 2000}, mixed={LTPC: 2000, GREEKS: 2000, FULL: 1500}, connections=2
)
PLUS: Final = KeyBudget(
    # The broker writes "50 / 1500" for thirty levels; fifty is right whichever of the two was meant.
    alone={**STANDARD.alone, D30: 50},
    mixed={**STANDARD.mixed, D30: 50},
    connections=5,
)


def budget_for(*, plus: bool, by_connection: bool = False) -> KeyBudget:
    """The budget of an ordinary account, or of one with the paid plan."""
    known = PLUS if plus else STANDARD
    return KeyBudget(known.alone, known.mixed, known.connections, by_connection)


@dataclass(frozen=True, slots=True)
class Plan:
    """Who is streamed how.

    Attributes:
        modes: Key to mode, the most important first.
        lanes: Key to connection, numbered from 0.
        lowered: Keys that get less than was wanted.
        over: Keys that are not streamed at all.
        mixed: More than one mode is in use.
    """

    modes: Mapping[str, FeedMode]
    lanes: Mapping[str, int]
    lowered: tuple[str, ...] = ()
    over: tuple[str, ...] = ()
    mixed: bool = False

    def on(self, lane: int) -> dict[str, FeedMode]:
        """What one connection carries."""
        return {key: mode for key, mode in self.modes.items() if self.lanes[key] == lane}


NOTHING: Final = Plan({}, {})


def make_plan(
    wanted: Mapping[str, FeedMode], before: Mapping[str, int], budget: KeyBudget, lanes: int | None = None
) -> Plan:
    """Decide what is streamed how.

    Args:
        wanted: Key to mode, the most important first.
        before: Where keys stream now, so that none moves without need.
        budget: The account's limits.
        lanes: Connections to use, if fewer than the budget has.
    """
    count = min(budget.lanes, lanes) if lanes is not None else budget.lanes
    can = {key: mode if budget.limit(mode, mixed=False) else _next(mode) for key, mode in wanted.items()}
    modes, over = _fit(can, budget, count)
    short = any(modes.get(key) is not mode for key, mode in can.items())
    if short and set(can.values()) == {LTPC, FULL} and len(can) <= budget.limit(FULL, mixed=False) * count:
        # Used alone, full mode takes more keys: nobody has to be lowered when all are raised.
        modes, over = dict.fromkeys(can, FULL), ()
    mixed = len(set(modes.values())) > 1
    lowered = tuple(key for key in modes if _rank(modes[key]) < _rank(wanted[key]))
    return Plan(modes, _spread(modes, before, budget, count, mixed=mixed), lowered, over, mixed)


def _next(mode: FeedMode) -> FeedMode:
    return _LADDER[mode][1]


def _rank(mode: FeedMode) -> int:
    return (LTPC, GREEKS, FULL, D30).index(mode)


def _fit(
    wanted: Mapping[str, FeedMode], budget: KeyBudget, lanes: int
) -> tuple[dict[str, FeedMode], tuple[str, ...]]:
    """Mode by key in the order of importance, and the keys that find no room."""
    mixed = len(set(wanted.values())) > 1
    used: Counter[FeedMode] = Counter()
    modes: dict[str, FeedMode] = {}
    over = []
    for key, mode in wanted.items():
        for lower in _LADDER[mode] if mixed else (mode,):
            if used[lower] < budget.limit(lower, mixed=mixed) * lanes:
                used[lower] += 1
                modes[key] = lower
                break
        else:
            over.append(key)
    return modes, tuple(over)


def _spread(
    modes: Mapping[str, FeedMode], before: Mapping[str, int], budget: KeyBudget, lanes: int, *, mixed: bool
) -> dict[str, int]:
    """Connection by key: where it is now if there is room for its mode, else the first that has some."""
    if lanes == 1:
        return dict.fromkeys(modes, 0)
    used: list[Counter[FeedMode]] = [Counter() for _ in range(lanes)]
    where: dict[str, int] = {}
    for key, mode in modes.items():
        lane = before.get(key)
        if lane is not None and lane < lanes and used[lane][mode] < budget.limit(mode, mixed=mixed):
            where[key] = lane
            used[lane][mode] += 1
    for key, mode in modes.items():
        if key not in where:
            most = budget.limit(mode, mixed=mixed)
            where[key] = next(lane for lane in range(lanes) if used[lane][mode] < most)
            used[where[key]][mode] += 1
    return {key: where[key] for key in modes}
