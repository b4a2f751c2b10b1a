"""What holds for every strategy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.strategies.desk import Desk, walk
from tradetui.strategies import STRATEGIES


@pytest.mark.parametrize("name", STRATEGIES)
def test_two_runs_are_the_same(name: str) -> None:
    candles = walk(4, seed=2)
    assert Desk(STRATEGIES[name]()).run(candles) == Desk(STRATEGIES[name]()).run(candles)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_is_documented_and_declares_itself(name: str, repo_root: Path) -> None:
    strategy = STRATEGIES[name]()
    assert strategy.name == name
    assert strategy.title
    assert strategy.intervals
    assert strategy.indicators()
    assert f"`{name}`" in (repo_root / "docs" / "how-to" / "add-a-strategy.md").read_text(encoding="utf-8")
