"""What waits in the emergency reserve for its place in the day file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from tradetui.domain.records import Record, RecordKind
from tradetui.journal.frames import day_of, payload_of


@dataclass(slots=True)
class Waiting:
    """Payloads that belong behind the day file's last record, and where the chain stands behind them.

    Attributes:
        payloads: Day of the file that each belongs into, and the payload; oldest first.
        day, number, previous: Day, number and hash of the last record, waiting or not.
    """

    payloads: list[tuple[str, bytes]]
    day: str
    number: int
    previous: str

    def next(self, record: Record) -> bytes:
        """The payload that a record gets here."""
        day = max(day_of(record.t_ns), self.day)
        return payload_of(record, self.number + 1 if day == self.day else 1, self.previous)

    def add(self, payload: bytes, t_ns: int) -> None:
        """A payload has been put into the reserve."""
        day = max(day_of(t_ns), self.day)
        self.number = self.number + 1 if day == self.day else 1
        self.day = day
        self.previous = hashlib.sha256(payload).hexdigest()
        self.payloads.append((day, payload))

    def numbered(self) -> Iterator[tuple[str, int, Record]]:
        """The records that wait, with the day and number that they will have in the day file."""
        for day, payload in self.payloads:
            row = json.loads(payload)
            yield day, row["n"], Record(row["t"], RecordKind(row["k"]), row["d"], row["m"])


def waiting_in(payloads: list[bytes], day: str, number: int, previous: str) -> Waiting | None:
    """Those of a reserve's payloads that the day file lacks; ``None`` when they do not belong to it.

    Args:
        payloads: All payloads of the reserve, oldest first. The first of them may be in the day file already: a
            run may have ended while it moved them.
        day: Day of the day file's last record.
        number: Its number.
        previous: Its hash.
    """
    waiting = Waiting([], day, number, previous)
    rows = [(payload, json.loads(payload)) for payload in payloads]
    hashes = [hashlib.sha256(payload).hexdigest() for payload in payloads]
    if previous in hashes:
        rows = rows[hashes.index(previous) + 1 :]
    elif rows and rows[0][1]["p"] != previous:
        return None
    for payload, row in rows:
        waiting.add(payload, row["t"])
    return waiting
