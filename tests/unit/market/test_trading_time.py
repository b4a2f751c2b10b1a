"""Cases T: days and hours, as bars, phases and times to expiry, under four time zones of the machine.

Every test here runs in this process under each of the zones; `make long` runs them, and everything else about time,
in processes of their own besides.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from tests.fixtures.zones import ZONES, in_zone
from tradetui.domain.calendar import (
    Calendar,
    CalendarUnknown,
    PhaseKind,
    Segment,
    days_to_expiry,
    from_broker,
    ist_date,
    ist_datetime,
    last_trade_ns,
    next_monthly_expiry,
    next_weekly_expiry,
    ns,
    segment_of,
    shift_expiry,
    years_to_expiry,
)
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.market_data import Candle, FrameKind, Has, Px, Qty, TickBatch
from tradetui.domain.money import Price
from tradetui.market.candles import CandleBuilder
from tradetui.market.quotes import Quotes
from tradetui.simulator.worlds import black76
from tradetui.simulator.worlds.synthetic import SyntheticWorld

CAL = Calendar.default()
MS = 1_000_000
SHARE = Instrument("NSE_EQ|INE002A01018", "NSE_EQ", "NSE", "RELIANCE", "Reliance", InstrumentKind.EQUITY,
                   cas_eligible=True)  # fmt: skip
OTHER = replace(SHARE, key="NSE_EQ|INE977Y01011", symbol="BCONCEPTS", cas_eligible=False)
INDEX = Instrument("NSE_INDEX|Nifty 50", "NSE_INDEX", "NSE", "NIFTY", "Nifty 50", InstrumentKind.INDEX)
VIX = replace(INDEX, key="NSE_INDEX|India VIX", symbol="INDIA VIX", name="India VIX")
OPTION = Instrument(
    "NSE_FO|1", "NSE_FO", "NSE", "NIFTY 26000 CE", "NIFTY", InstrumentKind.CALL, expiry=date(2026, 12, 29),
    strike=Price(260_000_000), underlying_key=INDEX.key,
)  # fmt: skip
STOCK_OPTION = replace(OPTION, key="NSE_FO|2", symbol="RELIANCE 1400 CE", underlying_key=SHARE.key)
CURRENCY = replace(OPTION, key="NCD_FO|1", segment="NCD_FO", symbol="USDINR FUT", underlying_key="")
GOLD = Instrument(
    "MCX_FO|1", "MCX_FO", "MCX", "GOLD FUT", "GOLD", InstrumentKind.FUTURE, expiry=date(2027, 2, 5)
)
COTTON = replace(GOLD, key="MCX_FO|2", symbol="COTTON FUT", name="COTTON")
MENTHA = replace(GOLD, key="MCX_FO|3", symbol="MENTHAOIL FUT", name="MENTHAOIL")
MUHURAT = date(2026, 11, 8)


@pytest.fixture(params=ZONES, autouse=True)
def zone(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every test of this module under each time zone."""
    with in_zone(request.param):
        yield request.param


def wall(t_ms: int) -> str:
    return f"{ist_datetime(t_ms * MS):%H:%M}"


def traded(
    instrument: Instrument, day: date, calendar: Calendar = CAL, pause: tuple[str, str] | None = None
) -> dict[int, list[Candle]]:
    """Bars of a day on which a trade is seen in every minute from 08:45 to midnight, by seconds.

    Prices count the minutes since midnight, so that a bar tells which minutes are in it.
    """

    def continuous(slot: int, on: date) -> tuple[int, int] | None:
        return calendar.continuous(segment_of(calendar, instrument, on), on)

    quotes = Quotes(continuous, 1)
    builder = CandleBuilder(quotes, intervals=(60, 900, 1800, 3600))
    bars: list[Candle] = []
    midnight = ns(day, "00:00") // MS
    for minute in range(8 * 60 + 45, 24 * 60):
        at = midnight + minute * 60_000 + 30_000
        if pause and ns(day, pause[0]) <= at * MS < ns(day, pause[1]):
            continue
        batch = TickBatch.zeros(FrameKind.LIVE, 0, 1)
        batch.mask[0] = Has.LTPC | Has.FULL
        batch.px[0, Px.LTP] = float(minute)
        batch.qty[0, Qty.LTT_MS] = at
        batch.qty[0, Qty.VTT] = minute
        bars += builder.on_batch(at * MS, batch, quotes.apply(batch, at * MS))
    bars += builder.on_time(ns(day, "24:00") + 3_600_000_000_000)
    found: dict[int, list[Candle]] = {}
    for bar in bars:
        found.setdefault(bar.interval_s, []).append(bar)
    return found


