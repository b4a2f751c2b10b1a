"""`tradetui kill`: stop trading from a shell, with or without a running engine.

| what it finds | what it does |
|---|---|
| an engine whose loop turns | asks it over the control socket; by a signal when the socket does not answer |
| an engine that hangs | takes its lease (it can send nothing any more) and acts itself |
| a watchdog at work | asks it to finish its step, and goes on from there |
| no engine | takes the lease, logs in, reads journal and account, and acts itself |

In every case it waits for evidence and says what was done and what could not be. It acts on the account of the
last run on this data directory and on no other, unless told to.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tradetui import config
from tradetui.commands.shared import Flags, start_logging, token_from_pipe
from tradetui.domain.errors import TradeTuiError, UsageError
from tradetui.domain.view import Mode
from tradetui.storage.kill_file import (
    KILL_FILE,
    KillOrder,
    clear_kill_file,
    products_from,
    read_kill_file,
    write_kill_file,
)
from tradetui.storage.lease import Holder, Lease, Seen, process_exists
from tradetui.storage.lock import DataInUse, DataLock

if TYPE_CHECKING:
    from tradetui.brokers.upstox.tokens import AccessToken
    from tradetui.runtime.stand_in import Report, Task
    from tradetui.wiring.hand_over import Whereabouts

_TURNS_S: Final = 1.5
"""How long an engine's loop may stand still before it counts as hung here; it beats ten times a second."""
_ASK_S: Final = 5.0
_LOOK_S: Final = 0.2
WHO: Final = "tradetui kill"


@dataclass(frozen=True, slots=True)
class KillOptions:
    """Flags of ``tradetui kill``; see `cli.kill`."""

    home: str | None = None
    urls: Flags = (None, None, None, None)
    flatten: bool = False
    include: str = ""
    live: bool = False
    clear: bool = False
    token_stdin: bool = False
    as_json: bool = False


def run_kill(options: KillOptions) -> int:
    """Pull the kill, or take the kill file away; returns the exit code: 0 only when everything was done.

    Raises:
        TradeTuiError: It could not be tried; the words say why.
    """
    place = config.home(options.home)
    if options.clear:
        return _clear(place, as_json=options.as_json)
    include = products_from(options.include)
    if include and not options.flatten:
        raise UsageError("--include says what stage 2 closes", "add --flatten")
    order = KillOrder(options.flatten, include)
    settings = config.load(place.config_file)
    lease = Lease(place.data_dir)
    try:
        report = _pull(options, place, settings, lease, order)
    finally:
        lease.close()
    standing = read_kill_file(place.data_dir) is not None
    if options.as_json:
        print(json.dumps({**report.as_data(), "kill_file": standing}))
    else:
        print("\n".join(report.lines()))
        if standing:
            print(f"  the kill file {KILL_FILE} stands: take it away with `tradetui kill --clear`")
    return 0 if report.done else 1


def _clear(place: config.Home, *, as_json: bool) -> int:
    gone = clear_kill_file(place.data_dir)
    if as_json:
        print(json.dumps({"cleared": gone}))
    else:
        print(f"the kill file {KILL_FILE} is gone; trading stays halted until it is resumed" if gone else
              f"there is no kill file {KILL_FILE}")  # fmt: skip
    return 0


def _pull(
    options: KillOptions, place: config.Home, settings: config.Config, lease: Lease, order: KillOrder
) -> Report:
    from tradetui.wiring.hand_over import last_run

    seen = lease.look()
    where = last_run(place.data_dir)
    if seen.holder is Holder.ENGINE and seen.alive and where is not None and _turns(lease, seen):
        return _by_engine(place, settings, where, seen, order)
    start_logging(place, settings)
    return asyncio.run(_by_ourselves(options, place, settings, lease, order, where))


def _turns(lease: Lease, seen: Seen) -> bool:
    """Whether the engine's loop turns now."""
    deadline = time.monotonic() + _TURNS_S
    while time.monotonic() < deadline:
        if lease.look().beats != seen.beats:
            return True
        time.sleep(0.02)
    return False


# --- through the engine -------------------------------------------------------------------------------


