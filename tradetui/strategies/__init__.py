"""Strategies: what we want to hold. One a file, listed here."""

from tradetui.strategies.base import Context, Signal, Strategy, Vote
from tradetui.strategies.context import MarketContext
from tradetui.strategies.opening_range import OpeningRangeBreakout, OpeningRangeSettings, StopAt
from tradetui.strategies.vote import VoteSettings, VoteWeights, WeightedVote

STRATEGIES: dict[str, type[Strategy]] = {
    strategy.name: strategy for strategy in (WeightedVote, OpeningRangeBreakout)
}
"""Every strategy by name; each can be made without arguments."""

__all__ = [
    "STRATEGIES",
    "Context",
    "MarketContext",
    "OpeningRangeBreakout",
    "OpeningRangeSettings",
    "Signal",
    "StopAt",
    "Strategy",
    "Vote",
    "VoteSettings",
    "VoteWeights",
    "WeightedVote",
]
