"""One pure function per rule: `Facts` in, `Check` out.

A rule that only limits new risk passes at once for orders that reduce a position: nothing may stand between
a person and the exit. To add a rule, write a function here and list it in `gate.RULES`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.money import Money, Price, decimals_of, format_rupees, is_on_tick
from tradetui.domain.order import OrderRequest, OrderType, Product, Side, Validity
from tradetui.domain.view import Check, Verdict
from tradetui.risk.limits import Limits


class RiskState(StrEnum):
    """What the gate lets through."""

    ACTIVE = "active"
    REDUCING = "reducing only"
    """Exits and cancels only."""
    HALTED = "halted"
    """Kill pulled: exits and cancels only, strategies paused, until a person resumes."""


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
        available: Cash available to trade.
        day_pnl: Realised plus unrealised profit of the day, net of charges.
        exposure: Value of all open positions.
        open_positions, intraday_positions: How many there are.
        entries_today: Orders that opened risk today.
        unknown_order: An order of unknown outcome exists in this instrument.
        account_trouble: Why the broker does not show us the account; empty when it does.
        same_recent: An equal order was sent within `Limits.duplicate_s`.
        strategy_idle_s: Seconds since this strategy's last order in this instrument.
        second_of_day: Seconds after midnight IST.
        live, armed: Whether orders are real, and whether live trading is armed.
        score: The signal's score; ``None`` for a person's order.
        margin_needed: Estimated cash the order will block.
        protection: Whether the order is a managed protective exit.
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
    available: Money = Money(0)
    day_pnl: Money = Money(0)
    exposure: Money = Money(0)
    open_positions: int = 0
    intraday_positions: int = 0
    entries_today: int = 0
    unknown_order: bool = False
    account_trouble: str = ""
    same_recent: bool = False
    strategy_idle_s: float | None = None
    second_of_day: int = 0
    live: bool = False
    armed: bool = False
    score: float | None = None
    margin_needed: Money = Money(0)

    @property
    def reducing(self) -> bool:
        """Whether the order, on top of the exits that already work, can only make the position smaller."""
        if self.position_qty * self.request.side.sign >= 0:
            return False
        return self.request.qty + self.pending_qty <= abs(self.position_qty)

    @property
    def effect(self) -> str:
        """What the order does to the position, in words."""
        sign, held, qty = self.request.side.sign, self.position_qty, self.request.qty
        word = "long" if sign > 0 else "short"
        if held * sign >= 0:
            return f"{'adds to' if held else 'opens'} {word} {qty}"
        closing = min(qty, abs(held))
        rest = qty - closing
        return f"closes {closing}" + (f" and opens new {word} {rest}" if rest else f" of {abs(held)}")

    @property
    def by_strategy(self) -> bool:
        """Whether a strategy asks, not a person."""
        return self.request.source != "manual"

    @property
    def reference(self) -> Price | None:
        """The price to judge value and distance by: the limit, else the last price."""
        return self.request.price or self.last


def _ok(rule: str, words: str = "") -> Check:
    return Check(rule, Verdict.PASS, words)


def _warn(rule: str, words: str) -> Check:
    return Check(rule, Verdict.WARN, words)


def _block(rule: str, words: str) -> Check:
    return Check(rule, Verdict.BLOCK, words)


def known_instrument(f: Facts) -> Check:
    """The instrument exists and can be traded (an index cannot)."""
    if f.instrument is None:
        return _block(
            "instrument", f"unknown instrument {f.request.instrument_key}: sync the instrument list"
        )
    if not f.instrument.tradable:
        return _block("instrument", f"{f.instrument.symbol} is an index: trade its future or options instead")
    return _ok("instrument")


def state(f: Facts) -> Check:
    """Halted and reducing-only let nothing but exits through."""
    if f.state is RiskState.ACTIVE or f.reducing:
        return _ok("state")
    return _block(
        "state", f"trading is {f.state.value}: {f.state_reason or 'see the risk pane'}; exits stay possible"
    )


def journal(f: Facts) -> Check:
    """An order that cannot be written down first is not sent: not even an exit."""
    if not f.journal_problem:
        return _ok("journal")
    return _block("journal", f"{f.journal_problem}: no order is sent until it can be written")


def arming(f: Facts) -> Check:
    """Live orders that add risk need arming; exits never do."""
    if not f.live or f.armed or f.reducing:
        return _ok("arming")
    return _block("arming", "live trading is disarmed: type :arm and the minutes")


def lot(f: Facts) -> Check:
    """Quantity is positive and a whole number of lots."""
    assert f.instrument is not None
    qty, size = f.request.qty, f.instrument.lot_size
    if qty <= 0:
        return _block("lot", "quantity must be at least 1")
    if qty % size:
        return _block(
            "lot",
            f"quantity {qty} is not a multiple of the lot of {size}: try {max(size, qty // size * size)}",
        )
    return _ok("lot")


def freeze(f: Facts) -> Check:
    """One order may not exceed the exchange's freeze quantity, cut to whole lots."""
    assert f.instrument is not None
    most = f.instrument.max_order_qty
    if most and f.request.qty > most:
        return _block(
            "freeze", f"quantity {f.request.qty} is above the freeze limit: at most {most} an order"
        )
    return _ok("freeze")


