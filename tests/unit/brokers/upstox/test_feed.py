"""The feed client against a server that misbehaves as the script says (cases F)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.fixtures.feed_server import (
    PATIENCE_S,
    Collector,
    ScriptedConnection,
    ScriptedServer,
    scripted_server,
)
from tests.fixtures.upstox_frames import KEYS, SLOTS, frame, full_tick, market_info, snapshot
from tradetui.brokers.upstox.feed import UpstoxFeed
from tradetui.brokers.upstox.hosts import Hosts
from tradetui.brokers.upstox.link import Backoff
from tradetui.domain.errors import AuthError, BrokerError, RateLimited, TransportError
from tradetui.domain.events import FeedState, MarketStatusEvent, TickEvent
from tradetui.domain.market_data import FrameKind, Px
from tradetui.ports import FeedMode

LOOPBACK = Hosts("http://127.0.0.1:1", "http://127.0.0.1:1", "ws://127.0.0.1:1", "http://127.0.0.1:1")
A, B, C = KEYS[:3]
FULL, LTPC, GREEKS = FeedMode.FULL, FeedMode.LTPC, FeedMode.OPTION_GREEKS


class StepClock:
    """Shows what `follow` was told last, in ns."""

    def __init__(self) -> None:
        self.ns = 5

    def now_ns(self) -> int:
        return self.ns

    def follow(self, server_ms: int) -> None:
        self.ns = server_ms * 1_000_000

    async def sleep_until(self, t_ns: int) -> None:
        raise AssertionError("the feed never waits on the engine's clock")


class Bench:
    """A server, a feed, its sink and what the feed slept."""

    def __init__(self, server: ScriptedServer, **options: Any) -> None:
        self.server = server
        self.sink = Collector()
        self.clock = StepClock()
        self.pauses: list[float] = []
        self.recorded: list[tuple[int, bytes]] = []
        self.asked = 0
        self.refusals: list[Exception] = []
        self.addresses: list[str] = []
        self.feed = UpstoxFeed(
            options.pop("hosts", LOOPBACK),
            self.authorize,
            SLOTS,
            self.clock,
            on_frame=lambda t_ns, raw: self.recorded.append((t_ns, raw)),
            on_server_time=self.clock.follow,
            sleep=self.sleep,
            chance=lambda: 0.0,
            **options,
        )
        self.task: asyncio.Task[None] | None = None

    async def authorize(self) -> str:
        self.asked += 1
        if self.refusals:
            raise self.refusals.pop(0)
        return self.addresses.pop(0) if self.addresses else self.server.url

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)

    def start(self) -> asyncio.Task[None]:
        self.task = asyncio.create_task(self.feed.run(self.sink))
        return self.task


@asynccontextmanager
async def bench(**options: Any) -> AsyncIterator[Bench]:
    async with scripted_server() as server:
        made = Bench(server, **options)
        yield made
        if made.task is not None:
            made.task.cancel()
            await asyncio.gather(made.task, return_exceptions=True)


async def hold(connection: ScriptedConnection) -> None:
    """Answer every request until the client goes."""
    async for _ in _requests(connection):
        pass


async def _requests(connection: ScriptedConnection) -> AsyncIterator[dict[str, Any]]:
    from websockets.exceptions import ConnectionClosed

    while True:
        try:
            yield await connection.answer()
        except ConnectionClosed:
            return


async def eventually(condition: Callable[[], bool]) -> None:
    """Let other tasks run until ``condition`` holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - looks at other objects, which announce nothing
            await asyncio.sleep(0.001)


# ---- the good day ----------------------------------------------------------------------------------------


async def test_frames_become_events_stamped_with_the_exchange_s_time() -> None:
    async with bench() as b:

        async def act(connection: ScriptedConnection) -> None:
            await connection.send(market_info(900, NSE_EQ=2))
            await connection.answer(1_000)
            await connection.send(frame({A: full_tick(101.5, 1_400, 12)}, 1_500))
            await hold(connection)

        b.server.acts.append(act)
        b.feed.subscribe({A: FULL, B: FULL})
        b.start()
        await b.sink.until(lambda: len(b.sink.ticks) == 2)
        status = next(event for event in b.sink.events if isinstance(event, MarketStatusEvent))
        first, second = b.sink.ticks
    assert status.status == (("NSE_EQ", "NORMAL_OPEN"),)
    assert (status.t_ns, first.t_ns, second.t_ns) == (900_000_000, 1_000_000_000, 1_500_000_000)
    assert first.batch.kind is FrameKind.SNAPSHOT
    assert second.batch.kind is FrameKind.LIVE
    assert second.batch.slot.tolist() == [SLOTS[A]]
    assert second.batch.px[0, Px.LTP] == 101.5
    assert b.sink.states == [FeedState.CONNECTING, FeedState.UP]
    assert b.feed.last_message_ns == 1_500_000_000
    assert b.feed.received_ns > 0
    assert [t_ns for t_ns, _ in b.recorded] == [900_000_000, 1_000_000_000, 1_500_000_000]
    counters = b.feed.counters()
    assert (counters["frames"], counters["ticks"], counters["bad_frames"], counters["dropped"]) == (
        3,
        3,
        0,
        0,
    )
    assert b.feed.silent_keys(0.0) == ()


