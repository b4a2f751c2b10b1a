"""`tradetui bench` as a process, small: that it measures, not how fast this machine is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fixtures.program import told
from tradetui.commands.bench.startup import first_paint_ms, import_ms, process_ms
from tradetui.domain.errors import TradeTuiError

INGEST = {
    "offered_per_s", "taken_per_s", "dropped", "tick_to_state_p50_ms", "tick_to_state_p99_ms", "loop_lag_p99_ms",
    "engine_cpu_pct", "rss_mb",
}  # fmt: skip


@pytest.mark.parametrize("mode", ["full", "ltpc"])
def test_ingest_takes_everything_that_is_offered(tmp_path: Path, mode: str) -> None:
    _, out, err = told(
        tmp_path, "bench", "ingest", "--instruments", "200", "--rate", "2000", "--mode", mode,
        "--seconds", "3", "--json",
    )  # fmt: skip
    assert err == ""
    data = json.loads(out)
    figures = data["figures"]
    assert set(figures) >= INGEST
    assert figures["dropped"] == 0
    assert figures["offered_per_s"] == pytest.approx(2000, rel=0.05)
    # Without the broker's minutes bars wait some seconds for late trades.
    assert figures["bars"] > 0 or mode == "ltpc"
    assert 0 < figures["tick_to_state_p50_ms"] <= figures["tick_to_state_p99_ms"]
    assert data["bounds"]["bare_fromstring_us_per_feed"] > 0


def test_a_bare_screen_is_painted_and_imports_are_told() -> None:
    took, log = first_paint_ms(
        ["-X", "importtime", "-c", "from textual.app import App\nApp().run()"], painted=0
    )
    assert took > 0
    assert import_ms(log)["textual"] > 0


def test_the_workstation_paints(tmp_path: Path) -> None:
    took, seen = first_paint_ms(["-m", "tradetui", "run", "--home", str(tmp_path)])
    assert took > 0
    assert b"\x1b[?1049h" in seen


def test_a_program_that_fails_is_said() -> None:
    with pytest.raises(TradeTuiError, match="ended with 3"):
        process_ms(["-c", "raise SystemExit(3)"])
    with pytest.raises(TradeTuiError, match="no such luck"):
        first_paint_ms(["-c", "print('no such luck')"])
    assert process_ms(["-c", "pass"]) > 0


@pytest.mark.parametrize(
    "flags", [("speed",), ("ingest", "--instruments", "9999"), ("ingest", "--mode", "x")]
)
def test_wrong_use_is_one_line_and_exit_code_two(tmp_path: Path, flags: tuple[str, ...]) -> None:
    code, out, err = told(tmp_path, "bench", *flags)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1


def test_the_store_is_held_against_bare_libraries(tmp_path: Path) -> None:
    _, out, err = told(tmp_path, "bench", "store", "--instruments", "60", "--seconds", "1", "--json")
    assert err == ""
    data = json.loads(out)
    figures = data["figures"]
    assert set(figures) >= {"ratio_to_arrow", "recorder_ratio_to_ipc", "day_read_ms", "loop_lag_p99_ms"}
    assert figures["bars_read"] == 60 * 375
    assert figures["dropped"] == 0
    assert figures["rows_per_s"] == pytest.approx(50_000, rel=0.1)
    assert figures["ratio_to_arrow"] > 0.2
    assert data["bounds"]["arrow_insert_k_rows_s"] > 0
