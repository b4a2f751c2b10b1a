"""Same events in, byte-identical journal out: at any speed, with any timing of the tasks around the engine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parity.twenty_minutes import MIDDLE_NS, Manner, Recorded, Told, load, play, ticks
from tradetui.domain.events import FeedEvent
from tradetui.domain.order import OrderStatus
from tradetui.domain.records import Record, RecordKind

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def recorded(shared_data: Path) -> Recorded:
    return load(shared_data)


async def test_three_runs_write_the_same_journal_byte_for_byte(recorded: Recorded, tmp_path: Path) -> None:
    first = await play(recorded, tmp_path / "fast")
    assert_that_much_happened(first)
    others = [
        await play(recorded, tmp_path / "paced", Manner(speed=400.0)),
        await play(recorded, tmp_path / "jittered", Manner(speed=2_000.0, jitter=11, screen=True)),
    ]
    for other in others:
        assert other.content() == first.content()
        assert other.files == first.files
        assert other.journal_sha256 == first.journal_sha256


async def test_other_processes_with_other_hash_seeds_write_it_too(
    recorded: Recorded, shared_data: Path, repo_root: Path, tmp_path: Path
) -> None:
    # The order of a set of strings differs from process to process; within one it never does.
    told = await play(recorded, tmp_path / "here")
    for seed in ("1", "2"):
        done = subprocess.run(  # noqa: ASYNC221 - nothing else runs on this loop
            [sys.executable, "-m", "tests.parity.twenty_minutes", str(shared_data), str(tmp_path / seed)],
            cwd=repo_root,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == told.journal_sha256


def assert_that_much_happened(told: Told) -> None:
    """Orders of the person and of strategies, refusals, fills, changes, and everything flat at the end."""
    assert ticks(told.events) == 10_113
    orders = _last_states(told.records)
    by_source: dict[str, list[OrderStatus]] = {}
    for order in orders.values():
        by_source.setdefault(order["request"]["source"], []).append(OrderStatus(order["status"]))
    print(
        {k: (len(v), [str(x) for x in v]) for k, v in by_source.items()},
        {k: told.count(k) for k in RecordKind},
    )
    assert by_source["manual"].count(OrderStatus.FILLED) >= 8
    assert by_source["manual"].count(OrderStatus.CANCELLED) >= 8
    assert by_source["vote"].count(OrderStatus.FILLED) >= 3
    assert by_source["exit"].count(OrderStatus.FILLED) >= 3
    assert len(by_source["exit-stop"]) >= 3, "every position of a strategy has its stop at the broker"
    assert told.count(RecordKind.SIGNAL) >= 8
    assert told.count(RecordKind.FILL) >= 20
    assert told.count(RecordKind.DECISION) >= 1
    net: dict[str, int] = {}
    for record in told.records:
        if record.kind is RecordKind.FILL:
            sign = 1 if record.data["side"] == "BUY" else -1
            key = record.data["instrument_key"]
            net[key] = net.get(key, 0) + sign * record.data["qty"]
    # What the thin book of a share could not take before the recording ended is still being sold or bought back.
    leaving: dict[str, int] = {}
    for order in orders.values():
        request = order["request"]
        if request["source"] == "exit" and OrderStatus(order["status"]).working:
            sign = 1 if request["side"] == "BUY" else -1
            leaving[request["instrument_key"]] = sign * (request["qty"] - order["filled_qty"])
    assert {key: qty + leaving.get(key, 0) for key, qty in net.items() if qty + leaving.get(key, 0)} == {}
    assert len(leaving) <= 1


def _last_states(records: list[Record]) -> dict[str, dict]:  # type: ignore[type-arg]
    return {r.data["tag"]: dict(r.data) for r in records if r.kind is RecordKind.ORDER}


async def test_cutting_the_future_changes_nothing_that_was_written(
    recorded: Recorded, tmp_path: Path
) -> None:
    whole = await play(recorded, tmp_path / "whole")
    cut = await play(recorded, tmp_path / "cut", until_ns=MIDDLE_NS)
    assert isinstance(cut.events[-1], FeedEvent)
    # The end of the world closes the forming bars: what that led to is not the past's.
    past = [r for r in _before_the_end(cut) if r.t_ns < cut.events[-1].t_ns]
    assert sum(r.kind is RecordKind.SIGNAL for r in past) >= 3
    assert sum(r.kind is RecordKind.FILL for r in past) >= 8
    same = whole.records[: len(past)]
    assert [(r.t_ns, r.kind, r.data) for r in same] == [(r.t_ns, r.kind, r.data) for r in past]


def _before_the_end(told: Told) -> list[Record]:
    ends = [n for n, r in enumerate(told.records) if r.kind is RecordKind.FEED and r.data["state"] == "ended"]
    return told.records[: ends[-1]] if ends else told.records
