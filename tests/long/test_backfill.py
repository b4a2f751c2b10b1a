"""200 symbols over 60 days of minutes, with 429s, 5xx, hangs, torn answers and two SIGKILLs: complete, identical to an
undisturbed run, and never above the broker's rate limits.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.fixtures.backfills import Place, assert_within_limits
from tests.fixtures.processes import exchange
from tests.long.knobs import figure, generator

pytestmark = [pytest.mark.long, pytest.mark.timeout(2_400)]

WORLD = ("--variant", "wide", "--date", "2026-11-20")
FLAGS = ("--to", "2026-11-19", "--days", "60")
SYMBOLS = [f"CROWD{number:03d}" for number in range(1, 201)]


def test_two_hundred_symbols_over_sixty_days_end_like_an_undisturbed_run(tmp_path: Path) -> None:
    chance = generator("backfill")
    quiet = Place(tmp_path / "quiet", SYMBOLS, FLAGS, timeout_s=60.0)
    with exchange(*WORLD) as sim:
        began = time.monotonic()
        code, calm = quiet.finish(sim)
        calm_s = time.monotonic() - began
        assert (code, calm["complete"], calm["retries"]) == (0, True, 0)
        calm_peak = assert_within_limits(sim)
    rough = Place(tmp_path / "rough", SYMBOLS, FLAGS, timeout_s=6.0)
    with exchange(*WORLD) as sim:
        began = time.monotonic()
        for name, every in (("5xx", 23), ("hang", 61), ("truncated", 31), ("html", 67)):
            sim.fault(f"history-{name}", every=every, skip=chance.randrange(5))
        # Once without a word when to come again: that costs half a minute; the others say so.
        sim.fault("history-429", every=47, count=1)
        rough.killed_after(sim, chance.randrange(20, 120))
        sim.fault("history-429", every=53, retry_after=2)
        rough.killed_after(sim, chance.randrange(20, 120))
        code, last = rough.finish(sim)
        took_s = time.monotonic() - began
        assert (code, last["complete"], last["stopped"]) == (0, True, False)
        assert last["retries"] > 0
        strikes = sim.state()["faults"]["strikes"]
        assert {f"history-{name}" for name in ("5xx", "hang", "truncated", "html", "429")} <= set(strikes)
        peak = assert_within_limits(sim)
    ours, theirs = rough.bars(), quiet.bars()
    assert len(ours) == len(theirs) == calm["inserted"]
    assert ours == theirs
    assert rough.asked() == quiet.asked()
    figure(
        f"backfill of {len(SYMBOLS)} symbols x 60 days: {len(ours):,} bars; undisturbed {calm_s:.0f} s "
        f"(most requests in 1 s, 1 min, 30 min: {calm_peak}); with {sum(strikes.values())} faults and kills after "
        f"{rough.killed} answers {took_s:.0f} s ({peak})"
    )