def tick(f: Facts) -> Check:
    """Prices lie on the instrument's tick and belong to the order type."""
    assert f.instrument is not None
    request, size = f.request, f.instrument.tick_size
    places = decimals_of(size)
    wants_price = request.order_type in (OrderType.LIMIT, OrderType.SL)
    wants_trigger = request.order_type in (OrderType.SL, OrderType.SL_M)
    if wants_price and request.price <= 0:
        return _block("tick", f"a {request.order_type.value} order needs a price")
    if wants_trigger and request.trigger_price <= 0:
        return _block("tick", f"a {request.order_type.value} order needs a trigger price")
    for name, price in (("price", request.price), ("trigger", request.trigger_price)):
        if price and not is_on_tick(price, size):
            return _block(
                "tick", f"{name} {format_rupees(price, 4)} is not a multiple of {format_rupees(size, places)}"
            )
    return _ok("tick")


def stop_side(f: Facts) -> Check:
    """A stop's trigger lies on the adverse side, and its limit beyond the trigger (india-markets 3)."""
    request = f.request
    if request.order_type not in (OrderType.SL, OrderType.SL_M):
        return _ok("stop")
    buy = request.side is Side.BUY
    if request.order_type is OrderType.SL and (
        request.price < request.trigger_price if buy else request.price > request.trigger_price
    ):
        return _block(
            "stop",
            f"the limit of a {'buy' if buy else 'sell'} stop must be {'at or above' if buy else 'at or below'} its trigger",
        )
    if f.last is not None and (request.trigger_price <= f.last if buy else request.trigger_price >= f.last):
        return _block(
            "stop",
            f"the trigger is already {'below' if buy else 'above'} the last price: it would fire at once",
        )
    return _ok("stop")


def order_form(f: Facts) -> Check:
    """Forms that exchange or broker refuse anyway: said here, before sending (india-markets 3)."""
    assert f.instrument is not None
    request, instrument = f.request, f.instrument
    if request.order_type is OrderType.SL_M and (instrument.is_option or instrument.exchange == "BSE"):
        return _block("form", "SL-M is not allowed on options, nor on BSE: use SL with a limit")
    if request.order_type in (OrderType.MARKET, OrderType.SL_M) and request.protection_pct == 0:
        return _block("form", "market orders need market protection: -1 (broker's choice) or 1 to 25 percent")
    if request.validity is Validity.IOC and request.order_type in (OrderType.SL, OrderType.SL_M):
        return _block("form", "a stop cannot be IOC")
    if request.disclosed_qty:
        if instrument.is_derivative:
            return _block("form", "disclosed quantity is not allowed in derivatives")
        if request.disclosed_qty * 10 < request.qty or request.disclosed_qty > request.qty:
            return _block("form", "disclosed quantity must be 10% to 100% of the quantity")
    if request.product is Product.MTF and instrument.kind is not InstrumentKind.EQUITY:
        return _block("form", "MTF exists for shares only")
    if request.product is Product.INTRADAY and instrument.series in ("BE", "BZ", "T", "Z", "ST"):
        return _block("form", f"series {instrument.series} is trade-for-trade: delivery only")
    return _ok("form")


