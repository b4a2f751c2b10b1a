"""Declarations, specs and the set of running indicators."""

from __future__ import annotations

from dataclasses import replace
from math import isnan, nan

import pytest

from tradetui.domain.errors import DomainError
from tradetui.domain.market_data import Candle
from tradetui.indicators import FAMILIES, REGISTRY, Columns, Indicator, IndicatorSet, lookup, parse_spec, spec
from tradetui.indicators.base import register

OPEN_MS = 1_765_770_300_000


def bar(minute: int, close: float, slot: int = 0, interval_s: int = 60) -> Candle:
    return Candle(
        slot, interval_s, OPEN_MS + minute * 60_000, close, close + 1, close - 1, close, 10 + minute
    )


def test_specs_read_as_people_write_them() -> None:
    assert str(parse_spec("rsi")) == "rsi(14)"
    assert parse_spec("RSI( 21 )") == spec("rsi", timeperiod=21)
    assert str(parse_spec("bbands(20, 2.5)")) == "bbands(20,2.5,2)"
    assert str(parse_spec("vwap")) == "vwap"
    assert parse_spec("macd(8,17)").params == {"fastperiod": 8, "slowperiod": 17, "signalperiod": 9}
    assert parse_spec("macd").warmup == 33


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nope",
        "rsi(0)",
        "rsi(-3)",
        "rsi(1.5)",
        "rsi(14,2)",
        "rsi(x)",
        "rsi(14",
        "bbands(20,inf)",
        "vwap(1)",
    ],
)
def test_wrong_specs_are_refused_with_a_reason(text: str) -> None:
    with pytest.raises(DomainError, match=r"\w"):
        parse_spec(text)


def test_unknown_names_tell_what_is_known() -> None:
    with pytest.raises(DomainError, match="no indicator 'nope'"):
        lookup("nope")
    with pytest.raises(DomainError, match="it has: timeperiod"):
        spec("rsi", length=3)
    with pytest.raises(DomainError, match="two indicators"):
        register(REGISTRY["rsi"])


def test_every_indicator_stands_in_a_file_or_in_the_catalogue() -> None:
    declared = [
        thing.name
        for file in FAMILIES.values()
        for thing in (*vars(file).values(), *getattr(file, "REST", ()))
        if isinstance(thing, Indicator)
    ]
    assert sorted(declared) == sorted(REGISTRY), "each once"


def test_set_runs_each_series_on_its_own() -> None:
    rsi, sma = spec("rsi", timeperiod=2), spec("sma", timeperiod=2)
    running = IndicatorSet({60: [sma, rsi, sma], 300: [rsi]})
    assert running.specs(60) == (rsi, sma)
    for minute, close in enumerate([10.0, 11.0, 12.0]):
        assert running.on_candle(bar(minute, close))
        running.on_candle(bar(minute, 50.0, slot=1))
    assert running.value(0, 60, sma) == (11.5,)
    assert running.value(1, 60, sma) == (50.0,)
    assert running.value(0, 60, rsi) == (100.0,)
    assert running.value(0, 300, rsi) == ()
    assert running.peek(bar(3, 20.0), sma) == (16.0,)
    assert running.value(0, 60, sma) == (11.5,)
    assert not running.on_candle(bar(0, 1.0, interval_s=900)), "no indicator wants it"


def test_bars_that_are_not_newer_change_nothing() -> None:
    sma = spec("sma", timeperiod=2)
    running = IndicatorSet({60: [sma]})
    running.on_candle(bar(0, 10.0))
    running.on_candle(bar(1, 12.0))
    assert not running.on_candle(bar(1, 99.0))
    assert not running.on_candle(bar(0, 99.0))
    assert running.value(0, 60, sma) == (11.0,)
    assert (running.origin_ms(0, 60), running.last_ms(0, 60), running.bars(0, 60)) == (
        OPEN_MS,
        OPEN_MS + 60_000,
        2,
    )


def test_restart_begins_from_a_new_origin() -> None:
    ema = spec("ema", timeperiod=3)
    running, fresh = IndicatorSet({60: [ema]}), IndicatorSet({60: [ema]})
    running.on_candle(bar(5, 10.0))
    series = [bar(minute, 10.0 + minute % 3) for minute in range(12)]
    running.restart(0, 60, Columns.of_candles(series))
    for candle in series:
        fresh.on_candle(candle)
    assert running.value(0, 60, ema) == fresh.value(0, 60, ema)
    assert running.origin_ms(0, 60) == OPEN_MS


def test_warm_up_is_nan_and_bad_bars_are_refused() -> None:
    rsi = spec("rsi")
    running = IndicatorSet({60: [rsi]})
    for minute in range(14):
        running.on_candle(bar(minute, 10.0))
        assert isnan(running.value(0, 60, rsi)[0])
        assert isnan(running.peek(bar(minute + 1, 10.0), rsi)[0]) == (minute < 13)
    with pytest.raises(DomainError, match="not finite"):
        running.on_candle(replace(bar(20, 1.0), close=nan))
    running.on_candle(bar(14, 10.0))
    assert running.value(0, 60, rsi) == (0.0,)
