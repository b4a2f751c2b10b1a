"""A backfill while `tradetui run` holds the store: the running engine does it, and we show how far it is."""

from __future__ import annotations

import signal
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from tradetui.commands.backfill.progress import progress_for
from tradetui.control.client import NotRunning, ask
from tradetui.domain.errors import TradeTuiError

if TYPE_CHECKING:
    from tradetui.commands.backfill import BackfillOptions
    from tradetui.commands.shared import Setting
    from tradetui.storage.lock import DataInUse
    from tradetui.wiring.backfill.ask import Ask

_LOOK_S: Final = 0.3
_CHECK_S: Final = 300.0


class _Stopped(Exception):
    """SIGTERM came."""


def through_engine(options: BackfillOptions, wanted: Ask, setting: Setting, held: DataInUse) -> int:
    """Let the engine that holds the data directory do it; returns the exit code.

    Raises:
        DataInUse: Whoever holds the directory is no engine that could be asked.
        TradeTuiError: The engine refused.
    """
    from tradetui.commands.backfill import finish, finish_check

    data_dir = setting.place.data_dir
    if any(options.urls) or options.token_stdin:
        raise TradeTuiError(
            f"{held.message}: it works with its own account",
            "leave base URLs and --token-stdin away, or give this one another directory with --home",
        )
    try:
        if options.check:
            return finish_check(options, ask(data_dir, "backfill-check", wanted.as_data(), _CHECK_S))
        job = ask(data_dir, "backfill-start", wanted.as_data())["job"]
    except NotRunning:
        raise held from None
    progress = progress_for(sys.stderr, as_json=options.as_json, events=options.events)
    since, state = 0, {}

    def stop(number: int, frame: Any) -> None:
        raise _Stopped

    before = signal.signal(signal.SIGTERM, stop)
    try:
        with progress:
            while True:
                state = ask(data_dir, "backfill-state", {"job": job, "since": since})
                since = int(state["next"])
                for event in state["events"]:
                    progress.tell(event)
                if not state["running"]:
                    break
                time.sleep(_LOOK_S)
    except (KeyboardInterrupt, _Stopped):
        state = ask(data_dir, "backfill-stop", {"job": job})
    finally:
        signal.signal(signal.SIGTERM, before)
    return finish(options, state["summary"])
