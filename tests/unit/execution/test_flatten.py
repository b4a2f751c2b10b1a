"""Closing positions while the broker's words about one order come in pieces."""

from __future__ import annotations

from typing import Any

from tradetui.desk import Desk, Market
from tradetui.domain.events import Evidence, FillEvent, OperatorEvent, OperatorKind, OrderUpdate
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.money import Money, Price
from tradetui.domain.order import Fill, OrderRequest, OrderStatus, OrderType, Product, Side
from tradetui.domain.requests import Command, PlaceOrder
from tradetui.risk.limits import Limits

# Friday 20 November 2026, 10:00 IST.
T0 = 1_795_149_000_000_000_000
S = 1_000_000_000
SHARE = Instrument(
    "NSE_EQ|X", "NSE_EQ", "NSE", "X", "X LTD", InstrumentKind.EQUITY, lot_size=1, tick_size=Price(500)
)
LAST = Price(1_000_000)


class Floor:
    """A desk with everything it asks of the broker."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.desk = Desk(
            limits=Limits(),
            live=False,
            instrument=lambda key: SHARE if key == SHARE.key else None,
            market=lambda _: Market(last=LAST, age_s=0.1, phase="continuous"),
            charge=lambda *_: Money(0),
            emit=self.commands.append,
            note=lambda kind, data: None,
            tag_prefix="tt",
        )
        self.desk.books.feed_up = True
        self.desk.books.now_ns = T0

    def say(self, event: Any) -> None:
        self.desk.on_account(event)

    def update(self, tag: str, broker_id: str, status: OrderStatus, filled: int) -> None:
        self.say(OrderUpdate(T0, Evidence.STREAM, tag, broker_id, status, filled_qty=filled))

    def trade(self, number: str, tag: str, broker_id: str, side: Side, qty: int) -> None:
        fill = Fill(number, broker_id, tag, SHARE.key, side, qty, LAST, Product.INTRADAY, T0)
        self.say(FillEvent(T0, fill))

    def sent(self) -> list[tuple[Side, int]]:
        return [(c.request.side, c.request.qty) for c in self.commands if isinstance(c, PlaceOrder)]

    @property
    def held(self) -> int:
        return self.desk.portfolio.qty(SHARE.key, Product.INTRADAY)

    def tag(self) -> str:
        return list(self.desk.manager.orders)[-1]


def long_five() -> Floor:
    floor = Floor()
    order = floor.desk.request(
        OrderRequest(SHARE.key, Side.BUY, 5, order_type=OrderType.MARKET, client_id="c1")
    )
    assert order is not None
    assert order.status.working
    floor.update(order.tag, "B1", OrderStatus.FILLED, 5)
    floor.trade("T1", order.tag, "B1", Side.BUY, 5)
    assert floor.held == 5
    return floor


def test_an_exit_that_filled_before_its_trade_arrived_is_not_sent_again() -> None:
    floor = long_five()
    floor.say(OperatorEvent(T0, OperatorKind.FLATTEN, note="test"))
    assert floor.sent() == [(Side.BUY, 5), (Side.SELL, 5)]
    exit_tag = floor.tag()
    floor.update(exit_tag, "B2", OrderStatus.FILLED, 5)
    for _ in range(3):
        floor.desk.on_time(T0 + S)
        floor.desk.on_prices()
    assert floor.sent() == [(Side.BUY, 5), (Side.SELL, 5)]
    floor.trade("T2", exit_tag, "B2", Side.SELL, 5)
    assert floor.held == 0
    floor.desk.on_time(T0 + 2 * S)
    assert len(floor.sent()) == 2


def test_the_rest_of_an_exit_that_filled_in_part_goes_out_once_the_trades_are_known() -> None:
    floor = long_five()
    floor.say(OperatorEvent(T0, OperatorKind.FLATTEN, note="test"))
    exit_tag = floor.tag()
    floor.update(exit_tag, "B2", OrderStatus.CANCELLED, 3)
    floor.desk.on_time(T0 + S)
    assert len(floor.sent()) == 2
    floor.trade("T2", exit_tag, "B2", Side.SELL, 3)
    floor.desk.on_time(T0 + 2 * S)
    assert floor.sent() == [(Side.BUY, 5), (Side.SELL, 5), (Side.SELL, 2)]
