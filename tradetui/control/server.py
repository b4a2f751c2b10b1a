"""The server's end of the control socket, on the runtime's loop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tradetui.control.protocol import (
    MAX_REQUEST,
    NOTE_NAME,
    parse_request,
    peer_uid,
    private_folder,
    refusal_line,
    reply_line,
    socket_path,
)
from tradetui.domain.errors import StorageError, TradeTuiError

log = logging.getLogger(__name__)

Answer = Callable[[str, dict[str, Any]], Awaitable[Mapping[str, Any]]]
"""Name and arguments of a request to its answer; refuses by raising a `TradeTuiError`."""

IDLE_S: Final = 30.0
"""A connection that asks nothing for so long is closed."""
MOST_CONNECTIONS: Final = 32
_LARGE_ROWS: Final = 200
"""A list so long is put into JSON on another thread: the loop has prices to take in."""


class ControlServer:
    """Answers other commands of the same user while the engine runs.

    Args:
        data_dir: The data directory; the lock of it is held, so nobody else may listen for it.
        answer: Answers requests, on the loop.
        path: Where to listen; made from the data directory by default.
    """

    def __init__(self, data_dir: Path, answer: Answer, path: Path | None = None) -> None:
        self.path = path or socket_path(data_dir)
        self._note = data_dir / NOTE_NAME
        self._answer = answer
        self._server: asyncio.AbstractServer | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            StorageError: Another process listens there, or the place is not ours alone.
        """
        private_folder(self.path.parent)
        await asyncio.to_thread(self._clear_place)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # The directory is ours alone, so nobody connects between these two lines.
            listener.bind(str(self.path))
            self.path.chmod(0o600)
            self._server = await asyncio.start_unix_server(self._connected, sock=listener, limit=MAX_REQUEST)
            self._write_note()
        except OSError as error:
            listener.close()
            raise StorageError(f"cannot open the control socket {self.path}: {error.strerror}") from error

    def _clear_place(self) -> None:
        """Remove the socket of a process that is gone; never one that answers, never anything but a socket."""
        try:
            found = self.path.lstat()
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.getuid():
            raise StorageError(f"{self.path} is not a socket of ours", "move it away")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(str(self.path))
            except (ConnectionRefusedError, FileNotFoundError):
                self.path.unlink(missing_ok=True)
                return
            except OSError as error:
                words = f"cannot tell whether anybody listens at {self.path}: {error.strerror}"
                raise StorageError(words) from error
        raise StorageError(f"another engine listens at {self.path} already")

    def _write_note(self) -> None:
        text = json.dumps({"path": str(self.path), "pid": os.getpid()})
        fresh = self._note.with_suffix(".new")
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(text)
        fresh.replace(self._note)

    async def close(self) -> None:
        """Stop listening, hang up, and remove the socket."""
        if self._server is None:
            return
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        self._server = None
        for path in (self._note, self.path):
            with contextlib.suppress(OSError):
                path.unlink()

    # --- connections ----------------------------------------------------------------------------------

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            with contextlib.suppress(ConnectionError, TimeoutError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self._open.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        uid = peer_uid(writer.get_extra_info("socket"))
        if uid != os.getuid():
            log.warning("the control socket was opened by user %s and closed at once", uid)
            return
        if len(self._open) > MOST_CONNECTIONS:
            await _send(writer, refusal_line("too many commands at once", "try again"))
            return
        while True:
            async with asyncio.timeout(IDLE_S):
                try:
                    line = await reader.readuntil(b"\n")
                except asyncio.LimitOverrunError:
                    words = f"the request is longer than {MAX_REQUEST} bytes"
                    await _send(writer, refusal_line(words, code=2))
                    return
                except asyncio.IncompleteReadError:
                    return
            await _send(writer, await self._reply(line))

    async def _reply(self, line: bytes) -> bytes:
        name = "request"
        try:
            name, args = parse_request(line)
            data = await self._answer(name, args)
            if any(isinstance(value, list) and len(value) > _LARGE_ROWS for value in data.values()):
                return await asyncio.to_thread(reply_line, data)
            return reply_line(data)
        except TradeTuiError as error:
            return refusal_line(error.message, error.remedy, error.exit_code)
        except Exception:
            # One bad request must not end the run; what went wrong is for the log, not for the other end.
            log.exception("a control request failed: %s", name[:40])
            return refusal_line(
                "internal error", "see the log file, and with `tradetui orders` whether anything was done"
            )


async def _send(writer: asyncio.StreamWriter, line: bytes) -> None:
    writer.write(line)
    async with asyncio.timeout(IDLE_S):
        await writer.drain()
