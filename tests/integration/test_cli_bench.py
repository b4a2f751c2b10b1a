"""`tradetui bench` as a process, small: that it measures, not how fast this machine is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fixtures.program import told
from tradetui.commands.bench.ingest import RAMP
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


def test_ready_made_frames_can_be_offered_at_other_rates(tmp_path: Path) -> None:
    """The measured stretch, then a ramp: what was sustained is at least nothing and never more than was tried."""
    _, out, err = told(
        tmp_path, "bench", "ingest", "--instruments", "200", "--rate", "1000", "--seconds", "2", "--json"
    )
    assert err == ""
    figures = json.loads(out)["figures"]
    assert figures["dropped"] == 0
    assert 0 <= figures["sustained_per_s"] <= 1000 * RAMP[-1] * 1.05


def test_the_screen_is_measured_in_a_terminal_of_its_own(tmp_path: Path) -> None:
    _, out, err = told(
        tmp_path, "bench", "ingest", "--ui", "--instruments", "200", "--rate", "1000", "--seconds", "3", "--json"
    )  # fmt: skip
    assert err == ""
    data = json.loads(out)
    assert data["bench"] == "ingest-ui"
    assert data["figures"]["dropped"] == 0
    assert data["figures"]["paints_per_s"] > 1
    assert data["figures"]["screen_kb_per_s"] > 1


def test_decoding_is_measured_beside_its_bound_and_its_peer(tmp_path: Path) -> None:
    _, out, err = told(tmp_path, "bench", "decode", "--instruments", "200", "--json")
    assert err == ""
    data = json.loads(out)
    assert 1 < data["figures"]["all_ratio_to_bare"] < 60
    assert data["figures"]["hot_times_faster_than_sdk"] > 1
    assert data["bounds"]["sdk_dictionaries_us_per_feed"] > data["bounds"]["bare_fromstring_us_per_feed"] > 0


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
