"""The L cases: hours with the screen painting, a hundred replays in one process, a day across the change of tokens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.long.knobs import SEED, figure, limit, seconds
from tests.long.watched import Watched, check_books, content_sha256
from tradetui.commands.bench.replay import play, recorded
from tradetui.commands.bench.soak import SPEED, Samples, soak
from tradetui.control.client import ask
from tradetui.domain.calendar import IST, Calendar, Segment
from tradetui.domain.errors import TradeTuiError

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is sampled from /proc"),
]
RSS_GROWTH_MB = 16.0
EIGHT_HOURS_S = 8 * 3600
HANDLES_SLACK = 3
"""A request in flight has a socket of its own at the moment of one sample and not of another."""
JUDGED_S = 240.0
"""In a shorter run DuckDB is still filling the memory that it is allowed, which says nothing about leaks."""


def check_flat(samples: Samples, ran_s: float) -> None:
    """The second half used no more than the first: handles always, memory where the run was long enough."""
    handles = samples.settled(samples.handles)
    half = len(handles) // 2
    assert samples.growth(samples.handles) <= 0, samples.handles
    assert max(handles[half:]) - max(handles[:half]) <= HANDLES_SLACK, samples.handles
    if ran_s >= JUDGED_S:
        assert samples.growth(samples.rss_mb) <= RSS_GROWTH_MB, samples.rss_mb


# --- with the screen ----------------------------------------------------------------------------------


def test_L_minutes_of_market_with_the_screen_painting_leave_the_handles_alone() -> None:
    samples = soak(8.0, SPEED, f"--seed={SEED % 1000}")
    assert samples.painted > 20_000
    assert samples.market_s > 60
    check_flat(samples, 8.0)


@pytest.mark.long
@pytest.mark.timeout(limit(EIGHT_HOURS_S / SPEED))
def test_L_eight_hours_at_a_hundred_times_with_the_screen_painting() -> None:
    lasting_s = seconds(EIGHT_HOURS_S / SPEED)
    samples = soak(lasting_s, SPEED, f"--seed={SEED % 1000}")
    hours = samples.market_s / 3600
    figure(
        f"L, screen painting: {hours:.2f} h of market in {lasting_s:g} s, RSS {samples.rss_mb[0]:.0f} to "
        f"{samples.rss_mb[-1]:.0f} MB, second half {samples.growth(samples.rss_mb):+.1f} MB, slope "
        f"{samples.slope_mb_per_hour:+.2f} MB/h, handles {samples.handles[0]} to {samples.handles[-1]}, "
        f"painted {samples.painted / 1e6:.1f} MB"
    )
    assert samples.painted / lasting_s > 100
    # A busy machine simulates it more slowly than asked.
    assert samples.market_s >= 0.5 * lasting_s * SPEED
    check_flat(samples, lasting_s)


# --- replay after replay ------------------------------------------------------------------------------


async def repeated(home: Path, times: int) -> Samples:
    """Replays of one recorded stretch, one after the other in this process; a sample after each."""
    path = recorded(home, 90.0)
    samples, told = Samples(), set()
    for number in range(times):
        ran = await play(home, path)
        told.add((ran["journal_sha256"], ran["ticks"], ran["dropped"]))
        samples.take(os.getpid(), float(number))
    assert len(told) == 1, told
    return samples


async def test_L_six_replays_in_one_process_leave_no_handle_behind(tmp_path: Path) -> None:
    samples = await repeated(tmp_path, 6)
    assert len(set(samples.handles[1:])) == 1, samples.handles


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_L_a_hundred_replays_in_one_process(tmp_path: Path) -> None:
    samples = await repeated(tmp_path, 100)
    figure(
        f"L, 100 replays in one process: RSS {samples.rss_mb[0]:.0f} to {samples.rss_mb[-1]:.0f} MB, second half "
        f"{samples.growth(samples.rss_mb):+.1f} MB, handles {samples.handles[0]} to {samples.handles[-1]}"
    )
    assert samples.growth(samples.rss_mb) <= RSS_GROWTH_MB, samples.rss_mb
    assert samples.growth(samples.handles) <= 0, samples.handles


# --- over night ---------------------------------------------------------------------------------------

DAY = date(2026, 11, 18)
"""A Wednesday; Thursday trades too."""
NIGHT_S = 25 * 3600 / 300


@pytest.fixture
def started() -> Iterator[list[Watched]]:
    programs: list[Watched] = []
    yield programs
    for program in reversed(programs):
        program.kill()


def now_of(home: Path) -> datetime | None:
    """What time it is at the exchange; ``None`` while the run does not answer."""
    try:
        return datetime.fromisoformat(str(ask(home, "status")["time"])).astimezone(IST)
    except TradeTuiError:
        return None


@pytest.mark.long
@pytest.mark.timeout(limit(NIGHT_S) + 120)
def test_L_a_day_and_a_night_across_the_change_of_tokens(tmp_path: Path, started: list[Watched]) -> None:
    """From one open to the next: at 03:30 every token ends, the run logs in again by itself and trades on."""
    calendar = Calendar.default()
    window = calendar.continuous(Segment.EQ_OTHER, DAY + timedelta(days=1))
    assert window is not None
    opens = datetime.fromtimestamp(window[0] / 1e9, IST)
    lasting_s = seconds(NIGHT_S)
    speed = 25 * 3600 / lasting_s
    sim = Watched(
        None, "sim", "--auto-approve", "--variant=thin", f"--date={DAY}", f"--seed={SEED % 1000}", f"--speed={speed:g}"
    )  # fmt: skip
    started.append(sim)
    ready = sim.first_line()
    home = tmp_path / "home"
    run = Watched(home, "run", "--headless", "--json", "--url-main", ready["main"])
    started.append(run)
    samples, began_s = Samples(), time.monotonic()
    end_s = began_s + 2 * lasting_s + 120
    while (now := now_of(home)) is None or now < opens + timedelta(minutes=30):
        assert run.running, run.end()
        assert time.monotonic() < end_s, (now, run.log()[-2_000:])
        if now is not None:
            samples.take(run.process.pid, time.monotonic() - began_s)
        _wait_a_little(run)
    code, out, err = run.end()
    assert code == 0, err
    summary: dict[str, Any] = json.loads(out)
    log = run.log()
    figure(
        f"L, over night: RSS {samples.rss_mb[0]:.0f} to {samples.rss_mb[-1]:.0f} MB, second half "
        f"{samples.growth(samples.rss_mb):+.1f} MB, handles {samples.handles[0]} to {samples.handles[-1]}; {summary}"
    )
    assert "logged in again" in log
    for word in ("Traceback", "nobody foresaw", "CRITICAL"):
        assert word not in log
    with duckdb.connect(str(run.only("market.duckdb")), read_only=True) as market:
        days = market.sql(
            "SELECT (engine_ts AT TIME ZONE 'Asia/Kolkata')::DATE::VARCHAR AS day, count(*) FROM ticks GROUP BY ALL ORDER BY 1"
        ).fetchall()
    assert [day for day, _ in days] == [f"{DAY}", f"{DAY + timedelta(days=1)}"]
    assert all(count > 500 for _, count in days), days
    kept = check_books(run, tmp_path)
    assert content_sha256(record for _, _, record in kept) == summary["journal_sha256"]
    assert samples.growth(samples.handles) <= HANDLES_SLACK, samples.handles
    if lasting_s >= NIGHT_S:
        assert samples.growth(samples.rss_mb) <= RSS_GROWTH_MB, samples.rss_mb


def _wait_a_little(run: Watched) -> None:
    """Up to half a second, less when the program ends."""
    try:
        run.process.wait(0.5)
    except subprocess.TimeoutExpired:
        return