# ---- one-minute bars -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("instrument", "day", "count", "first", "last"),
    [
        pytest.param(SHARE, date(2026, 7, 31), 375, "09:15", "15:29", id="share before the closing auction"),
        pytest.param(OPTION, date(2026, 7, 31), 375, "09:15", "15:29", id="option before August 2026"),
        pytest.param(SHARE, date(2026, 8, 3), 360, "09:15", "15:14", id="share with derivatives"),
        pytest.param(OTHER, date(2026, 8, 3), 375, "09:15", "15:29", id="share without derivatives"),
        pytest.param(INDEX, date(2026, 8, 3), 360, "09:15", "15:14", id="index"),
        pytest.param(VIX, date(2026, 8, 3), 385, "09:15", "15:39", id="volatility index"),
        pytest.param(OPTION, date(2026, 8, 3), 385, "09:15", "15:39", id="option"),
        pytest.param(STOCK_OPTION, date(2026, 8, 3), 385, "09:15", "15:39", id="option on a share"),
        pytest.param(SHARE, date(2026, 12, 7), 375, "09:15", "15:29", id="share from December 2026"),
        pytest.param(OPTION, date(2026, 12, 7), 390, "09:15", "15:44", id="option from December 2026"),
        pytest.param(OPTION, date(2026, 12, 29), 375, "09:15", "15:29", id="index option on its last day"),
        pytest.param(STOCK_OPTION, date(2026, 12, 29), 390, "09:15", "15:44", id="share option on its last day"),
        pytest.param(CURRENCY, date(2026, 8, 3), 480, "09:00", "16:59", id="currency"),
    ],
)  # fmt: skip
def test_T_minutes_of_a_session_by_class_and_date(
    instrument: Instrument, day: date, count: int, first: str, last: str
) -> None:
    assert CAL.expected_minutes(segment_of(CAL, instrument, day), day) == count
    minutes = traded(instrument, day)[60]
    assert (len(minutes), wall(minutes[0].start_ms), wall(minutes[-1].start_ms)) == (count, first, last)
    assert {ist_date(bar.start_ms * MS) for bar in minutes} == {day}