async def test_requests_are_differences_in_batches() -> None:
    async with bench() as b:
        asked: list[tuple[str, str | None, tuple[str, ...]]] = []
        many = {f"NSE_FO|{number}": LTPC for number in range(1_100)}

        async def act(connection: ScriptedConnection) -> None:
            async for body in _requests(connection):
                asked.append(
                    (body["method"], body["data"].get("mode"), tuple(body["data"]["instrumentKeys"]))
                )
                assert body["guid"]

        b.server.acts.append(act)
        b.feed.subscribe({A: FULL, B: LTPC})
        b.start()
        await eventually(lambda: len(asked) == 2)
        assert asked == [("sub", "full", (A,)), ("sub", "ltpc", (B,))]
        asked.clear()
        b.feed.subscribe({A: FULL, B: GREEKS, C: LTPC})
        await eventually(lambda: len(asked) == 2)
        assert asked == [("change_mode", "option_greeks", (B,)), ("sub", "ltpc", (C,))]
        asked.clear()
        b.feed.unsubscribe([A, "NSE_EQ|never asked"])
        await eventually(lambda: len(asked) == 1)
        assert asked == [("unsub", None, (A,))]
        asked.clear()
        b.feed.subscribe(many)
        await eventually(lambda: len(asked) == 3)
        assert [len(keys) for _, _, keys in asked] == [500, 500, 100]
        assert {key for _, _, keys in asked for key in keys} == set(many)


async def test_keys_beyond_the_broker_s_limit_are_not_asked_for_and_named() -> None:
    async with bench() as b:
        got: list[str] = []

        async def act(connection: ScriptedConnection) -> None:
            async for body in _requests(connection):
                got.extend(body["data"]["instrumentKeys"])

        b.server.acts.append(act)
        b.feed.subscribe({f"NSE_FO|{number}": FULL for number in range(2_003)})
        b.start()
        await eventually(lambda: len(got) == 2_000)
        assert b.feed.over_limit_keys() == ("NSE_FO|2000", "NSE_FO|2001", "NSE_FO|2002")
        assert b.feed.counters()["over_limit"] == 3


async def test_keys_without_a_snapshot_are_named() -> None:
    async with bench() as b:

        async def act(connection: ScriptedConnection) -> None:
            await connection.take()
            await connection.send(snapshot([A]))
            await connection.send(frame({B: full_tick(5.0, 1, 1)}))
            await connection.wait_closed()

        b.server.acts.append(act)
        b.feed.subscribe({A: FULL, B: FULL, "NSE_EQ|INEXXXA01011": FULL})
        b.start()
        await b.sink.until(lambda: len(b.sink.ticks) == 2)
        assert b.feed.silent_keys(0.0) == (B, "NSE_EQ|INEXXXA01011")
        assert b.feed.silent_keys(3_600.0) == ()


async def test_a_flood_leaves_turns_for_others() -> None:
    async with bench() as b:
        turns = 0

        async def act(connection: ScriptedConnection) -> None:
            payload = frame({A: full_tick(9.0, 1, 1)}, 1)
            for _ in range(4_000):
                await connection.send(payload)
            await connection.wait_closed()

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        b.server.acts.append(act)
        b.start()
        await b.sink.until(lambda: len(b.sink.ticks) >= 1)
        competitor = asyncio.create_task(other())
        start = len(b.sink.ticks)
        await b.sink.until(lambda: len(b.sink.ticks) == 4_000)
        competitor.cancel()
        assert turns >= (4_000 - start) // 16


async def test_cancelling_says_goodbye_to_the_server() -> None:
    async with bench() as b:
        task = b.start()
        await b.sink.until_state(FeedState.UP)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(PATIENCE_S):
            await b.server.gone.wait()
        assert b.server.connections[0].close_code == 1000


# ---- lost and found --------------------------------------------------------------------------------------


async def drop(connection: ScriptedConnection) -> None:
    """Answer one request, then pull the plug."""
    await connection.answer()
    connection.transport.abort()


