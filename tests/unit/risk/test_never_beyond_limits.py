"""No order leaves while a limit is breached: random requests and states against a bookkeeper of the test's own.

That the bookkeeper would notice is shown, too: with any one rule taken out of the gate it does.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.unit.risk.keeper import STEPS, Breached, Pressure, play
from tradetui.domain.money import to_money
from tradetui.risk import gate
from tradetui.risk.limits import Limits
from tradetui.risk.rules import counts, form, lists, market, money, state, strategy

TIGHT = Limits(
    capital=to_money(20_000),
    daily_loss_pct=1.5,
    weekly_loss_pct=0,
    monthly_drawdown_pct=0,
    max_positions=3,
    max_intraday_positions=1,
    max_swing_positions=2,
    max_underlying_positions=2,
    max_leverage=1.4,
    max_order_value=to_money(12_000),
    max_trades_per_day=3,
    orders_per_second=3,
    cooldown_s=0,
    stale_block_s=1e6,
    max_losses_in_a_row=0,
)
WIDE = replace(
    TIGHT,
    capital=to_money(10_000_000),
    daily_loss_pct=50.0,
    max_positions=9,
    max_intraday_positions=9,
    max_swing_positions=9,
    max_underlying_positions=9,
    max_order_value=to_money(1_000_000),
    max_trades_per_day=0,
    orders_per_second=10,
)
"""Nothing but what a pressure sets is in the way."""
LOSING = replace(WIDE, capital=to_money(20_000), max_leverage=20.0)
PRESSURES = {
    "all at once": Pressure(TIGHT),
    "few positions": Pressure(replace(WIDE, max_positions=2)),
    "few in an underlying": Pressure(replace(WIDE, max_underlying_positions=1)),
    "few intraday": Pressure(replace(WIDE, max_intraday_positions=1)),
    "few swing": Pressure(replace(WIDE, max_swing_positions=1)),
    "few trades": Pressure(replace(WIDE, max_trades_per_day=1)),
    "small orders": Pressure(replace(WIDE, max_order_value=to_money(6_000))),
    "little exposure": Pressure(replace(WIDE, capital=to_money(20_000), max_leverage=0.8)),
    "little cash": Pressure(WIDE, funds=9_000),
    "slow hands": Pressure(replace(WIDE, orders_per_second=1)),
    "evening": Pressure(WIDE, later_s=5 * 3600 - 60),
    "a losing day": Pressure(replace(LOSING, daily_loss_pct=1.0)),
    "a losing day, no breaker": Pressure(replace(LOSING, daily_loss_pct=1.0), latched=False),
    "a losing week, no breaker": Pressure(replace(LOSING, weekly_loss_pct=1.0), latched=False),
    "a losing month, no breaker": Pressure(replace(LOSING, monthly_drawdown_pct=1.0), latched=False),
    "careful strategies": Pressure(replace(WIDE, capital=to_money(20_000), max_leverage=20.0, risk_per_trade_pct=0.4)),
    "patient strategies": Pressure(replace(WIDE, cooldown_s=60)),
}  # fmt: skip
CAUGHT_BY = (
    (form.lot, "lot", "all at once"),
    (state.state, "state", "all at once"),
    (state.segment, "segment", "all at once"),
    (state.unknown_order, "unknown", "few intraday"),
    (market.feed, "feed", "all at once"),
    (market.price_band, "band", "few intraday"),
    (market.fat_finger, "distance", "few intraday"),
    (market.square_off, "square-off", "evening"),
    (money.order_value, "value", "all at once"),
    (money.order_value, "value", "small orders"),
    (money.exposure, "exposure", "all at once"),
    (money.exposure, "exposure", "little exposure"),
    (money.funds, "funds", "little cash"),
    (money.daily_loss, "day loss", "a losing day, no breaker"),
    (money.weekly_loss, "week loss", "a losing week, no breaker"),
    (money.monthly_drawdown, "month loss", "a losing month, no breaker"),
    (money.free_holdings, "holdings", "few intraday"),
    (counts.position_count, "positions", "all at once"),
    (counts.position_count, "positions", "few positions"),
    (counts.position_count, "positions", "few in an underlying"),
    (counts.position_count, "positions", "few intraday"),
    (counts.position_count, "positions", "few swing"),
    (counts.trade_count, "trades", "few trades"),
    (counts.order_rate, "rate", "slow hands"),
    (strategy.strategy_position, "holding", "few intraday"),
    (strategy.cooldown, "cooldown", "patient strategies"),
    (strategy.window, "window", "evening"),
    (money.risk_at_stop, "trade risk", "careful strategies"),
)
"""Rule -> the limit that the bookkeeper names without it, and the pressure under which it does."""

BY_CASES = (
    state.known_instrument, state.journal, state.arming, state.account, state.commodity,
    state.position_differs, state.odd_rows, form.freeze, form.tick, form.stop_side, form.trigger_distance,
    form.order_form, form.disclosed, market.phase, market.stale, market.option_band, market.usual_size,
    counts.losing_run, counts.duplicate, lists.ban_list, lists.intraday_list, lists.surveillance,
    lists.same_day_sale, lists.expiry, strategy.score, strategy.reward_risk,
)  # fmt: skip
"""Rules about one order's form, about lists and about the account: `test_gate.py` and `test_rules.py` have their cases."""


def test_every_rule_is_pressed_against_or_has_its_cases() -> None:
    pressed = {rule for rule, _, _ in CAUGHT_BY}
    assert pressed.isdisjoint(BY_CASES)
    assert pressed | set(BY_CASES) == set(gate.RULES)


@pytest.mark.parametrize("name", PRESSURES)
def test_property_limits_no_order_leaves_while_one_is_breached(name: str) -> None:
    @settings(max_examples=15, deadline=None)
    @given(STEPS)
    def holds(steps: list[tuple[object, ...]]) -> None:
        play(PRESSURES[name], steps)

    holds()


@pytest.mark.parametrize(
    ("rule", "limit", "name"), CAUGHT_BY, ids=[f"{rule.__name__}, {name}" for rule, _, name in CAUGHT_BY]
)
def test_without_a_rule_the_bookkeeper_names_its_limit(
    rule: gate.Rule, limit: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "RULES", tuple(each for each in gate.RULES if each is not rule))

    @settings(
        max_examples=600,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(STEPS)
    def goes_wrong(steps: list[tuple[object, ...]]) -> None:
        play(PRESSURES[name], steps)

    with pytest.raises(Breached) as caught:
        goes_wrong()
    assert caught.value.limit == limit
