"""Questions to the stored past. Frames come back as Polars; short answers as domain values.

Each call runs on a cursor of its own and may be made from any thread but the runtime's loop: a query may wait for
a checkpoint. What was put in less than a flush interval ago may be missing; `Store.flush` waits for it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tradetui.domain.calendar import ist_date
from tradetui.domain.exit_plan import Trail
from tradetui.domain.intervals import INTERVALS
from tradetui.domain.market_data import I64, BarSource, Candle
from tradetui.domain.money import Money, Price
from tradetui.domain.order import (
    Fill,
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    Product,
    Side,
    Validity,
)
from tradetui.domain.position import Position
from tradetui.domain.thawing import thaw
from tradetui.storage.fold import DayPosition

if TYPE_CHECKING:
    import polars as pl
    from duckdb import DuckDBPyConnection

    from tradetui.domain.instrument import Instrument

# The broker's bar is the arbiter of a finished minute and of the day (`design.md` 3); ours stands where it has none.
_BARS: Final = """
    WITH id AS (
        SELECT instrument_id FROM instruments
        WHERE key = $key AND {which}
        ORDER BY last_seen DESC, instrument_id DESC LIMIT 1
    )
    SELECT start, session, open, high, low, close, volume, oi, source, gap FROM whole.bars
    WHERE instrument_id = (FROM id) AND "interval" = $interval
      AND session BETWEEN $first_day::DATE AND $last_day::DATE
      AND start >= make_timestamptz($first) AND start < make_timestamptz($last)
      {only}
    QUALIFY row_number() OVER (PARTITION BY start ORDER BY (source = 'broker') DESC) = 1
    ORDER BY start {order}
