"""`tradetui run`: the workstation, with its screen or headless."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import signal
import sys
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tradetui import config
from tradetui.commands.shared import start_logging, token_from_pipe
from tradetui.commands.signals import HangUp, KillSignals, hang_up_headless
from tradetui.domain.errors import TradeTuiError, UsageError
from tradetui.domain.replay import clock_seconds, speed_of

if TYPE_CHECKING:
    from collections import deque

    from tradetui.domain.view import Handle, LogRow
    from tradetui.runtime.core import Runtime
    from tradetui.runtime.handle import RuntimeHandle
    from tradetui.wiring.parts import Parts

_DURATION = re.compile(r"^(\d+(?:\.\d+)?)(ms|s|m|h)?$")
STOP_WAIT_S = 15.0
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Flags of ``tradetui run``; see `cli.run`."""

    home: str | None = None
    urls: tuple[str | None, str | None, str | None, str | None] = (None, None, None, None)
    live: bool = False
    rehearse: bool = False
    headless: bool = False
    lasting: str | None = None
    until_end: bool = False
    as_json: bool = False
    token_stdin: bool = False
    record: bool = False
    sim_seed: int | None = None
    speed: str | None = None
    fresh: bool = False
    replay: str | None = None
    start: str | None = None
    paused: bool = False


def duration_s(text: str) -> float:
    """Seconds in ``30s``, ``5m``, ``2h``, ``1.5``.

    Raises:
        UsageError: It is none of these.
    """
    found = _DURATION.match(text.strip())
    if found is None or float(found[1]) <= 0:
        raise UsageError(f"not a duration: {text!r}", "write it like 30s, 5m or 2h")
    return float(found[1]) * _SECONDS[found[2]]


def run_workstation(options: RunOptions) -> int:
    """Run until told to stop; returns the exit code.

    Raises:
        TradeTuiError: One line that says what is wrong and how to mend it.
    """
    if options.as_json and not options.headless:
        raise UsageError("--json needs --headless", "the screen needs the terminal for itself")
    lasting = duration_s(options.lasting) if options.lasting else None
    _check_replay(options)
    place = config.home(options.home)
    settings = config.load(place.config_file)
    token = token_from_pipe(options.token_stdin, "run")
    kills = KillSignals()
    if options.headless:
        return _headless(options, place, settings, token, lasting, kills)
    return _screen(options, place, settings, token, lasting, kills)


def _parts(
    options: RunOptions, place: config.Home, settings: config.Config, token: str
) -> Coroutine[Any, Any, Parts]:
    if options.replay is not None:
        return _replay_parts(options, place, settings)
    from tradetui import wiring

    return wiring.join(
        wiring.Request(
            place=place,
            settings=settings,
            urls=options.urls,
            live=options.live,
            rehearse=options.rehearse,
            token=token,
            ends=options.until_end,
            record=options.record or settings.storage.record,
            sim_seed=settings.simulator.seed if options.sim_seed is None else options.sim_seed,
            sim_speed=settings.simulator.speed if options.speed is None else _pace(options.speed),
            fresh=options.fresh,
        )
    )


def _replay_parts(
    options: RunOptions, place: config.Home, settings: config.Config
) -> Coroutine[Any, Any, Parts]:
    from tradetui.wiring.replay import ReplayRequest, join_replay

    return join_replay(
        ReplayRequest(
            place=place,
            settings=settings,
            what=options.replay or "",
            speed=1.0 if options.speed is None else _pace(options.speed),
            from_s=None if options.start is None else clock_seconds(options.start),
            paused=options.paused,
            ends=options.until_end,
            record=options.record,
        )
    )


def _check_replay(options: RunOptions) -> None:
    """Refuse flags that do not go together.

    Raises:
        UsageError: Says which.
    """
    if options.replay is None:
        if options.start is not None or options.paused:
            raise UsageError("--from and --paused belong to --replay")
        if options.speed is not None and not _pace(options.speed):
            raise UsageError("--speed max belongs to --replay", "an exchange of its own needs a pace")
        return
    if options.live or options.rehearse:
        raise UsageError("a replay trades on paper", "leave --live and --rehearse away")
    if any(options.urls):
        raise UsageError("a replay talks to no broker", "leave the base URLs away")
    if options.start is not None and clock_seconds(options.start) is None:
        raise UsageError(f"--from {options.start}: type a time such as 10:05")


def _pace(text: str) -> float:
    """Times real time; 0 for ``max``.

    Raises:
        UsageError: It is neither.
    """
    speed = speed_of(text)
    if speed is None:
        raise UsageError(f"--speed {text}: type how many times real time, or max")
    return speed