async def test_F3_a_dropped_link_is_made_anew_with_every_subscription_and_a_fresh_address() -> None:
    async with bench() as b:
        again: dict[str, list[str]] = {}

        async def second(connection: ScriptedConnection) -> None:
            async for body in _requests(connection):
                again[body["data"]["mode"]] = body["data"]["instrumentKeys"]

        b.server.acts += [drop, second]
        b.feed.subscribe({A: FULL, B: LTPC, C: GREEKS})
        b.start()
        down = await b.sink.until_state(FeedState.DOWN)
        await eventually(lambda: len(again) == 3)
        assert again == {"full": [A], "ltpc": [B], "option_greeks": [C]}
        assert "1006" in down.reason
        assert down.attempt == 1
        assert b.asked == 2
        assert len(set(b.server.paths)) == 2
        assert not any("authorization" in {name.lower() for name in got} for got in b.server.headers)
        assert b.feed.counters()["reconnects"] == 1
        assert b.sink.states[:5] == [
            FeedState.CONNECTING, FeedState.UP, FeedState.DOWN, FeedState.CONNECTING, FeedState.UP,
        ]  # fmt: skip


async def test_changes_made_while_the_link_is_down_are_told_afterwards() -> None:
    async with bench() as b:
        told: list[list[str]] = []

        async def second(connection: ScriptedConnection) -> None:
            async for body in _requests(connection):
                told.append(body["data"]["instrumentKeys"])  # noqa: PERF401 - as they come, not at the end

        b.server.acts += [drop, second]
        b.feed.subscribe({A: FULL})

        def on_down(event: object) -> None:
            b.sink(event)  # type: ignore[arg-type]
            if len(b.sink.said(FeedState.DOWN)) == 1 and not told:
                b.feed.unsubscribe([A])
                b.feed.subscribe({B: FULL})

        b.task = asyncio.create_task(b.feed.run(on_down))
        await eventually(lambda: bool(told))
        assert told == [[B]]


async def test_a_clean_close_is_not_the_end() -> None:
    async with bench() as b:
        b.server.acts += [lambda connection: connection.close(1000, "bye\x1b[2J"), hold]
        b.start()
        down = await b.sink.until_state(FeedState.DOWN)
        await b.sink.until_state(FeedState.UP, 2)
        assert down.reason == "closed by the broker (1000: bye[2J)"


async def test_the_end_of_a_recording_ends_the_stream_after_its_last_frame() -> None:
    async with bench() as b:

        async def act(connection: ScriptedConnection) -> None:
            for number in range(500):
                await connection.send(frame({A: full_tick(5.0, number, number)}, number))
            await connection.close(1000, "end of recording")

        b.server.acts.append(act)
        async with asyncio.timeout(PATIENCE_S):
            await b.start()
        assert len(b.sink.ticks) == 500
        assert b.sink.states == [FeedState.CONNECTING, FeedState.UP, FeedState.ENDED]
        assert b.asked == 1


async def test_a_real_broker_cannot_end_the_stream_that_way() -> None:
    class Elsewhere:
        """Takes the loopback server for a broker on the network."""

        is_loopback = False

        def check_stream_url(self, url: str) -> str:
            return url

    async with bench(hosts=Elsewhere()) as b:
        b.server.acts += [lambda connection: connection.close(1000, "end of recording"), hold]
        b.start()
        await b.sink.until_state(FeedState.UP, 2)
        assert FeedState.ENDED not in b.sink.states


async def test_F2_silence_without_pongs_is_a_dead_link() -> None:
    async with bench(ping_interval_s=0.02, dead_after_s=0.15) as b:

        async def deaf(connection: ScriptedConnection) -> None:
            await connection.answer()
            transport: Any = connection.transport
            transport.pause_reading()
            await b.sink.until_state(FeedState.UP, 2)
            connection.transport.abort()

        b.server.acts += [deaf, hold]
        b.feed.subscribe({A: FULL})
        b.start()
        down = await b.sink.until_state(FeedState.DOWN)
        await b.sink.until_state(FeedState.UP, 2)
        assert down.reason == "no sign of life for 0.15 s, pings included"


async def test_F1_a_quiet_market_with_pongs_is_not_a_dead_link() -> None:
    async with bench(ping_interval_s=0.02, dead_after_s=0.2) as b:
        b.server.acts.append(hold)
        b.feed.subscribe({A: FULL})
        b.start()
        await eventually(lambda: bool(b.server.connections) and b.server.connections[0].pings >= 20)
        assert b.sink.states == [FeedState.CONNECTING, FeedState.UP]


