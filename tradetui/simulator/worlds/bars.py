"""Minute bars as a world: each bar becomes a path through its open, high, low and close, with its volume.

One day of the file is played; the days before it are history. Bars are named by their start or by their end,
depending on the source; inside they are named by their start.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tradetui.domain.calendar import day_start_ns
from tradetui.domain.errors import UsageError
from tradetui.domain.instrument import Instrument
from tradetui.domain.market_data import BarSource, Candle
from tradetui.pb.market_feed_v3_pb2 import Feed
from tradetui.simulator.worlds.bars_file import MEMBERS, MINUTE_MS, day_grid, infer_row, read_bars
from tradetui.simulator.worlds.base import WorldUpdate
from tradetui.simulator.worlds.books import BookTerms, Touch, depth
from tradetui.simulator.worlds.inference import to_instrument
from tradetui.simulator.worlds.messages import live_message, put_book, state_message
from tradetui.simulator.worlds.rows import DayState, OptionMarks, Rows, make_rows
from tradetui.simulator.worlds.ticks import STEPS, MinuteBars, draw_turns, paths, trade

F64 = NDArray[np.float64]

_DAY_S = 86_400
_CLOSING_DELAY_NS = 1_000_000_000
_STREAM_BARS = 51
_INDEX_TRADES, _MOST_TRADES = 30, 40
_QUOTE_CHANCE = 0.25


class BarsWorld:
    """See the module's docstring, and `World`.

    Args:
        path: A Parquet file with columns symbol, ts (with zone), open, high, low, close and perhaps volume.
        day: The day to play; the last one in the file by default.
        label: ``start`` or ``end`` of the bar is what ``ts`` names; ``auto`` looks at the sessions' first bars.
        symbols: Which symbols; all by default.
        seed: Seed of everything between the bars' prices.

    Raises:
        UsageError: The file is missing, not of that shape, not of one-minute bars, or has no such day or symbol.
    """

    def __init__(
        self,
        path: Path,
        *,
        day: date | None = None,
        label: str = "auto",
        symbols: Sequence[str] | None = None,
        seed: int = 1,
    ) -> None:
        frame = read_bars(path, label, symbols)
        days = frame["day"].unique().sort()
        self._day: date = day or days[-1]
        self._past = frame.filter(pl.col("day") < self._day)
        today = frame.filter(pl.col("day") == self._day)
        if today.is_empty():
            raise UsageError(f"{path.name} has no bars of {self._day}", f"it has {days[0]} to {days[-1]}")
        self._seed = seed
        self._symbols: list[str] = sorted(today["symbol"].unique())
        self._rows = [infer_row(symbol, today.filter(pl.col("symbol") == symbol)) for symbol in self._symbols]
        self._instruments = [to_instrument(row) for row in self._rows]
        self._at = {row["instrument_key"]: at for at, row in enumerate(self._rows)}
        self._is_index = np.array([row["instrument_type"] == "INDEX" for row in self._rows])
        self._starts_ms, self._bars = day_grid(today, self._symbols)
        self._state = DayState(len(self._rows), self._closes(), day_start_ns(self._day) // 1_000_000)
        before = self._past["start"].max()
        self._state.ltt_ms[:] = before if isinstance(before, int) else 0
        self._books = self._book_terms()
        self._end_ns = (self._starts_ms[-1] + MINUTE_MS) * 1_000_000
        self._closed = False
        self._minute = 0
        self._batch: Rows | None = None
        self._cursor = 0
        self._minutes_known: list[list[float]] = []
        self._before = self._state
        self._taken: dict[int, int] = {}

    @property
    def instruments(self) -> Sequence[Instrument]:
        """The symbols of the day."""
        return self._instruments

    @property
    def start_ns(self) -> int:
        """Start of the first bar."""
        return self._starts_ms[0] * 1_000_000

    @property
    def end_ns(self) -> int | None:
        """A moment after the end of the last bar."""
        return self._end_ns + _CLOSING_DELAY_NS

    @property
    def waits_for_subscriber(self) -> bool:
        """Always, as a recording does."""
        return True

    def master_rows(self) -> Sequence[Mapping[str, Any]]:
        """Instrument file rows, inferred from names and prices."""
        return self._rows

    def next_ns(self) -> int | None:
        """Time of the next update; ``None`` after the last bar."""
        while self._batch is None or self._cursor >= len(self._batch.t_ns):
            if self._minute >= len(self._starts_ms):
                return None if self._closed else self._end_ns + _CLOSING_DELAY_NS
            self._next_minute()
        return self._batch.t_ns[self._cursor]

    def advance(self, to_ns: int) -> Iterator[WorldUpdate]:
        """Everything that happens up to and including ``to_ns``."""
        while (due := self.next_ns()) is not None and due <= to_ns:
            yield self._take(due)

    def skip(self, to_ns: int) -> None:
        """Move on without updates."""
        while (due := self.next_ns()) is not None and due <= to_ns:
            self._take(due)

    def snapshot(self, key: str) -> Feed | None:
        """The state of an instrument: before its first trade, its previous close."""
        row = self._at.get(key)
        if row is None:
            return None
        is_index = bool(self._is_index[row])
        at = self._taken.get(row)
        if at is not None and self._batch is not None:
            return self._message(self._batch, at, whole=True)
        feed = state_message(self._before, row, is_index=is_index)
        best = self._before.best
        if not is_index and best.ask[row]:
            rows = np.array([row], np.intp)
            book = depth(
                self._books, rows, Touch(best.bid[rows], best.ask[rows]), rows * 0 + self._minute * STEPS
            )
            put_book(feed.fullFeed.marketFF, book, 0)
        return feed

    def history(self, key: str, interval_s: int, first: date, last: date) -> Sequence[Candle]:
        """Bars of the file's days before the one that is played."""
        row = self._at.get(key)
        if row is None:
            return ()
        past = self._past.filter(
            (pl.col("symbol") == self._symbols[row])
            & pl.col("day").is_between(first, min(last, self._day - timedelta(1)))
        )
        length_ms = interval_s * 1000
        if interval_s >= _DAY_S:
            past = past.with_columns(start=pl.col("day_ms"))
        elif interval_s > 60:
            # Anchored at 09:15, as the exchange's own sessions are.
            anchor = pl.col("day_ms") + 33_300_000
            past = past.with_columns(
                start=(pl.col("start") - anchor).floordiv(length_ms) * length_ms + anchor
            )
        bars = past.group_by("start", maintain_order=True).agg(
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").sum(),
        )
        return [
            Candle(-1, interval_s, start, open_, high, low, close, volume, 0.0, BarSource.BROKER)
            for start, open_, high, low, close, volume in bars.select("start", *MEMBERS).rows()
        ]

    def minutes(self, key: str, day: date) -> Sequence[Candle]:
        """Finished bars of the day."""
        row = self._at.get(key)
        if row is None or day != self._day:
            return ()
        bars = []
        for minute in range(max(0, self._minute - 1)):
            open_, high, low, close, volume = self._bars[minute, row].tolist()
            if open_ == open_:  # not a gap
                start = self._starts_ms[minute]
                bars.append(
                    Candle(-1, 60, start, open_, high, low, close, int(volume), 0.0, BarSource.BROKER)
                )
        return bars

    def trade(self, key: str, price: float, qty: int, t_ns: int) -> None:
        """Nothing: what the bars say happened without us."""

    def _take(self, due: int) -> WorldUpdate:
        feeds = {}
        batch = self._batch
        assert batch is not None
        if due > self._end_ns:
            return self._close(due)
        while self._cursor < len(batch.t_ns) and batch.t_ns[self._cursor] <= due:
            row = batch.row[self._cursor]
            feeds[self._rows[row]["instrument_key"]] = self._message(batch, self._cursor)
            self._taken[row] = self._cursor
            self._cursor += 1
        return WorldUpdate(due, feeds)

    def _close(self, t_ns: int) -> WorldUpdate:
        """The last word on everything, with the last minute's bar."""
        self._closed = True
        self._finish_minute(self._minute - 1)
        self._before = self._state
        self._taken.clear()
        return WorldUpdate(
            t_ns,
            {
                row["instrument_key"]: state_message(self._state, at, is_index=bool(self._is_index[at]))
                for at, row in enumerate(self._rows)
            },
        )

    def _message(self, batch: Rows, at: int, *, whole: bool = False) -> Feed:
        row = batch.row[at]
        return live_message(
            batch, at, self._state, self._minutes_known[row], is_index=bool(self._is_index[row]), whole=whole
        )

    def _next_minute(self) -> None:
        minute = self._minute
        if minute > 0:
            self._finish_minute(minute - 1)
        self._minutes_known = self._state.minute.tolist()
        self._before = self._state.copy()
        self._minute += 1
        bars = self._bars[minute]
        there = ~np.isnan(bars[:, 0])
        prices = [np.where(there, bars[:, member], self._state.ltp) for member in range(4)]
        volume = np.where(there & ~self._is_index, bars[:, 4], 0).astype(np.int64)
        most = np.clip(np.sqrt(volume / 20.0), 4, _MOST_TRADES).astype(np.int64)
        trades = np.where(self._is_index & there, _INDEX_TRADES, np.minimum(most, volume))
        minute_bars = MinuteBars(prices[0], prices[1], prices[2], prices[3], volume, trades)
        rng = np.random.default_rng([self._seed, _STREAM_BARS, self._starts_ms[minute]])
        turns = draw_turns(rng, len(there))
        fair = paths(rng, minute_bars, turns)
        tape = trade(rng, minute_bars, turns, fair, self._books)
        quoted = (rng.random(fair.shape) < _QUOTE_CHANCE) & there & ~self._is_index
        self._batch = make_rows(
            rng, self._state, tape, self._books, _no_options(len(there)), quoted,
            self._starts_ms[minute] * 1_000_000, minute,
        )  # fmt: skip
        self._cursor = 0
        self._taken.clear()

    def _finish_minute(self, minute: int) -> None:
        bars = self._bars[minute]
        there = ~np.isnan(bars[:, 0])
        self._state.minute[there, :5] = bars[there]
        self._state.minute[there, 5] = self._starts_ms[minute]

    def _closes(self) -> F64:
        """Last close before the day, or its first open."""
        last = dict(
            self._past.group_by("symbol", maintain_order=True).agg(pl.col("close").last()).iter_rows()
        )
        first = self._bars[:, :, 0]
        opens = first[np.argmax(~np.isnan(first), axis=0), np.arange(first.shape[1])]
        return np.array([last.get(symbol, opens[at]) for at, symbol in enumerate(self._symbols)])

    def _book_terms(self) -> BookTerms:
        count = len(self._rows)
        return BookTerms(
            tick=np.array([row.get("tick_size", 5.0) / 100.0 for row in self._rows]),
            lot=np.ones(count, np.int64),
            half_spread=np.full(count, 0.0002),
            min_half_spread=np.full(count, 0.45),
            gap=np.ones(count, np.int64),
            size=np.maximum(np.nan_to_num(np.nanmean(self._bars[:, :, 4], axis=0)) / 40.0, 2.0),
            seed=self._seed,
        )


def _no_options(rows: int) -> OptionMarks:
    none = np.empty(0)
    return OptionMarks(
        rows, none.astype(bool), none, none.astype(bool), none, np.empty((STEPS, 0)), 0.0, np.zeros(rows)
    )
