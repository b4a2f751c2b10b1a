"""Instruments, a phase switch and a short way to drive the exchange in tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from tradetui.domain.calendar.ist import ns
from tradetui.domain.events import Holding
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.money import Price, to_money, to_price
from tradetui.domain.order import OrderRequest, OrderType, Product, Side
from tradetui.domain.position import Position
from tradetui.exchange.exchange import Exchange
from tradetui.exchange.orders import Amendment, ExchangeEvent, OrderChanged, OrderState, RawStatus, Traded
from tradetui.exchange.rules import RuleBook

DAY = date(2026, 11, 20)
OPEN_NS = ns(DAY, "09:15")
ACCOUNT = "AB1234"
OTHER = "CD5678"

SHARE = Instrument(
    "NSE_EQ|INE002A01018", "NSE_EQ", "NSE", "RELIANCE", "Reliance Industries", InstrumentKind.EQUITY, "EQ"
)
CLOSE_TRADED = replace(SHARE, key="NSE_EQ|INE000B01011", symbol="SLOWCO", series="BE")
BSE_SHARE = replace(SHARE, key="BSE_EQ|INE002A01018", segment="BSE_EQ", exchange="BSE", series="A")
INDEX = Instrument("NSE_INDEX|Nifty 50", "NSE_INDEX", "NSE", "NIFTY", "Nifty 50", InstrumentKind.INDEX)
CALL = Instrument(
    "NSE_FO|40001",
    "NSE_FO",
    "NSE",
    "NIFTY 26000 CE 24 NOV 26",
    "NIFTY",
    InstrumentKind.CALL,
    "CE",
    lot_size=65,
    freeze_qty=1800,
    expiry=date(2026, 11, 23),
    strike=to_price(26_000),
    underlying_key=INDEX.key,
)
FUTURE = replace(
    CALL,
    key="NSE_FO|40002",
    symbol="NIFTY FUT 24 NOV 26",
    kind=InstrumentKind.FUTURE,
    series="FUT",
    strike=None,
)
CRUDE = replace(FUTURE, key="MCX_FO|50001", segment="MCX_FO", exchange="MCX", symbol="CRUDEOIL", lot_size=100)
EVERYTHING = (SHARE, CLOSE_TRADED, BSE_SHARE, INDEX, CALL, FUTURE, CRUDE)


def rs(rupees: float) -> Price:
    return to_price(rupees)


def order(
    side: Side = Side.BUY,
    qty: int = 10,
    price: float = 0,
    *,
    kind: OrderType = OrderType.LIMIT,
    trigger: float = 0,
    product: Product = Product.INTRADAY,
    instrument: Instrument = SHARE,
    **more: object,
) -> OrderRequest:
    """An order request with short names; ``more`` sets other fields of `OrderRequest`."""
    base = OrderRequest(instrument.key, side, qty, product, kind, price=rs(price), trigger_price=rs(trigger))
    return replace(base, **more)  # type: ignore[arg-type]


class Desk:
    """One exchange with a phase that tests switch and a clock that they move."""

    def __init__(
        self,
        cash: float = 1_000_000,
        *,
        positions: Sequence[Position] = (),
        holdings: Sequence[Holding] = (),
        rules: RuleBook | None = None,
    ) -> None:
        self.phase = "CONTINUOUS"
        self.t_ns = OPEN_NS
        self.exchange = Exchange(EVERYTHING, lambda _instrument, _t: self.phase, rule_book=rules)
        self.exchange.add_account(ACCOUNT, to_money(cash), positions, holdings)
        self.exchange.add_account(OTHER, to_money(cash))

    def market(
        self,
        bids: Sequence[tuple[float, int]],
        asks: Sequence[tuple[float, int]],
        instrument: Instrument = SHARE,
        last: float | None = None,
    ) -> tuple[ExchangeEvent, ...]:
        if last is not None:
            self.exchange.set_last(instrument.key, rs(last))
        return self.exchange.set_external(
            instrument.key, [(rs(p), q) for p, q in bids], [(rs(p), q) for p, q in asks], self.t_ns
        )

    def normal(self, instrument: Instrument = SHARE, last: float = 100) -> None:
        """A five-level book of 100 units a level, 0.1 apart around ``last``, which has traded."""
        bids = [(round(last - 0.05 - 0.1 * i, 2), 100) for i in range(5)]
        asks = [(round(last + 0.05 + 0.1 * i, 2), 100) for i in range(5)]
        self.market(bids, asks, instrument, last)

    def print(self, price: float, qty: int, instrument: Instrument = SHARE) -> tuple[ExchangeEvent, ...]:
        return self.exchange.external_trade(instrument.key, rs(price), qty, self.t_ns)

    def place(self, request: OrderRequest, account: str = ACCOUNT, tag: str = "t") -> OrderState:
        reply = self.exchange.place(account, request, tag, self.t_ns)
        assert reply.refusal is None, reply.refusal
        found = self.exchange.order(account, reply.order_id)
        assert found is not None
        return found

    def refused(self, request: OrderRequest) -> str:
        """Code of a request-level refusal; checks that no order came of it."""
        before = len(self.exchange.orders(ACCOUNT))
        reply = self.exchange.place(ACCOUNT, request, "t", self.t_ns)
        assert reply.refusal is not None
        assert len(self.exchange.orders(ACCOUNT)) == before
        return reply.refusal.code

    def rejected(self, request: OrderRequest) -> str:
        """Message of an order that risk control or the exchange rejected."""
        state = self.place(request)
        assert state.status is RawStatus.REJECTED
        return state.message

    def now(self, state: OrderState) -> OrderState:
        found = self.exchange.order(state.account_id, state.order_id)
        assert found is not None
        return found

    def walk(self, state: OrderState) -> list[str]:
        return [step.status.value for step in self.exchange.history(state.account_id, state.order_id)]

    def fills(self, state: OrderState) -> list[tuple[int, float]]:
        trades = self.exchange.trades(state.account_id, state.order_id)
        return [(trade.qty, trade.price / 10_000) for trade in trades]

    def terms(self, state: OrderState, **changes: object) -> Amendment:
        r = state.request
        base = Amendment(
            r.qty, r.price, r.trigger_price, r.order_type, r.validity, r.disclosed_qty, r.protection_pct
        )
        return replace(base, **changes)  # type: ignore[arg-type]


def trades_of(events: Sequence[ExchangeEvent]) -> list[tuple[str, int]]:
    return [(e.trade.order_id, e.trade.qty) for e in events if isinstance(e, Traded)]


def statuses(events: Sequence[ExchangeEvent]) -> list[str]:
    return [e.order.status.value for e in events if isinstance(e, OrderChanged)]
