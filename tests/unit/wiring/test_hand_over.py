"""What a run leaves behind: enough to act in its place, and no secret on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from tradetui.brokers.upstox.hosts import LIVE, Hosts
from tradetui.brokers.upstox.tokens import make_token
from tradetui.domain.view import Mode
from tradetui.wiring.hand_over import LAST_RUN, HandOver, Whereabouts, last_run, token_data, token_of

SIM = Hosts("http://127.0.0.1:9", "http://127.0.0.1:9", "ws://127.0.0.1:9", "http://127.0.0.1:9")
BEARER = "not.for.disks"


def where(hosts: Hosts = SIM, mode: Mode = Mode.REHEARSAL) -> Whereabouts:
    return Whereabouts(mode, hosts.main, hosts.order, hosts.feed, hosts.assets, "sim-x", "**0001", 4.0)


def told() -> HandOver:
    return HandOver(where(), make_token(BEARER, SIM, 0, "AB0001", "Somebody"), "c", "d", 3, 20.0, "cancel")


def test_written_down_and_read_back(tmp_path: Path) -> None:
    assert last_run(tmp_path) is None
    where(LIVE, Mode.LIVE).save(tmp_path)
    found = last_run(tmp_path)
    assert found == where(LIVE, Mode.LIVE)
    assert found is not None
    assert found.hosts == LIVE
    assert (tmp_path / LAST_RUN).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"mode": "HOLIDAY"}', '{"mode": "LIVE", "host": 3}'])
def test_nonsense_counts_as_no_run(tmp_path: Path, text: str) -> None:
    (tmp_path / LAST_RUN).write_text(text)
    assert last_run(tmp_path) is None


def test_what_crosses_the_pipe_comes_out_the_same() -> None:
    line = told().line()
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert HandOver.read(line) == told()
    token = told().token
    assert token_of(token_data(token)) == token


def test_the_bearer_is_in_the_pipe_and_nowhere_else(tmp_path: Path) -> None:
    where().save(tmp_path)
    assert BEARER.encode() in told().line()
    assert BEARER not in repr(told())
    assert BEARER not in (tmp_path / LAST_RUN).read_text()
