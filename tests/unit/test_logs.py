"""Logs: to the file and the pane, redacted and harmless, never to the terminal."""

from __future__ import annotations

import json
import logging
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tradetui import logs
from tradetui.domain.errors import StorageError


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Leave logging as it was found."""
    root = logging.getLogger()
    handlers, level, raises = list(root.handlers), root.level, logging.raiseExceptions
    root.handlers = []
    yield
    logging.captureWarnings(False)
    for handler in root.handlers:
        handler.close()
    root.handlers, logging.raiseExceptions = handlers, raises
    root.setLevel(level)


def redact(text: str) -> str:
    return text.replace("s3cret", "***")


def test_records_reach_file_and_pane_and_not_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ring = logs.set_up(tmp_path / "logs", redact)
    logging.getLogger("tradetui.x").info("order %s sent", "tt-1")
    logging.getLogger("tradetui.x").debug("not this")
    text = (tmp_path / "logs" / "tradetui.log").read_text()
    assert text.endswith("INFO    tradetui.x: order tt-1 sent\n")
    assert "not this" not in text
    assert [(row.seq, row.level, row.text) for row in ring.rows] == [(1, "INFO", "order tt-1 sent")]
    assert capsys.readouterr() == ("", "")
    assert stat.S_IMODE((tmp_path / "logs").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "logs" / "tradetui.log").stat().st_mode) == 0o600


@pytest.mark.parametrize("form", ["text", "json"])
def test_secrets_and_control_characters_reach_neither(tmp_path: Path, form: str) -> None:
    ring = logs.set_up(tmp_path, redact, form=form)
    log = logging.getLogger("tradetui.x")
    log.warning("token=%s \x1b[2J\u202edone", "s3cret")
    try:
        token = "s3cret"
        raise ValueError(f"bad {token}")
    except ValueError:
        log.exception("failed with s3cret")
    text = (tmp_path / "tradetui.log").read_text()
    shown = "".join(row.text for row in ring.rows)
    for place in (text, shown):
        assert "s3cret" not in place
        assert "\x1b" not in place
        assert "\u202e" not in place
        assert "token=***" in place
    assert "ValueError: bad ***" in text


def test_json_lines_are_one_object_each(tmp_path: Path) -> None:
    logs.set_up(tmp_path, redact, form="json")
    log = logging.getLogger("tradetui.x")
    log.info("two\nlines")
    try:
        raise KeyError("k")
    except KeyError:
        log.exception("it failed")
    rows = [json.loads(line) for line in (tmp_path / "tradetui.log").read_text().splitlines()]
    assert [(row["level"], row["logger"]) for row in rows] == [
        ("INFO", "tradetui.x"),
        ("ERROR", "tradetui.x"),
    ]
    assert "KeyError" in rows[1]["trace"]


def test_the_file_is_rotated_and_old_ones_are_let_go(tmp_path: Path) -> None:
    logs.set_up(tmp_path, redact, max_mb=0.01, keep=2)
    for number in range(2_000):
        logging.getLogger("tradetui.x").info("line %d", number)
    assert {path.name for path in tmp_path.iterdir()} == {"tradetui.log", "tradetui.log.1", "tradetui.log.2"}
    assert "line 1999" in (tmp_path / "tradetui.log").read_text()


def test_the_pane_keeps_the_newest(tmp_path: Path) -> None:
    ring = logs.set_up(tmp_path, redact)
    for number in range(logs.RING + 10):
        logging.getLogger("tradetui.x").info("line %d", number)
    assert len(ring.rows) == logs.RING
    assert ring.rows[-1].text == f"line {logs.RING + 9}"
    assert ring.rows[-1].seq == logs.RING + 10


def test_talkative_libraries_are_quiet_and_warnings_are_caught(tmp_path: Path) -> None:
    ring = logs.set_up(tmp_path, redact, level="DEBUG")
    logging.getLogger("websockets.client").info("chatter")
    logging.getLogger("websockets.client").warning("trouble")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("odd thing", UserWarning, stacklevel=1)
    texts = [row.text for row in ring.rows]
    assert texts[0] == "trouble"
    assert "odd thing" in texts[1]


def test_setting_up_twice_writes_once(tmp_path: Path) -> None:
    logs.set_up(tmp_path, redact)
    logs.set_up(tmp_path, redact)
    logging.getLogger("tradetui.x").info("once")
    assert (tmp_path / "tradetui.log").read_text().count("once") == 1


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot write the log file"):
        logs.set_up(tmp_path / "file" / "logs", redact)
