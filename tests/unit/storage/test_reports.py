"""Reports say what the ledger's rows add up to: gross less charges is net, whatever they are grouped by."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.storage.samples import ALL, CALL, DAY, RELIANCE, T0_NS, a_day, numbered, record
from tradetui.domain.conversion import Conversion, ConversionStatus
from tradetui.domain.errors import UsageError
from tradetui.domain.gtt import Gtt, GttRequest, GttRule, GttStatus, GttStrategy, GttTrigger
from tradetui.domain.money import Money, Price
from tradetui.domain.order import Fill, Order, OrderRequest, OrderStatus, Product, Side
from tradetui.domain.records import Record, RecordKind
from tradetui.storage import reads, reports
from tradetui.storage.database import Settings, open_database
from tradetui.storage.ledger import TABLES, Ledger
from tradetui.storage.reports import PnlRow
from tradetui.storage.schema import LEDGER
from tradetui.storage.store import Store

DAY_NS = 86_400 * 1_000_000_000
NEXT = date(2025, 12, 16)


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    opened = open_database(None, LEDGER, Settings(memory_mb=64))
    yield Ledger(opened.connection)
    opened.connection.close()


def flat(key: str, product: Product, side: Side, qty: int, price: Price, t_ns: int) -> Money:
    """Twenty rupees an order."""
    del key, product, side, qty, price, t_ns
    return Money(200_000)


def an_order(number: int, source: str, side: Side, qty: int, price: int, at_ns: int = 0) -> list[Record]:
    """An order that filled at once."""
    tag, request = f"tt{number}", OrderRequest(RELIANCE.key, side, qty, price=Price(price), source=source)
    order = Order(tag, request, OrderStatus.FILLED, T0_NS + at_ns, T0_NS + at_ns, broker_id=f"b{number}")
    trade = Fill(
        f"t{number}",
        f"b{number}",
        tag,
        RELIANCE.key,
        side,
        qty,
        Price(price),
        Product.INTRADAY,
        T0_NS + at_ns,
    )
    return [record(RecordKind.ORDER, order, at_ns), record(RecordKind.FILL, trade, at_ns)]


def two_days() -> list[Record]:
    return [
        *an_order(1, "vote", Side.BUY, 10, 1_000_000, 1),
        *an_order(2, "exit", Side.SELL, 4, 1_010_000, 2),
        *an_order(3, "exit", Side.SELL, 6, 1_020_000, DAY_NS),
        *an_order(4, "manual", Side.SELL, 5, 1_020_000, DAY_NS + 1),
        *an_order(5, "manual", Side.BUY, 5, 1_000_000, DAY_NS + 2),
    ]


def test_profit_goes_to_its_day_its_strategy_and_its_symbol(ledger: Ledger) -> None:
    ledger.project(numbered(two_days()))
    con = ledger._con
    days = reports.pnl(con, flat, by="day")
    assert [(row.name, row.gross, row.charges, row.net, row.orders) for row in days] == [
        ("2025-12-15", 40_000, 400_000, -360_000, 2),
        ("2025-12-16", 220_000, 600_000, -380_000, 3),
    ]
    strategies = {row.name: row for row in reports.pnl(con, flat, by="strategy")}
    assert {name: row.gross for name, row in strategies.items()} == {"vote": 160_000, "manual": 100_000}
    assert strategies["vote"].charges == 600_000
    (symbol,) = reports.pnl(con, flat)
    assert (symbol.name, symbol.gross, symbol.trades) == (RELIANCE.key, 260_000, 5)
    assert reports.total(days) == reports.total([symbol]) == reports.total(strategies.values())
    (only,) = reports.pnl(con, flat, NEXT, NEXT, by="day")
    assert only == days[1]
    with pytest.raises(UsageError, match="symbol, strategy, day"):
        reports.pnl(con, flat, by="moon")


def test_what_the_broker_showed_as_carried_is_not_counted_twice(ledger: Ledger) -> None:
    opening = {"instrument_key": RELIANCE.key, "product": "I", "qty": 6, "average_price": 999}
    records = two_days()
    ledger.project(numbered([*records[:4], record(RecordKind.OPENING, opening, DAY_NS), *records[4:]]))
    assert reports.total(reports.pnl(ledger._con, flat)).gross == 260_000
    rows = reads.positions(ledger._con, NEXT, NEXT)
    assert [(row.opening_qty, row.position.qty, row.position.realised) for row in rows] == [(6, 0, 220_000)]


def test_a_position_closed_elsewhere_over_night_is_taken_over_as_the_broker_shows_it(ledger: Ledger) -> None:
    opening = {"instrument_key": RELIANCE.key, "product": "I", "qty": 2, "average_price": 1_000_000}
    ledger.project(numbered([*two_days()[:4], record(RecordKind.OPENING, opening, DAY_NS)]))
    ledger.project([(NEXT.isoformat(), 2, record(RecordKind.FEED, {"state": "up"}, DAY_NS))])
    rows = {row.day: row for row in reads.positions(ledger._con)}
    assert rows["2025-12-15"].position.qty == 6
    assert rows["2025-12-16"].position.qty == 2


def test_units_that_were_converted_keep_their_cost(ledger: Ledger) -> None:
    one = Conversion(
        "c1", RELIANCE.key, Side.BUY, 4, Product.INTRADAY, Product.DELIVERY, ConversionStatus.SENT, 0, 0
    )
    done = Conversion(
        "c1", RELIANCE.key, Side.BUY, 4, Product.INTRADAY, Product.DELIVERY, ConversionStatus.DONE, 0, 9
    )
    records = [
        *an_order(1, "manual", Side.BUY, 10, 1_000_000, 1),
        record(RecordKind.CONVERSION, one, 2),
        record(RecordKind.CONVERSION, done, 3),
        record(RecordKind.CONVERSION, done, 4),
        *an_order(2, "manual", Side.SELL, 6, 1_100_000, 5),
    ]
    for item in numbered(records):  # one at a time, each with a ledger that was opened anew
        Ledger(ledger._con).project([item])
    rows = {row.key[1]: row.position for row in reads.positions(ledger._con)}
    assert (rows[Product.INTRADAY].qty, rows[Product.INTRADAY].realised) == (0, 600_000)
    assert (rows[Product.DELIVERY].qty, rows[Product.DELIVERY].cost) == (4, 4_000_000)
    assert reports.total(reports.pnl(ledger._con, flat)).gross == 600_000
    assert ledger._con.execute("SELECT status, qty FROM conversions").fetchall() == [("done", 4)]


def test_trades_orders_and_charges_can_be_asked_for(ledger: Ledger) -> None:
    ledger.project(numbered(two_days()))
    con = ledger._con
    assert [fill.trade_id for fill in reports.trades(con, DAY, DAY)] == ["t1", "t2"]
    assert [order.tag for order in reports.orders(con, NEXT)] == ["tt3", "tt4", "tt5"]
    charges = reports.order_charges(con, flat, ["tt1", "b2"])
    assert [(one.tag, one.qty, one.average_price, one.charges) for one in charges] == [
        ("tt1", 10, 1_000_000, 200_000),
        ("tt2", 4, 1_010_000, 200_000),
    ]
    assert len(reports.order_charges(con, flat)) == 5
    assert reports.rupees(-1_234_567) == Decimal("-123.4567")


def test_slippage_is_read_back_in_ticks_and_milliseconds(ledger: Ledger) -> None:
    times = {
        "tag": "tt1", "instrument_key": RELIANCE.key, "side": "BUY", "source": "manual", "decided_ns": T0_NS,
        "decided_mid": 1_000_000, "decided_spread": 1_000, "sent_ns": T0_NS + 2_000_000, "sent_mid": 1_000_000,
        "acked_ns": T0_NS + 30_000_000, "acked_mid": 1_000_100, "answer": "accepted", "first_fill_ns": 0,
        "first_fill_mid": 0, "last_fill_ns": 0, "filled_qty": 0, "filled_value": 0, "slippage": 0,
        "tick_size": 500, "multiplier": 1,
    }  # fmt: skip
    filled = {
        **times, "first_fill_ns": T0_NS + 40_000_000, "filled_qty": 10, "filled_value": 10_012_500,
        "slippage": 12_500,
    }  # fmt: skip
    ledger.project(numbered([record(RecordKind.TIMES, times), record(RecordKind.TIMES, filled)]))
    (row,) = reports.slippage(ledger._con)
    assert (row.cost, row.ticks, row.spread_ticks, row.average_price) == (12_500, 2.5, 2.0, 1_001_250)
    assert (row.to_wire_ms, row.to_answer_ms, row.to_fill_ms) == (2.0, 30.0, 40.0)
    assert reports.slippage(ledger._con, NEXT) == []


def test_the_other_kinds_have_their_tables(ledger: Ledger) -> None:
    rule = GttRule(GttStrategy.ENTRY, GttTrigger.ABOVE, Price(1_000_000))
    gtt = Gtt(
        "g1", GttRequest(CALL.key, Side.BUY, 35, Product.DELIVERY, (rule,)), GttStatus.ACTIVE, T0_NS, T0_NS,
        gtt_id="GTT-1",
    )  # fmt: skip
    parent = {
        "label": "g-1",
        "kind": "slices",
        "parts": [{}, {}],
        "tags": ["tt1"],
        "state": "placing",
        "words": "",
    }
    at = {"instrument_key": CALL.key, "product": "D"}
    ledger.project(
        numbered([
            record(RecordKind.GTT, gtt),
            record(RecordKind.GROUP, parent),
            record(RecordKind.GROUP, {**parent, "tags": ["tt1", "tt2"], "state": "done"}, 1),
            record(RecordKind.PLAN, {**at, "managed": {"stop": 5}}, 2),
            record(RecordKind.PLAN, {**at, "managed": None}, 3),
            record(RecordKind.LIMITS, {"name": "daily_loss_pct", "old": 3.0, "new": 2.5, "reason": "bad week"}, 4),
            record(RecordKind.RISK, {"entries": 3}, 5),
        ])
    )  # fmt: skip
    con = ledger._con
    assert ledger.odd == 0
    assert con.execute("SELECT gtt_id, kind, status, rules->>'$[0].trigger_price' FROM gtts").fetchall() == [
        ("GTT-1", "SINGLE", "active", "1000000")
    ]
    assert con.execute("SELECT label, state, parts, tags FROM groups").fetchall() == [
        ("g-1", "done", 2, '["tt1","tt2"]')
    ]
    assert con.execute("SELECT what, data->>'managed' FROM plans ORDER BY journal_number").fetchall() == [
        ("managed", '{"stop":5}'),
        ("managed", None),
    ]
    assert con.execute("SELECT name, old, new, reason FROM limits").fetchall() == [
        ("daily_loss_pct", 3.0, 2.5, "bad week")
    ]
    assert con.execute("SELECT state, data FROM risk").fetchall() == [(None, '{"entries":3}')]


fills = st.lists(
    st.tuples(st.sampled_from(list(Side)), st.integers(1, 50), st.integers(1, 10_000), st.integers(0, 3)),
    min_size=1,
    max_size=10,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fills)
def test_gross_less_charges_is_net_and_days_add_up_to_symbols(
    ledger: Ledger, drawn: list[tuple[Side, int, int, int]]
) -> None:
    for name in TABLES:
        ledger._con.execute(f"DELETE FROM {name}")
    fresh = Ledger(ledger._con)
    records: list[Record] = []
    for number, (side, qty, price, day) in enumerate(sorted(drawn, key=lambda one: one[3])):
        records += an_order(number, "manual", side, qty, price, day * DAY_NS + number)
    fresh.project(numbered(records))
    days, symbols = (reports.pnl(fresh._con, flat, by=by) for by in ("day", "symbol"))
    summed = reports.total(days)
    assert summed.net == summed.gross - summed.charges
    assert summed == reports.total(symbols)
    assert summed.charges == 200_000 * len(drawn)
    assert summed.gross == sum(row.position.realised for row in reads.positions(fresh._con))
    assert isinstance(summed, PnlRow)


V1 = """
CREATE TABLE meta (name VARCHAR PRIMARY KEY, value VARCHAR NOT NULL);
INSERT INTO meta VALUES ('schema_version', '1');
CREATE TABLE intents (tag VARCHAR); CREATE TABLE orders (tag VARCHAR);
CREATE TABLE fills (instrument_key VARCHAR, multiplier INTEGER);
INSERT INTO fills VALUES ('NSE_FO|51414', 100);
CREATE TABLE openings (x INTEGER); CREATE TABLE signals (x INTEGER); CREATE TABLE decisions (x INTEGER);
CREATE TABLE journal (journal_day DATE, journal_number BIGINT);
CREATE VIEW positions AS FROM fills;
"""


def test_a_ledger_of_the_first_layout_is_made_anew_from_the_journal(tmp_path: Path) -> None:
    import duckdb

    with duckdb.connect(str(tmp_path / "ledger.duckdb")) as old:
        old.execute(V1)
    call = Fill("t9", "b9", "", CALL.key, Side.BUY, 1, Price(10), Product.DELIVERY, T0_NS + 9)
    day = numbered([*two_days()[:4], record(RecordKind.FILL, call, 9)])
    store = Store.open(tmp_path, ALL, journal=lambda first, _: [one for one in day if one[0] >= first])
    assert any("from layout 1 to 2" in words for words in store.notices)
    assert len(store.fills()) == 3
    # The contract has left the instrument list; what a point of it is worth is remembered.
    assert store.ledger_frame("SELECT cost FROM positions WHERE product = 'D'").rows() == [(1000,)]
    store.close()


def test_a_ledger_that_was_deleted_comes_back_equal(tmp_path: Path) -> None:
    records = [*two_days(), *a_day()]
    records.sort(key=lambda one: one.t_ns)
    day = numbered(records)

    def opened() -> Store:
        return Store.open(tmp_path, ALL, journal=lambda first, _: [one for one in day if one[0] >= first])

    contents = []
    for _ in range(2):
        store = opened()
        contents.append(
            {name: sorted(store.ledger_frame(f"SELECT * FROM {name}").rows(), key=repr) for name in TABLES}
        )
        store.close()
        (tmp_path / "ledger.duckdb").unlink()
    assert contents[0] == contents[1]
    assert contents[0]["positions"]
