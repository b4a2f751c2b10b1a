"""Which world a simulator runs, and at what moment of exchange time it begins."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import PurePath

from tradetui.domain.calendar import Calendar, PhaseKind, Segment
from tradetui.domain.errors import CalendarUnknown, UsageError
from tradetui.simulator.clock import last_session_open_ns
from tradetui.simulator.keep import Kept, load, without_expired
from tradetui.simulator.state import SimOptions
from tradetui.simulator.worlds.base import World


@dataclass(frozen=True, slots=True)
class Start:
    """A world and when it begins.

    Attributes:
        world: The world.
        name: What sort of world.
        origin: Name and source or seed: a kept day belongs to exactly this.
        start_ns: Exchange time at the start, UTC ns.
        calendar: The days and hours it keeps.
    """

    world: World
    name: str
    origin: str
    start_ns: int
    calendar: Calendar

    @property
    def label(self) -> str:
        """The origin without folders: clients keep what they learn of different worlds apart by it."""
        return " ".join(PurePath(word).name for word in self.origin.split(" "))


def build_world(options: SimOptions, calendar: Calendar) -> Start:
    """Make the world that the options ask for.

    Raises:
        UsageError: The options contradict each other, a recording is missing or damaged, or the date is no
            trading day.
    """
    if options.replay is not None and options.bars is not None:
        raise UsageError("a world is either replayed or made of bars", "Give --replay or --bars, not both")
    # Each world is imported only when it is run: a simulator is started for many a short test.
    if options.replay is not None:
        from tradetui.simulator.worlds.replay import ReplayWorld

        replay = ReplayWorld(options.replay, master=options.instruments)
        return Start(replay, "replay", f"replay {options.replay.resolve()}", replay.start_ns, calendar)
    if options.bars is not None:
        from tradetui.simulator.worlds.bars import BarsWorld

        bars = BarsWorld(options.bars, day=options.day, seed=options.seed)
        origin = f"bars {options.bars.resolve()} {options.seed}"
        return Start(bars, "bars", origin, bars.start_ns, calendar)
    start_ns = start_of(options, calendar, time.time_ns())
    if options.bench is not None:
        from tradetui.simulator.worlds.bench import BenchWorld

        count, rate = options.bench
        bench = BenchWorld(start_ns, count=count, rate=rate, seed=options.seed)
        return Start(bench, "bench", f"bench {count} {rate} {options.seed}", start_ns, calendar)
    from tradetui.simulator.worlds.synthetic import SyntheticWorld

    world = SyntheticWorld(options.seed, start_ns, calendar=calendar, variant=options.variant)
    origin = f"synthetic {options.seed} {options.variant}"
    return Start(world, "synthetic", origin, start_ns, world.calendar)


def start_of(options: SimOptions, calendar: Calendar, now_ns: int) -> int:
    """Exchange time at which the synthetic world begins, UTC ns.

    The open of ``--date``; the open of the last trading day under ``--jump-to-open``; else now.

    Raises:
        UsageError: The date is no trading day.
    """
    if options.day is not None:
        try:
            window = calendar.continuous(Segment.EQ_OTHER, options.day)
        except CalendarUnknown as error:
            raise UsageError(str(error)) from error
        if window is None:
            raise UsageError(f"{options.day} is no trading day")
        return window[0]
    return last_session_open_ns(calendar, now_ns) if options.jump_to_open else now_ns


def resume(options: SimOptions, start: Start) -> Kept | None:
    """The kept account to go on with, its clock set to where to go on; None to start afresh.

    The exchange goes on where it was left, or at the asked start if that is later. Under ``--jump-to-open`` a
    market left after its close goes on at the next open. The world is moved there.

    Raises:
        UsageError: The state file is damaged.
    """
    if options.state_file is None:
        return None
    kept = load(options.state_file)
    if kept is None or kept.world != start.origin:
        return None
    if options.day is not None and kept.day != options.day:
        return None
    clock_ns = max(kept.clock_ns, start.start_ns)
    if options.jump_to_open and not _trades(start.calendar, clock_ns):
        clock_ns = start.calendar.next_open(Segment.EQ_OTHER, clock_ns)
    if clock_ns > start.start_ns:
        start.world.skip(clock_ns)
    return replace(without_expired(kept, {one.key for one in start.world.instruments}), clock_ns=clock_ns)


def _trades(calendar: Calendar, t_ns: int) -> bool:
    """Whether shares trade continuously at a moment; a day the calendar does not know has no session."""
    try:
        return calendar.phase_at(Segment.EQ_OTHER, t_ns) is PhaseKind.CONTINUOUS
    except CalendarUnknown:
        return False