def phase(f: Facts) -> Check:
    """The session phase takes this form of order."""
    if f.phase == "continuous":
        return _ok("phase")
    if f.phase in ("pre-open", "closing auction"):
        if f.request.order_type in (OrderType.SL, OrderType.SL_M) or f.request.validity is Validity.IOC:
            return _block("phase", f"{f.phase}: stops and IOC orders are not accepted")
        return _warn("phase", f"{f.phase}: the order takes part in the auction")
    return _block("phase", f"the market is {f.phase} for this instrument")


def feed(f: Facts) -> Check:
    """Without a live stream nobody knows the price: no new risk."""
    if f.feed_up:
        return _ok("feed")
    if f.reducing:
        return _warn("feed", "the feed is down: the price shown is old")
    return _block("feed", "the feed is down: no new risk until prices flow again")


def stale(f: Facts) -> Check:
    """An old quote: a quiet instrument draws a warning, a MARKET order on a very old or unseen quote is refused."""
    if f.last is None or f.quote_age_s is None:
        if f.reducing:
            return _warn("quote", "no price seen yet")
        return _block("quote", "no price seen yet for this instrument")
    limit = f.limits.stale_block_s
    if (
        f.quote_age_s > limit
        and f.request.order_type in (OrderType.MARKET, OrderType.SL_M)
        and not f.reducing
    ):
        return _block("quote", f"the last price is {f.quote_age_s:.0f} s old: use a LIMIT order")
    if f.quote_age_s > f.limits.stale_warn_s:
        return _warn("quote", f"the last price is {f.quote_age_s:.0f} s old")
    return _ok("quote")


def unknown_order(f: Facts) -> Check:
    """While an order's outcome is unknown, the same instrument takes no new risk."""
    if f.unknown_order and not f.reducing:
        return _block(
            "unknown",
            "an order in this instrument has an unknown outcome: wait until the broker's book tells",
        )
    return _ok("unknown")


def account(f: Facts) -> Check:
    """Without sight of the account (a login that ended) nobody knows what is held: no new risk."""
    if not f.account_trouble or f.reducing:
        return _ok("account")
    return _block("account", f"the account cannot be read: {f.account_trouble}")


def fat_finger(f: Facts) -> Check:
    """A limit price far from the last price on the losing side is more often a slip than a wish."""
    request = f.request
    if request.order_type not in (OrderType.LIMIT, OrderType.SL) or not f.last:
        return _ok("distance")
    away = (request.price - f.last) * request.side.sign / f.last * 100
    if away > f.limits.max_ltp_distance_pct:
        word = "above" if request.side is Side.BUY else "below"
        return _block(
            "distance",
            f"the price is {away:.1f}% {word} the last price: limit {f.limits.max_ltp_distance_pct:g}%",
        )
    if away > f.limits.max_ltp_distance_pct / 3:
        return _warn("distance", f"the price is {away:.1f}% through the last price")
    return _ok("distance")


def order_value(f: Facts) -> Check:
    """One order's value against its limit."""
    assert f.instrument is not None
    if f.reducing or not f.reference:
        return _ok("value")
    value = f.reference * f.request.qty * f.instrument.multiplier
    if value > f.limits.order_value:
        return _block(
            "value",
            f"value {format_rupees(value, 0)} is above the limit of {format_rupees(f.limits.order_value, 0)} an order",
        )
    return _ok("value")


def funds(f: Facts) -> Check:
    """Enough cash for the estimated margin."""
    if f.reducing or f.margin_needed <= f.available:
        return _ok("funds")
    return _block(
        "funds", f"needs about {format_rupees(f.margin_needed, 0)}, available {format_rupees(f.available, 0)}"
    )


def daily_loss(f: Facts) -> Check:
    """The day's loss, open positions included and net of charges, against its limit."""
    if f.reducing or -f.day_pnl < f.limits.daily_loss:
        return _ok("day loss")
    return _block(
        "day loss",
        f"loss of the day {format_rupees(-f.day_pnl, 0)} has reached the limit of {format_rupees(f.limits.daily_loss, 0)}",
    )


