"""Words typed for plans, trails and GTTs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradetui.domain.exit_plan import ExitPlan, Trail, TrailKind
from tradetui.domain.gtt import GttRequest, GttStrategy, GttTrigger
from tradetui.domain.money import Price, to_price
from tradetui.domain.order import Product, Side
from tradetui.tui import words


@pytest.mark.parametrize(
    ("text", "trail"),
    [
        ("2.5", Trail(TrailKind.POINTS, 25_000)),
        ("1%", Trail(TrailKind.PERCENT, 100)),
        ("0.25%", Trail(TrailKind.PERCENT, 25)),
        ("2atr", Trail(TrailKind.ATR, 200)),
        ("3CH", Trail(TrailKind.CHANDELIER, 300)),
        ("3chandelier", Trail(TrailKind.CHANDELIER, 300)),
        ("0", None),
        ("0%", None),
        ("51%", None),
        ("-1", None),
        ("1 %", None),
        ("two", None),
        ("", None),
    ],
)
def test_trails(text: str, trail: Trail | None) -> None:
    assert words.trail_of(text) == trail


@given(st.builds(Trail, st.sampled_from(TrailKind), st.integers(1, 5_000).map(lambda n: n * 100)))
def test_property_roundtrip_a_trail_comes_back_from_its_words(trail: Trail) -> None:
    if trail.kind is not TrailKind.POINTS and trail.by > 5_000:
        trail = Trail(trail.kind, trail.by % 5_000 + 1)
    assert words.trail_of(words.trail_text(trail)) == trail


def test_a_plan_grows_and_shrinks_by_parts() -> None:
    plan = words.plan_of(["stop", "95", "target", "110.50"], None)
    assert plan == ExitPlan(to_price(95), to_price(110.5))
    assert isinstance(plan, ExitPlan)
    more = words.plan_of(["trail", "1%", "leave", "14:55", "overnight", "on"], plan)
    assert isinstance(more, ExitPlan)
    assert words.plan_text(more) == "stop 95.00 target 110.50 trail 1% leave 14:55 overnight"
    less = words.plan_of(["target", "off", "trail", "off", "leave", "off", "overnight", "off"], more)
    assert less == ExitPlan(to_price(95))
    assert words.plan_of(["off"], more) == ExitPlan()
    assert words.plan_text(ExitPlan()) == words.plan_text(None) == ""


@pytest.mark.parametrize(
    "line", ["", "stop", "stop x", "stop -1", "trail 1 2", "leave 25:00", "profit 3", "stop 95 target"]
)
def test_a_wrong_plan_is_refused_in_words(line: str) -> None:
    assert isinstance(words.plan_of(line.split(), None), str)


def test_a_gtt_as_typed() -> None:
    made = words.gtt_of(
        ["sell", "2l", "below", "101.5", "stop", "103", "target", "95", "trail", "0.5", "as", "I"],
        "k",
        75,
        "c",
    )
    assert isinstance(made, GttRequest)
    assert (made.side, made.qty, made.product, made.kind) == (Side.SELL, 150, Product.INTRADAY, "MULTIPLE")
    entry, stop = made.rule(GttStrategy.ENTRY), made.rule(GttStrategy.STOPLOSS)
    assert entry is not None
    assert stop is not None
    assert (entry.trigger, entry.trigger_price) == (GttTrigger.BELOW, to_price(101.5))
    assert (stop.trigger, stop.trailing_gap) == (GttTrigger.IMMEDIATE, Price(5_000))
    said = "\n".join(words.gtt_sentences(made, "NIFTY FUT"))
    assert "OPENS a position" in said
    assert "twice" in said
    assert "ends with the day" in said
    alone = words.gtt_of(["b", "1", "now", "100"], "k", 1, "c")
    assert isinstance(alone, GttRequest)
    assert (alone.kind, alone.product) == ("SINGLE", Product.DELIVERY)


@pytest.mark.parametrize(
    "line",
    ["buy", "buy 1 above", "buy x above 1", "hold 1 above 1", "buy 1 around 1", "buy 1 above 1 trail 1",
     "buy 1 above 1 as X", "buy 1 above 1 stop"],
)  # fmt: skip
def test_a_wrong_gtt_is_refused_in_words(line: str) -> None:
    assert isinstance(words.gtt_of(line.split(), "k", 1, "c"), str)


def test_the_legs_of_a_basket_as_typed() -> None:
    legs = words.legs_of("b 2l NIFTY 26100 CE 25 NOV 25 @101.5 as D; sell 10 INFY")
    assert legs == [
        words.Leg(Side.BUY, "2l", "NIFTY 26100 CE 25 NOV 25", to_price(101.5), Product.DELIVERY),
        words.Leg(Side.SELL, "10", "INFY", Price(0), Product.INTRADAY),
    ]


@pytest.mark.parametrize(
    "line", ["", "buy 1 A", "buy 1 A; sell", "buy 1 A; sell x B", "buy 1 A; sell 1 B @zero", "buy 1 A; hold 1 B",
             "buy 1 A; sell 1 B as Q"],
)  # fmt: skip
def test_a_wrong_basket_is_refused_in_words(line: str) -> None:
    assert isinstance(words.legs_of(line), str)
