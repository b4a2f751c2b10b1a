from __future__ import annotations

import json
from typing import Any

import keyring.backends.fail
import keyring.backends.null
import pytest
from keyring.backend import KeyringBackend
from keyring.backends.chainer import ChainerBackend
from keyring.errors import KeyringLocked, PasswordDeleteError

from tests.fixtures.raw_server import http, raw_server
from tradetui.brokers.upstox.auth import login, logout, status, stored_token
from tradetui.brokers.upstox.hosts import LIVE
from tradetui.brokers.upstox.tokens import make_token
from tradetui.brokers.upstox.vault import AppCredentials, KeyringUnavailable, Vault, checked, refusal_of
from tradetui.domain.errors import AuthError
from tradetui.domain.secret import Secret

NOON_NS = 1_795_242_600_000_000_000


class Memory(KeyringBackend):
    """A keyring for tests; forgets with the test."""

    priority = 1.0

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if (service, username) not in self.kept:
            raise PasswordDeleteError("gone")
        del self.kept[service, username]


class Broken(Memory):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def get_password(self, service: str, username: str) -> str | None:
        raise self.error


def alternative(module: str, name: str) -> KeyringBackend:
    """A backend as a third package would bring it."""
    made = type(name, (Memory,), {"__module__": module})
    backend: KeyringBackend = made()
    return backend


APP = AppCredentials(Secret("the-key"), Secret("the-secret"), "http://127.0.0.1:8765/callback")


def test_what_is_kept_comes_back_and_only_under_its_host_and_account() -> None:
    ring = Memory()
    vault = Vault("api.upstox.com", "main", ring)
    assert vault.load_app() is None
    assert vault.load_token() is None
    token = make_token("tok-123456", LIVE, NOON_NS, "AB12", "A NAME")
    vault.save_app(APP)
    vault.save_token(token)
    assert vault.load_app() == APP
    assert vault.load_token() == token
    assert Vault("127.0.0.1:9", "main", ring).load_token() is None
    assert Vault("api.upstox.com", "other", ring).load_token() is None
    assert set(ring.kept) == {
        ("tradetui:api.upstox.com", "main:app"),
        ("tradetui:api.upstox.com", "main:token"),
    }
    assert vault.forget_token()
    assert not vault.forget_token()
    assert vault.load_app() == APP
    assert vault.forget_app()
    assert ring.kept == {}


def test_a_token_is_not_kept_under_another_host() -> None:
    with pytest.raises(AuthError, match="not kept under"):
        Vault("127.0.0.1:9", backend=Memory()).save_token(make_token("tok-123456", LIVE, NOON_NS))


@pytest.mark.parametrize("entry", ["", "nonsense", "[]", '{"token": "x"}'])
def test_an_entry_that_is_not_ours_is_said_not_shown(entry: str) -> None:
    ring = Memory()
    ring.kept["tradetui:h", "default:token"] = entry
    with pytest.raises(AuthError, match="is not ours"):
        Vault("h", backend=ring).load_token()


@pytest.mark.parametrize(
    "backend",
    [
        alternative("keyrings.alt.file", "PlaintextKeyring"),
        alternative("keyrings.alt.pyfs", "BasicKeyring"),
        alternative("keyrings.alt.Google", "DocsKeyring"),
        alternative("somebody.else", "MyPlaintextKeyring"),
        keyring.backends.null.Keyring(),  # type: ignore[no-untyped-call]
        keyring.backends.fail.Keyring(),  # type: ignore[no-untyped-call]
    ],
    ids=lambda backend: f"{type(backend).__module__}.{type(backend).__name__}",
)
def test_keyrings_that_keep_no_secret_are_refused_by_name(backend: KeyringBackend) -> None:
    name = f"{type(backend).__module__}.{type(backend).__name__}"
    assert name in refusal_of(backend)
    vault = Vault("h", backend=backend)
    with pytest.raises(KeyringUnavailable, match="--token-stdin"):
        vault.save_app(APP)
    kept: Any = getattr(backend, "kept", {})
    assert kept == {}

    class Heir(type(backend)):  # type: ignore[misc]
        """A subclass somewhere else is no better."""

    assert refusal_of(Heir())


