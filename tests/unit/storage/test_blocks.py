"""Which short file is cut, and which one only counts blocks that were never written."""

from __future__ import annotations

import struct
from pathlib import Path

import duckdb
import pytest

from tradetui.storage.blocks import Damaged, check_blocks

HEADER, DATA, BLOCK = 4096, 3 * 4096, 262_144


@pytest.fixture(scope="module")
def holed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file with free blocks in its middle."""
    path = tmp_path_factory.mktemp("blocks") / "one.duckdb"
    with duckdb.connect(str(path)) as connection:
        for name in ("a", "b", "c"):
            connection.execute(f"CREATE TABLE {name} AS SELECT random() AS x FROM range(200000)")
            connection.execute("CHECKPOINT")
        connection.execute("DROP TABLE b")
        connection.execute("CHECKPOINT")
    return path.read_bytes()


def newest(data: bytes) -> int:
    """Where the header that counts begins."""
    return max((HEADER, 2 * HEADER), key=lambda at: struct.unpack_from("<Q", data, at + 8)[0])


def free_list_at(data: bytes) -> int:
    """Where the count of the free blocks is."""
    pointer: int = struct.unpack_from("<Q", data, newest(data) + 24)[0]
    part = (BLOCK - 8) // 64 // 8 * 8
    return DATA + (pointer & ((1 << 56) - 1)) * BLOCK + 8 + (pointer >> 56) * part + 8


def claiming(data: bytes, more: int, free: bool) -> bytes:
    """The file with blocks in its count that were never written; on the free list or not."""
    out = bytearray(data)
    at = newest(data) + 32
    (blocks,) = struct.unpack_from("<Q", out, at)
    struct.pack_into("<Q", out, at, blocks + more)
    if free:
        where = free_list_at(data)
        (count,) = struct.unpack_from("<Q", out, where)
        struct.pack_into(
            f"<{1 + count + more}Q",
            out,
            where,
            count + more,
            *struct.unpack_from(f"<{count}Q", data, where + 8),
            *range(blocks, blocks + more),
        )
    return bytes(out)


def test_a_whole_file_is_sound(holed: bytes, tmp_path: Path) -> None:
    path = tmp_path / "one.duckdb"
    path.write_bytes(holed)
    check_blocks(path)
    (count,) = struct.unpack_from("<Q", holed, free_list_at(holed))
    assert count > 0, "it has free blocks, or this test shows nothing"


@pytest.mark.parametrize("more", [1, 3])
def test_blocks_that_were_free_when_the_program_was_killed_need_not_be_there(
    more: int, holed: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "one.duckdb"
    path.write_bytes(claiming(holed, more, free=True))
    check_blocks(path)


def test_a_block_that_is_used_must_be_there(holed: bytes, tmp_path: Path) -> None:
    path = tmp_path / "one.duckdb"
    path.write_bytes(claiming(holed, 1, free=False))
    with pytest.raises(Damaged, match=f"it has {len(holed)} bytes of {len(holed) + BLOCK}"):
        check_blocks(path)


def test_wherever_it_is_cut_it_is_seen(holed: bytes, tmp_path: Path) -> None:
    path = tmp_path / "one.duckdb"
    for size in [0, 1, HEADER, DATA - 1, DATA, *range(DATA + 1, len(holed), BLOCK // 3), len(holed) - 1]:
        path.write_bytes(holed[:size])
        with pytest.raises(Damaged):
            check_blocks(path)
