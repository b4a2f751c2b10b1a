"""The calendar against recorded trading days, and expiries shifted by its holidays."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from tradetui.domain.calendar import (
    Calendar,
    Segment,
    is_pre_open_future,
    next_monthly_expiry,
    next_weekly_expiry,
    segment_of,
    shift_expiry,
)
from tradetui.domain.instrument import Instrument, InstrumentKind

CAL = Calendar.default()
TUESDAY, THURSDAY = 1, 3
FNO_STOCK, OTHER, INDEX, FNO = Segment.EQ_FNO_UNDERLYING, Segment.EQ_OTHER, Segment.INDEX, Segment.FNO

# ---- recorded data ----------------------------------------------------------------------------------

# Rows of the recording that its own notes doubt: test data of a mock session and of a holiday (prices ten
# per cent off and back). And the Muhurat Sunday that it says it lacks.
SUSPECT_ROWS = {date(2016, 7, 6), date(2017, 12, 2)}
MISSING_ROWS = {date(2013, 11, 3)}


def test_thirteen_years_of_recorded_trading_days_are_reproduced(shared_data: Path) -> None:
    with (shared_data / "calendar" / "nse_trading_days_2010_2022.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    recorded = {date.fromisoformat(row["date"]) for row in rows}
    assert len(recorded) == 3200
    doubted = {
        date.fromisoformat(row["date"]) for row in rows if "suspect" in row["note"] or "mock" in row["note"]
    }
    assert doubted == SUSPECT_ROWS
    ours = set(CAL.trading_days(FNO_STOCK, min(recorded), date(2022, 12, 31)))
    assert ours - recorded == MISSING_ROWS
    assert recorded - ours == SUSPECT_ROWS


def test_days_of_2023_to_2025_equal_the_daily_data(shared_data: Path) -> None:
    frame = pl.read_parquet(shared_data / "daily" / "nse_daily_2008_2025.parquet", columns=["date"])
    recorded = {day for day in frame["date"].unique().to_list() if day >= date(2023, 1, 1)}
    assert set(CAL.trading_days(OTHER, date(2023, 1, 1), max(recorded))) == recorded


def test_bhavcopy_days_traded(shared_data: Path) -> None:
    names = [path.name for path in (shared_data / "bhavcopy").glob("sec_bhavdata_full_*.csv.gz")]
    days = [date.fromisoformat(name.removeprefix("sec_bhavdata_full_")[:10]) for name in names]
    assert len(days) == 5
    assert all(CAL.is_trading_day(OTHER, day) for day in days)


@pytest.mark.parametrize(
    "name", ["nse_1m_2025-12_2026-04", "nse_5m_2025-12_2026-06", "index_1m_2019", "index_1m_2024-01_2024-04"]
)
def test_recorded_bars_lie_on_trading_days_only(shared_data: Path, name: str) -> None:
    frame = pl.read_parquet(shared_data / "bars" / f"{name}.parquet", columns=["ts"])
    days = frame["ts"].dt.date().unique().to_list()
    assert len(days) > 70
    assert [str(day) for day in days if not CAL.is_trading_day(INDEX, day)] == []


# ---- expiries ---------------------------------------------------------------------------------------


def test_expiries_move_to_the_previous_trading_day() -> None:
    assert next_weekly_expiry(CAL, date(2026, 10, 16), TUESDAY) == date(2026, 10, 19)
    assert next_weekly_expiry(CAL, date(2026, 11, 5), TUESDAY) == date(2026, 11, 9)
    assert next_weekly_expiry(CAL, date(2026, 11, 21), TUESDAY) == date(2026, 11, 23)
    assert next_monthly_expiry(CAL, date(2026, 3, 25), TUESDAY) == date(2026, 3, 30)
    assert next_weekly_expiry(CAL, date(2026, 5, 25), THURSDAY) == date(2026, 5, 27)
    assert next_monthly_expiry(CAL, date(2026, 11, 21), TUESDAY) == date(2026, 11, 23)


def test_after_a_shifted_expiry_the_next_week_is_named() -> None:
    assert next_weekly_expiry(CAL, date(2026, 11, 24), TUESDAY) == date(2026, 12, 1)
    assert next_monthly_expiry(CAL, date(2026, 11, 24), TUESDAY) == date(2026, 12, 29)


def test_a_muhurat_day_is_no_expiry_day() -> None:
    assert shift_expiry(CAL, date(2025, 10, 21)) == date(2025, 10, 20)
    assert CAL.is_trading_day(FNO, date(2025, 10, 21))


def nifty_future(expiry: date) -> Instrument:
    return Instrument(
        "NSE_FO|1", "NSE_FO", "NSE", "NIFTY FUT", "NIFTY", InstrumentKind.FUTURE, expiry=expiry,
        underlying_key="NSE_INDEX|Nifty 50",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("expiry", "day", "expected"),
    [
        (date(2026, 11, 23), date(2026, 11, 2), True),
        (date(2026, 11, 23), date(2026, 10, 28), True),
        (date(2026, 12, 29), date(2026, 11, 16), False),
        (date(2026, 12, 29), date(2026, 11, 17), True),
        (date(2026, 12, 29), date(2026, 11, 25), True),
        (date(2026, 11, 23), date(2026, 11, 25), False),
        (date(2027, 2, 23), date(2026, 12, 31), False),
    ],
)
def test_which_futures_are_in_the_pre_open(expiry: date, day: date, expected: bool) -> None:
    assert is_pre_open_future(CAL, nifty_future(expiry), day) is expected


def test_segment_of_an_instrument_depends_on_the_day() -> None:
    future = nifty_future(date(2026, 12, 29))
    assert segment_of(CAL, future, date(2026, 11, 2)) is FNO
    assert segment_of(CAL, future, date(2026, 12, 1)) is Segment.FNO_NEAR_FUTURE
    assert segment_of(CAL, future, date(2026, 12, 29)) is Segment.FNO_EXPIRING_INDEX_FUTURE
    share = Instrument("NSE_EQ|INE002A01018", "NSE_EQ", "NSE", "RELIANCE", "Reliance", InstrumentKind.EQUITY)
    assert segment_of(CAL, share, date(2026, 12, 1)) is OTHER
