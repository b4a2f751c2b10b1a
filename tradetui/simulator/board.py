"""The board: the latest full state of every instrument, and today's minute bars."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

from tradetui.domain.calendar import ist_date
from tradetui.domain.market_data import BarSource, Candle
from tradetui.pb.market_feed_v3_pb2 import Feed, MarketOHLC
from tradetui.simulator.merging import merge
from tradetui.simulator.worlds.base import World, WorldUpdate

_MINUTE_MS = 60_000


class _Tape:
    """Today's minute bars of one instrument, from its trades, corrected by the reported minutes."""

    __slots__ = ("bars", "day_ms", "ltt", "oi_high", "oi_low", "reported", "vtt")

    def __init__(self) -> None:
        # minute start in ms -> [open, high, low, close, volume, open interest]
        self.bars: dict[int, list[float]] = {}
        self.reported: set[int] = set()
        self.day_ms = 0
        self.ltt = 0
        self.vtt = 0
        self.oi_high = 0.0
        self.oi_low = 0.0

    def trade(self, ltp: float, ltt: int, vtt: int, oi: float) -> None:
        """Take one update in: it is a trade only if the trade time or the day's volume moved."""
        if ltt <= 0 or (ltt <= self.ltt and vtt <= self.vtt):
            return
        day_ms = ltt - (ltt + 19_800_000) % 86_400_000
        if day_ms > self.day_ms:
            self.bars.clear()
            self.reported.clear()
            self.day_ms, self.ltt, self.vtt, self.oi_high, self.oi_low = day_ms, 0, 0, 0.0, 0.0
        qty = vtt - self.vtt if self.vtt and vtt > self.vtt else 0
        self.ltt = max(self.ltt, ltt)
        self.vtt = max(self.vtt, vtt)
        if oi:
            self.oi_high = max(self.oi_high, oi)
            self.oi_low = min(self.oi_low or oi, oi)
        minute = ltt - ltt % _MINUTE_MS
        if minute in self.reported:
            return
        bar = self.bars.get(minute)
        if bar is None:
            self.bars[minute] = [ltp, ltp, ltp, ltp, qty, oi]
            return
        bar[1] = max(bar[1], ltp)
        bar[2] = min(bar[2], ltp)
        bar[3] = ltp
        bar[4] += qty
        bar[5] = oi or bar[5]

    def report(self, bars: MarketOHLC) -> None:
        """Prefer the reported finished minute (``I1``) over our own."""
        for row in bars.ohlc:
            if row.interval == "I1" and row.ts >= self.day_ms > 0:
                old = self.bars.get(row.ts)
                self.bars[row.ts] = [row.open, row.high, row.low, row.close, row.vol, old[5] if old else 0.0]
                self.reported.add(row.ts)


class Board:
    """What a member's screen would show: fed with every update, asked by REST handlers and the feed.

    Args:
        world: Gives the snapshot of an instrument that no update has touched yet.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.bend: Callable[[str, Feed], None] | None = None
        """Changes what the world shows before anybody sees it."""
        self._feeds: dict[str, Feed] = {}
        self._tapes: dict[str, _Tape] = {}

    def apply(self, update: WorldUpdate) -> None:
        """Merge one update in."""
        for key, feed in update.feeds.items():
            state = self._feeds.get(key)
            if state is None:
                state = self._first(key)
                if state is None:
                    state = Feed()
                self._feeds[key] = state
            merge(state, feed)
            self._record(key, state, feed)

    def reload(self) -> None:
        """Take every state from the world anew, after it skipped over a stretch of time."""
        self._feeds.clear()

    def feed(self, key: str) -> Feed | None:
        """The merged state of one instrument; ``None`` before its first update. Read it, do not keep it."""
        state = self._feeds.get(key)
        if state is None:
            state = self._first(key)
            if state is not None:
                self._feeds[key] = state
        return state

    def minutes(self, key: str, day: date) -> list[Candle]:
        """Minute bars of ``day`` so far, oldest first, the forming one last."""
        known = {bar.start_ms: bar for bar in self._world.minutes(key, day)}
        tape = self._tapes.get(key)
        if tape is not None and ist_date(tape.day_ms * 1_000_000) == day:
            for ts, bar in tape.bars.items():
                if ts in tape.reported or ts not in known:
                    source = BarSource.BROKER if ts in tape.reported else BarSource.TICKS
                    known[ts] = Candle(
                        -1, 60, ts, bar[0], bar[1], bar[2], bar[3], int(bar[4]), bar[5], source
                    )
        return [known[ts] for ts in sorted(known)]

    def oi_range(self, key: str) -> tuple[float, float]:
        """Highest and lowest open interest seen today, units; zeros where there is none."""
        tape = self._tapes.get(key)
        return (tape.oi_high, tape.oi_low) if tape else (0.0, 0.0)

    def prices(self) -> Mapping[str, Feed]:
        """Every state that exists so far, by key."""
        return self._feeds

    def _first(self, key: str) -> Feed | None:
        snapshot = self._world.snapshot(key)
        if snapshot is None:
            return None
        state = Feed()
        state.CopyFrom(snapshot)
        if self.bend is not None:
            self.bend(key, state)
        self._record(key, state, state)
        return state

    def _record(self, key: str, state: Feed, update: Feed) -> None:
        tape = self._tapes.get(key)
        if tape is None:
            tape = self._tapes[key] = _Tape()
        full = update.fullFeed
        if full.HasField("marketFF"):
            market = full.marketFF
            if market.HasField("ltpc"):
                merged = state.fullFeed.marketFF
                tape.trade(merged.ltpc.ltp, merged.ltpc.ltt, merged.vtt, merged.oi)
            if market.HasField("marketOHLC"):
                tape.report(market.marketOHLC)
        elif full.HasField("indexFF"):
            index = full.indexFF
            if index.HasField("ltpc"):
                tape.trade(index.ltpc.ltp, index.ltpc.ltt, 0, 0.0)
            if index.HasField("marketOHLC"):
                tape.report(index.marketOHLC)