"""
_FAR_US: Final = 4_102_444_800_000_000


@dataclass(frozen=True, slots=True)
class LastTick:
    """The newest stored tick of an instrument; ``None`` where the frame did not say.

    Attributes:
        ts: Last trade time.
        engine_ts: Engine time of the frame.
        ltp: Rupees.
        vtt: Volume of the day, units.
        oi: Open interest, units.
    """

    ts: datetime | None
    engine_ts: datetime
    ltp: float | None
    vtt: int | None
    oi: float | None


@dataclass(frozen=True, slots=True)
class DayTotals:
    """What the stored ticks of one instrument and session amount to.

    Attributes:
        ticks: Rows stored.
        volume: Highest count of the day's volume, units.
        high, low: Of the last traded prices, rupees; 0 without any.
        first, last: Engine time of the first and last row.
    """

    ticks: int
    volume: int
    high: float
    low: float
    first: datetime | None
    last: datetime | None


def bars(
    cursor: DuckDBPyConnection,
    key: str,
    interval: str,
    first_ms: int = 0,
    last_ms: int = _FAR_US // 1000,
    expiry: date | None = None,
    own: bool | None = None,
) -> pl.DataFrame:
    """Bars of one instrument from ``first_ms`` up to but without ``last_ms``, oldest first, one for each start.

    Args:
        cursor: Of the market database.
        key: Instrument key; of several contracts that bore it, the one seen last.
        interval: Name such as ``1m``.
        first_ms: Epoch ms UTC.
        last_ms: Epoch ms UTC.
        expiry: Which contract of a reused key.
        own: ``True`` only bars built here, ``False`` only the broker's, ``None`` the broker's where it has one.
    """
    frame: pl.DataFrame = cursor.sql(
        _bars_sql(own, "ASC"), params=_params(key, interval, first_ms, last_ms, expiry)
    ).pl()
    return frame


def day_bars(cursor: DuckDBPyConnection, session: date, interval: str) -> pl.DataFrame:
    """Bars of every instrument on one IST date, one for each start: the broker's where it has one; in no order.

    Where a bar comes from is a truth value here: three quarters of a million texts would take longer than the rest.

    Args:
        cursor: Of the market database.
        session: IST date.
        interval: Name such as ``1m``.
    """
    frame: pl.DataFrame = cursor.sql(
        "SELECT instrument_id, start, open, high, low, close, volume, oi, source = 'broker' AS from_broker, gap "
        'FROM whole.bars WHERE session = $session AND "interval" = $interval',
        params={"session": session, "interval": interval},
    ).pl()
    theirs = frame["from_broker"]
    if not theirs.any() or theirs.all():
        return frame
    own = frame.filter(~theirs).join(frame.filter(theirs), on=["instrument_id", "start"], how="anti")
    return frame.filter(theirs).vstack(own)


def recent_bars(
    cursor: DuckDBPyConnection,
    key: str | Instrument,
    interval: str,
    count: int,
    before_ms: int,
    slot: int = 0,
) -> list[Candle]:
    """The last ``count`` bars that begin before ``before_ms``, oldest first: warm-up of charts and indicators.

    Args:
        cursor: Of the market database.
        key: Instrument key: of several contracts that bore it, the one seen last. Or the instrument: then no other
            contract that bore its key before.
        interval: Name such as ``1m``.
        count: How many at most.
        before_ms: Epoch ms UTC.
        slot: Slot of this run that the candles shall bear.
    """
    exact = not isinstance(key, str)
    name, expiry = (key, None) if isinstance(key, str) else (key.key, key.expiry)
    sql = f"{_bars_sql(None, 'DESC', exact=exact)} LIMIT {int(count)}"
    frame = cursor.sql(sql, params=_params(name, interval, 0, before_ms, expiry)).pl()
    seconds = INTERVALS[interval]
    starts = frame["start"].dt.epoch("ms").to_list()
    columns = [
        frame[name].to_list() for name in ("open", "high", "low", "close", "volume", "oi", "source", "gap")
    ]
    rows = [
        Candle(slot, seconds, ms, o, h, low, c, volume, oi, BarSource(source), gap)
        for ms, o, h, low, c, volume, oi, source, gap in zip(starts, *columns, strict=True)
    ]
    return rows[::-1]


def broker_bar_starts(
    cursor: DuckDBPyConnection, key: str, interval: str, first: date, last: date, expiry: date | None = None
) -> I64:
    """Starts of the broker's own stored bars, epoch ms UTC, ascending.

    Args:
        cursor: Of the market database.
        key: Instrument key.
        interval: Name such as ``1m``.
        first: First session.
        last: Last session, included.
        expiry: Which contract of a reused key.
    """
    found = cursor.execute(
        "SELECT epoch_ms(start) AS ms FROM whole.bars WHERE instrument_id = (SELECT instrument_id FROM instruments "
        'WHERE key = $key AND expiry IS NOT DISTINCT FROM $expiry::DATE) AND "interval" = $interval '
        "AND source = 'broker' AND session BETWEEN $first AND $last ORDER BY start",
        {"key": key, "expiry": expiry, "interval": interval, "first": first, "last": last},
    ).fetchnumpy()
    return np.asarray(found["ms"], np.int64)


def _bars_sql(own: bool | None, order: str, *, exact: bool = False) -> str:
    only = "" if own is None else f"AND source {'<>' if own else '='} 'broker'"
    same = "expiry IS NOT DISTINCT FROM $expiry::DATE"
    which = same if exact else "($expiry::DATE IS NULL OR expiry = $expiry::DATE)"
    return _BARS.format(only=only, order=order, which=which)


def _params(key: str, interval: str, first_ms: int, last_ms: int, expiry: date | None) -> dict[str, Any]:
    first, last = max(first_ms, 0) * 1000, min(last_ms * 1000, _FAR_US)
    return {
        "key": key,
        "interval": interval,
        "first": first,
        "last": last,
        # Files of the archive whose day lies outside are not even opened.
        "first_day": ist_date(first * 1000),
        "last_day": ist_date(max(first, last) * 1000),
        "expiry": expiry,
    }


def last_tick(cursor: DuckDBPyConnection, key: str) -> LastTick | None:
    """The newest stored tick of an instrument that told a price."""
    of_key = (
        "WHERE instrument_id = (SELECT instrument_id FROM instruments WHERE key = ? "
        "ORDER BY last_seen DESC, instrument_id DESC LIMIT 1) AND ltp IS NOT NULL ORDER BY engine_ts DESC"
    )
    wanted = "SELECT epoch_us(ts), epoch_us(engine_ts), ltp, vtt, oi FROM"
    row = cursor.execute(f"{wanted} main.ticks {of_key}, rowid DESC LIMIT 1", [key]).fetchone()
    if row is None:  # only then are files of the archive opened
        row = cursor.execute(f"{wanted} whole.ticks {of_key}, vtt DESC LIMIT 1", [key]).fetchone()
    return None if row is None else LastTick(_utc(row[0]), _must(row[1]), row[2], row[3], row[4])


def day_totals(cursor: DuckDBPyConnection, key: str, session: date) -> DayTotals:
    """What the ticks of one instrument on one IST date amount to."""
    from tradetui.domain.calendar import ns

    first = ns(session, "00:00") // 1000
    row = cursor.execute(
        "SELECT count(*), coalesce(max(vtt), 0), coalesce(max(ltp), 0), coalesce(min(ltp), 0), "
        "epoch_us(min(engine_ts)), epoch_us(max(engine_ts)) FROM whole.ticks "
        "WHERE instrument_id IN (SELECT instrument_id FROM instruments WHERE key = ?) "
        "AND engine_ts >= make_timestamptz(?) AND engine_ts < make_timestamptz(?) AND session = ?",
        [key, first, first + 86_400_000_000, session],
    ).fetchone()
    assert row is not None
    return DayTotals(row[0], row[1], row[2], row[3], _utc(row[4]), _utc(row[5]))


def fills(cursor: DuckDBPyConnection, day: date | None = None) -> list[Fill]:
    """Fills in the order they were booked; of one journal day, or all."""
    rows = cursor.execute(
        "SELECT trade_id, broker_id, tag, instrument_key, side, qty, price, product, t_ns FROM fills "
        "WHERE ?::DATE IS NULL OR journal_day = ?::DATE ORDER BY journal_day, journal_number",
        [day, day],
    ).fetchall()
    return [
        Fill(row[0], row[1], row[2], row[3], Side(row[4]), row[5], Price(row[6]), Product(row[7]), row[8])
        for row in rows
    ]


def fills_by_day(cursor: DuckDBPyConnection) -> list[tuple[str, Fill]]:
    """Every fill with its journal day, in the order of booking."""
    days = cursor.execute("SELECT journal_day FROM fills ORDER BY journal_day, journal_number").fetchall()
    return [(day.isoformat(), fill) for (day,), fill in zip(days, fills(cursor), strict=True)]


_POSITION: Final = """
    SELECT day, instrument_key, product, qty, cost, realised, buy_qty, sell_qty, buy_value, sell_value, multiplier,
           opening_qty, opening_cost, updated_ns
    FROM positions
