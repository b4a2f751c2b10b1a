"""Bars of a live run are those that its stored ticks give again; with the broker's stored minutes, to the last figure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import pytest

from tests.parity.twenty_minutes import Recorded, load
from tests.unit.market.recording import OPEN_NS, continuous
from tradetui.brokers.upstox.decoder import Decoder
from tradetui.domain.calendar import ns
from tradetui.domain.market_data import BarSource, Candle, Has, TickBatch
from tradetui.market.candles import CandleBuilder
from tradetui.market.event_bars import EventBar, EventBars, parse_rule
from tradetui.market.quotes import Quotes
from tradetui.market.universe import Universe
from tradetui.market.warmup import fold_minutes
from tradetui.pb.market_feed_v3_pb2 import FeedResponse, Type
from tradetui.storage.recording import InboxReader
from tradetui.storage.recording import RecordKind as Kind
from tradetui.storage.store import Store
from tradetui.wiring.stored_day import recording_of_ticks

pytestmark = pytest.mark.timeout(240)
DAY = date(2025, 12, 15)
RULES = ("50t", "5000v", "1r")
Frames = Iterable[tuple[int, TickBatch]]


@dataclass
class Built:
    """All bars of one pass over frames."""

    finished: list[Candle] = field(default_factory=list)
    revised: list[Candle] = field(default_factory=list)
    event_bars: list[EventBar] = field(default_factory=list)

    def final(self, interval_s: int) -> list[Candle]:
        """The bars of an interval with later corrections in them."""
        bars = {
            (bar.slot, bar.start_ms): bar
            for bar in (*self.finished, *self.revised)
            if bar.interval_s == interval_s
        }
        return [bars[key] for key in sorted(bars)]


def build(frames: Frames) -> Built:
    """Frames through quotes and every kind of bar, as the engine takes them."""
    quotes = Quotes(continuous, 8)
    candles = CandleBuilder(quotes)
    event_bars = [EventBars(parse_rule(rule), quotes.sessions.bounds, candles.gaps) for rule in RULES]
    built = Built()
    for t_ns, batch in frames:
        trades = quotes.apply(batch, t_ns)
        built.finished += candles.on_batch(t_ns, batch, trades)
        built.revised += candles.take_revised()
        for builder in event_bars:
            built.event_bars += builder.on_trades(trades)
    built.finished += candles.finish_day()
    built.revised += candles.take_revised()
    for builder in event_bars:
        built.event_bars += builder.finish()
    return built


def live_frames(recorded: Recorded, universe: Universe) -> list[tuple[int, TickBatch]]:
    """The recorded frames as the decoder gives them, at engine times that never step back."""
    decoder = Decoder(universe.slots)
    out: list[tuple[int, TickBatch]] = []
    t_ns = 0
    for frame in recorded.frames:
        t_ns = max(t_ns, frame.t_ms * 1_000_000)
        message = FeedResponse(type=Type.live_feed, currentTs=frame.t_ms, feeds=frame.feeds)
        decoded = decoder.decode(message.SerializeToString())
        assert isinstance(decoded, TickBatch)
        out.append((t_ns, decoded))
    return out


def without_minutes(frames: Frames) -> list[tuple[int, TickBatch]]:
    """The frames without the broker's minutes and days, which the tick store does not keep."""
    return [(t_ns, replace(b, mask=b.mask & ~int(Has.MINUTE | Has.DAY))) for t_ns, b in frames]


@pytest.fixture(scope="module")
def recorded(shared_data: Path) -> Recorded:
    return load(shared_data)


@pytest.fixture(scope="module")
def universe(recorded: Recorded) -> Universe:
    universe = Universe()
    for instrument in recorded.instruments:
        universe.add(instrument)
    return universe


@pytest.fixture(scope="module")
def live(recorded: Recorded, universe: Universe) -> list[tuple[int, TickBatch]]:
    return live_frames(recorded, universe)


