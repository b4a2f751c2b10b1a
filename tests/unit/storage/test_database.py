"""Files that are locked, damaged, old, new or somebody else's: each is named, none is lost."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from tests.conftest import REPO_ROOT
from tests.unit.storage.samples import ALL, RELIANCE, T0_NS, a_day, bar, frame, reader
from tradetui.domain.errors import StorageError
from tradetui.storage import schema as layouts
from tradetui.storage.database import Opened, Settings, is_outside, open_database, set_aside
from tradetui.storage.schema import MARKET, Schema
from tradetui.storage.store import Store

SETTINGS = Settings(memory_mb=64)


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A store that was closed, and one whose process died after three commits; each made once."""
    closed, dead = tmp_path_factory.mktemp("closed"), tmp_path_factory.mktemp("dead")
    store = Store.open(closed, list(ALL), journal=reader(a_day()))
    for step in range(50):
        store.ticks(T0_NS, frame(300, step))
    store.bars([bar(n) for n in range(100)])
    store.close()
    code = (
        "import os, sys; from pathlib import Path\n"
        "from tests.unit.storage.samples import ALL, bar; from tradetui.storage.store import Store\n"
        "store = Store.open(Path(sys.argv[1]), list(ALL))\n"
        "for n in range(3): store.bars([bar(n)]); store.flush()\n"
        "os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(dead)], cwd=REPO_ROOT, check=False)
    return closed, dead


@pytest.fixture
def filled(templates: tuple[Path, Path], tmp_path: Path) -> Path:
    """Folder of a closed store with a little of everything."""
    return shutil.copytree(templates[0], tmp_path, dirs_exist_ok=True)


@pytest.fixture
def killed(templates: tuple[Path, Path], tmp_path: Path) -> bytes:
    """A market file whose writer died after three commits is in ``tmp_path``; this is its log."""
    shutil.copytree(templates[1], tmp_path, dirs_exist_ok=True)
    return (tmp_path / "market.duckdb.wal").read_bytes()


def test_settings_hold_for_every_cursor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    opened = open_database(tmp_path / "m.duckdb", MARKET, Settings())
    rows = dict(opened.connection.cursor().execute("SELECT name, value FROM duckdb_settings()").fetchall())
    assert rows["TimeZone"] == "UTC"
    assert rows["memory_limit"] == "122.0 MiB"
    assert rows["checkpoint_threshold"] == "244.1 MiB"
    assert rows["autoload_known_extensions"] == rows["autoinstall_known_extensions"] == "false"
    opened.connection.close()


def test_a_file_that_another_program_holds_names_it(filled: Path, tmp_path: Path) -> None:
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(tmp_path / "market.duckdb")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(
            StorageError, match=rf"market.duckdb is in use by another program \(process {child.pid}"
        ):
            Store.open(tmp_path, ALL)
        assert child.stdin is not None
        child.stdin.close()
        child.wait()
    store = Store.open(tmp_path, ALL)  # the ledger was not left open either, and nothing was set aside
    assert store.notices == []
    store.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ledger.duckdb", "market.duckdb"]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.02, 0.5, 0.9999])
@pytest.mark.parametrize("name", ["ledger.duckdb", "market.duckdb"])
def test_a_cut_file_is_set_aside_and_made_anew(name: str, share: float, filled: Path, tmp_path: Path) -> None:
    path = tmp_path / name
    whole = path.read_bytes()
    cut = whole[: int(len(whole) * share)]
    path.write_bytes(cut)
    store = Store.open(tmp_path, list(ALL), journal=reader(a_day()))
    assert [words for words in store.notices if name in words and f"{name}.damaged-1" in words]
    assert (tmp_path / f"{name}.damaged-1").read_bytes() == cut
    assert len(store.fills()) == 3, "the ledger comes back from the journal whole"
    if name == "ledger.duckdb":
        assert store.read_bars(RELIANCE.key, "1m").height == 100
    store.bars([bar(200)])
    store.flush()
    store.close()


def test_flipped_headers_are_damage(filled: Path, tmp_path: Path) -> None:
    path = tmp_path / "market.duckdb"
    for at in (9, 4096 + 3, 8192 + 3):
        data = bytearray(path.read_bytes())
        data[at] ^= 0xFF
        path.write_bytes(data)
    with pytest.raises(duckdb.Error):
        duckdb.connect(str(path))
    store = Store.open(tmp_path, ALL)
    assert any("market.duckdb.damaged-1" in words for words in store.notices)
    store.close()


def test_set_aside_names_never_collide(tmp_path: Path) -> None:
    for n in range(3):
        (tmp_path / "x.duckdb").write_bytes(bytes([n]))
        (tmp_path / "x.duckdb.wal").write_bytes(bytes([n, n]))
        kept = set_aside(tmp_path / "x.duckdb")
        assert kept.name == f"x.duckdb.damaged-{n + 1}"
        assert kept.read_bytes() == bytes([n])
        assert (tmp_path / f"{kept.name}.wal").read_bytes() == bytes([n, n])


def test_a_log_without_its_file_is_kept(tmp_path: Path) -> None:
    (tmp_path / "m.duckdb.wal").write_bytes(b"log")
    opened = open_database(tmp_path / "m.duckdb", MARKET, SETTINGS)
    assert opened.created
    assert (tmp_path / "m.duckdb.wal.damaged-1").read_bytes() == b"log"
    assert "is missing while its log is not" in opened.notices[0]
    opened.connection.close()


def test_a_log_left_by_a_crash_is_read_back_and_said(killed: bytes, tmp_path: Path) -> None:
    store = Store.open(tmp_path, ALL)
    assert "market.duckdb was not closed properly last time; its log was read back" in store.notices
    assert store.read_bars(RELIANCE.key, "1m").height == 3
    store.close()


@pytest.mark.parametrize("cut", [1, 9, 200])
def test_a_log_that_is_cut_is_said_and_copied(cut: int, killed: bytes, tmp_path: Path) -> None:
    whole = killed
    log = tmp_path / "market.duckdb.wal"
    log.write_bytes(whole[:-cut])
    store = Store.open(tmp_path, ALL)
    assert any(f"of {len(whole) - cut}, what follows is lost" in words for words in store.notices)
    assert (tmp_path / "market.duckdb.wal.damaged-1").read_bytes() == whole[:-cut]
    assert store.read_bars(RELIANCE.key, "1m").height == 2, "what came before the cut is there"
    store.close()


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_a_log_with_a_flipped_byte_is_said_and_kept(share: float, killed: bytes, tmp_path: Path) -> None:
    data = bytearray(killed)
    data[int(len(data) * share)] ^= 0x5A
    (tmp_path / "market.duckdb.wal").write_bytes(data)
    store = Store.open(tmp_path, list(ALL))
    assert any("market.duckdb" in words and "damaged" in words for words in store.notices)
    kept = [path for path in tmp_path.glob("*damaged-1*") if path.read_bytes() == bytes(data)]
    assert len(kept) == 1
    store.bars([bar(5)])
    store.flush()
    store.close()


def test_a_log_of_garbage_costs_only_the_log(filled: Path, tmp_path: Path) -> None:
    (tmp_path / "market.duckdb.wal").write_bytes(b"\x63\x00\xff" * 3000)
    store = Store.open(tmp_path, ALL)
    assert any("market.duckdb" in words and "wal.damaged-1" in words for words in store.notices)
    assert store.read_bars(RELIANCE.key, "1m").height == 100
    store.close()


def test_a_database_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "m.duckdb"
    with duckdb.connect(str(path)) as other:
        other.execute("CREATE TABLE theirs (a INT)")
    with pytest.raises(StorageError, match="not one of tradetui's"):
        open_database(path, MARKET, SETTINGS)
    with duckdb.connect(str(path)) as other:
        assert other.execute("SELECT count(*) FROM theirs").fetchall() == [(0,)]


def test_an_empty_database_is_taken(tmp_path: Path) -> None:
    duckdb.connect(str(tmp_path / "m.duckdb")).close()
    opened = open_database(tmp_path / "m.duckdb", MARKET, SETTINGS)
    assert opened.connection.execute("SELECT count(*) FROM bars").fetchall() == [(0,)]
    opened.connection.close()


# --- layouts ------------------------------------------------------------------------------------------


def opened_as(path: Path, layout: Schema) -> Opened:
    return open_database(path, layout, SETTINGS)


def test_an_older_layout_is_brought_forward_after_a_copy(tmp_path: Path) -> None:
    path = tmp_path / "m.duckdb"
    old = opened_as(path, MARKET)
    old.connection.execute("INSERT INTO day_stats VALUES (1, DATE '2025-12-15', 1, 2, 3, 4, 5)")
    old.connection.close()
    now = MARKET.version
    newer = replace(
        MARKET,
        version=now + 2,
        migrations={
            now: "ALTER TABLE day_stats ADD COLUMN trades BIGINT",
            now + 1: "UPDATE day_stats SET trades = 9",
        },
    )
    opened = opened_as(path, newer)
    words = f"m.duckdb was brought from layout {now} to {now + 2}; a copy is m.duckdb.layout-{now}"
    assert opened.notices == [words]
    assert opened.connection.execute("SELECT trades, volume FROM day_stats").fetchall() == [(9, 4)]
    assert layouts.version_of(opened.connection) == now + 2
    opened.connection.close()
    with duckdb.connect(str(tmp_path / f"m.duckdb.layout-{now}")) as copy:
        assert layouts.version_of(copy) == now
        assert copy.execute("SELECT volume FROM day_stats").fetchall() == [(4,)]
    again = opened_as(path, newer)
    assert again.notices == []
    again.connection.close()


def test_a_market_file_of_the_first_layout_gets_the_ledger_of_asked_days(tmp_path: Path) -> None:
    path = tmp_path / "m.duckdb"
    old = opened_as(path, MARKET)
    old.connection.execute("DROP TABLE history_asked")
    old.connection.execute("UPDATE meta SET value = '1' WHERE name = 'schema_version'")
    old.connection.close()
    opened = opened_as(path, MARKET)
    assert opened.connection.execute("SELECT * FROM history_asked").fetchall() == []
    assert layouts.version_of(opened.connection) == MARKET.version
    opened.connection.close()


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "m.duckdb"
    opened_as(path, MARKET).connection.close()
    now = MARKET.version
    steps = {now: "ALTER TABLE bars ADD COLUMN x INT; SELECT nonsense FROM nowhere"}
    bad = replace(MARKET, version=now + 1, migrations=steps)
    with pytest.raises(duckdb.CatalogException):
        opened_as(path, bad)
    opened = opened_as(path, MARKET)
    assert opened.notices == []
    assert "x" not in [row[0] for row in opened.connection.execute("DESCRIBE bars").fetchall()]
    opened.connection.close()


def test_a_newer_layout_is_refused_in_words_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "market.duckdb"
    opened = opened_as(path, replace(MARKET, version=7))
    opened.connection.close()
    before = path.read_bytes()
    words = rf"written by a newer tradetui \(layout 7; this one knows up to {MARKET.version}\)"
    with pytest.raises(StorageError, match=words):
        Store.open(tmp_path, ALL)
    assert path.read_bytes() == before


def test_a_gap_in_the_migrations_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.duckdb"
    opened_as(path, MARKET).connection.close()
    with pytest.raises(StorageError, match=f"no way leads on from {MARKET.version}"):
        opened_as(
            path, replace(MARKET, version=MARKET.version + 2, migrations={MARKET.version + 1: "SELECT 1"})
        )


@pytest.mark.parametrize(
    ("error", "outside"),
    [
        (OSError(28, "No space left on device"), True),
        (duckdb.IOException("Could not write file: No space left on device"), True),
        (duckdb.OutOfMemoryException("failed to allocate"), True),
        (duckdb.FatalException("database has been invalidated"), True),
        (duckdb.ConversionException("Could not convert string 'x' to INT32"), False),
        (duckdb.ConstraintException("NOT NULL constraint failed"), False),
        (ValueError("nan"), False),
    ],
)
def test_what_may_succeed_later_is_told_from_what_never_will(error: Exception, outside: bool) -> None:
    assert is_outside(error) is outside
