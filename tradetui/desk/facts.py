"""Everything that the risk rules may look at, gathered for one request."""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import Final

from tradetui.desk.books import Books, Market
from tradetui.desk.figures import Figures
from tradetui.desk.guard import Guard
from tradetui.domain import margin
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.lists import settles_trade_by_trade
from tradetui.domain.money import Money, Price
from tradetui.domain.order import Order, OrderRequest, OrderStatus, OrderType, Product, Side
from tradetui.domain.position import PositionKey
from tradetui.domain.price_rules import is_index_contract
from tradetui.execution.doubts import SECOND
from tradetui.risk.facts import Facts, Listed

IST_OFFSET_S: Final = 19_800
USUAL_OF: Final = 20
"""Last orders in an underlying whose median is the usual quantity."""
USUAL_LEAST: Final = 5
"""With fewer of them nobody can say what is usual."""
EXPIRY_DAY_PCT: Final = 2
"""Extra margin on short index options on expiry day, percent of the contract's value (NSE, 20 Nov 2024)."""

_Sameness = tuple[str, Side, int, OrderType, int]


class _Working:
    """What must be known of a working order for every other one: worked out once for each of its states."""

    __slots__ = ("enters_with", "key", "order", "value")

    def __init__(self, order: Order, instrument: Instrument | None) -> None:
        request = order.request
        self.order = order
        self.key: PositionKey = (request.instrument_key, request.product)
        self.enters_with = 0 if request.is_exit else request.side.sign
        """Sign of its side; 0 for an exit of ours, which never adds to a position."""
        units = order.pending_qty * (instrument.multiplier if instrument else 1)
        price = request.price or request.trigger_price
        self.value: int | None = units * price if price else None
        """Value of what is left of it; ``None`` where that moves with the market."""


class _Open:
    """What counts as one position each: held, or being entered by a working order; a basket once.

    Attributes:
        intraday, swing: Those of product I, and the others.
        underlying: Those in the request's underlying.
        counted: The request's own instrument, or its basket, is among them.
    """

    __slots__ = ("counted", "intraday", "swing", "underlying")

    def __init__(self) -> None:
        self.intraday = self.swing = self.underlying = 0
        self.counted = False