async def test_the_stall_alarm_can_ask_for_a_new_connection() -> None:
    async with bench() as b:
        b.start()
        b.feed.reconnect("not connected yet: nothing to drop")
        await b.sink.until_state(FeedState.UP)
        b.feed.reconnect("no data for 60 s in an open market")
        down = await b.sink.until_state(FeedState.DOWN)
        await b.sink.until_state(FeedState.UP, 2)
        assert down.reason == "no data for 60 s in an open market"


# ---- refused ---------------------------------------------------------------------------------------------


async def test_F10_401_at_the_door_ends_the_stream() -> None:
    async with bench() as b:
        b.server.statuses.append(401)
        with pytest.raises(AuthError, match="log in again"):
            await b.start()
        assert b.sink.states == [FeedState.CONNECTING, FeedState.REFUSED]
        assert b.pauses == []


async def test_F10_a_token_revoked_in_mid_stream_ends_the_stream_at_the_next_authorize() -> None:
    async with bench() as b:
        b.server.acts.append(drop)
        b.feed.subscribe({A: FULL})
        task = b.start()
        await b.sink.until_state(FeedState.UP)
        b.refusals.append(AuthError("the token has expired", "log in again: tradetui auth"))
        with pytest.raises(AuthError, match="expired"):
            await task
        assert b.sink.states[-2:] == [FeedState.CONNECTING, FeedState.REFUSED]


@pytest.mark.parametrize(
    ("status", "words"), [(403, "too many connections"), (423, "locked"), (429, "attempts")]
)
async def test_F10_refusals_that_haste_makes_worse_are_tried_again_slowly(status: int, words: str) -> None:
    async with bench() as b:
        b.server.statuses += [status, status, None]
        b.start()
        down = await b.sink.until_state(FeedState.DOWN)
        await b.sink.until_state(FeedState.UP)
        assert words in down.reason
        assert str(status) in down.reason
        assert b.pauses == [15.0, 15.0]
        assert b.asked == 3


async def test_other_refusals_are_tried_again_at_the_usual_pace() -> None:
    async with bench() as b:
        b.server.statuses += [503, 502, 500, None]
        b.start()
        await b.sink.until_state(FeedState.UP)
        assert b.pauses == [0.5, 1.0, 2.0]
        assert [event.attempt for event in b.sink.said(FeedState.DOWN)] == [1, 2, 3]


async def test_a_failing_authorize_is_tried_again() -> None:
    async with bench() as b:
        b.refusals += [
            TransportError("no route to the broker"),
            RateLimited("too many requests", "UDAPI10005", 429),
            BrokerError("static IP not registered", "UDAPI1154", 403),
            ConnectionResetError(104, "Connection reset by peer"),
        ]
        b.start()
        await b.sink.until_state(FeedState.UP)
        assert b.pauses == [0.5, 15.0, 15.0, 4.0]
        reasons = [event.reason for event in b.sink.said(FeedState.DOWN)]
        assert "static IP" in reasons[2]
        assert reasons[3] == "the broker cannot be reached: Connection reset by peer"


@pytest.mark.parametrize(
    "address",
    [
        "wss://elsewhere.example/feed?code=secret",
        "ws://192.0.2.7/feed?code=secret",
        "http://127.0.0.1/feed?code=secret",
        "ws://127.0.0.1:99999/feed?code=secret",
        "",
    ],
)
async def test_a_simulator_cannot_send_us_elsewhere(address: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with bench() as b:
        b.addresses.append(address)
        b.start()
        down = await b.sink.until_state(FeedState.DOWN)
        await b.sink.until_state(FeedState.UP)
        assert "secret" not in down.reason
        assert b.pauses == [15.0]
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("tradetui")]
    assert ours
    assert not any("secret" in line for line in ours)


async def test_a_redirect_at_the_door_cannot_send_us_elsewhere() -> None:
    async with bench() as b:
        b.server.statuses += [(302, "wss://elsewhere.example/feed?code=secret"), None]
        b.start()
        down = await b.sink.until_state(FeedState.DOWN)
        await b.sink.until_state(FeedState.UP)
        assert down.reason == "the feed was redirected off this machine; refused"


async def test_a_redirect_on_this_machine_is_followed() -> None:
    async with bench() as b:
        b.server.statuses += [(302, "/other"), None]
        b.start()
        await b.sink.until_state(FeedState.UP)
        assert b.server.paths[1] == "/other"
        assert FeedState.DOWN not in b.sink.states


async def test_a_closed_port_is_tried_again() -> None:
    async with bench() as b:
        b.addresses.append("ws://127.0.0.1:1/feed?code=secret")
        b.start()
        down = await b.sink.until_state(FeedState.DOWN)
        await b.sink.until_state(FeedState.UP)
        assert down.reason.startswith("the feed cannot be reached: ")
        assert "secret" not in down.reason


