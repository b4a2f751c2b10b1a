"""`tradetui watchdog`: the small process that stands by while orders may be live.

`run` starts it and hands it everything over a pipe. It looks at the engine's lease four times a second and does
nothing else: it imports little, opens no connection, holds no lock. When the engine's loop has not turned for
`[watchdog] after` seconds, dead or hung, it takes the lease (from then on the engine can send nothing), reads the
journal and the account, and does what `[watchdog] policy` says. It ends when the engine ends in good order, when a
new engine takes over, or when it has done its work.

Silence is counted in time that this process itself was awake for: a laptop that slept for an hour has been silent
for no time at all, and no clock of anybody is compared with another's.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tradetui.domain.errors import TradeTuiError, UsageError
from tradetui.storage.kill_file import KillOrder, read_kill_file
from tradetui.storage.lease import Fenced, Holder, Lease, Seen

if TYPE_CHECKING:
    from tradetui.brokers.upstox.tokens import AccessToken
    from tradetui.runtime.stand_in import Report
    from tradetui.wiring.hand_over import HandOver

log = logging.getLogger(__name__)

POLL_S: Final = 0.25
KILL_FILE_AFTER_S: Final = 3.0
"""A kill file that a silent engine has not obeyed: sooner than any other reason to act."""
TRY_AGAIN_S: Final = 5.0
_MOST_LINE: Final = 65_536


class Silence:
    """How long a counter has stood still, in this process's own waking time.

    Args:
        longest_step_s: Most that one look may add; a longer gap means that we did not run either.
    """

    def __init__(self, longest_step_s: float = 4 * POLL_S) -> None:
        self._longest_step_s = longest_step_s
        self._beats = -1
        self._last_s: float | None = None
        self.seconds = 0.0

    def look(self, beats: int, now_s: float) -> float:
        """Take in the counter at a moment of a monotonic clock; returns the seconds of silence."""
        step = 0.0 if self._last_s is None else min(max(0.0, now_s - self._last_s), self._longest_step_s)
        self._last_s = now_s
        self.seconds = 0.0 if beats != self._beats else self.seconds + step
        self._beats = beats
        return self.seconds


@dataclass(frozen=True, slots=True)
class Ward:
    """Whom to watch, and what to do.

    Attributes:
        epoch: The engine's lease.
        after_s: Silence after which to act, seconds.
        policy: ``warn``, ``cancel`` or ``flatten``.
    """

    epoch: int
    after_s: float
    policy: str

    def verdict(self, seen: Seen, silent_s: float, kill: KillOrder | None) -> str | KillOrder:
        """What to do now: ``watch``, ``end``, ``warn``, or a kill to pull.

        A process that hangs with nothing open is left alone (somebody may have stopped it on purpose); one that is
        dead is looked after in any case, since what it had sent last may not have been counted.
        """
        if seen.epoch != self.epoch or seen.holder is not Holder.ENGINE:
            return "end"
        if kill is not None and silent_s >= min(KILL_FILE_AFTER_S, self.after_s):
            return kill
        if silent_s < self.after_s or (seen.alive and not seen.exposed):
            return "watch"
        if self.policy == "warn":
            return "warn"
        return KillOrder(flatten=self.policy == "flatten")


def run_watchdog() -> int:
    """Watch until there is nothing to watch; returns the exit code.

    Raises:
        UsageError: Nobody handed anything over.
    """
    if sys.stdin.isatty():
        raise UsageError(
            "the watchdog is started by `tradetui run`", "it needs what only a run can hand over"
        )
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    pipe = _Pipe(sys.stdin.fileno())
    first = pipe.wait()
    if not first:
        return 1
    said = json.loads(first)
    data_dir = Path(said["data_dir"])
    ward = Ward(int(said["epoch"]), float(said["after_s"]), str(said["policy"]))
    lease, silence, warned = Lease(data_dir), Silence(), False
    while True:
        pipe.listen(POLL_S)
        seen = lease.look()
        silent_s = silence.look(seen.beats, time.monotonic())
        verdict = ward.verdict(seen, silent_s, read_kill_file(data_dir))
        if verdict == "end":
            return 0
        if silent_s == 0:
            warned = False
        if isinstance(verdict, KillOrder):
            return _act(first, pipe.newest, lease, verdict, silent_s)
        if verdict == "warn" and not warned:
            warned = True
            _say_silent(first, seen, silent_s)


class _Pipe:
    """Lines from the engine, without ever waiting for them longer than is said."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._rest = b""
        self._open = True
        self.newest = b""

    def wait(self) -> bytes:
        """The first line; empty when the pipe closed before there was one."""
        while self._open and not self.newest:
            self.listen(None)
        first, self.newest = self.newest, b""
        return first

    def listen(self, seconds: float | None) -> None:
        """Wait so long, taking in what comes. A closed pipe only means that the engine's process is gone."""
        if not self._open:
            time.sleep(seconds or 0)
            return
        ready, _, _ = select.select([self._fd], [], [], seconds)
        if not ready:
            return
        chunk = os.read(self._fd, _MOST_LINE)
        self._open = bool(chunk)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if lines:
            self.newest = lines[-1]


