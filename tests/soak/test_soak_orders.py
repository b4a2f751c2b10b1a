"""A simulated day of random orders under random faults, with three SIGKILLs: the books stay the exchange's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures.ledgers import unlike
from tests.fixtures.scripted_world import scripted_market
from tests.long.knobs import SEED, figure, limit, rounds, seconds
from tests.soak.day import Day
from tests.soak.judge import Disagreement, Watch
from tradetui.journal import everything, verify

SHORT_SEED, SHORT_STEPS = 20261120, 100
LONG_STEPS = 600
LONG_S = 1_200.0
KILLS = 3


async def soak(home: Path, seed: int, steps: int) -> str:
    """One day. Returns what happened, in words, for people.

    Raises:
        AssertionError: Something that must hold does not.
    """
    home.mkdir(parents=True, exist_ok=True)
    async with scripted_market() as market:
        day = Day(market, home, seed, steps)
        agree = Disagreement(market)
        kills = sorted(day.rng.sample(range(steps // 10, steps - 5), KILLS))
        await day.move(market.now_ns())
        try:
            async with day.watched():
                await day.run.start()
                for number in range(steps):
                    await day.step(number)
                    if number in kills:
                        await day.crash()
                    if number in kills or number % (steps // 5) == steps // 10:
                        await day.settled(agree)
                ledger = await day.settled(agree)
                # Whoever starts next reads the same from the journal alone.
                await day.run.kill()
                await day.run.start()
                again = await day.settled(agree)
                assert again["positions"] == ledger["positions"]
                assert (await day.run.ask(stop=True))["down"]
        finally:
            await day.run.kill()
        assert day.over_budget() == []
        words = (
            f"seed {seed}: {len(market.venue.orders())} orders, {len(market.venue.trades())} trades, "
            f"{len(day.tally.writes)} order requests, did {dict(day.did)}, faults {dict(day.faults)}"
        )
        assert market.venue.trades()
    assert not unlike(home), "the ledger is not what the journal says"
    judged = judge(home, day)
    return f"{words}; {judged} orders judged by the journal"


def judge(home: Path, day: Day) -> int:
    """The journal is whole, and by it no order left that a limit forbids; how many were judged."""
    (account,) = home.glob("accounts/*")
    found = verify(account / "journal")
    assert found.whole, found
    watch = Watch(day.path)
    watch.read(record for _, _, record in everything(account / "journal"))
    assert not watch.breaches, "\n".join(watch.breaches)
    assert watch.judged
    return watch.judged


@pytest.mark.timeout(240)
async def test_r1_a_day_of_random_orders_faults_and_kills_ends_as_the_exchange_has_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Orders, stops, trails, slices, baskets and GTTs at random, faults at random, and the run killed three times.

    Seen: after each start, and at the end of the day, orders, fills, positions and GTTs are the exchange's; every
      position without a stop is in the list of naked ones.
    """
    words = await soak(tmp_path, SHORT_SEED, SHORT_STEPS)
    with capsys.disabled():
        print(f"\nsoak, {words}")


@pytest.mark.long
@pytest.mark.timeout(limit(LONG_S) + 600)
async def test_r1_days_of_random_orders_faults_and_kills(tmp_path: Path) -> None:
    """Longer days, each of another seed, for as long as asked."""
    for number in rounds(seconds(LONG_S)):
        seed = SEED + number
        print(f"TRADETUI_SEED={seed}")
        figure("soak, " + await soak(tmp_path / str(number), seed, LONG_STEPS))
