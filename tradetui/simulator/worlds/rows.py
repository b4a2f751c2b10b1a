"""The updates of one minute as columns: which instrument, when, and everything its message would say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tradetui.simulator.worlds import black76
from tradetui.simulator.worlds.books import BOOK_BEHIND, BookTerms, Touch, depth
from tradetui.simulator.worlds.session import MINUTE_NS, Session
from tradetui.simulator.worlds.ticks import STEP_NS, STEPS, Tape

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Flags = NDArray[np.bool_]
Index = NDArray[np.intp]

SUBSTEPS = 5
"""Instruments take turns inside a step, so that a frame carries a few of them, not all."""

_SUBSTEP_NS = STEP_NS // SUBSTEPS
_TALK_OF_QUOTES = 0.6
_BOOK_WITH_TRADE = 0.85
_GREEKS_WITH_QUOTE = 0.3


class DayState:
    """What has happened so far today, by row; the minutes write it, snapshots read it."""

    def __init__(self, rows: int, prev_close: F64, day_ms: int) -> None:
        self.prev_close = prev_close
        self.day_ms = day_ms
        self.ltp = prev_close.copy()
        self.ltt_ms = np.zeros(rows, np.int64)
        self.ltq = np.zeros(rows, np.int64)
        self.vtt = np.zeros(rows, np.int64)
        self.value = np.zeros(rows)
        self.open = np.zeros(rows)
        self.high = np.zeros(rows)
        self.low = np.zeros(rows)
        self.minute = np.zeros((rows, 6))
        """Last finished bar: open, high, low, close, volume, start in ms; start 0 before the first."""
        self.best = Touch(np.zeros(rows, np.int64), np.zeros(rows, np.int64))

    def copy(self) -> DayState:
        """An independent copy."""
        other = DayState(len(self.ltp), self.prev_close, self.day_ms)
        for name in ("ltp", "ltt_ms", "ltq", "vtt", "value", "open", "high", "low", "minute"):
            setattr(other, name, getattr(self, name).copy())
        other.best = self.best
        return other

    def catch_up(self, session: Session, minutes: int) -> None:
        """Set the state to what the session's first minutes lead to."""
        if minutes <= 0:
            return
        bars = slice(0, minutes)
        done = session.trades[bars] > 0
        some = done.any(axis=0)
        first = np.argmax(done, axis=0)
        last = minutes - 1 - np.argmax(done[::-1], axis=0)
        rows = np.arange(done.shape[1])
        volume = session.volume[bars]
        typical = (session.open[bars] + session.high[bars] + session.low[bars] + session.close[bars]) / 4.0
        self.vtt, self.value = volume.sum(axis=0), (volume * typical).sum(axis=0)
        self.open = np.where(some, session.open[first, rows], 0.0)
        self.high = np.where(done, session.high[bars], 0.0).max(axis=0)
        self.low = np.where(some, np.where(done, session.low[bars], np.inf).min(axis=0), 0.0)
        self.ltp = np.where(some, session.close[last, rows], self.ltp)
        start_ms = (session.start_ns + last * MINUTE_NS) // 1_000_000
        self.ltt_ms = np.where(some, start_ms + 59_000, self.ltt_ms)
        self.ltq = np.where(some, np.minimum(session.listing.lot, volume[last, rows]), 0)
        columns = (session.open, session.high, session.low, session.close, session.volume)
        self.minute = np.stack([part[last, rows] for part in columns] + [start_ms.astype(np.float64)], axis=1)
        self.minute[~some] = 0.0
        matched = session.auction_ns[1]
        if 0 < matched < session.start_ns + minutes * MINUTE_NS:
            for row in map(int, session.match_rows):
                self.print_trade(
                    row, float(session.auction[row]), int(session.auction_volume[row]), matched // 1_000_000
                )

    def print_trade(self, row: int, price: float, qty: int, t_ms: int) -> None:
        """Add one trade that is not in the bars: a simulated account's, or the closing auction's."""
        self.vtt[row] += qty
        self.value[row] += qty * price
        self.ltp[row], self.ltq[row], self.ltt_ms[row] = price, qty, t_ms
        if not self.open[row]:
            self.open[row] = self.high[row] = self.low[row] = price
        self.high[row] = max(self.high[row], price)
        self.low[row] = min(self.low[row], price)


