"""A backfill that meets 429s, 5xx, hangs and torn answers, and is killed twice, ends with the same rows as a quiet one.

The full size (200 symbols, 60 days) is in ``tests/long/test_backfill.py``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures.backfills import Place, assert_within_limits
from tests.fixtures.processes import exchange

WORLD = ("--variant", "wide", "--date", "2026-11-20")
FLAGS = ("--from", "2026-11-13", "--to", "2026-11-19")
SYMBOLS = [f"CROWD{number:03d}" for number in range(1, 13)]
"""Two of them trade thinly; all five sessions of one are without a single trade."""


@pytest.mark.timeout(180)  # seven processes are started, on a machine that may be busy
def test_a_backfill_killed_twice_among_failures_ends_like_a_quiet_one(tmp_path: Path) -> None:
    rough = Place(tmp_path / "rough", SYMBOLS, FLAGS)
    with exchange(*WORLD) as sim:
        # From some request on nobody answers: what was stored by then is all there is when the kill comes.
        sim.fault("history-429", retry_after=1, count=1)
        sim.fault("history-hang", skip=4)
        rough.killed_after(sim, 3)
        first = len(rough.bars())
        sim.fault("history-hang", skip=5)
        sim.fault("history-truncated", count=1)
        rough.killed_after(sim, 4)
        assert 0 < first < len(rough.bars())
        sim.fault("history-hang", skip=1, count=1)
        sim.fault("history-5xx", skip=2, count=1, status=502)
        sim.fault("history-429", skip=3, retry_after=1, count=1)
        sim.fault("history-html", count=1)
        events: list[str] = []
        code, last = rough.finish(sim, lambda event: events.append(str(event["event"])))
        assert (code, last["complete"]) == (0, True)
        # What both killed runs had stored was not asked for again.
        assert events.count("stored") == len(SYMBOLS) - 7
        assert last["retries"] >= 3
        strikes = sim.state()["faults"]["strikes"]
        assert {"history-429", "history-hang", "history-5xx", "history-html"} <= set(strikes)
        assert_within_limits(sim)
    quiet = Place(tmp_path / "quiet", SYMBOLS, FLAGS)
    with exchange(*WORLD) as sim:
        assert quiet.finish(sim)[0] == 0
    assert rough.bars() == quiet.bars()
    assert rough.asked() == quiet.asked()
    assert len({row[0] for row in rough.bars()}) >= 11
