"""Whether anything may be sent at all: instrument, gate, journal, arming, account, closed segments."""

from __future__ import annotations

from tradetui.domain.view import Check
from tradetui.risk.facts import Facts, RiskState
from tradetui.risk.rules.answers import block, ok, warn


def known_instrument(f: Facts) -> Check:
    """The instrument exists and can be traded (an index cannot)."""
    if f.instrument is None:
        return block("instrument", f"unknown instrument {f.request.instrument_key}: sync the instrument list")
    if not f.instrument.tradable:
        return block("instrument", f"{f.instrument.symbol} is an index: trade its future or options instead")
    return ok("instrument")


def state(f: Facts) -> Check:
    """Halted and reducing-only let nothing but exits through."""
    if f.state is RiskState.ACTIVE or f.reducing:
        return ok("state")
    return block(
        "state", f"trading is {f.state.value}: {f.state_reason or 'see the risk pane'}; exits stay possible"
    )


def journal(f: Facts) -> Check:
    """An order that cannot be written down first is not sent. Exits have a reserve, and go in any case (ADR 0010)."""
    if not f.journal_problem or f.request.is_exit:
        return ok("journal")
    return block("journal", f"{f.journal_problem}: only exits and cancels are sent until it can be written")


def arming(f: Facts) -> Check:
    """Live orders that add risk need arming; exits never do."""
    if not f.live or f.armed or f.reducing:
        return ok("arming")
    return block("arming", "live trading is disarmed: type :arm and the minutes")


def unknown_order(f: Facts) -> Check:
    """While an order's outcome is unknown, the same instrument takes no new risk."""
    if f.unknown_order and not f.reducing:
        return block(
            "unknown",
            "an order in this instrument has an unknown outcome: wait until the broker's book tells",
        )
    return ok("unknown")


def account(f: Facts) -> Check:
    """Without sight of the account (a login that ended) nobody knows what is held: no new risk."""
    if not f.account_trouble or f.reducing:
        return ok("account")
    return block("account", f"the account cannot be read: {f.account_trouble}")


def position_differs(f: Facts) -> Check:
    """While the broker's position in an instrument is not ours, nobody knows what an order would add to."""
    if not f.differs:
        return ok("positions agree")
    said = "; ".join(
        f"{product.value}: we count {ours}, the broker {theirs}" for product, ours, theirs in f.differs
    )
    words = f"the broker's position here is not ours ({said})"
    if f.reducing:
        return warn("positions agree", f"{words}: look it up at the broker before you close it")
    return block("positions agree", f"{words}: no new risk here until they agree; exits stay possible")


def odd_rows(f: Facts) -> Check:
    """Rows of the broker's books that nobody could read may be orders: said before anything is added to them."""
    if not f.odd_rows or f.reducing:
        return ok("books")
    rows = "row" if f.odd_rows == 1 else "rows"
    return warn(
        "books",
        f"{f.odd_rows} {rows} of the broker's books could not be read today: compare with its own app",
    )


def segment(f: Facts) -> Check:
    """A segment that the account's own kill switch at the broker has closed takes no new risk."""
    assert f.instrument is not None
    if not f.segment_locked:
        return ok("segment")
    words = f"{f.instrument.segment} is closed by the kill switch of your account at the broker"
    if f.reducing:
        return warn("segment", f"{words}: it will most likely refuse this exit too")
    return block("segment", f"{words}: open it there, for which it may ask you to wait")


def commodity(f: Facts) -> Check:
    """MCX takes no live orders through the broker's API (Upstox ``UDAPI1161``)."""
    assert f.instrument is not None
    if not f.live or f.instrument.exchange != "MCX":
        return ok("mcx")
    words = "the broker takes no MCX orders by API (UDAPI1161): use its own app"
    return warn("mcx", words) if f.reducing else block("mcx", words)
