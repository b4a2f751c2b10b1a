"""What a backfill is asked for, and what it says: ranges, universes, lines in a pipe, bars on a terminal."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures import master_rows as rows_of
from tradetui.brokers.upstox.instruments import Master
from tradetui.brokers.upstox.master_rows import parse_rows
from tradetui.commands.backfill import BackfillOptions, ask_of
from tradetui.commands.backfill.progress import (
    JsonLines,
    PlainLines,
    Progress,
    TerminalProgress,
    progress_for,
)
from tradetui.commands.backfill.text import check_lines, summary_lines
from tradetui.domain.errors import UnknownInstrument, UsageError
from tradetui.domain.universes import nifty50
from tradetui.wiring.backfill.ask import Ask, range_of
from tradetui.wiring.backfill.universe import choose_universe, from_file, read_list

MONDAY = date(2025, 12, 15)
DAY = timedelta(days=1)
MASTER_DAY = rows_of.TODAY


@contextlib.contextmanager
def master() -> Iterator[Master]:
    made = Master.build(
        parse_rows(
            [
                rows_of.index("NIFTY", "Nifty 50"),
                rows_of.share("RELIANCE", 1),
                rows_of.share("TCS", 2),
                rows_of.share("ALONE", 3),
                rows_of.contract("NIFTY", 36001, rows_of.NEAR, underlying_key="NSE_INDEX|Nifty 50"),
                rows_of.contract("RELIANCE", 36002, rows_of.FAR, underlying_key="NSE_EQ|INE001A01011"),
                rows_of.contract("TCS", 36003, rows_of.GONE, underlying_key="NSE_EQ|INE002A01011"),
            ]
        ),
        MASTER_DAY,
    )
    with contextlib.closing(made):
        yield made


@pytest.mark.parametrize(
    ("first", "last", "days", "expected"),
    [
        (None, None, 0, (date(2025, 11, 15), MONDAY)),
        (None, date(2025, 12, 1), 0, (date(2025, 11, 1), date(2025, 12, 1))),
        (date(2025, 12, 10), None, 0, (date(2025, 12, 10), MONDAY)),
        (MONDAY, MONDAY, 0, (MONDAY, MONDAY)),
        (None, None, 1, (MONDAY, MONDAY)),
        (None, date(2025, 12, 10), 60, (date(2025, 10, 12), date(2025, 12, 10))),
    ],
)
def test_a_range_has_defaults(
    first: date | None, last: date | None, days: int, expected: tuple[date, date]
) -> None:
    assert range_of(first, last, MONDAY, days=days) == expected


@pytest.mark.parametrize(
    ("first", "last", "needle"),
    [
        (date(2025, 12, 10), date(2025, 12, 9), "is after"),
        (None, MONDAY + DAY, "--to 2025-12-16 lies in the future"),
        (MONDAY + DAY, None, "--from 2025-12-16 lies in the future"),
    ],
)
def test_a_senseless_range_is_refused(first: date | None, last: date | None, needle: str) -> None:
    with pytest.raises(UsageError, match=needle):
        range_of(first, last, MONDAY)


def test_a_simulator_on_an_older_day_takes_dates_up_to_ours() -> None:
    assert range_of(None, MONDAY + DAY, MONDAY, latest=MONDAY + 3 * DAY)[1] == MONDAY + DAY


@pytest.mark.parametrize(
    ("flags", "needle"),
    [
        ({"symbols": ("A",), "interval": "7m"}, "known: 1m"),
        ({"symbols": ("A",), "interval": "1y"}, "no interval '1y'"),
        ({}, "which instruments"),
        ({"symbols": ("A",), "days": 3, "first": MONDAY}, "exclude each other"),
        ({"symbols": ("A",), "days": -3}, "1 or more"),
        ({"symbols": ("A",), "expired": "some"}, "futures, options, all"),
        ({"symbols": ("A",), "check": True, "verify": True}, "only looks"),
        ({"universe": "nosuchfile.txt"}, "nifty50, fno, watchlist"),
    ],
)
def test_senseless_flags_are_refused_before_anybody_is_asked(flags: dict[str, Any], needle: str) -> None:
    with pytest.raises(UsageError) as caught:
        ask_of(BackfillOptions(**flags))
    assert needle in str(caught.value)


@pytest.mark.parametrize("interval", ["1m", "3m", "5m", "15m", "30m", "1h", "1d", "1w", "1M"])
def test_every_interval_can_be_asked_for_and_goes_over_the_socket(interval: str) -> None:
    ask = ask_of(BackfillOptions(("A",), "nifty50", interval, MONDAY, MONDAY + DAY, verify=True))
    assert Ask.of(json.loads(json.dumps(ask.as_data()))) == ask


@pytest.mark.parametrize(
    "data", [{"first": "soon"}, {"days": "x"}, {"lines": [1]}, {"symbols": 7}, {"interval": "9z"}]
)
def test_what_comes_over_the_socket_is_checked(data: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Ask.of({"symbols": ["A"], **data})


# --- universes ----------------------------------------------------------------------------------------


def test_the_index_list_has_fifty_members_a_date_and_a_source() -> None:
    listed = nifty50()
    assert len(set(listed.symbols)) == len(listed.symbols) == 50
    assert listed.as_of <= date(2026, 11, 21)
    assert "NSE Indices" in listed.source


def test_a_universe_is_chosen_by_name(tmp_path: Path) -> None:
    with master() as listed:
        fno = choose_universe(listed, (), "fno", (), MASTER_DAY)
        # A share whose last contract has expired is none of them.
        assert [one.symbol for one in fno.instruments] == ["NIFTY", "RELIANCE"]
        symbol = "ALONE"
        watch = choose_universe(listed, (), "watchlist", (symbol,), MASTER_DAY)
        assert [one.symbol for one in watch.instruments] == [symbol]
        twice = choose_universe(listed, (symbol,), "watchlist", (symbol,), MASTER_DAY)
        assert len(twice.instruments) == 1


def test_members_that_are_not_listed_are_named_and_the_others_come() -> None:
    with master() as listed:
        chosen = choose_universe(listed, (), "nifty50", (), MASTER_DAY)
        assert [one.symbol for one in chosen.instruments] == ["RELIANCE", "TCS"]
        assert len(chosen.unknown) == 48
        assert "of the Nifty 50 as of 2026-03-30" in chosen.unknown[0]


def test_a_file_has_one_symbol_or_key_a_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    with master() as listed:
        share = next(one for one in listed if one.segment == "NSE_EQ")
        path.write_text(f"\ufeff# mine\n\n{share.symbol}  # the first\n{share.key}\n", encoding="utf-8")
        lines = read_list(path)
        assert lines == [(3, share.symbol), (4, share.key)]
        assert {one.key for one in from_file(listed, path, lines)} == {share.key}
        path.write_text(f"{share.symbol}\nNOSUCHTHING\n{share.key}\nNSE_EQ|INE000000000\n", encoding="utf-8")
        with pytest.raises(
            UnknownInstrument, match=r"mine\.txt line 2: .*NOSUCHTHING.* \(and 1 more lines: 4\)"
        ):
            from_file(listed, path, read_list(path))


@pytest.mark.parametrize(
    ("content", "needle"),
    [
        (b"# nothing\n\n", "names no instrument"),
        (b"\xff\xfe\x00", "no text"),
        (b"A\n" * 20_001, "20,000 lines"),
    ],
)
def test_a_file_that_is_no_list_is_refused(tmp_path: Path, content: bytes, needle: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=needle):
        read_list(path)
    with pytest.raises(UsageError, match="is a directory"):
        read_list(tmp_path)


# --- what is said -------------------------------------------------------------------------------------


EVENTS: list[dict[str, Any]] = [
    {"event": "chosen", "instruments": 1, "words": "mine.txt", "from": "2025-11-15", "to": "2025-12-15"},
    {"event": "planned", "symbol": "[bold]RELIANCE", "key": "k", "pieces": 3, "sessions": 20, "settled": 0},
    {"event": "retry", "symbol": "[bold]RELIANCE", "why": "HTTP 503", "wait_s": 2.0},
    {
        "event": "stored",
        "symbol": "[bold]RELIANCE",
        "from": "a",
        "to": "b",
        "bars": 1500,
        "done": 1,
        "pieces": 3,
    },
    {"event": "waiting", "wait_s": 12.5},
    {"event": "failed", "symbol": "[bold]RELIANCE", "from": "2025-11-15", "to": "2025-11-20", "why": "gone"},
]


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bars_are_drawn_on_a_terminal_with_rate_and_time_left() -> None:
    screen = Screen()
    with progress_for(screen, as_json=False, events=False) as progress:
        assert isinstance(progress, TerminalProgress)
        for event in EVENTS:
            progress.tell(event)
    text = screen.getvalue()
    assert "[bold]RELIANCE" in text
    assert "2/3" in text
    assert "next request in 12 s" in text


def test_a_pipe_gets_plain_lines() -> None:
    pipe = io.StringIO()
    now = [0.0]
    progress = PlainLines(pipe, lambda: now[0])
    for event in EVENTS[:4]:
        progress.tell(event)
    assert pipe.getvalue().splitlines() == [
        "1 instruments (mine.txt), 2025-11-15 to 2025-12-15",
        "[bold]RELIANCE: HTTP 503; again in 2 s",
    ]
    now[0] = 15.0
    for event in EVENTS[4:]:
        progress.tell(event)
    assert pipe.getvalue().splitlines()[2:] == [
        "1 of 3 ranges, 1,500 bars, 100/s, about 30 s left; the rate limits let the next request go in 12 s",
        "[bold]RELIANCE 2025-11-15 to 2025-11-20: gone",
    ]


def test_programs_get_one_object_or_a_line_for_every_event() -> None:
    assert type(progress_for(Screen(), as_json=True, events=False)) is Progress
    assert type(progress_for(io.StringIO(), as_json=False, events=False)) is PlainLines
    out = io.StringIO()
    progress = progress_for(Screen(), as_json=True, events=True, out=out)
    assert isinstance(progress, JsonLines)
    for event in EVENTS:
        progress.tell(event)
    assert [json.loads(line) for line in out.getvalue().splitlines()] == EVENTS


def row(symbol: str, **more: Any) -> dict[str, Any]:
    figures = dict.fromkeys(
        ("sessions", "settled_before", "requests", "retries", "bars", "inserted", "same", "different", "replaced", "odd"), 0
    )  # fmt: skip
    return {
        "key": symbol, "symbol": symbol, **figures, "complete": True, "error": "", "troubles": {}, "failures": [],
        "differences": [], **more,
    }  # fmt: skip


def summary(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "account": "sim-test", "interval": "1m", "from": "2025-12-15", "to": "2025-12-19",
        "complete": all(one["complete"] for one in rows), "stopped": False, "halted": "", "unknown": [],
        "seconds": 2.0, "requests": 3, "retries": 1, "bars": 30, "inserted": 28, "instruments": list(rows), **more,
    }  # fmt: skip


def test_the_end_says_what_is_worth_knowing() -> None:
    difference = {
        "start": "2025-12-15T09:15:00+05:30",
        "stored": {"open": 1.0, "close": 99.5},
        "broker": {"open": 1.0, "close": 100.0},
    }
    rows = [
        row("GOOD", inserted=8, sessions=5, settled_before=2),
        row("ODD", different=1, same=4, differences=[difference]),
        row("LATE", retries=3, troubles={"HTTP 503": 2, "time-out": 1}),
        row("GONE", complete=False, error="2025-12-15 to 2025-12-16: refused"),
    ]
    text = "\n".join(summary_lines(summary(*rows, unknown=["TMPV: not listed"])))
    assert "GOOD                             8 new          0 as stored  (2 of 5 days were settled)" in text
    assert "1 stored bars differ from the broker's and were left as they are (--replace" in text
    assert "2025-12-15 09:15 close 99.5 stored, 100 at the broker" in text
    assert "asked again 3x: HTTP 503 (2x); time-out (1x)" in text
    assert "not complete: 2025-12-15 to 2025-12-16: refused" in text
    assert "not asked for: TMPV: not listed" in text
    assert "28 new bars in 3 requests (1 of them repeated), 2.0 s (15 bars/s), into sim-test" in text
    assert text.endswith("not complete: see above; what came is stored, call it again to go on")


def test_hundreds_of_quiet_instruments_take_one_line() -> None:
    lines = summary_lines(
        summary(*[row(f"S{number}") for number in range(200)], row("BAD", complete=False, error="x"))
    )
    assert "200 of 201 instruments are complete without anything to tell" in lines[0]
    assert len(lines) == 5


@pytest.mark.parametrize(
    ("more", "needle"),
    [
        ({"stopped": True}, "stopped; what came is stored"),
        (
            {"halted": "the broker does not answer"},
            "not complete: the broker does not answer; what came is stored",
        ),
    ],
)
def test_an_early_end_says_so(more: dict[str, Any], needle: str) -> None:
    assert summary_lines(summary(row("A"), **more))[-1].startswith(needle)


def test_holes_are_listed_by_day_with_their_minutes() -> None:
    def hole(day: str, missing: int, found: list[Any], expected: int | None = 375) -> dict[str, Any]:
        return {
            "day": day,
            "stored": 5,
            "expected": expected,
            "missing": missing,
            "ranges": found,
            "more_ranges": 0,
        }

    holes = [
        hole("2025-12-15", 375, [["09:15", "15:29", 375]]),
        hole("2025-12-16", 3, [["09:20", "09:21", 2], ["11:00", "11:00", 1]]),
        hole("1999-01-01", 0, [], None),
        *[hole(f"2025-12-{day}", 1, [["09:15", "09:15", 1]]) for day in range(17, 27)],
    ]
    data = {
        "interval": "1m", "from": "2025-12-15", "to": "2025-12-19", "complete": False, "unknown": [], "missing": 378,
        "instruments": [
            {"symbol": "A", "full": 2, "sessions": 5, "not_traded": 0, "thin_days": [], "missing": 378, "holes": holes},
            {"symbol": "B", "full": 4, "sessions": 5, "not_traded": 9, "thin_days": [1], "missing": 0, "holes": []},
        ],
    }  # fmt: skip
    lines = check_lines(data)
    assert lines[1:5] == [
        "    2025-12-15: all 375",
        "    2025-12-16: 3 of 375: 09:20-09:21 (2), 11:00",
        "    1999-01-01: nobody knows the hours of that day; 5 bars stored",
        "    2025-12-17: 1 of 375: 09:15",
    ]
    assert "    and 7 more days" in lines
    assert any("9 bars on 1 days were not traded, says the broker" in line for line in lines)
    assert "378 bars missing" in lines[-1]
    assert check_lines({**data, "complete": True, "instruments": []}) == [
        "2025-12-15 to 2025-12-19, 1m: no holes"
    ]