def test_encrypted_files_and_system_keyrings_are_taken() -> None:
    for module, name in (
        ("keyring.backends.SecretService", "Keyring"),
        ("keyring.backends.macOS", "Keyring"),
        ("keyrings.alt.file", "EncryptedKeyring"),
    ):
        assert refusal_of(alternative(module, name)) == ""


def test_of_a_chain_only_its_good_member_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = alternative("keyrings.alt.file", "PlaintextKeyring"), Memory()
    chain = ChainerBackend()  # type: ignore[no-untyped-call]
    monkeypatch.setattr(ChainerBackend, "backends", [bad, good])
    assert checked(chain) is good
    monkeypatch.setattr(ChainerBackend, "backends", [bad])
    with pytest.raises(KeyringUnavailable, match="PlaintextKeyring"):
        checked(chain)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyringLocked("secret detail"), "locked"),
        (RuntimeError("secret detail"), r"does not work \(RuntimeError\)"),
    ],
)
def test_a_keyring_that_fails_says_so_without_details(error: Exception, words: str) -> None:
    with pytest.raises(KeyringUnavailable, match=words) as caught:
        Vault("h", backend=Broken(error)).load_token()
    assert "detail" not in str(caught.value)
    assert "--token-stdin" in str(caught.value)


async def test_status_without_a_keyring_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    import keyring

    monkeypatch.setattr(keyring, "get_keyring", keyring.backends.fail.Keyring)
    said = await status(LIVE, Vault(LIVE.label))
    assert not said.logged_in
    assert said.keyring == ""
    assert "no keyring" in said.words
    assert "--token-stdin" in said.words


async def test_a_login_is_checked_kept_told_and_ended() -> None:
    profile = http(200, json.dumps({"status": "success", "data": {"user_id": "AB12", "user_name": "A NAME"}}))
    gone = http(200, '{"status":"success","data":true}')
    async with raw_server(profile, profile, gone) as server:
        vault = Vault(server.hosts.label, backend=Memory())
        said = await status(server.hosts, vault, now_ns=lambda: NOON_NS)
        assert "not logged in" in said.words
        with pytest.raises(AuthError, match="not logged in"):
            await stored_token(server.hosts, vault)
        token = make_token("tok-123456", server.hosts, NOON_NS)
        await login(server.hosts, vault, token, app=APP)
        said = await status(server.hosts, vault, verify=True, now_ns=lambda: NOON_NS)
        assert (said.logged_in, said.verified, said.has_app, said.live) == (True, True, True, False)
        assert (said.user_id, said.user_name) == ("AB12", "A NAME")
        assert said.expires_ist == "Sun 22 Nov 03:30 IST"
        assert said.hours_left == 15.5
        assert said.words == f"AB12 A NAME at {server.hosts.label}, until Sun 22 Nov 03:30 IST (15.5 h left)"
        assert (await stored_token(server.hosts, vault, lambda: NOON_NS)).secret == token.secret

        later = NOON_NS + 17 * 3600 * 10**9
        said = await status(server.hosts, vault, verify=True, now_ns=lambda: later)
        assert not said.logged_in
        assert "expired" in said.words
        assert said.hours_left == -1.5
        with pytest.raises(AuthError, match="expired"):
            await stored_token(server.hosts, vault, lambda: later)

        assert "logged out" in await logout(server.hosts, vault)
        assert server.asked[-1].method == "DELETE"
        assert vault.load_token() is None
        assert vault.load_app() == APP
        words = await logout(server.hosts, vault, forget_app=True)
        assert "was not logged in" in words
        assert vault.load_app() is None


async def test_a_token_the_broker_refuses_is_not_kept() -> None:
    refusal = json.dumps({"status": "error", "errors": [{"errorCode": "UDAPI100050", "message": "Invalid"}]})
    async with raw_server(http(401, refusal)) as server:
        ring = Memory()
        vault = Vault(server.hosts.label, backend=ring)
        with pytest.raises(AuthError, match="Invalid"):
            await login(server.hosts, vault, make_token("tok-123456", server.hosts, NOON_NS), app=APP)
        assert ring.kept == {}
        vault.save_token(make_token("tok-123456", server.hosts, NOON_NS))
        said = await status(server.hosts, vault, verify=True, now_ns=lambda: NOON_NS)
        assert (said.logged_in, said.verified) == (False, False)
        words = await logout(server.hosts, vault)
        assert "no longer valid" in words
        assert ring.kept == {}
