"""When the watchdog acts: judged by its own waking time, never by anybody's clock."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.conftest import REPO_ROOT
from tradetui.commands.watchdog import KILL_FILE_AFTER_S, POLL_S, Silence, Ward, run_watchdog
from tradetui.domain.errors import UsageError
from tradetui.storage.kill_file import KillOrder
from tradetui.storage.lease import Holder, Seen, start_mark

ALIVE = (os.getpid(), start_mark(os.getpid()))
DEAD = (2**22 + 17, 1)


def seen(
    *,
    epoch: int = 3,
    holder: Holder = Holder.ENGINE,
    who: tuple[int, int] = ALIVE,
    beats: int = 5,
    exposed: int = 1,
) -> Seen:
    return Seen(epoch, holder, *who, beats, 100, exposed, 0)


def test_silence_is_counted_while_the_counter_stands_still() -> None:
    silence = Silence()
    moments = [POLL_S * number for number in range(9)]
    assert [silence.look(7, moment) for moment in moments] == pytest.approx(moments)
    assert silence.look(8, 2.25) == 0.0
    assert silence.look(8, 2.5) == pytest.approx(0.25)


def test_an_hour_of_sleep_counts_as_one_look() -> None:
    silence = Silence(longest_step_s=1.0)
    silence.look(7, 100.0)
    assert silence.look(7, 3700.0) == 1.0, "we did not run either"
    assert silence.look(8, 3700.25) == 0.0


def test_a_clock_that_steps_back_takes_nothing_away() -> None:
    silence = Silence()
    silence.look(7, 100.0)
    silence.look(7, 100.5)
    assert silence.look(7, 50.0) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("state", "silent_s", "policy", "verdict"),
    [
        (seen(), 19.9, "flatten", "watch"),
        (seen(), 20.0, "flatten", KillOrder(flatten=True)),
        (seen(), 20.0, "cancel", KillOrder()),
        (seen(), 20.0, "warn", "warn"),
        (seen(exposed=0), 500.0, "flatten", "watch"),
        (seen(exposed=0, who=DEAD), 20.0, "cancel", KillOrder()),
        (seen(who=DEAD), 19.0, "cancel", "watch"),
        (seen(epoch=4), 0.0, "cancel", "end"),
        (seen(holder=Holder.NOBODY), 0.0, "cancel", "end"),
        (seen(holder=Holder.KILL), 500.0, "flatten", "end"),
    ],
)
def test_what_it_does(state: Seen, silent_s: float, policy: str, verdict: object) -> None:
    assert Ward(3, 20.0, policy).verdict(state, silent_s, None) == verdict


def test_a_kill_file_that_a_silent_engine_does_not_obey_goes_before_the_policy() -> None:
    ward, order = Ward(3, 20.0, "warn"), KillOrder(flatten=True)
    assert ward.verdict(seen(), KILL_FILE_AFTER_S - 0.1, order) == "watch"
    assert ward.verdict(seen(), KILL_FILE_AFTER_S, order) == order
    assert ward.verdict(seen(exposed=0), KILL_FILE_AFTER_S, order) == order


def test_by_hand_it_says_who_starts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    with pytest.raises(UsageError, match="started by `tradetui run`"):
        run_watchdog()


def test_while_it_only_watches_it_has_loaded_nothing_heavy() -> None:
    code = (
        "import sys; from pathlib import Path; import tradetui.commands.watchdog; statm = Path('/proc/self/statm'); "
        "print([n for n in ('textual', 'polars', 'numpy', 'duckdb', 'upstox_client', 'aiohttp', 'asyncio', 'keyring')"
        " if n in sys.modules], statm.read_text().split()[1] if statm.exists() else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPO_ROOT
    )
    loaded, _, pages = done.stdout.strip().rpartition(" ")
    assert loaded == "[]"
    assert int(pages) * os.sysconf("SC_PAGE_SIZE") < 40 * 2**20
