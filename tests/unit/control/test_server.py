"""The control socket's two ends: only the same user, only well-formed lines, never in the engine's way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tradetui.control import server as server_module
from tradetui.control.client import NotRunning, ask
from tradetui.control.protocol import (
    MAX_PATH,
    MAX_REQUEST,
    NOTE_NAME,
    VERSION,
    ControlError,
    noted_path,
    parse_reply,
    parse_request,
    private_folder,
    refusal_line,
    reply_line,
    request_line,
    socket_path,
)
from tradetui.control.server import ControlServer
from tradetui.domain.errors import StorageError, UsageError


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data directory, and a short place for its socket."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="tt") as short:
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        yield tmp_path


async def echo(name: str, args: dict[str, Any]) -> dict[str, Any]:
    if name == "refuse":
        raise UsageError("no", "ask better")
    if name == "break":
        raise RuntimeError("secret=abc")
    if name == "many":
        return {"rows": [{"n": number} for number in range(1000)]}
    return {"name": name, "args": args}


@contextlib.asynccontextmanager
async def serving(place: Path, answer: Any = echo) -> AsyncIterator[ControlServer]:
    server = ControlServer(place, answer)
    await server.start()
    try:
        yield server
    finally:
        await server.close()


async def asked(place: Path, name: str, **args: Any) -> dict[str, Any]:
    return await asyncio.to_thread(ask, place, name, args, 10.0)


async def raw(path: Path, data: bytes) -> bytes:
    """What the server says to some bytes, until it hangs up or a line has come."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(data)
    line = await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    return line


# --- lines and places


def test_a_request_comes_out_as_it_went_in() -> None:
    line = request_line("place", {"qty": 10, "text": "₹\n"})
    assert line.count(b"\n") == 1
    assert parse_request(line) == ("place", {"qty": 10, "text": "₹\n"})


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"{",
        b"[]",
        b"1",
        b'{"ask":"x"}',
        b'{"v":1,"ask":1}',
        b'{"v":1,"ask":"x","args":[]}',
        b"\xff",
    ],
)
def test_garbage_is_wrong_use(line: bytes) -> None:
    with pytest.raises(UsageError):
        parse_request(line)


def test_another_version_is_told_the_remedy() -> None:
    with pytest.raises(UsageError, match="same installation"):
        parse_request(json.dumps({"v": VERSION + 1, "ask": "status"}).encode())


def test_answers_come_out_as_they_went_in() -> None:
    assert parse_reply(reply_line({"a": 1})) == {"a": 1}
    with pytest.raises(ControlError, match=r"why\. do this") as caught:
        parse_reply(refusal_line("why", "do this", 2))
    assert caught.value.exit_code == 2
    with pytest.raises(ControlError, match="no proper answer"):
        parse_reply(b"<html>")


def test_the_socket_of_a_deep_directory_has_a_short_path(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 200) / ("y" * 200)
    path = socket_path(deep, {"XDG_RUNTIME_DIR": str(tmp_path / ("z" * 120))})
    assert len(os.fsencode(path)) <= MAX_PATH
    assert path.name == socket_path(deep).name
    assert path.name != socket_path(tmp_path).name


