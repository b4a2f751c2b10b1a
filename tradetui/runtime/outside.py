"""What stops trading from outside the program: the kill file, and signals."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tradetui.domain.events import Event, OperatorEvent, OperatorKind
from tradetui.storage.kill_file import KILL_FILE, KillOrder, read_kill_file

log = logging.getLogger(__name__)

_EVERY_TICKS: Final = 2
"""The runtime's timer turns ten times a second; the file is looked at in every second or third turn."""


def kill_event(order: KillOrder, who: str, t_ns: int) -> OperatorEvent:
    """What the engine is asked when somebody pulls the kill from outside."""
    kind = OperatorKind.FLATTEN if order.flatten else OperatorKind.KILL
    return OperatorEvent(t_ns, kind, include=order.include, note=who)


class KillWatch:
    """Looks for the kill file, and obeys it for as long as it stands.

    A file that is there before the start halts the engine before anything else. Resuming while it stands halts
    again: only taking the file away lets trading go on.

    Args:
        folder: The data directory; ``None`` looks nowhere.
        take: The runtime's inbox.
        now_ns: Engine time.
    """

    def __init__(self, folder: Path | None, take: Callable[[Event], None], now_ns: Callable[[], int]) -> None:
        self._folder = folder
        self._take = take
        self._now_ns = now_ns
        self._obeyed: KillOrder | None = None
        self._ticks = 0

    def tick(self) -> None:
        """One turn of the runtime's timer."""
        self._ticks += 1
        if self._ticks % _EVERY_TICKS == 0:
            self.look()

    def look(self) -> None:
        """Look now."""
        if self._folder is None:
            return
        found = read_kill_file(self._folder)
        if found == self._obeyed:
            return
        before, self._obeyed = self._obeyed, found
        if found is None:
            log.warning("the kill file is gone; trading stays halted until somebody resumes it")
            return
        if before is not None and before.flatten and not found.flatten:
            return  # the stronger word was obeyed already
        log.critical("kill file found: %s", found.words)
        self._take(kill_event(found, f"the kill file {KILL_FILE}", self._now_ns()))

    def heard(self, event: Event) -> None:
        """The engine has worked an event off: a resume does not outlive the file that still stands."""
        if (
            isinstance(event, OperatorEvent)
            and event.kind is OperatorKind.RESUME
            and self._obeyed is not None
        ):
            self._obeyed = None
            who = f"the kill file {KILL_FILE}, which still stands (tradetui kill --clear)"
            found = read_kill_file(self._folder) if self._folder is not None else None
            if found is not None:
                self._obeyed = found
                self._take(kill_event(KillOrder(), who, self._now_ns()))
