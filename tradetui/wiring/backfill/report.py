"""What a backfill came to, by instrument and in all."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from tradetui.domain.calendar import ist_datetime
from tradetui.storage.past import Difference

FIGURES: Final = (
    "sessions", "settled_before", "requests", "retries", "bars", "inserted", "same", "different", "replaced", "odd",
)  # fmt: skip
_MOST_DIFFERENCES: Final = 100


@dataclass(slots=True)
class Report:
    """What one instrument came to.

    Attributes:
        key, symbol: Which.
        sessions: Sessions (weeks, months) asked about.
        settled_before: Of these, how many were settled already and not asked for.
        pieces: Ranges of dates to ask for.
        done: Of these, how many are stored.
        requests: Requests that it took, repeated ones too.
        retries: Of these, how many were repeated.
        troubles: Why, with how often.
        bars: Bars that came.
        inserted, same, different, replaced: What became of them; see `storage.past.Put`.
        odd: Rows of the broker that made no sense.
        failures: Ranges that did not come, with the reason.
        differences: The first few bars that differ from what is stored.
    """

    key: str
    symbol: str
    sessions: int = 0
    settled_before: int = 0
    pieces: int = 0
    done: int = 0
    requests: int = 0
    retries: int = 0
    troubles: Counter[str] = field(default_factory=Counter)
    bars: int = 0
    inserted: int = 0
    same: int = 0
    different: int = 0
    replaced: int = 0
    odd: int = 0
    failures: list[tuple[date, date, str]] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Every piece is stored, and every row of it made sense."""
        return not self.failures and self.done == self.pieces and not self.odd

    @property
    def error(self) -> str:
        """Why it is not complete; empty when it is."""
        if self.failures:
            first, last, why = self.failures[0]
            more = f" (and {len(self.failures) - 1} more ranges)" if len(self.failures) > 1 else ""
            return f"{first} to {last}: {why}{more}"
        if self.odd:
            return f"{self.odd} rows of the broker's made no sense and were left out"
        left = self.pieces - self.done
        return f"{left} of {self.pieces} ranges not asked for" if left else ""

    def add_differences(self, found: tuple[Difference, ...]) -> None:
        """Keep some of what differs, to be shown."""
        self.differences += found[: _MOST_DIFFERENCES - len(self.differences)]

    def as_data(self) -> dict[str, Any]:
        """The row for ``--json``."""
        return {
            "key": self.key,
            "symbol": self.symbol,
            **{name: getattr(self, name) for name in FIGURES},
            "complete": self.complete,
            "error": self.error,
            "troubles": dict(self.troubles),
            "failures": [
                {"from": first.isoformat(), "to": last.isoformat(), "why": why}
                for first, last, why in self.failures
            ],
            "differences": [difference_data(one) for one in self.differences],
        }


def difference_data(one: Difference) -> dict[str, Any]:
    """A difference for ``--json``."""
    names = ("open", "high", "low", "close", "volume", "oi")
    return {
        "start": ist_datetime(one.start_ms * 1_000_000).isoformat(),
        "stored": dict(zip(names, one.stored, strict=True)),
        "broker": dict(zip(names, one.broker, strict=True)),
    }


@dataclass(slots=True)
class Summary:
    """What a whole backfill came to.

    Attributes:
        interval: Interval.
        account: Data folder of the account.
        first, last: Range, IST dates.
        seconds: How long it took.
        stopped: It was stopped before its end.
        halted: Why nothing more was asked; empty when all was.
        unknown: What was wanted and is not in the instrument list, in words.
        reports: By instrument.
    """

    interval: str
    account: str = ""
    first: date = date.min
    last: date = date.min
    seconds: float = 0.0
    stopped: bool = False
    halted: str = ""
    unknown: list[str] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Everything that was wanted is stored."""
        ended = not (self.stopped or self.halted or self.unknown)
        return ended and all(report.complete for report in self.reports)

    def total(self, name: str) -> int:
        """Sum of a figure over the instruments."""
        return sum(int(getattr(report, name)) for report in self.reports)

    def as_data(self) -> dict[str, Any]:
        """The object for ``--json``."""
        return {
            "account": self.account,
            "interval": self.interval,
            "from": self.first.isoformat(),
            "to": self.last.isoformat(),
            "complete": self.complete,
            "stopped": self.stopped,
            "halted": self.halted,
            "unknown": self.unknown,
            "seconds": round(self.seconds, 2),
            **{name: self.total(name) for name in FIGURES},
            "instruments": [report.as_data() for report in self.reports],
        }
