"""The ledger: a projection of the journal into tables that can be thrown away and rebuilt at any time.

Each row names the journal record it comes from by day and number in that day's file. Records are taken in order
and only once, so the ledger is always what some beginning of the journal says, and catching up is reading on
from there. Two things make that hold in live use: the numbering below is the journal's own rule, and when a
record cannot be written the ones after it are not written either (`store.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from tradetui.domain.calendar import ist_date
from tradetui.domain.conversion import Conversion, ConversionStatus
from tradetui.domain.money import Price
from tradetui.domain.order import Fill, Product
from tradetui.domain.records import Record, RecordKind
from tradetui.domain.thawing import thaw
from tradetui.storage import reads
from tradetui.storage import rows as make
from tradetui.storage.fold import DayFold, DayPosition
from tradetui.storage.rows import Row
from tradetui.storage.schema import LEDGER, create

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

log = logging.getLogger(__name__)

Place = tuple[str, int]
"""Where a record is in the journal: IST day in ISO format, number in that day's file from 1."""

Numbered = tuple[str, int, Record]
"""A record with its place."""

JournalReader = Callable[[str, int], Iterable[Numbered]]
"""Reads the journal from the file of a day on; an empty day means from the beginning. Records of that day before
the number are known already: they may come without their content."""

START: Final[Place] = ("", 0)
_BATCH: Final = 2000
TABLES: Final = (
    "intents", "orders", "fills", "openings", "positions", "signals", "decisions", "risk", "limits", "gtts",
    "groups", "plans", "conversions", "order_times", "journal",
)  # fmt: skip
"""Every table that the journal fills; ``multipliers`` stays when they are thrown away."""
# Keys by which a later row of a table replaces an earlier one within a batch.
_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "intents": ("tag",),
    "orders": ("tag",),
    "fills": ("trade_id", "broker_id"),
    "positions": ("day", "instrument_key", "product"),
    "gtts": ("tag",),
    "conversions": ("tag",),
    "order_times": ("tag",),
    "groups": ("journal_day", "label"),
}
_LATEST: Final = frozenset({"orders", "positions", "gtts", "conversions", "order_times", "groups"})
"""Tables in which a later statement about the same thing takes the place of an earlier one."""
_FACTS: Final = frozenset({"intents", "fills"})
"""Tables in which the first statement stands."""
_PLACE: Final = ("journal_day", "journal_number")


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
        self._kept_multipliers: dict[str, int] = dict(
            connection.execute("SELECT instrument_key, multiplier FROM multipliers").fetchall()
        )
        self._fold = self._load_fold()
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
        batch: dict[str, dict[tuple[Any, ...], Row]] = {name: {} for name in TABLES}
        try:
            return self._project(batch, records)
        except BaseException:
            # The fold of positions is ahead of what was stored.
            self._fold = self._load_fold()
            raise

    def _project(self, batch: dict[str, dict[tuple[Any, ...], Row]], records: Iterable[Numbered]) -> int:
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

    def _load_fold(self) -> DayFold:
        """The fold of positions, as the tables have it."""
        fold = DayFold(self._times)
        con = self._con
        opened = con.execute(
            "SELECT instrument_key, product FROM openings WHERE journal_day = (SELECT max(day) FROM positions)"
        ).fetchall()
        fold.load(
            reads.newest_positions(con),
            reads.fills_by_day(con),
            [(key, Product(product)) for key, product in opened],
        )
        fold.converted.update(
            tag for (tag,) in con.execute("SELECT tag FROM conversions WHERE status = 'done'").fetchall()
        )
        return fold

    def _spread(self, batch: dict[str, dict[tuple[Any, ...], Row]], record: Record, place: Row) -> None:
        """Put the rows that one record makes into a batch."""
        common = {"t": record.t_ns // 1000, "t_ns": record.t_ns, **place}
        try:
            rows = list(self._rows(record, common, place))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            log.warning("a journal record of kind %s is not understood: %r", record.kind.value, error)
            self.odd += 1
            rows = []
        full = {
            **common,
            "kind": record.kind.value,
            "data": make.as_json(record.data),
            "meta": make.as_json(record.meta),
        }
        for name, row in [*rows, ("journal", full)]:
            key = tuple(row[column] for column in _KEYS.get(name, _PLACE))
            if name in _FACTS:
                batch[name].setdefault(key, row)
            else:
                batch[name][key] = row

    def _rows(self, record: Record, common: Row, place: Row) -> Iterator[tuple[str, Row]]:
        data, day = record.data, common["journal_day"].isoformat()
        match record.kind:
            case RecordKind.INTENT:
                yield "intents", {**common, "tag": data["tag"], **make.request(data["request"])}
                yield "orders", {**make.order(data), **place}
            case RecordKind.ORDER:
                yield "orders", {**make.order(data), **place}
            case RecordKind.FILL:
                row = {**make.fill(data), "multiplier": self._times(data["instrument_key"]), **place}
                yield "fills", row
                yield from self._moved(self._fold.fill(day, thaw(Fill, data)))
            case RecordKind.OPENING:
                key = (str(data["instrument_key"]), Product(data["product"]))
                qty, price = int(data["qty"]), Price(int(data["average_price"]))
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
                yield from self._moved(self._fold.open(day, key, qty, price, record.t_ns))
            case RecordKind.CONVERSION:
                one = thaw(Conversion, data)
                yield "conversions", {**make.conversion(one), **place}
                if one.status is ConversionStatus.DONE:
                    yield from self._moved(
                        self._fold.convert(
                            day, one.tag, one.instrument_key, one.old, one.new, one.signed_qty, record.t_ns
                        )
                    )
            case _:
                yield from _plain_rows(record, common, place)

    def _moved(self, changed: Iterable[DayPosition]) -> Iterator[tuple[str, Row]]:
        for one in changed:
            yield "positions", make.position(one)

    def _times(self, key: str) -> int:
        found, kept = self._multiplier(key), self._kept_multipliers.get(key, 1)
        if found not in (1, kept):
            self._kept_multipliers[key] = found
            self._con.execute("INSERT OR REPLACE INTO multipliers VALUES (?, ?)", [key, found])
        return found if found != 1 else kept

    def _insert(self, name: str, rows: list[Row]) -> None:
        import pyarrow as pa

        columns = {column: [row[column] for row in rows] for column in rows[0]}
        table = pa.table(
            {column: pa.array(values, make.arrow_type(name, column)) for column, values in columns.items()}
        )
        how = "REPLACE" if name in _LATEST else "IGNORE"
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
        for day, number, record in reader(*self.last):
            if (day, number) == self.last:
                return row == (record.t_ns, record.kind.value, make.as_json(record.data))
            if (day, number) > self.last:
                break
        return False

    def follow(self, reader: JournalReader) -> int | None:
        """`agrees` and `catch_up` in one reading: a restart waits for it.

        Returns:
            How many records were new; ``None`` when the journal does not hold what was taken in last.
        """
        records = iter(reader(*self.last))
        if self.last != START:
            row = self._con.execute(
                "SELECT t_ns, kind, data FROM journal WHERE journal_day = ? AND journal_number = ?",
                [*self.last],
            ).fetchone()
            found = next((one for one in records if one[:2] >= self.last), None)
            if found is None or found[:2] != self.last:
                return None
            record = found[2]
            if row != (record.t_ns, record.kind.value, make.as_json(record.data)):
                return None
        return self.catch_up(lambda *_: records)

    def catch_up(self, reader: JournalReader) -> int:
        """Take in what the journal has beyond the last record known here; return how many those were."""
        records = iter(reader(*self.last))
        count = 0
        while batch := list(islice(records, _BATCH)):
            count += self.project(batch)
        return count

    def rebuild(self, records: Iterable[Numbered]) -> int:
        """Throw everything away and project the journal from its beginning; return the number of records."""
        for name in (*TABLES, "multipliers"):
            self._con.execute(f"DROP TABLE IF EXISTS {name}")
        create(self._con, LEDGER)
        for key, multiplier in self._kept_multipliers.items():
            self._con.execute("INSERT INTO multipliers VALUES (?, ?)", [key, multiplier])
        self.last = START
        self._fold = self._load_fold()
        return self.catch_up(lambda *_: records)


def _plain_rows(record: Record, common: Row, place: Row) -> Iterator[tuple[str, Row]]:
    """Rows of the records that stand for themselves."""
    data = record.data
    match record.kind:
        case RecordKind.SIGNAL:
            yield "signals", {**common, **make.signal(data), "data": make.as_json(data)}
        case RecordKind.DECISION | RecordKind.RISK:
            words = data.get("refused") or data.get("reason")
            yield (
                "decisions",
                {
                    **common,
                    "kind": record.kind.value,
                    "tag": make.text(data.get("tag")),
                    "words": make.text(words),
                    "data": make.as_json(data),
                },
            )
            if record.kind is RecordKind.RISK:
                yield "risk", {**common, **make.risk(data)}
        case RecordKind.LIMITS:
            yield "limits", {**common, **make.limit(data)}
        case RecordKind.PLAN:
            yield "plans", {**common, **make.plan(data)}
        case RecordKind.GROUP:
            yield "groups", {**common, **make.group(data)}
        case RecordKind.GTT:
            yield "gtts", {**make.gtt(data), **place}
        case RecordKind.TIMES:
            yield "order_times", {**make.times(data), **place}
        case _:
            pass
