"""Hours of market in minutes, in a real process: memory and handles stay flat, the books stay whole.

Once undisturbed, on the inner simulator; once on a simulator of its own while faults come and go at random and
somebody trades on the same account from elsewhere.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlsplit

import aiohttp
import duckdb
import pytest

from tests.fixtures.simulated import Member, place_body
from tests.long.knobs import SEED, figure, generator, limit, seconds
from tests.long.watched import END_S, Watched, check_books, content_sha256
from tradetui.simulator.server import SimulatorServer

pytestmark = [
    pytest.mark.long,
    pytest.mark.e2e,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is sampled from /proc"),
]

SPEED = 60
CALM_S = seconds(300)
FAULTS_S = seconds(300)
SESSION_S = 6.25 * 3600
"""A session of the synthetic market; nothing ticks after it."""
RSS_GROWTH_MB = 16.0
HANDLES_SLACK = 3
"""A request in flight has a socket of its own at the moment of one sample and not of another."""
LEAST_PACE = 0.5
"""Part of the asked speed that the market must have gone at."""
JUDGED_S = 240.0
"""In a shorter run DuckDB is still filling the memory that it is allowed, which says nothing about leaks."""
PATIENCE_S = 60.0


@pytest.fixture
def started() -> Iterator[list[Watched]]:
    programs: list[Watched] = []
    yield programs
    for program in reversed(programs):
        program.kill()


def check_flat(run: Watched, ran_s: float) -> None:
    """The second half of the run used no more than the first."""
    assert len(run.samples.handles) >= 4
    if ran_s < JUDGED_S:
        return
    assert run.samples.growth("rss_mb") <= RSS_GROWTH_MB, run.samples.words()
    assert run.samples.peak_growth("rss_mb") <= RSS_GROWTH_MB, run.samples.words()
    assert run.samples.growth("handles") <= 0, run.samples.words()
    assert run.samples.peak_growth("handles") <= HANDLES_SLACK, run.samples.words()


def check_log(run: Watched, err: str) -> None:
    """Nothing failed in a way nobody foresaw."""
    for text in (run.log(), err):
        for word in ("internal error", "Traceback", "nobody foresaw", "CRITICAL"):
            assert word not in text, text[max(0, text.find(word) - 2_000) :][:6_000]


def await_end(run: Watched) -> None:
    """Wait for a run that ends by itself; its last moments, when it closes everything, are not sampled."""
    try:
        run.process.wait(END_S)
    except subprocess.TimeoutExpired:
        pytest.fail(f"still running {END_S:g} s after its time")


def span_s(run: Watched) -> float:
    """Exchange seconds between the first and the last stored tick."""
    with duckdb.connect(str(run.only("market.duckdb")), read_only=True) as market:
        ((count, span),) = market.sql(
            "SELECT count(*), epoch(max(engine_ts)) - epoch(min(engine_ts)) FROM ticks"
        ).fetchall()
    assert count
    return float(span)


# --- undisturbed --------------------------------------------------------------------------------------


@pytest.mark.timeout(limit(300))
def test_five_hours_of_market_leave_memory_handles_and_books_as_they_should_be(
    tmp_path: Path, started: list[Watched]
) -> None:
    run = Watched(
        tmp_path / "home",
        "run", "--headless", "--json", f"--for={CALM_S}s", f"--speed={SPEED}", f"--seed={SEED}",
    )  # fmt: skip
    started.append(run)
    run.watch(CALM_S)
    await_end(run)
    code, out, err = run.end()
    assert code == 0, err
    assert err == ""
    assert out.count("\n") == 1
    summary = json.loads(out)
    figure(f"soak, undisturbed: {run.samples.words()}; {summary}")

    assert summary["dropped"] == 0
    assert summary["reconnects"] == 0
    assert summary["mode"] == "sim"
    check_log(run, err)
    span = span_s(run)
    figure(f"soak, undisturbed: {span / 3600:.2f} hours of market in {CALM_S:g} s")
    # The market went on all the time. A busy machine simulates it more slowly than asked.
    assert span >= (LEAST_PACE if CALM_S >= JUDGED_S else 0.1) * min(CALM_S * SPEED, SESSION_S)
    with duckdb.connect(str(run.only("market.duckdb")), read_only=True) as market:
        ((stored,),) = market.sql("SELECT count(*) FROM ticks").fetchall()
    assert stored == summary["ticks"]
    kept = check_books(run, tmp_path)
    assert content_sha256(record for _, _, record in kept) == summary["journal_sha256"]
    check_flat(run, CALM_S)


# --- under faults -------------------------------------------------------------------------------------

WINDOW_S = (0.5, 5.0)
"""How long a fault stays on."""
PAUSE_S = (0.2, 4.0)
"""How long none is on."""


def drawn_fault(rng: random.Random) -> tuple[str, dict[str, Any]]:
    """A fault with its arguments."""
    streams, codes = ["market", "portfolio", "all"], [0, 1001, 1012]
    faults: list[tuple[str, dict[str, Any]]] = [
        ("drop", {"stream": rng.choice(streams), "code": rng.choice(codes)}),
        ("delay", {"ms": rng.randrange(20, 3_000)}),
        ("reject", {"every": rng.randrange(1, 4)}),
        ("duplicate", {"every": rng.randrange(1, 4)}),
        ("disorder", {"every": rng.randrange(1, 4)}),
        ("429", {"every": rng.randrange(1, 4)}),
        ("malformed", {"every": rng.randrange(1, 10)}),
    ]
    return rng.choice(faults)


class OutsideTrader:
    """Somebody who trades on the same account with a program of their own, and works the control listener."""

    def __init__(self, ready: dict[str, str], session: aiohttp.ClientSession, rng: random.Random) -> None:
        remote = SimpleNamespace(ready_line=lambda: ready, urls=SimpleNamespace(control=ready["control"]))
        self.member = Member(cast("SimulatorServer", remote), session)
        self._rng = rng
        self.placed = self.refused = 0

    async def trade(self) -> None:
        """Buy or sell a little, at the market or far from it; sometimes cancel what is open."""
        rng = self._rng
        at_market = {"order_type": "MARKET", "price": 0, "market_protection": 3}
        terms: dict[str, Any] = rng.choice([at_market, {"price": 1_300.0}])
        body = place_body(
            rng.choice(["NSE_EQ|INE002A01018", "NSE_EQ|INE040A01034"]),
            transaction_type=rng.choice(["BUY", "SELL"]),
            quantity=rng.randrange(1, 5),
            **terms,
            tag=f"o{self.placed}",
        )
        answer = await self.member.call("POST", "/v3/order/place", host="order", body=body)
        self.placed += answer.status == 200
        self.refused += answer.status != 200
        if rng.random() < 0.3:
            for order in (await self.state())["orders"]:
                if order["status"] == "open" and order["tag"].startswith("o"):
                    where = f"/v3/order/cancel?order_id={order['order_id']}"
                    await self.member.call("DELETE", where, host="order")

    async def state(self) -> dict[str, Any]:
        """The exchange's own truth."""
        return cast("dict[str, Any]", await self.member.control("/state"))

    async def fault(self, name: str, args: dict[str, Any]) -> None:
        """Switch a fault."""
        answer = await self.member.control("/faults", {"name": name, "args": args})
        assert "error" not in answer, answer


