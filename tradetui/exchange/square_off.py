"""The broker closes intraday positions by itself at its cut-off (`india-markets` 1.6).

First the account's pending intraday orders go, then its intraday GTTs, then every intraday position is closed by
MARKET orders that the broker's risk desk places. From then on new intraday orders are refused for the day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tradetui.domain.calendar.ist import day_number, day_start_ns, ist_date
from tradetui.domain.instrument import Instrument
from tradetui.domain.order import OrderRequest, OrderType, Product, Side
from tradetui.exchange.orders import ExchangeEvent, OrderState, Refusal

if TYPE_CHECKING:
    from tradetui.exchange.exchange import Exchange

RMS: Final = "RMS"
"""Who places the closing orders: the ``placed_by`` of the order book."""
WORDS: Final = "auto square-off of intraday positions by the broker"
_S_NS = 1_000_000_000


class SquareOff:
    """The cut-off of one exchange's broker.

    Args:
        exchange: Where it acts.
    """

    def __init__(self, exchange: Exchange) -> None:
        self.at_s: int | None = None
        """Second of the day, IST; ``None`` for never."""
        self._exchange = exchange
        self._done_on: dict[str, int] = {}

    def refuse(self, order: OrderState, t_ns: int) -> Refusal | None:
        """Why risk control refuses a new order after the cut-off, or ``None``."""
        if order.placed_by == RMS:
            return None
        done = self._done_on.get(order.account_id) == day_number(t_ns)
        return self.refuse_product(order.request.product, t_ns, done=done)

    def refuse_product(self, product: Product, t_ns: int, *, done: bool = False) -> Refusal | None:
        """Why nothing can become intraday any more today, or ``None``."""
        if product is Product.INTRADAY and (done or self._past(t_ns)):
            return Refusal(RMS, "RMS: intraday orders are not taken after the broker's square-off time")
        return None

    def advance(self, t_ns: int) -> None:
        """Act once the cut-off of the day has come."""
        if not self._past(t_ns):
            return
        for account_id in self._exchange.accounts:
            if self._done_on.get(account_id) != day_number(t_ns):
                self._exchange.requeue(self.act(account_id, t_ns))

    def act(self, account_id: str, t_ns: int) -> tuple[ExchangeEvent, ...]:
        """Close an account's intraday positions now."""
        exchange = self._exchange
        self._done_on[account_id] = day_number(t_ns)
        events: list[ExchangeEvent] = []
        for order in exchange.orders(account_id):
            if order.request.product is Product.INTRADAY and not order.status.terminal:
                reply = exchange.cancel(account_id, order.order_id, t_ns, f"cancelled: {WORDS}")
                events += reply.events
        exchange.end_intraday_gtts(account_id, f"cancelled: {WORDS}", t_ns)
        for position in exchange.positions(account_id):
            if position.product is not Product.INTRADAY or not position.qty:
                continue
            side = Side.SELL if position.qty > 0 else Side.BUY
            instrument = exchange.instrument(position.instrument_key)
            for qty in _parts(instrument, abs(position.qty)):
                request = OrderRequest(
                    instrument.key, side, qty, Product.INTRADAY, OrderType.MARKET, source=RMS
                )
                events += exchange.place_for(account_id, request, RMS, WORDS, t_ns).events
        events += exchange.advance(t_ns)
        return tuple(events)

    def _past(self, t_ns: int) -> bool:
        return self.at_s is not None and t_ns - day_start_ns(ist_date(t_ns)) >= self.at_s * _S_NS


def _parts(instrument: Instrument, qty: int) -> list[int]:
    """Quantities within the freeze quantity, in whole lots."""
    most = instrument.max_order_qty or qty
    return [min(most, qty - done) for done in range(0, qty, most)]