@dataclass(frozen=True, slots=True)
class OptionMarks:
    """Options of the listing at one minute.

    Attributes:
        first: Row of the first contract.
        is_option: By contract.
        strike: By contract, rupees.
        is_call: By contract.
        years: Years to expiry, by contract.
        forward: ``[step, contract]``, rupees.
        vol: At-the-money volatility.
        oi: Open interest by row, units.
    """

    first: int
    is_option: Flags
    strike: F64
    is_call: Flags
    years: F64
    forward: F64
    vol: float
    oi: F64


@dataclass(frozen=True, slots=True)
class Rows:
    """Updates in order of time; plain lists, because a message is filled field by field.

    ``t_ns`` is the update's time; ``kind`` has the bits of `Says`.
    """

    t_ns: list[int]
    row: list[int]
    says: list[int]
    ltp: list[float]
    ltt_ms: list[int]
    ltq: list[int]
    vtt: list[int]
    atp: list[float]
    day: list[list[float]]
    bid_price: list[list[float]]
    bid_qty: list[list[int]]
    ask_price: list[list[float]]
    ask_qty: list[list[int]]
    greeks: list[list[float]]
    iv: list[float]
    oi: list[float]
    tbq: list[float]
    tsq: list[float]


class Says:
    """Parts of a message, as bits."""

    LTPC = 1
    BOOK = 2
    GREEKS = 4
    BARS = 8


def make_rows(
    rng: np.random.Generator,
    state: DayState,
    tape: Tape,
    terms: BookTerms,
    marks: OptionMarks,
    quoted: Flags,
    start_ns: int,
    minute: int,
) -> Rows:
    """Turn a minute's trades and quotes into updates, and carry the day's state to the minute's end.

    Args:
        rng: Source of chance.
        state: The day so far.
        tape: Trades and best prices by step.
        terms: How books look.
        marks: Options and open interest.
        quoted: ``[step, row]``: a quote changes there.
        start_ns: Start of the minute.
        minute: Number of the minute in its session.
    """
    step, row = np.nonzero(tape.traded | quoted)
    turn = row % SUBSTEPS
    order = np.lexsort((row, turn, step))
    step, row, turn = step[order], row[order], turn[order]
    t_ns = start_ns + step * STEP_NS + turn * _SUBSTEP_NS
    traded = tape.traded[step, row]
    says = _parts(rng, traded, row, marks, tape)
    running = _Running(state, tape, start_ns)
    best = Touch(tape.best.bid[step, row], tape.best.ask[step, row])
    book = depth(terms, row, best, step + minute * STEPS)
    greeks, iv = option_columns(marks, step, row)
    day = np.stack([running.open[row], running.high[step, row], running.low[step, row]], axis=1)
    out = Rows(
        t_ns=t_ns.tolist(),
        row=row.tolist(),
        says=says.tolist(),
        ltp=running.ltp[step, row].tolist(),
        ltt_ms=running.ltt_ms[step, row].tolist(),
        ltq=running.ltq[step, row].tolist(),
        vtt=running.vtt[step, row].tolist(),
        atp=running.atp(step, row).tolist(),
        day=day.tolist(),
        bid_price=book.bid_price.tolist(),
        bid_qty=book.bid_qty.tolist(),
        ask_price=book.ask_price.tolist(),
        ask_qty=book.ask_qty.tolist(),
        greeks=greeks.tolist(),
        iv=iv.tolist(),
        oi=marks.oi[row].tolist(),
        tbq=(book.bid_qty.sum(axis=1) * float(BOOK_BEHIND)).tolist(),
        tsq=(book.ask_qty.sum(axis=1) * float(BOOK_BEHIND)).tolist(),
    )
    running.carry(state, tape)
    return out


