"""The short way through ordinary frames leads where the long ones lead."""

from __future__ import annotations

import random
from datetime import date

import numpy as np
import pytest

from tradetui.domain.calendar import ns
from tradetui.domain.market_data import FrameKind, Has, Px, TickBatch
from tradetui.market.quotes import Quotes, Trade, TradeColumns, Trades

DAY = date(2026, 10, 1)
OPEN, END = (ns(DAY, wall) // 1_000_000 for wall in ("09:15", "15:30"))
NS = 1_000_000
ROWS = 30
ALL = Has.LTPC | Has.FULL | Has.DEPTH | Has.GREEKS | Has.DAY | Has.MINUTE
GROUPS = ("slot", "mask", "px", "qty", "depth", "greeks", "day", "minute", "auction")


class Counted(Quotes):
    """Counts the frames that took the short way."""

    short = 0

    def _apply_plain(self, batch: TickBatch, t_ns: int, latest_ms: int) -> TradeColumns | None:
        found = super()._apply_plain(batch, t_ns, latest_ms)
        self.short += found is not None
        return found


def make() -> Counted:
    return Counted(lambda slot, day: (OPEN * NS, END * NS) if day == DAY else None, 64)


def objects(trades: Trades) -> list[Trade]:
    return list(trades.rows(np.ones(len(trades), np.bool_))) if isinstance(trades, TradeColumns) else trades


def single_rows(batch: TickBatch) -> list[TickBatch]:
    return [
        TickBatch(batch.kind, batch.server_ms, *(getattr(batch, name)[at : at + 1] for name in GROUPS))
        for at in range(len(batch))
    ]


def ordinary(rng: random.Random, now_ms: int, vtt: np.ndarray) -> TickBatch:
    """A frame as they come all day: some numbers zero, some rows without a trade, some without a group."""
    batch = TickBatch.zeros(FrameKind.LIVE, now_ms, ROWS)
    batch.slot[:] = sorted(rng.sample(range(40), ROWS))
    for at, slot in enumerate(batch.slot.tolist()):
        vtt[slot] += rng.choice([0, 1, 75])
        batch.mask[at] = ALL & ~rng.choice(
            [0, 0, 0, Has.DEPTH, Has.GREEKS, Has.MINUTE, Has.DAY]
        ) | rng.choice([0, 0, Has.AUCTION])
        batch.px[at] = [rng.choice([0.0, rng.uniform(90, 110)]) for _ in Px]
        batch.px[at, Px.LTP] = round(rng.uniform(90, 110), 2)
        batch.qty[at] = (now_ms - rng.choice([0, 0, 3]), rng.choice([0, 75]), vtt[slot])
        for group in (batch.depth, batch.greeks, batch.day, batch.minute, batch.auction):
            group[at] = rng.uniform(1, 9)
    return batch


def odd(rng: random.Random, batch: TickBatch) -> None:
    """One thing that ordinary frames do not have."""
    at = rng.randrange(ROWS)
    match rng.randrange(6):
        case 0:
            batch.qty[at, 0] -= rng.choice([5_000, 90_000_000])
        case 1:
            batch.qty[at, 2] -= 100
        case 2:
            batch.qty[at, 0] += 3_600_000
        case 3:
            batch.mask[at] &= ~Has.LTPC
        case 4:
            batch.mask[at] = Has.LTPC | Has.INDEX
        case _:
            batch.qty[at, 2] = 0


@pytest.mark.parametrize("seed", range(6))
def test_a_whole_frame_equals_its_rows_one_by_one(seed: int) -> None:
    rng = random.Random(seed)
    whole, single = make(), make()
    vtt = np.full(40, 1_000)
    now = OPEN - 200 if seed % 2 else END - 4_000
    for number in range(120):
        now += rng.choice([1, 5, 40, 900])
        batch = ordinary(rng, now, vtt)
        if number % 7 == 6:
            odd(rng, batch)
        told = objects(whole.apply(batch, now * NS))
        one_by_one = [trade for row in single_rows(batch) for trade in objects(single.apply(row, now * NS))]
        assert told == one_by_one
        for name, value in vars(whole).items():
            if isinstance(value, np.ndarray):
                assert np.array_equal(value, getattr(single, name)), (number, name)
        assert (whole.out_of_order, whole.from_future, whole.clock_ms) == (
            single.out_of_order,
            single.from_future,
            single.clock_ms,
        )
    assert whole.short > (15 if seed % 2 else 0)
