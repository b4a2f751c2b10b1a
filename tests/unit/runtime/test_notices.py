"""What a person is told of journal records."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures.engine_rig import SECOND, Rig
from tests.unit.exchange.support import SHARE, order
from tradetui.domain.events import (
    Evidence,
    FeedState,
    OperatorKind,
    OrderUpdate,
    RequestRefused,
    RequestUnknown,
)
from tradetui.domain.order import OrderStatus, OrderType, Side
from tradetui.domain.records import Record, RecordKind
from tradetui.runtime.notices import words_of


def said(rig: Rig) -> list[tuple[str, str]]:
    told = [words_of(record, rig.universe) for record in rig.records]
    return [words for words in told if words is not None]


def test_the_life_of_an_order_in_words() -> None:
    rig = Rig()
    rig.hold(10)
    rig.place(order(qty=0, price=100.0))
    told = said(rig)
    assert ("INFO", "feed up") in told
    assert ("INFO", "open BUY 10 RELIANCE") in told
    assert ("INFO", "filled BUY 10 RELIANCE at 100.00") in told
    assert told[-1][0] == "WARNING"
    assert told[-1][1].startswith("refused BUY 0 RELIANCE: ")


def test_bad_ends_are_errors() -> None:
    rig = Rig()
    rig.tick(100.0)
    rejected = rig.place(order(price=99.0))
    rig.step(RequestRefused(rig.now_ns, "place", rejected.tag, "UDAPI1", "no margin\x1b[31m"))
    lost = rig.place(order(price=98.0))
    rig.step(RequestUnknown(rig.now_ns, "place", lost.tag, "timed out"))
    errors = [text for level, text in said(rig) if level == "ERROR"]
    assert errors == [
        "rejected BUY 10 RELIANCE: no margin[31m",
        "outcome unknown, asking the broker: BUY 10 RELIANCE (timed out)",
    ]


def test_a_cancelled_order_says_what_had_filled() -> None:
    rig = Rig()
    rig.tick(100.0)
    placed = rig.place(order(price=100.0))
    rig.fill(placed, 100.0, 4)
    known = rig.engine.desk.manager.orders[placed.tag]
    rig.update(placed, OrderStatus.CANCELLED, known.broker_id, 4)
    assert said(rig)[-1] == ("INFO", "cancelled BUY 10 RELIANCE, filled 4")


def test_o23_a_cancel_by_the_exchange_says_why() -> None:
    rig = Rig()
    rig.tick(100.0)
    placed = rig.place(order(price=95.0))
    why = "cancelled by the exchange: outside the price band"
    rig.step(OrderUpdate(rig.now_ns, Evidence.STREAM, placed.tag, "b1", OrderStatus.CANCELLED, message=why))
    assert said(rig)[-1] == ("INFO", f"cancelled BUY 10 RELIANCE, filled 0: {why}")


def test_risk_arming_strategies_and_feed() -> None:
    rig = Rig(live=True)
    rig.ask(OperatorKind.SQUARE_OFF_OK)
    rig.ask(OperatorKind.ARM, until_ns=rig.now_ns + 60 * SECOND)
    rig.ask(OperatorKind.AUTO_ON, name="said")
    rig.ask(OperatorKind.KILL, note="me")
    rig.feed(FeedState.DOWN, "lost")
    rig.ask(OperatorKind.RESUME)
    told = said(rig)[1:]
    strategies = [words for words in told if "strategy" in words[1]]
    assert strategies[0] == ("INFO", "strategy said: auto on")
    assert strategies[1][1].endswith(": kill")
    assert [words for words in told if words not in strategies] == [
        ("INFO", "square-off time confirmed: 15:00, 22:45"),
        ("WARNING", "live trading armed"),
        ("WARNING", "trading is halted: kill pulled by me"),
        ("WARNING", "disarmed: kill"),
        ("WARNING", "feed down: lost"),
        ("WARNING", "trading is active"),
    ]


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        (
            RecordKind.OPENING,
            {"instrument_key": SHARE.key, "qty": -5},
            ("INFO", "carried position -5 RELIANCE"),
        ),
        (
            RecordKind.RECONCILE,
            {"found": "foreign order", "broker_id": "77"},
            ("WARNING", "reconcile: foreign order 77"),
        ),
        (
            RecordKind.RECONCILE,
            {"found": "position differs", "instrument_key": "NSE_EQ|X"},
            ("WARNING", "reconcile: position differs NSE_EQ|X"),
        ),
        (
            RecordKind.STRATEGY,
            {"name": "vote", "what": "suspended: boom", "error": "boom"},
            ("WARNING", "strategy vote: suspended: boom"),
        ),
        (
            RecordKind.SIGNAL,
            {"strategy": "vote", "side": "SELL", "instrument_key": SHARE.key, "score": 71.6},
            ("INFO", "signal vote: SELL RELIANCE score 72"),
        ),
        (
            RecordKind.DECISION,
            {"refused": "the order is finished"},
            ("WARNING", "refused: the order is finished"),
        ),
        (RecordKind.WIRE, {"n": 1}, None),
        (RecordKind.RUN, {"what": "start"}, None),
    ],
)
def test_other_records(kind: RecordKind, data: dict[str, Any], words: tuple[str, str] | None) -> None:
    assert words_of(Record(1, kind, data), Rig().universe) == words


def test_a_stop_that_waits_says_for_which_price() -> None:
    rig = Rig()
    rig.hold(10)
    placed = rig.place(order(Side.SELL, 10, 94.0, kind=OrderType.SL, trigger=95.0))
    rig.update(placed, OrderStatus.TRIGGER_PENDING, "b9")
    assert said(rig)[-1] == ("INFO", "waits SELL 10 RELIANCE, trigger 95.00")


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        (
            RecordKind.RECONCILE,
            {"found": "position differs", "instrument_key": SHARE.key, "ours": 5, "theirs": -2},
            ("WARNING", "reconcile: position differs RELIANCE: ours +5, the broker's -2"),
        ),
        (
            RecordKind.RECONCILE,
            {"found": "a row that makes no sense", "row": '{"status": "open"}'},
            ("WARNING", 'reconcile: a row that makes no sense {"status": "open"}'),
        ),
        (
            RecordKind.GTT,
            {
                "request": {"side": "BUY", "qty": 10, "instrument_key": SHARE.key},
                "status": "unknown",
                "message": "time-out",
            },
            ("WARNING", "GTT unknown BUY 10 RELIANCE: time-out"),
        ),
        (
            RecordKind.CONVERSION,
            {"instrument_key": SHARE.key, "qty": 4, "old": "I", "new": "D", "status": "done", "message": ""},
            ("INFO", "conversion done 4 RELIANCE I to D"),
        ),
    ],
)
def test_o21_what_the_books_show_is_said(
    kind: RecordKind, data: dict[str, Any], words: tuple[str, str]
) -> None:
    assert words_of(Record(0, kind, data), Rig(up=False).universe) == words
