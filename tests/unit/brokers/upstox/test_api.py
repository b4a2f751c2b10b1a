from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.raw_server import DROP, HANG, RawServer, http, raw_server
from tradetui.brokers.upstox import endpoints as ep
from tradetui.brokers.upstox.api import UpstoxApi
from tradetui.brokers.upstox.errors import AuthRefused
from tradetui.brokers.upstox.hosts import LIVE, Hosts
from tradetui.brokers.upstox.tokens import make_token
from tradetui.domain.errors import (
    AuthError,
    BrokerError,
    OutcomeUnknown,
    RateLimited,
    TransportError,
)

OK = http(200, '{"status":"success","data":{"order_ids":["1"]},"metadata":{"latency":7}}')


def envelope(code: str, message: str = "no", *, camel: bool = False) -> str:
    names = {"errorCode": code} if camel else {"error_code": code, "errorCode": "WRONG"}
    return json.dumps({"status": "error", "errors": [{**names, "message": message}]})


async def ask(server: RawServer, endpoint: ep.Endpoint, **options: Any) -> Any:
    api = UpstoxApi(server.hosts, server.token, connect_s=2, read_s=options.pop("read_s", 5))
    try:
        return await api.call(endpoint, **options)
    finally:
        await api.close()


async def test_a_good_answer_comes_with_its_data_and_latency() -> None:
    async with raw_server(OK) as server:
        reply = await ask(server, ep.PLACE, body={"quantity": 1})
    assert reply.data == {"order_ids": ["1"]}
    assert reply.latency_ms == 7
    asked = server.asked[0]
    assert (asked.method, asked.target) == ("POST", "/v3/order/place")
    assert json.loads(asked.body) == {"quantity": 1}
    assert asked.headers["authorization"] == "Bearer tok-123456"
    assert asked.headers["user-agent"].startswith("tradetui/")
    assert "X-Algo-Name".lower() not in asked.headers


