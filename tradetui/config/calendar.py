"""Section ``[calendar]``: days and hours that the user knows better."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tradetui.config.about import About, setting
from tradetui.domain.calendar.own_days import parse_own_days
from tradetui.domain.errors import ConfigError, DomainError

OWN_FILE = "calendar.toml"
"""Looked for beside the settings file when no other is named."""


@dataclass(frozen=True, slots=True)
class OwnCalendar:
    """Trading days and hours of your own. They rule over the broker's, and those over the shipped ones."""

    closed: tuple[str, ...] = setting(
        (), 'days without trading: "2026-12-31", or of some groups only: "2026-12-31 EQ FNO" (also CDS, COM)'
    )
    open: tuple[str, ...] = setting(
        (),
        'days that trade: "2027-02-01" as usual, "2026-11-08 EQ FNO 18:15-19:15" at these hours (IST)',
    )
    hours: dict[str, str] = field(
        default_factory=dict,
        metadata={
            "about": About(
                'hours from a date on: "2027-01-04 FNO" = "09:15-15:50"; a group, or a class such as MCX_AGRI'
            )
        },
    )
    file: str = setting(
        "",
        "a file with more of the same and whole tables; empty looks for calendar.toml beside the settings file",
    )

    def tables(self) -> dict[str, Any]:
        """The short lines as `parse_own_days` takes them."""
        return {"closed": list(self.closed), "open": list(self.open), "hours": dict(self.hours)}


def check(own: OwnCalendar, source: str) -> None:
    """Refuse lines that cannot be read.

    Raises:
        ConfigError: One line: which entry, and what is wrong with it.
    """
    try:
        parse_own_days(own.tables())
    except DomainError as error:
        raise ConfigError(f"{source}: {error.message}", error.remedy) from error
