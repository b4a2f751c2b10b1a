"""A desk before a broker that keeps its own book: what rests there, what fills, what it refuses or never answers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from tradetui.desk import Desk, Market
from tradetui.domain.calendar.ist import ist_date, ns
from tradetui.domain.events import (
    AccountSnapshot,
    BrokerPosition,
    Evidence,
    FillEvent,
    OperatorEvent,
    OperatorKind,
    OrderUpdate,
    RequestAccepted,
    RequestRefused,
    RequestUnknown,
    TagAbsence,
)
from tradetui.domain.exit_plan import ExitPlan
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.market_data import Candle
from tradetui.domain.money import Money, Price, to_money, to_price
from tradetui.domain.order import Fill, Order, OrderRequest, OrderStatus, OrderType, Product, Side
from tradetui.domain.records import Record, RecordKind
from tradetui.domain.requests import (
    CancelOrder,
    Command,
    ModifyOrder,
    PlaceGtt,
    PlaceOrder,
    ProbeTag,
    Reconcile,
)
from tradetui.risk.limits import Limits
from tradetui.wiring.restore import give_back, read_past

DAY = date(2026, 11, 20)
TEN_NS = ns(DAY, "10:00")
S = 1_000_000_000
KEY = "NSE_EQ|X"
SHARE = Instrument(KEY, "NSE_EQ", "NSE", "X", "X Ltd", InstrumentKind.EQUITY, "EQ", 1, to_price("0.05"))
OPTION = Instrument(
    "NSE_FO|1", "NSE_FO", "NSE", "NIFTY 26000 CE", "NIFTY", InstrumentKind.CALL, "CE", 65,
    to_price("0.05"), 1_800, date(2026, 11, 23), to_price(26_000), "NSE_INDEX|Nifty 50",
)  # fmt: skip
PUT = replace(OPTION, key="NSE_FO|2", symbol="NIFTY 26000 PE", kind=InstrumentKind.PUT, series="PE")
LIMITS = Limits(
    capital=to_money(10_000_000), max_positions=50, max_intraday_positions=50, max_swing_positions=50,
    max_underlying_positions=50, orders_per_second=1_000, quantity_block_times=0, quantity_warn_times=0,
)  # fmt: skip


def rs(rupees: float) -> Price:
    return to_price(rupees)


@dataclass(slots=True)
class AtBroker:
    """An order as the broker has it."""

    id: str
    tag: str
    request: OrderRequest
    status: OrderStatus
    filled: int = 0

    @property
    def left(self) -> int:
        """Units that may still fill."""
        return self.request.qty - self.filled if self.status.working else 0


@dataclass(slots=True)
class Broker:
    """The other side: its own book, its own positions."""

    orders: dict[str, AtBroker] = field(default_factory=dict)
    qty: dict[tuple[str, Product], int] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    serial: int = 0

    def of(self, tag: str) -> AtBroker:
        """The order with our tag."""
        return next(order for order in self.orders.values() if order.tag == tag)

    def place(self, tag: str, request: OrderRequest) -> AtBroker:
        """An order reaches the broker."""
        self.serial += 1
        stop = request.order_type in (OrderType.SL, OrderType.SL_M)
        status = OrderStatus.TRIGGER_PENDING if stop else OrderStatus.OPEN
        order = self.orders[f"B{self.serial}"] = AtBroker(f"B{self.serial}", tag, request, status)
        return order

    def trade(self, order: AtBroker, qty: int, price: Price, t_ns: int) -> Fill:
        """Units of an order trade."""
        self.serial += 1
        order.filled += qty
        request = order.request
        order.status = OrderStatus.FILLED if order.filled >= request.qty else OrderStatus.OPEN
        at = (request.instrument_key, request.product)
        self.qty[at] = self.qty.get(at, 0) + request.side.sign * qty
        fill = Fill(
            f"T{self.serial}", order.id, order.tag, request.instrument_key, request.side, qty, price,
            request.product, t_ns,
        )  # fmt: skip
        self.fills.append(fill)
        return fill


class Floor:
    """A desk, a broker, and a clock.

    Args:
        live: Orders reach a real exchange (arming is needed).
        up: A feed with prices; without one the desk works blind.
    """

    def __init__(self, *, live: bool = False, up: bool = True, limits: Limits = LIMITS) -> None:
        self.live, self.up, self.limits = live, up, limits
        self.instruments = {one.key: one for one in (SHARE, OPTION, PUT)}
        self.prices: dict[str, float] = {KEY: 100.0, OPTION.key: 100.0, PUT.key: 100.0}
        self.phase = "continuous"
        self.bars: list[Candle] = []
        self.closes_ns: int | None = None
        self.now = TEN_NS
        self.broker = Broker()
        self.queue: list[Command] = []
        self.commands: list[Command] = []
        self.records: list[Record] = []
        self.refuse: dict[str, str] = {}
        """Kind of request (``place``, ``stop``, ``exit``, ``modify``, ``cancel``) -> words of the refusal."""
        self.hold_back = False
        """Requests wait in `queue` until `answer` is called."""
        self.desk = self.new_desk()

    def new_desk(self) -> Desk:
        """A desk of a new process."""
        desk = Desk(
            limits=self.limits,
            live=self.live,
            instrument=self.instruments.get,
            market=self.market,
            charge=lambda *_: Money(0),
            emit=self.queue.append,
            note=lambda kind, data: self.records.append(Record(self.now, kind, data)),
            tag_prefix="tt-",
            bars=lambda key, interval_s, count: self.bars[-count:],
            closes_ns=lambda key: self.closes_ns,
        )
        desk.books.feed_up = self.up
        desk.books.now_ns = self.now
        return desk

    def market(self, key: str) -> Market:
        if not self.up:
            return Market(phase=self.phase)
        if key not in self.prices:
            return Market(phase=self.phase)
        last = self.prices[key]
        return Market(rs(last), rs(last - 0.05), rs(last + 0.05), 0.5, self.phase)

    # --- driving

    def hear(self, event: Any) -> None:
        """One event for the desk; requests that follow are answered unless they are held back."""
        self.desk.on_account(event)
        self.settle()

    def settle(self) -> None:
        """Answer everything that waits."""
        while self.queue and not self.hold_back:
            self.answer(self.queue.pop(0))

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += round(seconds * S)
        self.desk.on_time(self.now)
        self.settle()

    def tick(self, price: float, key: str = KEY) -> None:
        """A trade at a price."""
        self.prices[key] = price
        self.desk.on_prices()
        self.settle()

    def ask(self, kind: OperatorKind, **more: Any) -> None:
        """A person asks."""
        self.hear(OperatorEvent(self.now, kind, **more))

    def place(self, side: Side, qty: int, price: float = 0.0, **more: Any) -> Order:
        """A person places; returns the order it became."""
        kind = OrderType.LIMIT if price else OrderType.MARKET
        terms = {"instrument_key": KEY, "order_type": kind, "price": rs(price), **more}
        order = self.desk.request(OrderRequest(side=side, qty=qty, **terms))
        self.settle()
        assert order is not None
        return self.desk.manager.orders[order.tag]

    def hold(self, qty: int = 10, price: float = 100.0, **more: Any) -> Order:
        """Buy (sell, below zero) and get it."""
        side = Side.BUY if qty > 0 else Side.SELL
        order = self.place(side, abs(qty), price, **more)
        assert order.status.working, order.message
        self.fill(order)
        return order

    # --- the broker's side

    def answer(self, command: Command) -> None:
        """The broker answers a request."""
        self.commands.append(command)
        match command:
            case PlaceOrder():
                words = self._refusal(command.request)
                if words:
                    self.hear(RequestRefused(self.now, "place", command.tag, "X", words))
                    return
                order = self.broker.place(command.tag, command.request)
                self.hear(RequestAccepted(self.now, "place", command.tag, order.id))
                self.push(order)
            case ModifyOrder():
                order = self.broker.orders[command.broker_id]
                if "modify" in self.refuse or not order.status.working:
                    words = self.refuse.get("modify", "it is finished")
                    self.hear(RequestRefused(self.now, "modify", command.tag, "X", words))
                    return
                order.request = replace(
                    order.request, qty=command.qty, price=command.price, trigger_price=command.trigger_price,
                    order_type=command.order_type,
                )  # fmt: skip
                self.hear(RequestAccepted(self.now, "modify", command.tag, order.id))
                self.push(order)
            case CancelOrder():
                order = self.broker.orders[command.broker_id]
                if "cancel" in self.refuse or not order.status.working:
                    words = self.refuse.get("cancel", "it is finished")
                    self.hear(RequestRefused(self.now, "cancel", command.tag, "X", words))
                    return
                order.status = OrderStatus.CANCELLED
                self.hear(RequestAccepted(self.now, "cancel", command.tag, order.id))
                self.push(order)
            case ProbeTag():
                found = [one for one in self.broker.orders.values() if one.tag == command.tag]
                if found:
                    self.push(found[0], Evidence.POLL)
                else:
                    self.hear(TagAbsence(self.now, command.tag))
            case Reconcile():
                self.hear(self.snapshot())
            case _:
                pass

    def lose_answer(self, command: Command, *, reached: bool) -> None:
        """The answer to a place never comes; the broker has it, or not."""
        assert isinstance(command, PlaceOrder)
        self.commands.append(command)
        if reached:
            self.broker.place(command.tag, command.request)
        self.hear(RequestUnknown(self.now, "place", command.tag, "time-out"))

    def _refusal(self, request: OrderRequest) -> str:
        what = "stop" if request.is_resting_stop else "exit" if request.is_exit else "entry"
        return self.refuse.get(what, self.refuse.get("place", ""))

    def push(self, order: AtBroker, evidence: Evidence = Evidence.STREAM, message: str = "") -> None:
        """The broker tells how an order stands."""
        self.hear(self.update(order, evidence, message))

    def update(self, order: AtBroker, evidence: Evidence, message: str = "") -> OrderUpdate:
        request = order.request
        return OrderUpdate(
            self.now, evidence, order.tag, order.id, order.status, instrument_key=request.instrument_key,
            side=request.side, product=request.product, order_type=request.order_type, qty=request.qty,
            price=request.price, trigger_price=request.trigger_price, filled_qty=order.filled, message=message,
        )  # fmt: skip

    def snapshot(self) -> AccountSnapshot:
        """The whole account."""
        return AccountSnapshot(
            self.now,
            self.now,
            tuple(self.update(order, Evidence.POLL) for order in self.broker.orders.values()),
            tuple(self.broker.fills),
            tuple(
                BrokerPosition(key, product, qty, rs(100.0), Money(0))
                for (key, product), qty in self.broker.qty.items()
            ),
            available=to_money(10_000_000),
            used=Money(0),
        )

    def gtt_taken(self, command: PlaceGtt, gtt_id: str) -> None:
        """The broker takes a GTT."""
        self.hear(RequestAccepted(self.now, "gtt place", command.tag, gtt_id))

    def elsewhere(self, side: Side, qty: int, product: Product = Product.INTRADAY) -> None:
        """A phone app trades on the same account."""
        foreign = self.broker.place("", OrderRequest(KEY, side, qty, product, price=rs(100)))
        self.push(foreign)
        fill = self.broker.trade(foreign, qty, rs(100), self.now)
        self.push(foreign)
        self.hear(FillEvent(self.now, fill))

    def hold_blind(self, qty: int = 10) -> None:
        """Come into a position although nothing is known of the market."""
        order = self.desk.manager.place(OrderRequest(KEY, Side.BUY, qty, price=rs(100)), self.now)
        assert order is not None
        self.settle()
        self.fill(order, price=100)

    def fill(self, order: Order, qty: int | None = None, price: float | None = None) -> None:
        """An order trades, wholly or in part."""
        self.fill_there(self.broker.of(order.tag), qty, price)

    def fill_there(self, found: AtBroker, qty: int | None = None, price: float | None = None) -> None:
        """An order of the broker's book trades."""
        at = rs(price or self.prices[found.request.instrument_key])
        fill = self.broker.trade(found, qty or found.left, at, self.now)
        self.push(found)
        self.hear(FillEvent(self.now, fill))

    def trigger(self, order: Order) -> None:
        """A stop's trigger price trades: it is a limit order now."""
        found = self.broker.of(order.tag)
        found.status = OrderStatus.OPEN
        self.push(found)

    def cancelled_elsewhere(self, order: Order, words: str = "") -> None:
        """The exchange, or a phone, cancels an order."""
        found = self.broker.of(order.tag)
        found.status = OrderStatus.CANCELLED
        self.push(found, message=words)

    def restart(self) -> None:
        """The process is killed and starts again from its journal."""
        self.queue.clear()
        past = read_past(list(self.records), ist_date(self.now), "tt-")
        self.desk = self.new_desk()
        give_back(past, self.desk, self.now)

    # --- reading

    @property
    def held(self) -> int:
        return self.broker.qty.get((KEY, Product.INTRADAY), 0)

    def stops(self) -> list[Order]:
        """Our stops that work, as we know them."""
        return [order for order in self.desk.manager.working() if order.request.is_resting_stop]

    def exits(self) -> list[Order]:
        """Every exit that was placed."""
        return [o for o in self.desk.manager.orders.values() if o.request.source == "exit"]

    def naked(self) -> list[str]:
        return [one.why for one in self.desk.naked()]

    def sent(self, kind: type[Command]) -> list[Any]:
        return [command for command in self.commands if isinstance(command, kind)]

    def of(self, kind: RecordKind) -> list[Record]:
        return [record for record in self.records if record.kind is kind]

    def words(self) -> list[str]:
        """What was said about things that could not be done."""
        return [record.data["refused"] for record in self.of(RecordKind.DECISION)]


def plan(stop: float = 0.0, target: float = 0.0, **more: Any) -> ExitPlan:
    """An exit plan in rupees."""
    return ExitPlan(rs(stop), rs(target), **more)
