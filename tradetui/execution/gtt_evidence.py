"""What a statement of the broker about a GTT proves: pure functions over the GTT and the statement.

A GTT carries no label of ours, so a lost answer is settled by terms and time: one that the broker took in the
window of our request, with exactly its terms, and that is not known to be another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from tradetui.domain.events import Evidence, GttUpdate
from tradetui.domain.gtt import Gtt, GttRequest, GttRule, GttStatus, GttStrategy, RuleState, RuleStatus
from tradetui.domain.order import EXIT_SOURCE, STOP_SOURCE
from tradetui.domain.text import clean

SKEW_NS: Final = 10_000_000_000
"""How far the broker's clock may stand behind ours."""
WINDOW_NS: Final = 120_000_000_000
"""How long after our request the broker may say it took it; requests wait at most half a minute for an answer."""


def status_of(rules: Sequence[RuleState]) -> GttStatus:
    """The state of a GTT as a whole: at work while some rule may still fire."""
    entry = next((one for one in rules if one.rule.strategy is GttStrategy.ENTRY), None)
    dead_entry = entry is not None and entry.status in (
        RuleStatus.CANCELLED,
        RuleStatus.EXPIRED,
        RuleStatus.FAILED,
    )
    # Exits wait for the entry's fill: without one they never come to life.
    alive = [
        one
        for one in rules
        if not one.status.terminal and not (dead_entry and one.status is RuleStatus.INACTIVE)
    ]
    if alive:
        return GttStatus.ACTIVE
    said = {one.status for one in rules}
    if RuleStatus.COMPLETED in said:
        return GttStatus.DONE
    if RuleStatus.FAILED in said:
        return GttStatus.REJECTED
    return GttStatus.EXPIRED if RuleStatus.EXPIRED in said else GttStatus.CANCELLED


def is_it(gtt: Gtt, update: GttUpdate) -> bool:
    """Whether a GTT of the broker that nobody has claimed is the one whose answer we wait for."""
    if gtt.gtt_id or (update.created_ns and not _in_window(gtt, update.created_ns)):
        return False
    asked = gtt.request
    same = (
        asked.instrument_key == update.instrument_key
        and asked.side is update.side
        and asked.qty == update.qty
        and asked.product is update.product
    )
    stated = {one.rule.strategy: one.rule for one in update.rules}
    return (
        same
        and len(stated) == len(asked.rules)
        and all(_same_rule(rule, stated.get(rule.strategy)) for rule in asked.rules)
    )


def _in_window(gtt: Gtt, taken_ns: int) -> bool:
    return gtt.created_ns - SKEW_NS <= taken_ns <= gtt.created_ns + WINDOW_NS


def _same_rule(asked: GttRule, stated: GttRule | None) -> bool:
    if stated is None or asked.trailing_gap != stated.trailing_gap:
        return False
    # A trailing stop may have moved already, and a trigger's direction is told again only for entries.
    moved = bool(asked.trailing_gap)
    turned = asked.strategy is GttStrategy.ENTRY and asked.trigger is not stated.trigger
    return (moved or asked.trigger_price == stated.trigger_price) and not turned


def confirmed(gtt: Gtt, update: GttUpdate) -> Gtt:
    """The GTT as the broker states it."""
    protection = {rule.strategy: rule.protection_pct for rule in gtt.request.rules}
    rules = tuple(
        replace(one, rule=replace(one.rule, protection_pct=protection[one.rule.strategy]))
        if one.rule.strategy in protection and one.rule.protection_pct == -1
        else one
        for one in update.rules
    )
    request = replace(gtt.request, qty=update.qty, rules=tuple(one.rule for one in rules))
    return replace(
        gtt,
        gtt_id=update.gtt_id,
        request=request,
        rules=rules,
        status=status_of(rules),
        expires_ns=update.expires_ns or gtt.expires_ns,
        message=next((clean(one.message) for one in rules if one.message), "") or gtt.message,
    )


def adopted(update: GttUpdate) -> Gtt:
    """A GTT that was placed elsewhere."""
    request = GttRequest(
        update.instrument_key,
        update.side,
        update.qty,
        update.product,
        tuple(one.rule for one in update.rules),
        source="foreign",
    )
    created_ns = update.created_ns or update.t_ns
    stranger = Gtt(
        f"x-{update.gtt_id}", request, GttStatus.ACTIVE, created_ns, update.t_ns, update.gtt_id, foreign=True
    )
    return confirmed(stranger, update)


def is_old(gtt: Gtt, update: GttUpdate, asked_ns: int | None) -> bool:
    """Whether a book was read before what we know of a GTT; ``asked_ns`` is when its reading began."""
    return update.evidence is Evidence.POLL and asked_ns is not None and asked_ns < gtt.updated_ns


def goes_back(gtt: Gtt, update: GttUpdate) -> bool:
    """Whether a push is older than what is known: a rule has ended, or has its child order, and loses it again."""
    before = {one.rule.strategy: one for one in gtt.rules}
    return any(
        (was := before.get(one.rule.strategy)) is not None
        and ((was.status.terminal and not one.status.terminal) or bool(was.order_id and not one.order_id))
        for one in update.rules
    )


def child_source(gtt: Gtt, strategy: GttStrategy) -> str:
    """`OrderRequest.source` of a rule's child order: exits of a GTT are exits of ours."""
    if strategy is GttStrategy.ENTRY:
        return gtt.request.source
    return STOP_SOURCE if strategy is GttStrategy.STOPLOSS else EXIT_SOURCE
