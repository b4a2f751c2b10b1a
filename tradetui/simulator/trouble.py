"""Faults of the exchange and of the broker's risk desk, as the venue meets them."""

from __future__ import annotations

from collections.abc import Mapping

from tradetui.domain.errors import UsageError
from tradetui.domain.instrument import Instrument
from tradetui.domain.order import Product, Side
from tradetui.exchange.orders import OrderState, Refusal
from tradetui.simulator.bend import Bend
from tradetui.simulator.faults import Faults

_NO_DDPI = "RMS: holdings cannot be sold: no DDPI, and no CDSL TPIN authorisation today"
_GONE = {"lower": "bids", "upper": "asks"}


class Trouble:
    """See the module's docstring.

    Args:
        faults: The switchboard.
        instruments: Everything listed.
        bend: Where circuits empty a side of the book.
    """

    def __init__(self, faults: Faults, instruments: Mapping[str, Instrument], bend: Bend) -> None:
        self._faults = faults
        self._instruments = instruments
        self._bend = bend

    def screen(self, order: OrderState) -> Refusal | None:
        """Why risk control rejects an order by a fault, or ``None``."""
        faults = self._faults
        rejected = faults.active("reject")
        if rejected is not None and not order.placed_by and self._meant(rejected["instrument"], order.key):
            struck = faults.strike("reject")
            if struck is not None:
                return Refusal("RMS", str(struck["message"]))
        if order.gtt_id and (failed := faults.strike("gtt-fail")) is not None:
            return Refusal("RMS", str(failed["message"]))
        request = order.request
        owned = not self._instruments[order.key].is_derivative and request.product is Product.DELIVERY
        if owned and request.side is Side.SELL and faults.strike("no-ddpi") is not None:
            return Refusal("RMS", _NO_DDPI)
        return None

    def halts(self) -> dict[str, str]:
        """What is halted now, with the reason in words; the empty key is the whole market."""
        halted: dict[str, str] = {}
        halt = self._faults.active("halt")
        if halt is not None:
            asked = str(halt["instrument"])
            halted = dict.fromkeys(self._keys(asked) if asked else [""], str(halt["message"]))
        return halted

    def set_circuits(self) -> None:
        """Empty the sides of the books that circuits empty."""
        self._bend.one_sided.clear()
        circuit = self._faults.active("circuit")
        if circuit is not None:
            gone = _GONE.get(str(circuit["side"]))
            if gone is None:
                raise UsageError("a circuit is lower or upper")
            self._bend.one_sided.update(dict.fromkeys(self._keys(str(circuit["instrument"])), gone))

    def phase(self, instrument: Instrument, word: str) -> str:
        """The phase of an instrument, given the calendar's word."""
        auction = self._faults.active("auction-now")
        if auction is None:
            return word
        asked = str(auction["instrument"])
        meant = self._meant(asked, instrument.key) if asked else not instrument.is_derivative
        return f"CLOSING_AUCTION:{auction['stage']}" if meant else word

    def cut_off_s(self, second_now: int) -> int | None:
        """Second of the day at which the broker squares off; ``None`` for never.

        Args:
            second_now: Second of the day, IST, for a square-off now.
        """
        rule = self._faults.active("square-off")
        if rule is None:
            return None
        if rule["at"] == "now":
            return second_now
        hours, _, minutes = str(rule["at"]).partition(":")
        if not (hours.isdigit() and minutes.isdigit() and int(hours) < 24 and int(minutes) < 60):
            raise UsageError(f"not a time of day: {rule['at']!r}", "Write now, or 15:12")
        return int(hours) * 3600 + int(minutes) * 60

    def _meant(self, asked: object, key: str) -> bool:
        known = self._instruments.get(key)
        return not asked or asked in (key, known.symbol if known is not None else "")

    def _keys(self, asked: str) -> list[str]:
        keys = [key for key in self._instruments if self._meant(asked, key)]
        if not keys:
            raise UsageError(f"no instrument {asked!r}")
        return keys
