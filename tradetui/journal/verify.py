"""Is a journal whole? Every frame, every number, every hash, and every file against the one before it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tradetui.domain.errors import JournalDamaged
from tradetui.journal.frames import GENESIS, files, is_cut_tail, last_hash, read
from tradetui.journal.merge import waiting_in
from tradetui.journal.reserve import RESERVE_NAME, payloads_in


@dataclass(frozen=True, slots=True)
class FileSeen:
    """One file of the journal.

    Attributes:
        name: File name.
        records: Records that passed every check.
        size: Bytes.
        last: Hash of the last of them.
    """

    name: str
    records: int
    size: int
    last: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check of a whole journal found.

    Attributes:
        files: What was read, oldest first, up to and including the file with the first damage.
        records: Records that passed every check.
        damage: The first thing that is wrong, in words; empty when nothing is.
        file, number, offset: Where: file, number of the first record that cannot be trusted, byte.
        cut: It is no more than a record that stops in the middle at the very end, as after a power failure.
        reserved: Records that wait in the emergency reserve for space on the disk.
        begins_at: Hash that the first record follows: 64 zeros for a journal that is whole from its beginning.
    """

    files: tuple[FileSeen, ...]
    records: int
    damage: str = ""
    file: str = ""
    number: int = 0
    offset: int = 0
    cut: bool = False
    reserved: int = 0
    begins_at: str = GENESIS

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.damage


def verify(folder: Path) -> Verdict:
    """Check every file of a journal, oldest first, up to the first damage.

    Raises:
        StorageError: A file cannot be read at all.
    """
    seen: list[FileSeen] = []
    days = files(folder)
    previous: str | None = None
    begins, day, number = GENESIS, "", 0
    for path in days:
        count, good = 0, 0
        try:
            for stored in read(path, previous):
                if previous is None:
                    begins = stored.previous
                previous, count, good = stored.sha256, stored.number, stored.end
        except JournalDamaged as error:
            seen.append(FileSeen(path.name, count, path.stat().st_size, previous or GENESIS))
            return Verdict(
                tuple(seen),
                sum(file.records for file in seen),
                str(error),
                path.name,
                error.number or 1,
                error.offset,
                cut=path == days[-1] and is_cut_tail(path, good),
                begins_at=begins,
            )
        day, number = path.stem, count
        seen.append(FileSeen(path.name, count, path.stat().st_size, previous or GENESIS))
    records = sum(file.records for file in seen)
    payloads = payloads_in(folder / RESERVE_NAME)
    waiting = waiting_in(payloads, day, number, last_hash(days) or GENESIS)
    if waiting is None:
        words = f"{RESERVE_NAME} does not follow the last record of the journal"
        return Verdict(tuple(seen), records, words, RESERVE_NAME, 1, begins_at=begins)
    return Verdict(tuple(seen), records, reserved=len(waiting.payloads), begins_at=begins)
