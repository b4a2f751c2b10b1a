"""A world for measuring: thousands of instruments at a fixed rate of updates, cheap to make.

Every instrument has a few full messages made beforehand, at prices a tick or two apart; an update takes the
next of them and stamps time, volume and the last finished minute into it. So the cost that is measured is that
of the feed, not of a market model; and a client's own minutes agree with the reported ones, as they mostly do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np

from tradetui.domain.calendar import day_start_ns, ist_date
from tradetui.domain.errors import UsageError
from tradetui.domain.instrument import Instrument
from tradetui.domain.market_data import Candle
from tradetui.pb.market_feed_v3_pb2 import Feed, MarketFullFeed, RequestMode
from tradetui.simulator.worlds.base import WorldUpdate
from tradetui.simulator.worlds.bench_frames import BenchFrames
from tradetui.simulator.worlds.inference import MasterRow, to_instrument

_VARIANTS = 8
_FEEDS_A_FRAME = 100
_OPTION_SHARE = 0.7
_TICK = 0.05
_LOT = 65
_NS = 1_000_000_000

_Minute = list[float]


class BenchWorld:
    """See the module's docstring, and `World`. Endless.

    Args:
        start_ns: Exchange time at the start, UTC ns.
        count: Instruments.
        rate: Updates a second, all instruments together.
        seed: Seed of prices and sizes.
        feeds_per_frame: Instruments in one frame.

    Raises:
        UsageError: The figures make no sense.
    """

    def __init__(
        self,
        start_ns: int,
        *,
        count: int = 2_000,
        rate: float = 10_000.0,
        seed: int = 1,
        feeds_per_frame: int = _FEEDS_A_FRAME,
    ) -> None:
        if not (1 <= count <= 100_000 and rate > 0 and 1 <= feeds_per_frame <= count):
            raise UsageError("not a measurable world", "give 1 to 100000 instruments and a positive rate")
        self._start_ns = start_ns
        self._frame_ns = feeds_per_frame * _NS / rate
        self._feeds_per_frame = feeds_per_frame
        rng = np.random.default_rng(seed)
        options = rng.random(count) < _OPTION_SHARE
        self._rows = [_row(number, is_option=bool(options[number])) for number in range(count)]
        self._instruments = [to_instrument(row) for row in self._rows]
        self._keys = [row["instrument_key"] for row in self._rows]
        day_ms = day_start_ns(ist_date(start_ns)) // 1_000_000
        self._feeds = [
            [_message(rng, level, bool(options[number]), day_ms, variant) for variant in range(_VARIANTS)]
            for number, level in enumerate(rng.integers(200, 40_000, count))
        ]
        self._turn = rng.permutation(count).tolist()
        self._at = {key: number for number, key in enumerate(self._keys)}
        self._volume = [_LOT * 1_000] * count
        self._used = [0] * count
        # Minute, open, high, low, close, volume: the forming one, and the last finished one.
        self._forming: list[_Minute | None] = [None] * count
        self._finished: list[_Minute | None] = [None] * count
        self._told = [[0] * _VARIANTS for _ in range(count)]
        self._frame = 0

    @property
    def instruments(self) -> Sequence[Instrument]:
        """Everything listed."""
        return self._instruments

    @property
    def start_ns(self) -> int:
        """Exchange time of the first update."""
        return self._start_ns

    @property
    def end_ns(self) -> int | None:
        """Never ends."""
        return None

    @property
    def waits_for_subscriber(self) -> bool:
        """Goes on whether or not anybody looks."""
        return False

    def master_rows(self) -> Sequence[Mapping[str, Any]]:
        """Instrument file rows."""
        return self._rows

    def next_ns(self) -> int | None:
        """Time of the next frame."""
        return self._start_ns + round(self._frame * self._frame_ns)

    def advance(self, to_ns: int) -> Iterator[WorldUpdate]:
        """Every frame up to and including ``to_ns``. A message is valid until its instrument's next turns."""
        while (t_ns := self._start_ns + round(self._frame * self._frame_ns)) <= to_ns:
            yield WorldUpdate(t_ns, self._next_feeds(t_ns // 1_000_000))

    def skip(self, to_ns: int) -> None:
        """Leave out what would have happened until then."""
        self._frame = max(self._frame, int((to_ns - self._start_ns) // self._frame_ns) + 1)

    def snapshot(self, key: str) -> Feed | None:
        """The state of an instrument."""
        number = self._at.get(key)
        return None if number is None else self._feeds[number][self._used[number] % _VARIANTS]

    def history(self, key: str, interval_s: int, first: date, last: date) -> Sequence[Candle]:
        """None."""
        return ()

    def minutes(self, key: str, day: date) -> Sequence[Candle]:
        """None but what the updates show."""
        return ()

    def trade(self, key: str, price: float, qty: int, t_ns: int) -> None:
        """Adds to the volume of the next update."""
        if (number := self._at.get(key)) is not None:
            self._volume[number] += qty

    def prepared(self) -> BenchFrames:
        """The same world as frames that cost next to nothing; the world itself should stand still then.

        Raises:
            UsageError: The instruments do not fill whole frames.
        """
        size = self._feeds_per_frame
        if len(self._keys) % size:
            raise UsageError("not a measurable world", f"give a multiple of {size} instruments")
        return BenchFrames(
            [self._feeds[number] for number in self._turn],
            [self._keys[number] for number in self._turn],
            size,
            max(self._volume),
        )

    def _next_feeds(self, t_ms: int) -> dict[str, Feed]:
        count, size = len(self._keys), self._feeds_per_frame
        first = self._frame * size % count
        self._frame += 1
        feeds = {}
        for place in range(first, first + size):
            number = self._turn[place % count]
            self._used[number] += 1
            feed = self._feeds[number][self._used[number] % _VARIANTS]
            market = feed.fullFeed.marketFF
            self._volume[number] += market.ltpc.ltq
            market.ltpc.ltt, market.vtt = t_ms, self._volume[number]
            market.marketOHLC.ohlc[0].vol = self._volume[number]
            self._tell_minute(number, market, t_ms - t_ms % 60_000)
            feeds[self._keys[number]] = feed
        return feeds

    def _tell_minute(self, number: int, market: MarketFullFeed, minute: int) -> None:
        """Put the last finished minute into a message that does not have it yet."""
        price, qty = market.ltpc.ltp, market.ltpc.ltq
        forming = self._forming[number]
        if forming is None or forming[0] != minute:
            self._finished[number] = forming
            self._forming[number] = [minute, price, price, price, price, qty]
        else:
            forming[2], forming[3] = max(forming[2], price), min(forming[3], price)
            forming[4], forming[5] = price, forming[5] + qty
        done = self._finished[number]
        told, variant = self._told[number], self._used[number] % _VARIANTS
        if done is not None and told[variant] != done[0]:
            told[variant] = int(done[0])
            bar = market.marketOHLC.ohlc[1]
            bar.ts, bar.vol = int(done[0]), int(done[5])
            bar.open, bar.high, bar.low, bar.close = done[1:5]


def _row(number: int, *, is_option: bool) -> MasterRow:
    symbol = f"BENCH{number:05d}"
    row: MasterRow = {
        "segment": "NSE_EQ", "name": f"Bench {number}", "exchange": "NSE", "isin": f"INE{number:06d}010",
        "instrument_type": "EQ", "instrument_key": f"NSE_EQ|INE{number:06d}010", "lot_size": 1,
        "freeze_quantity": 100_000.0, "exchange_token": str(number), "tick_size": 5.0, "trading_symbol": symbol,
        "short_name": symbol, "security_type": "NORMAL", "qty_multiplier": 1.0,
    }  # fmt: skip
    if is_option:
        del row["isin"], row["short_name"], row["security_type"]
        row |= {
            "segment": "NSE_FO", "instrument_type": "CE", "instrument_key": f"NSE_FO|{number + 100_000}",
            "lot_size": _LOT, "minimum_lot": _LOT, "freeze_quantity": 1800.0, "strike_price": 100.0 + number,
            "exchange_token": str(number + 100_000), "weekly": False, "underlying_symbol": "BENCH",
            "expiry": 1_798_741_799_000, "trading_symbol": f"BENCH {100 + number} CE 31 DEC 26",
        }  # fmt: skip
    return row


def _message(rng: np.random.Generator, level: int, is_option: bool, day_ms: int, variant: int) -> Feed:
    """A full message at a price near ``level`` ticks."""
    lot = _LOT if is_option else 1
    ticks = level + (0, 1, 2, 1, 0, -1, -2, -1)[variant]
    sizes = (rng.integers(1, 60, (2, 5)) * lot).tolist()
    feed = Feed(requestMode=RequestMode.full_d5)
    market = feed.fullFeed.marketFF
    price = round(ticks * _TICK, 2)
    market.ltpc.ltp, market.ltpc.ltq, market.ltpc.cp = price, lot * (1 + variant), round(level * _TICK, 2)
    market.ltpc.ltt = day_ms
    for depth in range(5):
        market.marketLevel.bidAskQuote.add(
            bidQ=sizes[0][depth], bidP=round((ticks - depth) * _TICK, 2),
            askQ=sizes[1][depth], askP=round((ticks + 1 + depth) * _TICK, 2),
        )  # fmt: skip
    if is_option:
        greeks = market.optionGreeks
        greeks.delta, greeks.theta, greeks.gamma, greeks.vega, greeks.rho = (
            0.5012,
            -12.3456,
            0.0003,
            45.1234,
            15.4073,
        )
        market.iv, market.oi = 0.1311, float(lot * 10_000)
    base, low, high = (round((level + step) * _TICK, 2) for step in (0, -20, 20))
    for name, start in (("1d", day_ms), ("I1", day_ms + 33_300_000)):
        # The same in every message of an instrument: a finished minute does not change.
        market.marketOHLC.ohlc.add(
            interval=name, open=base, high=high, low=low, close=base, vol=lot, ts=start
        )
    market.atp, market.vtt, market.tbq, market.tsq = price, lot, 123_456.0, 234_567.0
    return feed
