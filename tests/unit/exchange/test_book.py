"""The book's queue rules, one by one."""

from __future__ import annotations

from tradetui.domain.money import Price, to_price
from tradetui.domain.order import Side
from tradetui.exchange.book import Book, Match


def quotes(*levels: tuple[float, int]) -> list[tuple[Price, int]]:
    return [(to_price(price), qty) for price, qty in levels]


def p(rupees: float) -> Price:
    return to_price(rupees)


def never(_: str) -> bool:
    return False


def strangers(_a: str, _b: str) -> bool:
    return False


def make_book() -> Book:
    book = Book()
    book.set_external(
        quotes((100, 50), (99.9, 60), (99.8, 70), (99.7, 80), (99.6, 90)),
        quotes((100.1, 55), (100.2, 65), (100.3, 75), (100.4, 85), (100.5, 95)),
    )
    return book


def test_taker_walks_levels_best_first_and_stops_at_its_limit() -> None:
    matches, stopped = make_book().take("t", Side.BUY, p(100.2), 500, never)
    assert matches == [Match("t", "", p(100.1), 55), Match("t", "", p(100.2), 65)]
    assert not stopped


def test_print_at_our_price_uses_up_the_queue_ahead_first() -> None:
    book = make_book()
    book.rest("a", Side.BUY, p(100), 10, 1)
    assert book.ahead_of("a") == 50
    assert book.external_trade(p(100), 30) == []
    assert book.ahead_of("a") == 20
    assert book.external_trade(p(100), 25) == [Match("a", "", p(100), 5)]


def test_print_through_our_price_fills_at_our_price_up_to_its_size() -> None:
    book = make_book()
    book.rest("a", Side.BUY, p(100), 10, 1)
    assert book.external_trade(p(99.9), 4) == [Match("a", "", p(100), 4)]
    assert book.external_trade(p(99.9), 100)[0] == Match("a", "", p(100), 6)


def test_print_on_the_other_side_of_the_spread_does_nothing() -> None:
    book = make_book()
    book.rest("a", Side.BUY, p(100), 10, 1)
    assert book.external_trade(p(100.1), 1000) == []


def test_more_shown_joins_behind_us_and_less_leaves_from_behind_first() -> None:
    book = make_book()
    book.rest("a", Side.BUY, p(100), 10, 1)
    book.set_external(quotes((100, 80), (99.9, 1)), quotes((100.1, 5)))
    assert book.ahead_of("a") == 50
    book.set_external(quotes((100, 50), (99.9, 1)), quotes((100.1, 5)))
    assert book.ahead_of("a") == 50
    book.set_external(quotes((100, 40), (99.9, 1)), quotes((100.1, 5)))
    assert book.ahead_of("a") == 40


def test_level_gone_from_inside_the_window_leaves_nobody_ahead() -> None:
    book = make_book()
    book.rest("a", Side.BUY, p(100), 10, 1)
    book.set_external(quotes((99.9, 60)), quotes((100.1, 5)))
    assert book.ahead_of("a") == 0
    assert book.best(Side.BUY) == p(100)


def test_level_outside_the_window_keeps_its_queue_but_trades_nothing_anonymous() -> None:
    book = make_book()
    book.rest("a", Side.BUY, p(99.6), 10, 1)
    higher = quotes((100.5, 1), (100.4, 1), (100.3, 1), (100.2, 1), (100.1, 1))
    book.set_external(higher, quotes((100.6, 5)))
    assert book.ahead_of("a") == 90
    matches, _ = book.take("t", Side.SELL, p(99.6), 100, never)
    assert matches[-1] == Match("a", "t", p(99.6), 10)
    assert sum(match.qty for match in matches) == 15


def test_first_sight_of_a_level_puts_all_it_shows_ahead_of_us() -> None:
    book = make_book()
    book.rest("a", Side.BUY, p(99), 10, 1)
    assert book.external_trade(p(99), 1000) == []
    book.set_external(quotes((99.2, 5), (99, 500)), quotes((99.4, 5)))
    assert book.ahead_of("a") == 500


def test_new_best_price_of_ours_has_nobody_ahead() -> None:
    book = make_book()
    book.rest("a", Side.BUY, p(100.05), 10, 1)
    book.set_external(quotes((100.05, 30), (100, 50)), quotes((100.1, 5)))
    assert book.ahead_of("a") == 0


def test_taken_quantity_stays_taken_while_it_is_still_shown() -> None:
    book = make_book()
    book.take("t", Side.BUY, p(100.1), 40, never)
    again = quotes((100, 50)), quotes((100.1, 55), (100.2, 65))
    book.set_external(*again)
    assert book.depth(Side.SELL, 1) == [(p(100.1), 15, 1)]
    book.set_external(again[0], quotes((100.1, 20), (100.2, 65)))
    assert book.depth(Side.SELL, 1) == [(p(100.1), 15, 1)]
    book.set_external(again[0], quotes((100.1, 60), (100.2, 65)))
    assert book.depth(Side.SELL, 1) == [(p(100.1), 55, 1)]
    assert book.has_marks
    book.set_external(again[0], quotes((100.2, 65)))
    assert not book.has_marks


def test_crossing_snapshot_fills_once_at_our_price_up_to_the_crossing_quantity() -> None:
    book = make_book()
    book.rest("a", Side.BUY, p(100), 100, 1)
    crossed = quotes((99.8, 10)), quotes((99.9, 30), (100, 20), (100.1, 500))
    book.set_external(*crossed)
    assert sum(m.qty for m in book.cross(strangers)) == 50
    book.set_external(*crossed)
    assert book.cross(strangers) == []


def test_users_cross_at_the_older_price() -> None:
    book = Book()
    book.rest("sell", Side.SELL, p(100), 10, 1)
    book.rest("buy", Side.BUY, p(101), 10, 2)
    assert book.cross(strangers) == [Match("buy", "sell", p(100), 10)]
    assert not book.has_users


def test_time_priority_among_users_and_disclosed_parts_requeue() -> None:
    book = Book()
    book.rest("ice", Side.SELL, p(100), 30, 1, peak=10)
    book.rest("plain", Side.SELL, p(100), 10, 2)
    assert book.depth(Side.SELL, 1) == [(p(100), 20, 2)]
    matches, _ = book.take("t", Side.BUY, p(100), 40, never)
    assert [(m.sell_id, m.qty) for m in matches] == [("ice", 10), ("plain", 10), ("ice", 10), ("ice", 10)]


def test_matching_stops_at_an_order_of_the_same_account() -> None:
    book = make_book()
    book.rest("mine", Side.SELL, p(100.1), 10, 1)
    matches, stopped = book.take("t", Side.BUY, p(100.5), 100, lambda order_id: order_id == "mine")
    assert matches == [Match("t", "", p(100.1), 55)]
    assert stopped


def test_reduce_keeps_the_place_and_remove_gives_it_up() -> None:
    book = make_book()
    book.rest("a", Side.BUY, p(100), 30, 1, peak=10)
    book.rest("b", Side.BUY, p(100), 10, 2)
    book.reduce("a", Side.BUY, 5)
    assert book.ahead_of("b") == 55
    book.remove("a", Side.BUY)
    assert book.ahead_of("b") == 50
