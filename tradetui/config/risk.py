"""The settings of the risk gate."""

from __future__ import annotations

from dataclasses import dataclass

from tradetui.config.about import setting


@dataclass(frozen=True, slots=True)
class Risk:
    """Limits of the risk gate. They hold for people and strategies, paper and live."""

    risk_per_trade: float = setting(
        1.0, "capital that one trade may lose at its stop", unit="percent", low=0.01, high=10
    )
    per_trade: str = setting(
        "warn",
        "what your own order that risks more at its stop meets; a strategy's is always refused",
        choices=("warn", "block"),
    )
    daily_loss: float = setting(
        3.0, "loss of the day that stops new risk until tomorrow", unit="percent of capital", low=0.1, high=50
    )
    weekly_loss: float = setting(
        6.0, "the same since Monday; 0 for no limit", unit="percent of capital", low=0, high=90
    )
    monthly_drawdown: float = setting(
        10.0,
        "fall of the month's result from its best day's end; 0 for no limit",
        unit="percent of capital",
        low=0,
        high=90,
    )
    after_auction: str = setting(
        "exit_before",
        "intraday positions when the closing auction nears, which cancels resting stops: closed before it, or watched by us",
        choices=("exit_before", "watch"),
    )
    on_daily_loss: str = setting(
        "block",
        "when a loss limit is reached: block stops new risk, flatten closes intraday and derivatives too",
        choices=("block", "flatten"),
    )
    max_positions: int = setting(6, "open positions in all; a basket counts once", low=1, high=1000)
    max_swing_positions: int = setting(4, "open positions that are not intraday", low=0, high=1000)
    max_intraday_positions: int = setting(2, "open intraday positions", low=0, high=1000)
    max_underlying_positions: int = setting(2, "open positions in one underlying", low=1, high=1000)
    max_order_value: float = setting(
        0.0, "value of one order; 0 means capital times max_leverage", unit="rupees", low=0, high=1e12
    )
    max_leverage: float = setting(5.0, "total exposure over capital", unit="times", low=0.1, high=20)
    min_score: float = setting(
        60.0, "lowest score of a signal that may become an order", unit="percent", low=0, high=100
    )
    min_reward_risk: float = setting(1.5, "lowest reward over risk of a signal", low=0.1, high=20)
    window_start: str = setting("09:20", "strategies may enter from", unit="IST", clock=True)
    window_end: str = setting("15:00", "strategies may enter until", unit="IST", clock=True)
    square_off: str = setting(
        "15:00",
        "no new intraday position in shares and F&O from then on; must lie before your broker's own cut-off",
        unit="IST",
        clock=True,
    )
    square_off_mcx: str = setting("22:45", "the same for commodities", unit="IST", clock=True)
    cooldown: int = setting(
        300, "a strategy leaves an instrument alone after an order", unit="seconds", low=0, high=86_400
    )
    duplicate: int = setting(
        5, "an equal order within this time is a duplicate", unit="seconds", low=0, high=3_600
    )
    stale_warn: float = setting(
        30.0, "age of a quote that draws a warning", unit="seconds", low=1, high=3_600
    )
    stale_block: float = setting(
        300.0, "age of a quote that refuses market orders", unit="seconds", low=1, high=86_400
    )
    max_ltp_distance: float = setting(
        10.0, "limit price through the last price (fat finger)", unit="percent", low=0.1, high=100
    )
    quantity_warn: float = setting(
        3.0,
        "quantity over your usual one there that draws a warning; 0 for never",
        unit="times",
        low=0,
        high=1000,
    )
    quantity_block: float = setting(
        10.0, "the same that is refused; 0 for never", unit="times", low=0, high=1000
    )
    max_trades: int = setting(0, "entries a day; 0 for no limit", low=0, high=10_000)
    orders_per_second: int = setting(8, "orders within a second, exits excepted", low=1, high=10)
    max_losses_in_a_row: int = setting(
        3, "losing trades after which strategies pause and you are warned; 0 for never", low=0, high=100
    )
    loss_pause: int = setting(
        1_800, "how long they pause; 0 until tomorrow", unit="seconds", low=0, high=86_400
    )
    market_protection: float = setting(
        3.0, "worst slippage assumed for market orders", unit="percent", low=0.1, high=25
    )