# --- acting: from here on the heavy imports ----------------------------------------------------------


def _prepared(first: bytes, newest: bytes) -> tuple[HandOver, AccessToken]:
    from tradetui import config
    from tradetui.brokers.upstox.redact import redact_text
    from tradetui.logs import set_up
    from tradetui.wiring.hand_over import HandOver, token_of

    told = HandOver.read(first)
    settings = config.load(config.Home(Path(told.config_dir), Path(told.data_dir)).config_file)
    set_up(Path(told.data_dir) / "logs" / "watchdog", redact_text, level=settings.logs.level)
    token = told.token
    if newest:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            token = token_of(json.loads(newest))
    return told, token


def _say_silent(first: bytes, seen: Seen, silent_s: float) -> None:
    _prepared(first, b"")
    state = "hangs" if seen.alive else "is gone"
    log.critical(
        "the engine (process %d) %s: silent for %.0f s with %d open orders and positions; policy warn does nothing",
        seen.pid, state, silent_s, seen.exposed,
    )  # fmt: skip


def _act(first: bytes, newest: bytes, lease: Lease, kill: KillOrder, silent_s: float) -> int:
    """Take the lease and see the kill through; again after a failure, until an engine wants the lease back."""
    import asyncio

    from tradetui import config
    from tradetui.wiring.hand_over import HandOver

    told, token = _prepared(first, newest)
    seen = lease.look()
    try:
        lease.take(Holder.WATCHDOG, expect=told.epoch, force=True)
    except Fenced:
        return 0  # a new engine, or a kill from outside, was faster
    state = "hangs" if seen.alive else "is gone"
    who = f"the watchdog (the engine {state}, silent for {silent_s:.0f} s)"
    log.critical("%s: taking over, %s", who, kill.words)
    settings = config.load(config.Home(Path(told.config_dir), Path(told.data_dir)).config_file)
    assert isinstance(told, HandOver)
    try:
        while not lease.asked():
            try:
                report = asyncio.run(_stand_in(told, token, settings, lease, kill, who))
            except Fenced:
                return 0
            except TradeTuiError as error:
                log.error("could not act: %s", error)  # noqa: TRY400 - words say it all
                time.sleep(TRY_AGAIN_S)
                continue
            except Exception:
                # A bug must not leave positions to nobody while there is anything that may work the next time.
                log.exception("could not act, for a reason that nobody foresaw")
                time.sleep(TRY_AGAIN_S)
                continue
            for line in report.lines():
                log.critical("%s", line)
            return 0 if report.done else 1
        return 1
    finally:
        with contextlib.suppress(TradeTuiError):
            lease.release()


async def _stand_in(
    told: HandOver, token: AccessToken, settings: object, lease: Lease, kill: KillOrder, who: str
) -> Report:
    from tradetui import config
    from tradetui.runtime.stand_in import stand_in
    from tradetui.wiring.stand_in import join_stand_in

    assert isinstance(settings, config.Config)
    place = config.Home(Path(told.config_dir), Path(told.data_dir))
    parts = await join_stand_in(place, settings, told.where, token, lease, who)
    return await stand_in(parts, kill, "watchdog", who, asked_to_stop=lease.asked)


if __name__ == "__main__":
    raise SystemExit(run_watchdog())
