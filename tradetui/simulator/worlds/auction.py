"""The closing auction of shares: indicative prices while orders come in, one trade at the end."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tradetui.pb.market_feed_v3_pb2 import Feed, RequestMode
from tradetui.simulator.worlds.messages import state_message
from tradetui.simulator.worlds.rows import DayState
from tradetui.simulator.worlds.session import MINUTE_NS, Session

_STREAM_AUCTION = 41
_REFERENCE_NS = 5 * MINUTE_NS
"""The first phase only computes the reference price."""

_PACE_NS = 2_000_000_000
_DRIFT = 0.0015


def updates(
    session: Session, state: DayState, minute: int, seed: int, allowed: NDArray[np.bool_]
) -> Iterator[tuple[int, int, Feed]]:
    """Messages of one minute as (time, row, message), and the closing trade into the day's state.

    An auction's price is never a last traded price: only the closing trade moves ``ltp``.

    Args:
        session: The session.
        state: The day so far; gets the closing trade.
        minute: Number of the minute.
        seed: Seed of the world.
        allowed: Rows to show.
    """
    begins, matches = session.auction_ns
    start_ns = session.start_ns + minute * MINUTE_NS
    rows = np.flatnonzero((session.auction_volume > 0) & allowed)
    if not begins or not len(rows) or not begins + _REFERENCE_NS <= start_ns <= matches:
        return
    if start_ns == matches:
        for row in map(int, session.match_rows[allowed[session.match_rows]]):
            qty = int(session.auction_volume[row])
            state.print_trade(row, float(session.auction[row]), qty, matches // 1_000_000)
            feed = state_message(state, row, is_index=not qty)
            if not qty:
                # The index stood still while its shares were matched, and jumps to their prices.
                yield matches, row, feed
                continue
            _mark(feed, float(session.auction[row]), state.ltp[row], qty, 0)
            yield matches, row, feed
        return
    rng = np.random.default_rng([seed, _STREAM_AUCTION, session.day.toordinal(), minute])
    left = (matches - start_ns) / (matches - begins - _REFERENCE_NS)
    for offset in range(0, MINUTE_NS, _PACE_NS):
        noise = rng.standard_normal((2, len(rows)))
        for at, row in enumerate(map(int, rows)):
            tick = float(session.listing.tick[row])
            price = float(session.auction[row]) * (1.0 + _DRIFT * left * noise[0, at])
            part = 1.0 - left * (1.0 - 0.5 * offset / MINUTE_NS)
            qty = max(1, int(session.auction_volume[row] * part))
            feed = Feed(requestMode=RequestMode.full_d5)
            reference = float(state.ltp[row])
            _mark(feed, round(round(price / tick) * tick, 4), reference, qty, int(0.2 * qty * noise[1, at]))
            yield start_ns + offset + at * 20_000_000, row, feed


def _mark(feed: Feed, price: float, reference: float, qty: int, imbalance: int) -> None:
    market = feed.fullFeed.marketFF
    market.iep, market.rp, market.ieq = price, reference, qty
    market.iiqTotal, market.iiqM = imbalance, imbalance // 3
    market.casEligible = True
