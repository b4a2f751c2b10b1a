"""Base URLs: what is live, what is local, what is refused."""

from __future__ import annotations

import dataclasses

import pytest

from tradetui.brokers.upstox.hosts import LIVE, Hosts, is_loopback_host
from tradetui.domain.errors import ConfigError, FeedError

LOCAL = Hosts("http://127.0.0.1:8080/", "http://localhost:8081", "ws://127.0.0.1:8082", "http://[::1]:8083")


def test_the_default_is_upstox_and_live() -> None:
    assert Hosts() == LIVE
    assert LIVE.is_live
    assert not LIVE.is_loopback
    assert LIVE.label == "api.upstox.com"
    assert LIVE.feed_authorize_url == "https://api.upstox.com/v3/feed/market-data-feed/authorize"
    assert LIVE.instruments_url.startswith("https://assets.upstox.com/market-quote/")


def test_a_simulator_is_local_and_not_live() -> None:
    assert LOCAL.is_loopback
    assert not LOCAL.is_live
    assert LOCAL.main == "http://127.0.0.1:8080"
    assert LOCAL.label == "127.0.0.1:8080"


def test_the_sandbox_is_neither_local_nor_live() -> None:
    assert not Hosts.sandbox().is_live
    assert not Hosts.sandbox().is_loopback


def test_an_unknown_order_host_counts_as_live() -> None:
    assert Hosts(order="https://api.example.com").is_live


@pytest.mark.parametrize("name", ["main", "order", "feed", "assets"])
@pytest.mark.parametrize(
    "url",
    [
        "http://api.upstox.com", "ws://api.upstox.com", "ftp://api.upstox.com", "api.upstox.com", "", "https://",
        "https://user:secret@api.upstox.com", "https://api.upstox.com?x=1", "https://api.upstox.com#x",
        "https://api.upstox.com:99999", "https://api.up stox.com", "https://api.upstox.com\n", "https://127.0.0.1.example\u202e",
    ],
)  # fmt: skip
def test_what_is_not_encrypted_or_not_a_url_is_refused(name: str, url: str) -> None:
    with pytest.raises(ConfigError, match=name) as refused:
        dataclasses.replace(LIVE, **{name: url})
    assert "secret" not in str(refused.value)


def test_local_and_remote_do_not_mix_where_tokens_go() -> None:
    with pytest.raises(ConfigError, match="some are not"):
        Hosts(main="http://127.0.0.1:8080")
    with pytest.raises(ConfigError, match="some are not"):
        dataclasses.replace(LOCAL, order="https://api-hft.upstox.com")
    assert dataclasses.replace(LOCAL, assets="https://assets.upstox.com").is_loopback


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False),
        ("127.0.0.1.example.com", False), ("localhost.example.com", False), ("10.0.0.1", False), ("", False), (None, False),
    ],
)  # fmt: skip
def test_loopback_is_decided_without_asking_anybody(host: str | None, local: bool) -> None:
    assert is_loopback_host(host) is local


def test_stream_addresses_stay_in_their_world() -> None:
    assert (
        LIVE.check_stream_url("wss://wsfeeder.example.com/x?code=1") == "wss://wsfeeder.example.com/x?code=1"
    )
    assert LOCAL.check_stream_url("ws://127.0.0.1:9/x?code=1") == "ws://127.0.0.1:9/x?code=1"
    for hosts, url in (
        (LIVE, "ws://wsfeeder.example.com/x?code=s3cret"),
        (LIVE, "wss://127.0.0.1/x?code=s3cret"),
        (LOCAL, "wss://wsfeeder.example.com/x?code=s3cret"),
        (LOCAL, "http://127.0.0.1/x?code=s3cret"),
        (LOCAL, "ws://[bad/x?code=s3cret"),
    ):
        with pytest.raises(FeedError) as refused:
            hosts.check_stream_url(url)
        assert "s3cret" not in str(refused.value)
