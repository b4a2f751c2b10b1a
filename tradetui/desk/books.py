"""What every part of the desk looks at: limits, market, orders, positions, the hour."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Price, to_price
from tradetui.domain.portfolio import Portfolio
from tradetui.domain.records import RecordKind
from tradetui.execution.manager import OrderManager
from tradetui.risk.checks import RiskState
from tradetui.risk.limits import Limits


@dataclass(frozen=True, slots=True)
class Market:
    """What the desk may know about one instrument's market. Prices in 1/10,000 rupee; ``None``: never seen."""

    last: Price | None = None
    bid: Price | None = None
    ask: Price | None = None
    age_s: float | None = None
    phase: str = "closed"


@dataclass(slots=True)
class Books:
    """See the module's docstring.

    Attributes:
        limits: Risk limits in force; an operator may change them.
        live: Orders reach a real exchange.
        instrument: Key to terms.
        market: Key to market facts at ``now_ns``.
        note: Takes journal records.
        portfolio: Positions, trades, funds.
        manager: Orders.
        now_ns: Engine time.
        feed_up: The market data stream is connected and alive.
        journal_problem: Why the journal cannot be written; empty while it can.
        armed_until_ns: When arming of live trading runs out; 0 when disarmed.
        state, state_reason: The gate's state, and why it is not active.
        entries_today: Orders that opened risk today.
    """

    limits: Limits
    live: bool
    instrument: Callable[[str], Instrument | None]
    market: Callable[[str], Market]
    note: Callable[[RecordKind, Any], None]
    portfolio: Portfolio
    manager: OrderManager
    now_ns: int = 0
    feed_up: bool = False
    journal_problem: str = ""
    armed_until_ns: int = 0
    state: RiskState = RiskState.ACTIVE
    state_reason: str = ""
    entries_today: int = 0


def price_of(rupees: float) -> Price | None:
    """A column's float as a `Price`; zero and non-finite values mean: not known."""
    return to_price(rupees) if 0 < rupees < 1e9 else None
