"""Everything that the risk rules may look at, gathered for one request."""

from __future__ import annotations

from typing import Final

from tradetui.desk.books import Books, Market
from tradetui.desk.figures import Figures
from tradetui.domain import margin
from tradetui.domain.money import Money
from tradetui.domain.order import Order, OrderRequest, OrderStatus, OrderType, Product, Side
from tradetui.execution.manager import SECOND
from tradetui.risk.checks import Facts

IST_OFFSET_S: Final = 19_800

_Sameness = tuple[str, Side, int, OrderType, int]


class FactsGatherer:
    """Gathers facts, and remembers what was sent lately (duplicates, cooldowns).

    Args:
        books: What the desk knows.
        figures: Profit and exposure.
    """

    def __init__(self, books: Books, figures: Figures) -> None:
        self._books = books
        self._figures = figures
        self._sent: dict[tuple[str, str], int] = {}
        self._last_equal: dict[_Sameness, int] = {}

    def sent(self, request: OrderRequest) -> None:
        """A request passed the gate and left, now."""
        self._sent[request.source, request.instrument_key] = self._books.now_ns
        self._last_equal[_sameness(request)] = self._books.now_ns

    def remember(self, order: Order) -> None:
        """Take an order of an earlier run of the day into account: cooldowns go on over a restart."""
        request = order.request
        if order.status is not OrderStatus.REFUSED and not order.foreign:
            at = (request.source, request.instrument_key)
            self._sent[at] = max(order.created_ns, self._sent.get(at, 0))
            self._last_equal[_sameness(request)] = order.created_ns

    def of(self, request: OrderRequest, score: float | None = None) -> Facts:
        """The facts for one request, now."""
        books, figures, manager = self._books, self._figures, self._books.manager
        key, product, limits = request.instrument_key, request.product, books.limits
        instrument = books.instrument(key)
        market = books.market(key) if instrument else Market()
        positions = books.portfolio.open_positions()
        reference = request.price or market.last
        sent = self._sent.get((request.source, key))
        equal = self._last_equal.get(_sameness(request))
        return Facts(
            request=request,
            instrument=instrument,
            limits=limits,
            state=books.state,
            state_reason=books.state_reason,
            journal_problem=books.journal_problem,
            # What is reported filled counts before its trade is booked: an exit must not be let through twice.
            position_qty=books.portfolio.qty(key, product) + manager.unbooked_qty(key, product),
            pending_qty=manager.pending_qty(key, product, request.side),
            pending_other_qty=manager.pending_qty(key, product, request.side.opposite),
            last=market.last,
            bid=market.bid,
            ask=market.ask,
            quote_age_s=market.age_s,
            feed_up=books.feed_up,
            phase=market.phase,
            available=figures.available(),
            day_pnl=Money(figures.day_pnl() - figures.day_charges()),
            exposure=figures.exposure(),
            open_positions=len(positions),
            intraday_positions=sum(p.product is Product.INTRADAY for p in positions),
            entries_today=books.entries_today,
            unknown_order=manager.has_unknown(key),
            account_trouble=manager.account_trouble,
            same_recent=equal is not None and books.now_ns - equal < limits.duplicate_s * SECOND,
            strategy_idle_s=None if sent is None else (books.now_ns - sent) / SECOND,
            second_of_day=(books.now_ns // SECOND + IST_OFFSET_S) % 86_400,
            live=books.live,
            armed=books.now_ns < books.armed_until_ns,
            score=score,
            margin_needed=margin.estimate(instrument, product, request.side, request.qty, reference)
            if instrument and reference and request.qty > 0
            else Money(0),
        )


def _sameness(request: OrderRequest) -> _Sameness:
    return (request.instrument_key, request.side, request.qty, request.order_type, request.price)
