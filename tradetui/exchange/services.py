"""What a broker and its exchange do beside orders: GTTs, conversions, square-off, bands that are reset, halts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Final

from tradetui.domain.calendar.ist import day_number
from tradetui.domain.gtt import GttRequest, GttRule
from tradetui.domain.instrument import Instrument
from tradetui.domain.order import Product, Side
from tradetui.exchange import rules
from tradetui.exchange.days import Conversion
from tradetui.exchange.orders import ExchangeEvent, Refusal, Reply
from tradetui.exchange.reading import Readable
from tradetui.exchange.rules import Band
from tradetui.exchange.square_off import SquareOff

UNKNOWN_KEY: Final = "UDAPI100011"
_OUTSIDE = "cancelled by the exchange: outside the price band that was reset for the closing auction"


class Services(Readable, ABC):
    """A layer of `exchange.Exchange`, which fills in the attributes."""

    _bands: dict[str, Band]
    _reset_on: dict[str, int]
    _halts: dict[str, str]
    _square_off: SquareOff

    def convert(
        self, account_id: str, key: str, side: Side, qty: int, old: Product, new: Product, t_ns: int
    ) -> Reply:
        """Move units of a position that was opened on ``side`` from one product to another, at their cost."""
        account, instrument = self._account(account_id), self._instruments.get(key)
        if instrument is None:
            return Reply(refusal=Refusal(UNKNOWN_KEY, f"unknown instrument key {key}"))
        refusal = rules.refuse_product(instrument, new) or self._square_off.refuse_product(new, t_ns)
        if refusal is not None:
            return Reply(refusal=Refusal("UDAPI1034", refusal.message))
        refused = account.convert(Conversion(t_ns, key, old, new, side, qty))
        return Reply(refusal=refused, events=self._matcher.drain())

    # --- good till triggered --------------------------------------------------------------------------

    def place_gtt(self, account_id: str, request: GttRequest, t_ns: int) -> Reply:
        """Take a new GTT; the reply's id is the GTT's."""
        self._account(account_id)
        return self._replied(self._gtts.place(account_id, request, t_ns), request.instrument_key, t_ns)

    def modify_gtt(
        self, account_id: str, gtt_id: str, qty: int, rules: tuple[GttRule, ...], t_ns: int
    ) -> Reply:
        """Replace quantity and rules of a GTT."""
        made = self._gtts.modify(account_id, gtt_id, qty, rules, t_ns)
        found = self._gtts.gtts.get(gtt_id)
        return self._replied(made, found.key if found is not None else "", t_ns)

    def cancel_gtt(self, account_id: str, gtt_id: str, t_ns: int) -> Reply:
        """End a GTT and the child that still works."""
        return self._replied(self._gtts.cancel(account_id, gtt_id, t_ns), "", t_ns)

    def _replied(self, made: str | Refusal, key: str, t_ns: int) -> Reply:
        if isinstance(made, Refusal):
            return Reply(refusal=made, events=self._matcher.drain())
        return Reply(made, events=self._finish(key, t_ns))

    # --- the broker's and the exchange's own acts -----------------------------------------------------

    def set_cut_off(self, second_of_day: int | None) -> None:
        """When the broker closes intraday positions by itself, second of the day IST; ``None`` for never."""
        self._square_off.at_s = second_of_day

    def square_off(self, account_id: str, t_ns: int) -> tuple[ExchangeEvent, ...]:
        """Close the intraday positions of an account now, as the broker does at its cut-off."""
        return self._square_off.act(account_id, t_ns)

    def end_intraday_gtts(self, account_id: str, words: str, t_ns: int) -> None:
        """Cancel every intraday GTT of an account; what happens is told by the next call."""
        self._gtts.end_intraday(account_id, words, t_ns)

    def narrow_band(self, key: str, band: Band, t_ns: int) -> tuple[ExchangeEvent, ...]:
        """Reset the price band of an instrument for the rest of the day; orders outside are cancelled."""
        self._bands[key] = band
        self._reset_on[key] = day_number(t_ns)
        for order_id in list(self._matcher.working_by_key.get(key, ())):
            request = self._matcher.orders[order_id].request
            prices = [price for price in (request.price, request.trigger_price) if price]
            if any(not band.low <= price <= band.high for price in prices):
                self._matcher.cancel(order_id, t_ns, _OUTSIDE)
        return self._finish(key, t_ns)

    def halt(self, halts: Mapping[str, str], t_ns: int) -> tuple[ExchangeEvent, ...]:
        """Say which instruments are halted, with the reason in words; the empty key halts the whole market.

        Orders rest and can be cancelled, nothing matches or triggers, and MARKET and IOC orders are refused.
        What was halted and is no longer trades on.
        """
        freed = [key for key in self._matcher.busy_keys() if self._halted(key)]
        self._halts = dict(halts)
        for key in freed:
            if self._continuous(self._instruments[key], t_ns):
                self._matcher.cross(key, t_ns)
                self._gtts.react(key, t_ns, trading=True)
        return self._matcher.drain()

    def _halted(self, key: str) -> str:
        return (self._halts.get(key) or self._halts.get("", "")) if self._halts else ""

    # --- filled in by the exchange --------------------------------------------------------------------

    def _finish(self, key: str, t_ns: int) -> tuple[ExchangeEvent, ...]:
        """Everything that a call caused, with what GTTs made of it."""
        if key in self._gtts.by_key:
            trading = self._continuous(self._instruments[key], t_ns)
            self._gtts.react(key, t_ns, trading=trading)
        return self._matcher.drain()

    @abstractmethod
    def _continuous(self, instrument: Instrument, t_ns: int) -> bool:
        """Whether orders match now."""