async def paced(run: Watched, lasting_s: float) -> None:
    """Let so much real time pass, a sample a second; the run has to live through it."""
    clock = asyncio.get_running_loop().time
    end_s = clock() + lasting_s
    while (left_s := end_s - clock()) > 0:
        assert run.running, run.end()
        run.sample()
        await asyncio.sleep(min(1.0, left_s))


async def misfortunes(trader: OutsideTrader, run: Watched, rng: random.Random) -> dict[str, int]:
    """Faults on and off at random, one or two at a time, until the time is up; how often each was on."""
    clock = asyncio.get_running_loop().time
    end_s = clock() + FAULTS_S
    seen: dict[str, int] = {}
    while clock() < end_s:
        on = [drawn_fault(rng) for _ in range(rng.choice([1, 1, 2]))]
        for name, args in on:
            await trader.fault(name, args)
            seen[name] = seen.get(name, 0) + 1
        await trader.trade()
        await paced(run, rng.uniform(*WINDOW_S))
        await trader.fault("none", {})
        await trader.trade()
        await paced(run, rng.uniform(*PAUSE_S))
    return seen


async def until_calm(trader: OutsideTrader, run: Watched) -> dict[str, Any]:
    """Wait until the run has read the whole account twice after the last fault, and is fed; the state then."""
    book = "GET /v2/order/retrieve-all"
    before = (await trader.state())["requests"].get(book, 0)
    frames = len(re.findall(r"feed (?:up|silent|connecting|down)", run.log()))
    clock = asyncio.get_running_loop().time
    end_s = clock() + PATIENCE_S
    while True:
        state = await trader.state()
        feed_words = re.findall(r"notices: (feed [a-z]+)", run.log())
        if state["requests"].get(book, 0) >= before + 2 and feed_words[-1:] == ["feed up"]:
            return state
        assert clock() < end_s, (feed_words[-5:], frames, state["requests"])
        await paced(run, 0.5)