@pytest.mark.parametrize(
    ("instrument", "day", "bars", "start", "first_minute", "last_minute"),
    [
        pytest.param(SHARE, date(2026, 7, 31), 13, "15:15", "15:15", "15:29", id="half a bar at the end"),
        pytest.param(SHARE, date(2026, 8, 3), 12, "14:45", "14:45", "15:14", id="a whole last bar"),
        pytest.param(OPTION, date(2026, 8, 3), 13, "15:15", "15:15", "15:39", id="25 minutes"),
        pytest.param(OPTION, date(2026, 12, 7), 13, "15:15", "15:15", "15:44", id="30 minutes"),
        pytest.param(GOLD, date(2026, 11, 20), 30, "23:30", "23:30", "23:54", id="evening"),
    ],
)
def test_T_last_30_minute_bar(
    instrument: Instrument, day: date, bars: int, start: str, first_minute: str, last_minute: str
) -> None:
    def minute(text: str) -> float:
        return float((ns(day, text) - ns(day, "00:00")) // (60_000 * MS))

    halves = traded(instrument, day)[1800]
    assert len(halves) == bars
    last = halves[-1]
    assert wall(last.start_ms) == start
    assert (last.open, last.close) == (minute(first_minute), minute(last_minute))


def test_T_derivatives_close_at_1540() -> None:
    day = date(2026, 11, 20)
    segment = segment_of(CAL, OPTION, day)
    assert CAL.phase_at(segment, ns(day, "15:40") - 1) is PhaseKind.CONTINUOUS
    assert CAL.phase_at(segment, ns(day, "15:40")) is PhaseKind.CLOSED
    assert CAL.phase_at(segment_of(CAL, SHARE, day), ns(day, "15:39")) is PhaseKind.CLOSED
    assert CAL.phase_at(segment_of(CAL, SHARE, day), ns(day, "15:20")) is PhaseKind.CLOSING_AUCTION
    assert CAL.phase_at(segment_of(CAL, INDEX, day), ns(day, "15:20")) is PhaseKind.CLOSING_AUCTION
    assert CAL.continuous(segment, day) == (ns(day, "09:15"), ns(day, "15:40"))


# ---- days of their own -----------------------------------------------------------------------------------------


def test_T_muhurat_is_an_hour_and_no_expiry_day() -> None:
    day = date(2025, 10, 21)
    minutes = traded(SHARE, day)[60]
    assert (len(minutes), wall(minutes[0].start_ms), wall(minutes[-1].start_ms)) == (60, "13:45", "14:44")
    assert shift_expiry(CAL, day) == date(2025, 10, 20)
    assert CAL.previous_trading_day(Segment.EQ_OTHER, date(2025, 10, 23)) == day


def test_T_muhurat_of_unknown_hours_takes_the_brokers() -> None:
    assert CAL.is_trading_day(Segment.FNO, MUHURAT)
    with pytest.raises(CalendarUnknown):
        traded(OPTION, MUHURAT)
    hours = [
        {"exchange": name, "start_time": ns(MUHURAT, "18:15") // MS, "end_time": ns(MUHURAT, "19:15") // MS}
        for name in ("NSE", "NFO")
    ]
    told = from_broker(CAL, timings={MUHURAT: hours})
    for instrument in (OPTION, SHARE):
        minutes = traded(instrument, MUHURAT, told)[60]
        assert (len(minutes), wall(minutes[0].start_ms), wall(minutes[-1].start_ms)) == (60, "18:15", "19:14")


@pytest.mark.parametrize("day", [date(2025, 2, 1), date(2026, 2, 1)])
def test_T_weekend_sessions_are_whole_days(day: date) -> None:
    assert day.weekday() >= 5
    assert len(traded(SHARE, day)[60]) == len(traded(OPTION, day)[60]) == 375
    assert CAL.is_settlement_holiday(day)


def test_T_a_weekend_without_a_session_has_no_bar() -> None:
    assert traded(SHARE, date(2026, 11, 21)) == {}


def test_T_a_session_in_two_stretches() -> None:
    day = date(2024, 3, 2)
    minutes = traded(SHARE, day, pause=("10:00", "11:30"))[60]
    assert len(minutes) == CAL.expected_minutes(Segment.EQ_OTHER, day) == 105
    assert [wall(bar.start_ms) for bar in (minutes[44], minutes[45])] == ["09:59", "11:30"]


@pytest.mark.parametrize(
    ("instrument", "day", "count", "first", "last"),
    [
        pytest.param(GOLD, date(2026, 3, 6), 895, "09:00", "23:54", id="American winter"),
        pytest.param(GOLD, date(2026, 3, 9), 870, "09:00", "23:29", id="American summer begins"),
        pytest.param(GOLD, date(2026, 10, 30), 870, "09:00", "23:29", id="American summer ends"),
        pytest.param(GOLD, date(2026, 11, 2), 895, "09:00", "23:54", id="winter again"),
        pytest.param(GOLD, date(2026, 11, 24), 415, "17:00", "23:54", id="morning closed"),
        pytest.param(GOLD, date(2026, 5, 1), 390, "17:00", "23:29", id="morning closed in summer"),
        pytest.param(GOLD, date(2026, 1, 1), 480, "09:00", "16:59", id="evening closed"),
        pytest.param(GOLD, date(2026, 2, 1), 480, "09:00", "16:59", id="budget Sunday"),
        pytest.param(COTTON, date(2026, 11, 20), 720, "09:00", "20:59", id="linked abroad"),
        pytest.param(COTTON, date(2026, 11, 24), 240, "17:00", "20:59", id="linked abroad, evening only"),
        pytest.param(MENTHA, date(2026, 11, 20), 480, "09:00", "16:59", id="farm goods"),
    ],
)
def test_T_mcx_evenings(instrument: Instrument, day: date, count: int, first: str, last: str) -> None:
    minutes = traded(instrument, day)[60]
    assert (len(minutes), wall(minutes[0].start_ms), wall(minutes[-1].start_ms)) == (count, first, last)


def test_T_mcx_is_shut_all_day_on_its_own_holidays() -> None:
    assert traded(GOLD, date(2026, 10, 2)) == {}
    assert traded(MENTHA, date(2026, 11, 24)) == {}


# ---- time to expiry --------------------------------------------------------------------------------------------


def call_price(forward: float, strike: float, years: float, vol: float) -> float:
    """A call by the Black-76 of the simulator, rupees."""
    f, k, t, v = (np.array([x]) for x in (forward, strike, years, vol))
    return float(black76.price(f, k, t, v, np.array([True]))[0])


def implied(price: float, forward: float, strike: float, years: float) -> float:
    """Implied volatility of a call by bisection, against the Black-76 of the simulator."""
    low, high = 1e-4, 20.0
    for _ in range(200):
        middle = (low + high) / 2
        value = call_price(forward, strike, years, middle)
        low, high = (middle, high) if value < price else (low, middle)
    return (low + high) / 2


@pytest.mark.parametrize(
    ("expiry", "wall_time", "minutes"),
    [
        pytest.param(date(2026, 7, 28), "15:29", 1, id="until July 2026 the cut is 15:30"),
        pytest.param(date(2026, 11, 17), "15:29", 11, id="since August 15:40"),
        pytest.param(date(2026, 12, 8), "15:29", 1, id="from December index options stop 15:30"),
        pytest.param(date(2026, 11, 17), "15:39", 1, id="the last minute"),
    ],
)
def test_T_implied_volatility_at_1529_on_expiry_day(expiry: date, wall_time: str, minutes: int) -> None:
    option = replace(OPTION, expiry=expiry)
    now_ns = ns(expiry, wall_time)
    years = years_to_expiry(CAL, option, now_ns)
    assert years == pytest.approx(minutes / 525_600, rel=1e-12)
    assert last_trade_ns(CAL, option) == now_ns + minutes * 60_000 * MS
    price = call_price(26_003.0, 26_000.0, years, 0.12)
    assert implied(price, 26_003.0, 26_000.0, years) == pytest.approx(0.12, abs=1e-6)
    # Half a minute before the end a minute is counted, else volatility explodes; after it there is none.
    end_ns = last_trade_ns(CAL, option)
    assert years_to_expiry(CAL, option, end_ns - 30_000 * MS) == pytest.approx(1 / 525_600)
    assert years_to_expiry(CAL, option, end_ns) == 0.0


def test_T_time_to_expiry_of_a_share_option_runs_longer_than_of_an_index_option() -> None:
    day = date(2026, 12, 29)
    assert last_trade_ns(CAL, replace(OPTION, expiry=day)) == ns(day, "15:30")
    assert last_trade_ns(CAL, replace(STOCK_OPTION, expiry=day)) == ns(day, "15:45")
    assert last_trade_ns(CAL, replace(GOLD, expiry=date(2026, 11, 24))) == ns(date(2026, 11, 24), "23:55")
    with pytest.raises(ValueError, match="does not expire"):
        last_trade_ns(CAL, SHARE)


def test_T_expiries_in_years_without_a_holiday_list_have_a_time_all_the_same() -> None:
    far = replace(OPTION, expiry=date(2030, 6, 25))
    with pytest.raises(CalendarUnknown):
        CAL.sessions(Segment.FNO, far.expiry or date.max)
    assert last_trade_ns(CAL, far) == ns(date(2030, 6, 25), "15:30")


def test_T_holiday_shifted_expiry_ends_the_day_before() -> None:
    nominal, real = date(2026, 11, 24), date(2026, 11, 23)
    assert next_weekly_expiry(CAL, date(2026, 11, 20), 1) == real
    assert next_monthly_expiry(CAL, date(2026, 11, 20), 1) == real
    for told in (nominal, real):  # also when an old list still has the nominal day
        option = replace(OPTION, expiry=told)
        assert last_trade_ns(CAL, option) == ns(real, "15:40")
        assert years_to_expiry(CAL, option, ns(real, "15:29")) == pytest.approx(11 / 525_600)
        assert years_to_expiry(CAL, option, ns(nominal, "09:15")) == 0.0
    assert days_to_expiry(CAL, replace(OPTION, expiry=real), date(2026, 11, 20)) == 1
    assert days_to_expiry(CAL, replace(OPTION, expiry=real), real) == 0


def test_T_the_simulated_feed_counts_the_same_time() -> None:
    world = SyntheticWorld(7, ns(date(2026, 11, 23), "15:29"))
    session = world._session
    for at, contract in enumerate(session.listing.contracts[:40]):
        instrument = session.listing.instruments[at + session.open.shape[1] - len(session.listing.contracts)]
        assert instrument.expiry == contract.expiry
        if not instrument.underlying_key.startswith("NSE_INDEX"):
            continue
        minute = (ns(date(2026, 11, 23), "15:29") - session.start_ns) // (60_000 * MS)
        ours = years_to_expiry(CAL, instrument, ns(date(2026, 11, 23), "15:29"))
        assert session.years[minute, at] == pytest.approx(ours)


def test_T_the_brokers_greeks_are_those_of_our_time(shared_data: Path) -> None:
    path = shared_data / "option_chain/upstox_nifty_chain_2026-04-07.json.gz"
    with gzip.open(path, "rt") as handle:
        recorded = json.load(handle)
    now_ns = int(datetime.fromisoformat(recorded["recorded_at"]).astimezone(UTC).timestamp() * 1e9)
    years = years_to_expiry(CAL, replace(OPTION, expiry=date(2026, 4, 7)), now_ns)
    compared = 0
    for row in recorded["response"]["data"]:
        strike, greeks = row["strike_price"], row["call_options"]["option_greeks"]
        if abs(strike - 22_283) > 500 or not greeks["iv"]:
            continue
        f, k, t, vol = (np.array([x]) for x in (22_283.0, strike, years, greeks["iv"] / 100))
        ours = black76.greeks(f, k, t, vol, np.array([True]))
        assert ours.vega[0] == pytest.approx(greeks["vega"], abs=0.02)
        assert ours.theta[0] == pytest.approx(greeks["theta"], abs=0.05)
        compared += 1
    assert compared >= 15
