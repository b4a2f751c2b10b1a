"""An account's journals: reading them back, and taking over what a stand-in wrote.

The watchdog and ``tradetui kill`` act while no engine does. They never touch the engine's file (a process that
hangs may still append to it): they write a journal of their own, in ``journal/stand-in``. The next engine copies
those records into its own journal before anything else, each marked with the day and number that it had, so that
a copy which was interrupted goes on where it stopped and nothing is taken twice.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from tradetui.domain.records import Record, RecordKind
from tradetui.journal import Journal, everything, files

log = logging.getLogger(__name__)

STAND_IN: Final = "stand-in"
_MARK: Final = "adopted"
_ADOPTED: Final = ".adopted"


class Projected:
    """A journal whose records reach the ledger in the journal's own order, whoever adds them.

    The ledger numbers what it is given as the journal does, so there must be one way in: requests are noted while
    the records that led to them are still being handed round.

    Args:
        journal: Where records go first.
        project: Takes each record that was added.
    """

    def __init__(self, journal: Journal, project: Callable[[Sequence[Record]], None]) -> None:
        self._journal = journal
        self._project = project
        self.content = journal.content

    def append(self, record: Record) -> None:
        """Add a record.

        Raises:
            StorageError: The disk refuses; the record counts as not written.
        """
        self._journal.append(record)
        self._project((record,))

    def sync(self) -> None:
        """Make everything added durable.

        Raises:
            StorageError: It is not.
        """
        self._journal.sync()

    def use_reserve(self) -> bool:
        """Add to the emergency reserve until `recover`; ``False`` when there is none that can be written."""
        return self._journal.use_reserve()

    def recover(self) -> None:
        """After a failure: try to catch up.

        Raises:
            StorageError: It still cannot be written.
        """
        self._journal.recover()

    def close(self) -> None:
        """Sync and close."""
        self._journal.close()


def journal_dir(account_dir: Path) -> Path:
    """Where the engine's journal of an account is."""
    return account_dir / "journal"


def stand_in_dir(account_dir: Path) -> Path:
    """Where the watchdog and the kill command write theirs."""
    return journal_dir(account_dir) / STAND_IN


def every_record(account_dir: Path) -> Iterator[Record]:
    """All that is known of an account: the engine's records, then those of a stand-in after it."""
    for folder in (journal_dir(account_dir), stand_in_dir(account_dir)):
        for _, _, record in everything(folder):
            yield record


def adopt(account_dir: Path, t_ns: int) -> int:
    """Copy a stand-in's records into the engine's journal, durably, and put its files aside.

    Returns:
        How many records were taken over.

    Raises:
        StorageError: A journal cannot be read or written; what was copied is not copied again.
    """
    left = files(stand_in_dir(account_dir))
    if not left:
        return 0
    journal, taken = Journal(journal_dir(account_dir)), 0
    try:
        known = _already(journal_dir(account_dir))
        for day, number, record in everything(stand_in_dir(account_dir)):
            mark = f"{day}#{number}#{record.t_ns}"
            if mark not in known:
                journal.append(replace(record, meta={**record.meta, _MARK: mark}))
                taken += 1
        data = {"what": "adopted a stand-in's journal", "records": taken}
        journal.append(Record(t_ns, RecordKind.RUN, data))
        journal.sync()
        for path in left:
            path.replace(_free(path))
    finally:
        journal.close()
    log.warning("%d records of the watchdog or a kill were taken over", taken)
    return taken


def _already(folder: Path) -> frozenset[str]:
    """Marks of what was copied before. A stand-in acts at the end of the journal, so two days are enough."""
    days = files(folder)[-2:]
    if not days:
        return frozenset()
    return frozenset(
        str(record.meta[_MARK]) for _, _, record in everything(folder, days[0].stem) if _MARK in record.meta
    )


def _free(path: Path) -> Path:
    number = 1
    while (target := path.with_suffix(f".{number}{_ADOPTED}")).exists():
        number += 1
    return target


def tag_prefix(data_dir: Path, day: str, by: str = "") -> str:
    """Beginning of today's order tags: unique to this installation, so that two machines never share a tag.

    Args:
        data_dir: The installation's data directory.
        day: The date, ``YYMMDD``.
        by: A letter for whoever stands in for the engine, so that its numbers are its own.
    """
    path = data_dir / "installation"
    mark = path.read_text(encoding="ascii").strip() if path.exists() else ""
    if not mark:  # the first start, or one that was killed while it wrote
        mark = "".join(random.SystemRandom().choices("abcdefghjkmnpqrstuvwxyz23456789", k=4))
        path.write_text(mark, encoding="ascii")
    return f"tt{day}{mark}{by}-"
