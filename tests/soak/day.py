"""One day of the exchange at high speed, with a run that trades at random, faults at random, and SIGKILLs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.conftest import REPO_ROOT
from tests.fixtures.scripted_world import DAY, START_NS, Market
from tests.soak.trader import WATCHED
from tradetui.domain.calendar.ist import ns
from tradetui.simulator.rest.limits import ORDER_QUOTA

END_NS: Final = ns(DAY, "15:50")
"""After everything has closed; the options and futures of this market trade until 15:40."""
ANSWER_S: Final = 240.0
SETTLED_S: Final = 100.0
"""Real seconds after which everything must have settled: longer than a request waits for the budget or an answer."""
ORDER_WRITES: Final = frozenset(
    {
        "POST /v3/order/place", "PUT /v3/order/modify", "DELETE /v3/order/cancel",
        "POST /v3/order/gtt/place", "PUT /v3/order/gtt/modify", "DELETE /v3/order/gtt/cancel",
    }
)  # fmt: skip
_STALL_S: Final = 0.05

FAULTS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("drop", {"stream": "market"}),
    ("drop", {"stream": "portfolio"}),
    ("drop", {"stream": "all", "code": 1012}),
    ("delay", {"ms": 150}),
    ("hang", {"count": 1, "path": "/order/"}),
    ("hang", {"count": 1, "after": 1, "path": "/order/"}),
    ("html-403", {"count": 2, "path": "/order/"}),
    ("maintenance-503", {"count": 2}),
    ("empty-400", {"count": 1, "path": "/order/"}),
    ("lost-ack-before", {"count": 2}),
    ("lost-ack-after", {"count": 2}),
    ("garbled-ack", {"count": 2, "form": "empty"}),
    ("garbled-ack", {"count": 2, "form": "502"}),
    ("early-push", {"ms": 30}),
    ("reject", {"every": 2}),
    ("partial", {"percent": 40}),
    ("late-cancel", {"count": 2}),
    ("gtt-fail", {"count": 1}),
    ("no-fill-trigger", {"pct": 0.5}),
    ("duplicate", {}),
    ("disorder", {}),
    ("malformed", {"every": 3}),
    ("stall", {}),
    ("missing-fill", {"count": 2}),
    ("stale-push", {}),
    ("slow-push", {"ms": 60}),
    ("phone", {"action": "place", "instrument": WATCHED[0].key, "qty": 3, "price": 95.0}),
    ("phone", {"action": "cancel"}),
    ("odd-row", {"count": 1, "form": "status"}),
    ("halt", {"instrument": WATCHED[0].key}),
)
"""What may go wrong, with its arguments."""


class Tally(Counter[str]):
    """The simulator's counts of requests, with the moment of each order write (monotonic seconds)."""

    def __init__(self, before: Counter[str]) -> None:
        super().__init__(before)
        self.writes: list[float] = []

    def __setitem__(self, call: str, count: int) -> None:
        if call in ORDER_WRITES:
            self.writes.append(time.monotonic())
        super().__setitem__(call, count)


class Run:
    """The run of `trader`, started again after each kill."""

    def __init__(self, home: Path, url: str) -> None:
        self._home = home
        self._url = url
        self._process: asyncio.subprocess.Process | None = None
        self.number = 0

    async def start(self) -> None:
        """Start it, and wait until it has prices."""
        self.number += 1
        with (self._home / f"run-{self.number}.txt").open("wb") as said:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.soak.trader", str(self._home), self._url, str(self.number),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=said,
                cwd=REPO_ROOT,
                env={**os.environ, "PYTHONPATH": str(REPO_ROOT)},
                limit=1 << 24,
            )  # fmt: skip
        assert (await self._answer()).get("up")

    async def ask(self, **what: Any) -> dict[str, Any]:
        """One line out, one line back."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what).encode() + b"\n")
        return await self._answer()

    async def _answer(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(ANSWER_S):
            line = await self._process.stdout.readline()
        assert line, (self._home / f"run-{self.number}.txt").read_text()[-4_000:]
        answer: dict[str, Any] = json.loads(line)
        return answer

    def send_act(self, seed: int) -> None:
        """Ask for an act and do not wait: whoever is about to be killed may be in the middle of it."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"act": seed}).encode() + b"\n")

    async def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


