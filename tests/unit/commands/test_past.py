"""Questions to the stored past: profit, charges, and one SELECT that can change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.unit.exchange.support import SHARE, order
from tradetui import config
from tradetui.commands.past import charge_by_key, charges_of, profit, select
from tradetui.domain.errors import UsageError
from tradetui.domain.money import to_price
from tradetui.domain.order import Fill, Order, OrderStatus, Product, Side
from tradetui.domain.records import Record, RecordKind, freeze
from tradetui.storage.questions import Past
from tradetui.storage.store import Store

DAY_NS = 1_763_700_000_000_000_000  # 2025-11-21 10:10 IST


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A share bought by a script at 100 and sold at 110."""
    store = Store.open(tmp_path, [SHARE])
    records = []
    for number, (side, price) in enumerate(((Side.BUY, 100.0), (Side.SELL, 110.0)), 1):
        request = order(side, 10, price=price, source="script:mine", client_id=f"c{number}")
        t_ns = DAY_NS + number
        one = Order(f"t{number}", request, OrderStatus.FILLED, t_ns, t_ns, f"b{number}", filled_qty=10)
        fill = Fill(
            f"x{number}",
            f"b{number}",
            f"t{number}",
            SHARE.key,
            side,
            10,
            to_price(price),
            Product.INTRADAY,
            t_ns,
        )
        records += [
            Record(t_ns, RecordKind.INTENT, freeze(one)),
            Record(t_ns, RecordKind.ORDER, freeze(one)),
            Record(t_ns, RecordKind.FILL, freeze(fill)),
        ]
    store.records(records)
    store.close()
    with duckdb.connect(str(tmp_path / "ledger.duckdb")) as connection:
        yield connection


@pytest.fixture
def both(ledger: duckdb.DuckDBPyConnection, tmp_path: Path) -> Iterator[Past]:
    """The ledger, and the market database beside it."""
    with duckdb.connect(str(tmp_path / "market.duckdb")) as market:
        yield Past(market, ledger)


CHARGE = charge_by_key(config.Config(), {SHARE.key: SHARE}.get)


def name(key: str) -> str:
    return SHARE.symbol if key == SHARE.key else key


@pytest.mark.parametrize(
    ("by", "key"), [("symbol", SHARE.symbol), ("strategy", "script:mine"), ("day", "2025-11-21")]
)
def test_profit_is_gross_charges_and_net(ledger: duckdb.DuckDBPyConnection, by: str, key: str) -> None:
    data = profit(ledger, name, {"by": by}, CHARGE)
    (row,) = data["rows"]
    assert (row["key"], row["orders"], row["fills"], row["gross"]) == (key, 2, 2, 100.0)
    assert row["charges"] > 0
    assert row["net"] == pytest.approx(100.0 - row["charges"])
    assert data["total"] == {**row, "key": "total"}


def test_days_without_trades_have_no_rows(ledger: duckdb.DuckDBPyConnection) -> None:
    assert profit(ledger, name, {"first": "2025-11-22"}, CHARGE)["rows"] == []


@pytest.mark.parametrize(
    "args", [{"by": "colour"}, {"first": "yesterday"}, {"first": "2025-11-22", "last": "2025-11-21"}]
)
def test_profit_asked_wrongly(ledger: duckdb.DuckDBPyConnection, args: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        profit(ledger, name, args, CHARGE)


def test_charges_of_named_orders(ledger: duckdb.DuckDBPyConnection) -> None:
    both = charges_of(ledger, name, {}, CHARGE)
    assert both["total"] == pytest.approx(sum(row["charges"] for row in both["rows"]))
    for wanted in ("t2", "b2"):
        (row,) = charges_of(ledger, name, {"tags": [wanted]}, CHARGE)["rows"]
        assert (row["tag"], row["price"]) == ("t2", 110.0)
    with pytest.raises(UsageError, match="'nope'"):
        charges_of(ledger, name, {"tags": ["t1", "nope"]}, CHARGE)


def test_one_select_is_answered_in_json_data(both: Past) -> None:
    answer = select(both, {"statement": "SELECT tag, created, qty FROM orders ORDER BY tag", "most": 1})
    assert (answer["columns"], answer["more"]) == (["tag", "created", "qty"], True)
    assert answer["rows"][0]["tag"] == "t1"
    assert isinstance(answer["rows"][0]["created"], str)


def test_no_statement_lists_the_tables(both: Past) -> None:
    assert "orders" in [row["table"] for row in select(both, {"statement": " "})["rows"]]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM orders",
        "SELECT 1; SELECT 2",
        "CREATE TABLE x (y INT)",
        "COPY orders TO 'x.csv'",
        "ATTACH 'y.duckdb'",
        "SET memory_limit = '1GB'",
        "SELEC 1",
        "SELECT * FROM nowhere",
        "SELECT nextval('s')",
    ],
)
def test_nothing_but_one_select(both: Past, statement: str) -> None:
    with pytest.raises(UsageError):
        select(both, {"statement": statement})
    assert both.ledger is not None
    assert both.ledger.execute("SELECT count(*) FROM orders").fetchone() == (2,)
