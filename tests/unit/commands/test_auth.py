"""The steps of `tradetui auth` that a terminal is not needed for."""

from __future__ import annotations

import asyncio
import json
import logging
import webbrowser
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend

from tests.unit.brokers.upstox.test_vault import Memory
from tradetui.brokers.upstox.vault import AppCredentials, Vault
from tradetui.commands import auth
from tradetui.commands.auth import LoginOptions, login, logout, status
from tradetui.commands.shared import prepare
from tradetui.domain.errors import AuthError, ConfigError, TransportError
from tradetui.domain.secret import Secret
from tradetui.simulator.server import SimulatorServer
from tradetui.simulator.state import SimOptions


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Commands send the root logger's records to their own file; give it back afterwards."""
    root = logging.getLogger()
    kept, level, raising = list(root.handlers), root.level, logging.raiseExceptions
    root.handlers.clear()
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers[:], root.level, logging.raiseExceptions = kept, level, raising
    logging.captureWarnings(False)


@pytest.fixture
def ring() -> Iterator[KeyringBackend]:
    before = keyring.get_keyring()
    made = Memory()
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


@pytest.fixture
async def sim() -> AsyncIterator[SimulatorServer]:
    async with SimulatorServer(SimOptions(auto_approve=True)) as made:
        yield made


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is typed at hidden prompts, in order."""
    answers: list[str] = []
    monkeypatch.setattr("getpass.getpass", lambda prompt="": answers.pop(0))
    return answers


async def test_a_pasted_token_is_checked_and_kept(
    sim: SimulatorServer, tmp_path: Path, ring: KeyringBackend, typed: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    token = sim.state.tokens.issue_token()
    typed.append(f"Bearer {token} ")
    options = LoginOptions(str(tmp_path), sim.urls.main, paste_token=True)
    assert await asyncio.to_thread(login, options) == 0
    out = capsys.readouterr().out
    assert "Logged in: SIM001 DEMO ACCOUNT" in out
    assert token not in out
    assert await asyncio.to_thread(status, str(tmp_path), sim.urls.main, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["verified"] is True
    assert await asyncio.to_thread(logout, str(tmp_path), sim.urls.main, forget_app=False) == 0
    assert await asyncio.to_thread(status, str(tmp_path), sim.urls.main, as_json=False) == 1
    assert not sim.state.tokens.valid(token)


async def test_the_key_of_an_older_simulator_is_asked_for_again(
    sim: SimulatorServer, tmp_path: Path, ring: KeyringBackend, typed: list[str]
) -> None:
    host = sim.urls.main.partition("://")[2]
    Vault(host).save_app(AppCredentials(Secret("old key"), Secret("old secret"), "http://127.0.0.1:1/x"))
    setting = prepare(str(tmp_path))
    hosts = auth._hosts(setting, sim.urls.main, None)
    typed += [sim.state.app.api_key, sim.state.app.api_secret]
    app = await asyncio.to_thread(auth._app, setting, hosts, Vault(host), ask_again=False)
    assert (app.api_key.reveal(), typed) == (sim.state.app.api_key, [])
    assert app.redirect_uri == sim.state.app.redirect_uri
    Vault(host).save_app(app)
    again = await asyncio.to_thread(auth._app, setting, hosts, Vault(host), ask_again=False)
    assert again == app
    typed += ["new key", "new secret"]
    new = await asyncio.to_thread(auth._app, setting, hosts, Vault(host), ask_again=True)
    assert new.api_key.reveal() == "new key"


async def test_a_wrong_secret_is_said_and_nothing_is_kept(
    sim: SimulatorServer,
    tmp_path: Path,
    ring: KeyringBackend,
    typed: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("secrets.token_urlsafe", lambda _n: "state")
    code = sim.state.tokens.issue_ticket("login", sim.state.app.redirect_uri)
    typed += [sim.state.app.api_key, "wrong secret", f"{sim.state.app.redirect_uri}?code={code}&state=state"]
    with pytest.raises(AuthError, match="secret"):
        await asyncio.to_thread(login, LoginOptions(str(tmp_path), sim.urls.main, paste_code=True))
    vault = Vault(sim.urls.main.partition("://")[2])
    assert (vault.load_app(), vault.load_token()) == (None, None)


async def test_credentials_are_typed_only_where_a_simulator_answers(
    tmp_path: Path, ring: KeyringBackend, typed: list[str]
) -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(TransportError, match="no simulator"):
            await asyncio.to_thread(login, LoginOptions(str(tmp_path), url, no_browser=True))


def test_a_stored_app_follows_the_redirect_address_of_the_settings(
    tmp_path: Path, ring: KeyringBackend
) -> None:
    setting = prepare(str(tmp_path))
    hosts = auth._hosts(setting, None, None)
    kept = AppCredentials(Secret("key"), Secret("secret"), "http://127.0.0.1:1/old")
    Vault(hosts.label).save_app(kept)
    wanted = replace(kept, redirect_uri=setting.config.account.redirect_uri)
    assert auth._app(setting, hosts, Vault(hosts.label), ask_again=False) == wanted


def test_an_encrypted_address_is_needed_off_this_machine(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        auth._hosts(prepare(str(tmp_path)), "http://broker.example", None)


@pytest.mark.parametrize(
    ("browser", "opened"),
    [
        (webbrowser.GenericBrowser("lynx"), False),
        (webbrowser.BackgroundBrowser("firefox"), True),
        (webbrowser.Mozilla("firefox"), True),
    ],
)
def test_a_browser_that_would_take_the_terminal_is_left_alone(
    browser: webbrowser.BaseBrowser, opened: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(webbrowser, "get", lambda: browser)

    def note(url: str) -> bool:
        seen.append(url)
        return True

    monkeypatch.setattr(browser, "open", note)
    assert auth._open("https://login.example") is opened
    assert seen == (["https://login.example"] if opened else [])


def test_a_machine_without_a_browser_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> webbrowser.BaseBrowser:
        raise webbrowser.Error("none")

    monkeypatch.setattr(webbrowser, "get", none)
    assert auth._open("https://login.example") is False
