from __future__ import annotations

import asyncio
import base64
import io
import json
import pickle
import socket
import warnings
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from tests.fixtures.raw_server import HANG, http, raw_server
from tradetui.brokers.upstox.auth import (
    browser_login,
    code_from_paste,
    dialog_url,
    exchange,
    login_simulator,
    prompt_secret,
    token_from_stream,
    token_from_text,
)
from tradetui.brokers.upstox.hosts import LIVE, Hosts
from tradetui.brokers.upstox.redirect import RedirectListener
from tradetui.brokers.upstox.tokens import make_token
from tradetui.brokers.upstox.vault import AppCredentials
from tradetui.domain.calendar import ist_datetime
from tradetui.domain.errors import AuthError, TransportError
from tradetui.domain.secret import Secret

NOON_NS = 1_795_242_600_000_000_000  # 2026-11-21 12:00 IST
REDIRECT = "http://127.0.0.1:{port}/callback"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def make_app(port: int) -> AppCredentials:
    return AppCredentials(Secret("the-key"), Secret("the-secret"), REDIRECT.format(port=port))


def jwt(claims: dict[str, Any]) -> str:
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJIUzI1NiJ9.{part}.c2ln"


async def fetch(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


def test_a_secret_shows_stars_everywhere() -> None:
    secret = Secret("hunter2")
    shown = f"{secret} {secret!r} {secret:>10} {[secret]} {AppCredentials(secret, secret, 'r')}"
    assert "hunter2" not in shown
    assert secret == Secret("hunter2")
    assert secret != Secret("hunter3")
    assert secret != "hunter2"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    assert "hunter2" not in repr(make_token("hunter2hunter2", LIVE, NOON_NS))


def test_expiry_comes_from_the_token_or_is_half_past_three() -> None:
    assert make_token(jwt({"exp": 1_795_300_000, "sub": "AB12"}), LIVE, NOON_NS).expires_ns == (
        1_795_300_000 * 10**9
    )
    plain = make_token("not-a-jwt", LIVE, NOON_NS)
    assert f"{ist_datetime(plain.expires_ns):%d %H:%M}" == "22 03:30"
    for odd in (jwt({"exp": "soon"}), jwt({"exp": True}), jwt({"exp": -4}), "a.b.c", "a.%%%.c", "x..y"):
        assert make_token(odd, LIVE, NOON_NS).expires_ns == plain.expires_ns


def test_the_dialog_address_carries_what_the_broker_wants() -> None:
    url = dialog_url(LIVE, make_app(8765), "st&te")
    fields = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert url.startswith("https://api.upstox.com/v2/login/authorization/dialog?")
    assert fields == {
        "response_type": "code",
        "client_id": "the-key",
        "redirect_uri": "http://127.0.0.1:8765/callback",
        "state": "st&te",
    }


async def test_the_listener_takes_one_answer_and_says_so() -> None:
    port = free_port()
    async with RedirectListener(REDIRECT.format(port=port), "abc") as listener:
        base = REDIRECT.format(port=port)
        assert (await fetch(f"http://127.0.0.1:{port}/favicon.ico"))[0] == 404
        status, page = await fetch(f"{base}?code=c0de&state=abc")
        assert status == 200
        assert "close this tab" in page
        assert "c0de" not in page
        assert (await listener.wait(1)).reveal() == "c0de"
        assert (await fetch(f"{base}?code=other&state=abc"))[0] == 410
    with pytest.raises(aiohttp.ClientConnectorError):
        await fetch(base)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("code=c&state=wrong", "does not belong"),
        ("code=c", "does not belong"),
        ("state=abc", "no code"),
        ("error=access_denied&state=abc", "refused: access_denied"),
    ],
)
async def test_an_answer_that_is_not_ours_is_not_accepted(query: str, words: str) -> None:
    port = free_port()
    async with RedirectListener(REDIRECT.format(port=port), "abc") as listener:
        assert (await fetch(f"{REDIRECT.format(port=port)}?{query}"))[0] == 400
        with pytest.raises(AuthError, match=words):
            await listener.wait(1)


async def test_a_page_under_a_name_of_its_own_is_not_listened_to() -> None:
    port = free_port()
    async with RedirectListener(REDIRECT.format(port=port), "abc") as listener:
        async with (
            aiohttp.ClientSession() as session,
            session.get(
                f"{REDIRECT.format(port=port)}?code=c&state=abc", headers={"Host": "evil.example"}
            ) as answer,
        ):
            assert answer.status == 404
        with pytest.raises(AuthError, match="nobody finished"):
            await listener.wait(0.01)


async def test_a_port_in_use_is_said_plainly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listener = RedirectListener(REDIRECT.format(port=taken.getsockname()[1]), "abc")
        with pytest.raises(AuthError, match=r"in use by another program.*--paste-code"):
            await listener.__aenter__()


@pytest.mark.parametrize(
    "address",
    ["https://example.com/cb", "http://192.168.1.9:8000/x", "http://127.0.0.1/x", "https://127.0.0.1:1/"],
)
def test_only_an_address_on_this_machine_can_be_listened_on(address: str) -> None:
    with pytest.raises(AuthError, match=r"does not lead to this machine.*--paste-code"):
        RedirectListener(address, "s")