def position_count(f: Facts) -> Check:
    """Number of open positions, in all and intraday."""
    if f.reducing or f.position_qty:
        return _ok("positions")
    if f.open_positions >= f.limits.max_positions:
        return _block("positions", f"{f.open_positions} positions are open: limit {f.limits.max_positions}")
    if f.request.product is Product.INTRADAY and f.intraday_positions >= f.limits.max_intraday_positions:
        return _block(
            "positions",
            f"{f.intraday_positions} intraday positions are open: limit {f.limits.max_intraday_positions}",
        )
    return _ok("positions")


def exposure(f: Facts) -> Check:
    """Value of all positions after this order against capital times leverage."""
    assert f.instrument is not None
    if f.reducing or not f.reference:
        return _ok("exposure")
    after = f.exposure + f.reference * f.request.qty * f.instrument.multiplier
    most = round(f.limits.capital * f.limits.max_leverage)
    if after > most:
        return _block(
            "exposure", f"total exposure would be {format_rupees(after, 0)}: limit {format_rupees(most, 0)}"
        )
    return _ok("exposure")


def trade_count(f: Facts) -> Check:
    """Entries of the day against their limit."""
    most = f.limits.max_trades_per_day
    if f.reducing or not most or f.entries_today < most:
        return _ok("trades")
    return _block("trades", f"{f.entries_today} entries today: limit {most}")


def duplicate(f: Facts) -> Check:
    """The same order twice in a few seconds: a strategy is stopped, a person is asked to look again.

    Our own exits may repeat: slices of one position are equal, and so is a second try.
    """
    if not f.same_recent or (f.by_strategy and f.reducing):
        return _ok("duplicate")
    words = f"an equal order was sent within {f.limits.duplicate_s} s"
    return _block("duplicate", words) if f.by_strategy else _warn("duplicate", words)


def strategy_position(f: Facts) -> Check:
    """A strategy does not add to a position or a working order it would duplicate."""
    if not f.by_strategy or f.reducing:
        return _ok("holding")
    if f.position_qty or f.pending_qty or f.pending_other_qty:
        return _block("holding", "a position or a working order exists already in this instrument")
    return _ok("holding")


def cooldown(f: Facts) -> Check:
    """A strategy leaves an instrument alone for a while after an order there."""
    if (
        not f.by_strategy
        or f.reducing
        or f.strategy_idle_s is None
        or f.strategy_idle_s >= f.limits.cooldown_s
    ):
        return _ok("cooldown")
    return _block(
        "cooldown", f"last order here {f.strategy_idle_s:.0f} s ago: cooldown {f.limits.cooldown_s} s"
    )


def window(f: Facts) -> Check:
    """Strategies trade inside their window only."""
    if not f.by_strategy or f.reducing:
        return _ok("window")
    start, end = f.limits.window_start_s, f.limits.window_end_s
    if start <= f.second_of_day < end:
        return _ok("window")
    return _block("window", f"outside the trading window {_hhmm(start)} to {_hhmm(end)}")


def score(f: Facts) -> Check:
    """A signal's score against the lowest allowed."""
    if f.score is None or f.reducing or f.score >= f.limits.min_score:
        return _ok("score")
    return _block("score", f"score {f.score:.0f} is below {f.limits.min_score:.0f}")


def reward_risk(f: Facts) -> Check:
    """A signal's target must be worth its stop."""
    request = f.request
    if f.score is None or f.reducing:
        return _ok("reward:risk")
    entry = f.reference
    if not entry or not request.stop or not request.target:
        return _block("reward:risk", "the signal has no stop or no target")
    risk = (entry - request.stop) * request.side.sign
    reward = (request.target - entry) * request.side.sign
    if risk <= 0 or reward <= 0:
        return _block("reward:risk", "stop or target lies on the wrong side of the price")
    if reward / risk < f.limits.min_reward_risk:
        return _block("reward:risk", f"reward:risk {reward / risk:.2f} is below {f.limits.min_reward_risk:g}")
    return _ok("reward:risk")


def _hhmm(second: int) -> str:
    return f"{second // 3600:02d}:{second // 60 % 60:02d}"
