"""Keys and commands that steer a replay. On any other run they say that there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tradetui.domain.replay import ReplayView, steer_of
from tradetui.domain.view import Snapshot
from tradetui.tui.desk import Desk

KEYS: Mapping[str, str] = {
    "replay.pause": "toggle",
    "replay.frame": "step frame",
    "replay.second": "step second",
    "replay.minute": "step minute",
    "replay.faster": "faster",
    "replay.slower": "slower",
}
"""Action id to the words it stands for."""


class Replayer:
    """Steers the replay that is on the screen.

    Args:
        desk: The engine.
        live: The newest snapshot.
        say: Puts a notice on the screen.
    """

    def __init__(self, desk: Desk, live: Callable[[], Snapshot], say: Callable[..., None]) -> None:
        self._desk = desk
        self._live = live
        self._say = say

    def actions(self, prompt: Callable[[str], None]) -> Mapping[str, Callable[[int], None]]:
        """Action id to what it does; ``prompt`` opens the command line with a text."""
        found: dict[str, Callable[[int], None]] = {
            name: lambda _, words=words: self.run(words)  # type: ignore[misc]
            for name, words in KEYS.items()
        }

        def jump(_: int) -> None:
            if self._running():
                prompt("replay jump ")

        return {**found, "replay.jump": jump}

    def run(self, words: str) -> None:
        """Do what typed words ask."""
        view = self._running()
        if view is None:
            return
        asked = steer_of(words.split())
        if isinstance(asked, str):
            self._say(asked, "WARNING")
            return
        refusal = view.refuses(asked)
        if refusal:
            self._say(refusal, "WARNING")
        else:
            self._say(f"replay: {self._desk.replay(words.split())}")

    def _running(self) -> ReplayView | None:
        view = self._live().replay
        if view is None:
            self._say("nothing is replayed here: tradetui run --replay DATE plays a past day")
        return view
