"""R7: a login that ends while a run goes on, and the next one taken up without a restart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.fixtures.engine_rig import TEN_NS
from tests.unit.runtime.parts import Bench
from tradetui.brokers.upstox.tokens import AccessToken
from tradetui.domain.errors import AuthError
from tradetui.domain.events import FeedEvent, FeedState
from tradetui.domain.secret import Secret
from tradetui.runtime import core
from tradetui.runtime.core import Runtime
from tradetui.wiring.login import Login


@dataclass
class FakeLogin:
    """A login whose end, and whose successor, a test decides."""

    ended: str = ""
    expires_ns: int = TEN_NS + 10**15
    label: str = "broker.test"
    next: AccessToken | None = None
    used: list[AccessToken] = field(default_factory=list)
    looked: asyncio.Event = field(default_factory=asyncio.Event)

    async def look(self) -> AccessToken | None:
        self.looked.set()
        return self.next

    def use(self, token: AccessToken) -> None:
        self.used.append(token)
        self.ended = ""


def token(value: str, user: str = "U1") -> AccessToken:
    return AccessToken(Secret(value), "broker.test", TEN_NS + 10**15, user)


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not done():  # noqa: ASYNC110 - the loop turns; nobody else has an event for it
            await asyncio.sleep(0)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(core, "_LOGIN_EVERY_S", 0.0)
    return Bench()


async def test_R7_a_refused_feed_waits_in_words_for_the_next_login_and_goes_on(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    login = FakeLogin()
    bench.parts.login = login  # type: ignore[assignment]
    runtime = Runtime(bench.parts)
    task = asyncio.create_task(runtime.run())
    await runtime.started.wait()
    await until(lambda: runtime.engine.feed.state is FeedState.UP)
    runtime.take(FeedEvent(TEN_NS, FeedState.REFUSED, "the token was refused"))
    bench.feed.put(AuthError("the token was refused"))
    await until(lambda: bool(runtime.login_trouble))
    assert runtime.login_trouble == "the token was refused"
    assert "log in in another terminal: tradetui auth" in caplog.text
    assert not task.done()
    fresh = login.next = token("tomorrow")
    await until(lambda: bool(login.used) and runtime.engine.feed.state is FeedState.UP)
    assert login.used[0] is fresh
    await until(lambda: not runtime.login_trouble)
    assert "logged in again" in caplog.text
    login.next = None
    runtime.stop()
    await task


async def test_R7_a_login_that_ends_is_said_before_and_when_it_does(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    login = FakeLogin(expires_ns=TEN_NS + 5 * 60 * 10**9)
    bench.parts.login = login  # type: ignore[assignment]
    runtime = Runtime(bench.parts, stay_up=True)
    task = asyncio.create_task(runtime.run())
    await runtime.started.wait()
    with caplog.at_level(logging.WARNING):
        await until(lambda: "the login ends in 6 minutes" in caplog.text)
        login.ended = "the login at broker.test ended Tue 16 Dec 03:30 IST"
        await until(lambda: runtime.login_trouble == login.ended)
    assert caplog.text.count("the login ends in") == 1
    runtime.use_token(token("by hand"))  # as the control socket does it
    assert login.used
    assert not runtime.login_trouble
    runtime.stop()
    await task


async def test_another_users_login_is_not_taken() -> None:
    class Api:
        hosts = None
        token = token("mine", "U1")
        login_ended = "ended"

    async def find() -> AccessToken:
        return token("theirs", "U2")

    login = Login(Api(), None, find, lambda: TEN_NS)  # type: ignore[arg-type]
    with pytest.raises(AuthError, match="another user"):
        await login.look()


async def test_the_same_and_a_dead_token_are_no_new_login() -> None:
    kept = [token("mine")]

    class Api:
        hosts = None
        token = kept[0]
        login_ended = ""

    async def find() -> AccessToken:
        return kept[0]

    login = Login(Api(), None, find, lambda: TEN_NS)  # type: ignore[arg-type]
    assert await login.look() is None
    kept[0] = AccessToken(Secret("old"), "broker.test", TEN_NS, "U1")
    assert await login.look() is None
    kept[0] = token("new")
    assert await login.look() is kept[0]
