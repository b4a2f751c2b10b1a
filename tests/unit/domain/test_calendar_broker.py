"""The broker's holidays and timings laid over the shipped calendar."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tradetui.domain.calendar import Calendar, CalendarUnknown, Group, Segment, from_broker, ist_datetime, ns
from tradetui.domain.errors import DomainError

CAL = Calendar.default()
FNO_STOCK, OTHER, INDEX, FNO = Segment.EQ_FNO_UNDERLYING, Segment.EQ_OTHER, Segment.INDEX, Segment.FNO
METAL, AGRI, AGRI_INTL = Segment.MCX_NONAGRI, Segment.MCX_AGRI, Segment.MCX_AGRI_INTL


def hours(segment: Segment, day: date, calendar: Calendar = CAL) -> str:
    return " ".join(
        f"{ist_datetime(a):%H:%M}-{ist_datetime(b):%H:%M}"
        for a, b in calendar.continuous_windows(segment, day)
    )


def window(exchange: str, day: date, start: str, end: str) -> dict[str, Any]:
    return {"exchange": exchange, "start_time": ns(day, start) // 10**6, "end_time": ns(day, end) // 10**6}


def test_brokers_hours_fill_the_unknown_muhurat() -> None:
    day = date(2026, 11, 8)
    rows = [window(name, day, "18:15", "19:15") for name in ("NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX")]
    calendar = from_broker(CAL, timings={day: rows})
    for segment in (FNO_STOCK, FNO, INDEX, Segment.CDS, METAL, AGRI):
        assert hours(segment, day, calendar) == "18:15-19:15"
    assert not calendar.is_regular_day(FNO, day)
    with pytest.raises(CalendarUnknown):
        CAL.sessions(FNO_STOCK, day)


def test_a_brokers_window_that_agrees_keeps_our_auctions() -> None:
    day = date(2026, 8, 3)
    rows = [window("NSE", day, "09:15", "15:30"), window("NFO", day, "09:15", "15:40")]
    calendar = from_broker(CAL, timings={day: rows})
    assert calendar.sessions(FNO_STOCK, day) == CAL.sessions(FNO_STOCK, day)
    assert calendar.sessions(FNO, day) == CAL.sessions(FNO, day)
    assert calendar.sessions(METAL, day) == ()


def test_a_brokers_window_that_differs_wins() -> None:
    day = date(2026, 8, 3)
    calendar = from_broker(CAL, timings={day: [window("NSE", day, "10:00", "14:00")]})
    assert hours(FNO_STOCK, day, calendar) == hours(INDEX, day, calendar) == "10:00-14:00"


def test_a_new_holiday_closes_only_the_exchanges_it_names() -> None:
    day = date(2026, 8, 5)
    row = {
        "date": str(day),
        "description": "Added later",
        "holiday_type": "TRADING_HOLIDAY",
        "closed_exchanges": ["NSE", "NFO", "BSE", "BFO", "CDS", "BCD"],
        "open_exchanges": [window("MCX", day, "17:00", "23:30")],
    }
    calendar = from_broker(CAL, holidays=[row])
    assert not calendar.is_trading_day(OTHER, day)
    assert not calendar.is_trading_day(FNO, day)
    assert hours(METAL, day, calendar) == "17:00-23:30"
    assert hours(AGRI_INTL, day, calendar) == "17:00-21:00"
    assert not calendar.is_trading_day(AGRI, day)
    assert CAL.is_trading_day(OTHER, day)


def test_a_trading_holiday_that_names_no_exchange_closes_all() -> None:
    row = {
        "date": "2026-08-05",
        "holiday_type": "TRADING_HOLIDAY",
        "closed_exchanges": [],
        "open_exchanges": [],
    }
    calendar = from_broker(CAL, holidays=[row])
    assert not any(calendar.is_trading_day(segment, date(2026, 8, 5)) for segment in Segment)
    row["holiday_type"] = "SETTLEMENT_HOLIDAY"
    assert from_broker(CAL, holidays=[row]).is_trading_day(OTHER, date(2026, 8, 5))


def test_a_brokers_list_makes_a_new_year_known() -> None:
    row = {
        "date": "2027-01-26",
        "holiday_type": "TRADING_HOLIDAY",
        "closed_exchanges": [],
        "open_exchanges": [],
    }
    calendar = from_broker(CAL, holidays=[row], complete_years=[2027])
    assert not calendar.is_trading_day(OTHER, date(2027, 1, 26))
    assert hours(FNO, date(2027, 1, 27), calendar) == "09:15-15:45"
    with pytest.raises(CalendarUnknown):
        calendar.is_trading_day(OTHER, date(2028, 1, 3))


def test_a_brokers_year_does_not_replace_a_known_one() -> None:
    calendar = from_broker(CAL, complete_years=[2026])
    assert not calendar.is_trading_day(OTHER, date(2026, 11, 24))


def test_the_documented_sample_is_understood(shared_data: Path) -> None:
    pages = json.loads((shared_data / "rest" / "upstox_doc_samples.json").read_text())
    rows = pages["get-market-holidays"][0]["sample"]["data"]
    calendar = from_broker(CAL, holidays=rows)
    new_year = date(2024, 1, 1)
    assert calendar.sessions(OTHER, new_year) == CAL.sessions(OTHER, new_year)
    assert hours(METAL, new_year, calendar) == "09:00-17:00"
    assert hours(OTHER, date(2024, 1, 20), calendar) == "09:15-12:30"
    assert not calendar.is_trading_day(METAL, date(2024, 1, 26))


@pytest.mark.parametrize(
    "row",
    [
        {"exchange": "NSE", "start_time": 1704080700000, "end_time": 1704103200000},
        {"exchange": "NSE", "start_time": "soon", "end_time": 1704103200000},
        {"exchange": "NSE"},
    ],
)
def test_timings_that_make_no_sense_are_refused(row: dict[str, Any]) -> None:
    with pytest.raises(DomainError):
        from_broker(CAL, timings={date(2024, 1, 22): [row]})


def test_a_later_broker_row_rules_and_the_source_is_told() -> None:
    calendar = from_broker(CAL, timings={date(2026, 8, 3): []})
    assert not calendar.is_trading_day(OTHER, date(2026, 8, 3))
    assert calendar.source(OTHER, date(2026, 8, 3)) == "broker"
    assert "CMTR74466" in CAL.source(FNO_STOCK, date(2026, 8, 3))
    special = CAL.special(FNO, date(2026, 2, 1))
    assert special is not None
    assert special.group is Group.FNO
