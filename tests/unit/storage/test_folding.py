"""A quiet market's ticks are folded into the file: until then DuckDB holds them in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.storage.samples import ALL, T0_NS, frame
from tradetui.storage import threads
from tradetui.storage.store import Store


def held_mb(store: Store) -> float:
    """Memory that tables take which are not in the file yet."""
    rows = store.market_frame(
        "SELECT memory_usage_bytes FROM duckdb_memory() WHERE tag = 'IN_MEMORY_TABLE'"
    ).rows()
    return float(rows[0][0]) / 1e6 if rows else 0.0


def written(folder: Path, frames: int) -> tuple[float, int]:
    """Memory held after so many frames of three ticks, and how many ticks can be read."""
    store = Store.open(folder, list(ALL))
    try:
        for part in range(10):
            for number in range(frames // 10):
                store.ticks(T0_NS + (part * frames + number) * 1000, frame(3))
            store.flush()
        store.flush()
        return held_mb(store), int(store.market_frame("SELECT count(*) FROM ticks").rows()[0][0])
    finally:
        store.close()


def test_little_is_folded_every_half_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "FOLD_EVERY_S", 0.0)
    monkeypatch.setattr(threads, "LEAST_FOLDED", 3_000)
    folded, stored = written(_made(tmp_path / "quiet"), 10_000)
    assert stored == 30_000
    monkeypatch.setattr(threads, "MOST_FOLDED", 0)  # every market is busy
    held, stored = written(_made(tmp_path / "busy"), 10_000)
    assert stored == 30_000
    assert held > 5
    assert folded < held / 2


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
