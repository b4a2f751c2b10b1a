"""Laying partial feed messages over full ones.

Live updates are partial, so they are merged by presence: a sub-message replaces its predecessor only when
it was sent, a plain number only when it is not zero (proto3 drops zeros; `upstox.md` 3.6).
"""

from __future__ import annotations

from tradetui.pb.market_feed_v3_pb2 import Feed, IndexFullFeed, MarketFullFeed

_AUCTION = ("iep", "rp", "ieq", "iiqTotal", "iiqM")
"""Sent only for members of the closing auction."""


def merge(state: Feed, update: Feed) -> None:
    """Lay a partial full-mode message over ``state``."""
    full = update.fullFeed
    if full.HasField("indexFF"):
        _merge_index(state.fullFeed.indexFF, full.indexFF)
    elif full.HasField("marketFF"):
        _merge_market(state.fullFeed.marketFF, full.marketFF)
    state.requestMode = update.requestMode


def _merge_index(state: IndexFullFeed, update: IndexFullFeed) -> None:
    if update.HasField("ltpc"):
        state.ltpc.CopyFrom(update.ltpc)
    if update.HasField("marketOHLC"):
        state.marketOHLC.CopyFrom(update.marketOHLC)


def _merge_market(state: MarketFullFeed, update: MarketFullFeed) -> None:
    if update.HasField("ltpc"):
        state.ltpc.CopyFrom(update.ltpc)
    if update.HasField("marketLevel"):
        state.marketLevel.CopyFrom(update.marketLevel)
    if update.HasField("optionGreeks"):
        state.optionGreeks.CopyFrom(update.optionGreeks)
    if update.HasField("marketOHLC"):
        state.marketOHLC.CopyFrom(update.marketOHLC)
    # Written out: this runs for every tick of a recorded day played at full speed.
    if value := update.vtt:
        state.vtt = value
    if number := update.atp:
        state.atp = number
    if number := update.oi:
        state.oi = number
    if number := update.iv:
        state.iv = number
    if number := update.tbq:
        state.tbq = number
    if number := update.tsq:
        state.tsq = number
    if update.casEligible or update.iep:
        _merge_auction(state, update)


def _merge_auction(state: MarketFullFeed, update: MarketFullFeed) -> None:
    state.casEligible = state.casEligible or update.casEligible
    for name in _AUCTION:
        value = getattr(update, name)
        if value:
            setattr(state, name, value)
