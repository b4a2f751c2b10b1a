"""Past bars in bulk: blocks out of answers, spans inside the broker's limits, bounded attempts."""

from __future__ import annotations

import calendar
import json
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures.raw_server import Asked, http, raw_server
from tradetui.brokers.upstox.api import UpstoxApi
from tradetui.brokers.upstox.candles import candles_of
from tradetui.brokers.upstox.governor import Governor, Window
from tradetui.brokers.upstox.past_bars import (
    PastBars,
    block_of,
    data_since,
    earliest_of,
    expired_word,
    has_today,
    period_end,
)
from tradetui.domain.calendar import ns
from tradetui.domain.errors import BrokerError, RateLimited, TransportError, UsageError

DAY = date(2026, 11, 19)
TODAY = date(2026, 11, 20)
NOON_NS = ns(TODAY, "12:00")
KEY = "NSE_EQ|INE002A01018"


def row(wall: str, price: float = 100.0, volume: Any = 10, day: date = DAY) -> list[Any]:
    return [f"{day}T{wall}:00+05:30", price, price + 1, price - 1, price, volume, 0]


# --- spans --------------------------------------------------------------------------------------------


def add_months(day: date, count: int) -> date:
    month = day.year * 12 + day.month - 1 + count
    year, index = divmod(month, 12)
    return date(year, index + 1, min(day.day, calendar.monthrange(year, index + 1)[1]))


@given(
    st.dates(date(2022, 6, 1), date(2035, 1, 1)),
    st.sampled_from([("1m", 1), ("15m", 1), ("30m", 3), ("1h", 3)]),
)
def test_no_span_is_longer_than_the_broker_allows_and_hardly_any_shorter(
    last: date, kind: tuple[str, int]
) -> None:
    interval, months = kind
    first = earliest_of(interval)(last)
    assert add_months(first, months) >= last  # the broker's own rule
    assert (last - first).days + 1 >= 28 * months


def test_days_go_back_a_decade_and_weeks_and_months_to_the_beginning() -> None:
    assert earliest_of("1d")(date(2026, 11, 20)) == date(2016, 11, 21)
    assert earliest_of("1d")(date(2004, 1, 1)) == date(2000, 1, 1)
    assert earliest_of("1w")(TODAY) == earliest_of("1M")(TODAY) == date(2000, 1, 1)
    assert (data_since("1m"), data_since("1M")) == (date(2022, 1, 1), date(2000, 1, 1))
    assert (has_today("1m"), has_today("1d"), has_today("1w")) == (True, False, False)


def test_an_interval_that_the_broker_lacks_is_said() -> None:
    with pytest.raises(UsageError, match="7x"):
        earliest_of("7x")
    assert expired_word("30m") == "30minute"
    with pytest.raises(UsageError, match="no 1h bars"):
        expired_word("1h")


def test_periods_end_with_their_last_date() -> None:
    assert period_end("1d", DAY) == DAY
    assert period_end("1w", date(2026, 11, 16)) == date(2026, 11, 22)
    assert period_end("1M", date(2026, 12, 1)) == date(2026, 12, 31)
    assert period_end("1M", date(2028, 2, 1)) == date(2028, 2, 29)


# --- reading ------------------------------------------------------------------------------------------


