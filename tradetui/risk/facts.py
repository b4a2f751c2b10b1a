"""Everything that the rules may look at, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.money import Money, Price
from tradetui.domain.order import SCRIPT_SOURCE, OrderRequest, Product, Side
from tradetui.risk.limits import Limits

PHASE_UNKNOWN: Final = "unknown to the calendar"
"""Session phase on a day that our calendar has no hours for: no new risk, but an exit may be tried."""


class RiskState(StrEnum):
    """What the gate lets through."""

    ACTIVE = "active"
    REDUCING = "reducing only"
    """Exits and cancels only."""
    HALTED = "halted"
    """Kill pulled: exits and cancels only, strategies paused, until a person resumes."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What the dated lists say about one instrument; ``None`` means: no list at hand.

    Attributes:
        banned: The underlying is in the F&O ban period.
        intraday: The broker takes intraday orders in this share.
        surveillance: Measure and stage, such as ``ASM 2``; empty when on no such list.
        trade_for_trade: The surveillance stage settles it trade by trade.
    """

    banned: bool | None = None
    intraday: bool | None = None
    surveillance: str | None = None
    trade_for_trade: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the rules may look at. Prices in 1/10,000 rupee; ``None`` means not known.

    Attributes:
        request: The order to judge.
        instrument: Its terms; ``None`` when the key is unknown.
        limits: The numbers.
        state: The gate's state.
        state_reason: Why it is not active.
        journal_problem: Why the journal cannot be written; empty while it can.
        position_qty: Net units held in this instrument and product.
        pending_qty: Units of working orders on the request's side, in this instrument and product.
        pending_other_qty: The same on the other side.
        last, bid, ask: Market.
        quote_age_s: Seconds since the last frame for the instrument.
        feed_up: The stream is connected and alive.
        phase: Session phase: ``continuous``, ``pre-open``, ``closing auction``, ``post-close``, ``closed``.
        stage: Where inside an auction: ``reference``, ``entry``, ``limit only``, ``match``, ``buffer``; else empty.
        may_end: Order entry of the auction may end at any moment (random close).
        band: Lowest and highest price of the day (circuit).
        available: Cash available to trade, less what orders since the last reading are likely to block.
        funds_known: ``available`` is the broker's own figure, not our capital.
        day_loss, week_loss, month_drawdown: Losses against their limits, as positive amounts; what a person has
            waived with a typed reason is left out. ADR 0009 says how they are measured.
        exposure: Value of all open positions and working entries.
        open_positions: Instruments with a position or a working entry; a basket counts once.
        intraday_positions, swing_positions: Those of product I, and the others.
        underlying_positions: Those in the request's underlying.
        counted: The request's instrument, or its basket, is among them already.
        member: A leg of a basket that has been approved as a whole: its counts and money were judged there.
        sliceable: More than the freeze quantity may go out in slices (a change of one order cannot).
        entries_today: Orders that opened risk today.
        losses_in_a_row: Losing round trips since the last winning one, today.
        loss_age_s: Seconds since the last of them.
        orders_last_second: Orders sent within the last second.
        usual_qty: Median size of the user's last orders in this underlying.
        unknown_order: An order of unknown outcome exists in this instrument.
        account_trouble: Why the broker does not show us the account; empty when it does.
        differs: Net units in this instrument, ours and the broker's, by product, while the two do not agree.
        odd_rows: Rows of the broker's books that could not be read today.
        segment_locked: The account's own kill switch at the broker has closed the segment.
        same_recent: An equal order was sent within `Limits.duplicate_s`.
        strategy_idle_s: Seconds since this strategy's last order in this instrument.
        second_of_day: Seconds after midnight IST.
        live, armed: Whether orders are real, and whether live trading is armed.
        score: The signal's score; ``None`` for a person's order.
        margin_needed: Estimated cash the order will block.
        listed: What the dated lists say.
        expiry_days: Trading days until a derivative's expiry; 0 on the day itself.
        underlying_last: Last price of a derivative's underlying.
        free_qty: Units a delivery sale may take, T1 included; ``None`` while holdings were not read.
        t1_qty: Of those, bought and not settled yet.
        may_sell_holdings: Delivery sales need no further authorisation (DDPI or POA).
    """

    request: OrderRequest
    instrument: Instrument | None
    limits: Limits
    state: RiskState = RiskState.ACTIVE
    state_reason: str = ""
    journal_problem: str = ""
    position_qty: int = 0
    pending_qty: int = 0
    pending_other_qty: int = 0
    last: Price | None = None
    bid: Price | None = None
    ask: Price | None = None
    quote_age_s: float | None = None
    feed_up: bool = True
    phase: str = "continuous"
    stage: str = ""
    may_end: bool = False
    band: tuple[Price, Price] | None = None
    available: Money = Money(0)
    funds_known: bool = False
    day_loss: Money = Money(0)
    week_loss: Money = Money(0)
    month_drawdown: Money = Money(0)
    exposure: Money = Money(0)
    open_positions: int = 0
    intraday_positions: int = 0
    swing_positions: int = 0
    underlying_positions: int = 0
    counted: bool = False
    member: bool = False
    sliceable: bool = True
    entries_today: int = 0
    losses_in_a_row: int = 0
    loss_age_s: float | None = None
    orders_last_second: int = 0
    usual_qty: float | None = None
    unknown_order: bool = False
    account_trouble: str = ""
    differs: tuple[tuple[Product, int, int], ...] = ()
    odd_rows: int = 0
    segment_locked: bool = False
    same_recent: bool = False
    strategy_idle_s: float | None = None
    second_of_day: int = 0
    live: bool = False
    armed: bool = False
    score: float | None = None
    margin_needed: Money = Money(0)
    listed: Listed = Listed()
    expiry_days: int | None = None
    underlying_last: Price | None = None
    free_qty: int | None = None
    t1_qty: int = 0
    may_sell_holdings: bool | None = None

    @property
    def reducing(self) -> bool:
        """Whether the order can only make a position smaller, on top of the exits that already work.

        The sale of shares that lie free in the demat account is an exit too.
        """
        if self.sells_holdings:
            return self.free_qty is not None and 0 < self.request.qty <= self.free_qty
        if self.position_qty * self.request.side.sign >= 0:
            return False
        return self.request.qty + self.pending_qty <= abs(self.position_qty)

    @property
    def sells_holdings(self) -> bool:
        """Whether shares leave the demat account: a delivery sale in the cash segment."""
        return (
            self.request.side is Side.SELL
            and self.request.product is Product.DELIVERY
            and self.instrument is not None
            and self.instrument.kind is InstrumentKind.EQUITY
            and self.request.qty + self.pending_qty > self.position_qty
        )

    @property
    def effect(self) -> str:
        """What the order does to the position, in words."""
        sign, held, qty = self.request.side.sign, self.position_qty, self.request.qty
        if self.sells_holdings and self.reducing:
            return f"sells {qty} of {self.free_qty} in the demat account"
        word = "long" if sign > 0 else "short"
        if held * sign >= 0:
            return f"{'adds to' if held else 'opens'} {word} {qty}"
        closing = min(qty, abs(held))
        rest = qty - closing
        return f"closes {closing}" + (f" and opens new {word} {rest}" if rest else f" of {abs(held)}")

    @property
    def by_script(self) -> bool:
        """Whether another program of the user asks: it has caps of its own, and no cooldown or window of strategies."""
        return self.request.source.startswith(SCRIPT_SOURCE)

    @property
    def by_strategy(self) -> bool:
        """Whether a strategy asks, not a person."""
        return self.request.source != "manual"

    @property
    def reference(self) -> Price | None:
        """The price to judge value and distance by: the limit, else the trigger, else the last price."""
        return self.request.price or self.request.trigger_price or self.last

    @property
    def value(self) -> Money:
        """Value of the order at its reference price; 0 while there is none."""
        multiplier = self.instrument.multiplier if self.instrument else 1
        return Money((self.reference or 0) * max(0, self.request.qty) * multiplier)