"""


def positions(
    cursor: DuckDBPyConnection, first: date | None = None, last: date | None = None
) -> list[DayPosition]:
    """Positions day by day, from ``first`` to ``last`` (both included), by day, key and product."""
    found = cursor.execute(
        f"{_POSITION} WHERE (?::DATE IS NULL OR day >= ?::DATE) AND (?::DATE IS NULL OR day <= ?::DATE) "
        "ORDER BY day, instrument_key, product",
        [first, first, last, last],
    ).fetchall()
    return [_day_position(row) for row in found]


def newest_positions(cursor: DuckDBPyConnection) -> list[DayPosition]:
    """Each position on the newest day on which it changed."""
    sql = (
        f"{_POSITION} QUALIFY row_number() OVER (PARTITION BY instrument_key, product ORDER BY day DESC) = 1"
    )
    return [_day_position(row) for row in cursor.execute(sql).fetchall()]


def _day_position(row: tuple[Any, ...]) -> DayPosition:
    position = Position(
        row[1], Product(row[2]), row[3], Money(row[4]), Money(row[5]), row[6], row[7], Money(row[8]), Money(row[9]),
        row[10],
    )  # fmt: skip
    return DayPosition(row[0].isoformat(), position, row[11], Money(row[12]), row[13])


_ORDER: Final = """
    SELECT tag, status, created_ns, updated_ns, broker_id, exchange_id, filled_qty, average_price, raw_status,
           message, "foreign", cancel_pending, modify_pending,
           instrument_key, side, qty, product, order_type, price, trigger_price, validity, disclosed_qty,
           protection_pct, source, reason, stop, target, client_id, group_label, trail, time_exit_s, overnight
    FROM orders
"""


def orders(cursor: DuckDBPyConnection, day: date | None = None) -> list[Order]:
    """Orders by time of creation; those created on one IST date, or all."""
    return orders_between(cursor, day, day)


def orders_between(cursor: DuckDBPyConnection, first: date | None, last: date | None) -> list[Order]:
    """Orders by time of creation, from one IST date to another, both included; ``None`` sets no bound."""
    from tradetui.domain.calendar import ns

    low = ns(first, "00:00") if first else -(1 << 62)
    high = ns(last, "24:00") if last else 1 << 62
    rows = cursor.execute(
        f"{_ORDER} WHERE created_ns >= ? AND created_ns < ? ORDER BY created_ns, tag", [low, high]
    ).fetchall()
    return [_order(row) for row in rows]


def _order(row: tuple[Any, ...]) -> Order:
    request = OrderRequest(
        instrument_key=row[13],
        side=Side(row[14]),
        qty=row[15],
        product=Product(row[16]),
        order_type=OrderType(row[17]),
        price=Price(row[18]),
        trigger_price=Price(row[19]),
        validity=Validity(row[20]),
        disclosed_qty=row[21],
        protection_pct=row[22],
        source=row[23],
        reason=row[24],
        stop=Price(row[25]),
        target=Price(row[26]),
        client_id=row[27],
        group=row[28],
        trail=None if row[29] is None else thaw(Trail, json.loads(row[29])),
        time_exit_s=row[30],
        overnight=row[31],
    )
    return Order(
        tag=row[0],
        request=request,
        status=OrderStatus(row[1]),
        created_ns=row[2],
        updated_ns=row[3],
        broker_id=row[4],
        exchange_id=row[5],
        filled_qty=row[6],
        average_price=Price(row[7]),
        raw_status=row[8],
        message=row[9],
        foreign=row[10],
        cancel_pending=row[11],
        modify_pending=row[12],
    )


def _utc(us: int | None) -> datetime | None:
    return None if us is None else _must(us)


def _must(us: int) -> datetime:
    from datetime import UTC, timedelta

    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
