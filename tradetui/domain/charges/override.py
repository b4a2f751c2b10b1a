"""Rates that the user has put in place of the shipped ones, from a date on.

Settings name them ``"DATE WHAT" = "RATE; SOURCE"``, such as ``"2027-04-01 stt.sell.OPTION" = "20000; Budget 2027"``.
WHAT is ``stt.buy|sell|exercise.CLASS``, ``exchange.VENUE.CLASS`` (with ``OPTION_PRIME``), ``stamp.CLASS``, ``sebi``
or ``gst``; CLASS is a `ChargeClass`. Rates are rupees per crore of traded value (0.1 % is 10000), GST is percent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from tradetui.domain.charges.schedule import ChargeClass, ExchangeRow, Schedule, SimpleRow, StampRow, TaxRow
from tradetui.domain.errors import DomainError, RateUnknown

_EXAMPLE = '"2027-04-01 stt.sell.OPTION" = "20000; Budget 2027"'


def overridden(schedule: Schedule, entries: Mapping[str, str]) -> Schedule:
    """The schedule with the user's rates; each holds from its date until a later row of the schedule.

    Raises:
        DomainError: An entry cannot be read; the words name it.
    """
    for name, value in sorted(entries.items()):
        try:
            day_text, what = name.split()
            rate_text, _, source = value.partition(";")
            day, rate = date.fromisoformat(day_text), int(rate_text.strip())
            if rate < 0:
                raise ValueError(rate)
            schedule = _with(schedule, day, what.split("."), rate, source.strip() or "settings")
        except (ValueError, KeyError, RateUnknown) as error:
            raise DomainError(f"not a rate: {name!r} = {value!r}", f"write it like {_EXAMPLE}") from error
    return schedule


def _with(schedule: Schedule, day: date, what: list[str], rate: int, source: str) -> Schedule:
    match what:
        case ["stt", ("buy" | "sell" | "exercise") as side, name]:
            row = schedule.tax(day)
            rates = {**getattr(row, side), ChargeClass(name): rate}
            changed: dict[str, Any] = {side: rates}
            tax: TaxRow = replace(row, effective_from=day, source=source, **changed)
            return replace(schedule, tax_rows=_put(schedule.tax_rows, tax))
        case ["exchange", venue, name]:
            if name != "OPTION_PRIME":
                ChargeClass(name)
            old = next(r for r in _of_venue(schedule, venue) if r.effective_from <= day)
            new = replace(old, effective_from=day, source=source, rates={**old.rates, name: rate})
            others = tuple(r for r in schedule.exchange_rows if r.venue != venue)
            rows = (*_put(_of_venue(schedule, venue), new), *others)
            return replace(schedule, exchange_rows=rows)
        case ["stamp", name]:
            duty = schedule.stamp(day)
            stamp: StampRow = replace(
                duty, effective_from=day, source=source, buy={**duty.buy, ChargeClass(name): rate}
            )
            return replace(schedule, stamp_rows=_put(schedule.stamp_rows, stamp))
        case ["sebi"]:
            return replace(schedule, sebi_rows=_put(schedule.sebi_rows, SimpleRow(day, rate, source)))
        case ["gst"]:
            return replace(schedule, gst_rows=_put(schedule.gst_rows, SimpleRow(day, rate, source)))
        case _:
            raise ValueError(what)


def _of_venue(schedule: Schedule, venue: str) -> tuple[ExchangeRow, ...]:
    rows = tuple(row for row in schedule.exchange_rows if row.venue == venue)
    if not rows:
        raise KeyError(venue)
    return rows


def _put(rows: tuple[Any, ...], new: Any) -> tuple[Any, ...]:
    """Rows with one more, newest first; it takes the place of one of the same date."""
    kept = [row for row in rows if row.effective_from != new.effective_from]
    return tuple(sorted([*kept, new], key=lambda row: row.effective_from, reverse=True))