async def test_an_established_connection_starts_the_pauses_anew() -> None:
    async with bench(stable_s=0.0) as b:
        b.server.statuses += [503, 503, None, 503, None]
        b.server.acts += [drop, hold]
        b.feed.subscribe({A: FULL})
        b.start()
        await b.sink.until_state(FeedState.UP, 2)
        assert b.pauses == [0.5, 1.0, 0.5, 1.0]


async def test_a_server_that_lets_in_and_throws_out_is_not_hammered() -> None:
    async with bench() as b:
        b.server.acts += [lambda connection: connection.close(1011, "overload")] * 4
        b.start()
        await b.sink.until_state(FeedState.UP, 5)
        assert b.pauses == [0.5, 1.0, 2.0, 4.0]


# ---- odd frames ------------------------------------------------------------------------------------------


async def test_frames_that_are_no_feed_messages_are_counted_and_the_stream_goes_on() -> None:
    async with bench() as b:
        good = frame({A: full_tick(5.0, 1, 1)}, 7)

        async def act(connection: ScriptedConnection) -> None:
            for bad in (good[:20], b"\xff" * 40, bytes(10_000_001)):
                await connection.send(bad)
            await connection.send(frame({A: full_tick(float("nan"), 1, 1), B: full_tick(6.0, 1, 1)}, 8))
            await connection.send(good)
            await connection.wait_closed()

        b.server.acts.append(act)
        b.start()
        await b.sink.until(lambda: len(b.sink.ticks) == 2)
        counters = b.feed.counters()
        assert (counters["frames"], counters["bad_frames"], counters["bad_rows"]) == (5, 3, 1)
        assert b.sink.states == [FeedState.CONNECTING, FeedState.UP]
        assert len(b.recorded) == 5


async def test_a_message_no_feed_would_send_ends_the_connection() -> None:
    async with bench() as b:

        async def act(connection: ScriptedConnection) -> None:
            await connection.send(bytes(16 * 1024 * 1024 + 1))
            await connection.wait_closed()

        b.server.acts += [act, hold]
        b.start()
        down = await b.sink.until_state(FeedState.DOWN)
        await b.sink.until_state(FeedState.UP, 2)
        assert "16 MB" in down.reason
        assert b.feed.counters()["bad_frames"] == 1


async def test_text_frames_are_not_data_and_refusals_are_logged_clean(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "tradetui")
    async with bench() as b:

        async def act(connection: ScriptedConnection) -> None:
            await connection.send(
                '{"status":"error","method":"sub","error":"limit \\u001b[31mreached\\u202e"}'
            )
            await connection.send("hello")
            await connection.send(frame({A: full_tick(5.0, 1, 1)}, 7))
            await connection.wait_closed()

        b.server.acts.append(act)
        b.start()
        await b.sink.until(lambda: len(b.sink.ticks) == 1)
        assert b.feed.counters()["texts"] == 2
    assert "the broker refused sub: limit [31mreached" in caplog.text
    assert "\x1b" not in caplog.text


async def test_a_frame_of_unknown_instruments_is_no_event() -> None:
    async with bench() as b:

        async def act(connection: ScriptedConnection) -> None:
            await connection.send(frame({KEYS[7]: full_tick(5.0, 1, 1)}, 7))
            await connection.send(frame({A: full_tick(5.0, 1, 1)}, 8))
            await connection.wait_closed()

        b.server.acts.append(act)
        b.start()
        await b.sink.until(lambda: len(b.sink.ticks) == 1)
        assert isinstance(b.sink.events[-1], TickEvent)
        assert b.feed.counters()["unknown_keys"] == 1


async def test_an_error_in_the_engine_is_not_taken_for_a_lost_link() -> None:
    async with bench() as b:
        b.server.acts.append(hold)
        b.feed.subscribe({A: FULL})

        def broken(event: object) -> None:
            if isinstance(event, TickEvent):
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await b.feed.run(broken)


def test_pauses_grow_to_the_cap_and_stay_above_half() -> None:
    backoff = Backoff(base_s=0.5, cap_s=30.0, slow_s=15.0)
    assert [backoff.pause_s(n, False, 0.0) for n in (1, 2, 3, 7, 1_000)] == [0.5, 1.0, 2.0, 30.0, 30.0]
    assert backoff.pause_s(1, True, 0.0) == 15.0
    assert backoff.pause_s(1_000, True, 0.999_999) == pytest.approx(15.0, rel=1e-4)
