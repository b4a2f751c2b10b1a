"""Typed risk limits, filled in by wiring from the user's settings. Money in 1/10,000 rupee."""

from __future__ import annotations

from dataclasses import dataclass

from tradetui.domain.money import Money, to_money


@dataclass(frozen=True, slots=True)
class Limits:
    """What the risk gate measures against.

    Attributes:
        capital: Capital that percentages refer to.
        risk_per_trade_pct: Share of capital that one trade may lose at its stop (sizing uses it).
        daily_loss_pct: Loss of the day, as a share of capital, at which new risk stops until tomorrow.
        max_positions: Most open positions.
        max_intraday_positions: Most open positions of product I.
        max_order_value: Largest value of one order; 0 means the capital times `max_leverage`.
        max_leverage: Total exposure allowed, as a multiple of capital.
        min_score: Lowest score of a signal that may become an order, 0 to 100.
        min_reward_risk: Lowest (target - entry) / (entry - stop) of a signal.
        window_start_s, window_end_s: Trading window for strategies, seconds after midnight IST.
        cooldown_s: Seconds a strategy must leave an instrument alone after its last order there.
        duplicate_s: Seconds in which a second equal order from a person is called a duplicate (warning).
        stale_warn_s: Age of a quote that draws a warning.
        stale_block_s: Age of a quote at which a MARKET order is refused.
        max_ltp_distance_pct: Distance of a limit price from the last price that draws a block (fat finger).
        max_trades_per_day: Most entries a day; 0 for no limit.
        market_protection_pct: Worst-case slippage assumed for a protected market order.
    """

    capital: Money = to_money(50_000)
    risk_per_trade_pct: float = 1.0
    daily_loss_pct: float = 3.0
    max_positions: int = 4
    max_intraday_positions: int = 2
    max_order_value: Money = Money(0)
    max_leverage: float = 5.0
    min_score: float = 60.0
    min_reward_risk: float = 1.5
    window_start_s: int = 9 * 3600 + 20 * 60
    window_end_s: int = 15 * 3600
    cooldown_s: int = 300
    duplicate_s: int = 5
    stale_warn_s: float = 30.0
    stale_block_s: float = 300.0
    max_ltp_distance_pct: float = 10.0
    max_trades_per_day: int = 0
    market_protection_pct: float = 3.0

    @property
    def daily_loss(self) -> Money:
        """Loss of the day at which new risk stops, as a positive amount."""
        return Money(round(self.capital * self.daily_loss_pct / 100))

    @property
    def order_value(self) -> Money:
        """Largest value of one order."""
        return self.max_order_value or Money(round(self.capital * self.max_leverage))
