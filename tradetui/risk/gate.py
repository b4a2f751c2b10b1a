"""The one gate: every order passes it, human or strategy, paper or live, and it fails closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tradetui.domain.view import Check, Verdict
from tradetui.risk import checks
from tradetui.risk.checks import Facts

Rule = Callable[[Facts], Check]

RULES: Final[tuple[Rule, ...]] = (
    checks.known_instrument,
    checks.state,
    checks.journal,
    checks.arming,
    checks.lot,
    checks.freeze,
    checks.tick,
    checks.stop_side,
    checks.order_form,
    checks.phase,
    checks.feed,
    checks.stale,
    checks.unknown_order,
    checks.account,
    checks.fat_finger,
    checks.order_value,
    checks.funds,
    checks.daily_loss,
    checks.position_count,
    checks.exposure,
    checks.trade_count,
    checks.duplicate,
    checks.strategy_position,
    checks.cooldown,
    checks.window,
    checks.score,
    checks.reward_risk,
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
        if rule is checks.known_instrument and results[-1].verdict is Verdict.BLOCK:
            break
    return tuple(results)


def refusal(results: tuple[Check, ...]) -> str:
    """The words of every rule that says no; empty when the order may go."""
    return "; ".join(check.words for check in results if check.verdict is Verdict.BLOCK)
