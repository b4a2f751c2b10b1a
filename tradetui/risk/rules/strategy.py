"""Strategies only: holding, cooldown, window, score, reward over risk."""

from __future__ import annotations

from tradetui.domain.view import Check
from tradetui.risk.facts import Facts
from tradetui.risk.rules.answers import block, ok
from tradetui.risk.rules.market import hhmm


def strategy_position(f: Facts) -> Check:
    """A strategy does not add to a position or a working order it would duplicate."""
    if not f.by_strategy or f.by_script or f.reducing:
        return ok("holding")
    if f.position_qty or f.pending_qty or f.pending_other_qty:
        return block("holding", "a position or a working order exists already in this instrument")
    return ok("holding")


def cooldown(f: Facts) -> Check:
    """A strategy leaves an instrument alone for a while after an order there."""
    idle = f.strategy_idle_s
    if not f.by_strategy or f.by_script or f.reducing or idle is None or idle >= f.limits.cooldown_s:
        return ok("cooldown")
    return block("cooldown", f"last order here {idle:.0f} s ago: cooldown {f.limits.cooldown_s} s")


def window(f: Facts) -> Check:
    """Strategies trade inside their window only."""
    if not f.by_strategy or f.by_script or f.reducing:
        return ok("window")
    start, end = f.limits.window_start_s, f.limits.window_end_s
    if start <= f.second_of_day < end:
        return ok("window")
    return block("window", f"outside the trading window {hhmm(start)} to {hhmm(end)}")


def score(f: Facts) -> Check:
    """A signal's score against the lowest allowed."""
    if f.score is None or f.reducing or f.score >= f.limits.min_score:
        return ok("score")
    return block("score", f"score {f.score:.0f} is below {f.limits.min_score:.0f}")


def reward_risk(f: Facts) -> Check:
    """A signal's target must be worth its stop."""
    request = f.request
    if f.score is None or f.reducing:
        return ok("reward:risk")
    entry = f.reference
    if not entry or not request.stop or not request.target:
        return block("reward:risk", "the signal has no stop or no target")
    risk = (entry - request.stop) * request.side.sign
    reward = (request.target - entry) * request.side.sign
    if risk <= 0 or reward <= 0:
        return block("reward:risk", "stop or target lies on the wrong side of the price")
    if reward / risk < f.limits.min_reward_risk:
        return block("reward:risk", f"reward:risk {reward / risk:.2f} is below {f.limits.min_reward_risk:g}")
    return ok("reward:risk")
