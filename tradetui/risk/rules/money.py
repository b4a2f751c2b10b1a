"""Funds, value, exposure, risk at the stop, and the losses of day, week and month."""

from __future__ import annotations

from tradetui.domain.money import Money, format_rupees
from tradetui.domain.view import Check
from tradetui.risk.facts import Facts
from tradetui.risk.rules.answers import block, noted, ok, warn


def order_value(f: Facts) -> Check:
    """One order's value against its limit."""
    if f.reducing or f.value <= f.limits.order_value:
        return ok("value")
    return block(
        "value",
        f"value {format_rupees(f.value, 0)} is above the limit of {format_rupees(f.limits.order_value, 0)} an order",
    )


def funds(f: Facts) -> Check:
    """Enough cash for the estimated margin: the broker's own figure where it is known, else the capital."""
    if f.reducing or f.member:
        return ok("funds")
    if f.margin_needed > f.available:
        return block(
            "funds",
            f"needs about {format_rupees(f.margin_needed, 0)}, available {format_rupees(f.available, 0)}",
        )
    if f.live and not f.funds_known:
        return warn("funds", "the broker has not said what is available: measured against your capital")
    return ok("funds")


def exposure(f: Facts) -> Check:
    """Value of all positions after this order against capital times leverage."""
    if f.reducing or f.member or not f.reference:
        return ok("exposure")
    after, most = f.exposure + f.value, f.limits.most_exposure
    if after > most:
        return block(
            "exposure", f"total exposure would be {format_rupees(after, 0)}: limit {format_rupees(most, 0)}"
        )
    return ok("exposure")


def risk_at_stop(f: Facts) -> Check:
    """What is lost between entry and stop against the risk of one trade: strategies stop there, people choose."""
    assert f.instrument is not None
    request = f.request
    if f.reducing or not request.stop or not f.reference:
        return ok("trade risk")
    risk = (f.reference - request.stop) * request.side.sign * request.qty * f.instrument.multiplier
    most = f.limits.trade_risk
    if risk <= most:
        return ok("trade risk")
    words = f"{format_rupees(risk, 0)} is lost at the stop: limit {format_rupees(most, 0)} a trade"
    if f.by_strategy or f.limits.block_trade_risk:
        return block("trade risk", words)
    return warn("trade risk", words)


def daily_loss(f: Facts) -> Check:
    """The day's loss, open positions included and net of charges, against its limit."""
    return _loss(f, "day loss", "loss of the day", f.day_loss, f.limits.daily_loss)


def weekly_loss(f: Facts) -> Check:
    """The loss since Monday against its limit."""
    return _loss(f, "week loss", "loss of the week", f.week_loss, f.limits.weekly_loss)


def monthly_drawdown(f: Facts) -> Check:
    """How far the month's result has fallen from its best day's end, against its limit."""
    return _loss(f, "month loss", "drawdown of the month", f.month_drawdown, f.limits.monthly_drawdown)


def _loss(f: Facts, rule: str, name: str, loss: Money, limit: Money) -> Check:
    if f.reducing or not limit or loss < limit:
        return ok(rule)
    return block(rule, f"{name} {format_rupees(loss, 0)} has reached the limit of {format_rupees(limit, 0)}")


def free_holdings(f: Facts) -> Check:
    """A delivery sale needs shares that lie free in the demat account; unsettled ones may go to auction."""
    assert f.instrument is not None
    if not f.sells_holdings:
        return ok("holdings")
    if f.free_qty is None:
        words = "the holdings have not been read: nobody knows what may be sold"
        return block("holdings", words) if f.by_strategy or f.live else warn("holdings", words)
    if f.request.qty > f.free_qty:
        return block(
            "holdings",
            f"only {max(0, f.free_qty)} are free to sell in delivery: selling short needs intraday",
        )
    unsettled = f.request.qty - (f.free_qty - f.t1_qty)
    if unsettled > 0 and f.t1_qty:
        return warn(
            "holdings",
            f"{min(unsettled, f.t1_qty)} of them are not settled yet (T1): a short delivery goes to auction",
        )
    if f.may_sell_holdings is None:
        return noted("holdings", "whether the sale needs a TPIN is not known (no DDPI seen)")
    if not f.may_sell_holdings:
        return warn("holdings", "no DDPI: authorise the sale with your TPIN at the broker first")
    return ok("holdings")
