"""Steering a replay over the control socket."""

from __future__ import annotations

from typing import Any, Final

from tradetui.control.host import Args, Host
from tradetui.domain.errors import TradeTuiError, UsageError
from tradetui.domain.replay import steer_of
from tradetui.feeds.player import clock_of

NO_REPLAY: Final = "this run is no replay"


async def steer(host: Host, args: Args) -> dict[str, Any]:
    """Do what the words ask; with ``wait`` the answer comes when the replay has come to rest.

    Raises:
        UsageError: The words ask for nothing that there is, or what cannot be done.
        TradeTuiError: Nothing is replayed.
    """
    replay = host.parts.replay
    if replay is None:
        raise TradeTuiError(NO_REPLAY, "start one with `tradetui run --replay`")
    words = args.get("words")
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise UsageError("words must be a list of texts")
    asked = steer_of(words)
    if isinstance(asked, str):
        raise UsageError(asked)
    told = replay.steer(asked)
    if args.get("wait"):
        await replay.rest()
    view = replay.view()
    return {
        "words": told,
        "state": view.words,
        "name": view.name,
        "at": clock_of(view.at_ns) if view.at_ns else "",
        "at_ns": view.at_ns,
        "first_ns": view.first_ns,
        "last_ns": view.last_ns,
        "paused": view.paused,
        "speed": view.speed,
        "ended": view.ended,
    }