async def test_a_browser_login_ends_with_a_token_of_that_host() -> None:
    app = make_app(free_port())
    token = jwt({"exp": 1_795_300_000, "sub": "AB12"})
    answer = http(200, json.dumps({"access_token": token, "user_id": "AB12", "user_name": "A \x1b[31mNAME"}))
    async with raw_server(answer) as server:
        visits: list[asyncio.Task[tuple[int, str]]] = []
        loop = asyncio.get_running_loop()

        def browse(url: str) -> bool:
            fields = parse_qs(urlsplit(url).query)
            back = f"{fields['redirect_uri'][0]}?code=one-use&state={fields['state'][0]}"
            loop.call_soon_threadsafe(lambda: visits.append(loop.create_task(fetch(back))))
            return True

        shown: list[str] = []
        got = await browser_login(
            server.hosts, app, show=shown.append, open_browser=browse, timeout_s=10, now_ns=lambda: NOON_NS
        )
        await asyncio.gather(*visits)
        assert got.issuer == server.hosts.label
        assert got.secret.reveal() == token
        assert (got.user_id, got.user_name) == ("AB12", "A [31mNAME")
        form = {name: values[0] for name, values in parse_qs(server.asked[0].body.decode()).items()}
        assert form == {
            "code": "one-use",
            "client_id": "the-key",
            "client_secret": "the-secret",
            "redirect_uri": app.redirect_uri,
            "grant_type": "authorization_code",
        }
        assert "the-secret" not in shown[0]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("UDAPI100057", "used before or is too old"),
        ("UDAPI100069", "Compare API key, secret"),
        ("UDAPI100070", "Compare API key, secret"),
        ("UDAPI1157", "expired"),
    ],
)
async def test_a_refused_exchange_says_what_to_mend(code: str, words: str) -> None:
    body = json.dumps({"status": "error", "errors": [{"errorCode": code, "message": "no"}]})
    async with raw_server(http(401, body)) as server:
        with pytest.raises(AuthError, match=words):
            await exchange(server.hosts, make_app(1), Secret("c"))


@pytest.mark.parametrize("answer", [http(200, ""), http(502, "x", "text/html")])
async def test_an_exchange_without_a_clear_answer_is_not_repeated(answer: bytes) -> None:
    async with raw_server(answer) as server:
        with pytest.raises(TransportError, match="code is spent"):
            await exchange(server.hosts, make_app(1), Secret("c"))
        assert len(server.asked) == 1


async def test_an_exchange_without_a_token_is_an_error() -> None:
    async with raw_server(http(200, '{"user_id":"x"}')) as server:
        with pytest.raises(AuthError, match="holds no token"):
            await exchange(server.hosts, make_app(1), Secret("c"))


def test_a_pasted_code_or_address_gives_the_code() -> None:
    assert code_from_paste("  abc123 \n").reveal() == "abc123"
    assert code_from_paste("http://127.0.0.1:1/cb?code=abc&state=s", "s").reveal() == "abc"
    assert code_from_paste("?code=abc&state=s", "s").reveal() == "abc"
    assert code_from_paste("code=a%2Fb&state=s", "s").reveal() == "a/b"
    with pytest.raises(AuthError, match="does not belong"):
        code_from_paste("http://127.0.0.1:1/cb?code=abc&state=other", "s")
    for nonsense in ("", "two words", "tab\x07"):
        with pytest.raises(AuthError):
            code_from_paste(nonsense)


def test_a_pasted_token_is_checked() -> None:
    good = jwt({"exp": NOON_NS // 10**9 + 60})
    assert token_from_text(f" Bearer {good}\n", LIVE, NOON_NS).secret.reveal() == good
    assert token_from_stream(io.StringIO(good + "\nrest"), LIVE, NOON_NS).issuer == "api.upstox.com"
    with pytest.raises(AuthError, match="expired"):
        token_from_text(jwt({"exp": NOON_NS // 10**9 - 60}), LIVE, NOON_NS)
    for nonsense in ("", "short", "has a space in it", "café-token-1234"):
        with pytest.raises(AuthError, match="not an access token"):
            token_from_text(nonsense, LIVE, NOON_NS)


def test_a_terminal_that_would_show_the_secret_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import getpass

    def shows(prompt: str) -> str:
        warnings.warn("echo", getpass.GetPassWarning, stacklevel=2)
        return "typed"

    monkeypatch.setattr(getpass, "getpass", shows)
    with pytest.raises(AuthError, match="cannot hide"):
        prompt_secret("API secret: ")
    monkeypatch.setattr(getpass, "getpass", lambda prompt: " typed ")
    assert prompt_secret("x").reveal() == "typed"
    monkeypatch.setattr(getpass, "getpass", lambda prompt: "")
    with pytest.raises(AuthError, match="nothing was typed"):
        prompt_secret("x")


async def test_the_simulators_login_is_for_this_machine_only() -> None:
    with pytest.raises(AuthError, match="this machine only"):
        await login_simulator("https://api.upstox.com")
    async with raw_server(http(404, "no")) as server:
        with pytest.raises(AuthError, match="no simulator"):
            await login_simulator(server.url)
    with pytest.raises(TransportError, match="cannot be reached"):
        await login_simulator(server.url)


async def test_a_simulator_cannot_send_us_elsewhere() -> None:
    about = {
        "simulator": "tradetui",
        "order": "https://api-hft.upstox.com",
        "feed": "ws://127.0.0.1:1",
        "assets": "http://127.0.0.1:1",
        "api_key": "k",
        "api_secret": "s",
        "redirect_uri": "http://127.0.0.1:1/cb",
    }
    async with raw_server(http(200, json.dumps(about))) as server:
        from tradetui.domain.errors import ConfigError

        with pytest.raises(ConfigError):
            await login_simulator(server.url)
    assert len(server.asked) == 1


async def test_a_login_that_hangs_ends_in_words() -> None:
    async with raw_server(HANG) as server:
        hosts = Hosts(
            main=server.url, order=server.url, feed=server.url.replace("http", "ws"), assets=server.url
        )
        task = asyncio.ensure_future(exchange(hosts, make_app(1), Secret("c")))
        await server.wait_asked(1)
        server.release.set()
        with pytest.raises(TransportError, match="code is spent"):
            await task
