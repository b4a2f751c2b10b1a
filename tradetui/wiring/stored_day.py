"""A day of stored ticks as a recording: for days on which nothing was recorded.

What the store does not keep is not there: the broker's own minute and day bars inside the frames, and which fields a
frame carried that were zero. Bars of such a replay are therefore made from trades alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tradetui.domain.calendar import IST
from tradetui.domain.errors import StorageError
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.market_data import DEPTH_LEVELS, FrameKind, Has
from tradetui.domain.money import Price
from tradetui.pb.market_feed_v3_pb2 import Feed, FeedResponse, RequestMode, Type
from tradetui.wiring.past_bars import market_files, reading
from tradetui.wiring.recordings import MarketFile

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

log = logging.getLogger(__name__)

_FETCH: Final = 2_000
_TICKS: Final = """
    SELECT instrument_id, epoch_ms(ts) AS ts, epoch_ms(server_ts) AS server_ts, epoch_us(engine_ts) AS engine_us,
        t.* EXCLUDE (instrument_id, ts, server_ts, engine_ts),
        row_number() OVER (PARTITION BY instrument_id, engine_ts ORDER BY {order}) AS nth
    FROM {source} t WHERE {where} ORDER BY engine_ts, nth, t.server_ts NULLS FIRST, kind, instrument_id
"""
_BETWEEN: Final = "engine_ts >= $first AND engine_ts < $last"
_SOURCES: Final = {
    # In the table an instrument's rows are in the order they came in.
    "main.ticks": (_BETWEEN, "rowid"),
    # In the archive those of one microsecond are not; the day's volume only grows.
    "whole.ticks": (f"session = $day AND {_BETWEEN}", "server_ts NULLS FIRST, kind, vtt NULLS FIRST"),
}
"""Where ticks are, which of them belong to the day, and the order of an instrument's ticks of one moment."""
_INSTRUMENTS: Final = """
    SELECT i.* EXCLUDE (first_seen, last_seen) FROM instruments i WHERE instrument_id IN (
        SELECT DISTINCT instrument_id FROM {source} WHERE {where})
    ORDER BY instrument_id
"""
Row = dict[str, Any]


def recording_of_ticks(data_dir: Path, day: date) -> Path | None:
    """Make a recording of a day's stored ticks, from the first account that has any; ``None`` when none has.

    Raises:
        StorageError: It cannot be written.
    """
    for path in market_files(data_dir):
        with reading(path) as connection:
            if connection is None:
                continue
            made = _made(data_dir, path.parent.name, connection, day)
            if made is not None:
                return made
    return None


def _made(data_dir: Path, account: str, connection: DuckDBPyConnection, day: date) -> Path | None:
    import duckdb

    first = datetime(day.year, day.month, day.day, tzinfo=IST)
    bounds = {"first": first, "last": first + timedelta(days=1), "day": day}
    for source, (where, order) in _SOURCES.items():
        bound = {name: value for name, value in bounds.items() if f"${name}" in where}
        try:
            found = list(_rows(connection, _INSTRUMENTS.format(source=source, where=where), bound))
        except duckdb.CatalogException:
            continue  # a file of an older layout
        if found:
            instruments = {row["instrument_id"]: _instrument(row) for row in found}
            log.info("making a recording of the ticks stored in %s", account)
            sql = _TICKS.format(source=source, where=where, order=order)
            return _written(data_dir, account, _rows(connection, sql, bound), instruments)
    return None


def _written(data_dir: Path, account: str, rows: Iterator[Row], instruments: dict[int, Instrument]) -> Path:
    out: MarketFile | None = None
    try:
        for t_ns, raw in _frames(rows, lambda number: instruments[number]):
            if out is None:
                out = MarketFile(data_dir, t_ns, "ticks", account, list(instruments.values()))
            out.frame(t_ns, raw)
    except BaseException:
        if out is not None:
            out.drop()
        raise
    if out is None:
        raise StorageError(f"the ticks stored in {account} cannot be read")
    return out.close()


