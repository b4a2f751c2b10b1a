"""What a GTT may do to a position that is being closed."""

from __future__ import annotations

from tradetui.domain.gtt import Gtt, GttStrategy, RuleStatus


def may_close(gtt: Gtt, held: int) -> bool:
    """Whether a GTT may send an order on the exit's side of a position: its entry, or an exit of a filled entry."""
    if gtt.request.side.sign * held < 0:
        return True
    entry = next((one for one in gtt.rules if one.rule.strategy is GttStrategy.ENTRY), None)
    return entry is not None and entry.status is RuleStatus.COMPLETED


def fired_of(gtt: Gtt, held: int) -> list[str]:
    """Ids of the orders that a GTT has sent on the exit's side of a position."""
    exits = gtt.request.side.sign * held < 0
    return [
        one.order_id
        for one in gtt.rules
        if one.order_id and (exits or one.rule.strategy is not GttStrategy.ENTRY)
    ]
