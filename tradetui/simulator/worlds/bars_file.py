"""Files of minute bars: reading them, telling how their bars are named, and naming their instruments."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tradetui.domain.calendar import ist_date
from tradetui.domain.errors import UsageError
from tradetui.domain.text import clean
from tradetui.simulator.worlds.companies import COMPANIES, INDICES
from tradetui.simulator.worlds.inference import MasterRow

F64 = NDArray[np.float64]

MINUTE_MS = 60_000
MEMBERS = ("open", "high", "low", "close", "volume")
"""Columns of a bar."""

_TICK_SAMPLE = 2_000
_FIRST_MINUTE = 9 * 60 + 15


def read_bars(path: Path, label: str, symbols: Sequence[str] | None) -> pl.DataFrame:
    """Read a file of one-minute bars: ``start`` (epoch ms), ``day`` and ``day_ms`` beside the bars, oldest first.

    Raises:
        UsageError: The file is missing, not of that shape, or has no bars of the symbols.
    """
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UsageError(f"not a file of bars: {path.name}: {error}") from error
    missing = {"symbol", "ts", *MEMBERS[:4]} - set(frame.columns)
    if missing:
        raise UsageError(
            f"{path.name} has no column {sorted(missing)[0]!r}",
            "bars need symbol, ts, open, high, low, close",
        )
    if symbols is not None:
        frame = frame.filter(pl.col("symbol").is_in(list(symbols)))
    if frame.is_empty():
        raise UsageError(f"{path.name} has no bars of the asked symbols")
    if "volume" not in frame.columns:
        frame = frame.with_columns(volume=pl.lit(0, pl.Int64))
    frame = frame.with_columns(start=pl.col("ts").dt.epoch("ms")).sort("start", "symbol")
    steps = frame.filter(pl.col("symbol") == frame["symbol"][0])["start"].diff().drop_nulls()
    if steps.median() != MINUTE_MS:
        raise UsageError(f"{path.name} does not hold one-minute bars")
    if _names_the_end(frame, label):
        frame = frame.with_columns(start=pl.col("start") - MINUTE_MS)
    day_ms = (pl.col("start") + 19_800_000).floordiv(86_400_000) * 86_400_000 - 19_800_000
    frame = frame.with_columns(day_ms=day_ms)
    days = frame["day_ms"].unique()
    names = pl.DataFrame({"day_ms": days, "day": [ist_date(ms * 1_000_000) for ms in days]})
    return frame.join(names, on="day_ms", how="left", maintain_order="left")


def _names_the_end(frame: pl.DataFrame, label: str) -> bool:
    """Whether bars are named by their end: then most sessions' first bar is named 09:16, not 09:15."""
    if label in ("start", "end"):
        return label == "end"
    if label != "auto":
        raise UsageError(f"not a way to name bars: {label!r}", "give start, end or auto")
    minute = (pl.col("start") + 19_800_000) % 86_400_000 // MINUTE_MS
    session = frame.with_columns(minute=minute, date=pl.col("ts").dt.date()).filter(
        pl.col("minute") >= _FIRST_MINUTE
    )
    first = session.group_by("date").agg(pl.col("minute").min())["minute"].mode()
    return bool(first[0] == _FIRST_MINUTE + 1)


def day_grid(today: pl.DataFrame, symbols: Sequence[str]) -> tuple[list[int], F64]:
    """Bar starts of the day, and its bars ``[minute, symbol, member]`` with NaN where there is none."""
    starts = today["start"].unique().sort().to_list()
    minute = {start: at for at, start in enumerate(starts)}
    column = {symbol: at for at, symbol in enumerate(symbols)}
    bars = np.full((len(starts), len(symbols), 5), np.nan)
    for start, symbol, *values in today.select("start", "symbol", *MEMBERS).iter_rows():
        bars[minute[start], column[symbol]] = values
    return starts, bars


def infer_row(symbol: str, bars: pl.DataFrame) -> MasterRow:
    """An instrument file row for a symbol: known by name, else a share, or an index where nothing was traded."""
    name = clean(symbol)
    index = next((index for index in INDICES if name in (index.symbol, index.name.upper())), None)
    company = next((company for company in COMPANIES if company.symbol == name), None)
    if index is not None or not bars["volume"].sum():
        ident = index.name if index is not None else name
        return {
            "segment": "NSE_INDEX", "name": ident, "exchange": "NSE", "instrument_type": "INDEX",
            "instrument_key": f"NSE_INDEX|{ident}", "exchange_token": ident, "trading_symbol": name, "tick_size": 5.0,
        }  # fmt: skip
    ident = company.isin if company is not None else name
    return {
        "segment": "NSE_EQ", "name": company.name if company is not None else name, "exchange": "NSE",
        "instrument_type": "EQ", "instrument_key": f"NSE_EQ|{ident}", "isin": ident, "lot_size": 1,
        "freeze_quantity": 100_000.0, "exchange_token": company.token if company is not None else name,
        "tick_size": _tick_paise(bars), "trading_symbol": name, "short_name": name, "security_type": "NORMAL",
        "qty_multiplier": 1.0,
    }  # fmt: skip


def _tick_paise(bars: pl.DataFrame) -> float:
    """Price step: the common divisor of the prices seen, paise."""
    seen = bars.head(_TICK_SAMPLE).select(MEMBERS[:4]).to_numpy().ravel()
    return float(gcd(*(round(float(price) * 100) for price in seen)) or 5)
