"""Settings into the plain arguments that lower floors take."""

from __future__ import annotations

from tradetui.config import Config, clock_seconds
from tradetui.domain.calendar import ist_date
from tradetui.domain.charges import (
    Leg,
    broker_plan,
    charge_class,
    estimate,
    overridden,
    shipped_schedule,
)
from tradetui.domain.errors import ConfigError, DomainError, RateUnknown
from tradetui.domain.instrument import Instrument
from tradetui.domain.intervals import INTERVALS
from tradetui.domain.money import Money, Price, to_money
from tradetui.domain.order import Product, Side
from tradetui.engine import Charge
from tradetui.indicators import Spec, parse_spec
from tradetui.risk.limits import Limits
from tradetui.strategies import (
    OpeningRangeBreakout,
    OpeningRangeSettings,
    Strategy,
    VoteSettings,
    VoteWeights,
    WeightedVote,
)


def limits_from(settings: Config, *, live: bool) -> Limits:
    """Risk limits. Live capital is never the paper default: the user types it."""
    risk = settings.risk
    capital = settings.account.live_capital if live else settings.account.capital
    return Limits(
        capital=to_money(capital),
        risk_per_trade_pct=risk.risk_per_trade,
        block_trade_risk=risk.per_trade == "block",
        daily_loss_pct=risk.daily_loss,
        weekly_loss_pct=risk.weekly_loss,
        monthly_drawdown_pct=risk.monthly_drawdown,
        watch_in_auction=risk.after_auction == "watch",
        flatten_on_loss=risk.on_daily_loss == "flatten",
        max_positions=risk.max_positions,
        max_swing_positions=risk.max_swing_positions,
        max_underlying_positions=risk.max_underlying_positions,
        max_intraday_positions=risk.max_intraday_positions,
        max_order_value=to_money(risk.max_order_value),
        max_leverage=risk.max_leverage,
        min_score=risk.min_score,
        min_reward_risk=risk.min_reward_risk,
        window_start_s=clock_seconds(risk.window_start),
        window_end_s=clock_seconds(risk.window_end),
        square_off_s=clock_seconds(risk.square_off),
        square_off_mcx_s=clock_seconds(risk.square_off_mcx),
        cooldown_s=risk.cooldown,
        duplicate_s=risk.duplicate,
        stale_warn_s=risk.stale_warn,
        stale_block_s=risk.stale_block,
        max_ltp_distance_pct=risk.max_ltp_distance,
        quantity_warn_times=risk.quantity_warn,
        quantity_block_times=risk.quantity_block,
        max_trades_per_day=risk.max_trades,
        orders_per_second=risk.orders_per_second,
        max_losses_in_a_row=risk.max_losses_in_a_row,
        loss_pause_s=risk.loss_pause,
        market_protection_pct=risk.market_protection,
    )


def charge_from(settings: Config) -> Charge:
    """A function that estimates the charges of one executed order; 0 where no rate is known.

    Raises:
        DomainError: A rate in the settings cannot be read.
    """
    plan = broker_plan(settings.account.plan)
    rates = overridden(shipped_schedule(), settings.charges.rates)

    def charge(
        instrument: Instrument, product: Product, side: Side, qty: int, price: Price, t_ns: int
    ) -> Money:
        try:
            leg = Leg(
                venue=instrument.exchange,
                kind=charge_class(instrument, product),
                side=side,
                qty=qty,
                price=price,
                day=ist_date(t_ns),
                multiplier=instrument.multiplier,
                underlying=instrument.name,
                security=instrument.key,
            )
            return estimate(leg, plan, rates).total
        except (RateUnknown, DomainError):
            return Money(0)

    return charge


def strategies_from(settings: Config) -> list[Strategy]:
    """The strategies that the settings enable, made with their settings.

    Raises:
        DomainError: A combination of settings that a strategy refuses.
    """
    chosen: list[Strategy] = []
    vote = settings.strategies.vote
    if vote.enabled:
        weights = VoteWeights(vote.rsi, vote.macd, vote.bollinger, vote.adx, vote.stochastic, vote.atr)
        intervals = tuple(interval_seconds(name) for name in vote.intervals)
        chosen.append(WeightedVote(VoteSettings(weights=weights, intervals=intervals)))
    opening = settings.strategies.opening_range
    if opening.enabled:
        chosen.append(
            OpeningRangeBreakout(
                OpeningRangeSettings(
                    minutes=opening.minutes, exit_minute=clock_seconds(opening.exit_time) // 60
                )
            )
        )
    return chosen


def overlays_from(settings: Config) -> tuple[Spec, ...]:
    """The lines that the chart draws over its bars.

    Raises:
        ConfigError: Not an indicator, or one that has nothing on the scale of prices.
    """
    specs = []
    for text in settings.watch.overlays:
        try:
            spec = parse_spec(text)
        except DomainError as error:
            raise ConfigError(f"watch.overlays: {error.message}", error.remedy) from None
        if not spec.indicator.on_price:
            raise ConfigError(
                f"watch.overlays: {spec} is not on the scale of prices",
                "`tradetui indicators list --on-price` names those that are",
            )
        specs.append(spec)
    return tuple(specs)


def interval_seconds(name: str) -> int:
    """Seconds of ``5m``.

    Raises:
        ConfigError: No such interval.
    """
    if name not in INTERVALS:
        raise ConfigError(f"no interval {name!r}", f"known: {', '.join(INTERVALS)}")
    return INTERVALS[name]
