"""Finished minutes of past sessions into longer bars, anchored to each session's start like live bars."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date

from tradetui.domain.calendar import ist_date
from tradetui.domain.market_data import BarSource, Candle
from tradetui.market.folding import Ohlcv, merge
from tradetui.market.sessions import NS_PER_MS


def fold_minutes(
    minutes: Iterable[Candle], interval_s: int, session_start_ms: Callable[[date], int | None]
) -> list[Candle]:
    """Longer bars of one instrument.

    Args:
        minutes: Finished one-minute bars, oldest first.
        interval_s: Length of the longer bars in seconds, below a day.
        session_start_ms: Start of continuous trading on a day, epoch ms; ``None`` for a day without: its
            minutes are left out.

    Returns:
        Bars, oldest first. The last one may still lack minutes; the caller knows whether time has passed it.
    """
    out: list[Candle] = []
    span_ms = interval_s * 1000
    day: date | None = None
    start: int | None = None
    for minute in minutes:
        today = ist_date(minute.start_ms * NS_PER_MS)
        if today != day:
            day, start = today, session_start_ms(today)
        if start is None or minute.start_ms < start:
            continue
        bucket = start + (minute.start_ms - start) // span_ms * span_ms
        if out and out[-1].start_ms == bucket:
            out[-1] = _joined(out[-1], minute)
        else:
            out.append(_longer(minute, interval_s, bucket, _figures(minute), minute.gap))
    return out


def _joined(bar: Candle, minute: Candle) -> Candle:
    merged = merge(_figures(bar), _figures(minute))
    return _longer(minute, bar.interval_s, bar.start_ms, merged, bar.gap or minute.gap)


def _longer(minute: Candle, interval_s: int, start_ms: int, bar: Ohlcv, gap: bool) -> Candle:
    return Candle(
        minute.slot,
        interval_s,
        start_ms,
        bar[0],
        bar[1],
        bar[2],
        bar[3],
        int(bar[4]),
        minute.oi,
        BarSource.MERGED,
        gap,
    )


def _figures(candle: Candle) -> Ohlcv:
    return (candle.open, candle.high, candle.low, candle.close, float(candle.volume))
