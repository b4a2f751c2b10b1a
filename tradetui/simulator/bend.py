"""What the simulated market shows, bent: prices moved for good, instruments held still, one side of a book gone.

The world goes on as it was made; only what leaves it is changed. While nothing is bent an update passes as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from tradetui.domain.instrument import Instrument
from tradetui.domain.money import nearest_tick, to_price, to_rupees
from tradetui.pb.market_feed_v3_pb2 import Feed
from tradetui.simulator.worlds.base import WorldUpdate


class Bend:
    """See the module's docstring.

    Args:
        instruments: Everything listed, for its ticks.
    """

    def __init__(self, instruments: Mapping[str, Instrument]) -> None:
        self._instruments = instruments
        self.factors: dict[str, float] = {}
        """By how much prices of an instrument are multiplied."""
        self.held: dict[str, None] = {}
        """Instruments whose updates of the world are dropped: somebody else sets their prices."""
        self.one_sided: dict[str, str] = {}
        """Instruments at a circuit, with the side of the book that is gone: ``bids`` or ``asks``."""

    @property
    def idle(self) -> bool:
        """Whether nothing is bent."""
        return not (self.factors or self.held or self.one_sided)

    def update(self, update: WorldUpdate) -> WorldUpdate:
        """An update as it is shown."""
        if self.idle:
            return update
        feeds = {}
        for key, feed in update.feeds.items():
            if key in self.held:
                continue
            if key in self.factors or key in self.one_sided:
                shown = Feed()
                shown.CopyFrom(feed)
                self.state(key, shown)
                feeds[key] = shown
            else:
                feeds[key] = feed
        return WorldUpdate(update.t_ns, feeds)

    def state(self, key: str, feed: Feed) -> None:
        """Bend one message in place."""
        factor = self.factors.get(key)
        if factor is not None:
            self.scale(key, feed, factor)
        gone = self.one_sided.get(key)
        if gone is not None and feed.fullFeed.HasField("marketFF"):
            market = feed.fullFeed.marketFF
            # At the circuit nothing trades: neither a new last price nor more volume.
            market.ClearField("ltpc")
            market.ClearField("vtt")
            strip(feed, gone)

    def scale(self, key: str, feed: Feed, factor: float) -> None:
        """Multiply the prices of one message, each rounded to the tick; what the book says of size stays."""
        tick = self._instruments[key].tick_size if key in self._instruments else to_price("0.05")

        def moved(price: float) -> float:
            return to_rupees(max(nearest_tick(to_price(price * factor), tick), tick)) if price > 0 else price

        full = feed.fullFeed
        if full.HasField("indexFF"):
            full.indexFF.ltpc.ltp = moved(full.indexFF.ltpc.ltp)
            return
        market = full.marketFF
        if market.HasField("ltpc"):
            market.ltpc.ltp = moved(market.ltpc.ltp)
        for row in market.marketLevel.bidAskQuote:
            row.bidP, row.askP = moved(row.bidP), moved(row.askP)


def strip(feed: Feed, gone: str) -> None:
    """Take one side out of a message's book."""
    for row in feed.fullFeed.marketFF.marketLevel.bidAskQuote:
        if gone == "bids":
            row.bidP, row.bidQ = 0.0, 0
        else:
            row.askP, row.askQ = 0.0, 0