def _rows(connection: DuckDBPyConnection, sql: str, bounds: Row) -> Iterator[Row]:
    """Rows of a query, a few at a time."""
    answer = connection.execute(sql, bounds)
    names = [column[0] for column in answer.description or ()]
    while found := answer.fetchmany(_FETCH):
        for row in found:
            yield dict(zip(names, row, strict=True))


def _frames(rows: Iterator[Row], instrument_of: Callable[[int], Instrument]) -> Iterator[tuple[int, bytes]]:
    """The frames that rows came from, as far as can be told: ticks of one moment, one kind and one sender's stamp.

    What was in one frame, and what in two of the same moment, is not stored; an instrument's ticks keep their order.
    """
    held: list[Row] = []
    for row in rows:
        if held and not _together(held[-1], row):
            yield _frame(held, instrument_of)
            held = []
        held.append(row)
    if held:
        yield _frame(held, instrument_of)


def _together(one: Row, other: Row) -> bool:
    return all(one[name] == other[name] for name in ("engine_us", "nth", "server_ts", "kind"))


def _frame(rows: Sequence[Row], instrument_of: Callable[[int], Instrument]) -> tuple[int, bytes]:
    first = rows[0]
    kind = Type.initial_feed if first["kind"] == FrameKind.SNAPSHOT else Type.live_feed
    message = FeedResponse(type=kind, currentTs=first["server_ts"] or 0)
    for row in rows:
        _fill(message.feeds[instrument_of(row["instrument_id"]).key], row)
    return first["engine_us"] * 1000, message.SerializeToString(deterministic=True)


def _fill(feed: Feed, row: Row) -> None:
    """One row as the broker's message, as far as the row goes."""
    feed.requestMode = RequestMode.full_d5
    mask = row["mask"]
    if mask & Has.INDEX:
        index = feed.fullFeed.indexFF
        index.ltpc.ltp, index.ltpc.ltt = row["ltp"] or 0.0, row["ts"] or 0
        index.ltpc.cp = row["prev_close"] or 0.0
        return
    market = feed.fullFeed.marketFF
    if mask & Has.LTPC or row["prev_close"]:
        market.ltpc.ltp, market.ltpc.ltt = row["ltp"] or 0.0, row["ts"] or 0
        market.ltpc.ltq, market.ltpc.cp = row["ltq"] or 0, row["prev_close"] or 0.0
    if mask & Has.DEPTH:
        _levels(market.marketLevel, row)
    if mask & Has.GREEKS:
        greeks = market.optionGreeks
        for name in ("delta", "gamma", "theta", "vega", "rho"):
            setattr(greeks, name, row[name] or 0.0)
    market.vtt = row["vtt"] or 0
    for name in ("atp", "oi", "iv", "tbq", "tsq"):
        setattr(market, name, row[name] or 0.0)
    if mask & Has.AUCTION:
        market.iep, market.rp = row["iep"] or 0.0, row["reference_price"] or 0.0
        market.ieq, market.iiqTotal = int(row["ieq"] or 0), int(row["imbalance"] or 0)
        market.iiqM = int(row["imbalance_market"] or 0)


def _levels(book: Any, row: Row) -> None:
    book.SetInParent()
    for level in range(1, DEPTH_LEVELS + 1):
        bid, ask = row[f"bid{level}_px"] or 0.0, row[f"ask{level}_px"] or 0.0
        if bid or ask:
            book.bidAskQuote.add(
                bidP=bid,
                bidQ=int(row[f"bid{level}_qty"] or 0),
                askP=ask,
                askQ=int(row[f"ask{level}_qty"] or 0),
            )


def _instrument(row: Row) -> Instrument:
    return Instrument(
        key=row["key"],
        segment=row["segment"],
        exchange=row["exchange"],
        symbol=row["symbol"],
        name=row["name"],
        kind=InstrumentKind(row["kind"]),
        series=row["series"],
        lot_size=row["lot_size"],
        tick_size=Price(row["tick_size"]),
        freeze_qty=row["freeze_qty"],
        expiry=row["expiry"],
        strike=None if row["strike"] is None else Price(row["strike"]),
        underlying_key=row["underlying_key"],
        isin=row["isin"],
        exchange_token=row["exchange_token"],
        multiplier=row["multiplier"],
    )
