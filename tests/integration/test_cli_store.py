"""`sql`, `export` and `store` as processes: beside a run that writes, and on the files after it was killed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from tests.fixtures.processes import Exchange, exchange, run, settings
from tests.fixtures.program import told

pytestmark = pytest.mark.timeout(240)
PLAIN = '[watch]\nsymbols = ["RELIANCE", "INFY"]\n[storage]\nticks_days = 1\nbars_days = 1\n'


class Shell:
    """Commands on one home directory."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def ok(self, *words: str) -> Any:
        """The JSON object that a command prints."""
        code, out, errors = told(self.home, *words, "--json")
        assert code == 0, out + errors
        return json.loads(out)

    def no(self, *words: str) -> tuple[int, str]:
        """Exit code and the one line of a command that refuses."""
        code, out, errors = told(self.home, *words)
        assert code != 0, out
        assert errors.count("\n") == 1, errors
        return code, errors

    def text(self, *words: str) -> str:
        """What a command prints."""
        code, out, errors = told(self.home, *words)
        assert code == 0, errors
        return out

    def count(self, table: str) -> int:
        return int(self.ok("sql", f"SELECT count(*) AS n FROM {table}")["rows"][0]["n"])


@pytest.fixture(scope="module")
def sim() -> Iterator[Exchange]:
    with exchange() as one:
        yield one


def the_same_everywhere(shell: Shell, tmp_path: Path, source: str) -> None:
    """What must hold whether the engine answers or the files do."""
    answer = shell.ok(
        "sql", "SELECT symbol, count(*) AS n FROM ticks JOIN instruments USING (instrument_id) GROUP BY ALL"
    )
    assert answer["source"] == source
    assert {row["symbol"] for row in answer["rows"]} >= {"RELIANCE"}
    rows = list(csv.DictReader(io.StringIO(shell.text("sql", "SELECT 1 AS a, 'x' AS b", "--csv"))))
    assert rows == [{"a": "1", "b": "x"}]
    assert "ticks (market)" in shell.text("sql")
    assert shell.no("sql", "DELETE FROM ticks")[0] == 2
    assert "read_text is not allowed" in shell.no("sql", "FROM read_text('/etc/hostname')")[1]
    assert "longer than 0.2 s" in shell.no(
        "sql", "SELECT count(*) FROM range(10000000) a, range(10000000) b", "--seconds", "0.2"
    )[1]  # fmt: skip
    out = tmp_path / "ticks.parquet"
    told_of = shell.ok("export", "ticks", "--symbol", "reliance", "--out", str(out))
    assert told_of["source"] == source
    frame = pl.read_parquet(out, hive_partitioning=False)
    assert (frame.height, set(frame["symbol"])) == (told_of["rows_written"], {"RELIANCE"})
    assert frame.height > 0
    assert "is there already" in shell.no("export", "ticks", "--out", str(out))[1]
    head = shell.text("export", "bars", "--interval", "1m").splitlines()
    assert head[0].startswith('"symbol","instrument_key","interval","start"')
    assert len(head) > 1
    assert "no format" in shell.no("export", "ticks", "--out", str(tmp_path / "x.xls"))[1]
    checked = shell.ok("store", "check")
    assert (checked["sound"], checked["rows"]) == (True, [])
    sizes = shell.ok("store", "size")
    assert sizes["ticks"] > 0
    assert sizes["bytes"] > 0


def test_beside_a_run_and_on_its_files_after_a_kill(sim: Exchange, tmp_path: Path) -> None:
    home = tmp_path / "home"
    settings(home, PLAIN)
    shell = Shell(home)
    with run(home, sim) as engine:
        the_same_everywhere(shell, tmp_path, "engine")
        status = shell.ok("status")
        assert (status["store_dropped"], status["store_problem"]) == (0, "")
        assert status["store_lag_s"] < 30
        for words in ("compact", "repair"):
            assert "in use by tradetui run" in shell.no("store", words)[1]
        before = shell.count("bars")
        moved = shell.ok("store", "archive")
        assert {row["kind"] for row in moved["rows"]} <= {"bars", "ticks"}
        assert shell.count("bars") >= before
        assert list(home.glob("accounts/*/exports/*")) == [], "what was handed over has been taken away"
        engine.process.kill()
        engine.process.wait()
    (tmp_path / "ticks.parquet").unlink()
    the_same_everywhere(shell, tmp_path, "files")
    ticks, bars = shell.count("ticks"), shell.count("bars")
    done = shell.ok("store", "archive", "--before", "2100-01-01")
    assert sum(row["rows"] for row in done["rows"] if row["kind"] == "ticks") == ticks
    assert (shell.count("ticks"), shell.count("bars")) == (ticks, bars)
    assert shell.ok("store", "check")["archived_rows"] == ticks + bars
    shrunk = shell.ok("store", "compact")
    assert shrunk["bytes_after"] <= shrunk["bytes_before"]
    (market,) = home.glob("accounts/*/market.duckdb")
    with duckdb.connect(str(market), read_only=True) as file:
        assert file.execute("SELECT count(*) FROM main.ticks").fetchall() == [(0,)]
        assert file.execute("SELECT count(*) FROM whole.ticks").fetchall() == [(ticks,)]
    damaged = next(iter(market.parent.glob("archive/ticks/*/*/*.parquet")))
    damaged.write_bytes(damaged.read_bytes()[:-9])
    code, said = told(home, "store", "check")[:2]
    assert code == 1
    assert "DAMAGED" in said
    assert "set aside" in shell.text("store", "repair")
    assert shell.ok("store", "check")["sound"]


def test_with_nothing_stored_the_words_are_clear(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    for words in (("sql", "SELECT 1"), ("export", "ticks"), ("store", "size"), ("store", "check")):
        assert "nothing has been stored" in shell.no(*words)[1]
    assert [row["what"] for row in shell.ok("export", "list")["rows"]][:3] == ["ticks", "bars", "trades"]
