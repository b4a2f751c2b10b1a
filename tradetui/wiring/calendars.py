"""The calendar of a run: shipped, broker's word over it, the user's own over both.

`stored_layers` reads what is on disk; `fresh_layers` asks the broker first, once a day, and says in words what
differs from the shipped calendar, once.
"""

from __future__ import annotations

import logging
import tomllib
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from tradetui.brokers.upstox.api import UpstoxApi
from tradetui.brokers.upstox.calendar_file import BrokerDays, CalendarFile, fetch
from tradetui.brokers.upstox.hosts import Hosts
from tradetui.config import OWN_FILE, Config, Home
from tradetui.domain.calendar import Calendar
from tradetui.domain.calendar.layers import CalendarLayers, differences
from tradetui.domain.calendar.own_days import dump_own_days, parse_own_days
from tradetui.domain.errors import ConfigError, DomainError, TradeTuiError

log = logging.getLogger(__name__)

FOLDER: Final = "calendar"
"""Under the data directory."""
_BACK, _AHEAD = timedelta(days=7), timedelta(days=370)
_MOST_LINES: Final = 40


def own_tables(place: Home, settings: Config) -> dict[str, Any]:
    """The user's days and hours: the settings' short lines, and the tables of their file.

    Raises:
        ConfigError: The file cannot be read, or an entry of it cannot be right; one line says which.
    """
    tables = {name: value for name, value in settings.calendar.tables().items() if value}
    named = settings.calendar.file
    path = place.config_dir / Path(named or OWN_FILE).expanduser()
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if named:
            raise ConfigError(
                f"calendar.file = {named!r}: there is no {path}", "make it, or clear the setting"
            ) from None
        return tables
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    try:
        parse_own_days(found)
        # The settings come last, and so rule where both name a day.
        for name, value in found.items():
            tables[name] = (
                {**value, **tables.get(name, {})}
                if isinstance(value, dict)
                else [*value, *tables.get(name, [])]
            )
        parse_own_days(tables)
        dump_own_days(tables)
    except DomainError as error:
        raise ConfigError(f"{path}: {error.message}", error.remedy) from error
    return tables


def stored_layers(place: Home, settings: Config, hosts: Hosts | None) -> CalendarLayers:
    """The layers as they are on disk; nobody is asked.

    Args:
        place: Directories.
        settings: Settings.
        hosts: Whose calendar; ``None`` leaves the broker's layer away.

    Raises:
        ConfigError: The user's own days cannot be read.
    """
    told = CalendarFile(place.data_dir / FOLDER, hosts).load() if hosts is not None else None
    return CalendarLayers(told.text() if told is not None else "", dump_own_days(own_tables(place, settings)))


def usable_calendar(place: Home, settings: Config, hosts: Hosts) -> Calendar:
    """The stored calendar, or the shipped one where a layer is damaged: for those who must not stop for it."""
    try:
        return stored_layers(place, settings, hosts).calendar()
    except TradeTuiError as error:
        log.warning("%s: going on with the shipped calendar", error)
        return Calendar.default()


async def fresh_layers(
    place: Home, settings: Config, hosts: Hosts, api: UpstoxApi, today: date
) -> CalendarLayers:
    """The layers, the broker's fetched anew when it is not from today. What differs is logged once.

    Whatever goes wrong with the broker's word is logged, and the last good one is used, or none.

    Raises:
        ConfigError: The user's own days cannot be read.
    """
    own = dump_own_days(own_tables(place, settings))
    file = CalendarFile(place.data_dir / FOLDER, hosts)
    old = file.load()
    told = old
    if old is None or old.day != today:
        try:
            told = await fetch(api, today, old)
        except TradeTuiError as error:
            which = f"that of {old.day:%d %b %Y}" if old is not None else "the shipped one"
            log.warning("the broker's calendar was not renewed (%s): using %s", error.message, which)
    layers = CalendarLayers(told.text() if told is not None else "", own)
    if told is not None and told is not old:
        try:
            file.save(_said(told, CalendarLayers(told.text()), today))
        except TradeTuiError as error:
            log.warning("%s", error)
    return layers


def _said(told: BrokerDays, layers: CalendarLayers, today: date) -> BrokerDays:
    """Say what the broker's word changes, but nothing twice."""
    lines = differences(Calendar.default(), layers.calendar(), today - _BACK, today + _AHEAD)
    new = [line for line in lines if line not in told.said]
    for line in new[:_MOST_LINES]:
        log.warning("the broker's calendar differs from the shipped one: %s", line)
    if len(new) > _MOST_LINES:
        log.warning("and %d more days; `tradetui calendar --differences` lists them", len(new) - _MOST_LINES)
    return replace(told, said=tuple(lines))
