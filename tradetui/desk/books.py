"""What every part of the desk looks at: limits, market, orders, positions, the hour."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, Protocol

from tradetui.domain.calendar import day_start_ns, ist_date
from tradetui.domain.events import BandsEvent
from tradetui.domain.gtt import Gtt, GttRequest, GttStatus, GttStrategy, GttTrigger, RuleStatus
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.lists import DatedLists
from tradetui.domain.money import Price, to_price
from tradetui.domain.order import STOP_SOURCE, Order, Product
from tradetui.domain.portfolio import Portfolio
from tradetui.domain.position import Position
from tradetui.domain.records import RecordKind
from tradetui.execution.doubts import SECOND
from tradetui.execution.manager import OrderManager
from tradetui.risk.facts import RiskState
from tradetui.risk.limits import Limits

CANCEL_RETRY_NS: Final = 3 * SECOND
DAY_NS: Final = 86_400 * SECOND


@dataclass(frozen=True, slots=True)
class Market:
    """What the desk may know about one instrument's market. Prices in 1/10,000 rupee; ``None``: never seen.

    Attributes:
        stage: Where inside an auction: ``reference``, ``entry``, ``limit only``, ``match``, ``buffer``; else empty.
        may_end: Order entry of the auction may end at any moment (random close).
        traded: ``last`` is of today's continuous trading: no auction's price, and not yesterday's.
        asked: ``last`` was asked for by REST, because the stream is silent.
    """

    last: Price | None = None
    bid: Price | None = None
    ask: Price | None = None
    age_s: float | None = None
    phase: str = "closed"
    stage: str = ""
    may_end: bool = False
    prev_close: Price | None = None
    traded: bool = True
    asked: bool = False


class AfterAuction(StrEnum):
    """What becomes of positions when the exchange cancels resting stops at the start of the closing auction."""

    EXIT_BEFORE = "exit_before"
    """Intraday positions are closed before it. Carried ones are watched by us and listed as naked."""
    WATCH = "watch"
    """All are watched by us and listed as naked."""


class GttBook(Protocol):
    """GTTs, as far as the desk handles them."""

    def working(self, key: str = "") -> list[Gtt]:
        """GTTs that rest or may rest at the broker, oldest first."""

    def place(self, request: GttRequest, t_ns: int) -> Gtt | None:
        """Record an intent and emit its command."""

    def modify(self, tag: str, t_ns: int, request: GttRequest) -> str:
        """Replace quantity and rules. Returns why not, or an empty string."""

    def cancel(self, tag: str, t_ns: int) -> str:
        """Emit a cancel. Returns why not, or an empty string."""


@dataclass(slots=True)
class Books:
    """See the module's docstring.

    Attributes:
        limits: Risk limits in force; an operator may change them.
        live: Orders reach a real exchange.
        instrument: Key to terms.
        market: Key to market facts at ``now_ns``.
        last_price: Key to the last price alone, where that is quicker to have (`last`).
        note: Takes journal records.
        portfolio: Positions, trades, funds.
        manager: Orders.
        now_ns: Engine time.
        feed_up: The market data stream is connected and alive.
        journal_problem: Why the journal cannot be written; empty while it can.
        armed_until_ns: When arming of live trading runs out; 0 when disarmed.
        state, state_reason: The gate's state, and why it is not active.
        entries_today: Orders that opened risk today.
        gtts: GTTs; ``None`` where the broker has none.
        closes_ns: Key to the end of today's continuous trading, UTC ns; ``None`` when not known.
        after_auction: What to do about the closing auction.
        cancel_tried_ns: Label of an order or GTT -> when one of our parts last asked for its cancel.
        lists: The dated lists in force.
        bands: Instrument -> lowest and highest price, as the broker said today (`take_bands`).
        bands_until_ns: When that day is over, UTC ns.
        locked_segments: Segments closed by the account's kill switch at the broker.
        may_sell_holdings: Delivery sales need no further authorisation; ``None`` when not known.
        days_left: Trading days until a derivative's expiry; ``None`` when nobody can tell.
    """

    limits: Limits
    live: bool
    instrument: Callable[[str], Instrument | None]
    market: Callable[[str], Market]
    note: Callable[[RecordKind, Any], None]
    portfolio: Portfolio
    manager: OrderManager
    now_ns: int = 0
    feed_up: bool = False
    journal_problem: str = ""
    armed_until_ns: int = 0
    state: RiskState = RiskState.ACTIVE
    state_reason: str = ""
    entries_today: int = 0
    lists: DatedLists = field(default_factory=DatedLists)
    bands: dict[str, tuple[Price, Price]] = field(default_factory=dict)
    bands_until_ns: int = 0
    locked_segments: frozenset[str] = frozenset()
    may_sell_holdings: bool | None = None
    days_left: Callable[[Instrument], int | None] = lambda instrument: None
    last_price: Callable[[str], Price | None] | None = None
    gtts: GttBook | None = None
    closes_ns: Callable[[str], int | None] = lambda key: None
    after_auction: AfterAuction = AfterAuction.EXIT_BEFORE
    cancel_tried_ns: dict[str, int] = field(default_factory=dict)

    def last(self, key: str) -> Price | None:
        """Last price of an instrument; ``None``: never seen."""
        return self.market(key).last if self.last_price is None else self.last_price(key)

    def take_bands(self, event: BandsEvent) -> None:
        """Price bands were read at the broker; those of another day are forgotten."""
        if event.t_ns >= self.bands_until_ns:
            self.bands.clear()
            self.bands_until_ns = day_start_ns(ist_date(event.t_ns)) + DAY_NS
        for band in event.bands:
            self.bands[band.instrument_key] = (band.low, band.high)

    def band(self, instrument: Instrument, prev_close: Price | None) -> tuple[Price, Price] | None:
        """Lowest and highest price of the day: as the broker says, else by the dated list; ``None``: not known."""
        said = self.bands.get(instrument.key) if self.now_ns < self.bands_until_ns else None
        return said or self.lists.band(instrument, prev_close)

    def held(self, key: str, product: Product) -> int:
        """Signed units of a position, with what orders report filled and whose trades have not come yet."""
        return self.portfolio.qty(key, product) + self.manager.unbooked_qty(key, product)

    def sold_from_demat(self, position: Position) -> bool:
        """Whether a negative quantity is shares sold out of the demat account, not a short position."""
        if position.qty >= 0 or position.product is Product.INTRADAY:
            return False
        instrument = self.instrument(position.instrument_key)
        return instrument is not None and instrument.kind is InstrumentKind.EQUITY

    def why_oversold(self, position: Position) -> str:
        """Words about shares that were sold without being held, as far as holdings are known; empty for none.

        What cannot be delivered goes to the exchange's auction on the next day (`india-markets.md` 3).
        """
        if not self.portfolio.holdings_known:
            return ""
        found = self.portfolio.holding(position.instrument_key)
        short = -position.qty - (found.qty + found.t1_qty if found is not None else 0)
        return (
            f"{short} more were sold than are held: buy them back today, or they go to auction"
            if short > 0
            else ""
        )

    def symbol(self, key: str) -> str:
        """Name of an instrument for people."""
        found = self.instrument(key)
        return found.symbol if found else key

    def gtts_of(self, key: str, product: Product) -> list[Gtt]:
        """GTTs that may rest for one instrument and product."""
        if self.gtts is None:
            return []
        return [gtt for gtt in self.gtts.working(key) if gtt.request.product is product]

    def guarded_by_gtt(self, key: str, product: Product, held: int) -> int:
        """Units of a position that GTTs of other people, or of the user, would close at a loss limit."""
        guards = (gtt for gtt in self.gtts_of(key, product) if gtt.request.source != STOP_SOURCE)
        return sum(gtt.request.qty for gtt in guards if _guards(gtt, held))

    def is_child_of_gtt(self, order: Order) -> bool:
        """Whether an order came out of a GTT."""
        return order.request.group in self.manager.gtts.gtts

    def cancel(self, order: Order | Gtt) -> None:
        """Ask for a cancel, and after a refusal pause: a broker that says no must not be asked in a circle."""
        tried_ns = self.cancel_tried_ns.get(order.tag)
        if order.cancel_pending or (tried_ns is not None and self.now_ns - tried_ns < CANCEL_RETRY_NS):
            return
        self.cancel_tried_ns[order.tag] = self.now_ns
        if isinstance(order, Order):
            self.manager.cancel(order.tag, self.now_ns)
        elif self.gtts is not None:
            self.gtts.cancel(order.tag, self.now_ns)


def _guards(gtt: Gtt, held: int) -> bool:
    """Whether a GTT would close a position at a loss limit: its stop, or a single one on the exit side."""
    entry = next((one for one in gtt.rules if one.rule.strategy is GttStrategy.ENTRY), None)
    if entry is None or gtt.status is not GttStatus.ACTIVE:
        return False
    sign = gtt.request.side.sign
    if sign * held > 0:
        stops = (one for one in gtt.rules if one.rule.strategy is GttStrategy.STOPLOSS)
        return entry.status is RuleStatus.COMPLETED and any(not one.status.terminal for one in stops)
    losing = GttTrigger.BELOW if held > 0 else GttTrigger.ABOVE
    return not entry.status.terminal and entry.rule.trigger is losing


@lru_cache(maxsize=65_536)
def price_of(rupees: float) -> Price | None:
    """A column's float as a `Price`; zero and non-finite values mean: not known.

    Prices come back again and again, and turning one into a whole number exactly is slow.
    """
    return to_price(rupees) if 0 < rupees < 1e9 else None
