r"""The journal: the durable truth about orders, append-only, framed, checksummed and hash-chained.

DuckDB is not enough for this: cut in the middle of its last write, its log re-opens without a word. Here a
cut or a flipped bit shows. One file a day, ``YYYY-MM-DD.journal``:

* the file starts with the 8 bytes ``TTJRNL1\n``;
* each record is a frame: payload length (u32, little endian), CRC-32 of the payload (u32), payload;
* the payload is canonical JSON: ``n`` number in the file from 1, ``t`` engine time (UTC ns), ``k`` kind, ``d``
  data, ``m`` meta, ``p`` SHA-256 of the payload before (in hex; of the last record of the previous file for
  the first one), so that nothing can be taken out or put in between.

`Journal.sync` is an ``fdatasync``: it returns when the records are on the disk. Order commands leave the
process only after it.

A cut tail (power failed while appending) is moved to ``*.torn`` next to the file and said; damage anywhere
else is an error that names the place, and the file is left as it is. On a full disk the records of exits go into
a reserve that was set aside in good times (`reserve`).
"""

from tradetui.journal.content import ContentHash, MemoryJournal
from tradetui.journal.frames import (
    GENESIS,
    MAGIC,
    MAX_PAYLOAD,
    StoredRecord,
    day_of,
    encode,
    files,
    is_cut_tail,
    read,
    read_days,
)
from tradetui.journal.reading import everything
from tradetui.journal.reserve import Reserve
from tradetui.journal.verify import FileSeen, Verdict, verify
from tradetui.journal.writer import Journal

__all__ = [
    "GENESIS",
    "MAGIC",
    "MAX_PAYLOAD",
    "ContentHash",
    "FileSeen",
    "Journal",
    "MemoryJournal",
    "Reserve",
    "StoredRecord",
    "Verdict",
    "day_of",
    "encode",
    "everything",
    "files",
    "is_cut_tail",
    "read",
    "read_days",
    "verify",
]
