"""Which last price holds for an instrument, how old it is, and whether it is one for stops.

The stream's price is the one that counts. Where the stream is silent, the broker may have been asked by REST; its
answer stands in until the stream speaks again, and says that it was asked for. It never enters bars or columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tradetui.domain.events import AskedQuote, QuotesEvent
from tradetui.domain.market_data import Qty
from tradetui.market.quotes import Quotes

_NS: Final = 1e9
_NS_PER_MS: Final = 1_000_000
_LTT: Final = int(Qty.LTT_MS)
_OLD_NS: Final = 7 * 86_400 * 1_000_000_000
"""Outside trading hours a last trade older than a week is a cache's, or nobody's: no holiday is so long."""


class Prices:
    """Last prices and their age.

    Args:
        quotes: Market state.
        slots: Instrument key to slot; may grow.
    """

    def __init__(self, quotes: Quotes, slots: Mapping[str, int]) -> None:
        self._quotes = quotes
        self._slots = slots
        self._asked: dict[int, tuple[int, AskedQuote]] = {}

    def take(self, event: QuotesEvent) -> None:
        """The broker has answered. What is older than what the stream told is left out."""
        for quote in event.quotes:
            slot = self._slots.get(quote.instrument_key)
            if slot is None or quote.last <= 0:
                continue
            known_ms = self._quotes.qty.item(slot, _LTT) if slot < self._quotes.capacity else 0
            if not quote.ltt_ms or quote.ltt_ms >= known_ms:
                self._asked[slot] = (event.t_ns, quote)

    def asked(self, slot: int) -> AskedQuote | None:
        """The broker's answer, where it is newer than the stream's last word."""
        found = self._asked.get(slot) if self._asked else None
        if found is None:
            return None
        if slot < self._quotes.capacity and self._quotes.last_seen_ns.item(slot) >= found[0]:
            del self._asked[slot]
            return None
        return found[1]

    def asked_age_s(self, slot: int, now_ns: int) -> float | None:
        """Seconds since the broker's answer came; ``None`` when the stream's price holds."""
        return (now_ns - self._asked[slot][0]) / _NS if self.asked(slot) is not None else None

    def age_s(self, slot: int, now_ns: int, *, trading: bool) -> float | None:
        """Seconds since the stream told of the instrument; ``None``: never.

        What a cache gives to a new subscriber is as old as its last trade, not as its frame: while the market
        trades, a last trade before today makes a price old; outside hours, one older than a week.
        """
        quotes = self._quotes
        if slot >= quotes.capacity:
            return None
        seen = quotes.last_seen_ns.item(slot)
        if not seen:
            return None
        ltt_ns = quotes.qty.item(slot, _LTT) * _NS_PER_MS
        oldest_ns = quotes.sessions.midnight_ms * _NS_PER_MS if trading else now_ns - _OLD_NS
        return (now_ns - (ltt_ns if 0 < ltt_ns < oldest_ns else seen)) / _NS

    def traded(self, slot: int) -> bool:
        """Whether the last price is of today's continuous trading."""
        quotes = self._quotes
        if slot >= quotes.capacity or quotes.sessions.day is None:
            return False
        start_ms, end_ms = quotes.sessions.bounds(slot)
        asked = self.asked(slot)
        at_ms = asked.ltt_ms if asked is not None else quotes.qty.item(slot, _LTT)
        if not at_ms and asked is None:
            at_ms = quotes.last_trade_ns.item(slot) // _NS_PER_MS
        # After the end the columns keep the last price of continuous trading beside the time of later trades.
        return end_ms > 0 and at_ms >= start_ms and (asked is None or at_ms < end_ms)
