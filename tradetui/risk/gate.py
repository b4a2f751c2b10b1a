"""The one gate: every order passes it, human or strategy, paper or live, and it fails closed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from tradetui.domain.money import Money
from tradetui.domain.view import Check, Verdict
from tradetui.risk.facts import Facts
from tradetui.risk.rules import counts, form, lists, market, money, state, strategy

Rule = Callable[[Facts], Check]

RULES: Final[tuple[Rule, ...]] = (
    state.known_instrument,
    state.state,
    state.journal,
    state.arming,
    state.segment,
    state.commodity,
    state.unknown_order,
    state.account,
    state.position_differs,
    state.odd_rows,
    form.lot,
    form.freeze,
    form.tick,
    form.stop_side,
    form.trigger_distance,
    form.order_form,
    form.disclosed,
    market.phase,
    market.square_off,
    market.feed,
    market.stale,
    market.price_band,
    market.option_band,
    market.fat_finger,
    market.usual_size,
    money.order_value,
    money.funds,
    money.exposure,
    money.risk_at_stop,
    money.daily_loss,
    money.weekly_loss,
    money.monthly_drawdown,
    money.free_holdings,
    counts.position_count,
    counts.trade_count,
    counts.order_rate,
    counts.losing_run,
    counts.duplicate,
    lists.ban_list,
    lists.intraday_list,
    lists.surveillance,
    lists.same_day_sale,
    lists.expiry,
    strategy.strategy_position,
    strategy.cooldown,
    strategy.window,
    strategy.score,
    strategy.reward_risk,
)
"""All rules, in the order they are shown. The first decides whether the others can look at all."""


def judge(facts: Facts) -> tuple[Check, ...]:
    """Run every rule. A rule that breaks counts as a refusal: the gate fails closed."""
    results: list[Check] = []
    for rule in RULES:
        try:
            results.append(rule(facts))
        except Exception as error:  # whatever broke, the order must not pass
            results.append(Check(rule.__name__, Verdict.BLOCK, f"the rule failed: {type(error).__name__}"))
        if rule is state.known_instrument and results[-1].verdict is Verdict.BLOCK:
            break
    return tuple(results)


def judge_group(legs: Sequence[Facts], margin: Money | None = None) -> tuple[tuple[Check, ...], ...]:
    """Judge the legs of one basket together, in the order in which they will be sent.

    The basket counts as one position and one entry, and its money is judged once and as a whole, by its first
    leg: so that no leg is let through whose partner would then be refused. Send none when one is refused
    (`refusal_of_group`); send each approved leg with ``Facts.member`` set.

    Args:
        legs: Facts of each leg, all gathered before any of them is sent.
        margin: What the basket blocks as a whole, after the hedge; ``None`` for the sum of its legs.
    """
    adding = [leg for leg in legs if not leg.reducing]
    if not adding:
        return tuple(judge(leg) for leg in legs)
    needed = margin if margin is not None else Money(sum(leg.margin_needed for leg in adding))
    value = sum(leg.value for leg in adding)
    first = adding[0]
    results = []
    for leg in legs:
        if leg is first:
            # Its own value is added by the exposure rule itself.
            whole = replace(leg, margin_needed=needed, exposure=Money(leg.exposure + value - leg.value))
            results.append(judge(whole))
        else:
            results.append(judge(leg if leg.reducing else replace(leg, member=True)))
    return tuple(results)


def refusal(results: Sequence[Check]) -> str:
    """The words of every rule that says no; empty when the order may go."""
    return "; ".join(check.words for check in results if check.verdict is Verdict.BLOCK)


def refusal_of_group(results: Sequence[Sequence[Check]]) -> str:
    """Why a basket may not go, naming the legs by number; empty when all of them may."""
    said = [(number, refusal(leg)) for number, leg in enumerate(results, 1)]
    return "; ".join(f"leg {number}: {words}" for number, words in said if words)
