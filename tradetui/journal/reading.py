"""Everything that a journal holds, as far as it can be read: for a start that must not fail on an old file."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from tradetui.domain.errors import JournalDamaged
from tradetui.domain.records import Record, RecordKind
from tradetui.journal.frames import Wanted, files, last_hash, read
from tradetui.journal.merge import waiting_in
from tradetui.journal.reserve import RESERVE_NAME, payloads_in

log = logging.getLogger(__name__)


def everything(
    folder: Path, first: str = "", number: int = 0, skip: frozenset[RecordKind] = frozenset()
) -> Iterator[tuple[str, int, Record]]:
    """Records from a day on, oldest first, those that wait in the emergency reserve last.

    What is damaged is said in the log, and reading goes on with the next file: the newest file's own damage is
    refused when the journal is opened for writing, and `verify` names the rest.

    Args:
        folder: Folder of the journal.
        first: ISO date of the first file wanted; empty for all.
        number: Records before this one in the first file may come empty: the reader has them already.
        skip: Records of these kinds may come empty.

    Yields:
        Day and number in that day's file, and the record.
    """
    days = files(folder)
    before = [path for path in days if path.stem < first]
    previous = last_hash(before[-1:]) if before else None
    day, last = "", 0
    for path in days[len(before) :]:
        since = number if path.stem == first else 0
        day, last = path.stem, 0
        try:
            for stored in read(path, wanted=_wanted(since, skip)):
                if last == 0 and previous not in (None, stored.previous):
                    log.warning("%s does not follow the last record of the file before it", path.name)
                last, previous = stored.number, stored.sha256
                yield day, last, stored.record
        except JournalDamaged as error:
            log.warning("%s", error)
    payloads = payloads_in(folder / RESERVE_NAME)
    if not payloads:
        return
    waiting = waiting_in(payloads, day or (before[-1].stem if before else ""), last, previous or "")
    if waiting is None:
        log.warning("%s does not follow the journal beside it and is passed over", RESERVE_NAME)
        return
    yield from waiting.numbered()


def _wanted(since: int, skip: frozenset[RecordKind]) -> Wanted:
    return lambda kind, number: number >= since and kind not in skip
