"""What the paper broker remembers of a whole frame is what it remembers of its rows."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tests.unit.market.test_quotes_plain import single_rows
from tradetui.brokers.paper_market import LatestMarket
from tradetui.domain.market_data import FrameKind, Has, Px, TickBatch

DAY_MS = 1_765_737_000_000
"""Midnight IST of an ordinary day."""


def frame(rng: random.Random, now_ms: int) -> TickBatch:
    """Rows of every kind: partial, stepping back, impossible, of an index, with and without a book."""
    batch = TickBatch.zeros(rng.choice([FrameKind.LIVE] * 4 + [FrameKind.SNAPSHOT]), now_ms, 25)
    batch.slot[:] = rng.sample(range(40), 25)
    for at in range(25):
        full = Has.LTPC | Has.FULL
        batch.mask[at] = rng.choice(
            [full, full | Has.DEPTH, full | Has.DEPTH, Has.DEPTH | Has.FULL, Has.LTPC, Has.INDEX]
        )
        batch.px[at, Px.LTP] = rng.choice([100.5, rng.uniform(1, 9), 0.0, 1e12])
        ago = rng.choice([0, 0, 1_000, 90_000_000])
        batch.qty[at] = (
            now_ms - ago,
            rng.choice([0, 75, 2 * 10**12]),
            rng.choice([0, now_ms // 1_000 % 10**9, 5, 10**13]),
        )
        batch.depth[at] = rng.uniform(1, 9)
    return batch


@pytest.mark.parametrize("seed", range(5))
def test_columns_and_rows_remember_the_same(seed: int) -> None:
    rng = random.Random(seed)
    whole, single = LatestMarket(), LatestMarket()
    now = DAY_MS + 30_000_000
    for number in range(60):
        now += rng.choice([10, 1_000, 40_000_000])
        batch = frame(rng, now)
        hot = set(rng.sample(range(40), 3)) if number % 3 else set[int]()
        t_ns = now * 1_000_000
        told = whole.take(batch, t_ns, hot)
        assert told == [one for row in single_rows(batch) for one in single.take(row, t_ns, hot)]
        for name in ("_ltp", "_ltt_ms", "_vtt", "_depth_ns", "_depth"):
            ours, theirs = getattr(whole, name)[:40], getattr(single, name)[:40]
            assert np.array_equal(ours, theirs), (number, name)