@pytest.fixture(scope="module")
def stored(
    live: list[tuple[int, TickBatch]], universe: Universe, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[tuple[int, TickBatch]]]:
    """The frames through the store and back out, and where the store is."""
    home = tmp_path_factory.mktemp("home")
    folder = home / "accounts" / "paper-test"
    folder.mkdir(parents=True)
    store = Store.open(folder, universe.instruments)
    for t_ns, batch in live:
        store.ticks(t_ns, batch)
    store.bars([bar for bar in build(live).final(60) if bar.source is BarSource.BROKER])
    store.flush()
    store.close()
    path = recording_of_ticks(home, DAY)
    assert path is not None
    decoder = Decoder(universe.slots)
    frames = []
    for record in InboxReader(path):
        if record.kind is Kind.FRAME:
            decoded = decoder.decode(record.payload)
            assert isinstance(decoded, TickBatch)
            frames.append((record.t_ns, decoded))
    return folder, frames


def test_P_live_bars_are_the_bars_rebuilt_from_the_stored_ticks(
    live: list[tuple[int, TickBatch]], stored: tuple[Path, list[tuple[int, TickBatch]]]
) -> None:
    ours, again = build(without_minutes(live)), build(without_minutes(stored[1]))
    assert sum(len(batch) for _, batch in stored[1]) == sum(len(batch) for _, batch in live) == 10_113
    for interval_s in (60, 180, 300, 900, 1800, 3600, 86_400):
        assert ours.final(interval_s), interval_s
        assert again.final(interval_s) == ours.final(interval_s), interval_s
    assert len(ours.final(60)) > 100
    assert sorted(again.event_bars, key=event_order) == sorted(ours.event_bars, key=event_order)
    assert {str(bar.rule) for bar in ours.event_bars} == set(RULES)


def event_order(bar: EventBar) -> tuple[str, int, int]:
    return str(bar.rule), bar.slot, bar.number


def test_P_with_the_brokers_stored_minutes_the_arbiters_bars_come_again(
    live: list[tuple[int, TickBatch]], stored: tuple[Path, list[tuple[int, TickBatch]]], universe: Universe
) -> None:
    """`I1` decides live; its minutes are in the store, and put over the rebuilt ones they give the same bars."""
    decided = build(live)
    again = {(bar.slot, bar.start_ms): bar for bar in build(without_minutes(stored[1])).final(60)}
    told = 0
    store = Store.open(stored[0], universe.instruments)
    try:
        for slot, instrument in enumerate(universe.instruments):
            before_ms = ns(DAY, "23:00") // 1_000_000
            for bar in store.recent_bars(instrument.key, "1m", 1_000, before_ms, slot):
                assert bar.source is BarSource.BROKER
                again[slot, bar.start_ms] = bar
                told += 1
    finally:
        store.close()
    assert told > 100
    minutes = [again[key] for key in sorted(again)]
    assert [figures(bar) for bar in minutes] == [figures(bar) for bar in decided.final(60)]
    for interval_s in (180, 300, 900, 1800, 3600):
        folded = [
            bar
            for slot in range(len(universe))
            for bar in fold_minutes(
                [minute for minute in minutes if minute.slot == slot],
                interval_s,
                lambda day: OPEN_NS // 1_000_000,
            )
        ]
        assert [figures(bar) for bar in folded] == [figures(bar) for bar in decided.final(interval_s)]


def figures(bar: Candle) -> tuple[int, int, float, float, float, float, int]:
    return bar.slot, bar.start_ms, bar.open, bar.high, bar.low, bar.close, bar.volume


def test_a_tick_that_the_store_lost_would_show(live: list[tuple[int, TickBatch]]) -> None:
    whole = without_minutes(live)
    traded = max(range(1, len(whole)), key=lambda n: len(whole[n][1]))
    assert build(whole).final(60) != build(whole[:traded] + whole[traded + 40 :]).final(60)
