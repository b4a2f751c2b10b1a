"""The doctor's checks as pure functions, and its report."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from tradetui.brokers.upstox.auth import AuthStatus
from tradetui.commands import doctor
from tradetui.commands.doctor import broker, files, machine
from tradetui.commands.doctor.broker import Broker, Reached, skew_s
from tradetui.commands.doctor.files import Database, Files, JournalSeen
from tradetui.commands.doctor.line import Light, Line
from tradetui.commands.doctor.machine import Machine, Terminal
from tradetui.domain.calendar import ns
from tradetui.domain.records import Record, RecordKind
from tradetui.journal import Journal
from tradetui.journal import files as journal_files
from tradetui.storage.lock import DataLock
from tradetui.storage.store import Store

GREEN, YELLOW, RED = Light.GREEN, Light.YELLOW, Light.RED
GOOD = AuthStatus(
    "api.broker.example", True, "default", "SecretService.Keyring", True, True, True, "AB1234", "A TRADER",
    "Sun 22 Nov 03:30 IST", 9.5, "AB1234 A TRADER at api.broker.example, until Sun 22 Nov 03:30 IST",
)  # fmt: skip
ACCOUNT = Broker(
    simulated=False,
    keyring="SecretService.Keyring",
    status=GOOD,
    reached=(Reached("main", "api.broker.example", 41, skew_s=0.2),),
    registered=("203.0.113.7",),
    local_ip="203.0.113.7",
)


def lights(found: Line | list[Line]) -> list[Light]:
    return [found.light] if isinstance(found, Line) else [line.light for line in found]


@pytest.mark.parametrize(
    ("check", "facts", "expected"),
    [
        (machine.python, Machine(), [GREEN]),
        (machine.python, Machine(python=(3, 10, 14)), [RED]),
        (machine.python, Machine(system="Windows"), [RED]),
        (machine.libraries, Machine(), [GREEN]),
        (machine.libraries, Machine(missing=("talib",)), [RED]),
        (machine.terminal_size, Machine(), [GREEN]),
        (machine.terminal_size, Machine(terminal=Terminal(columns=79)), [YELLOW]),
        (machine.terminal_size, Machine(terminal=Terminal(term="dumb")), [RED]),
        (machine.terminal_size, Machine(terminal=Terminal(is_tty=False, term="dumb")), [YELLOW]),
        (machine.characters, Machine(), [GREEN]),
        (machine.characters, Machine(terminal=Terminal(encoding="latin-1")), [YELLOW]),
        (machine.colours, Machine(), [GREEN]),
        (machine.colours, Machine(terminal=Terminal(colorterm="")), [YELLOW]),
        (machine.colours, Machine(terminal=Terminal(no_colour=True)), [YELLOW]),
        (machine.tmux, Machine(), []),
        (machine.tmux, Machine(terminal=Terminal(tmux={})), [YELLOW]),
        (machine.disk, Machine(), [GREEN]),
        (machine.disk, Machine(free_bytes=1 << 30), [YELLOW]),
        (machine.disk, Machine(free_bytes=1 << 20), [RED]),
        (machine.disk, Machine(writable=False), [RED]),
        (files.settings, Files(), [GREEN]),
        (files.settings, Files(config_trouble="unknown setting colour"), [RED]),
        (files.in_use, Files(), []),
        (files.in_use, Files(user="in use by tradetui run"), [YELLOW]),
        (files.databases, Files(), [GREEN]),
        (files.databases, Files(databases=(Database("sim/ledger.duckdb", 5, "it is empty"),)), [RED]),
        (
            files.databases,
            Files(databases=(Database("a", 5, "it is empty"), Database("b", 1 << 20))),
            [RED, GREEN],
        ),
        (files.journals, Files(), [GREEN]),
        (files.journals, Files(journals=(JournalSeen("sim", 2, 400),)), [GREEN]),
        (files.journals, Files(journals=(JournalSeen("sim", 2, 400, cut=True),)), [YELLOW]),
        (files.journals, Files(journals=(JournalSeen("sim", 2, 4, trouble="record 5 fails"),)), [RED]),
        (files.instruments, Files(list_from_simulator=True), [GREEN]),
        (files.instruments, Files(), [YELLOW]),
        (files.instruments, Files(list_day=date(2026, 11, 20), today=date(2026, 11, 21)), [GREEN]),
        (files.instruments, Files(list_day=date(2026, 11, 10), today=date(2026, 11, 21)), [YELLOW]),
        (broker.mode, Broker(), [YELLOW]),
        (broker.mode, Broker(simulator_trouble="did not start"), [RED]),
        (broker.mode, ACCOUNT, [GREEN]),
        (broker.keyring, ACCOUNT, [GREEN]),
        (broker.keyring, Broker(keyring_trouble="locked"), [YELLOW]),
        (broker.token, Broker(), [GREEN]),
        (broker.token, ACCOUNT, [GREEN]),
        (broker.token, replace(ACCOUNT, status=None), [RED]),
        (broker.token, replace(ACCOUNT, status=replace(GOOD, logged_in=False)), [RED]),
        (broker.token, replace(ACCOUNT, status=replace(GOOD, verified=None)), [YELLOW]),
        (broker.token, replace(ACCOUNT, status=replace(GOOD, hours_left=0.4)), [YELLOW]),
        (broker.token, replace(ACCOUNT, status=None, handed_in=True), [GREEN]),
        (broker.token, replace(ACCOUNT, status=None, handed_in=True, token_trouble="refused"), [RED]),
        (broker.hosts_reachable, ACCOUNT, [GREEN]),
        (broker.hosts_reachable, replace(ACCOUNT, reached=(Reached("feed", "h", trouble="gone"),)), [RED]),
        (broker.clock, ACCOUNT, [GREEN]),
        (broker.clock, replace(ACCOUNT, reached=(Reached("main", "h", 1, skew_s=-4.0),)), [YELLOW]),
        (broker.clock, replace(ACCOUNT, reached=(Reached("main", "h", 1, skew_s=95.0),)), [RED]),
        (broker.clock, replace(ACCOUNT, reached=(Reached("main", "h", 1),)), [YELLOW]),
        (broker.clock, replace(ACCOUNT, simulated=True), [GREEN]),
        (broker.static_ip, ACCOUNT, [GREEN]),
        (broker.static_ip, replace(ACCOUNT, registered=None), []),
        (broker.static_ip, replace(ACCOUNT, registered=None, registered_trouble="403"), [YELLOW]),
        (broker.static_ip, replace(ACCOUNT, registered=()), [YELLOW]),
        (broker.static_ip, replace(ACCOUNT, registered=(), live_wanted=True), [RED]),
        (broker.static_ip, replace(ACCOUNT, local_ip="10.0.0.4", live_wanted=True), [YELLOW]),
        (broker.static_ip, replace(ACCOUNT, local_ip="8.8.4.4"), [YELLOW]),
        (broker.static_ip, replace(ACCOUNT, local_ip="8.8.4.4", live_wanted=True), [RED]),
        (broker.static_ip, replace(ACCOUNT, local_ip=""), [YELLOW]),
    ],
)  # fmt: skip
def test_each_check_tells_good_from_bad(check: Any, facts: Any, expected: list[Light]) -> None:
    assert lights(check(facts)) == expected


def test_every_check_is_in_a_list_and_gives_lines_for_plain_facts() -> None:
    for checks, facts in ((machine.CHECKS, Machine()), (files.CHECKS, Files()), (broker.CHECKS, Broker())):
        assert doctor._run(checks, facts)  # type: ignore[arg-type]


def test_a_red_line_without_a_remedy_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="how to mend"):
        Line("x", RED, "broken")


def test_tmux_settings_are_told_one_by_one() -> None:
    def words(**options: str) -> list[str]:
        named = {name.replace("_", "-"): value for name, value in options.items()}
        return [line.words for line in machine.tmux(Machine(terminal=Terminal(tmux=named)))]

    assert words(escape_time="10", focus_events="on", terminal_features="xterm*:RGB") == [
        "escape-time, focus-events and colours are fine"
    ]
    bad = words(escape_time="500", focus_events="off", terminal_features="xterm*:title")
    assert len(bad) == 3
    assert "500 ms" in bad[0]


def test_a_private_address_is_compared_in_words_only() -> None:
    (line,) = broker.static_ip(replace(ACCOUNT, local_ip="192.168.1.20"))
    assert "203.0.113.7" in line.words
    assert "192.168.1.20" in line.words
    assert "private" in line.words


def test_skew_is_ours_minus_theirs() -> None:
    now = 1_790_000_000.0
    assert skew_s(formatdate(now, usegmt=True), now + 10.5) == pytest.approx(10.0)
    assert skew_s("", now) is None
    assert skew_s("half past ten", now) is None


# --- looking at files ---------------------------------------------------------------------------------


@pytest.fixture
def account(tmp_path: Path) -> Path:
    """A data directory with one account of two days."""
    folder = tmp_path / "accounts" / "sim-test"
    Store.open(folder, []).close()
    journal = Journal(folder / "journal")
    for day in (date(2026, 11, 19), date(2026, 11, 20)):
        for minute in range(5):
            journal.append(Record(ns(day, f"10:0{minute}"), RecordKind.RUN, {"minute": minute}))
    journal.close()
    return folder


def seen(account: Path) -> Files:
    root = account.parent.parent
    return files.look(root, root / "config.toml", "")


def test_sound_files_are_green(account: Path) -> None:
    found = seen(account)
    assert [one.trouble for one in found.databases] == ["", ""]
    assert found.journals == (JournalSeen("sim-test", 2, 10),)


def test_a_cut_database_is_named_and_left_as_it_is(account: Path) -> None:
    path = account / "ledger.duckdb"
    path.write_bytes(path.read_bytes()[:-4096])
    before = path.read_bytes()
    found = {one.name: one.trouble for one in seen(account).databases}
    assert "bytes of" in found["sim-test/ledger.duckdb"]
    assert found["sim-test/market.duckdb"] == ""
    assert path.read_bytes() == before


def test_a_database_of_something_else_is_told(account: Path) -> None:
    (account / "market.duckdb").write_bytes(b"not a database at all" * 1000)
    found = {one.name: one.trouble for one in seen(account).databases}
    assert "begin like a database" in found["sim-test/market.duckdb"]


def test_a_journal_cut_by_a_power_failure_is_yellow_and_left_as_it_is(account: Path) -> None:
    last = journal_files(account / "journal")[-1]
    last.write_bytes(last.read_bytes()[:-3])
    before = last.read_bytes()
    (journal,) = seen(account).journals
    assert (journal.cut, journal.trouble, journal.records) == (True, "", 9)
    assert last.read_bytes() == before


def test_one_changed_byte_in_a_journal_is_found(account: Path) -> None:
    first = journal_files(account / "journal")[0]
    data = bytearray(first.read_bytes())
    data[len(data) // 2] ^= 1
    first.write_bytes(data)
    (journal,) = seen(account).journals
    assert first.name in journal.trouble


def test_a_journal_day_that_was_taken_out_is_found(account: Path) -> None:
    journal_files(account / "journal")[0].unlink()
    (journal,) = seen(account).journals
    assert "does not follow" in journal.trouble


def test_data_in_use_is_told_and_left_alone(account: Path) -> None:
    with DataLock(account.parent.parent, "tradetui run"):
        found = seen(account)
    assert "tradetui run" in found.user
    assert [one.trouble for one in found.databases] == ["", ""]
    assert found.journals == (JournalSeen("sim-test", 2, 10),)


# --- the report ---------------------------------------------------------------------------------------


def test_the_report_has_a_sign_beside_the_colour() -> None:
    line = Line("disk", RED, "full", "free some space")
    assert (
        doctor.as_text(line, colour=False) == "RED   disk        full\n                  -> free some space"
    )
    assert "\x1b[1;31mRED" in doctor.as_text(line, colour=True)


def test_the_json_report_counts_lights() -> None:
    data = doctor.as_data([Line("a", GREEN, "x"), Line("b", RED, "y", "z")])
    assert json.loads(json.dumps(data)) == {
        "ok": False,
        "green": 1,
        "yellow": 0,
        "red": 1,
        "checks": [
            {"name": "a", "light": "green", "words": "x", "remedy": ""},
            {"name": "b", "light": "red", "words": "y", "remedy": "z"},
        ],
    }


def test_the_machine_is_looked_at_even_where_the_data_directory_is_not_made_yet(tmp_path: Path) -> None:
    found = machine.look(tmp_path / "not" / "there")
    assert found.missing == ()
    assert found.writable
    assert found.free_bytes > 0