class FactsGatherer:
    """Gathers facts, and remembers what was sent lately (duplicates, cooldowns, sizes, orders a second).

    Args:
        books: What the desk knows.
        figures: Profit and exposure.
        guard: Losses, counts and locks.
    """

    def __init__(self, books: Books, figures: Figures, guard: Guard) -> None:
        self._books = books
        self._figures = figures
        self._guard = guard
        self._sent: dict[tuple[str, str], int] = {}
        self._last_equal: dict[_Sameness, int] = {}
        self._sizes: dict[str, deque[int]] = {}
        self._second: deque[int] = deque(maxlen=32)
        self._blocked: deque[tuple[int, Money]] = deque()
        self._blocked_sum = 0
        self._group_of: dict[PositionKey, str] = {}
        self._working: dict[str, _Working] = {}
        self._underlyings: dict[str, str] = {}

    def sent(self, facts: Facts) -> None:
        """A request passed the gate and left, now."""
        request, now_ns = facts.request, self._books.now_ns
        self._remember(request, now_ns)
        self._second.append(now_ns)
        if not facts.reducing:
            self._blocked.append((now_ns, facts.margin_needed))
            self._blocked_sum += facts.margin_needed

    def remember(self, order: Order) -> None:
        """Take an order of an earlier run of the day into account: cooldowns go on over a restart."""
        if order.status is not OrderStatus.REFUSED and not order.foreign:
            self._remember(order.request, order.created_ns)

    def remember_sizes(self, sizes: dict[str, tuple[int, ...]]) -> None:
        """Take the sizes of earlier days' orders into account: instrument key -> quantities, oldest first.

        To be called before `remember`.
        """
        for key, quantities in sizes.items():
            self._sizes_of(key).extend(quantities)

    def funds_read(self, asked_ns: int) -> None:
        """The broker has said what is available: orders from before that are in it."""
        while self._blocked and self._blocked[0][0] < asked_ns:
            self._blocked_sum -= self._blocked.popleft()[1]

    def remember_groups(self, groups: dict[str, str]) -> None:
        """Take the baskets of earlier days into account: instrument key, tab, product -> group."""
        for text, group in groups.items():
            key, _, product = text.partition("\t")
            self._group_of[key, Product(product)] = group

    def _remember(self, request: OrderRequest, t_ns: int) -> None:
        at = (request.source, request.instrument_key)
        self._sent[at] = max(t_ns, self._sent.get(at, 0))
        self._last_equal[_sameness(request)] = t_ns
        if request.source == "manual":
            self._sizes_of(request.instrument_key).append(request.qty)
        position = (request.instrument_key, request.product)
        if request.group:
            self._group_of[position] = request.group
        elif not request.is_exit and not self._books.portfolio.qty(*position):
            self._group_of.pop(position, None)

    def _sizes_of(self, key: str) -> deque[int]:
        instrument = self._books.instrument(key)
        return self._sizes.setdefault(_underlying(instrument, key), deque(maxlen=USUAL_OF))

    # --- gathering ------------------------------------------------------------------------------------

    def of(self, request: OrderRequest, score: float | None = None, *, member: bool = False) -> Facts:
        """The facts for one request, now. A ``member`` is a leg of a basket approved as a whole (`judge_group`)."""
        books, guard, manager = self._books, self._guard, self._books.manager
        key, product, limits = request.instrument_key, request.product, books.limits
        instrument = books.instrument(key)
        market = books.market(key) if instrument else Market()
        pending = manager.pending_qty(key, product, request.side)
        # What is reported filled counts before its trade is booked: an exit must not be let through twice.
        held = books.held(key, product) - manager.conversions.leaving(key, product)
        sent = self._sent.get((request.source, key))
        equal = self._last_equal.get(_sameness(request))
        losses = guard.losses()
        entering, value = self._entries()
        found = self._open_positions(request, entering)
        free, t1 = self._free(request, instrument, held, pending)
        return Facts(
            request=request,
            instrument=instrument,
            limits=limits,
            state=books.state,
            state_reason=books.state_reason,
            journal_problem=books.journal_problem,
            position_qty=held,
            pending_qty=pending,
            pending_other_qty=manager.pending_qty(key, product, request.side.opposite),
            last=market.last,
            bid=market.bid,
            ask=market.ask,
            quote_age_s=market.age_s,
            feed_up=books.feed_up,
            phase=market.phase,
            stage=market.stage,
            may_end=market.may_end,
            band=books.band(instrument, market.prev_close) if instrument else None,
            available=Money(self._figures.available() - self._blocked_sum),
            funds_known=books.portfolio.available is not None,
            day_loss=losses.day,
            week_loss=losses.week,
            month_drawdown=losses.month,
            exposure=Money(self._figures.exposure() + value),
            open_positions=found.intraday + found.swing,
            intraday_positions=found.intraday,
            swing_positions=found.swing,
            underlying_positions=found.underlying,
            counted=found.counted,
            member=member,
            entries_today=books.entries_today,
            losses_in_a_row=guard.losses_in_a_row,
            loss_age_s=(books.now_ns - guard.last_loss_ns) / SECOND if guard.last_loss_ns else None,
            orders_last_second=sum(books.now_ns - t_ns < SECOND for t_ns in self._second),
            usual_qty=self._usual(instrument, key),
            unknown_order=manager.has_unknown(key),
            account_trouble=manager.account_trouble,
            differs=self._differs(key),
            odd_rows=len(manager.odd_rows.rows),
            segment_locked=instrument is not None and instrument.segment in books.locked_segments,
            same_recent=equal is not None and books.now_ns - equal < limits.duplicate_s * SECOND,
            strategy_idle_s=None if sent is None else (books.now_ns - sent) / SECOND,
            second_of_day=(books.now_ns // SECOND + IST_OFFSET_S) % 86_400,
            live=books.live,
            armed=books.now_ns < books.armed_until_ns,
            score=score,
            margin_needed=self._margin(request, instrument, market),
            listed=self._listed(instrument),
            expiry_days=books.days_left(instrument) if instrument and instrument.is_derivative else None,
            underlying_last=self._underlying_last(instrument),
            free_qty=free,
            t1_qty=t1,
            may_sell_holdings=books.may_sell_holdings,
        )

    def _differs(self, key: str) -> tuple[tuple[Product, int, int], ...]:
        """Where the broker counts other units in an instrument than we do: product, ours, the broker's."""
        found = self._books.manager.positions.differences
        if not found:
            return ()
        return tuple((product, *pair) for (of, product), pair in found.items() if of == key)

    def _entries(self) -> tuple[dict[PositionKey, None], int]:
        """Positions that working orders would open or add to, oldest order first, and the value of what is left."""
        books, working = self._books, self._working
        positions, keys, value = books.portfolio.positions, dict[PositionKey, None](), 0
        resting = books.manager.working()
        for order in resting:
            known = working.get(order.tag)
            if known is None or known.order is not order:
                instrument = books.instrument(order.request.instrument_key)
                known = _Working(order, instrument)
                if instrument is not None:
                    working[order.tag] = known
            sign, key = known.enters_with, known.key
            if not sign or ((held := positions.get(key)) is not None and held.qty * sign < 0):
                continue
            keys[key] = None
            value += self._value_left(order) if known.value is None else known.value
        if len(working) > 2 * len(resting) + 64:
            self._working = {order.tag: working[order.tag] for order in resting if order.tag in working}
        return keys, value

    def _open_positions(self, request: OrderRequest, entering: dict[PositionKey, None]) -> _Open:
        """Count what is held or being entered. A basket is of the kind of the first of its positions."""
        books, groups, found = self._books, self._group_of, _Open()
        keys = dict.fromkeys(
            key
            for key, position in books.portfolio.positions.items()
            if position.qty and not self._books.sold_from_demat(position)
        )
        keys.update(entering)
        mine = (request.instrument_key, request.product)
        own, group, underlying = groups.get(mine), request.group, self._underlying_of(mine[0])
        seen = set[str]()
        for key in keys:
            basket = groups.get(key)
            if basket:
                if basket in seen:
                    continue
                seen.add(basket)
            if key[1] is Product.INTRADAY:
                found.intraday += 1
            else:
                found.swing += 1
            found.underlying += self._underlying_of(key[0]) == underlying
        found.counted = group in seen or own in seen or (mine in keys and not own)
        return found

    def _underlying_of(self, key: str) -> str:
        known = self._underlyings.get(key)
        if known is None:
            instrument = self._books.instrument(key)
            known = _underlying(instrument, key)
            if instrument is not None:
                self._underlyings[key] = known
        return known

    def _enters(self, order: Order) -> bool:
        """Whether a working order would open or add to a position."""
        request = order.request
        held = self._books.portfolio.qty(request.instrument_key, request.product)
        return not request.is_exit and held * request.side.sign >= 0

    def entering_value(self, order: Order) -> int:
        """Value of what one working order may still add to a position; 0 for an exit."""
        return self._value_left(order) if self._enters(order) else 0

    def _value_left(self, order: Order) -> int:
        request = order.request
        instrument = self._books.instrument(request.instrument_key)
        price = request.price or request.trigger_price
        price = price or self._books.market(request.instrument_key).last or Price(0)
        return order.pending_qty * price * (instrument.multiplier if instrument else 1)

    def _margin(self, request: OrderRequest, instrument: Instrument | None, market: Market) -> Money:
        """Cash that the order is likely to block."""
        reference = request.price or request.trigger_price or market.last
        if instrument is None or not reference or request.qty <= 0:
            return Money(0)
        needed = margin.estimate(instrument, request.product, request.side, request.qty, reference)
        if (
            instrument.is_option
            and request.side is Side.SELL
            and is_index_contract(instrument)
            and self._books.days_left(instrument) == 0
        ):
            level = self._underlying_last(instrument) or instrument.strike or reference
            needed = Money(needed + level * request.qty * instrument.multiplier * EXPIRY_DAY_PCT // 100)
        return needed

    def _free(
        self, request: OrderRequest, instrument: Instrument | None, held: int, pending: int
    ) -> tuple[int | None, int]:
        """Units a delivery sale may take, T1 included, and how many of them are T1; ``None`` when not known."""
        portfolio = self._books.portfolio
        if (
            instrument is None
            or instrument.kind is not InstrumentKind.EQUITY
            or request.side is not Side.SELL
            or request.product is not Product.DELIVERY
        ):
            return None, 0
        if not portfolio.holdings_known:
            return None, 0
        holding = portfolio.holding(request.instrument_key)
        bought, sold = max(0, held), max(0, -held)
        if holding is None:
            return bought - sold - pending, 0
        # The broker's own count of what is blocked may lag behind our orders, or know of others.
        blocked = max(holding.used_qty, sold + pending)
        return bought + holding.qty + holding.t1_qty - blocked, holding.t1_qty

    def _usual(self, instrument: Instrument | None, key: str) -> float | None:
        sizes = self._sizes.get(_underlying(instrument, key), ())
        return median(sizes) if len(sizes) >= USUAL_LEAST else None

    def _listed(self, instrument: Instrument | None) -> Listed:
        lists = self._books.lists
        if instrument is None:
            return Listed()
        said = lists.watched(instrument)
        return Listed(
            lists.banned(instrument),
            lists.takes_intraday(instrument),
            said,
            settles_trade_by_trade(said or ""),
        )

    def _underlying_last(self, instrument: Instrument | None) -> Price | None:
        if instrument is None or not instrument.underlying_key:
            return None
        return self._books.market(instrument.underlying_key).last


def _underlying(instrument: Instrument | None, key: str) -> str:
    """Key of what an instrument is written on; a share's own."""
    return (instrument.underlying_key if instrument else "") or key


def _sameness(request: OrderRequest) -> _Sameness:
    return (request.instrument_key, request.side, request.qty, request.order_type, request.price)
