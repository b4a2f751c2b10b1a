"""Log files and the log pane: the same records, nothing secret, nothing on the terminal.

Records go to a rotating file under the data directory, as text or JSON lines, and into a ring that the log
pane shows. Every message is redacted and stripped of control characters before either sees it.
"""

from __future__ import annotations

import json
import logging
import traceback
from collections import deque
from collections.abc import Callable
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

from tradetui.domain.errors import StorageError
from tradetui.domain.text import clean
from tradetui.domain.view import LogRow

RING: Final = 500
"""Records that the log pane can scroll back."""
_QUIET: Final = ("asyncio", "websockets", "urllib3", "upstox_client", "aiohttp.access", "keyring")
"""Loggers of libraries that talk too much below WARNING."""


class _Cleaned(logging.Filter):
    """Redacts the message, and drops what a traceback could carry of local values."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        super().__init__()
        self._redact = redact

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = clean(self._redact(record.getMessage()), 4_000)
        record.args = None
        if record.exc_info and record.exc_info[0] is not None:
            lines = traceback.format_exception(*record.exc_info)
            record.exc_text = self._redact("".join(lines))
            record.exc_info = None
        return True


class _JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        row = {
            "t": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "text": record.getMessage(),
        }
        if record.exc_text:
            row["trace"] = record.exc_text
        return json.dumps(row, ensure_ascii=False)


class RingHandler(logging.Handler):
    """Keeps the newest records for the log pane."""

    def __init__(self, size: int = RING) -> None:
        super().__init__(logging.INFO)
        self.rows: deque[LogRow] = deque(maxlen=size)
        self._seq = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record."""
        self._seq += 1
        self.rows.append(
            LogRow(self._seq, int(record.created * 1000), record.levelname, clean(record.getMessage(), 300))
        )


def set_up(
    folder: Path,
    redact: Callable[[str], str],
    *,
    level: str = "INFO",
    form: str = "text",
    max_mb: float = 10.0,
    keep: int = 5,
) -> RingHandler:
    """Send all logging to files in ``folder`` and to the returned ring; nothing goes to the terminal.

    Args:
        folder: Where ``tradetui.log`` is written; made if missing, private to the user.
        redact: Takes secrets out of a text.
        level: Least severe level written.
        form: ``text`` or ``json``.
        max_mb: Size at which the file is rotated.
        keep: Rotated files kept.

    Raises:
        StorageError: The folder or file cannot be written.
    """
    path = folder / "tradetui.log"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        file = RotatingFileHandler(path, maxBytes=int(max_mb * 2**20), backupCount=keep, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"cannot write the log file {path}: {error.strerror}") from error
    text = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    file.setFormatter(_JsonLines() if form == "json" else text)
    ring = RingHandler()
    cleaned = _Cleaned(redact)
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    for handler in (file, ring):
        handler.addFilter(cleaned)
        root.addHandler(handler)
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    # A full disk must not print tracebacks over the screen.
    logging.raiseExceptions = False
    return ring
