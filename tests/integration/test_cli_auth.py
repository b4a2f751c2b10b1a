"""`tradetui auth` as a process in a terminal, a browser's clicks, a real keyring; and without any of these."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.keyring_session import run_with_keyring
from tests.fixtures.program import told
from tradetui.simulator.server import SimulatorServer
from tradetui.simulator.state import SimOptions


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    folder = tmp_path_factory.mktemp("auth")
    done = run_with_keyring(folder, ["-m", "tests.fixtures.auth_session", str(folder / "tradetui")])
    assert done.returncode == 0, done.stderr
    story = json.loads(done.stdout)
    assert story["backend"] == "keyring.backends.SecretService"
    assert "Traceback" not in done.stderr
    return story, folder


@pytest.mark.keyring
def test_the_first_login_goes_through_the_browser(seen: tuple[dict[str, Any], Path]) -> None:
    story, _ = seen
    assert story["page"][0] == 200
    assert "close this tab" in story["page"][1]
    assert story["browser_exit"] == 0
    assert "Logged in: SIM001 DEMO ACCOUNT at 127.0.0.1" in story["browser_text"]
    assert "03:30 IST" in story["browser_text"]
    assert story["token"].count(".") == 2


@pytest.mark.keyring
def test_status_tells_who_where_and_until_when(seen: tuple[dict[str, Any], Path]) -> None:
    story, _ = seen
    status = story["status"]
    assert story["status_exit"] == 0
    assert status["logged_in"] is True
    assert status["verified"] is True
    assert status["user_id"] == "SIM001"
    assert status["host"].startswith("127.0.0.1:")
    assert status["expires_ist"].endswith("03:30 IST")
    assert 0 < status["hours_left"] <= 24


@pytest.mark.keyring
def test_the_second_login_asks_for_nothing_but_the_address(seen: tuple[dict[str, Any], Path]) -> None:
    story, _ = seen
    assert story["paste_exit"] == 0
    assert "API key" not in story["paste_text"]
    assert story["second"] not in ("", story["token"])


@pytest.mark.keyring
def test_a_refused_token_leaves_the_good_one_in_place(seen: tuple[dict[str, Any], Path]) -> None:
    story, _ = seen
    assert story["wrong_exit"] == 1
    assert "tradetui: " in story["wrong_text"]
    assert "Traceback" not in story["wrong_text"]
    assert story["after_wrong"] == story["second"]


@pytest.mark.keyring
def test_logout_leaves_nothing_in_the_keyring(seen: tuple[dict[str, Any], Path]) -> None:
    story, _ = seen
    assert story["logout_exit"] == 0
    assert story["left"] == [None, None]
    assert story["end_exit"] == 1
    assert "not logged in" in story["end_text"]


@pytest.mark.keyring
def test_no_secret_is_in_any_file_argument_environment_or_on_the_terminal(
    seen: tuple[dict[str, Any], Path],
) -> None:
    story, folder = seen
    secrets = [story["token"], story["second"], story["secret"], story["key"], story["pasted"]]
    texts = [story[name] for name in ("visible", "browser_text", "paste_text", "wrong_text", "logout_text")]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.name == "tradetui.log" for path in files)
    for secret in secrets:
        assert len(secret) >= 16
        assert not [text for text in texts if secret in text]
        assert not [path for path in files if secret.encode() in path.read_bytes()]


def test_without_a_keyring_it_says_how_to_go_on_before_anything_is_typed(tmp_path: Path) -> None:
    code, out, err = told(tmp_path, "auth", "--no-browser", "--url-main", "http://127.0.0.1:9")
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert "no keyring" in err
    assert "--token-stdin" in err


def test_a_keyring_in_plain_text_is_refused_by_name(tmp_path: Path) -> None:
    module = tmp_path / "plain.py"
    module.write_text(
        "from keyring.backend import KeyringBackend\n"
        "class PlaintextKeyring(KeyringBackend):\n"
        "    priority = 1\n"
        "    def get_password(self, service, username): return None\n"
        "    def set_password(self, service, username, password): raise AssertionError\n"
        "    def delete_password(self, service, username): raise AssertionError\n"
    )
    code, _, err = told(
        tmp_path / "home", "auth", "--paste-token", "--url-main", "http://127.0.0.1:9",
        PYTHON_KEYRING_BACKEND="plain.PlaintextKeyring", PYTHONPATH=str(tmp_path),
    )  # fmt: skip
    assert code == 1
    assert "PlaintextKeyring" in err
    assert "--token-stdin" in err


async def test_status_without_a_login_is_one_line_and_exit_code_one(tmp_path: Path) -> None:
    import asyncio

    async with SimulatorServer(SimOptions()) as sim:
        code, out, err = await asyncio.to_thread(
            told, tmp_path, "auth", "status", "--json", "--url-main", sim.urls.main
        )
    assert (code, err) == (1, "")
    status = json.loads(out)
    assert status["logged_in"] is False
    assert "keyring" in status["words"]


@pytest.mark.parametrize(
    ("flags", "needle"),
    [
        (("--paste-code", "--paste-token"), "two different ways"),
        (("--timeout", "0"), "above 0"),
        (("--url-order", "http://127.0.0.1:9"), "without the main one"),
        (("--url-main", "http://broker.example"), "http://127.0.0.1:port"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_two(tmp_path: Path, flags: tuple[str, ...], needle: str) -> None:
    code, out, err = told(tmp_path, "auth", *flags)
    assert (code, out) == (2, "")
    assert needle in err
    assert err.count("\n") == 1
