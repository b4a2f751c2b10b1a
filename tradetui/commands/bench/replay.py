"""`tradetui bench replay`: a recorded day at full speed through the whole workstation, without its screen.

The day is one of the synthetic market, recorded first (that is not measured) in the format of `storage.recording`;
then it is played twice in processes of its own: bars, strategies, paper broker, journal, and every tick into the
store, nothing left out. Beside it, in the same run: reading the file alone, and the protobuf runtime on its frames.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Final

from tradetui.commands.bench import BenchOptions
from tradetui.commands.bench.report import Result
from tradetui.config import Config, Home
from tradetui.domain.calendar import Calendar, Segment
from tradetui.domain.errors import TradeTuiError
from tradetui.feeds.replay import NS_PER_MS, NS_PER_S, Wire
from tradetui.pb.market_feed_v3_pb2 import FeedResponse
from tradetui.simulator.worlds.synthetic import SyntheticWorld
from tradetui.storage.recording import InboxReader, RecordKind
from tradetui.wiring.recordings import MarketFile, describe

DAY: Final = date(2025, 12, 15)
SEED: Final = 7
SESSION_S: Final = 22_500.0
_ROUNDS: Final = 2


def bench(options: BenchOptions) -> Result:
    """Run the benchmark; ``options.seconds`` is the market time that is recorded and played.

    Raises:
        TradeTuiError: The replay failed, or two replays of the same day differ.
    """
    result = Result("replay")
    with tempfile.TemporaryDirectory(prefix="tradetui-bench-") as folder:
        home = Path(folder)
        path = recorded(home, options.seconds or SESSION_S)
        one = describe(path)
        span_s = (one.totals.last_ns - one.totals.first_ns) / NS_PER_S
        runs = [_played(home, path) for _ in range(_ROUNDS)]
        if len({ran["journal_sha256"] for ran in runs}) != 1:
            raise TradeTuiError("two replays of the same day wrote different journals")
        ran = min(runs, key=lambda one: one["took_s"])
        took_s = ran["took_s"]
        result.figures.update(
            market_hours=round(span_s / 3600, 3),
            frames=ran["frames"],
            ticks=ran["ticks"],
            dropped=ran["dropped"],
            took_s=round(took_s, 2),
            frames_per_s=round(ran["frames"] / took_s, 1),
            ticks_per_s=round(ran["ticks"] / took_s, 1),
            times_real_time=round(span_s / took_s, 1),
            size_mb=round(one.size / 1e6, 2),
            content_mb=round(one.totals.content / 1e6, 2),
            rss_mb=ran["rss_mb"],
            journals_equal=1,
        )
        result.bounds.update(
            read_frames_per_s=round(_rate(path, lambda payload: None), 1),
            from_string_frames_per_s=round(_rate(path, FeedResponse.FromString), 1),
        )
    result.limits["dropped"] = 0
    result.least["journals_equal"] = 1
    result.notes.append(
        "Time from joined to closed, every file written; start-up of the process is left out. The better of two."
    )
    return result


def recorded(home: Path, seconds: float) -> Path:
    """A recording of the synthetic market's first hours on a day.

    Raises:
        TradeTuiError: It cannot be written.
    """
    calendar = Calendar.default()
    window = calendar.continuous(Segment.EQ_OTHER, DAY)
    if window is None:
        raise TradeTuiError(f"{DAY} is no trading day")
    start_ns = window[0]
    world = SyntheticWorld(SEED, start_ns, calendar=calendar, variant="thin")
    out = MarketFile(home, start_ns, "synthetic", f"seed {SEED}", world.instruments)
    wire = Wire(one.key for one in world.instruments)
    try:
        for update in world.advance(start_ns + int(seconds * NS_PER_S)):
            for raw in wire.frames(update.feeds, update.t_ns // NS_PER_MS):
                out.frame(update.t_ns, raw)
    except BaseException:
        out.drop()
        raise
    return out.close()


def _played(home: Path, path: Path) -> dict[str, Any]:
    """The summary of one replay at full speed in a process of its own, with ``took_s`` beside it."""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "tradetui.commands.bench.replay", str(home), str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise TradeTuiError(f"the replay ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


async def play(home: Path, path: Path) -> dict[str, Any]:
    """Play a recording at full speed; the run's summary, and how long it took from joined to closed, seconds."""
    from tradetui.runtime.core import Runtime
    from tradetui.wiring.replay import ReplayRequest, join_replay

    parts = await join_replay(ReplayRequest(Home(home, home), Config(), str(path), speed=0, ends=True))
    runtime = Runtime(parts)
    began_s = time.perf_counter()
    await runtime.run()
    return {**runtime.summary(), "took_s": time.perf_counter() - began_s}


def _rate(path: Path, work: Callable[[bytes], object]) -> float:
    """Frames a second that are read and worked on, alone."""
    began_s, count = time.perf_counter(), 0
    for record in InboxReader(path):
        if record.kind is RecordKind.FRAME:
            work(record.payload)
            count += 1
    return count / (time.perf_counter() - began_s)


def main() -> None:
    """``python -m tradetui.commands.bench.replay HOME RECORDING``: one replay in a process of its own."""
    from tradetui.runtime.handle import loop_factory

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        print(json.dumps(runner.run(play(Path(sys.argv[1]), Path(sys.argv[2])))))


if __name__ == "__main__":
    main()
