"""What the journal gives back: carried positions once, today's day whole."""

from __future__ import annotations

from datetime import date, timedelta

from tradetui.domain.calendar.ist import ns
from tradetui.domain.money import Price
from tradetui.domain.order import Fill, Product, Side
from tradetui.domain.portfolio import Opening
from tradetui.domain.records import Record, RecordKind, freeze
from tradetui.wiring.restore import read_past

KEY = "NSE_EQ|X"
AT = (KEY, Product.DELIVERY)
MONDAY = date(2026, 11, 16)
TODAY = MONDAY + timedelta(days=2)


def fill(day: int, side: Side, qty: int, rupees: int) -> Record:
    t_ns = ns(MONDAY + timedelta(days=day), "10:00")
    trade = Fill(
        f"T{day}{side}{qty}", f"B{day}", "", KEY, side, qty, Price(rupees * 10_000), Product.DELIVERY, t_ns
    )
    return Record(t_ns, RecordKind.FILL, freeze(trade))


def opening(day: int, qty: int, rupees: int) -> Record:
    said = Opening(KEY, Product.DELIVERY, qty, Price(rupees * 10_000))
    return Record(ns(MONDAY + timedelta(days=day), "09:00"), RecordKind.OPENING, freeze(said))


def carried(*records: Record) -> tuple[int, int, int]:
    """Units, average in rupees, and what was earned before, of the one position."""
    past = read_past(records, TODAY, "tt")
    position = past.carried.get(AT)
    return (
        position.qty if position else 0,
        position.average_price // 10_000 if position else 0,
        past.earned // 10_000,
    )


def test_r8_a_position_that_is_carried_two_nights_is_not_doubled() -> None:
    assert carried(fill(0, Side.BUY, 10, 100), opening(1, 10, 100)) == (10, 100, 0)


def test_r8_what_the_broker_showed_takes_the_place_of_what_we_had_not_seen() -> None:
    # Monday's ten were sold on another device after we had stopped; five others were bought.
    assert carried(fill(0, Side.BUY, 10, 100), opening(1, 5, 120), fill(1, Side.BUY, 5, 140)) == (10, 130, 0)


def test_r8_an_opening_that_is_noted_after_a_trade_of_its_day_still_lies_under_it() -> None:
    assert carried(fill(1, Side.SELL, 4, 90), opening(1, 10, 100)) == (6, 100, -40)


def test_r8_a_second_opening_of_a_day_adds_to_the_first() -> None:
    assert carried(opening(1, 10, 100), fill(1, Side.SELL, 4, 110), opening(1, 2, 100)) == (8, 100, 40)


def test_profit_of_earlier_days_is_cash_and_survives_an_opening() -> None:
    records = (fill(0, Side.BUY, 10, 100), fill(0, Side.SELL, 10, 105), opening(1, 3, 50))
    assert carried(*records) == (3, 50, 50)


def test_r4_todays_openings_are_given_back_as_they_were() -> None:
    past = read_past([opening(2, 10, 100), fill(2, Side.SELL, 4, 110)], TODAY, "tt")
    assert past.openings == [Opening(KEY, Product.DELIVERY, 10, Price(1_000_000))]
    assert [one.qty for one in past.fills] == [4]
    assert not past.carried
