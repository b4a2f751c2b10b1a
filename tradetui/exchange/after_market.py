"""After-market orders: taken while the market is shut, let in at the next open.

The broker decides by its clock, whatever the request says (`upstox.md` 1.8). Such an order is not with the
exchange yet: nothing is blocked for it, and risk control judges it when it is let in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tradetui.domain.order import OrderRequest, Validity
from tradetui.exchange.matching import Matcher
from tradetui.exchange.orders import OrderState, RawStatus, Refusal
from tradetui.exchange.sessions import Phase, refuse_in_phase


class AfterMarket:
    """The queue of orders that wait for the open.

    Args:
        matcher: Where orders are recorded.
    """

    def __init__(self, matcher: Matcher) -> None:
        self._matcher = matcher
        self._waiting: dict[str, None] = {}

    def __contains__(self, order_id: str) -> bool:
        return order_id in self._waiting

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def __iter__(self) -> Iterator[OrderState]:
        """Waiting orders, first come first."""
        return (self._matcher.orders[order_id] for order_id in tuple(self._waiting))

    @staticmethod
    def is_time(phase: Phase) -> bool:
        """Whether a new order waits for the open instead of being refused."""
        return phase in (Phase.CLOSED, Phase.POST_CLOSE)

    @staticmethod
    def refuse(request: OrderRequest) -> Refusal | None:
        """Why an order cannot wait for the open, or ``None`` (`india-markets.md` 3)."""
        if request.validity is Validity.IOC:
            return Refusal("RMS", "RMS: an after-market order cannot be IOC")
        return None

    def take(self, order: OrderState, t_ns: int) -> None:
        """Let an order wait."""
        waiting = replace(order, after_market=True).step(RawStatus.AMO_RECEIVED, t_ns)
        self._matcher.put(waiting)
        self._waiting[order.order_id] = None

    def restore(self, order: OrderState) -> None:
        """Let an order of an earlier run wait again; nothing is reported."""
        self._matcher.orders[order.order_id] = order
        self._matcher.history[order.order_id] = [order]
        self._waiting[order.order_id] = None

    def amend(self, wanted: OrderState, t_ns: int) -> None:
        """Put checked new terms in force."""
        modified = self._matcher.put(wanted.step(RawStatus.AMO_MODIFIED, t_ns))
        self._matcher.put(modified.step(RawStatus.AMO_RECEIVED, t_ns))

    def cancel(self, order_id: str, t_ns: int, words: str) -> None:
        """End a waiting order."""
        del self._waiting[order_id]
        self._matcher.put(self._matcher.orders[order_id].step(RawStatus.AMO_CANCELLED, t_ns, words))

    @staticmethod
    def is_due(order: OrderState, phase: Phase) -> bool:
        """Whether the session has come to a phase that takes an order of this form."""
        return phase in (Phase.PRE_OPEN, Phase.CONTINUOUS) and refuse_in_phase(order.request, phase) is None

    def release(self, order_id: str, t_ns: int) -> OrderState:
        """Take an order out of the queue: it arrives at the exchange now."""
        del self._waiting[order_id]
        order = self._matcher.orders[order_id]
        return replace(order, placed_ns=t_ns, seq=self._matcher.next_seq())
