"""The broker's days on disk and the user's file: fetched once a day, kept when it cannot be, said once."""

from __future__ import annotations

import json
import logging
import stat
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tradetui.brokers.upstox import endpoints as ep
from tradetui.brokers.upstox.api import UpstoxApi
from tradetui.brokers.upstox.calendar_file import CalendarFile
from tradetui.brokers.upstox.hosts import Hosts
from tradetui.commands.config import check as check_settings
from tradetui.config import Config, Home, parse
from tradetui.domain.calendar import Calendar, Segment, ns
from tradetui.domain.errors import BrokerError, ConfigError, TransportError
from tradetui.wiring.calendars import FOLDER, fresh_layers, own_tables, stored_layers, usable_calendar

TODAY = date(2026, 11, 20)
MUHURAT = date(2026, 11, 8)
MONDAY, HOLY = date(2026, 11, 23), date(2026, 11, 24)
HOSTS = Hosts(main="http://127.0.0.1:1", order="http://127.0.0.1:1", feed="ws://127.0.0.1:1")
HOLIDAY = {
    "date": "2026-11-23", "description": "late news", "holiday_type": "TRADING_HOLIDAY",
    "closed_exchanges": ["NSE", "BSE", "NFO", "BFO"], "open_exchanges": [],
}  # fmt: skip


