from __future__ import annotations

import itertools
import json
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures.raw_server import Asked, http, raw_server
from tests.fixtures.scripted_world import DAY, scripted_market
from tests.unit.exchange.support import CALL, SHARE
from tradetui.brokers.upstox.api import UpstoxApi
from tradetui.brokers.upstox.candles import CandleClient, candles_of, spans, unit_of
from tradetui.brokers.upstox.governor import Governor
from tradetui.brokers.upstox.reads import (
    day_bands,
    feed_address,
    holidays,
    last_prices,
    market_status,
    profile,
    timings,
    user_ip,
)
from tradetui.domain.calendar import Calendar, Segment, from_broker, ns
from tradetui.domain.errors import BrokerError, TransportError, UsageError
from tradetui.domain.events import DayBand
from tradetui.domain.market_data import BarSource, Candle
from tradetui.domain.money import to_price
from tradetui.exchange.rules import Band

NOON_NS = ns(date(2026, 11, 20), "12:00")
TODAY = date(2026, 11, 20)


def minute(day: date, wall: str, price: float = 100.0, volume: int = 10) -> Candle:
    start = ns(day, wall) // 1_000_000
    return Candle(-1, 60, start, price, price + 1, price - 1, price, volume, 0.0, BarSource.BROKER)


@given(st.dates(date(2015, 1, 1), date(2030, 1, 1)), st.integers(0, 2000), st.integers(1, 400))
def test_spans_cover_every_day_once_and_none_is_too_long(first: date, length: int, most: int) -> None:
    last = first + timedelta(days=length)
    cut = spans(first, last, most)
    assert (cut[0][0], cut[-1][1]) == (first, last)
    for begin, end in cut:
        assert 1 <= (end - begin).days + 1 <= most
    for (_, end), (begin, _) in itertools.pairwise(cut):
        assert begin == end + timedelta(days=1)


@pytest.mark.parametrize(
    ("seconds", "unit", "count", "days"),
    [
        (60, "minutes", 1, 28),
        (900, "minutes", 15, 28),
        (1800, "minutes", 30, 89),
        (3600, "hours", 1, 89),
        (86_400, "days", 1, 3650),
    ],
)
def test_every_interval_of_ours_can_be_asked_for(seconds: int, unit: str, count: int, days: int) -> None:
    got = unit_of(seconds)
    assert (got.unit, got.count, got.span_days) == (unit, count, days)


def test_what_cannot_be_asked_for_is_said() -> None:
    with pytest.raises(UsageError, match="Intervals: 1m"):
        unit_of(61)


