"""Whether a DuckDB file has all the blocks that it uses, read off the file itself.

A cut data file may open and fail hours later, so its size is held against its own header. The header counts every
block that was ever given out, though, and after a kill blocks at the end may be counted that were free and never
written: those are on the free list that the header points to, and a file without them is whole.

Layout: https://duckdb.org/docs/stable/internals/storage and, of the free list, DuckDB's
``src/storage/single_file_block_manager.cpp``: a count and that many block numbers, in a chain of metadata blocks,
of which 64 share one block after its checksum; each begins with a pointer to the next.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from tradetui.domain.errors import StorageError

_HEADER: Final = 4096
_DATA: Final = 3 * _HEADER
_FIELDS: Final = struct.Struct("<QQqqQQQ")
"""Of a header: checksum, iteration, meta block, free list, blocks, block size, vector size."""
_SHARED_BY: Final = 64
_WORD: Final = struct.Struct("<Q")
_NONE: Final = (1 << 64) - 1


class Damaged(Exception):
    """The file cannot be a sound database; the words say why."""


def check_blocks(path: Path) -> None:
    """Look whether a file is a database with every block that it uses.

    Raises:
        Damaged: Not a database, or cut.
        StorageError: The disk refuses.
    """
    try:
        with path.open("rb") as file:
            _check(file, os.fstat(file.fileno()).st_size)
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error


def _check(file: BinaryIO, size: int) -> None:
    head = file.read(_DATA)
    if size == 0:
        raise Damaged("it is empty")
    if head[8:12] != b"DUCK":
        raise Damaged("it does not begin like a database")
    if len(head) < _DATA:
        raise Damaged(f"it is cut after {size} bytes")
    newest = max((_FIELDS.unpack_from(head, at) for at in (_HEADER, 2 * _HEADER)), key=lambda row: row[1])
    free_list, blocks, block_size = newest[3], newest[4], newest[5]
    if not block_size or size >= _DATA + blocks * block_size:
        return
    whole = (size - _DATA) // block_size
    try:
        missing = set(range(whole, blocks)) - set(_free(file, free_list & _NONE, block_size, whole))
    except struct.error:
        missing = set(range(whole, blocks))
    if missing:
        raise Damaged(f"it has {size} bytes of {_DATA + blocks * block_size}")


def _free(file: BinaryIO, pointer: int, block_size: int, blocks: int) -> Iterator[int]:
    """Numbers of the blocks that a file does not use.

    Raises:
        struct.error: The list is not in the file.
    """
    words = _words(file, pointer, block_size, blocks)
    for _ in range(next(words, 0)):
        number = next(words, None)
        if number is None:
            raise struct.error("the list ends early")
        yield number


def _words(file: BinaryIO, pointer: int, block_size: int, blocks: int) -> Iterator[int]:
    """The 64-bit words of a chain of metadata blocks."""
    part = (block_size - _WORD.size) // _SHARED_BY // _WORD.size * _WORD.size
    for _ in range(blocks * _SHARED_BY):
        if pointer == _NONE:
            return
        block, index = pointer & ((1 << 56) - 1), pointer >> 56
        if block >= blocks or index >= _SHARED_BY:
            raise struct.error("it points outside the file")
        file.seek(_DATA + block * block_size + _WORD.size + index * part)
        pointer, *words = struct.unpack(f"<{part // _WORD.size}Q", file.read(part))
        yield from words
