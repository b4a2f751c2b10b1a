"""One account: positions, holdings, trades, funds. Every figure is derived from fills and working orders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from tradetui.domain.events import Holding
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Money, Price, format_rupees
from tradetui.domain.order import OrderRequest, Product, Side
from tradetui.domain.position import Position, PositionKey
from tradetui.domain.span import NO_MARGIN, SpanLeg, SpanMargin
from tradetui.exchange import demat, margins
from tradetui.exchange.days import Conversion, DayBook, DayFigures, DayTrades, day_figures, moved
from tradetui.exchange.funding import held_back
from tradetui.exchange.margins import MarginUse, Requirement, RiskPrices
from tradetui.exchange.orders import Funds, OrderState, Refusal, Trade

_SCENARIOS = "estimate: worst of 16 price and volatility scenarios, plus exposure"


class Account:
    """State of one account.

    Funds are never counted up and down: cash is the opening balance plus realised profit less what is paid
    for present positions, and what is blocked is recomputed from positions and working orders of a group
    (one share and product, or all derivatives of an underlying) whenever either changes. So nothing can leak.

    Args:
        opening: Cash before the given positions were opened, 1/10,000 rupee.
        positions: Positions carried in, with their cost and realised profit.
        holdings: Shares in the demat account.
        risk: Prices that margins of derivatives are reckoned with.
    """

    def __init__(
        self,
        account_id: str,
        opening: Money,
        instruments: Mapping[str, Instrument],
        positions: Iterable[Position] = (),
        holdings: Iterable[Holding] = (),
        risk: RiskPrices | None = None,
    ) -> None:
        self.account_id = account_id
        self.opening = opening
        self.trades: list[Trade] = []
        self.working: dict[str, OrderState] = {}
        self.positions: dict[PositionKey, Position] = {(p.instrument_key, p.product): p for p in positions}
        self.days = DayBook(dict(self.positions))
        self._holdings = {h.instrument_key: h for h in holdings}
        self._instruments = instruments
        self._risk = risk if risk is not None else RiskPrices({})
        self._blocked: dict[str, _Blocked] = {}
        self._version = self._risk.version

    def position(self, key: PositionKey) -> Position:
        """Position of (instrument, product); flat when there was never one."""
        found = self.positions.get(key)
        return found if found is not None else Position(*key, multiplier=self._instruments[key[0]].multiplier)

    def book(self, trade: Trade) -> None:
        """Book a trade into the position."""
        key = (trade.instrument_key, trade.product)
        self.days.roll(trade.t_ns, self.positions)
        self.trades.append(trade)
        self.positions[key] = self.position(key).apply(trade.side, trade.qty, trade.price)

    def update(self, order: OrderState) -> None:
        """Remember the new state of an order of ours and block what it needs now."""
        before = self.working.get(order.order_id)
        if order.status.terminal:
            self.working.pop(order.order_id, None)
        else:
            self.working[order.order_id] = order
            if before is not None and _claims(before) == _claims(order):
                return  # another status, the same claim on funds
        self._block(self._group(order))

    def refuse_funds(self, order: OrderState) -> Refusal | None:
        """Why the account's money does not carry ``order``, or ``None``.

        ``order`` replaces the working order with its id, if there is one. An order that only reduces risk
        needs nothing and passes even when the account is short.
        """
        available = self.funds().available
        group = self._group(order)
        others = [o for o in self._working_in(group) if o.order_id != order.order_id]
        wanted = self._needs(group, sorted([*others, order], key=lambda o: o.seq)).need
        before = self._blocked[group].need.amount if group in self._blocked else 0
        extra = Requirement(Money(wanted.amount - before), wanted.basis, wanted.estimate)
        return _short(extra, available) if extra.amount > max(0, available) else None

    def sellable(self, key: PositionKey, without: str = "") -> int:
        """Shares free to sell without going short: held or bought, less what working sells already claim.

        The claim of the order with id ``without`` does not count (for a modify).
        """
        claimed = sum(
            o.remaining
            for o in self.working.values()
            if (o.key, o.request.product) == key and o.request.side is Side.SELL and o.order_id != without
        )
        held = self._held(key[0]) if key[1] is Product.DELIVERY else 0
        return held + self.position(key).qty - claimed

    def holdings(self) -> list[Holding]:
        """Demat holdings, with what today's sells and working sells use of them."""
        rows = []
        for key, holding in self._holdings.items():
            free = self.sellable((key, Product.DELIVERY))
            rows.append(replace(holding, used_qty=min(self._held(key), max(0, self._held(key) - free))))
        return rows

    def settle(self, t_ns: int) -> None:
        """A new trading day: what was delivered yesterday stands in the demat account, and its cost is spent."""
        today = DayTrades.of(self.days, self.trades, t_ns, self.positions)
        moved = [
            one
            for one in demat.delivered(self.positions.values(), self._instruments)
            if (one.instrument_key, one.product) not in today
        ]
        self._holdings = demat.settled(self._holdings, moved)
        for one in moved:
            del self.positions[one.instrument_key, one.product]
            self.opening = Money(self.opening + one.realised - one.cost)
        self.days.roll(t_ns, self.positions)
        self._block_all()

    # --- conversion ----------------------------------------------------------------------------------

    def convert(self, change: Conversion) -> Refusal | None:
        """Move units of a position from one product to another at their average cost, or say why not.

        Delivery becomes intraday only on the day it was bought, and the funds that the new product needs
        must be there (`upstox.md` 2.8, which gives the codes but not their texts). Nothing is realised.
        """
        source, target = change.keys
        held = self.position(source)
        refusal = self._refuse_conversion(held, change)
        if refusal is not None:
            return refusal
        before, available = dict(self.positions), self.funds().available
        left, joined = moved(held, self.position(target), change.qty)
        self.positions.update({source: left, target: joined})
        self._block_all()
        after = self.funds().available
        if after < min(0, available):
            self.positions = before
            self._block_all()
            need = Requirement(Money(available - after), f"as {change.new.value}")
            return Refusal("UDAPI1035", _short(need, available).message)
        self.days.roll(change.t_ns, before)
        self.days.conversions.append(replace(change, price=held.average_price))
        return None

    def _refuse_conversion(self, held: Position, change: Conversion) -> Refusal | None:
        side, new = change.side, change.new
        free = held.qty * side.sign - sum(
            order.remaining
            for order in self.working.values()
            if (order.key, order.request.product) == (held.instrument_key, held.product)
            and order.request.side is side.opposite
        )
        if not 0 < change.qty <= free:
            words = f"{max(0, free)} units in product {change.old.value} are free to convert"
            return Refusal("UDAPI1033", words)
        short_share = side is Side.SELL and not self._instruments[held.instrument_key].is_derivative
        if new is change.old or (short_share and new is not Product.INTRADAY):
            words = f"units in product {change.old.value} cannot become {new.value}"
            return Refusal("UDAPI1034", words)
        if new is Product.INTRADAY:
            sums = DayTrades.of(self.days, self.trades, change.t_ns)
            today = sums.get((held.instrument_key, held.product), DayTrades())
            if change.qty > (today.buy_qty - today.sell_qty) * side.sign:
                return Refusal("UDAPI1035", "only what was opened today can become intraday")
        return None

    def day_figures(self, t_ns: int, close_of: Callable[[str], Price]) -> list[DayFigures]:
        """Every position on the day of ``t_ns``, without those that were closed before it.

        Args:
            t_ns: An instant of the day, UTC ns.
            close_of: Previous close of an instrument, 0 when unknown.
        """
        sums = DayTrades.of(self.days, self.trades, t_ns, self.positions)
        rows = [
            day_figures(one, self.days, sums.get(key, DayTrades()), close_of(key[0]), t_ns)
            for key, one in self.positions.items()
        ]
        return [row for row in rows if not row.idle]

    # --- funds ---------------------------------------------------------------------------------------

    def funds(self) -> Funds:
        """Cash, margin in use, and what is free."""
        self._refresh()
        cash = realised = margin = 0
        estimated = False
        for (key, product), position in self.positions.items():
            instrument = self._instruments[key]
            realised += position.realised
            if margins.is_paid_in_full(instrument, product):
                cash -= position.cost
            if not instrument.is_derivative:
                margin += margins.share_to_hold(
                    instrument, product, position.qty, position.average_price
                ).amount
        for need in self._derivative_margins():
            margin += need.total
            estimated |= need.total > 0
        blocked = sum(one.need.amount for one in self._blocked.values())
        estimated |= any(one.need.estimate for one in self._blocked.values())
        return Funds(
            self.opening,
            Money(self.opening + realised + cash),
            Money(margin),
            Money(blocked),
            Money(realised),
            estimated,
        )

    def margin_use(self) -> MarginUse:
        """`funds` by kind; its total is what separates the free money from opening cash and profit."""
        self._refresh()
        shares = {Product.INTRADAY: 0, Product.MTF: 0, Product.DELIVERY: 0}
        premium = 0
        for (key, product), position in self.positions.items():
            instrument = self._instruments[key]
            if instrument.is_option:
                premium += position.cost
            elif not instrument.is_derivative:
                held = margins.share_to_hold(instrument, product, position.qty, position.average_price)
                paid = position.cost if margins.is_paid_in_full(instrument, product) else 0
                shares[product] += held.amount + paid
        span = NO_MARGIN
        for need in self._derivative_margins():
            span = span.plus(need)
        for one in self._blocked.values():
            span = span.plus(one.margin)
            if one.product is not None:
                shares[one.product] += one.need.amount
            else:
                premium += one.need.amount - one.margin.total
        return MarginUse(
            span.scan,
            Money(span.exposure + span.calendar),
            span.expiry,
            Money(shares[Product.INTRADAY]),
            Money(shares[Product.MTF]),
            Money(shares[Product.DELIVERY]),
            Money(premium),
        )

    def _held(self, instrument_key: str) -> int:
        holding = self._holdings.get(instrument_key)
        return holding.qty + holding.t1_qty if holding is not None else 0

    # --- groups: one share and product, or everything on an underlying ---------------------------------

    def _group(self, order: OrderState) -> str:
        return self._group_of(order.key, order.request.product)

    def _group_of(self, key: str, product: Product) -> str:
        instrument = self._instruments[key]
        return (instrument.underlying_key or key) if instrument.is_derivative else f"{key} {product.value}"

    def _working_in(self, group: str) -> list[OrderState]:
        orders = [o for o in self.working.values() if self._group(o) == group]
        return sorted(orders, key=lambda o: o.seq)

    def _block(self, group: str) -> None:
        orders = self._working_in(group)
        needs = self._needs(group, orders)
        if needs.need.amount:
            self._blocked[group] = needs
        else:
            self._blocked.pop(group, None)

    def _block_all(self) -> None:
        for group in {self._group(order): None for order in self.working.values()}:
            self._block(group)

    def _refresh(self) -> None:
        """Reckon what is blocked again when there are new risk prices."""
        if self._version != self._risk.version:
            self._version = self._risk.version
            self._block_all()

    def _needs(self, group: str, orders: list[OrderState]) -> _Blocked:
        if not orders:
            return _Blocked(margins.NOTHING)
        if self._instruments[orders[0].key].is_derivative:
            return self._derivative_needs(group, orders)
        return self._share_needs(orders)

    def _share_needs(self, orders: list[OrderState]) -> _Blocked:
        """What working orders in one share and product need: closing parts nothing, opening parts theirs."""
        key = (orders[0].key, orders[0].request.product)
        instrument, qty = self._instruments[key[0]], self.position(key).qty
        closable = {Side.BUY: max(0, -qty), Side.SELL: max(0, qty)}
        total, basis = 0, "nothing"
        for order in orders:
            side = order.request.side
            closing = min(order.remaining, closable[side])
            closable[side] -= closing
            opening = order.remaining - closing
            need = margins.share_to_open(instrument, key[1], side, opening, order.block_price)
            if need.amount:
                total += need.amount
                basis = need.basis
        return _Blocked(Requirement(Money(total), basis), key[1])

    def _derivative_needs(self, group: str, orders: list[OrderState]) -> _Blocked:
        closable: dict[tuple[str, Product, Side], int] = {}
        for (key, product), position in self.positions.items():
            if position.qty:
                closing = Side.SELL if position.qty > 0 else Side.BUY
                closable[key, product, closing] = abs(position.qty)
        pairs = [(self._instruments[order.key], order) for order in orders]
        held = held_back(pairs, self._legs(group), closable, self._risk)
        sells = any(not o.is_option or order.request.side is Side.SELL for o, order in pairs)
        basis = _SCENARIOS if sells else "the premium in full"
        return _Blocked(Requirement(Money(held.amount), basis, held.margin.total > 0), None, held.margin)

    def _legs(self, group: str) -> list[SpanLeg]:
        """Open derivative positions of one underlying."""
        legs = []
        for (key, product), position in self.positions.items():
            instrument = self._instruments[key]
            if position.qty and instrument.is_derivative and self._group_of(key, product) == group:
                price = self._risk.price(key) or position.average_price
                legs.append(SpanLeg(instrument, position.qty, price))
        return legs

    def _derivative_margins(self) -> list[SpanMargin]:
        """What open derivative positions keep in use, underlying by underlying."""
        groups = {
            self._group_of(key, product): None
            for (key, product), position in self.positions.items()
            if position.qty and self._instruments[key].is_derivative
        }
        return [margins.derivatives_to_hold(self._legs(group), self._risk) for group in groups]


@dataclass(frozen=True, slots=True)
class _Blocked:
    """What working orders of a group hold back; ``product`` for shares, ``margin`` for derivatives."""

    need: Requirement
    product: Product | None = None
    margin: SpanMargin = NO_MARGIN


def _claims(order: OrderState) -> tuple[OrderRequest, int, int, Price]:
    """What an order's claim on funds depends on."""
    return order.request, order.filled_qty, order.seq, order.block_price


def _short(need: Requirement, available: Money) -> Refusal:
    return Refusal(
        "RMS",
        f"RMS: margin exceeds: needs {format_rupees(need.amount)} ({need.basis}), "
        f"available {format_rupees(available)}",
    )