def test_a_directory_that_others_may_enter_is_not_used(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(StorageError, match="private"):
        private_folder(tmp_path)
    target = tmp_path / "real"
    target.mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(StorageError, match="private"):
        private_folder(tmp_path / "link")


# --- both ends


async def test_a_question_is_answered_and_everything_is_private(place: Path) -> None:
    async with serving(place) as server:
        assert await asked(place, "orders", open=True) == {"name": "orders", "args": {"open": True}}
        assert stat.S_IMODE(server.path.stat().st_mode) == 0o600
        assert stat.S_IMODE(server.path.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE((place / NOTE_NAME).stat().st_mode) == 0o600
    assert not server.path.exists()
    assert not (place / NOTE_NAME).exists()
    with pytest.raises(NotRunning):
        await asked(place, "orders")


async def test_refusals_reach_the_other_end_with_their_code(place: Path) -> None:
    async with serving(place):
        with pytest.raises(ControlError, match=r"no\. ask better") as caught:
            await asked(place, "refuse")
        assert caught.value.exit_code == 2


async def test_an_internal_error_tells_nothing_and_ends_nothing(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(place) as server:
        line = await raw(server.path, request_line("break", {}))
        assert b"secret" not in line
        assert "control request failed" in caplog.text
        assert (await asked(place, "orders"))["name"] == "orders"


async def test_a_long_list_is_answered_whole(place: Path) -> None:
    async with serving(place):
        assert len((await asked(place, "many"))["rows"]) == 1000


async def test_several_requests_go_over_one_connection(place: Path) -> None:
    async with serving(place) as server:
        reader, writer = await asyncio.open_unix_connection(str(server.path))
        writer.write(request_line("one", {}) + b"garbage\n" + request_line("two", {}))
        lines = [json.loads(await reader.readline()) for _ in range(3)]
        writer.close()
    assert [line["ok"] for line in lines] == [True, False, True]


async def test_a_line_that_never_ends_is_refused_and_hung_up(place: Path) -> None:
    async with serving(place) as server:
        line = await raw(server.path, b"x" * (MAX_REQUEST + 10))
        assert "longer than" in json.loads(line)["error"]["words"]
        assert (await asked(place, "orders"))["name"] == "orders"


async def test_half_a_line_is_no_request(place: Path) -> None:
    heard: list[str] = []

    async def answer(name: str, args: dict[str, Any]) -> dict[str, Any]:
        heard.append(name)
        return {}

    async with serving(place, answer) as server:
        reader, writer = await asyncio.open_unix_connection(str(server.path))
        writer.write(request_line("place", {})[:-1])
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
    assert heard == []


@pytest.mark.parametrize("uid", [os.getuid() + 1, None])
async def test_another_user_is_hung_up_on_without_a_word(
    place: Path, monkeypatch: pytest.MonkeyPatch, uid: int | None
) -> None:
    heard: list[str] = []

    async def answer(name: str, args: dict[str, Any]) -> dict[str, Any]:
        heard.append(name)
        return {}

    async with serving(place, answer) as server:
        monkeypatch.setattr(server_module, "peer_uid", lambda connection: uid)
        with contextlib.suppress(ConnectionError):
            assert await raw(server.path, request_line("orders", {})) == b""
    assert heard == []


def test_a_socket_of_another_user_is_not_asked(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = socket_path(place)
    private_folder(path.parent)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        monkeypatch.setattr("tradetui.control.client.peer_uid", lambda connection: os.getuid() + 1)
        with pytest.raises(ControlError, match="another user"):
            ask(place, "orders")
        listener.settimeout(5)
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(100) == b""


async def test_a_socket_left_by_a_killed_engine_is_replaced(place: Path) -> None:
    path = socket_path(place)
    private_folder(path.parent)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.exists()
    with pytest.raises(NotRunning):
        await asked(place, "orders")
    async with serving(place):
        assert (await asked(place, "orders"))["name"] == "orders"


async def test_an_engine_that_answers_keeps_its_socket(place: Path) -> None:
    async with serving(place):
        second = ControlServer(place, echo)
        with pytest.raises(StorageError, match="another engine listens"):
            await second.start()
        await second.close()
        assert (await asked(place, "orders"))["name"] == "orders"


async def test_what_is_no_socket_is_never_removed(place: Path) -> None:
    path = socket_path(place)
    private_folder(path.parent)
    path.write_text("mine")
    with pytest.raises(StorageError, match="not a socket"):
        await ControlServer(place, echo).start()
    assert path.read_text() == "mine"


async def test_a_client_of_another_session_finds_the_socket_by_the_note(
    place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with serving(place) as server:
        monkeypatch.delenv("XDG_RUNTIME_DIR")
        assert noted_path(place) == server.path
        assert (await asked(place, "orders"))["name"] == "orders"


async def test_an_engine_that_does_not_answer_is_said_with_what_is_not_known(place: Path) -> None:
    async def answer(name: str, args: dict[str, Any]) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    async with serving(place, answer):
        with pytest.raises(ControlError, match="not known"):
            await asyncio.to_thread(ask, place, "place", {}, 0.05)
