"""Frames of the measuring world, ready made but for times, volumes and the finished minute.

A world's update goes through board, exchange and cutter on its way to a client, twenty microseconds an instrument;
no simulator process could offer 50,000 a second that way. Here every frame is one message that exists already: only
what changes is set, and the message is written once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tradetui.domain.market_data import F64
from tradetui.pb.market_feed_v3_pb2 import Feed, FeedResponse, Type

_MINUTE_MS = 60_000


class _Group:
    """The instruments that share frames, and what their minutes have come to."""

    def __init__(self, messages: Sequence[Sequence[Feed]], keys: Sequence[str], volume: int) -> None:
        self.volumes = [volume] * len(keys)
        self.frames: list[FeedResponse] = []
        self.parts: list[list[tuple[Any, Any, Any, Any]]] = []
        self.prices: list[F64] = []
        self.sizes: list[list[int]] = []
        for variant in range(len(messages[0])):
            frame = FeedResponse(type=Type.live_feed)
            for key, variants in zip(keys, messages, strict=True):
                frame.feeds[key].CopyFrom(variants[variant])
            markets = [frame.feeds[key].fullFeed.marketFF for key in keys]
            self.frames.append(frame)
            self.parts.append(
                [(one, one.ltpc, one.marketOHLC.ohlc[0], one.marketOHLC.ohlc[1]) for one in markets]
            )
            self.prices.append(np.array([one.ltpc.ltp for one in markets]))
            self.sizes.append([one.ltpc.ltq for one in markets])
        self.minute_ms = 0
        self.forming = np.zeros((5, len(keys)))
        self.finished: list[list[float]] = []
        self.finished_ms = 0
        self.told = [0] * len(self.frames)


class BenchFrames:
    """Frames by number, each instrument in turn.

    Args:
        messages: By instrument, its messages in the order of their turns.
        keys: Instrument keys in the order of their turns; the length is a multiple of ``feeds``.
        feeds: Instruments in one frame.
        volume: Day's volume at the start, units.
    """

    def __init__(
        self, messages: Sequence[Sequence[Feed]], keys: Sequence[str], feeds: int, volume: int
    ) -> None:
        self._groups = [
            _Group(messages[at : at + feeds], keys[at : at + feeds], volume)
            for at in range(0, len(keys), feeds)
        ]

    def frame(self, number: int, t_ms: int) -> bytes:
        """The bytes of a frame that is due at ``t_ms``. Ask for each once, in order."""
        turn, place = divmod(number, len(self._groups))
        group = self._groups[place]
        variant = turn % len(group.frames)
        self._pass_time(group, variant, t_ms)
        if group.finished and group.told[variant] != group.finished_ms:
            group.told[variant] = group.finished_ms
            for (_, _, _, minute), bar in zip(group.parts[variant], group.finished, strict=True):
                minute.open, minute.high, minute.low, minute.close = bar[:4]
                minute.vol, minute.ts = int(bar[4]), group.finished_ms
        volumes = group.volumes = list(map(int.__add__, group.volumes, group.sizes[variant]))
        for (market, last, day, _), volume in zip(group.parts[variant], volumes, strict=True):
            last.ltt = t_ms
            market.vtt = day.vol = volume
        frame = group.frames[variant]
        frame.currentTs = t_ms
        return frame.SerializeToString()

    @staticmethod
    def _pass_time(group: _Group, variant: int, t_ms: int) -> None:
        """Take the trades of a frame into the minutes."""
        price, size = group.prices[variant], group.sizes[variant]
        minute_ms = t_ms - t_ms % _MINUTE_MS
        if minute_ms != group.minute_ms:
            if group.minute_ms:
                group.finished, group.finished_ms = group.forming.T.tolist(), group.minute_ms
            group.minute_ms = minute_ms
            group.forming[:4], group.forming[4] = price, size
        else:
            forming = group.forming
            np.maximum(forming[1], price, out=forming[1])
            np.minimum(forming[2], price, out=forming[2])
            forming[3] = price
            forming[4] += size
