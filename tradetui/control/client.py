"""Ask a running engine. Blocking, and light to import: every read command comes by here first."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tradetui.control.protocol import (
    MAX_REPLY,
    ControlError,
    noted_path,
    parse_reply,
    peer_uid,
    request_line,
)
from tradetui.domain.errors import TradeTuiError

CONNECT_S: Final = 2.0
ANSWER_S: Final = 30.0
_LOOK: Final = "whether it was done is not known: look with `tradetui orders`"


class NotRunning(TradeTuiError):
    """No engine answers for this data directory."""


class NoAnswer(ControlError):
    """The engine was asked, and what became of it is not known."""


def ask(
    data_dir: Path, name: str, args: Mapping[str, Any] | None = None, timeout_s: float = ANSWER_S
) -> dict[str, Any]:
    """Ask the engine that works in a data directory.

    Args:
        data_dir: The data directory.
        name: Name of the request; see `control.table`.
        args: What it needs.
        timeout_s: Longest wait for the answer, seconds.

    Raises:
        NotRunning: No engine runs there.
        NoAnswer: It was asked, and did not answer.
        ControlError: It said no.
    """
    path = noted_path(data_dir)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(CONNECT_S)
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            raise NotRunning(
                f"no `tradetui run` is working in {data_dir}", "start one, or name another --home"
            ) from None
        except OSError as error:
            raise ControlError(f"cannot reach the running engine at {path}: {error.strerror}") from error
        if peer_uid(connection) not in (None, os.getuid()):
            raise ControlError(f"{path} belongs to another user: nothing was asked")
        connection.settimeout(timeout_s)
        try:
            connection.sendall(request_line(name, args or {}))
            return parse_reply(_line_of(connection))
        except TimeoutError:
            raise NoAnswer(
                f"the running engine gave no answer within {timeout_s:g} s",
                _LOOK,
            ) from None
        except OSError as error:
            raise NoAnswer(f"the running engine hung up: {error.strerror}", _LOOK) from error


def _line_of(connection: socket.socket) -> bytes:
    parts: list[bytes] = []
    size = 0
    while size <= MAX_REPLY:
        part = connection.recv(1 << 16)
        if not part:
            break
        parts.append(part)
        size += len(part)
        if part.endswith(b"\n"):
            return b"".join(parts)
    raise NoAnswer("the running engine hung up before its answer was whole", _LOOK)
