"""What a run decided, as one hash; and a journal in memory, which has nothing but that and a list."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from tradetui.domain.records import NOT_HASHED, Record
from tradetui.journal.frames import encode


class ContentHash:
    """SHA-256 over what was decided, without latency stamps: equal for equal runs."""

    def __init__(self) -> None:
        self._sha = hashlib.sha256()
        self.records = 0

    def add(self, record: Record, data: bytes | None = None) -> None:
        """Take one record into account, unless its kind depends on timing; ``data`` is its data encoded, if at hand."""
        if record.kind in NOT_HASHED:
            return
        data = encode(record.data) if data is None else data
        self._sha.update(b'[%d,"%b",%b]\n' % (record.t_ns, record.kind.value.encode(), data))
        self.records += 1

    def hexdigest(self) -> str:
        """The hash so far."""
        return self._sha.hexdigest()


class MemoryJournal:
    """A journal that is gone with the process: for back-tests, parity checks and tests."""

    def __init__(self) -> None:
        self.content = ContentHash()
        self.kept: list[Record] = []
        self.torn: Path | None = None

    def append(self, record: Record) -> None:
        """Keep a record."""
        data = encode(record.data)
        self.kept.append(record)
        self.content.add(record, data)

    def sync(self) -> None:
        """Nothing to wait for."""

    def use_reserve(self) -> bool:
        """There is no disk that could be full."""
        return False

    def recover(self) -> None:
        """Nothing is ever behind."""

    def records(self) -> Iterator[Record]:
        """Every record, oldest first."""
        return iter(self.kept)

    def close(self) -> None:
        """Nothing to close."""