class Day:
    """A day of the market, driven step by step.

    Args:
        market: The simulator.
        home: Of the run.
        seed: Everything random follows from it.
        steps: Into how many the day is cut.
    """

    def __init__(self, market: Market, home: Path, seed: int, steps: int) -> None:
        self.market = market
        self.run = Run(home, market.sim.urls.main)
        self.rng = Random(seed)
        self.steps = steps
        self.prices = {one.key: 100.0 for one in WATCHED}
        self.path: list[tuple[int, dict[str, float]]] = []
        """Engine time -> prices from then on, for judging limits afterwards."""
        self.did: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.tally = Tally(market.sim.state.counts)
        market.sim.state.counts = self.tally
        self.stalls: list[tuple[float, float]] = []
        self._on: deque[int] = deque()

    # --- the market -----------------------------------------------------------------------------------

    async def move(self, to_ns: int) -> None:
        """Go on to a time, and let every price take a step."""
        await self.market.sim.jump(max(to_ns, self.market.now_ns() + 50_000_000))
        for key, price in self.prices.items():
            part = self.rng.gauss(0, 0.004) + (0.002 if price < 97 else -0.002 if price > 103 else 0)
            self.prices[key] = min(108.0, max(92.0, round(price * (1 + part) * 20) / 20))
            self.market.normal(key, self.prices[key])
        self.path.append((self.market.now_ns(), dict(self.prices)))
        await self.market.publish()

    def trouble(self) -> None:
        """Switch a fault on, or all off, or leave it."""
        if self._on:
            self._on[0] -= 1
            if self._on[0] <= 0:
                self._on.clear()
                self.market.sim.faults.clear()
        elif self.rng.random() < 0.35:
            name, args = self.rng.choice(FAULTS)
            if args.get("action") == "cancel" and all(
                one.status.terminal for one in self.market.venue.orders()
            ):
                return  # there is nothing that a phone could cancel
            self.market.fault(name, **args)
            self.faults[name] += 1
            self._on.append(self.rng.randrange(1, 5))

    def calm(self) -> None:
        """No fault any more."""
        self._on.clear()
        self.market.sim.faults.clear()

    # --- the day --------------------------------------------------------------------------------------

    async def step(self, number: int) -> None:
        """The market moves, something breaks or mends, and the trader acts once or a few times."""
        await self.move(START_NS + (END_NS - START_NS) * number // self.steps)
        self.trouble()
        for _ in range(self.rng.choice((0, 1, 1, 2, 4))):
            answer = await self.run.ask(act=self.rng.getrandbits(40))
            self.did[str(answer["did"]).split()[0]] += 1

    async def crash(self) -> None:
        """SIGKILL in the middle of something, and a new run. It may start while the streams are in trouble."""
        for _ in range(self.rng.randrange(1, 4)):
            self.run.send_act(self.rng.getrandbits(40))
        for _ in range(self.rng.randrange(40)):
            await asyncio.sleep(0)  # the loop turns: the simulator answers what has come so far
        await self.run.kill()
        self.calm()
        await self.run.start()

    async def settled(self, agree: Any) -> dict[str, Any]:
        """Let time pass without faults until ``agree`` of the ledger says nothing; the ledger."""
        self.calm()
        said: Sequence[str] = ()
        ledger: dict[str, Any] = {}
        # Requests wait for the budget in real time: exchange time alone, however much of it, does not settle them.
        end_s = time.monotonic() + SETTLED_S
        rounds = 0
        while rounds < 14 or time.monotonic() < end_s:
            rounds += 1
            await self.move(self.market.now_ns() + (11_000_000_000 if rounds <= 14 else 500_000_000))
            ledger = await self.run.ask(settle=self.market.now_ns())
            said = agree(ledger)
            if not said:
                return ledger
        raise AssertionError("never settled:\n" + "\n".join(said))

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Note when this process itself was held up: requests that came meanwhile seem to come at once."""

        async def watch() -> None:
            before = time.monotonic()
            while True:
                await asyncio.sleep(0.01)
                now = time.monotonic()
                if now - before > _STALL_S:
                    self.stalls.append((before, now))
                before = now

        watching = asyncio.create_task(watch())
        try:
            yield
        finally:
            watching.cancel()

    def over_budget(self) -> list[str]:
        """Windows in which more order writes came than the broker allows."""
        return over(self.tally.writes, self.stalls)


def over(writes: Sequence[float], stalls: Sequence[tuple[float, float]]) -> list[str]:
    """Windows that hold more than the broker allows, in words.

    Args:
        writes: When each order write came, seconds, oldest first.
        stalls: When this process was held up: what came meanwhile seems to have come at once.
    """
    out = []
    spans = ((1.0, ORDER_QUOTA.per_s), (60.0, ORDER_QUOTA.per_min), (1800.0, ORDER_QUOTA.per_30min))
    for seconds, most in spans:
        window: deque[float] = deque()
        for at in writes:
            window.append(at)
            while at - window[0] >= seconds:
                window.popleft()
            held_up = sum(
                min(end, at) - max(begin, window[0])
                for begin, end in stalls
                if end > window[0] and begin < at
            )
            if len(window) > most and held_up < 0.1:
                out.append(f"{len(window)} order requests within {seconds:g} s: {most} are allowed")
    return out
