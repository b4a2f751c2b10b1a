"""One account: positions, holdings, trades, funds. Every figure is derived from fills and working orders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from tradetui.domain.events import Holding
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Money, format_rupees
from tradetui.domain.order import Product, Side
from tradetui.domain.position import Position, PositionKey
from tradetui.exchange import margins
from tradetui.exchange.orders import Funds, OrderState, Refusal, Trade


class Account:
    """State of one account.

    Funds are never counted up and down: cash is the opening balance plus realised profit less what is paid
    for present positions, and what is blocked is recomputed from position and working orders of an
    (instrument, product) whenever either changes. So nothing can leak.

    Args:
        opening: Cash before the given positions were opened, 1/10,000 rupee.
        positions: Positions carried in, with their cost and realised profit.
        holdings: Shares in the demat account.
    """

    def __init__(
        self,
        account_id: str,
        opening: Money,
        instruments: Mapping[str, Instrument],
        positions: Iterable[Position] = (),
        holdings: Iterable[Holding] = (),
    ) -> None:
        self.account_id = account_id
        self.opening = opening
        self.trades: list[Trade] = []
        self.working: dict[str, OrderState] = {}
        self.positions: dict[PositionKey, Position] = {(p.instrument_key, p.product): p for p in positions}
        self._holdings = {h.instrument_key: h for h in holdings}
        self._instruments = instruments
        self._blocked: dict[PositionKey, margins.Requirement] = {}

    def position(self, key: PositionKey) -> Position:
        """Position of (instrument, product); flat when there was never one."""
        found = self.positions.get(key)
        return found if found is not None else Position(*key, multiplier=self._instruments[key[0]].multiplier)

    def book(self, trade: Trade) -> None:
        """Book a trade into the position."""
        key = (trade.instrument_key, trade.product)
        self.trades.append(trade)
        self.positions[key] = self.position(key).apply(trade.side, trade.qty, trade.price)

    def update(self, order: OrderState) -> None:
        """Remember the new state of an order of ours and block what it needs now."""
        if order.status.terminal:
            self.working.pop(order.order_id, None)
        else:
            self.working[order.order_id] = order
        key = (order.key, order.request.product)
        need = self._needs(key, self._working_of(key))
        if need.amount:
            self._blocked[key] = need
        else:
            self._blocked.pop(key, None)

    def refuse_funds(self, order: OrderState) -> Refusal | None:
        """Why the account's money does not carry ``order``, or ``None``.

        ``order`` replaces the working order with its id, if there is one. An order that only reduces risk
        needs nothing and passes even when the account is short.
        """
        key = (order.key, order.request.product)
        others = [o for o in self._working_of(key) if o.order_id != order.order_id]
        wanted = self._needs(key, sorted([*others, order], key=lambda o: o.seq))
        extra = wanted.amount - self._blocked.get(key, margins.NOTHING).amount
        available = self.funds().available
        if extra <= 0 or extra <= available:
            return None
        return Refusal(
            "RMS",
            f"RMS: margin exceeds: needs {format_rupees(extra)} ({wanted.basis}), "
            f"available {format_rupees(available)}",
        )

    def sellable(self, key: PositionKey, without: str = "") -> int:
        """Shares free to sell without going short: held or bought, less what working sells already claim.

        The claim of the order with id ``without`` does not count (for a modify).
        """
        claimed = sum(
            o.remaining
            for o in self._working_of(key)
            if o.request.side is Side.SELL and o.order_id != without
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

    def funds(self) -> Funds:
        """Cash, margin in use, and what is free."""
        cash = margin = realised = 0
        estimated = False
        for (key, product), position in self.positions.items():
            instrument = self._instruments[key]
            realised += position.realised
            if margins.is_paid_in_full(instrument, product):
                cash -= position.cost
            need = margins.to_hold(instrument, product, position.qty, position.average_price)
            margin += need.amount
            estimated |= need.estimate
        blocked = sum(need.amount for need in self._blocked.values())
        estimated |= any(need.estimate for need in self._blocked.values())
        return Funds(
            self.opening,
            Money(self.opening + realised + cash),
            Money(margin),
            Money(blocked),
            Money(realised),
            estimated,
        )

    def _held(self, instrument_key: str) -> int:
        holding = self._holdings.get(instrument_key)
        return holding.qty + holding.t1_qty if holding is not None else 0

    def _working_of(self, key: PositionKey) -> list[OrderState]:
        orders = [o for o in self.working.values() if (o.key, o.request.product) == key]
        return sorted(orders, key=lambda o: o.seq)

    def _needs(self, key: PositionKey, orders: list[OrderState]) -> margins.Requirement:
        """What working orders of one (instrument, product) need: closing parts nothing, opening parts theirs."""
        instrument = self._instruments[key[0]]
        qty = self.position(key).qty
        closable = {Side.BUY: max(0, -qty), Side.SELL: max(0, qty)}
        total, basis, estimate = 0, "nothing", False
        for order in orders:
            side = order.request.side
            closing = min(order.remaining, closable[side])
            closable[side] -= closing
            need = margins.to_open(instrument, key[1], side, order.remaining - closing, order.block_price)
            if need.amount:
                total += need.amount
                basis, estimate = need.basis, estimate or need.estimate
        return margins.Requirement(Money(total), basis, estimate)
