"""``bench decode``: frames of 100 full feeds to columns, beside the bare runtime and the official client's dictionaries.

All ways read the same frames in turn, so that a busy machine slows them alike; times are processor time of this
thread, medians of the rounds; the garbage collector is frozen and off while it is measured. *Hot fields* are what a
quote, a bar and the store's price columns need (last price, its time and quantity, day's volume, open interest, best
bid and ask, average price); *all fields* are the whole batch: day and minute bars, five levels, Greeks, auction.
"""

from __future__ import annotations

import gc
import importlib.metadata
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from tradetui.commands.bench import BenchOptions
from tradetui.commands.bench.report import Result
from tradetui.domain.errors import TradeTuiError

if TYPE_CHECKING:
    from tradetui.simulator.worlds.bench import BenchWorld

LIMITS: Final = {"hot_ratio_to_bare": 6.0, "all_ratio_to_bare": 14.0}
"""What the figures must not exceed."""
LEAST: Final = {"hot_times_faster_than_sdk": 20.0}
"""What the figures must reach."""
FEEDS: Final = 100
_FRAMES: Final = 40
_PEER_FRAMES: Final = 4
"""The peer takes fifty times as long; it gets fewer frames of each round."""
_ROUNDS: Final = 15


def bench(options: BenchOptions) -> Result:
    """Run the benchmark.

    Raises:
        TradeTuiError: Our own ways do not agree about a frame.
    """
    from tradetui.brokers.upstox.decoder import Decoder
    from tradetui.pb.market_feed_v3_pb2 import FeedResponse

    world, frames = _frames(max(options.instruments // FEEDS, 1) * FEEDS)
    slots = {instrument.key: slot for slot, instrument in enumerate(world.instruments)}
    # Nobody wants levels two to five and Greeks in the first, everybody in the second.
    hot, whole, rows = Decoder(slots, deep=frozenset()), Decoder(slots), Decoder(slots, 1 << 40)
    _agree(frames, whole, rows)
    ways: dict[str, tuple[Callable[[bytes], Any], int]] = {
        "bare": (FeedResponse.FromString, _FRAMES),
        "hot": (hot.decode, _FRAMES),
        "all": (whole.decode, _FRAMES),
        "rows": (rows.decode, _FRAMES),
        "sdk": (_sdk_route(), _PEER_FRAMES),
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    with _quiet():
        for number in range(_ROUNDS + 1):
            for name, (read, count) in ways.items():
                began = time.thread_time()
                for frame in frames[:count]:
                    read(frame)
                if number:  # the first round warms up
                    took[name].append(1e6 * (time.thread_time() - began) / (count * FEEDS))
    us = {name: statistics.median(rounds) for name, rounds in took.items()}
    ratio = {
        name: statistics.median(mine / bare for mine, bare in zip(took[name], took["bare"], strict=True))
        for name in ways
    }
    result = Result("decode", limits=dict(LIMITS), least=dict(LEAST))
    result.figures |= {
        "hot_us_per_feed": us["hot"],
        "hot_ratio_to_bare": ratio["hot"],
        "all_us_per_feed": us["all"],
        "all_ratio_to_bare": ratio["all"],
        "hot_times_faster_than_sdk": statistics.median(
            sdk / mine for sdk, mine in zip(took["sdk"], took["hot"], strict=True)
        ),
        "all_times_faster_than_sdk": statistics.median(
            sdk / mine for sdk, mine in zip(took["sdk"], took["all"], strict=True)
        ),
        "feeds_per_s_all": 1e6 / us["all"],
        "bytes_per_feed": statistics.fmean(map(len, frames)) / FEEDS,
    }
    result.bounds |= {
        "bare_fromstring_us_per_feed": us["bare"],
        "field_by_field_us_per_feed": us["rows"],
        "sdk_dictionaries_us_per_feed": us["sdk"],
    }
    result.notes.append(f"Frames of {FEEDS} full feeds, five levels; {_ROUNDS} rounds in turn, medians.")
    result.notes.append(_sdk_words())
    return result


def _frames(instruments: int) -> tuple[BenchWorld, list[bytes]]:
    """Frames as the measuring server sends them, each of other instruments than the one before."""
    from tradetui.commands.bench.server import session_open_ns
    from tradetui.simulator.worlds.bench import BenchWorld

    start_ns = session_open_ns()
    world = BenchWorld(start_ns, count=instruments, feeds_per_frame=FEEDS)
    prepared = world.prepared()
    start_ms = start_ns // 1_000_000
    return world, [prepared.frame(number, start_ms + 2 * number) for number in range(_FRAMES)]


def _agree(frames: list[bytes], whole: Any, rows: Any) -> None:
    """See that what is timed is the same work."""
    for frame in frames:
        ours, slow = whole.decode(frame), rows.decode(frame)
        for name in ("slot", "mask", "px", "qty", "depth", "greeks", "day", "minute", "auction"):
            if not (getattr(ours, name) == getattr(slow, name)).all():
                raise TradeTuiError(f"the ways of decoding do not agree about {name}")


def _sdk_route() -> Callable[[bytes], Any]:
    """What the official client does with a frame: its message, then dictionaries.

    Its own schema where it is installed; else ours, which is the same on the wire.
    """
    from google.protobuf.json_format import MessageToDict

    try:
        from upstox_client.feeder.proto.MarketDataFeedV3_pb2 import FeedResponse
    except ImportError:
        from tradetui.pb.market_feed_v3_pb2 import FeedResponse

    def dictionaries(frame: bytes) -> Any:
        return MessageToDict(FeedResponse.FromString(frame))

    return dictionaries


def _sdk_words() -> str:
    try:
        return f"The official client is version {importlib.metadata.version('upstox-python-sdk')}."
    except importlib.metadata.PackageNotFoundError:
        return "The official client is not installed: its way is done with our own schema."


@contextmanager
def _quiet() -> Iterator[None]:
    """No garbage collection inside."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
