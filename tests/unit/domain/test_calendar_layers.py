"""The user's own days, the broker's word over the shipped calendar, and what differs in words."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from tradetui.domain.calendar import Calendar, CalendarUnknown, Group, PhaseKind, Segment, day_start_ns, ns
from tradetui.domain.calendar.layers import (
    CalendarLayers,
    complete_years,
    differences,
    hours_words,
    unknown_days,
)
from tradetui.domain.calendar.own_days import dump_own_days, parse_own_days
from tradetui.domain.errors import DomainError

CAL = Calendar.default()
OTHER, FNO, METAL = Segment.EQ_OTHER, Segment.FNO, Segment.MCX_NONAGRI
MUHURAT = date(2026, 11, 8)


def own(**tables: Any) -> Calendar:
    return CalendarLayers(own=dump_own_days(tables)).calendar()


def window(exchange: str, day: date, start: str, end: str) -> dict[str, Any]:
    return {
        "exchange": exchange,
        "start_time": ns(day, start) // 1_000_000,
        "end_time": ns(day, end) // 1_000_000,
    }


# ---- the user's own ----------------------------------------------------------------------------------------


def test_a_day_can_be_closed_for_all_or_for_some() -> None:
    day = date(2026, 12, 31)
    for segment in (OTHER, FNO, METAL):
        assert not own(closed=["2026-12-31"]).is_trading_day(segment, day)
    some = own(closed=["2026-12-31 EQ, FNO"])
    assert not some.is_trading_day(OTHER, day)
    assert some.is_trading_day(METAL, day)


def test_a_session_of_unknown_hours_gets_its_hours() -> None:
    with pytest.raises(CalendarUnknown):
        CAL.sessions(OTHER, MUHURAT)
    calendar = own(open=["2026-11-08 EQ FNO 18:15-19:15"])
    assert calendar.expected_minutes(OTHER, MUHURAT) == 60
    assert not calendar.is_regular_day(FNO, MUHURAT)  # an hour long: no contract expires
    with pytest.raises(CalendarUnknown):
        calendar.sessions(METAL, MUHURAT)


def test_a_holiday_can_trade_as_usual_or_in_two_stretches() -> None:
    holiday = date(2026, 11, 24)
    assert hours_words(own(open=["2026-11-24 EQ"]), OTHER, holiday) == "09:15-15:30"
    split = own(open=["2026-11-24 EQ 09:15-10:00 11:30-12:30"])
    assert hours_words(split, OTHER, holiday) == "09:15-10:00 11:30-12:30"
    assert split.is_regular_day(OTHER, holiday)


def test_hours_from_a_date_on_are_of_a_group_or_a_class() -> None:
    calendar = own(hours={"2026-11-25 FNO": "09:15-15:50", "2026-11-25 MCX_AGRI": "09:00-18:00"})
    assert hours_words(calendar, FNO, date(2026, 11, 23)) == "09:15-15:40"
    assert hours_words(calendar, FNO, date(2026, 11, 25)) == "09:15-15:50"
    assert hours_words(calendar, Segment.FNO_NEAR_FUTURE, date(2026, 11, 26)) == "09:15-15:50"
    assert hours_words(calendar, Segment.MCX_AGRI, date(2026, 11, 26)) == "09:00-18:00"
    assert hours_words(calendar, METAL, date(2026, 11, 26)) == "09:00-23:55"
    # Newer shipped hours follow their own date.
    assert hours_words(calendar, FNO, date(2026, 12, 8)) == "09:15-15:45"


def test_tables_as_in_the_shipped_files_are_taken() -> None:
    calendar = own(
        special=[
            {
                "date": date(2026, 11, 8), "groups": ["EQ"], "kind": "muhurat", "hours": "listed",
                "phases": [["PRE_OPEN", "ENTRY", "18:00", "18:08", "18:07"], ["CONTINUOUS", "", "18:15", "19:15", ""]],
            }
        ],
        row=[{"classes": ["MCX_NONAGRI"], "from": "2027-03-13", "us_time": "summer", "windows": [["09:00", "23:00"]]}],
        year=[{"year": 2027, "groups": ["EQ", "FNO"], "closed": ["01-26"]}],
    )  # fmt: skip
    kinds = [phase.kind for phase in calendar.sessions(OTHER, MUHURAT)]
    assert kinds == [PhaseKind.PRE_OPEN, PhaseKind.CONTINUOUS]
    assert not calendar.is_trading_day(OTHER, date(2027, 1, 26))
    assert calendar.is_trading_day(FNO, date(2027, 1, 27))
    assert calendar.knows(Group.FNO, 2027)
    assert not calendar.knows(Group.COM, 2027)


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"closed": ["31-12-2026"]}, "closed number 1: '31-12-2026' is no date"),
        ({"closed": [""]}, "closed number 1: '' is no text that begins with a date"),
        ({"closed": ["2026-12-31 NSE"]}, "'NSE' is no group: EQ, FNO, CDS or COM"),
        ({"clsed": []}, "unknown entry 'clsed'"),
        ({"closed": "2026-12-31"}, "closed must be a list of texts"),
        ({"open": ["2026-12-31", "2026-12-31 EQ 9-10"]}, "open number 2: not a time of the form HH:MM"),
        ({"open": ["2026-12-31 EQ 10:00-09:00"]}, "open number 1: the phase 10:00-09:00 runs backwards"),
        ({"hours": {"2026-12-31 XYZ": "09:15-15:30"}}, "'XYZ' is neither a group nor a class"),
        ({"hours": {"2026-12-31 FNO": "early"}}, "'early' is neither|names no hours"),
        ({"special": {"date": "2026-12-31"}}, r"write special as \[\[special\]\]"),
        ({"special": [{"date": "2026-12-31", "ours": 1}]}, "unknown key 'ours'"),
        ({"special": [{"groups": ["EQ"]}]}, r"\[\[special\]\] number 1 lacks 'date'"),
        ({"special": [{"date": "2026-12-31", "hours": "unknown"}]}, 'hours must be "regular"'),
        ({"special": [{"date": "2026-12-31", "hours": "listed"}]}, "phases or windows go with"),
        ({"row": [{"classes": ["FNO"], "from": "2026-12-31"}]}, "neither phases nor windows"),
        ({"row": [{"from": "2026-12-31", "windows": [["09:15", "15:30"]]}]}, "lacks 'classes'"),
        ({"year": [{"year": "2027", "closed": []}]}, "'2027' is no year"),
        ({"year": [{"year": 2027}]}, "lacks 'closed'"),
        ({"year": [{"year": 2027, "closed": ["02-30"]}]}, "'2027-02-30' is no date"),
    ],
)  # fmt: skip
def test_whatever_is_wrong_is_said_in_one_line(tables: dict[str, Any], words: str) -> None:
    with pytest.raises(DomainError, match=words) as caught:
        parse_own_days(tables)
    assert "\n" not in str(caught.value)


# ---- the layers ----------------------------------------------------------------------------------------------


def broker(**said: Any) -> str:
    return json.dumps({"holidays": [], "timings": {}, **said})


def test_the_user_rules_over_the_broker_and_the_broker_over_what_is_shipped() -> None:
    day = date(2026, 11, 25)
    told = broker(timings={day.isoformat(): [window("NSE", day, "10:00", "14:00")]})
    assert hours_words(CalendarLayers(told).calendar(), OTHER, day) == "10:00-14:00"
    both = CalendarLayers(told, dump_own_days({"open": ["2026-11-25 EQ 11:00-12:30"]})).calendar()
    assert hours_words(both, OTHER, day) == "11:00-12:30"
    # What the user says of a class stands under the broker's word for the day.
    classes = CalendarLayers(told, dump_own_days({"hours": {"2026-11-20 EQ": "09:30-15:00"}})).calendar()
    assert hours_words(classes, OTHER, day) == "10:00-14:00"
    assert hours_words(classes, OTHER, date(2026, 11, 26)) == "09:30-15:00"


def test_a_short_list_of_holidays_does_not_make_a_year_known() -> None:
    def rows(count: int) -> list[dict[str, Any]]:
        return [
            {
                "date": f"2027-01-{day:02d}", "holiday_type": "TRADING_HOLIDAY", "description": "x",
                "closed_exchanges": ["NSE", "NFO", "CDS", "MCX", "BSE"], "open_exchanges": [],
            }
            for day in range(4, 4 + count)
        ]  # fmt: skip

    assert complete_years(rows(4)) == set()
    assert complete_years(rows(5)) == {2027}
    assert not CalendarLayers(broker(holidays=rows(4))).calendar().knows(Group.EQ, 2027)
    known = CalendarLayers(broker(holidays=rows(5))).calendar()
    assert not known.is_trading_day(OTHER, date(2027, 1, 8))
    assert known.is_trading_day(OTHER, date(2027, 1, 11))
    assert known.expected_minutes(METAL, date(2027, 7, 1)) == 14 * 60 + 30  # American summer
    assert known.expected_minutes(METAL, date(2027, 12, 1)) == 14 * 60 + 55


def test_differences_are_one_line_a_day() -> None:
    told = broker(timings={MUHURAT.isoformat(): [window("NSE", MUHURAT, "18:00", "19:00")]})
    lines = differences(CAL, CalendarLayers(told).calendar(), date(2026, 11, 1), date(2026, 11, 30))
    assert lines == [
        "Sun 08 Nov 2026: cash, cash with derivatives 18:00-19:00 (shipped: hours not known); "
        "equity derivatives, currency, commodities closed (shipped: hours not known)"
    ]
    assert differences(CAL, CAL, date(2026, 1, 1), date(2026, 12, 31)) == []


def test_a_new_year_is_one_line_not_hundreds() -> None:
    calendar = own(year=[{"year": 2027, "closed": ["01-26"]}])
    lines = differences(CAL, calendar, date(2026, 12, 1), date(2027, 12, 31))
    assert lines == ["2027: holidays of EQ, FNO, CDS, COM are not in the shipped calendar"]


def test_sessions_announced_without_times_are_known_to_lack_them() -> None:
    assert unknown_days(CAL, date(2026, 11, 1), 60) == [MUHURAT]
    assert unknown_days(CAL, date(2026, 11, 9), 30) == []


def test_layers_do_not_change_the_shipped_calendar() -> None:
    before = hours_words(CAL, FNO, date(2026, 11, 25))
    own(closed=["2026-11-25"])
    assert hours_words(CAL, FNO, date(2026, 11, 25)) == before
    assert CAL.sessions(FNO, date(2026, 11, 25))[0].start_ns > day_start_ns(date(2026, 11, 25))
