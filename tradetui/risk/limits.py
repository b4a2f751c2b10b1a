"""Typed risk limits, filled in by wiring from the user's settings. Money in 1/10,000 rupee.

A limit may be changed while running (`change`): the names are those of the settings under ``[risk]``.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from tradetui.domain.errors import DomainError
from tradetui.domain.money import Money, to_money, to_rupees

MAX_SLICES: Final = 25
"""Most slices of one parent order (`upstox.md` 2.4: up to 25 in one request)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the risk gate measures against.

    Attributes:
        capital: Capital that percentages refer to.
        risk_per_trade_pct: Share of capital that one trade may lose at its stop (sizing uses it).
        block_trade_risk: A person's order that risks more is refused, not only warned of.
        daily_loss_pct: Loss of the day, as a share of capital, at which new risk stops until tomorrow.
        weekly_loss_pct: The same since Monday; 0 for no limit.
        monthly_drawdown_pct: Fall of the month's result from its best day's end; 0 for no limit.
        flatten_on_loss: When the day's limit is reached, positions are closed too.
        watch_in_auction: Intraday positions stay open when the closing auction takes their resting stops away.
        max_positions: Most open positions, a basket counted once.
        max_swing_positions: Most open positions of other products than I.
        max_intraday_positions: Most open positions of product I.
        max_underlying_positions: Most open positions in one underlying.
        max_order_value: Largest value of one order; 0 means the capital times `max_leverage`.
        max_leverage: Total exposure allowed, as a multiple of capital.
        min_score: Lowest score of a signal that may become an order, 0 to 100.
        min_reward_risk: Lowest (target - entry) / (entry - stop) of a signal.
        window_start_s, window_end_s: Trading window for strategies, seconds after midnight IST.
        square_off_s, square_off_mcx_s: From then on no new intraday risk, seconds after midnight IST.
        cooldown_s: Seconds a strategy must leave an instrument alone after its last order there.
        duplicate_s: Seconds in which a second equal order from a person is called a duplicate (warning).
        stale_warn_s: Age of a quote that draws a warning.
        stale_block_s: Age of a quote at which a MARKET order is refused.
        max_ltp_distance_pct: Distance of a limit price from the last price that draws a block (fat finger).
        quantity_warn_times, quantity_block_times: Quantity over the usual one that draws a warning, and a block;
            0 for never.
        max_trades_per_day: Most entries a day; 0 for no limit.
        orders_per_second: Most orders within one second, exits excepted.
        max_losses_in_a_row: Losing trades after which strategies pause; 0 for never.
        loss_pause_s: How long they pause; 0 until tomorrow.
        market_protection_pct: Worst-case slippage assumed for a protected market order.
    """

    capital: Money = to_money(50_000)
    risk_per_trade_pct: float = 1.0
    block_trade_risk: bool = False
    daily_loss_pct: float = 3.0
    weekly_loss_pct: float = 6.0
    monthly_drawdown_pct: float = 10.0
    flatten_on_loss: bool = False
    watch_in_auction: bool = False
    max_positions: int = 6
    max_swing_positions: int = 4
    max_intraday_positions: int = 2
    max_underlying_positions: int = 2
    max_order_value: Money = Money(0)
    max_leverage: float = 5.0
    min_score: float = 60.0
    min_reward_risk: float = 1.5
    window_start_s: int = 9 * 3600 + 20 * 60
    window_end_s: int = 15 * 3600
    square_off_s: int = 15 * 3600
    square_off_mcx_s: int = 22 * 3600 + 45 * 60
    cooldown_s: int = 300
    duplicate_s: int = 5
    stale_warn_s: float = 30.0
    stale_block_s: float = 300.0
    max_ltp_distance_pct: float = 10.0
    quantity_warn_times: float = 3.0
    quantity_block_times: float = 10.0
    max_trades_per_day: int = 0
    orders_per_second: int = 8
    max_losses_in_a_row: int = 3
    loss_pause_s: int = 1_800
    market_protection_pct: float = 3.0

    @property
    def daily_loss(self) -> Money:
        """Loss of the day at which new risk stops, as a positive amount."""
        return self._share(self.daily_loss_pct)

    @property
    def weekly_loss(self) -> Money:
        """Loss of the week at which new risk stops, as a positive amount; 0 for no limit."""
        return self._share(self.weekly_loss_pct)

    @property
    def monthly_drawdown(self) -> Money:
        """Drawdown of the month at which new risk stops, as a positive amount; 0 for no limit."""
        return self._share(self.monthly_drawdown_pct)

    @property
    def trade_risk(self) -> Money:
        """What one trade may lose at its stop."""
        return self._share(self.risk_per_trade_pct)

    @property
    def most_exposure(self) -> Money:
        """Most value of all positions together."""
        return Money(round(self.capital * self.max_leverage))

    @property
    def order_value(self) -> Money:
        """Largest value of one order."""
        return self.max_order_value or self.most_exposure

    def _share(self, pct: float) -> Money:
        return Money(round(self.capital * pct / 100))


@dataclass(frozen=True, slots=True)
class Changeable:
    """A limit that may be changed while running.

    Attributes:
        field: Name in `Limits`.
        low, high: Allowed range, both included; the same as of the setting.
        whole: A whole number.
        money: In rupees outside, in 1/10,000 rupee inside.
    """

    field: str
    low: float
    high: float
    whole: bool = False
    money: bool = False


CHANGEABLE: Final[Mapping[str, Changeable]] = {
    "risk_per_trade": Changeable("risk_per_trade_pct", 0.01, 10),
    "daily_loss": Changeable("daily_loss_pct", 0.1, 50),
    "weekly_loss": Changeable("weekly_loss_pct", 0, 90),
    "monthly_drawdown": Changeable("monthly_drawdown_pct", 0, 90),
    "max_positions": Changeable("max_positions", 1, 1000, whole=True),
    "max_swing_positions": Changeable("max_swing_positions", 0, 1000, whole=True),
    "max_intraday_positions": Changeable("max_intraday_positions", 0, 1000, whole=True),
    "max_underlying_positions": Changeable("max_underlying_positions", 1, 1000, whole=True),
    "max_order_value": Changeable("max_order_value", 0, 1e12, money=True),
    "max_leverage": Changeable("max_leverage", 0.1, 20),
    "min_score": Changeable("min_score", 0, 100),
    "min_reward_risk": Changeable("min_reward_risk", 0.1, 20),
    "cooldown": Changeable("cooldown_s", 0, 86_400, whole=True),
    "duplicate": Changeable("duplicate_s", 0, 3_600, whole=True),
    "stale_warn": Changeable("stale_warn_s", 1, 3_600),
    "stale_block": Changeable("stale_block_s", 1, 86_400),
    "max_ltp_distance": Changeable("max_ltp_distance_pct", 0.1, 100),
    "quantity_warn": Changeable("quantity_warn_times", 0, 1000),
    "quantity_block": Changeable("quantity_block_times", 0, 1000),
    "max_trades": Changeable("max_trades_per_day", 0, 10_000, whole=True),
    "orders_per_second": Changeable("orders_per_second", 1, 10, whole=True),
    "max_losses_in_a_row": Changeable("max_losses_in_a_row", 0, 100, whole=True),
    "loss_pause": Changeable("loss_pause_s", 0, 86_400, whole=True),
    "market_protection": Changeable("market_protection_pct", 0.1, 25),
}
"""Setting under ``[risk]`` -> the limit. Choices and times of day are changed in the settings file."""


def value_of(limits: Limits, name: str) -> float:
    """A changeable limit's value as a person types it: rupees, percent, seconds, numbers."""
    how = CHANGEABLE[name]
    value = getattr(limits, how.field)
    return to_rupees(value) if how.money else float(value)


def change(limits: Limits, name: str, value: float) -> Limits:
    """The limits with one of them changed.

    Raises:
        DomainError: No such limit, or out of its range; the words say which there are.
    """
    how = CHANGEABLE.get(name)
    if how is None:
        near = difflib.get_close_matches(name, CHANGEABLE, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(CHANGEABLE)}"
        raise DomainError(f"no limit {name!r} that can be changed while running: {hint}")
    if not math.isfinite(value) or not how.low <= value <= how.high:
        raise DomainError(f"{name} = {value:g} is out of range: {how.low:g} to {how.high:g} is allowed")
    if how.whole and value != int(value):
        raise DomainError(f"{name} must be a whole number")
    make: Callable[[float], Any] = to_money if how.money else int if how.whole else float
    changed: dict[str, Any] = {how.field: make(value)}
    return replace(limits, **changed)