def _parts(rng: np.random.Generator, traded: Flags, row: Index, marks: OptionMarks, tape: Tape) -> I64:
    """Which parts each message has: live ticks are partial (`upstox.md` 3.6)."""
    chance = rng.random((3, len(row)))
    option = np.concatenate([np.zeros(marks.first, bool), marks.is_option])[row]
    has_book = np.asarray(tape.best.ask.any(axis=0))[row]
    says = np.where(traded | (chance[0] < _TALK_OF_QUOTES), Says.LTPC, 0)
    says |= np.where((~traded | (chance[1] < _BOOK_WITH_TRADE)) & has_book, Says.BOOK, 0)
    says |= np.where(option & (traded | (chance[2] < _GREEKS_WITH_QUOTE)), Says.GREEKS, 0)
    return np.asarray(says | np.where(traded, Says.BARS, 0))


class _Running:
    """The day's numbers at every step of the minute, ``[step, row]``."""

    def __init__(self, state: DayState, tape: Tape, start_ns: int) -> None:
        rows = tape.price.shape[1]
        columns = np.arange(rows)
        last = np.maximum.accumulate(np.where(tape.traded, np.arange(STEPS)[:, None], -1), axis=0)
        before = last < 0
        at = np.maximum(last, 0)
        self.ltp = np.where(before, state.ltp, tape.price[at, columns])
        own_ms = (start_ns + at * STEP_NS + columns % SUBSTEPS * _SUBSTEP_NS) // 1_000_000
        self.ltt_ms = np.where(before, state.ltt_ms, own_ms)
        self.ltq = np.where(before, state.ltq, tape.qty[at, columns])
        self.vtt = state.vtt + np.cumsum(tape.qty, axis=0)
        self.value = state.value + np.cumsum(tape.qty * tape.price, axis=0)
        high = np.where(tape.traded, tape.price, 0.0)
        low = np.where(tape.traded, tape.price, np.inf)
        self.high = np.maximum(state.high, np.maximum.accumulate(high, axis=0))
        low = np.minimum(np.where(state.low > 0, state.low, np.inf), np.minimum.accumulate(low, axis=0))
        self.low = np.where(np.isfinite(low), low, 0.0)
        first = tape.price[np.argmax(tape.traded, axis=0), columns]
        self.open = np.where(state.open > 0, state.open, np.where(tape.traded.any(axis=0), first, 0.0))

    def atp(self, step: Index, row: Index) -> F64:
        """Average price of the day, to the paisa; 0 before the first trade."""
        vtt = self.vtt[step, row]
        return np.asarray(np.round(self.value[step, row] / np.maximum(vtt, 1), 2))

    def carry(self, state: DayState, tape: Tape) -> None:
        """Bring the state to the end of the minute."""
        state.ltp, state.ltt_ms, state.ltq = self.ltp[-1].copy(), self.ltt_ms[-1].copy(), self.ltq[-1].copy()
        state.vtt, state.value = self.vtt[-1].copy(), self.value[-1].copy()
        state.open, state.high, state.low = self.open, self.high[-1].copy(), self.low[-1].copy()
        state.best = Touch(tape.best.bid[-1].copy(), tape.best.ask[-1].copy())


def option_columns(marks: OptionMarks, step: Index, row: Index) -> tuple[F64, F64]:
    """Greeks ``[update, 5]`` in the wire's order and volatility of each update; zeros unless an option."""
    greeks, iv = np.zeros((len(row), 5)), np.zeros(len(row))
    option = np.concatenate([np.zeros(marks.first, bool), marks.is_option])
    at = np.flatnonzero(option[row])
    contract = row[at] - marks.first
    if len(at):
        forward = marks.forward[step[at], contract]
        strike, years = marks.strike[contract], marks.years[contract]
        vol = black76.smile(forward, strike, years, np.full(len(at), marks.vol))
        columns = black76.greeks(forward, strike, years, vol, marks.is_call[contract])
        greeks[at] = np.round(np.stack(columns, axis=1), 4)
        iv[at] = vol
    return greeks, iv
