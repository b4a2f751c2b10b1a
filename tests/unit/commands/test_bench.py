"""What a benchmark counts, how it reads import times and screens, and how it reports."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scripts import performance
from tradetui.commands.bench import BenchOptions, check
from tradetui.commands.bench.ingest import Meter, Schedule, bare_decode_us, percentile
from tradetui.commands.bench.report import Result, print_result, save
from tradetui.commands.bench.server import session_open_ns
from tradetui.commands.bench.startup import import_ms, is_painted
from tradetui.domain.errors import UsageError
from tradetui.engine import Outcome
from tradetui.pb.market_feed_v3_pb2 import FeedResponse
from tradetui.simulator.worlds.bench import BenchWorld

START = session_open_ns()
START_MS = START // 1_000_000


@pytest.mark.parametrize(
    ("options", "needle"),
    [
        (BenchOptions("speed"), "known: "),
        (BenchOptions("ingest", mode="option_greeks"), "known: ltpc, full"),
        (BenchOptions("ingest", instruments=2001), "1 to 2000"),
        (BenchOptions("ingest", instruments=0), "1 to 2000"),
        (BenchOptions("ingest", rate=-1), "--rate"),
        (BenchOptions("ingest", seconds=-1), "--seconds"),
        (BenchOptions("startup", ui=True), "--ui"),
        (BenchOptions("ingest", seconds=math.nan), "--seconds"),
    ],
)
def test_what_cannot_be_measured_is_refused(options: BenchOptions, needle: str) -> None:
    with pytest.raises(UsageError, match=needle):
        check(options)


def test_ltpc_takes_more_instruments_than_full() -> None:
    check(BenchOptions("ingest", mode="ltpc", instruments=5000))


# --- counting -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [10_000, 7_000, 333, 60_000])
@pytest.mark.parametrize("first_ms", [0, 1, 999, 1234])
def test_offered_is_what_the_world_really_sends(rate: int, first_ms: int) -> None:
    world = BenchWorld(START, count=100, rate=rate, feeds_per_frame=100)
    stamps = [update.t_ns // 1_000_000 for update in world.advance(START + 4_000_000_000)]
    schedule = Schedule(START, 100 * 1e9 / rate, 100, START_MS + first_ms, START_MS + first_ms + 2_000)
    sent = sum(100 for stamp in stamps if schedule.first_ms <= stamp < schedule.end_ms)
    assert schedule.offered == sent > 0


def frame(server_ms: int, rows: int = 3, kind: int = 1) -> Any:
    batch = type("Batch", (), {"server_ms": server_ms, "kind": kind, "__len__": lambda _self: rows})()
    return SimpleNamespace(batch=batch)


def test_the_meter_counts_what_belongs_to_the_stretch_and_nothing_else() -> None:
    meter, outcome = Meter(), Outcome()
    meter.heard(frame(5, rows=2000, kind=0), outcome)
    meter.heard(frame(START_MS), outcome)
    assert (meter.snapshots, meter.taken, meter.newest_ms) == (2000, 0, START_MS)
    meter.schedule = Schedule(START, 1e7, 3, START_MS + 10, START_MS + 20)
    for stamp in (9, 10, 19):
        meter.heard(frame(START_MS + stamp), outcome)
    meter.heard(cast("Any", SimpleNamespace(t_ns=1)), outcome)
    assert (meter.taken, len(meter.latencies_ms)) == (6, 2)
    assert not meter.over.is_set()
    meter.heard(frame(START_MS + 20), outcome)
    assert meter.over.is_set()
    assert meter.taken == 6


def test_latency_is_counted_from_when_a_frame_was_due(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 7_000_000_000
    monkeypatch.setattr("time.monotonic_ns", lambda: now)
    meter = Meter(now - 15_000_000 - START)
    meter.schedule = Schedule(START, 1e7, 3, START_MS, START_MS + 20)
    meter.heard(frame(START_MS), Outcome())
    assert meter.latencies_ms == [15.0]


def test_frames_are_kept_from_the_stretch_only() -> None:
    meter = Meter()
    meter.keep(0, b"before")
    meter.schedule = Schedule(START, 1e7, 3, START_MS, START_MS + 20)
    meter.keep(0, b"within")
    assert meter.frames == [b"within"]


def test_percentiles_are_by_nearest_rank() -> None:
    ordered = [float(number) for number in range(1, 101)]
    assert (percentile(ordered, 50), percentile(ordered, 99), percentile(ordered, 100)) == (50, 99, 100)
    assert percentile([4.0], 99) == 4.0


def test_the_bare_decoder_is_timed_on_the_frames_themselves() -> None:
    message = FeedResponse()
    for number in range(50):
        message.feeds[f"NSE_EQ|{number}"].ltpc.ltp = 100.0 + number
    assert 0 < bare_decode_us([message.SerializeToString()] * 20) < 1_000
    assert bare_decode_us([]) == 0.0


# --- start-up -----------------------------------------------------------------------------------------


def test_a_screen_is_painted_when_characters_stand_on_it() -> None:
    assert not is_painted(b"import time: 1 | 2 | x" * 100, 10)
    assert not is_painted(b"\x1b[?1049h\x1b[2J\x1b[1;1H\x1b]0;title of the window\x07", 10)
    assert is_painted(b"\x1b[?1049h\x1b[38;2;1;2;3mten letters\x1b[0m", 10)
    assert is_painted(b"\x1b[?1049h", 0)


def test_import_times_are_added_up_by_package() -> None:
    log = (
        b"import time: self [us] | cumulative | imported package\n"
        b"import time:       500 |        500 |   json\n"
        b"import time:      1500 |       2000 | textual.app\r\n"
        b"import time:      2500 |       2500 |     textual.widget\n"
        b"import time:       100 |        100 | _io\n"
    )
    assert import_ms(log) == {"stdlib": 0.6, "textual": 4.0}


# --- the report ---------------------------------------------------------------------------------------


def result(p99: float) -> Result:
    return Result(
        "ingest",
        {"tick_to_state_p99_ms": p99, "dropped": 0.0},
        {"bare_us": 0.6},
        {"tick_to_state_p99_ms": 20},
    )


def test_a_missed_limit_is_said_and_fails_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_result(result(20.0), as_json=False) == 0
    assert "MISSED" not in capsys.readouterr().out
    assert print_result(result(20.1), as_json=False) == 1
    assert "MISSED" in capsys.readouterr().out
    assert result(math.nan).missed == ["tick_to_state_p99_ms"]
    assert Result("x", {}, {}, {"help_ms": 1}).missed == ["help_ms"]


def test_a_figure_that_falls_short_of_what_it_must_reach_is_missed_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    enough, short, unmeasured = {"times": 20.0}, {"times": 19.9}, {"times": math.nan}
    assert Result("x", enough, least={"times": 20}).missed == []
    assert Result("x", short, least={"times": 20}).missed == ["times"]
    assert Result("x", unmeasured, least={"times": 20}).missed == ["times"]
    assert Result("x", {}, least={"times": 20}).missed == ["times"]
    print_result(Result("x", short, least={"times": 20}, notes=["Alone."]), as_json=False)
    assert "at least 20: MISSED" in (said := capsys.readouterr().out)
    assert "Alone." in said


def test_a_result_is_kept_in_place_of_the_last_one_and_becomes_a_part_of_the_page(tmp_path: Path) -> None:
    folder = tmp_path / "performance"
    save(result(99.0), folder)
    save(result(1.0), folder)
    kept = json.loads((folder / "ingest.json").read_text())
    assert kept["figures"]["tick_to_state_p99_ms"] == 1.0
    page = performance.render(folder)
    assert "## ingest" in page
    assert "| `tick_to_state_p99_ms` | 1 | at most 20 | met |" in page
    assert kept["date"] in page
    assert kept["versions"]["duckdb"] in page
    save(result(21.0), folder)
    assert "| `tick_to_state_p99_ms` | 21 | at most 20 | **missed** |" in performance.render(folder)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        save(result(1.0), tmp_path / "file")


def test_json_has_the_promised_members(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(result(1.0), as_json=True)
    data = json.loads(capsys.readouterr().out)
    assert {"bench", "machine", "versions", "figures", "bounds"} <= set(data)
    assert data["machine"]["cores"] >= 1
    assert data["versions"]["duckdb"]
