"""Which world a simulator runs, and at what moment of exchange time it begins."""

from __future__ import annotations

from dataclasses import dataclass

from tradetui.domain.calendar import Calendar, ist_date
from tradetui.domain.errors import UsageError
from tradetui.simulator.keep import Kept, load, unlisted
from tradetui.simulator.state import SimOptions
from tradetui.simulator.worlds.base import World
from tradetui.simulator.worlds.replay import ReplayWorld


@dataclass(frozen=True, slots=True)
class Start:
    """A world and when it begins.

    Attributes:
        world: The world.
        name: What sort of world.
        origin: Name and source or seed: a kept day belongs to exactly this.
        start_ns: Exchange time at the start, UTC ns.
    """

    world: World
    name: str
    origin: str
    start_ns: int


def build_world(options: SimOptions, calendar: Calendar) -> Start:
    """Make the world that the options ask for.

    Raises:
        UsageError: The options contradict each other, or a recording is missing or damaged.
    """
    if options.replay is not None:
        world = ReplayWorld(options.replay)
        return Start(world, "replay", f"replay {options.replay.resolve()}", world.start_ns)
    raise UsageError("no world")


def resume(options: SimOptions, start: Start) -> Kept | None:
    """The kept day to go on with; None to start afresh. The world is moved to where that day was left.

    Raises:
        UsageError: The state file is damaged.
    """
    if options.state_file is None:
        return None
    kept = load(options.state_file)
    if kept is None or kept.world != start.origin or kept.day != ist_date(start.start_ns):
        return None
    if unlisted(kept, [one.key for one in start.world.instruments]):
        return None
    if kept.clock_ns > start.start_ns:
        start.world.skip(kept.clock_ns)
    return kept
