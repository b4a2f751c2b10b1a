"""The ledger: a projection of the journal into tables that can be thrown away and rebuilt at any time.

Each row names the journal record it comes from by day and number in that day's file. Records are taken in order
and only once, so the ledger is always what some beginning of the journal says, and catching up is reading on
from there. Two things make that hold in live use: the numbering below is the journal's own rule, and when a
record cannot be written the ones after it are not written either (`store.py`).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from tradetui.domain.calendar import ist_date
from tradetui.domain.order import Fill, Order
from tradetui.domain.records import Record, RecordKind
from tradetui.domain.thawing import thaw
from tradetui.storage.schema import LEDGER, create

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

log = logging.getLogger(__name__)

Place = tuple[str, int]
"""Where a record is in the journal: IST day in ISO format, number in that day's file from 1."""

Numbered = tuple[str, int, Record]
"""A record with its place."""

JournalReader = Callable[[str], Iterable[Numbered]]
"""Reads the journal from the file of a day on; an empty day means from the beginning."""

START: Final[Place] = ("", 0)
_BATCH: Final = 2000
_TABLES: Final = ("intents", "orders", "fills", "openings", "signals", "decisions", "journal")
# Keys by which a later row of a table replaces an earlier one within a batch.
_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "intents": ("tag",),
    "orders": ("tag",),
    "fills": ("trade_id", "broker_id"),
}
_PLACE: Final = ("journal_day", "journal_number")

Row = dict[str, Any]


@dataclass(slots=True)
class Numbering:
    """Gives records the numbers that the journal gives them: by file, one file a day, never back a day."""

    day: str = ""
    number: int = 0

    def next(self, record: Record) -> Numbered:
        """The record with its place."""
        day = max(ist_date(record.t_ns).isoformat(), self.day)
        self.number = self.number + 1 if day == self.day else 1
        self.day = day
        return day, self.number, record


