"""The lines that go over the control socket, and where the socket is. Nothing heavy is imported here."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import stat
import struct
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tradetui.domain.errors import StorageError, TradeTuiError, UsageError

VERSION: Final = 1
"""Of the lines. A server answers its own version only, and says so to any other."""
MAX_REQUEST: Final = 64 * 1024
"""Bytes of the longest request, line feed included."""
MAX_REPLY: Final = 64 * 1024 * 1024
"""Bytes of the longest reply that a client reads."""
MAX_PATH: Final = 103
"""Bytes of a socket's path: 104 on macOS and BSD, the closing zero included."""
NOTE_NAME: Final = "control.json"
"""File in the data directory that says where the socket of its engine is."""


class ControlError(TradeTuiError):
    """The running engine answered, and the answer was no.

    Args:
        message: Why, in the engine's words.
        remedy: What to do about it.
        code: 1: it was not done; 2: it was asked wrongly.
    """

    def __init__(self, message: str, remedy: str = "", code: int = 1) -> None:
        super().__init__(message, remedy)
        self.exit_code = code


# --- lines --------------------------------------------------------------------------------------------


def request_line(name: str, args: Mapping[str, Any]) -> bytes:
    """A request as it goes over the socket."""
    return _line({"v": VERSION, "ask": name, "args": dict(args)})


def reply_line(data: Mapping[str, Any]) -> bytes:
    """A good answer as it goes over the socket."""
    return _line({"v": VERSION, "ok": True, "data": dict(data)})


def refusal_line(words: str, remedy: str = "", code: int = 1) -> bytes:
    """A refusal as it goes over the socket."""
    return _line({"v": VERSION, "ok": False, "error": {"words": words, "remedy": remedy, "code": code}})


def _line(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def parse_request(line: bytes) -> tuple[str, dict[str, Any]]:
    """Name and arguments of a request.

    Raises:
        UsageError: It is none of this version.
    """
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise UsageError("not a request: one JSON object on one line is expected") from None
    if not isinstance(row, dict) or "v" not in row:
        raise UsageError("not a request: a JSON object with a version `v` is expected")
    if row["v"] != VERSION:
        raise UsageError(
            f"this engine speaks version {VERSION}, not {str(row['v'])[:20]}",
            "use the `tradetui` command of the same installation as the running engine",
        )
    name, args = row.get("ask"), row.get("args", {})
    if not isinstance(name, str) or not isinstance(args, dict):
        raise UsageError("not a request: `ask` must be a text and `args` an object")
    return name, args


def parse_reply(line: bytes) -> dict[str, Any]:
    """The data of a good answer.

    Raises:
        ControlError: The engine said no, or what came is no answer.
    """
    try:
        row = json.loads(line)
        if row["ok"]:
            data: dict[str, Any] = row["data"]
            return data
        error = row["error"]
        words, remedy, code = str(error["words"]), str(error["remedy"]), int(error["code"])
    except (ValueError, KeyError, TypeError):
        raise ControlError("the running engine gave no proper answer", "is it of another version?") from None
    raise ControlError(words, remedy, code)


# --- places -------------------------------------------------------------------------------------------


def socket_path(data_dir: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """Where the engine of a data directory listens.

    The name is a short hash of the directory: a path of it would not fit into a socket's 104 bytes.
    """
    name = hashlib.sha256(os.fsencode(data_dir.expanduser().resolve())).hexdigest()[:16] + ".sock"
    places = [Path(environ["XDG_RUNTIME_DIR"])] if environ.get("XDG_RUNTIME_DIR", "").startswith("/") else []
    places += [Path(tempfile.gettempdir()), Path("/") / "tmp"]
    uid = os.getuid()
    for place in places:
        path = place / f"tradetui-{uid}" / name
        if place.is_dir() and os.access(place, os.W_OK | os.X_OK) and len(os.fsencode(path)) <= MAX_PATH:
            return path
    raise StorageError(
        "no directory for the control socket", "set XDG_RUNTIME_DIR to a short path of your own"
    )


def private_folder(folder: Path) -> None:
    """Make a directory that only we can enter, or make sure that it is one.

    Raises:
        StorageError: It is somebody else's, open to others, or no directory.
    """
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise StorageError(f"cannot make the directory {folder}: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise StorageError(
            f"{folder} is not a private directory of ours: the control socket is not opened there",
            "remove it, or set XDG_RUNTIME_DIR",
        )


def noted_path(data_dir: Path) -> Path:
    """Where the engine of a data directory says that it listens; else where it would by this environment."""
    try:
        said = json.loads((data_dir / NOTE_NAME).read_bytes())
        return Path(str(said["path"]))
    except (OSError, ValueError, KeyError, TypeError):
        return socket_path(data_dir)


# --- who is at the other end --------------------------------------------------------------------------

_UCRED: Final = struct.Struct("3i")
_LOCAL_PEERCRED: Final = 1


def peer_uid(connection: socket.socket) -> int | None:
    """User id of the process at the other end; ``None`` where the system does not tell."""
    try:
        if hasattr(socket, "SO_PEERCRED"):
            raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
            return int(_UCRED.unpack(raw)[1])
        if sys.platform == "darwin":
            # struct xucred: version, uid, groups.
            raw = connection.getsockopt(0, _LOCAL_PEERCRED, 76)
            return int(struct.unpack_from("=II", raw)[1])
    except OSError:
        return None
    return None
