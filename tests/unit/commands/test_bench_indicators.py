"""The indicators benchmark measures what it says, on a small world."""

from __future__ import annotations

import pytest

from tradetui.commands.bench import BENCHES, BenchOptions
from tradetui.commands.bench import indicators as bench
from tradetui.indicators import parse_spec


def test_a_small_run_has_every_figure_and_equals_talib_to_the_bit() -> None:
    result = bench.bench(BenchOptions("indicators", instruments=5))
    assert {"minute_close_ms", "five_close_ms", "longest_slice_ms", "warmup_s", "bit_equal"} <= set(
        result.figures
    )
    assert result.figures["bit_equal"] == 1.0
    assert result.figures["engine_bars"] == 5 * 6, "1m, 3m, 5m, 15m, 30m and 1h end together"
    assert {"talib_streams_ms", "talib_functions_ms", "polars_talib_last_ms"} == set(result.bounds)
    assert "indicators" in BENCHES


def test_a_value_that_differs_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "SPECS", (*bench.SPECS[:-1], parse_spec("ema(21)")))
    result = bench.bench(BenchOptions("indicators", instruments=2))
    assert result.figures["bit_equal"] == 0.0
    assert "bit_equal" in result.missed
