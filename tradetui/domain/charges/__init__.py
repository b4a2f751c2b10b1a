"""Brokerage, STT and CTT, exchange and SEBI fees, GST, stamp duty and DP charges as pure functions.

Rates are a dated schedule with a source beside each (``schedule.toml``). Two modes::

    estimate(leg, plan)        one order, before the trade
    day_note(trades, plan)     a day, netted and rounded as a contract note is

Both are estimates; the broker's note is final. Profit is shown gross, charges, net.
"""

from tradetui.domain.charges.compare import Difference, differences
from tradetui.domain.charges.estimate import Charges, Leg, estimate, estimate_all, round_trip
from tradetui.domain.charges.note import DayNote, NoteLine, Trade, day_note
from tradetui.domain.charges.override import overridden
from tradetui.domain.charges.schedule import (
    BrokerageRule,
    BrokerPlan,
    ChargeClass,
    Schedule,
    broker_plan,
    charge_class,
    shipped_schedule,
)

__all__ = [
    "BrokerPlan",
    "BrokerageRule",
    "ChargeClass",
    "Charges",
    "DayNote",
    "Difference",
    "Leg",
    "NoteLine",
    "Schedule",
    "Trade",
    "broker_plan",
    "charge_class",
    "day_note",
    "differences",
    "estimate",
    "estimate_all",
    "overridden",
    "round_trip",
    "shipped_schedule",
]
