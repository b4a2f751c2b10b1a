"""Which world a simulator runs, and at what moment of exchange time it begins."""

from __future__ import annotations

from dataclasses import dataclass

from tradetui.domain.calendar import Calendar
from tradetui.domain.errors import UsageError
from tradetui.simulator.state import SimOptions
from tradetui.simulator.worlds.base import World
from tradetui.simulator.worlds.replay import ReplayWorld


@dataclass(frozen=True, slots=True)
class Start:
    """A world, its name, and exchange time at the start, UTC ns."""

    world: World
    name: str
    start_ns: int


def build_world(options: SimOptions, calendar: Calendar) -> Start:
    """Make the world that the options ask for.

    Raises:
        UsageError: The options contradict each other, or a recording is missing or damaged.
    """
    if options.replay is not None:
        world = ReplayWorld(options.replay)
        return Start(world, "replay", world.start_ns)
    raise UsageError("no world")