def test_an_answer_becomes_columns_oldest_first() -> None:
    block = block_of([row("09:17", 102.5), row("09:16", 101.0, 7), row("09:15")], DAY, DAY)
    assert block.start_ms.tolist() == [ns(DAY, wall) // 1_000_000 for wall in ("09:15", "09:16", "09:17")]
    assert (block.open.tolist(), block.volume.tolist()) == ([100.0, 101.0, 102.5], [10, 7, 10])
    assert block.odd_ms == ()
    assert len(block_of([], DAY, DAY)) == 0


def test_rows_of_other_days_and_doubles_are_left_out() -> None:
    rows = [
        row("09:15", 5.0),
        row("15:29", day=DAY - timedelta(days=1)),
        row("09:15", 6.0),
        row("09:14", 7.0),
    ]
    block = block_of(rows, DAY, DAY)
    assert (len(block), block.open.tolist()) == (2, [7.0, 6.0])


@pytest.mark.parametrize(
    "odd",
    [
        ["nonsense", 1, 1, 1, 1, 1, 0], [], None, 7, row("09:16", float("nan")), row("09:16", -3.0),
        row("09:16", volume=-1), row("09:16", volume="many"), [*row("09:16")[:2], 5.0, 9.0, 7.0, 1, 0],
        [None, *row("09:16")[1:]], [*row("09:16")[:1], True, 2, 1, 1, 1, 0], {"a": 1},
    ],
)  # fmt: skip
def test_a_row_without_sense_is_named_and_costs_nobody_else(odd: Any) -> None:
    block = block_of([row("09:17"), odd, row("09:15")], DAY, DAY)
    assert block.start_ms.tolist() == [ns(DAY, "09:15") // 1_000_000, ns(DAY, "09:17") // 1_000_000]
    assert len(block.odd_ms) == 1
    assert block.odd_ms[0] in (-1, ns(DAY, "09:16") // 1_000_000)


_price = st.integers(1, 10_000_000).map(lambda ticks: ticks / 20)


@given(
    st.lists(
        st.tuples(st.integers(0, 374), _price, _price, _price, _price, st.integers(0, 10**9)), max_size=30
    ),
    st.booleans(),
)
def test_columns_agree_with_objects_row_for_row(found: list[tuple[Any, ...]], texts: bool) -> None:
    rows = []
    for minute, opened, high, low, close, volume in found:
        wall = f"{(555 + minute) // 60:02d}:{(555 + minute) % 60:02d}"
        figures: list[Any] = [opened, max(opened, high, low, close), min(opened, high, low, close), close]
        rows.append([f"{DAY}T{wall}:00+05:30", *figures, str(volume) if texts else volume, 0])
    block, objects = block_of(rows, DAY, DAY), candles_of(rows, 60, DAY, DAY)
    assert block.start_ms.tolist() == [one.start_ms for one in objects]
    for name in ("open", "high", "low", "close", "volume"):
        assert getattr(block, name).tolist() == [getattr(one, name) for one in objects]


def test_a_month_of_minutes_is_read_by_columns_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    import tradetui.brokers.upstox.past_bars as module

    monkeypatch.setattr(module, "_slow", lambda rows: pytest.fail("row by row"))
    rows = [row(f"{(555 + m) // 60:02d}:{(555 + m) % 60:02d}") for m in range(375)][::-1]
    assert len(block_of(rows, DAY, DAY)) == 375


# --- asking -------------------------------------------------------------------------------------------


async def no_wait(seconds: float) -> None:
    return None


def answer(rows: Any) -> bytes:
    return http(200, json.dumps({"status": "success", "data": rows}))


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (http(503, "{}"), "HTTP 503"),
        (http(200, '{"status": "success", "data": {"can'), "makes no sense"),
        (answer({"rows": []}), "no rows of bars"),
        (answer({"candles": {"a": 1}}), "no rows of bars"),
        (http(200, "<!DOCTYPE html><html></html>"), "a web page"),
    ],
)
async def test_an_answer_without_sense_is_asked_for_again(bad: bytes, why: str) -> None:
    answers = [bad, bad, answer({"candles": [row("09:15")]})]
    told: list[str] = []
    async with raw_server(choose=lambda asked: answers.pop(0)) as server:
        api = UpstoxApi(server.hosts)
        client = PastBars(api, lambda: NOON_NS, sleep=no_wait)
        got = await client.fetch(KEY, "1m", DAY, DAY, lambda words, wait: told.append(words))
        await api.close()
    assert (len(got.block), got.attempts) == (1, 3)
    assert len(told) == 2
    assert why in told[0]


async def test_attempts_are_bounded() -> None:
    asked: list[Asked] = []

    def fail(one: Asked) -> bytes:
        asked.append(one)
        return http(502, "")

    async with raw_server(choose=fail) as server:
        api = UpstoxApi(server.hosts)
        client = PastBars(api, lambda: NOON_NS, sleep=no_wait, pauses_s=(0.1, 0.2))
        assert client.attempts == 3
        with pytest.raises(TransportError):
            await client.fetch(KEY, "1m", DAY, DAY)
        await api.close()
    assert len(asked) == 3


async def test_no_data_is_an_answer_and_a_refusal_is_not_repeated() -> None:
    refusal = json.dumps({"status": "error", "errors": [{"error_code": "UDAPI100011", "message": "Invalid"}]})
    answers = [answer(None), answer({"candles": None}), http(400, refusal)]
    async with raw_server(choose=lambda asked: answers.pop(0)) as server:
        api = UpstoxApi(server.hosts)
        client = PastBars(api, lambda: NOON_NS, sleep=no_wait)
        assert len((await client.fetch(KEY, "1m", DAY, DAY)).block) == 0
        assert len((await client.fetch(KEY, "1m", DAY, DAY)).block) == 0
        with pytest.raises(BrokerError, match="Invalid"):
            await client.fetch(KEY, "1m", DAY, DAY)
        await api.close()


async def test_a_forming_bar_is_left_out() -> None:
    rows = [row("12:00", day=TODAY), row("11:59", day=TODAY), row("09:15", day=TODAY)]
    paths: list[str] = []

    def give(asked: Asked) -> bytes:
        paths.append(asked.target)
        return answer({"candles": rows})

    async with raw_server(choose=give) as server:
        api = UpstoxApi(server.hosts)
        block = (await PastBars(api, lambda: NOON_NS).fetch(KEY, "1m", TODAY, TODAY)).block
        await api.close()
    assert block.start_ms.tolist() == [ns(TODAY, "09:15") // 1_000_000, ns(TODAY, "11:59") // 1_000_000]
    assert "/intraday/" in paths[0]


async def test_a_week_that_is_not_over_is_left_out() -> None:
    weeks = [row("00:00", day=date(2026, 11, 16)), row("00:00", day=date(2026, 11, 9))]
    async with raw_server(choose=lambda asked: answer({"candles": weeks})) as server:
        api = UpstoxApi(server.hosts)
        block = (await PastBars(api, lambda: NOON_NS).fetch(KEY, "1w", date(2026, 11, 1), DAY)).block
        await api.close()
    assert block.start_ms.tolist() == [ns(date(2026, 11, 9), "00:00") // 1_000_000]


async def test_an_expired_contract_is_asked_for_by_its_own_path() -> None:
    paths: list[str] = []

    def give(asked: Asked) -> bytes:
        paths.append(asked.target)
        return answer({"candles": []})

    async with raw_server(choose=give) as server:
        api = UpstoxApi(server.hosts)
        with pytest.raises(Exception, match="not logged in"):
            await PastBars(api, lambda: NOON_NS).fetch("NSE_FO|1|30-10-2026", "1m", DAY, DAY)
        await api.close()
    assert paths == []


@pytest.mark.parametrize(
    ("said", "expected"), [("Retry-After: 2", 2.0), ("", 30.0), ("Retry-After: soon", 30.0)]
)
async def test_a_429_pauses_for_as_long_as_the_broker_says_or_half_a_minute(
    said: str, expected: float
) -> None:
    refusal = json.dumps({"status": "error", "errors": [{"error_code": "UDAPI10005", "message": "Too many"}]})
    governor = Governor(reads=(Window(1.1, 50, 50),))
    async with raw_server(http(429, refusal, extra=[said] if said else [])) as server:
        api = UpstoxApi(server.hosts, governor=governor)
        with pytest.raises(RateLimited):
            await PastBars(api, lambda: NOON_NS, sleep=no_wait, pauses_s=()).fetch(KEY, "1m", DAY, DAY)
        paused = max(budget.pause_s for budget in governor.budgets())
        await api.close()
    assert expected - 1 < paused <= expected