class Ledger:
    """Writes the ledger through one connection, on one thread.

    Args:
        connection: The writer's own.
        multiplier: Instrument key to money per point and unit.
    """

    def __init__(
        self, connection: DuckDBPyConnection, multiplier: Callable[[str], int] = lambda _: 1
    ) -> None:
        self._con = connection
        self._multiplier = multiplier
        self._kept_multipliers: dict[str, int] = {}
        self.odd = 0
        """Records that are in ``journal`` only, because their content was not understood."""
        self.last = self._read_last()

    def _read_last(self) -> Place:
        row = self._con.execute(
            "SELECT journal_day, journal_number FROM journal ORDER BY ALL DESC LIMIT 1"
        ).fetchone()
        return (row[0].isoformat(), row[1]) if row else START

    # --- projecting -----------------------------------------------------------------------------------

    def project(self, records: Iterable[Numbered]) -> int:
        """Take records in, in one transaction; those that are in already are passed over.

        Returns:
            How many were new.
        """
        batch: dict[str, dict[tuple[Any, ...], Row]] = {name: {} for name in _TABLES}
        last, count = self.last, 0
        for day, number, record in records:
            if (day, number) <= last:
                continue
            last = (day, number)
            count += 1
            self._spread(batch, record, {"journal_day": date.fromisoformat(day), "journal_number": number})
        if not count:
            return 0
        self._con.execute("BEGIN")
        try:
            for name, rows in batch.items():
                if rows:
                    self._insert(name, list(rows.values()))
            self._con.execute("COMMIT")
        except BaseException:
            self._con.execute("ROLLBACK")
            raise
        self.last = last
        return count

    def _spread(self, batch: dict[str, dict[tuple[Any, ...], Row]], record: Record, place: Row) -> None:
        """Put the rows that one record makes into a batch."""
        common = {"t": record.t_ns // 1000, "t_ns": record.t_ns, **place}
        try:
            rows = list(self._rows(record, common, place))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            log.warning("a journal record of kind %s is not understood: %r", record.kind.value, error)
            self.odd += 1
            rows = []
        full = {**common, "kind": record.kind.value, "data": _json(record.data), "meta": _json(record.meta)}
        for name, row in [*rows, ("journal", full)]:
            key = tuple(row[column] for column in _KEYS.get(name, _PLACE))
            if name in ("orders", "signals", "decisions", "openings", "journal"):
                batch[name][key] = row
            else:  # an intent and a fill are facts: the first statement stands
                batch[name].setdefault(key, row)

    def _rows(self, record: Record, common: Row, place: Row) -> Iterator[tuple[str, Row]]:
        data = record.data
        match record.kind:
            case RecordKind.INTENT:
                yield "intents", {**common, "tag": data["tag"], **_request(data["request"])}
                yield "orders", {**_order(data), **place}
            case RecordKind.ORDER:
                yield "orders", {**_order(data), **place}
            case RecordKind.FILL:
                yield "fills", {**_fill(data), "multiplier": self._times(data["instrument_key"]), **place}
            case RecordKind.OPENING:
                yield (
                    "openings",
                    {
                        **common,
                        "instrument_key": str(data["instrument_key"]),
                        "product": str(data["product"]),
                        "qty": int(data["qty"]),
                        "average_price": int(data["average_price"]),
                        "multiplier": self._times(data["instrument_key"]),
                    },
                )
            case RecordKind.SIGNAL:
                yield "signals", {**common, **_signal(data), "data": _json(data)}
            case RecordKind.DECISION | RecordKind.RISK:
                words = data.get("refused") or data.get("reason")
                yield (
                    "decisions",
                    {
                        **common,
                        "kind": record.kind.value,
                        "tag": _text(data.get("tag")),
                        "words": _text(words),
                        "data": _json(data),
                    },
                )
            case _:
                pass

    def _times(self, key: str) -> int:
        found = self._multiplier(key)
        return found if found != 1 else self._kept_multipliers.get(key, 1)

    def _insert(self, name: str, rows: list[Row]) -> None:
        import pyarrow as pa

        columns = {column: [row[column] for row in rows] for column in rows[0]}
        table = pa.table({column: pa.array(values, _type(column)) for column, values in columns.items()})
        how = "REPLACE" if name == "orders" else "IGNORE"
        self._con.register("ledger_batch", table)
        try:
            self._con.execute(f"INSERT OR {how} INTO {name} BY NAME SELECT * FROM ledger_batch")  # noqa: S608
        finally:
            self._con.unregister("ledger_batch")

    # --- catching up ----------------------------------------------------------------------------------

    def agrees(self, reader: JournalReader) -> bool:
        """Whether the last record taken in is in the journal, at that place and with that content."""
        if self.last == START:
            return True
        row = self._con.execute(
            "SELECT t_ns, kind, data FROM journal WHERE journal_day = ? AND journal_number = ?", [*self.last]
        ).fetchone()
        for day, number, record in reader(self.last[0]):
            if (day, number) == self.last:
                return row == (record.t_ns, record.kind.value, _json(record.data))
            if (day, number) > self.last:
                break
        return False

    def catch_up(self, reader: JournalReader) -> int:
        """Take in what the journal has beyond the last record known here; return how many those were."""
        records = iter(reader(self.last[0]))
        count = 0
        while batch := list(islice(records, _BATCH)):
            count += self.project(batch)
        return count

    def rebuild(self, records: Iterable[Numbered]) -> int:
        """Throw everything away and project the journal from its beginning; return the number of records."""
        self._kept_multipliers = dict(
            self._con.execute(
                "SELECT instrument_key, max(multiplier) FROM fills WHERE multiplier <> 1 GROUP BY ALL"
            ).fetchall()
        )
        self._con.execute("DROP VIEW IF EXISTS positions")
        for name in _TABLES:
            self._con.execute(f"DROP TABLE IF EXISTS {name}")
        create(self._con, LEDGER)
        self.last = START
        return self.catch_up(lambda _: records)


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _request(data: Mapping[str, Any]) -> Row:
    return {
        "instrument_key": str(data["instrument_key"]),
        "side": str(data["side"]),
        "qty": int(data["qty"]),
        "product": str(data["product"]),
        "order_type": str(data["order_type"]),
        "price": int(data["price"]),
        "trigger_price": int(data["trigger_price"]),
        "validity": str(data["validity"]),
        "disclosed_qty": int(data["disclosed_qty"]),
        "protection_pct": int(data["protection_pct"]),
        "source": str(data["source"]),
        "reason": str(data["reason"]),
        "stop": int(data["stop"]),
        "target": int(data["target"]),
        "client_id": str(data["client_id"]),
    }


def _order(data: Mapping[str, Any]) -> Row:
    order = thaw(Order, data)  # refuses what is not an order before it reaches a table
    return {
        "tag": order.tag,
        "status": order.status.value,
        "created": order.created_ns // 1000,
        "updated": order.updated_ns // 1000,
        "created_ns": order.created_ns,
        "updated_ns": order.updated_ns,
        "broker_id": order.broker_id,
        "exchange_id": order.exchange_id,
        **_request(data["request"]),
        "filled_qty": int(order.filled_qty),
        "average_price": int(order.average_price),
        "raw_status": order.raw_status,
        "message": order.message,
        "foreign": bool(order.foreign),
        "cancel_pending": bool(order.cancel_pending),
        "modify_pending": bool(order.modify_pending),
    }


def _fill(data: Mapping[str, Any]) -> Row:
    fill = thaw(Fill, data)
    return {
        "trade_id": fill.trade_id,
        "broker_id": fill.broker_id,
        "tag": fill.tag,
        "instrument_key": fill.instrument_key,
        "side": fill.side.value,
        "qty": int(fill.qty),
        "price": int(fill.price),
        "product": fill.product.value,
        "t": fill.time_ns // 1000,
        "t_ns": fill.time_ns,
    }


def _signal(data: Mapping[str, Any]) -> Row:
    score = data.get("score")
    return {
        "id": _text(data.get("id")),
        "strategy": _text(data.get("strategy")),
        "instrument_key": _text(data.get("instrument_key", data.get("key"))),
        "side": _text(data.get("side")),
        "score": None if score is None else float(score),
    }


_TIMES: Final = frozenset({"t", "created", "updated"})
_WHOLE: Final = frozenset(
    {
        "t_ns", "created_ns", "updated_ns", "qty", "price", "trigger_price", "disclosed_qty", "protection_pct",
        "stop", "target", "filled_qty", "average_price", "multiplier", "journal_number",
    }
)  # fmt: skip
_FLAGS: Final = frozenset({"foreign", "cancel_pending", "modify_pending"})


def _type(column: str) -> Any:
    import pyarrow as pa

    if column in _TIMES:
        return pa.timestamp("us", "UTC")
    if column in _WHOLE:
        return pa.int64()
    if column in _FLAGS:
        return pa.bool_()
    if column == "journal_day":
        return pa.date32()
    return pa.float64() if column == "score" else pa.string()