def _by_engine(
    place: config.Home, settings: config.Config, where: Whereabouts, seen: Seen, order: KillOrder
) -> Report:
    """Ask the engine, then read in its journal what became of it."""
    from tradetui.runtime.stand_in import PATIENCE_S, Scene, Task
    from tradetui.wiring.stand_in import desk_of, instruments_of

    lookup = instruments_of(place, where)
    scene = Scene(where.mode.value, where.hosts.label, where.label, lookup)
    task = Task(desk_of(place, settings, where), scene, order, "engine")
    _tell(place, seen, order)
    deadline = time.monotonic() + PATIENCE_S[order.flatten]
    while time.monotonic() < deadline:
        time.sleep(_LOOK_S)
        task.desk = desk_of(place, settings, where)
        if task.halted and task.over():
            return task.report()
        if not process_exists(seen.pid, seen.started):
            raise TradeTuiError(
                "the engine ended meanwhile", "call `tradetui kill` again: it will act itself"
            )
    return _late(task)


def _late(task: Task) -> Report:
    report = task.report()
    if task.halted:
        return report
    words = "the engine has not recorded the kill: it may not have heard it"
    return replace(report, failed=(*report.failed, words))


def _tell(place: config.Home, seen: Seen, order: KillOrder) -> None:
    """By the control socket; else by a signal, or the kill file where a signal cannot say enough."""
    from tradetui.control.client import ask

    args = {"flatten": order.flatten, "include": [one.value for one in order.include], "note": WHO}
    try:
        ask(place.data_dir, "kill", args, _ASK_S)
    except TradeTuiError:
        if order.include:
            write_kill_file(place.data_dir, order)
        elif process_exists(seen.pid, seen.started):
            os.kill(seen.pid, signal.SIGUSR2 if order.flatten else signal.SIGUSR1)


# --- without one --------------------------------------------------------------------------------------


async def _by_ourselves(
    options: KillOptions,
    place: config.Home,
    settings: config.Config,
    lease: Lease,
    order: KillOrder,
    where: Whereabouts | None,
) -> Report:
    from tradetui.runtime.stand_in import Report, stand_in
    from tradetui.wiring.stand_in import join_stand_in

    if _own_account(options):
        where, token = await _named_account(options, place, settings)
    elif where is None:
        raise UsageError(
            "nothing has traded from this data directory, and no engine runs",
            "name the account: --live for Upstox, or --url-main for a simulator",
        )
    elif where.mode not in (Mode.LIVE, Mode.REHEARSAL, Mode.SIM):
        # Paper orders exist in the engine only: without one, none is working.
        return Report("kill", where.mode.value, where.hosts.label, where.label, 2 if order.flatten else 1)
    else:
        token = await _token(options, where)
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(
            DataInUse
        ):  # by an engine that hangs: the lease keeps it from writing orders
            stack.callback(DataLock(place.data_dir, WHO).release)
        hung = lease.look().holder is Holder.ENGINE
        await asyncio.to_thread(lease.take, Holder.KILL, force=hung)
        stack.callback(lease.release)
        parts = await join_stand_in(place, settings, where, token, lease, WHO)
        return await stand_in(parts, order, "kill", WHO)


def _own_account(options: KillOptions) -> bool:
    return options.live or any(options.urls)


async def _named_account(
    options: KillOptions, place: config.Home, settings: config.Config
) -> tuple[Whereabouts, AccessToken]:
    """The account that flags name, whatever the last run traded on."""
    from tradetui.commands.shared import Setting
    from tradetui.wiring.account import named_account, whereabouts

    hosts = Setting(place, settings).hosts(options.urls)
    account = await named_account(hosts, token_from_pipe(options.token_stdin, "kill"))
    return whereabouts(account), account.token


async def _token(options: KillOptions, where: Whereabouts) -> AccessToken:
    """A login for the account of the last run, and for no other.

    Raises:
        AuthError: There is none.
        TradeTuiError: The login is another account's, or the simulator is another one.
    """
    from tradetui.wiring.account import named_account

    if where.inner:
        raise TradeTuiError(
            "the last run traded on its inner simulator, which ended with it",
            "nothing is open at any exchange",
        )
    account = await named_account(where.hosts, token_from_pipe(options.token_stdin, "kill"))
    if account.folder != where.folder:
        raise TradeTuiError(
            f"this login leads to {account.folder}, but the last run traded on {where.folder}",
            "name the account you mean: --live, or --url-main",
        )
    return account.token