@pytest.mark.timeout(limit(300) + 2 * PATIENCE_S)
async def test_after_every_fault_the_run_is_up_and_the_books_are_the_exchanges(
    tmp_path: Path, started: list[Watched]
) -> None:
    rng = generator("faults")
    sim = Watched(None, "sim", "--auto-approve", "--jump-to-open", f"--seed={SEED}", f"--speed={SPEED}")
    started.append(sim)
    ready = sim.first_line()
    assert urlsplit(ready["control"]).hostname == "127.0.0.1"
    async with aiohttp.ClientSession() as session:
        trader = OutsideTrader(ready, session, rng)
        await trader.member.login()
        run = Watched(tmp_path / "home", "run", "--headless", "--json", "--url-main", ready["main"])
        started.append(run)
        while "feed up" not in (run.log() if (tmp_path / "home").exists() else ""):
            await paced(run, 0.2)
        seen = await misfortunes(trader, run, rng)
        await trader.fault("none", {})
        await until_calm(trader, run)
        state = await until_settled(trader, run)
        code, out, err = await asyncio.to_thread(run.end)
        assert sim.running
    assert code == 0, err
    summary = json.loads(out)
    figure(
        f"soak, faults {seen}: {run.samples.words()}; outside orders {trader.placed}, refused {trader.refused}, "
        f"fills {len(state['fills'])}; {summary}"
    )
    check_log(run, err)
    if seen.get("drop", 0) > 3:
        assert summary["reconnects"] > 0
    check_against_the_exchange(run, state)
    kept = check_books(run, tmp_path)
    assert content_sha256(record for _, _, record in kept) == summary["journal_sha256"]
    check_flat(run, FAULTS_S)


async def until_settled(trader: OutsideTrader, run: Watched) -> dict[str, Any]:
    """Nothing is traded any more: wait for two more reads of the account, then take the exchange's truth."""
    for order in (await trader.state())["orders"]:
        if order["status"] in ("open", "trigger pending"):
            where = f"/v3/order/cancel?order_id={order['order_id']}"
            await trader.member.call("DELETE", where, host="order")
    return await until_calm(trader, run)


def check_against_the_exchange(run: Watched, state: dict[str, Any]) -> None:
    """Orders, fills and positions of our ledger are the exchange's, each once."""
    with duckdb.connect(str(run.only("ledger.duckdb")), read_only=True) as ledger:
        fills = sorted(ledger.sql("SELECT trade_id, side, qty, price FROM fills").fetchall())
        orders = dict(ledger.sql("SELECT broker_id, status FROM orders").fetchall())
        positions = dict(
            ledger.sql("SELECT instrument_key, sum(qty)::BIGINT FROM positions GROUP BY ALL").fetchall()
        )
    assert fills == sorted(
        (one["trade_id"], one["side"], one["qty"], round(one["price"] * 10_000)) for one in state["fills"]
    )
    words = {"complete": "filled"}
    assert orders == {one["order_id"]: words.get(one["status"], one["status"]) for one in state["orders"]}
    held = {one["instrument_key"]: one["qty"] for one in state["positions"] if one["qty"]}
    assert {key: qty for key, qty in positions.items() if qty} == held
