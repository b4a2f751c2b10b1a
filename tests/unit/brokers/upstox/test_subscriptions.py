"""Who is streamed how: the plan, and the requests that lead to it, against a server that refuses what is too much."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.fixtures.upstox_frames import SLOTS
from tradetui.brokers.upstox import subscriptions
from tradetui.brokers.upstox.key_budget import (
    PLUS,
    STANDARD,
    KeyBudget,
    Plan,
    budget_for,
    make_plan,
)
from tradetui.brokers.upstox.subscriptions import Subscriptions, steps
from tradetui.ports import FeedMode

LTPC, GREEKS, FULL, D30 = FeedMode.LTPC, FeedMode.OPTION_GREEKS, FeedMode.FULL, FeedMode.FULL_D30
SMALL = KeyBudget(
    alone={LTPC: 9, GREEKS: 7, FULL: 5, D30: 2}, mixed={LTPC: 4, GREEKS: 4, FULL: 3, D30: 1}, connections=3
)
WIDE = KeyBudget(SMALL.alone, SMALL.mixed, 3, by_connection=True)
NAMES = [f"NSE_FO|{number}" for number in range(14)]


class StrictServer:
    """One connection of a broker that refuses, for good, every key beyond a limit at the moment it is asked."""

    def __init__(self, budget: KeyBudget) -> None:
        self.budget = budget
        self.modes: dict[str, FeedMode] = {}
        self.refused = 0
        self.messages: list[dict[str, object]] = []

    def take(self, raw: bytes) -> None:
        body = json.loads(raw)
        self.messages.append(body)
        keys = body["data"]["instrumentKeys"]
        if body["method"] == "unsub":
            for key in keys:
                del self.modes[key]
            return
        mode = FeedMode(body["data"]["mode"])
        assert all((key in self.modes) is (body["method"] == "change_mode") for key in keys), "asked twice"
        used = Counter(self.modes.values())
        others = any(count for other, count in used.items() if other is not mode)
        limit = (self.budget.mixed if others else self.budget.alone).get(mode, 0)
        granted = keys[: max(0, limit - used[mode])]
        self.refused += len(keys) - len(granted)
        self.modes.update(dict.fromkeys(granted, mode))


def within(modes: Mapping[str, FeedMode], budget: KeyBudget) -> bool:
    used = Counter(modes.values())
    limits = budget.mixed if len(used) > 1 else budget.alone
    return all(count <= limits.get(mode, 0) for mode, count in used.items())


def in_place(before: Mapping[str, FeedMode], after: Mapping[str, FeedMode], budget: KeyBudget) -> bool:
    """Whether some order of changes in place keeps inside the limits all the way."""
    changed: dict[FeedMode, list[str]] = {}
    for key, mode in after.items():
        if before.get(key) not in (None, mode):
            changed.setdefault(mode, []).append(key)
    for order in itertools.permutations(changed):
        state = {key: mode for key, mode in before.items() if key in after}
        for mode in order:
            used = Counter(state.values())
            others = any(count for other, count in used.items() if other is not mode)
            if used[mode] + len(changed[mode]) > (budget.mixed if others else budget.alone).get(mode, 0):
                break
            state |= dict.fromkeys(changed[mode], mode)
        else:
            return True
    return False


def fewest(before: Mapping[str, FeedMode], after: Mapping[str, FeedMode]) -> int:
    """Requests that a server without limits would need: one for each kind that occurs, in batches."""
    kinds: Counter[object] = Counter()
    for key in {*before, *after}:
        old, new = before.get(key), after.get(key)
        if new is None:
            kinds["unsub"] += 1
        elif old is None:
            kinds["sub", new] += 1
        elif old is not new:
            kinds["change", new] += 1
    return sum(math.ceil(count / subscriptions.KEYS_PER_REQUEST) for count in kinds.values())


MODES = st.sampled_from([LTPC, FULL, FULL, GREEKS, D30])
WISHES = st.lists(st.tuples(st.sampled_from(NAMES), MODES), max_size=14, unique_by=lambda wish: wish[0]).map(
    dict
)


class Machine(RuleBasedStateMachine):
    """Any sequence of wishes, lost connections and refused ones; the server must always have the plan."""

    budget = SMALL

    def __init__(self) -> None:
        super().__init__()
        self.known = Subscriptions({key: n for n, key in enumerate(NAMES)}, self.budget)
        self.servers = [StrictServer(self.budget) for _ in range(self.budget.lanes)]

    def settle(self) -> None:
        for lane, server in enumerate(self.servers):
            before = dict(server.modes)
            requests = self.known.requests(lane)
            for raw in requests:
                server.take(raw)
            target = self.known.plan.on(lane)
            least = fewest(before, target)
            # A change that finds no room at its turn costs one request to leave and one to come back.
            assert len(requests) <= least + 1 + len(set(target.values()))
            if in_place(before, target, self.budget):
                assert len(requests) <= least
            assert not self.known.requests(lane), "what was told is not told again"

    @rule(wishes=WISHES)
    def want(self, wishes: dict[str, FeedMode]) -> None:
        self.known.want(wishes)
        self.settle()

    @rule(wishes=WISHES)
    def follow(self, wishes: dict[str, FeedMode]) -> None:
        self.known.follow(wishes)
        self.settle()

    @rule(keys=st.lists(st.sampled_from(NAMES)))
    def drop(self, keys: list[str]) -> None:
        self.known.drop(keys)
        self.settle()

    @rule(lane=st.integers(0, 2))
    def lose(self, lane: int) -> None:
        lane %= self.budget.lanes
        self.servers[lane].modes.clear()
        self.known.reconnected(lane)
        self.settle()

    @rule(count=st.integers(1, 3))
    def lanes(self, count: int) -> None:
        self.known.use_lanes(count)
        self.settle()

    @invariant()
    def the_server_has_the_plan(self) -> None:
        plan = self.known.plan
        streamed: dict[str, FeedMode] = {}
        for lane, server in enumerate(self.servers):
            assert server.modes == plan.on(lane)
            assert server.refused == 0, "no limit is ever exceeded, not even for a moment"
            assert within(server.modes, self.budget)
            assert not streamed.keys() & server.modes.keys(), "nothing streams twice"
            streamed |= server.modes
        assert {*streamed, *plan.over} == set(self.known.wanted)


class WideMachine(Machine):
    """The same where each connection has limits of its own."""

    budget = WIDE


TestOneConnection = Machine.TestCase
TestOneConnection.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)
TestThreeConnections = WideMachine.TestCase
TestThreeConnections.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)


@given(WISHES, WISHES)
def test_a_plan_depends_on_wishes_alone(first: dict[str, FeedMode], second: dict[str, FeedMode]) -> None:
    one, other = Subscriptions({}, SMALL), Subscriptions({}, SMALL)
    one.want(first)
    one.requests()
    for known in (one, other):
        known.follow(second)
        known.requests()
    assert one.plan == other.plan


@given(WISHES)
def test_the_more_important_never_gets_less_of_a_mode_than_the_less_important(
    wishes: dict[str, FeedMode],
) -> None:
    plan = make_plan(wishes, {}, SMALL)
    for mode in set(wishes.values()):
        served = [plan.modes.get(key) is not mode for key, wished in wishes.items() if wished is mode]
        if set(plan.modes.values()) != {FULL}:
            assert served == sorted(served), "room is given in the order of importance"


def test_full_mode_gives_way_to_prices_alone_before_anything_is_left_out() -> None:
    wishes = dict.fromkeys([f"NSE_EQ|{n}" for n in range(1_800)], FULL) | dict.fromkeys(
        [f"NSE_FO|{n}" for n in range(1_000)], LTPC
    )
    plan = make_plan(wishes, {}, STANDARD)
    assert Counter(plan.modes.values()) == {FULL: 1_500, LTPC: 1_300}
    assert plan.lowered == tuple(f"NSE_EQ|{n}" for n in range(1_500, 1_800))
    assert plan.over == ()
    more = make_plan(wishes | dict.fromkeys([f"BSE_EQ|{n}" for n in range(900)], LTPC), {}, STANDARD)
    assert Counter(more.modes.values()) == {FULL: 1_500, LTPC: 2_000}
    assert more.over == tuple(f"BSE_EQ|{n}" for n in range(700, 900))


def test_when_all_fit_in_full_mode_alone_nobody_is_lowered() -> None:
    wishes = dict.fromkeys([f"NSE_EQ|{n}" for n in range(1_999)], FULL) | {"NSE_INDEX|x": LTPC}
    plan = make_plan(wishes, {}, STANDARD)
    assert set(plan.modes.values()) == {FULL}
    assert (plan.lowered, plan.over, plan.mixed) == ((), (), False)


def test_thirty_levels_need_the_paid_plan_and_are_few() -> None:
    wishes = dict.fromkeys([f"NSE_EQ|{n}" for n in range(60)], D30)
    assert set(make_plan(wishes, {}, STANDARD).modes.values()) == {FULL}
    assert Counter(make_plan(wishes | {"NSE_EQ|x": LTPC}, {}, PLUS).modes.values()) == {
        D30: 50,
        FULL: 10,
        LTPC: 1,
    }


def test_keys_spread_over_the_connections_and_stay_where_they_are() -> None:
    known = Subscriptions({}, budget_for(plus=False, by_connection=True))
    known.want(dict.fromkeys([f"NSE_FO|{n}" for n in range(2_500)], FULL))
    assert known.lanes == 2
    assert [len(known.plan.on(lane)) for lane in (0, 1)] == [2_000, 500]
    for lane in (0, 1):
        known.requests(lane)
    known.drop(["NSE_FO|0"])
    assert len(known.requests(0)) == 1
    assert not known.requests(1), "no key moves without need"
    assert known.plan.over == ()
    known.use_lanes(1)
    assert len(known.plan.over) == 499
    assert [(one.used, one.limit) for one in known.use()] == [(2_000, 2_000)]


def test_a_swap_in_a_full_house_never_passes_a_limit() -> None:
    told = {**dict.fromkeys(NAMES[:3], FULL), **dict.fromkeys(NAMES[3:7], LTPC)}
    target = {**told, NAMES[0]: LTPC, NAMES[3]: FULL}
    found = [(step.method, step.mode, step.keys) for step in steps(told, target, SMALL)]
    assert len(found) == 3
    assert found[0][:2] == ("unsub", None)
    assert found[1][0] == "change_mode"
    assert found[2][0] == "sub"


def test_changing_everything_is_batched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "KEYS_PER_REQUEST", 3)
    known = Subscriptions(SLOTS, SMALL)
    known.want(dict.fromkeys(NAMES[:4], LTPC))
    assert [len(json.loads(raw)["data"]["instrumentKeys"]) for raw in known.requests()] == [3, 1]


def test_an_empty_plan_asks_for_nothing() -> None:
    known = Subscriptions(SLOTS, SMALL)
    assert known.plan == Plan({}, {})
    assert known.requests() == []
    assert known.use() == ()
