"""What a backfill is asked for, as flags say it and as it goes over the control socket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any, Final, Self

from tradetui.domain.errors import UsageError
from tradetui.domain.intervals import INTERVALS

DEFAULT_DAYS: Final = 30
EXPIRED: Final = ("futures", "options", "all")


@dataclass(frozen=True, slots=True)
class Ask:
    """One backfill as it was asked for.

    Attributes:
        symbols: Symbols or instrument keys.
        universe: Name of a universe; empty for none, or when ``lines`` hold a file's.
        lines: Lines of a file with their numbers.
        file: Name of that file.
        interval: Name of the interval.
        first, last: Dates; ``None`` takes the default.
        days: So many days up to the last; 0 takes the default.
        verify: Ask for what is settled too.
        replace: The broker's figures replace stored ones that differ.
        expired: Contracts of past expiries: ``futures``, ``options``, ``all``, or empty for none.
    """

    symbols: tuple[str, ...] = ()
    universe: str = ""
    lines: tuple[tuple[int, str], ...] = ()
    file: str = ""
    interval: str = "1m"
    first: date | None = None
    last: date | None = None
    days: int = 0
    verify: bool = False
    replace: bool = False
    expired: str = ""

    def check(self) -> None:
        """Refuse what makes no sense whatever the broker has.

        Raises:
            UsageError: Interval, dates or kinds are none.
        """
        if self.interval not in INTERVALS:
            raise UsageError(f"no interval {self.interval!r}", f"known: {', '.join(INTERVALS)}")
        if self.first is not None and self.last is not None and self.first > self.last:
            raise UsageError(f"--from {self.first} is after --to {self.last}", "swap them")
        if self.days and self.first is not None:
            raise UsageError("--days and --from exclude each other")
        if self.days < 0:
            raise UsageError("--days must be 1 or more")
        if self.expired and self.expired not in EXPIRED:
            raise UsageError(f"no contracts {self.expired!r}", f"--expired takes {', '.join(EXPIRED)}")

    def as_data(self) -> dict[str, Any]:
        """Plain JSON data."""
        data = asdict(self)
        for name in ("first", "last"):
            data[name] = data[name].isoformat() if data[name] else None
        return data

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """Read what `as_data` made.

        Raises:
            UsageError: It is none.
        """
        try:
            made = cls(
                symbols=tuple(str(one) for one in data.get("symbols") or ()),
                universe=str(data.get("universe") or ""),
                lines=tuple((int(number), str(text)) for number, text in data.get("lines") or ()),
                file=str(data.get("file") or ""),
                interval=str(data.get("interval") or "1m"),
                first=date.fromisoformat(data["first"]) if data.get("first") else None,
                last=date.fromisoformat(data["last"]) if data.get("last") else None,
                days=int(data.get("days") or 0),
                verify=data.get("verify") is True,
                replace=data.get("replace") is True,
                expired=str(data.get("expired") or ""),
            )
        except (TypeError, ValueError) as error:
            raise UsageError(f"not a backfill: {error}") from None
        made.check()
        return made


def range_of(
    first: date | None, last: date | None, today: date, latest: date | None = None, days: int = 0
) -> tuple[date, date]:
    """The range of dates, with the defaults filled in: the thirty days up to today.

    Args:
        first: First date, if given.
        last: Last date, if given.
        today: Today at the exchange, which a simulator may have on another day than we do.
        latest: Last date that is no future; today when left out.
        days: So many dates up to the last one, instead of the first; 0 for none.

    Raises:
        UsageError: It lies in the future, or ends before it begins.
    """
    bound = max(today, latest or today)
    for name, day in (("--from", first), ("--to", last)):
        if day is not None and day > bound:
            raise UsageError(f"{name} {day} lies in the future: today is {bound} in India")
    end = last or max(today, first or today)
    begin = first or end - timedelta(days=days - 1 if days else DEFAULT_DAYS)
    if begin > end:
        raise UsageError(f"--from {begin} is after --to {end}", "swap them")
    return begin, end