class Broker:
    """Answers as the broker's endpoints do; counts what it was asked."""

    def __init__(self, holidays: list[dict[str, Any]] | None = None) -> None:
        self.holidays = holidays if holidays is not None else [HOLIDAY]
        self.asked: list[str] = []
        self.error: Exception | None = None

    async def call(self, endpoint: Any, *, path: Mapping[str, str] | None = None, **_: Any) -> Any:
        """One request."""
        self.asked.append(f"{endpoint is ep.TIMINGS} {(path or {}).get('date', '')}")
        if self.error is not None:
            raise self.error
        if endpoint is ep.HOLIDAYS:
            return SimpleNamespace(data=self.holidays)
        day = date.fromisoformat((path or {})["date"])
        closed = day.weekday() >= 5 or day == MONDAY
        hours = [] if closed else [
            {"exchange": name, "start_time": ns(day, "09:15") // 10**6, "end_time": ns(day, end) // 10**6}
            for name, end in (("NSE", "15:30"), ("NFO", "15:40"), ("CDS", "17:00"), ("MCX", "23:55"))
        ]  # fmt: skip
        for one in hours:
            if one["exchange"] in ("CDS", "MCX"):
                one["start_time"] = ns(day, "09:00") // 10**6
        if day == HOLY:
            hours = [{**hours[-1], "start_time": ns(day, "17:00") // 10**6}]
        return SimpleNamespace(data=hours)

    def api(self) -> UpstoxApi:
        """Itself, where an API is wanted."""
        return cast("UpstoxApi", self)


@pytest.fixture
def place(tmp_path: Path) -> Home:
    return Home(tmp_path, tmp_path)


async def layers(
    place: Home, broker: Broker, today: date = TODAY, settings: Config | None = None
) -> Calendar:
    found = await fresh_layers(place, settings or Config(), HOSTS, broker.api(), today)
    return found.calendar()


async def test_the_brokers_word_rules_and_is_said_once(place: Home, caplog: pytest.LogCaptureFixture) -> None:
    broker = Broker()
    with caplog.at_level(logging.WARNING):
        calendar = await layers(place, broker)
    assert not calendar.is_trading_day(Segment.EQ_OTHER, MONDAY)
    assert Calendar.default().is_trading_day(Segment.EQ_OTHER, MONDAY)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1
    assert "Mon 23 Nov 2026: cash closed (shipped: 09:15-15:30)" in told[0]
    assert len(broker.asked) == 8  # the holidays and a week of timings
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        again = await layers(place, broker)  # the same day: nobody is asked
        tomorrow = await layers(place, broker, MONDAY)
    assert len(broker.asked) == 16
    assert not caplog.records
    assert not again.is_trading_day(Segment.EQ_OTHER, MONDAY)
    assert not tomorrow.is_trading_day(Segment.EQ_OTHER, MONDAY)


async def test_the_file_is_private_and_whole(place: Home) -> None:
    await layers(place, Broker())
    folder = place.data_dir / FOLDER
    (path,) = folder.iterdir()
    assert path.name == "calendar-simulator.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["day"] == "2026-11-20"


@pytest.mark.parametrize(
    "fault",
    [TransportError("no network"), BrokerError("refused", status=401), "damaged row", "hours of another day"],
)
async def test_the_last_good_word_is_kept(place: Home, fault: Any, caplog: pytest.LogCaptureFixture) -> None:
    await layers(place, Broker())
    kept = (place.data_dir / FOLDER / "calendar-simulator.json").read_bytes()
    bad = Broker()
    if fault == "damaged row":
        bad.holidays = [{"holiday_type": "TRADING_HOLIDAY", "closed_exchanges": ["NSE"]}]
    elif fault == "hours of another day":
        window = {"exchange": "NSE", "start_time": 1, "end_time": 2}
        bad.holidays = [{**HOLIDAY, "open_exchanges": [window]}]
    else:
        bad.error = fault
    with caplog.at_level(logging.WARNING):
        calendar = await layers(place, bad, MONDAY)
    assert not calendar.is_trading_day(Segment.EQ_OTHER, MONDAY)
    assert "was not renewed" in caplog.text
    assert "that of 20 Nov 2026" in caplog.text
    assert (place.data_dir / FOLDER / "calendar-simulator.json").read_bytes() == kept


async def test_without_any_word_the_shipped_calendar_stands(place: Home) -> None:
    broker = Broker()
    broker.error = TransportError("no network")
    calendar = await layers(place, broker)
    assert calendar.is_trading_day(Segment.EQ_OTHER, MONDAY)


async def test_holidays_of_another_year_are_kept(place: Home) -> None:
    await layers(place, Broker())
    later = Broker([{**HOLIDAY, "date": "2027-01-26"}])
    calendar = await layers(place, later, date(2027, 1, 4))
    assert not calendar.is_trading_day(Segment.EQ_OTHER, MONDAY)
    found = CalendarFile(place.data_dir / FOLDER, HOSTS).load()
    assert found is not None
    assert [row["date"] for row in found.holidays] == ["2026-11-23", "2027-01-26"]


def test_hosts_have_files_of_their_own(place: Home) -> None:
    assert CalendarFile(place.data_dir, Hosts()).path.name == "calendar-api.upstox.com.json"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 99}', '{"version": 1, "source": "simulator"}'])
def test_a_damaged_file_counts_as_none(place: Home, text: str) -> None:
    file = CalendarFile(place.data_dir / FOLDER, HOSTS)
    file.path.parent.mkdir()
    file.path.write_text(text)
    assert file.load() is None
    assert stored_layers(place, Config(), HOSTS).broker == ""


# ---- the user's file -----------------------------------------------------------------------------------------


def test_settings_and_file_join_and_settings_rule(place: Home) -> None:
    (place.config_dir / "calendar.toml").write_text(
        'closed = ["2026-11-23"]\n[[special]]\ndate = 2026-11-08\nwindows = [["18:15", "19:15"]]\n'
    )
    settings = parse('[calendar]\nopen = ["2026-11-23 EQ"]')
    calendar = stored_layers(place, settings, None).calendar()
    assert calendar.is_trading_day(Segment.EQ_OTHER, MONDAY)
    assert not calendar.is_trading_day(Segment.FNO, MONDAY)
    assert calendar.expected_minutes(Segment.FNO, MUHURAT) == 60


def test_a_file_that_cannot_be_right_is_said_in_one_line(place: Home) -> None:
    (place.config_dir / "calendar.toml").write_text('closed = ["tomorrow"]\n')
    with pytest.raises(ConfigError, match=r"calendar.toml: calendar: closed number 1: 'tomorrow' is no date"):
        own_tables(place, Config())
    # A kill or a watchdog must not stop for it.
    assert usable_calendar(place, Config(), HOSTS) is Calendar.default()


def test_a_named_file_must_be_there(place: Home) -> None:
    settings = parse('[calendar]\nfile = "mine.toml"')
    with pytest.raises(ConfigError, match="there is no"):
        own_tables(place, settings)
    (place.config_dir / "mine.toml").write_text("not toml [")
    with pytest.raises(ConfigError, match="not valid TOML"):
        own_tables(place, settings)


def test_bad_lines_of_the_settings_are_refused_with_the_settings() -> None:
    with pytest.raises(ConfigError, match=r"config.toml: calendar: closed number 1: 'x' is no date"):
        parse('[calendar]\nclosed = ["x"]')


def test_config_check_reads_the_file_too(place: Home, capsys: pytest.CaptureFixture[str]) -> None:
    (place.config_dir / "calendar.toml").write_text('open = ["2026-11-24 EQ 9:15-15:30"]\n')
    with pytest.raises(ConfigError, match=r"open number 1: not a time of the form HH:MM: '9:15'"):
        check_settings(str(place.config_dir), as_json=False)
    assert check_settings(str(place.config_dir), as_json=True) == 2
    assert "calendar.toml" in json.loads(capsys.readouterr().out)["error"]
    (place.config_dir / "calendar.toml").write_text('open = ["2026-11-24 EQ 09:15-15:30"]\n')
    assert check_settings(str(place.config_dir), as_json=True) == 0
