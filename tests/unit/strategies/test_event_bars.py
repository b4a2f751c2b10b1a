"""Strategies are asked about bars that what was traded has ended."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from tradetui.domain.market_data import Candle
from tradetui.domain.order import Side
from tradetui.indicators import Spec
from tradetui.market.event_bars import EventBar
from tradetui.market.history import History
from tradetui.market.quotes import Quotes, Trade
from tradetui.strategies.base import Context, Signal, Strategy
from tradetui.strategies.runner import StrategyRunner

DAY = date(2026, 11, 20)
OPEN_MS = 1_795_000_500_000


class Tape(Strategy):
    """Buys when a bar of three updates closed above its open; fails on a price of 13."""

    name = "tape"
    title = "Reads the tape"
    intervals = ()
    event_bars = ("3t", "1000v")

    def __init__(self) -> None:
        self.seen: list[str] = []

    def indicators(self) -> Mapping[int, tuple[Spec, ...]]:
        return {}

    def on_candle(self, ctx: Context, candle: Candle) -> Signal | None:
        raise AssertionError("it asked for no candles")

    def on_event_bar(self, ctx: Context, bar: EventBar) -> Signal | None:
        self.seen.append(f"{bar.rule} {bar.slot} {bar.close:g}")
        if bar.close == 13.0:
            raise ValueError("thirteen")
        if bar.close <= bar.open:
            return None
        return Signal(bar.slot, self.name, Side.BUY, 70.0, bar.close, 1.0, 20.0, 60, bar.start_ms, ())


def make() -> tuple[Tape, StrategyRunner]:
    quotes = Quotes(lambda slot, day: (OPEN_MS * 1_000_000, (OPEN_MS + 20_000_000) * 1_000_000), 4)
    quotes.sessions.roll(OPEN_MS)
    tape = Tape()
    return tape, StrategyRunner([tape], quotes, History(), lambda slot: slot != 2, lambda slot: 0)


def failed(name: str, error: str) -> None:
    failures.append(f"{name}: {error}")


failures: list[str] = []


def trades(*rows: tuple[int, float, int]) -> list[Trade]:
    return [
        Trade(slot, OPEN_MS + n, price, volume, 0, False, False)
        for n, (slot, price, volume) in enumerate(rows)
    ]


def test_bars_reach_the_strategies_that_asked_for_them() -> None:
    tape, runner = make()
    assert runner.on_trades(trades((0, 10.0, 1), (0, 11.0, 1)), OPEN_MS, failed) == []
    signals = runner.on_trades(trades((0, 12.0, 2_000), (1, 9.0, 1)), OPEN_MS, failed)
    assert [(signal.slot, signal.price) for signal in signals] == [(0, 12.0), (0, 12.0)]
    assert tape.seen == ["3t 0 12", "1000v 0 12"], "in the order of the rules"
    assert runner.switches["tape"].signals == 2


def test_what_nobody_looks_at_and_who_is_paused_is_left_alone() -> None:
    tape, runner = make()
    rows = trades((2, 10.0, 1), (2, 11.0, 1), (2, 12.0, 1))
    assert runner.on_trades(rows, OPEN_MS, failed) == []
    runner.switches["tape"].running = False
    assert runner.on_trades(trades((0, 1.0, 1), (0, 2.0, 1), (0, 3.0, 1)), OPEN_MS, failed) == []
    assert tape.seen == []


def test_one_that_raises_is_suspended() -> None:
    tape, runner = make()
    runner.on_trades(trades((0, 1.0, 1), (0, 2.0, 1), (0, 13.0, 1)), OPEN_MS, failed)
    assert failures == ["tape: ValueError: thirteen"]
    assert not runner.switches["tape"].running
    runner.on_trades(trades((0, 1.0, 1), (0, 2.0, 1), (0, 3.0, 1)), OPEN_MS, failed)
    assert tape.seen == ["3t 0 13"]
