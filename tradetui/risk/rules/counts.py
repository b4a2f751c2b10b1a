"""How many: positions, entries, equal orders, orders a second, losses in a row."""

from __future__ import annotations

from tradetui.domain.order import Product
from tradetui.domain.view import Check
from tradetui.risk.facts import Facts
from tradetui.risk.rules.answers import block, ok, warn


def position_count(f: Facts) -> Check:
    """Number of open positions: in all, intraday, swing, and in one underlying. A basket counts once."""
    if f.reducing or f.counted or f.member:
        return ok("positions")
    limits = f.limits
    intraday = f.request.product is Product.INTRADAY
    same, most = (
        (f.intraday_positions, limits.max_intraday_positions)
        if intraday
        else (f.swing_positions, limits.max_swing_positions)
    )
    if f.open_positions >= limits.max_positions:
        return block("positions", f"{f.open_positions} positions are open: limit {limits.max_positions}")
    if same >= most:
        return block(
            "positions", f"{same} {'intraday' if intraday else 'swing'} positions are open: limit {most}"
        )
    if f.underlying_positions >= limits.max_underlying_positions:
        return block(
            "positions",
            f"{f.underlying_positions} positions are open in this underlying: limit {limits.max_underlying_positions}",
        )
    return ok("positions")


def trade_count(f: Facts) -> Check:
    """Entries of the day against their limit."""
    most = f.limits.max_trades_per_day
    if f.reducing or f.counted or f.member or not most or f.entries_today < most:
        return ok("trades")
    return block("trades", f"{f.entries_today} entries today: limit {most}")


def order_rate(f: Facts) -> Check:
    """Orders of the last second: more than a few are a fault or a held key. The broker's ceiling is 10."""
    if f.reducing or f.member or f.orders_last_second < f.limits.orders_per_second:
        return ok("rate")
    return block(
        "rate",
        f"{f.orders_last_second} orders within a second: limit {f.limits.orders_per_second}, exits excepted",
    )


def losing_run(f: Facts) -> Check:
    """After several losing trades in a row strategies pause, and people are told."""
    most = f.limits.max_losses_in_a_row
    if f.reducing or not most or f.losses_in_a_row < most:
        return ok("losing run")
    pause = f.limits.loss_pause_s
    if f.by_strategy and (not pause or f.loss_age_s is None or f.loss_age_s < pause):
        until = f"for {pause // 60} minutes" if pause else "until tomorrow"
        return block("losing run", f"{f.losses_in_a_row} losing trades in a row: strategies pause {until}")
    if f.by_strategy:
        return ok("losing run")
    return warn("losing run", f"{f.losses_in_a_row} losing trades in a row: take a break")


def duplicate(f: Facts) -> Check:
    """The same order twice in a few seconds: a strategy is stopped, a person is asked to look again.

    Our own exits may repeat: slices of one position are equal, and so is a second try.
    """
    if not f.same_recent or (f.by_strategy and f.reducing) or f.member:
        return ok("duplicate")
    words = f"an equal order was sent within {f.limits.duplicate_s} s"
    return block("duplicate", words) if f.by_strategy else warn("duplicate", words)