def test_rows_come_out_sorted_once_each_and_only_those_asked_for() -> None:
    def row(text: str, *numbers: Any) -> list[Any]:
        return [text, *numbers]

    rows = [
        row("2026-11-20T09:16:00+05:30", 2, 3, 1, 2.5, 10, 0),
        row("2026-11-20T09:15:00+05:30", 2, 3, 1, 2.5, "10", None),
        row("2026-11-20T09:15:00+05:30", 2, 3, 1, 2.5, 11),
        row("2026-11-19T15:29:00+05:30", 2, 3, 1, 2.5, 10, 0),
        row("not a time", 2, 3, 1, 2, 10, 0),
        row("2026-11-20T09:17:00+05:30", 2, 1, 3, 2, 10, 0),
        row("2026-11-20T09:18:00+05:30", float("nan"), 3, 1, 2, 10, 0),
        row("2026-11-20T09:19:00+05:30", 2, 3, 0, 2, 10, 0),
        row("2026-11-20T09:20:00+05:30", 2, 3, 1, 2, -1, 0),
        None,
        [],
    ]
    got = candles_of(rows, 60, TODAY, TODAY)
    assert [(c.start_ms, c.volume) for c in got] == [
        (ns(TODAY, "09:15") // 10**6, 11),
        (ns(TODAY, "09:16") // 10**6, 10),
    ]
    assert got[0].source is BarSource.BROKER
    assert candles_of(None, 60, TODAY, TODAY) == []


def test_the_plan_leaves_out_the_future_and_the_time_before_data() -> None:
    client = CandleClient(None, lambda: NOON_NS)  # type: ignore[arg-type]
    assert client.plan("1m", TODAY, date(2026, 12, 31)) == [(TODAY, TODAY)]
    assert client.plan("1m", date(2026, 12, 1), date(2026, 12, 31)) == []
    assert client.plan("1m", date(2020, 1, 1), date(2022, 1, 2)) == [(date(2022, 1, 1), date(2022, 1, 2))]
    plan = client.plan("1m", date(2026, 10, 1), TODAY)
    assert plan[-1] == (TODAY, TODAY)
    assert plan[-2][1] == TODAY - timedelta(days=1)
    with pytest.raises(UsageError, match="ends before"):
        client.plan("1m", TODAY, date(2026, 1, 1))
    with pytest.raises(UsageError, match="no such interval"):
        client.plan("7m", TODAY, TODAY)


async def test_history_and_today_are_joined_and_a_forming_bar_is_left_out() -> None:
    async with scripted_market() as market:
        days = [DAY - timedelta(days=n) for n in (40, 39, 3, 2, 1)]
        market.world.past[SHARE.key] = [minute(day, wall) for day in days for wall in ("09:15", "09:16")]
        market.world.today[SHARE.key] = [minute(DAY, wall) for wall in ("09:15", "09:16", "10:00")]
        api = UpstoxApi(market.hosts)
        told: list[tuple[int, int, int]] = []
        got = await CandleClient(api, market.now_ns).fetch(
            SHARE.key, "1m", days[0], DAY, lambda *step: told.append(step)
        )
        await api.close()
    assert [c.start_ms for c in got] == [
        ns(day, wall) // 10**6 for day in [*days, DAY] for wall in ("09:15", "09:16")
    ]
    assert all(c.slot == -1 and c.interval_s == 60 for c in got)
    assert told[-1] == (3, 3, len(got))


async def test_a_failing_read_is_repeated_with_growing_pauses() -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    body = json.dumps(
        {"status": "success", "data": {"candles": [["2026-11-19T09:15:00+05:30", 1, 2, 1, 2, 5, 0]]}}
    )
    limit = json.dumps({"status": "error", "errors": [{"errorCode": "UDAPI10005", "message": "Too many"}]})
    async with raw_server(http(429, limit), http(503, "x"), http(200, ""), http(200, body)) as server:
        now, waited = 0.0, list[float]()

        async def wait(seconds: float) -> None:
            nonlocal now
            now += seconds
            waited.append(seconds)

        api = UpstoxApi(server.hosts, governor=Governor(now_s=lambda: now, sleep=wait))
        client = CandleClient(api, lambda: NOON_NS, sleep=sleep)
        got = await client.fetch(SHARE.key, "1m", date(2026, 11, 19), date(2026, 11, 19))
        assert len(got) == 1
        assert pauses == [1.0, 2.0, 4.0]
        assert waited, "after a 429 every read of this kind pauses"
        server.answers[:] = [http(503, "x")]
        with pytest.raises(TransportError):
            await client.fetch(SHARE.key, "1m", date(2026, 11, 19), date(2026, 11, 19))
        assert pauses[3:] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0]
        await api.close()


async def test_a_refusal_is_not_repeated() -> None:
    async with scripted_market() as market:
        api = UpstoxApi(market.hosts)
        with pytest.raises(BrokerError, match="Check the instrument"):
            await CandleClient(api, market.now_ns).fetch("NSE_EQ|INE000Z01010", "1m", DAY, DAY)
        await api.close()


async def test_small_reads_against_the_simulator() -> None:
    async with scripted_market() as market:
        market.normal(SHARE.key)
        market.normal(CALL.key, 55.0)
        api = UpstoxApi(market.hosts, market.token())
        assert (await profile(api)).user_id
        assert (await user_ip(api)).primary == "127.0.0.1"
        assert (await market_status(api, "NSE"))[0] == "NORMAL_OPEN"
        assert (await feed_address(api)).startswith("ws://127.0.0.1:")
        prices = await last_prices(api, [SHARE.key, CALL.key])
        assert {key: last.price for key, last in prices.items()} == {SHARE.key: 100.0, CALL.key: 55.0}
        told = from_broker(
            Calendar.default(), holidays=await holidays(api), timings={DAY: await timings(api, DAY)}
        )
        assert told.is_regular_day(Segment.EQ_OTHER, DAY)
        await api.close()


async def test_price_bands_are_read_and_what_has_none_is_left_out() -> None:
    rows = {
        "NSE_EQ:A": {
            "instrument_token": "NSE_EQ|A",
            "lower_circuit_limit": 90.0,
            "upper_circuit_limit": 110.05,
        },
        "NSE_EQ:B": {"instrument_token": "NSE_EQ|B", "lower_circuit_limit": 0.0, "upper_circuit_limit": 0.0},
        "NSE_EQ:C": {
            "instrument_token": "NSE_EQ|C",
            "lower_circuit_limit": 12.0,
            "upper_circuit_limit": 10.0,
        },
        "NSE_EQ:D": {"instrument_token": "NSE_EQ|D", "last_price": 5.0},
        "NSE_EQ:E": {"instrument_token": "NSE_EQ|E", "lower_circuit_limit": "x", "upper_circuit_limit": None},
    }
    asked: list[str] = []

    def choose(request: Asked) -> bytes:
        asked.append(request.target.partition("?")[0])
        return http(200, json.dumps({"status": "success", "data": rows}))

    async with raw_server(choose=choose) as server:
        api = UpstoxApi(server.hosts, server.token)
        got = await day_bands(api, ["NSE_EQ|A"])
        await api.close()
    assert got == [DayBand("NSE_EQ|A", to_price(90), to_price("110.05"))]
    assert asked == ["/v2/market-quote/quotes"]


async def test_bands_of_the_simulator_are_those_its_exchange_goes_by() -> None:
    async with scripted_market() as market:
        market.normal(SHARE.key)
        api = UpstoxApi(market.hosts, market.token())
        (morning,) = await day_bands(api, [SHARE.key])
        venue = market.venue
        venue.report(
            venue.exchange.narrow_band(SHARE.key, Band(to_price(97), to_price(103)), market.now_ns())
        )
        (reset,) = await day_bands(api, [SHARE.key])
        await api.close()
    assert morning.low < to_price(97) < to_price(103) < morning.high
    assert (reset.low, reset.high) == (to_price(97), to_price(103))


async def test_one_bad_key_does_not_cost_the_others() -> None:
    def choose(asked: Asked) -> bytes:
        if "BAD" in asked.target:
            return http(400, json.dumps({"status": "error", "errors": [{"errorCode": "UDAPI1087"}]}))
        keys = asked.target.partition("instrument_key=")[2].split("%2C")
        rows = {
            f"NSE_EQ:{at}": {"last_price": 5.0, "instrument_token": key.replace("%7C", "|")}
            for at, key in enumerate(keys)
        }
        return http(200, json.dumps({"status": "success", "data": rows}))

    keys = [f"NSE_EQ|GOOD{n}" for n in range(7)]
    async with raw_server(choose=choose) as server:
        api = UpstoxApi(server.hosts, server.token)
        got = await last_prices(api, [*keys[:3], "NSE_EQ|BAD", *keys[3:]])
        assert sorted(got) == keys
        assert await last_prices(api, ["NSE_EQ|BAD"]) == {}
        assert await last_prices(api, []) == {}
        await api.close()
