"""Auctions at one price, and what the end of the day does to orders: bands, square-off, halts, stops refused late."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.exchange.support import (
    ACCOUNT,
    CALL,
    FUTURE,
    OPEN_NS,
    OTHER,
    SHARE,
    Desk,
    order,
    rs,
    statuses,
    trades_of,
)
from tradetui.domain.calendar.ist import DAY_NS
from tradetui.domain.calendar.phases import Phase as CalendarPhase
from tradetui.domain.calendar.phases import PhaseKind, Stage
from tradetui.domain.errors import DomainError
from tradetui.domain.money import Price
from tradetui.domain.order import OrderType, Product, Side, Validity
from tradetui.exchange.auction import Equilibrium, equilibrium
from tradetui.exchange.orders import OrderState, RawStatus, Refusal
from tradetui.exchange.rules import Band, RuleBook
from tradetui.exchange.sessions import Phase, phase_word

SL = OrderType.SL


def quotes(*levels: tuple[float, int]) -> list[tuple[Price, int]]:
    return [(rs(price), qty) for price, qty in levels]


# --- the price -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bids", "asks", "reference", "expected"),
    [
        # The greatest quantity decides ...
        ([(102, 50), (101, 100)], [(100, 80), (101, 40)], 100, (101, 120, 30)),
        # ... then the least left over ...
        ([(102, 50), (100, 30)], [(99, 50)], 100, (102, 50, 0)),
        # ... then the nearest to the reference, which may itself be the price.
        ([(102, 50)], [(98, 50)], 100, (100, 50, 0)),
        ([(102, 50)], [(101, 50)], 100, (101, 50, 0)),
        ([(99, 50)], [(98, 50)], 100, (99, 50, 0)),
        ([(102, 50)], [(98, 50)], None, (98, 50, 0)),
        ([(99, 50)], [(100, 50)], 99.5, None),
        ([], [(100, 50)], 99.5, None),
    ],
)
def test_the_auctions_price(
    bids: list[tuple[float, int]],
    asks: list[tuple[float, int]],
    reference: float | None,
    expected: tuple[float, int, int] | None,
) -> None:
    found = equilibrium(quotes(*bids), quotes(*asks), None if reference is None else rs(reference))
    wanted = None if expected is None else Equilibrium(rs(expected[0]), *expected[1:])
    assert found == wanted


INTEREST = st.lists(st.tuples(st.integers(1980, 2020), st.integers(1, 60)), max_size=8)


@given(INTEREST, INTEREST, st.integers(1980, 2020))
def test_no_other_price_would_trade_more(
    bids: list[tuple[int, int]], asks: list[tuple[int, int]], reference: int
) -> None:
    def volume(price: int) -> int:
        return min(sum(q for p, q in bids if p >= price), sum(q for p, q in asks if p <= price))

    found = equilibrium([(Price(p), q) for p, q in bids], [(Price(p), q) for p, q in asks], Price(reference))
    most = max(volume(price) for price in range(1979, 2022))
    assert (found.volume if found else 0) == most
    assert found is None or volume(found.price) == most


# --- the session ---------------------------------------------------------------------------------------


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    made.normal()
    return made


def test_O22_stops_and_disclosed_orders_go_at_the_start_of_the_closing_auction_and_limits_stay(
    desk: Desk,
) -> None:
    stop = desk.place(order(Side.SELL, price=97.5, trigger=98, kind=SL))
    shown = desk.place(order(qty=100, price=99, disclosed_qty=10))
    plain = desk.place(order(price=99))
    desk.phase = "CLOSING_AUCTION:REFERENCE"
    events = desk.exchange.advance(desk.t_ns)
    assert statuses(events) == ["cancelled", "cancelled"]
    assert "stop orders do not enter" in desk.now(stop).message
    assert "disclosed-quantity" in desk.now(shown).message
    assert desk.now(plain).status is RawStatus.OPEN
    assert "reference price" in desk.rejected(order(price=99))


def test_the_closing_auction_matches_ours_at_one_price_and_cancels_the_rest(desk: Desk) -> None:
    desk.phase = "CLOSING_AUCTION:ENTRY"
    desk.market([(99.9, 100)], [(100.1, 100)])
    buyer = desk.place(order(qty=150, price=100.5, product=Product.DELIVERY))
    seller = desk.place(order(Side.SELL, qty=30, price=99.5), account=OTHER)
    low = desk.place(order(qty=10, price=99))
    assert desk.fills(buyer) == []
    desk.phase = "CLOSING_AUCTION:MATCH"
    events = desk.exchange.advance(desk.t_ns)
    # 130 offered up to 100.1, 150 wanted: 130 trade there.
    assert desk.fills(buyer) == [(30, 100.1), (100, 100.1)]
    assert desk.fills(seller) == [(30, 100.1)]
    assert sum(qty for order_id, qty in trades_of(events) if order_id == buyer.order_id) == 130
    assert desk.exchange.last(SHARE.key) == rs(100.1)
    for left in (buyer, low):
        assert desk.now(left).status is RawStatus.CANCELLED
        assert "not matched in the closing auction" in desk.now(left).message
    assert "being matched" in desk.rejected(order(price=99))


def test_an_auction_without_a_matching_stage_is_held_when_it_ends(desk: Desk) -> None:
    desk.phase = "CLOSING_AUCTION"
    buyer = desk.place(order(qty=10, price=100.5))
    desk.phase = "POST_CLOSE"
    desk.exchange.advance(desk.t_ns)
    # 100 at 100.05 against 10: nothing is left over nearer the reference than there.
    assert desk.fills(buyer) == [(10, 100.05)]


def test_the_pre_open_matches_at_one_price_and_the_rest_goes_on(desk: Desk) -> None:
    desk.phase = "PRE_OPEN:ENTRY"
    desk.exchange.set_reference(SHARE.key, rs(101))
    desk.market([(99.9, 100)], [(100.1, 40)])
    buyer = desk.place(order(qty=100, price=102, product=Product.DELIVERY))
    for refused in (
        order(price=100, validity=Validity.IOC),
        order(Side.SELL, price=97.5, trigger=98, kind=SL),
    ):
        assert "pre-open" in desk.rejected(refused)
    desk.phase = "PRE_OPEN:BUFFER"
    desk.exchange.advance(desk.t_ns)
    # 40 can trade anywhere from 100.1 to 102; 101 is nearest to the reference.
    assert desk.fills(buyer) == [(40, 101.0)]
    assert desk.now(buyer).status is RawStatus.OPEN
    desk.phase = "CONTINUOUS"
    desk.exchange.advance(desk.t_ns)
    desk.market([(101.9, 10)], [(102, 60)])
    assert sum(qty for qty, _ in desk.fills(buyer)) == 100


def test_an_auction_fills_by_price_then_time(desk: Desk) -> None:
    desk.phase = "PRE_OPEN"
    desk.market([], [(100, 15)])
    late = desk.place(order(qty=10, price=100))
    better = desk.place(order(qty=10, price=100.5), account=OTHER)
    desk.phase = "CONTINUOUS"
    desk.exchange.advance(desk.t_ns)
    assert (desk.fills(better), desk.fills(late)) == ([(10, 100.0)], [(5, 100.0)])


def test_a_new_day_holds_no_auction_of_yesterday(desk: Desk) -> None:
    desk.phase = "CLOSING_AUCTION"
    buyer = desk.place(order(qty=10, price=100.5))
    desk.phase, desk.t_ns = "CONTINUOUS", desk.t_ns + DAY_NS
    desk.exchange.advance(desk.t_ns)
    assert (desk.fills(buyer), desk.now(buyer).status) == ([], RawStatus.CANCELLED)


@pytest.mark.parametrize(
    ("kind", "stage", "phase"),
    [
        (PhaseKind.CONTINUOUS, Stage.NONE, Phase.CONTINUOUS),
        (PhaseKind.PRE_OPEN, Stage.LIMIT_ONLY, Phase.PRE_OPEN),
        (PhaseKind.PRE_OPEN, Stage.BUFFER, Phase.PRE_OPEN_MATCH),
        (PhaseKind.CLOSING_AUCTION, Stage.REFERENCE, Phase.CLOSING_REFERENCE),
        (PhaseKind.CLOSING_AUCTION, Stage.LIMIT_ONLY, Phase.CLOSING_AUCTION),
        (PhaseKind.CLOSING_AUCTION, Stage.MATCH, Phase.CLOSING_MATCH),
    ],
)
def test_the_calendars_words_are_understood(kind: PhaseKind, stage: Stage, phase: Phase) -> None:
    assert Phase.of(phase_word(CalendarPhase(kind, 0, 1, stage))) is phase


def test_no_phase_is_closed_and_an_unknown_word_is_an_error() -> None:
    assert Phase.of(phase_word(None)) is Phase.CLOSED
    with pytest.raises(ValueError, match="LUNCH"):
        Phase.of("LUNCH")


# --- bands ---------------------------------------------------------------------------------------------


def test_O23_a_reset_band_cancels_futures_orders_outside_and_stays_for_the_day() -> None:
    desk = Desk()
    words = {"phase": "CONTINUOUS"}
    exchange = desk.exchange
    exchange._phase_of = lambda one, _t: "CONTINUOUS" if one.key == FUTURE.key else words["phase"]
    desk.normal(FUTURE)
    far = desk.place(order(qty=65, price=95, instrument=FUTURE))
    near = desk.place(order(qty=65, price=98, instrument=FUTURE))
    words["phase"] = "CLOSING_AUCTION:REFERENCE"
    events = exchange.advance(desk.t_ns)
    assert statuses(events) == ["cancelled"]
    assert "price band that was reset" in desk.now(far).message
    assert desk.now(near).status is RawStatus.OPEN
    exchange.set_band(FUTURE.key, Band(rs(80), rs(120)), desk.t_ns)
    assert "97.00 to 103.00" in desk.rejected(order(qty=65, price=96.95, instrument=FUTURE))
    exchange.set_band(FUTURE.key, Band(rs(80), rs(120)), desk.t_ns + DAY_NS)
    assert desk.place(order(qty=65, price=96.95, instrument=FUTURE)).status is RawStatus.OPEN


def test_a_wide_stop_is_refused_when_it_triggers_not_when_it_enters() -> None:
    desk = Desk(rules=RuleBook(check_trigger_range=False))
    desk.normal(CALL)
    stop = desk.place(order(Side.SELL, qty=65, price=60, trigger=95, kind=SL, instrument=CALL))
    assert stop.status is RawStatus.TRIGGER_PENDING
    desk.print(30, 65, CALL)
    gone = desk.now(stop)
    assert (gone.status, "LPP range" in gone.message) == (RawStatus.REJECTED, True)
    assert not desk.exchange.has_working(CALL.key)


def test_an_option_limit_far_from_the_price_is_refused_at_once(desk: Desk) -> None:
    desk.normal(CALL)
    assert "17070" in desk.rejected(order(qty=65, price=59.95, instrument=CALL))
    assert desk.place(order(qty=65, price=60, instrument=CALL)).status is RawStatus.OPEN


# --- halts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", [SHARE.key, ""])
def test_a_halt_lets_orders_rest_and_refuses_market(desk: Desk, where: str) -> None:
    exchange = desk.exchange
    stop = desk.place(order(Side.SELL, price=97.5, trigger=98, kind=SL))
    exchange.halt({where: "market-wide circuit breaker at 10%"}, desk.t_ns)
    crossing = desk.place(order(price=100.5))
    assert (crossing.status, desk.fills(crossing)) == (RawStatus.OPEN, [])
    assert "circuit breaker" in desk.rejected(order(kind=OrderType.MARKET))
    assert "circuit breaker" in desk.rejected(order(price=99, validity=Validity.IOC))
    assert desk.print(97, 500) == ()
    assert desk.now(stop).status is RawStatus.TRIGGER_PENDING
    assert exchange.cancel(ACCOUNT, desk.place(order(price=99)).order_id, desk.t_ns).refusal is None
    exchange.halt({}, desk.t_ns)
    assert desk.fills(crossing) == [(10, 100.5)]


def test_a_session_ends_for_what_is_halted_too(desk: Desk) -> None:
    resting = desk.place(order(price=99))
    desk.exchange.halt({"": "trading is halted for the rest of the day"}, desk.t_ns)
    desk.phase = "CLOSED"
    desk.exchange.advance(desk.t_ns)
    assert (desk.now(resting).status, "expired" in desk.now(resting).message) == (RawStatus.CANCELLED, True)


def test_a_halt_elsewhere_changes_nothing_here(desk: Desk) -> None:
    desk.exchange.halt({CALL.key: "halted"}, desk.t_ns)
    assert desk.fills(desk.place(order(price=100.5))) == [(10, 100.05)]


# --- the broker's square-off ---------------------------------------------------------------------------


def test_O16_the_broker_cancels_then_closes_and_takes_nothing_more(desk: Desk) -> None:
    exchange = desk.exchange
    desk.place(order(qty=20, price=100.5))
    kept = desk.place(order(qty=20, price=100.5, product=Product.DELIVERY))
    pending = desk.place(order(qty=5, price=99))
    exchange.set_cut_off(15 * 3600 + 12 * 60)
    assert exchange.advance(desk.t_ns) == ()
    desk.t_ns = OPEN_NS + (5 * 3600 + 57 * 60) * 1_000_000_000
    exchange.advance(desk.t_ns)
    assert "auto square-off" in desk.now(pending).message
    closing: OrderState = exchange.orders(ACCOUNT)[-1]
    assert (closing.placed_by, closing.request.side, closing.filled_qty) == ("RMS", Side.SELL, 20)
    assert "auto square-off" in closing.message
    held = {one.product: one.qty for one in exchange.positions(ACCOUNT)}
    assert held == {Product.INTRADAY: 0, Product.DELIVERY: 20}
    assert kept.status is RawStatus.COMPLETE
    assert "square-off time" in desk.rejected(order(price=99))
    assert desk.place(order(price=99, product=Product.DELIVERY)).status is RawStatus.OPEN
    converted = exchange.convert(
        ACCOUNT, SHARE.key, Side.BUY, 5, Product.DELIVERY, Product.INTRADAY, desk.t_ns
    )
    assert converted.refusal is not None
    assert len(exchange.orders(ACCOUNT)) == len({one.order_id for one in exchange.orders(ACCOUNT)})
    desk.t_ns += DAY_NS - 3600 * 6 * 1_000_000_000
    assert desk.place(order(price=99)).status is RawStatus.OPEN


def test_a_square_off_stays_within_the_freeze_quantity() -> None:
    desk = Desk(cash=100_000_000)
    desk.market([(99, 10_000)], [(100, 10_000)], CALL, last=100)
    for _ in range(3):
        desk.place(order(qty=1755, price=100, instrument=CALL))
    before = len(desk.exchange.orders(ACCOUNT))
    desk.exchange.square_off(ACCOUNT, desk.t_ns)
    made = desk.exchange.orders(ACCOUNT)[before:]
    assert [one.request.qty for one in made] == [1755, 1755, 1755]


# --- other participants and the caller's own say -------------------------------------------------------


def test_another_participant_fills_a_chosen_order_at_its_price(desk: Desk) -> None:
    first, second = desk.place(order(price=99)), desk.place(order(price=99))
    desk.exchange.hit(second.order_id, 4, desk.t_ns)
    assert (desk.fills(first), desk.fills(second)) == ([], [(4, 99.0)])
    desk.exchange.hit(second.order_id, 6, desk.t_ns)
    assert desk.now(second).status is RawStatus.COMPLETE
    with pytest.raises(DomainError):
        desk.exchange.hit(second.order_id, 1, desk.t_ns)
    with pytest.raises(DomainError):
        desk.exchange.hit(first.order_id, 11, desk.t_ns)
    hidden = desk.place(order(qty=100, price=99, disclosed_qty=10))
    desk.exchange.hit(hidden.order_id, 35, desk.t_ns)
    assert desk.now(hidden).filled_qty == 35


def test_a_screen_has_the_last_word_on_every_order(desk: Desk) -> None:
    answers: Iterator[Refusal | None] = iter([None, Refusal("RMS", "no"), None])
    desk.exchange.screen = lambda _order: next(answers)
    made = [desk.place(order(price=99)).status for _ in range(3)]
    assert made == [RawStatus.OPEN, RawStatus.REJECTED, RawStatus.OPEN]