def _home_of(options: RunOptions, place: config.Home) -> config.Home:
    """Where this run listens for other commands: a replay may stand beside a live one."""
    if options.replay is None:
        return place
    from tradetui.wiring.replay import replay_home

    return replay_home(place)


# --- headless -----------------------------------------------------------------------------------------


def _headless(
    options: RunOptions,
    place: config.Home,
    settings: config.Config,
    token: str,
    lasting: float | None,
    kills: KillSignals,
) -> int:
    from tradetui.runtime.handle import loop_factory

    start_logging(place, settings)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        summary = runner.run(_run_headless(options, place, settings, token, lasting, kills))
    if options.as_json:
        print(json.dumps(summary))
    else:
        for name, value in summary.items():
            print(f"{name:24} {value}")
    return 0


async def _run_headless(
    options: RunOptions,
    place: config.Home,
    settings: config.Config,
    token: str,
    lasting: float | None,
    kills: KillSignals,
) -> dict[str, Any]:
    from tradetui.commands.serve import add_control
    from tradetui.runtime.core import Runtime
    from tradetui.runtime.notices import NoticeBoard

    runtime: Runtime | None = None
    stopped_early = asyncio.Event()

    def stop() -> None:
        stopped_early.set()
        if runtime is not None:
            runtime.stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    stay = settings.screen.hang_up == "stay"
    loop.add_signal_handler(signal.SIGHUP, lambda: hang_up_headless(stay, lambda: runtime, stop))
    kills.use_loop(loop)
    parts = await _parts(options, place, settings, token)
    runtime = Runtime(parts)
    add_control(runtime, _home_of(options, place), settings)
    runtime.listeners.append(NoticeBoard(parts.universe).heard)
    if stopped_early.is_set():
        runtime.stop()
    submitting = loop.create_task(_attach(kills, runtime))
    timer = loop.create_task(_stop_after(runtime, lasting)) if lasting is not None else None
    try:
        await runtime.run()
    finally:
        submitting.cancel()
        if timer is not None:
            timer.cancel()
    return runtime.summary()


async def _attach(kills: KillSignals, runtime: Runtime) -> None:
    """Let the kill signals through once there is an account that they can act on."""
    await runtime.started.wait()
    kills.attach(lambda event: runtime.take(replace(event, t_ns=runtime.parts.clock.now_ns())))


async def _stop_after(runtime: Runtime, seconds: float) -> None:
    await runtime.started.wait()
    await asyncio.sleep(seconds)
    runtime.stop()


# --- screen -------------------------------------------------------------------------------------------


def _screen(
    options: RunOptions,
    place: config.Home,
    settings: config.Config,
    token: str,
    lasting: float | None,
    kills: KillSignals,
) -> int:
    if not sys.stdin.isatty() and not options.token_stdin:
        raise UsageError("the screen needs a terminal", "use --headless where there is none")
    if not sys.stdout.isatty():
        raise UsageError(
            "the screen needs a terminal on standard output", "use --headless where there is none"
        )
    from tradetui.tui.app import TradeApp, UiSettings

    held: list[RuntimeHandle] = []
    told: list[deque[LogRow]] = []

    def start() -> Handle:
        """Called on a thread after the first paint: now the heavy imports may come."""
        rows = start_logging(place, settings).rows
        told.append(rows)
        logging.getLogger(__name__).info("loading the engine")
        from tradetui.commands.serve import add_control
        from tradetui.runtime.handle import RuntimeHandle

        handle = RuntimeHandle(
            lambda: _parts(options, place, settings, token),
            rows,
            lambda runtime: add_control(runtime, _home_of(options, place), settings),
        )
        held.append(handle)
        handle.start()
        kills.attach(handle.submit)
        return handle

    screen = settings.screen
    hang_up = HangUp(screen.hang_up == "stay", lambda: held[-1] if held else None)
    app = TradeApp(
        start,
        UiSettings(
            hz=screen.hz,
            theme="16" if screen.theme == "ansi" else screen.theme,
            pair=screen.gain_loss,
            ascii=screen.ascii,
            keys={action: (key,) for action, key in screen.keys.items()},
            early_log=lambda: tuple(told[0]) if told else (),
            hang_up=hang_up,
        ),
    )
    if lasting is not None:
        timer = threading.Timer(lasting, lambda: app.call_from_thread(app.leave))
        timer.daemon = True
        timer.start()
    code = app.run(mouse=True) or 0
    for handle in held:
        if hang_up.stayed:
            handle.wait()
            code = 0
        handle.stop()
        if not handle.join(STOP_WAIT_S):
            raise TradeTuiError("the engine did not stop in time", "see the log file")
        outcome = handle.stopped()
        if isinstance(outcome, TradeTuiError):
            raise outcome
        if isinstance(outcome, BaseException):
            return 1
    return code