@pytest.mark.parametrize("endpoint", [ep.PLACE, ep.MODIFY, ep.CANCEL])
@pytest.mark.parametrize(
    "answer",
    [
        DROP,
        b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\nConnection: close\r\n\r\n{"status":',
        b"\x00\x01\x02 not http\r\n\r\n",
        http(200, ""),
        http(400, ""),
        http(403, "<!doctype html><html>1010</html>", "text/html"),
        http(200, "<html>hello</html>", "text/html"),
        http(200, '{"status":"success","data":null}'),
        http(200, '{"status":"success"'),
        http(200, "[]"),
        http(200, "{}"),
        http(502, "Bad gateway", "text/plain"),
        http(500, envelope("UDAPI100500")),
        http(503, envelope("UDAPI100500")),
        http(302, "", extra=["Location: /elsewhere"]),
        http(307, "", extra=["Location: /elsewhere"]),
    ],
    ids=lambda value: value[:60].decode("latin-1") if isinstance(value, bytes) else "",
)
async def test_a_write_without_a_clear_answer_is_unknown_and_sent_once(
    endpoint: ep.Endpoint, answer: bytes
) -> None:
    async with raw_server(answer) as server:
        with pytest.raises(OutcomeUnknown):
            await ask(server, endpoint, query=[("order_id", "1")])
        assert len(server.asked) == 1


@pytest.mark.parametrize("endpoint", [ep.PLACE, ep.MODIFY, ep.CANCEL])
async def test_a_write_that_hangs_is_unknown_after_the_time_out_and_sent_once(endpoint: ep.Endpoint) -> None:
    async with raw_server(HANG) as server:
        with pytest.raises(OutcomeUnknown, match="time-out"):
            await ask(server, endpoint, read_s=0.2)
        assert len(server.asked) == 1


@pytest.mark.parametrize("endpoint", [ep.PLACE, ep.CANCEL])
async def test_a_dropped_reused_connection_is_not_tried_again(endpoint: ep.Endpoint) -> None:
    async with raw_server(OK, DROP) as server:
        api = UpstoxApi(server.hosts, server.token)
        await api.call(endpoint)
        with pytest.raises(OutcomeUnknown):
            await api.call(endpoint)
        await api.close()
        assert len(server.asked) == 2


async def test_a_write_that_never_connected_is_not_unknown() -> None:
    async with raw_server(OK) as server:
        hosts, token = server.hosts, server.token
    api = UpstoxApi(hosts, token)
    with pytest.raises(TransportError, match="Nothing was sent") as caught:
        await api.call(ep.PLACE, body={})
    assert not isinstance(caught.value, OutcomeUnknown)
    await api.close()


@pytest.mark.parametrize("camel", [False, True])
async def test_an_error_envelope_is_a_refusal_with_code_and_remedy(camel: bool) -> None:
    async with raw_server(http(403, envelope("UDAPI1154", "Access restricted", camel=camel))) as server:
        with pytest.raises(BrokerError) as caught:
            await ask(server, ep.PLACE)
    assert caught.value.code == "UDAPI1154"
    assert caught.value.message == "Access restricted"
    assert "static IP" in caught.value.remedy


async def test_an_error_envelope_under_200_is_a_refusal_too() -> None:
    async with raw_server(http(200, envelope("UDAPI1052"))) as server:
        with pytest.raises(BrokerError, match="quantity"):
            await ask(server, ep.PLACE)


async def test_the_same_code_has_its_meaning_by_endpoint() -> None:
    async with raw_server(http(400, envelope("UDAPI100057"))) as server:
        with pytest.raises(AuthError, match="login code was used"):
            await ask(server, ep.TOKEN, form=[("code", "x")])
        with pytest.raises(BrokerError, match="closed market"):
            await ask(server, ep.PLACE)


async def test_the_token_exchange_has_no_envelope() -> None:
    async with raw_server(http(200, '{"access_token":"abc","user_id":"U1"}')) as server:
        reply = await ask(server, ep.TOKEN, form=[("code", "c d"), ("client_id", "k")])
    assert reply.data["access_token"] == "abc"
    assert server.asked[0].body == b"code=c+d&client_id=k"
    assert "authorization" not in server.asked[0].headers


async def test_401_and_429_are_told_apart() -> None:
    async with raw_server(http(401, envelope("UDAPI100050")), http(429, envelope("UDAPI10005"))) as server:
        with pytest.raises(AuthRefused) as refused:
            await ask(server, ep.PLACE)
        assert refused.value.code == "UDAPI100050"
        with pytest.raises(RateLimited):
            await ask(server, ep.PLACE)


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (http(200, ""), TransportError, "empty body"),
        (http(403, "<html>1010</html>", "text/html"), BrokerError, "blocked before the broker"),
        (http(401, ""), AuthError, "Log in"),
        (http(429, ""), RateLimited, "too many"),
        (http(503, envelope("UDAPI100500", "maintenance")), TransportError, "maintenance"),
        (http(200, "<html></html>", "text/html"), TransportError, "web page"),
        (DROP, TransportError, "dropped"),
    ],
)
async def test_reads_say_what_happened(answer: bytes, error: type[Exception], words: str) -> None:
    async with raw_server(answer) as server:
        with pytest.raises(error, match=words) as caught:
            await ask(server, ep.ORDER_BOOK)
    assert not isinstance(caught.value, OutcomeUnknown)


async def test_null_is_no_data_for_a_read() -> None:
    async with raw_server(http(200, '{"status":"success","data":null}')) as server:
        assert (await ask(server, ep.POSITIONS)).data is None


async def test_keys_are_percent_encoded_in_paths() -> None:
    async with raw_server(http(200, '{"status":"success","data":{"candles":[]}}')) as server:
        await ask(
            server,
            ep.INTRADAY_CANDLES,
            path={"key": "NSE_INDEX|Nifty 50", "unit": "minutes", "interval": "1"},
        )
    assert server.asked[0].target == "/v3/historical-candle/intraday/NSE_INDEX%7CNifty%2050/minutes/1"


async def test_a_token_never_goes_to_another_host() -> None:
    async with raw_server(OK) as server:
        foreign = make_token("live-token", LIVE, 0)
        with pytest.raises(AuthError, match="issued by"):
            UpstoxApi(server.hosts, foreign)
        with pytest.raises(AuthError, match="issued by"):
            UpstoxApi(LIVE, server.token)
        half = Hosts(
            main=LIVE.main, order="https://orders.example.invalid", feed=LIVE.feed, assets=LIVE.assets
        )
        with pytest.raises(AuthError, match="not sent to another host"):
            UpstoxApi(half, foreign)
        assert server.asked == []


async def test_a_client_turned_to_another_host_sends_nothing() -> None:
    async with raw_server(OK) as server, raw_server(OK) as other:
        api = UpstoxApi(server.hosts, server.token)
        await api.call(ep.PLACE)
        api._transport._client.configuration.order_host = other.url
        with pytest.raises(AuthError, match="nothing was sent"):
            await api.call(ep.PLACE)
        await api.close()
        assert other.asked == []


