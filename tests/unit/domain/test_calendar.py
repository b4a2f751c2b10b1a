"""The calendar against dated facts, recorded trading days, and its own invariants."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradetui.domain.calendar import (
    IST,
    MINUTE_NS,
    Calendar,
    CalendarUnknown,
    PhaseKind,
    Segment,
    Stage,
    ist_date,
    ist_datetime,
    minute_of_day,
    next_token_expiry_ns,
    ns,
    session_class,
    shift_expiry,
)
from tradetui.domain.calendar.tables import parse_phases
from tradetui.domain.errors import DomainError

CAL = Calendar.default()
TUESDAY, THURSDAY = 1, 3
FNO_STOCK, OTHER, INDEX, FNO = Segment.EQ_FNO_UNDERLYING, Segment.EQ_OTHER, Segment.INDEX, Segment.FNO
METAL, AGRI, AGRI_INTL = Segment.MCX_NONAGRI, Segment.MCX_AGRI, Segment.MCX_AGRI_INTL


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Kolkata", "Pacific/Kiritimati"])
def zone(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run in another time zone of the machine."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    time.tzset()
    yield request.param
    if before is None:
        os.environ.pop("TZ", None)
    else:
        os.environ["TZ"] = before
    time.tzset()


def walls(segment: Segment, day: date) -> list[tuple[str, str, str]]:
    return [
        (p.kind.value, f"{ist_datetime(p.start_ns):%H:%M}", f"{ist_datetime(p.end_ns):%H:%M}")
        for p in CAL.sessions(segment, day)
    ]


def hours(segment: Segment, day: date, calendar: Calendar = CAL) -> str:
    return " ".join(
        f"{ist_datetime(a):%H:%M}-{ist_datetime(b):%H:%M}"
        for a, b in calendar.continuous_windows(segment, day)
    )


# ---- eras ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("segment", "day", "expected"),
    [
        (FNO_STOCK, date(2026, 7, 31), "09:15-15:30"),
        (FNO_STOCK, date(2026, 8, 3), "09:15-15:15"),
        (FNO_STOCK, date(2026, 12, 4), "09:15-15:15"),
        (FNO_STOCK, date(2026, 12, 7), "09:15-15:30"),
        (OTHER, date(2026, 7, 31), "09:15-15:30"),
        (OTHER, date(2026, 8, 3), "09:15-15:30"),
        (INDEX, date(2026, 7, 31), "09:15-15:30"),
        (INDEX, date(2026, 8, 3), "09:15-15:15"),
        (FNO, date(2026, 7, 31), "09:15-15:30"),
        (FNO, date(2026, 8, 3), "09:15-15:40"),
        (FNO, date(2026, 12, 7), "09:15-15:45"),
        (Segment.FNO_EXPIRING_INDEX, date(2026, 8, 4), "09:15-15:40"),
        (Segment.FNO_EXPIRING_INDEX, date(2026, 12, 8), "09:15-15:30"),
        (Segment.FNO_EXPIRING_INDEX_FUTURE, date(2026, 12, 29), "09:15-15:30"),
        (Segment.CDS, date(2026, 8, 3), "09:00-17:00"),
        (METAL, date(2026, 3, 6), "09:00-23:55"),
        (METAL, date(2026, 3, 9), "09:00-23:30"),
        (METAL, date(2026, 10, 30), "09:00-23:30"),
        (METAL, date(2026, 11, 2), "09:00-23:55"),
        (AGRI, date(2026, 11, 2), "09:00-17:00"),
        (AGRI_INTL, date(2026, 11, 2), "09:00-21:00"),
        (OTHER, date(2010, 10, 15), "09:00-15:30"),
        (OTHER, date(2010, 10, 18), "09:15-15:30"),
    ],
)
def test_continuous_hours_by_class_and_era(segment: Segment, day: date, expected: str) -> None:
    assert hours(segment, day) == expected


def test_closing_auction_of_the_second_era_has_four_stages() -> None:
    auction = [p for p in CAL.sessions(FNO_STOCK, date(2026, 8, 3)) if p.kind is PhaseKind.CLOSING_AUCTION]
    assert [(p.stage, f"{ist_datetime(p.start_ns):%H:%M}") for p in auction] == [
        (Stage.REFERENCE, "15:15"),
        (Stage.ENTRY, "15:20"),
        (Stage.LIMIT_ONLY, "15:25"),
        (Stage.MATCH, "15:30"),
    ]
    assert auction[-1].end_ns == ns(date(2026, 8, 3), "15:35")
    assert auction[2].random_close_ns == ns(date(2026, 8, 3), "15:28")


def test_closing_auction_of_the_third_era_ends_at_1540_and_other_stocks_have_none() -> None:
    day = date(2026, 12, 7)
    auction = [p for p in CAL.sessions(FNO_STOCK, day) if p.kind is PhaseKind.CLOSING_AUCTION]
    assert (auction[0].start_ns, auction[-1].end_ns) == (ns(day, "15:30"), ns(day, "15:40"))
    assert auction[-1].random_close_ns == ns(day, "15:38")
    assert PhaseKind.CLOSING_AUCTION not in {p.kind for p in CAL.sessions(OTHER, day)}


def test_pre_open_changes_on_7_september_2026() -> None:
    assert walls(OTHER, date(2026, 9, 4))[:3] == [
        ("PRE_OPEN", "09:00", "09:08"),
        ("PRE_OPEN", "09:08", "09:12"),
        ("PRE_OPEN", "09:12", "09:15"),
    ]
    later = CAL.sessions(OTHER, date(2026, 9, 7))
    assert walls(OTHER, date(2026, 9, 7))[:2] == [
        ("PRE_OPEN", "09:00", "09:05"),
        ("PRE_OPEN", "09:05", "09:10"),
    ]
    assert later[1].stage is Stage.LIMIT_ONLY
    assert later[1].random_close_ns == ns(date(2026, 9, 7), "09:08")


def test_only_near_futures_have_a_derivatives_pre_open_and_only_since_8_december_2025() -> None:
    def has_pre_open(segment: Segment, day: date) -> bool:
        return any(p.kind is PhaseKind.PRE_OPEN for p in CAL.sessions(segment, day))

    assert not has_pre_open(Segment.FNO_NEAR_FUTURE, date(2025, 12, 5))
    assert has_pre_open(Segment.FNO_NEAR_FUTURE, date(2025, 12, 8))
    assert not has_pre_open(FNO, date(2025, 12, 8))
    assert has_pre_open(Segment.FNO_EXPIRING_INDEX_FUTURE, date(2026, 12, 29))


def test_post_close_moves_with_the_auction() -> None:
    assert walls(OTHER, date(2026, 7, 31))[-1] == ("POST_CLOSE", "15:40", "16:00")
    assert walls(OTHER, date(2026, 8, 3))[-1] == ("POST_CLOSE", "15:50", "16:00")
    assert CAL.phase_at(OTHER, ns(date(2026, 8, 3), "15:45")) is PhaseKind.CLOSED


@pytest.mark.parametrize(
    ("segment", "day", "minutes"),
    [
        (FNO_STOCK, date(2026, 7, 31), 375),
        (FNO_STOCK, date(2026, 8, 3), 360),
        (OTHER, date(2026, 8, 3), 375),
        (FNO, date(2026, 8, 3), 385),
        (FNO, date(2026, 12, 7), 390),
        (METAL, date(2026, 8, 3), 870),
        (METAL, date(2026, 11, 3), 895),
        (FNO_STOCK, date(2025, 10, 21), 60),
        (FNO_STOCK, date(2024, 3, 2), 105),
        (FNO_STOCK, date(2026, 11, 24), 0),
    ],
)
def test_expected_minutes(segment: Segment, day: date, minutes: int) -> None:
    assert CAL.expected_minutes(segment, day) == minutes


# ---- holidays and special sessions ------------------------------------------------------------------

CLOSED_2025 = "02-26 03-14 03-31 04-10 04-14 04-18 05-01 08-15 08-27 10-02 10-22 11-05 12-25"
CLOSED_2026 = (
    "01-15 01-26 03-03 03-26 03-31 04-03 04-14 05-01 05-28 06-26 09-14 10-02 10-20 11-10 11-24 12-25"
)


@pytest.mark.parametrize(("year", "texts"), [(2025, CLOSED_2025), (2026, CLOSED_2026)])
def test_weekdays_without_equity_trading_are_exactly_the_published_holidays(year: int, texts: str) -> None:
    published = {date.fromisoformat(f"{year}-{text}") for text in texts.split()}
    days = [date(year, 1, 1) + timedelta(n) for n in range(365)]
    for segment in (FNO_STOCK, OTHER, INDEX, FNO):
        closed = {day for day in days if day.weekday() < 5 and not CAL.is_trading_day(segment, day)}
        assert closed == published


def test_weekend_sessions_are_exactly_the_announced_ones() -> None:
    days = [date(2023, 1, 1) + timedelta(n) for n in range(4 * 365 + 1)]
    weekend = {str(day) for day in days if day.weekday() >= 5 and CAL.is_trading_day(FNO_STOCK, day)}
    assert weekend == {
        "2023-11-12", "2024-01-20", "2024-03-02", "2024-05-18", "2025-02-01", "2026-02-01", "2026-11-08",
    }  # fmt: skip


def test_muhurat_2025_is_an_afternoon_hour() -> None:
    day = date(2025, 10, 21)
    assert (
        hours(FNO_STOCK, day)
        == hours(FNO, day)
        == hours(Segment.CDS, day)
        == hours(INDEX, day)
        == "13:45-14:45"
    )
    assert walls(OTHER, day)[0] == ("PRE_OPEN", "13:30", "13:38")
    assert walls(OTHER, day)[-1] == ("POST_CLOSE", "14:55", "15:05")
    assert CAL.phase_at(FNO_STOCK, ns(day, "18:30")) is PhaseKind.CLOSED
    assert walls(INDEX, day) == [("CONTINUOUS", "13:45", "14:45")]


def test_budget_sunday_2026_trades_and_does_not_settle() -> None:
    day = date(2026, 2, 1)
    assert hours(FNO_STOCK, day) == hours(FNO, day) == "09:15-15:30"
    assert hours(Segment.NSE_COM, day) == hours(METAL, day) == "09:00-17:00"
    assert not CAL.is_trading_day(Segment.CDS, day)
    assert CAL.is_settlement_holiday(day)
    assert CAL.settlement_day(date(2026, 1, 30)) == date(2026, 2, 2)
    assert CAL.settlement_day(day) == date(2026, 2, 2)


def test_muhurat_2026_is_a_trading_day_whose_hours_must_come_from_the_broker() -> None:
    day = date(2026, 11, 8)
    assert CAL.is_trading_day(FNO_STOCK, day)
    with pytest.raises(CalendarUnknown, match="2026-11-08 are not known"):
        CAL.sessions(FNO_STOCK, day)
    with pytest.raises(CalendarUnknown):
        CAL.phase_at(METAL, ns(day, "18:30"))


def test_outage_of_24_february_2021_has_two_windows() -> None:
    day = date(2021, 2, 24)
    assert hours(INDEX, day) == "09:15-11:40 15:45-17:00"
    assert CAL.continuous(INDEX, day) == (ns(day, "09:15"), ns(day, "17:00"))
    assert CAL.phase_at(INDEX, ns(day, "13:00")) is PhaseKind.CLOSED


@pytest.mark.parametrize("text", ["2026-02-19", "2026-03-19", "2026-04-01", "2026-08-26"])
def test_currency_only_closures_trade_in_equity_without_settlement(text: str) -> None:
    day = date.fromisoformat(text)
    assert not CAL.is_trading_day(Segment.CDS, day)
    assert CAL.is_trading_day(OTHER, day)
    assert CAL.is_settlement_holiday(day)
    assert CAL.settlement_day(CAL.previous_trading_day(OTHER, day)) > day


def test_commodities_close_whole_days_mornings_and_one_evening() -> None:
    for text in ("01-26", "04-03", "10-02", "12-25"):
        assert not CAL.is_trading_day(METAL, date.fromisoformat(f"2026-{text}"))
    for text in ("03-03", "03-26", "03-31", "04-14", "05-01", "05-28", "06-26", "09-14", "10-20"):
        day = date.fromisoformat(f"2026-{text}")
        close = "23:30" if day >= date(2026, 3, 9) else "23:55"
        assert hours(METAL, day) == f"17:00-{close}"
        assert hours(AGRI_INTL, day) == "17:00-21:00"
        assert not CAL.is_trading_day(AGRI, day)
        assert {p.kind for p in CAL.sessions(METAL, day)} == {PhaseKind.CONTINUOUS}
    assert hours(METAL, date(2026, 11, 24)) == "17:00-23:55"
    assert hours(METAL, date(2026, 1, 1)) == hours(AGRI, date(2026, 1, 1)) == "09:00-17:00"
    assert walls(METAL, date(2026, 8, 3))[0] == ("CANCEL_ONLY", "08:45", "08:59")


@pytest.mark.parametrize(
    ("segment", "day"),
    [
        (OTHER, date(2027, 1, 4)),
        (FNO, date(2009, 12, 31)),
        (Segment.CDS, date(2025, 6, 2)),
        (METAL, date(2025, 6, 2)),
    ],
)
def test_unknown_year_is_an_error_and_never_a_weekday(segment: Segment, day: date) -> None:
    with pytest.raises(CalendarUnknown, match=str(day.year)):
        CAL.is_trading_day(segment, day)
    with pytest.raises(CalendarUnknown):
        CAL.phase_at(segment, ns(day, "10:00"))


def test_walking_out_of_the_known_years_is_an_error() -> None:
    with pytest.raises(CalendarUnknown):
        CAL.next_trading_day(OTHER, date(2026, 12, 31))
    with pytest.raises(CalendarUnknown):
        CAL.next_open(OTHER, ns(date(2026, 12, 31), "16:00"))


# ---- walking and instants ---------------------------------------------------------------------------


def test_next_and_previous_trading_days_skip_holidays_and_weekends() -> None:
    assert CAL.next_trading_day(OTHER, date(2026, 11, 20)) == date(2026, 11, 23)
    assert CAL.next_trading_day(OTHER, date(2026, 11, 23)) == date(2026, 11, 25)
    assert CAL.previous_trading_day(OTHER, date(2026, 11, 25)) == date(2026, 11, 23)
    assert CAL.last_trading_day(OTHER, date(2026, 11, 24)) == date(2026, 11, 23)
    assert CAL.last_trading_day(OTHER, date(2026, 11, 23)) == date(2026, 11, 23)


def test_next_open_is_at_or_after_the_instant() -> None:
    friday = date(2026, 11, 20)
    assert CAL.next_open(OTHER, ns(friday, "09:15")) == ns(friday, "09:15")
    assert CAL.next_open(OTHER, ns(friday, "09:15") + 1) == ns(date(2026, 11, 23), "09:15")
    assert CAL.next_open(METAL, ns(date(2026, 11, 24), "10:00")) == ns(date(2026, 11, 24), "17:00")


def test_block_windows_run_on_regular_cash_days_only() -> None:
    day = date(2026, 8, 3)
    assert CAL.block_windows(FNO_STOCK, day) == (
        (ns(day, "08:45"), ns(day, "09:00")),
        (ns(day, "14:05"), ns(day, "14:20")),
    )
    assert CAL.block_windows(FNO, day) == ()
    assert CAL.block_windows(FNO_STOCK, date(2026, 11, 24)) == ()


@pytest.mark.parametrize(
    ("issued", "expires"),
    [
        ("2026-11-20T09:00", "2026-11-21T03:30"),
        ("2026-11-20T00:10", "2026-11-20T03:30"),
        ("2026-11-20T03:30", "2026-11-21T03:30"),
        ("2026-11-20T03:29", "2026-11-20T03:30"),
        ("2026-12-31T23:59", "2027-01-01T03:30"),
    ],
)
def test_token_dies_at_the_next_half_past_three(issued: str, expires: str) -> None:
    def instant(text: str) -> int:
        return int(datetime.fromisoformat(text).replace(tzinfo=IST).timestamp()) * 1_000_000_000

    assert next_token_expiry_ns(instant(issued)) == instant(expires)


def test_answers_do_not_depend_on_the_machines_zone(zone: str) -> None:
    calendar = CAL.with_override([])
    day = date(2026, 8, 3)
    assert ns(day, "09:15") == int(datetime(2026, 8, 3, 3, 45, tzinfo=UTC).timestamp()) * 1_000_000_000
    assert ist_date(ns(day, "00:00")) == day, zone
    assert ist_date(ns(day, "00:00") - 1) == date(2026, 8, 2)
    assert hours(FNO_STOCK, day, calendar) == "09:15-15:15"
    assert calendar.phase_at(FNO_STOCK, ns(day, "15:15")) is PhaseKind.CLOSING_AUCTION
    assert ist_datetime(ns(day, "09:15")).isoformat() == "2026-08-03T09:15:00+05:30"


@pytest.mark.parametrize("text", ["9:15", "24:01", "12:60", "", "ab:cd", "09:15:00", "٠٩:15"])
def test_wall_times_are_checked(text: str) -> None:
    with pytest.raises(ValueError, match="not a time"):
        minute_of_day(text)


def test_overlapping_phases_are_refused() -> None:
    with pytest.raises(DomainError):
        parse_phases([["CONTINUOUS", "", "09:15", "15:30", ""], ["POST_CLOSE", "", "15:20", "16:00", ""]])


@pytest.mark.parametrize(
    ("segment", "flags", "expected"),
    [
        ("NSE_EQ", {"has_derivatives": True}, FNO_STOCK),
        ("BSE_EQ", {}, OTHER),
        ("NSE_INDEX", {"has_derivatives": True}, INDEX),
        ("NSE_FO", {}, FNO),
        ("NSE_FO", {"is_near_future": True}, Segment.FNO_NEAR_FUTURE),
        ("BSE_FO", {"is_index_contract": True, "is_expiry_day": True}, Segment.FNO_EXPIRING_INDEX),
        ("NSE_FO", {"is_expiry_day": True}, FNO),
        (
            "NSE_FO",
            {"is_index_contract": True, "is_expiry_day": True, "is_near_future": True},
            Segment.FNO_EXPIRING_INDEX_FUTURE,
        ),
        ("NCD_FO", {}, Segment.CDS),
        ("MCX_FO", {}, METAL),
        ("MCX_FO", {"is_agri": True}, AGRI),
        ("MCX_FO", {"is_agri": True, "is_linked_abroad": True}, AGRI_INTL),
        ("NSE_COM", {}, Segment.NSE_COM),
    ],
)
def test_session_class(segment: str, flags: dict[str, bool], expected: Segment) -> None:
    assert session_class(segment, **flags) is expected


def test_unknown_exchange_segment_has_no_timetable() -> None:
    with pytest.raises(ValueError, match="XYZ"):
        session_class("XYZ")


# ---- invariants -------------------------------------------------------------------------------------

KNOWN_DAYS = st.dates(date(2010, 1, 5), date(2026, 12, 31))


def sessions_or_none(segment: Segment, day: date) -> tuple[Any, ...] | None:
    try:
        return CAL.sessions(segment, day)
    except CalendarUnknown:
        return None


@given(st.sampled_from(list(Segment)), KNOWN_DAYS)
def test_phases_are_ordered_apart_and_inside_their_day(segment: Segment, day: date) -> None:
    phases = sessions_or_none(segment, day)
    if phases is None:
        return
    last_end = ns(day, "00:00")
    for phase in phases:
        assert last_end <= phase.start_ns < phase.end_ns
        if phase.random_close_ns is not None:
            assert phase.start_ns < phase.random_close_ns < phase.end_ns
        last_end = phase.end_ns
    assert last_end <= ns(day, "24:00")


@given(st.sampled_from(list(Segment)), KNOWN_DAYS, st.integers(0, 24 * 60 * 60 - 1))
def test_phase_at_agrees_with_the_list_of_sessions(segment: Segment, day: date, second: int) -> None:
    phases = sessions_or_none(segment, day)
    if phases is None:
        return
    t_ns = ns(day, "00:00") + second * 1_000_000_000
    holding = [phase.kind for phase in phases if phase.start_ns <= t_ns < phase.end_ns]
    assert CAL.phase_at(segment, t_ns) is (holding[0] if holding else PhaseKind.CLOSED)


@given(KNOWN_DAYS)
def test_minutes_and_trading_day_agree(day: date) -> None:
    for segment in (FNO_STOCK, OTHER, FNO, INDEX):
        if sessions_or_none(segment, day) is None:
            continue
        window = CAL.continuous(segment, day)
        assert (
            (window is not None)
            == CAL.is_trading_day(segment, day)
            == (CAL.expected_minutes(segment, day) > 0)
        )
        if window is not None:
            assert CAL.expected_minutes(segment, day) <= (window[1] - window[0]) // MINUTE_NS


@given(st.dates(date(2010, 2, 1), date(2026, 11, 30)))
def test_next_and_previous_are_inverse(day: date) -> None:
    following = CAL.next_trading_day(OTHER, day)
    assert following > day
    assert CAL.previous_trading_day(OTHER, following) == CAL.last_trading_day(OTHER, day)
    assert shift_expiry(CAL, following) <= following
