"""Market data, sessions, instrument files and the control listener over HTTP."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import aiohttp
import pytest

from tests.fixtures.simulated import OPTION, SHARE, Member, write_recording
from tradetui.domain.calendar import ns
from tradetui.domain.errors import TradeTuiError, UsageError
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.market_data import Candle
from tradetui.domain.money import Price, to_price
from tradetui.simulator.control import parse_jump, parse_speed
from tradetui.simulator.marks import band_of
from tradetui.simulator.rest.candles import add_months, aggregate
from tradetui.simulator.rest.limits import ORDER_QUOTA, Governor
from tradetui.simulator.server import SimulatorServer
from tradetui.simulator.state import SimOptions

DAY = date(2025, 12, 15)
OPEN_MS = ns(DAY, "09:15") // 1_000_000


@pytest.fixture
async def member(tmp_path: Path) -> AsyncIterator[Member]:
    options = SimOptions(auto_approve=True, replay=write_recording(tmp_path))
    async with SimulatorServer(options) as sim, aiohttp.ClientSession() as session:
        one = Member(sim, session)
        await one.login()
        yield one


# --- quotes --------------------------------------------------------------------------------------------


async def test_one_bad_key_fails_the_whole_batch(member: Member) -> None:
    for bad, code in (("BSE", "UDAPI1087"), ("NSE_EQ|INE000000000", "UDAPI100095")):
        answer = await member.get("/v3/market-quote/ltp", instrument_key=f"{SHARE},{bad}")
        assert answer.code == code
    assert (await member.get("/v3/market-quote/ltp")).code == "UDAPI1026"
    many = ",".join([SHARE] * 501)
    assert (await member.get("/v3/market-quote/ltp", instrument_key=many)).code == "UDAPI100043"
    assert (await member.get("/v2/market-quote/quotes", instrument_key=many)).code == "UDAPI100042"
    greeks = ",".join([OPTION] * 51)
    assert (await member.get("/v3/market-quote/option-greek", instrument_key=greeks)).code == "UDAPI100076"


async def test_a_quote_is_keyed_by_symbol_and_its_depth_is_zero_filled(member: Member) -> None:
    quote = (await member.get("/v2/market-quote/quotes", symbol=SHARE)).data["NSE_EQ:BSE"]
    assert quote["instrument_token"] == SHARE
    assert quote["last_trade_time"] == str(ns(DAY, "10:00") // 1_000_000)
    assert quote["timestamp"].endswith("+05:30")
    assert quote["net_change"] == pytest.approx(quote["last_price"] - 2747.2)
    assert [len(quote["depth"][side]) for side in ("buy", "sell")] == [5, 5]
    assert (quote["lower_circuit_limit"], quote["upper_circuit_limit"]) == (2197.8, 3296.6)


async def test_ohlc_wants_a_known_interval(member: Member) -> None:
    assert (await member.get("/v3/market-quote/ohlc", instrument_key=SHARE)).code == "UDAPI1027"
    wrong = await member.get("/v3/market-quote/ohlc", instrument_key=SHARE, interval="I5")
    assert wrong.code == "UDAPI1028"


def test_bands_stand_on_ticks_and_follow_the_underlying_for_options() -> None:
    share = Instrument(SHARE, "NSE_EQ", "NSE", "BSE", "BSE", InstrumentKind.EQUITY, tick_size=Price(1000))
    band = band_of(share, to_price(2735))
    assert (band.low, band.high) == (to_price(2188), to_price(3282))
    option = Instrument(
        OPTION, "NSE_FO", "NSE", "X", "X", InstrumentKind.CALL, strike=to_price(59_000), tick_size=Price(500)
    )
    assert band_of(option, to_price(10)).high == to_price(10 + 11_800)
    index = Instrument("NSE_INDEX|Nifty 50", "NSE_INDEX", "NSE", "N", "N", InstrumentKind.INDEX)
    assert (band_of(index, to_price(1)).low, band_of(index, to_price(1)).high) == (0, 0)


# --- candles -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("minutes/1/2025-12-14/2025-11-13", "UDAPI1148"),
        ("minutes/16/2025-12-14/2025-09-13", "UDAPI1148"),
        ("hours/1/2025-12-14/2025-09-13", "UDAPI1148"),
        ("days/1/2025-12-14/2015-12-13", "UDAPI1148"),
        ("years/1/2025-12-14/2025-12-01", "UDAPI1146"),
        ("minutes/301/2025-12-14/2025-12-01", "UDAPI1147"),
        ("hours/6/2025-12-14/2025-12-01", "UDAPI1147"),
        ("days/2/2025-12-14/2025-12-01", "UDAPI1147"),
        ("minutes/0/2025-12-14/2025-12-01", "UDAPI1147"),
        ("minutes/1/2025-12-01/2025-12-14", "UDAPI1015"),
        ("minutes/1/2025-13-01/2025-12-14", "UDAPI1088"),
        ("minutes/1/20251214/2025-12-01", "UDAPI1088"),
    ],
)
async def test_candle_requests_outside_the_rules(member: Member, path: str, code: str) -> None:
    answer = await member.get(f"/v3/historical-candle/{SHARE.replace('|', '%7C')}/{path}")
    assert (answer.status, answer.code) == (400, code)


@pytest.mark.parametrize(
    "path",
    [
        "minutes/15/2025-12-14/2025-11-14",
        "minutes/300/2025-12-14/2025-09-14",
        "days/1/2025-12-14/2015-12-14",
        "weeks/1/2025-12-14/2001-01-01",
        "months/1/2025-12-14",
    ],
)
async def test_candle_requests_at_the_edge_of_the_rules(member: Member, path: str) -> None:
    member.token = ""  # candles are public
    assert (await member.get(f"/v3/historical-candle/{SHARE.replace('|', '%7C')}/{path}")).status == 200


async def test_candles_of_unknown_and_malformed_keys(member: Member) -> None:
    assert (await member.get("/v3/historical-candle/BSE/minutes/1/2025-12-14")).code == "UDAPI1021"
    unknown = "/v3/historical-candle/intraday/NSE_EQ%7CINE000000000/minutes/1"
    assert (await member.get(unknown)).code == "UDAPI100011"


def minute(number: int, low: float, high: float, volume: int = 10) -> Candle:
    return Candle(0, 60, OPEN_MS + number * 60_000, low, high, low, high, volume, oi=float(number))


def test_longer_bars_are_counted_from_the_open() -> None:
    bars = [minute(number, 100.0 - number, 200.0 + number) for number in range(65)]
    hours = aggregate(bars, 3600)
    assert [bar.start_ms for bar in hours] == [OPEN_MS, OPEN_MS + 3_600_000]
    first = hours[0]
    assert (first.open, first.high, first.low, first.close) == (100.0, 259.0, 41.0, 259.0)
    assert (first.volume, first.oi) == (600, 59.0)
    (day,) = aggregate(bars, 86_400)
    assert day.start_ms == ns(DAY, "00:00") // 1_000_000


def test_a_bar_never_reaches_over_midnight() -> None:
    tomorrow = Candle(0, 60, ns(date(2025, 12, 16), "09:15") // 1_000_000, 1, 1, 1, 1, 1)
    assert len(aggregate([minute(374, 1, 2), tomorrow], 18_000)) == 2


def test_months_are_clipped_to_their_last_day() -> None:
    assert add_months(date(2025, 1, 31), 1) == date(2025, 2, 28)
    assert add_months(date(2025, 12, 15), 1) == date(2026, 1, 15)
    assert add_months(date(2024, 3, 31), -1) == date(2024, 2, 29)


# --- sessions, files -----------------------------------------------------------------------------------


async def test_status_follows_the_exchange_clock(member: Member) -> None:
    assert (await member.get("/v2/market/status/NSE")).data["status"] == "NORMAL_OPEN"
    assert (await member.get("/v2/market/status/XYZ")).code == "UDAPI1089"
    opened = (await member.get("/v2/market/status/NFO")).data["last_updated"]
    assert opened == OPEN_MS
    await member.control("/clock", {"jump": "15:31"})
    closed = (await member.get("/v2/market/status/NFO")).data
    assert closed["status"] != "NORMAL_OPEN"
    assert closed["last_updated"] == ns(DAY, "15:30") // 1_000_000


async def test_holidays_and_timings(member: Member) -> None:
    member.token = ""  # public
    rows = (await member.get("/v2/market/holidays")).data
    assert {row["date"][:4] for row in rows} == {"2025"}
    assert len(rows) > 10
    (christmas,) = (await member.get("/v2/market/holidays/2025-12-25")).data
    assert christmas["holiday_type"] == "TRADING_HOLIDAY"
    assert "NSE" in christmas["closed_exchanges"]
    assert (await member.get("/v2/market/timings/2025-12-25")).data == []
    assert (await member.get("/v2/market/timings/nonsense")).code == "UDAPI1088"
    nse = next(
        row for row in (await member.get("/v2/market/timings/2025-12-15")).data if row["exchange"] == "NSE"
    )
    assert (nse["start_time"], nse["end_time"]) == (OPEN_MS, ns(DAY, "15:30") // 1_000_000)


async def test_instrument_files_are_stored_gzip_and_want_a_user_agent(member: Member) -> None:
    base = member.sim.urls.assets + "/market-quote/instruments/exchange/"
    async with member.http.get(base + "complete.json.gz") as answer:
        assert answer.status == 200
        assert "Content-Encoding" not in answer.headers
        rows = json.loads(gzip.decompress(await answer.read()))
    assert {row["instrument_key"] for row in rows} == {SHARE, OPTION}
    async with member.http.get(base + "BSE.json.gz") as answer:
        assert json.loads(gzip.decompress(await answer.read())) == []
    async with member.http.get(base + "complete.json.gz", skip_auto_headers=["User-Agent"]) as answer:
        assert answer.status == 403
    async with member.http.get(base + "nope.json.gz") as answer:
        assert answer.status == 403


# --- control -------------------------------------------------------------------------------------------


async def test_the_clock_can_be_read_set_and_never_goes_back(member: Member) -> None:
    before = (await member.control("/clock"))["now_ms"]
    after = (await member.control("/clock", {"jump": "+5m", "speed": 10}))["now_ms"]
    assert after >= before + 300_000
    assert (await member.control("/clock"))["speed"] == 10
    assert "back" in (await member.control("/clock", {"jump": "2025-12-15T09:00"}))["error"]
    assert "no 'spede'" in (await member.control("/clock", {"spede": 2}))["error"]


def test_jumps_are_times_of_day_spans_dates_or_epochs() -> None:
    now = ns(DAY, "10:00")
    assert parse_jump("15:30", now) == ns(DAY, "15:30")
    assert parse_jump("09:15", now) == ns(date(2025, 12, 16), "09:15")
    assert parse_jump("03:29:59", now) == ns(date(2025, 12, 16), "03:30") - 1_000_000_000
    assert parse_jump("+90s", now) == now + 90_000_000_000
    assert parse_jump("2025-12-16T09:15", now) == ns(date(2025, 12, 16), "09:15")
    assert parse_jump("2025-12-16T03:45:00+00:00", now) == ns(date(2025, 12, 16), "09:15")
    assert parse_jump(now // 1_000_000 + 1, now) == now + 1_000_000
    for wrong in ("noon", "", None, "25:99"):
        with pytest.raises(UsageError):
            parse_jump(wrong, now)


def test_speeds_are_numbers_or_max() -> None:
    assert parse_speed("max") is None
    assert parse_speed("60") == 60.0
    with pytest.raises(UsageError):
        parse_speed("fast")


async def test_a_port_in_use_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        if port > 65_000:
            pytest.skip("no room above the port that was picked")
        with pytest.raises(TradeTuiError, match=f"port {port} on 127.0.0.1 is in use") as refused:
            await SimulatorServer(SimOptions(port=port)).start()
    assert refused.value.exit_code == 1
    assert "\n" not in str(refused.value)


def test_each_endpoint_has_its_own_three_windows() -> None:
    now = [0.0]
    governor = Governor(lambda: now[0])
    taken = 0
    for second in range(1800):
        now[0] = float(second)
        taken += sum(governor.take("place", ORDER_QUOTA) for _ in range(12))
    assert taken == 2000
    assert governor.take("cancel", ORDER_QUOTA)
    governor = Governor(lambda: 0.0)
    assert [governor.take("multi", ORDER_QUOTA, 6) for _ in range(2)] == [True, False]
