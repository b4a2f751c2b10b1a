"""Where the market stood when an order was decided, sent, acknowledged and filled: what the road to it cost.

One `RecordKind.TIMES` record after each step that can be the last: the acknowledgement, a refusal, every fill.
The newest of an order says everything. All of it follows from events and their engine times alone, so equal runs
write equal records; what the wall clock says is in the records of the wire.

Slippage is counted against the middle of best bid and best ask at the decision (the last price where a side is
missing): positive is a cost. A stop or a limit that rests is not slow: its slippage says what waiting brought.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from tradetui.domain.events import AccountEvent, RequestAccepted, RequestRefused, RequestSent, RequestUnknown
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Money, Price
from tradetui.domain.order import Side
from tradetui.domain.records import RecordKind, freeze

Note = Callable[[RecordKind, Any], None]


class Quote(Protocol):
    """What is looked at of a market; see `books.Market`."""

    @property
    def last(self) -> Price | None:
        """Last traded price."""
        ...

    @property
    def bid(self) -> Price | None:
        """Best bid."""
        ...

    @property
    def ask(self) -> Price | None:
        """Best ask."""
        ...


@dataclass(frozen=True, slots=True)
class OrderTimes:
    """One order's decision times. Times are engine time, UTC ns; prices 1/10,000 rupee; 0 means: not yet, not known.

    Attributes:
        tag: The order.
        source: Who decided; see `OrderRequest.source`.
        decided_ns: When it was decided: for a person, when the key arrived.
        decided_mid: Middle of the market then.
        decided_spread: Best ask less best bid then; 0 when a side was missing.
        sent_ns, sent_mid: When its request was handed to the network.
        acked_ns, acked_mid: When the broker answered.
        answer: ``accepted``, ``refused`` or ``unknown``; empty before.
        first_fill_ns, first_fill_mid: When the first fill was heard of.
        last_fill_ns: When the newest was.
        filled_qty: Units.
        filled_value: Sum of units times price.
        slippage: Filled value against the middle at the decision, signed so that a cost is positive, the
            contract's multiplier included.
        tick_size: Of the instrument, so that slippage can be said in ticks.
        multiplier: Money per point and unit.
    """

    tag: str
    instrument_key: str
    side: Side
    source: str
    decided_ns: int
    decided_mid: Price
    decided_spread: Price
    tick_size: Price
    multiplier: int = 1
    sent_ns: int = 0
    sent_mid: Price = Price(0)
    acked_ns: int = 0
    acked_mid: Price = Price(0)
    answer: str = ""
    first_fill_ns: int = 0
    first_fill_mid: Price = Price(0)
    last_fill_ns: int = 0
    filled_qty: int = 0
    filled_value: Money = Money(0)
    slippage: Money = Money(0)

    @property
    def slippage_ticks(self) -> float | None:
        """Slippage of one unit in ticks; ``None`` while nothing filled or no middle was known."""
        if not (self.filled_qty and self.decided_mid and self.tick_size):
            return None
        return self.slippage / self.multiplier / self.filled_qty / self.tick_size


class Times:
    """Keeps the decision times of this run's orders.

    Args:
        market: Key to market facts at the engine's current time.
        terms: Key to tick size and multiplier.
        now_ns: Engine time.
        note: Takes journal records.
    """

    def __init__(
        self,
        market: Callable[[str], Quote],
        terms: Callable[[str], tuple[Price, int]],
        now_ns: Callable[[], int],
        note: Note,
    ) -> None:
        self._market = market
        self._terms = terms
        self._now_ns = now_ns
        self._note = note
        self.orders: dict[str, OrderTimes] = {}

    def noted(self, kind: RecordKind, data: Any) -> None:
        """Pass a record on, and take from it what was decided and what filled.

        Standing where records pass, it misses no order, whoever places it.
        """
        self._note(kind, data)
        if kind is RecordKind.INTENT:
            self._decided(data)
        elif kind is RecordKind.FILL:
            self._filled(data)

    def hear(self, event: AccountEvent) -> None:
        """Take in what became of a request."""
        if not isinstance(event, RequestSent | RequestAccepted | RequestRefused | RequestUnknown):
            return
        times = self.orders.get(event.tag)
        if times is None or event.kind != "place" or times.acked_ns:
            return
        mid = mid_of(self._market(times.instrument_key))
        match event:
            case RequestSent():
                self.orders[event.tag] = replace(times, sent_ns=event.t_ns, sent_mid=mid)
            case RequestAccepted():
                self._keep(replace(times, acked_ns=event.t_ns, acked_mid=mid, answer="accepted"))
            case RequestRefused():
                self._keep(replace(times, acked_ns=event.t_ns, acked_mid=mid, answer="refused"))
            case RequestUnknown():
                self._keep(replace(times, acked_ns=event.t_ns, acked_mid=mid, answer="unknown"))

    def _decided(self, order: Mapping[str, Any]) -> None:
        request = order["request"]
        key = str(request["instrument_key"])
        market = self._market(key)
        spread = market.ask - market.bid if market.bid and market.ask else 0
        tick_size, multiplier = self._terms(key)
        self.orders[str(order["tag"])] = OrderTimes(
            tag=str(order["tag"]),
            instrument_key=key,
            side=Side(request["side"]),
            source=str(request["source"]),
            decided_ns=self._now_ns(),
            decided_mid=mid_of(market),
            decided_spread=Price(spread),
            tick_size=tick_size,
            multiplier=multiplier,
        )

    def _filled(self, fill: Mapping[str, Any]) -> None:
        times = self.orders.get(str(fill["tag"]))
        if times is None:
            return  # an order of an earlier run, or of another terminal: nobody saw its decision
        now, qty = self._now_ns(), int(fill["qty"])
        if not times.first_fill_ns:
            mid = mid_of(self._market(times.instrument_key))
            times = replace(times, first_fill_ns=now, first_fill_mid=mid)
        filled_qty = times.filled_qty + qty
        value = times.filled_value + qty * int(fill["price"])
        slippage = 0
        if times.decided_mid:
            slippage = times.side.sign * (value - filled_qty * times.decided_mid) * times.multiplier
        self._keep(
            replace(
                times,
                last_fill_ns=now,
                filled_qty=filled_qty,
                filled_value=Money(value),
                slippage=Money(slippage),
            )
        )

    def _keep(self, times: OrderTimes) -> None:
        self.orders[times.tag] = times
        self._note(RecordKind.TIMES, freeze(times))


def terms_of(instrument: Callable[[str], Instrument | None]) -> Callable[[str], tuple[Price, int]]:
    """Key to tick size and multiplier; nothing and 1 where the instrument is not known."""

    def terms(key: str) -> tuple[Price, int]:
        found = instrument(key)
        return (found.tick_size, found.multiplier) if found is not None else (Price(0), 1)

    return terms


def mid_of(market: Quote) -> Price:
    """Middle of best bid and best ask, rounded half up; the last price where a side is missing; 0 for neither."""
    if market.bid and market.ask:
        return Price((market.bid + market.ask + 1) // 2)
    return market.last or Price(0)