async def test_what_is_journaled_holds_no_secret() -> None:
    notes: list[Any] = []
    answer = '{"access_token":"eyJhbGciOi.eyJzdWIiOiJ.abcdef","user_id":"AB1234","email":"a@b.c"}'
    async with raw_server(
        http(200, answer), http(200, '{"status":"success","data":{"user_id":"AB1234"}}')
    ) as s:
        api = UpstoxApi(s.hosts, s.token, note=notes.append)
        await api.call(ep.TOKEN, form=[("code", "the-code"), ("client_secret", "the-secret")])
        await api.call(ep.PROFILE)
        await api.close()
    text = json.dumps(notes)
    assert [note["dir"] for note in notes] == ["request", "reply", "request", "reply"]
    for secret in ("tok-123456", "the-code", "the-secret", "AB1234", "a@b.c", "eyJhbGci"):
        assert secret not in text


NOISE = """
import asyncio, logging

logging.basicConfig()
from tradetui.brokers.upstox import endpoints as ep
from tradetui.brokers.upstox.api import UpstoxApi
from tradetui.brokers.upstox.hosts import Hosts
from tradetui.domain.errors import TransportError

async def main():
    dead = "http://127.0.0.1:1"
    api = UpstoxApi(Hosts(main=dead, order=dead, feed="ws://127.0.0.1:1", assets=dead))
    try:
        await api.call(ep.HOLIDAYS)
    except TransportError:
        print("refused")
    await api.close()
    for name in ("urllib3.connectionpool", "upstox_client.rest"):
        logging.getLogger(name).error("noise of %s", name)

asyncio.run(main())
"""


def test_the_sdk_writes_nothing_to_the_terminal() -> None:
    done = subprocess.run([sys.executable, "-c", NOISE], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("refused\n", "")


@pytest.fixture
def self_signed(tmp_path: Path) -> ssl.SSLContext:
    """The context of a server whose certificate nobody vouches for."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on this machine to make a certificate with")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    make = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=localhost",
    ]
    subprocess.run([*make, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


async def test_an_impostor_with_a_certificate_of_its_own_gets_nothing(self_signed: ssl.SSLContext) -> None:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(100))
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=self_signed)
    url = f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    hosts = Hosts(main=url, order=url, feed=url.replace("https", "wss"), assets=url)
    api = UpstoxApi(hosts, make_token("tok-123456", hosts, 0))
    for endpoint in (ep.PLACE, ep.PROFILE):
        with pytest.raises(TransportError, match="certificate is not valid") as caught:
            await api.call(endpoint)
        assert not isinstance(caught.value, OutcomeUnknown)
    await api.close()
    listener.close()
    assert heard == []


async def test_the_sdk_default_of_the_class_is_never_believed() -> None:
    import upstox_client

    poisoned = upstox_client.Configuration()
    poisoned.sandbox, poisoned.host, poisoned.order_host = True, "https://api.upstox.com", "https://x.invalid"
    poisoned.verify_ssl = False
    before = upstox_client.Configuration._default
    upstox_client.Configuration.set_default(poisoned)
    try:
        async with raw_server(OK) as server:
            await ask(server, ep.PLACE)
            await ask(server, ep.ORDER_BOOK)
            assert len(server.asked) == 2
    finally:
        upstox_client.Configuration._default = before


async def test_orders_pass_reads_that_hang() -> None:
    def choose(asked: Any) -> bytes:
        return OK if "/order/place" in asked.target else HANG

    async with raw_server(choose=choose) as server:
        api = UpstoxApi(server.hosts, server.token, read_s=30)
        reads = [asyncio.ensure_future(api.call(ep.ORDER_BOOK)) for _ in range(8)]
        await server.wait_asked(4)
        assert (await api.call(ep.PLACE)).data
        for read in reads:
            read.cancel()
        server.release.set()
        await asyncio.gather(*reads, return_exceptions=True)
        await api.close()


def test_the_sdk_is_imported_late() -> None:
    code = (
        "import sys, tradetui.brokers.upstox.api, tradetui.brokers.upstox.auth;"
        "bad = {'upstox_client', 'urllib3', 'aiohttp', 'keyring'} & set(sys.modules); print(bad); sys.exit(bool(bad))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
