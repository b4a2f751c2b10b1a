"""Signals of this run: sized into order requests, kept with their votes, shown on the screen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tradetui.desk import Desk
from tradetui.domain import margin
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Money, Price, ceil_to_tick, floor_to_tick, nearest_tick, to_price, to_rupees
from tradetui.domain.order import OrderRequest, OrderType, Product, Side
from tradetui.domain.records import freeze
from tradetui.domain.view import SignalRow
from tradetui.execution.sizing import quantity
from tradetui.strategies.base import Signal, Vote

_KEPT: Final = 200


@dataclass(slots=True)
class Known:
    """A signal, what it would be as an order, and what became of it."""

    id: str
    t_ns: int
    signal: Signal
    instrument: Instrument
    request: OrderRequest | None
    state: str = "new"


class Signals:
    """The newest signals by id."""

    def __init__(self) -> None:
        self.known: dict[str, Known] = {}
        self._earlier: list[SignalRow] = []
        self._count = 0

    def go_on_from(self, count: int) -> None:
        """Number the next signal after ``count``: an earlier run of the day gave so many."""
        self._count = count

    def show_earlier(
        self, signals: Iterable[tuple[int, Mapping[str, Any]]], lookup: Callable[[str], Instrument | None]
    ) -> None:
        """Show the signals of earlier runs of the day again, from their journal data. They can no longer be acted on.

        Args:
            signals: Engine time and journal data, oldest first.
            lookup: Key to terms, for symbols.
        """
        self._earlier = [_earlier_row(t_ns, data, lookup) for t_ns, data in signals][-_KEPT:]

    def request_of(self, signal: Signal, instrument: Instrument, desk: Desk) -> OrderRequest | None:
        """The order that a signal suggests; ``None`` when not even one lot fits the risk budget.

        The quantity loses the configured share of capital at the stop (1% by default). The price is the
        signal bar's close, so that the reward:risk that was judged is the one that is traded.
        """
        tick = instrument.tick_size
        entry = nearest_tick(to_price(signal.price), tick)
        buy = signal.side is Side.BUY
        # Rounded towards the entry for the stop and away for neither: never a larger risk than judged.
        stop = (
            ceil_to_tick(to_price(signal.stop), tick) if buy else floor_to_tick(to_price(signal.stop), tick)
        )
        target = nearest_tick(to_price(signal.target), tick)
        budget = Money(round(desk.books.limits.capital * desk.books.limits.risk_per_trade_pct / 100))
        product = Product.INTRADAY
        leverage = 100 / margin.share_pct(instrument, product, signal.side)
        qty = quantity(instrument, entry, stop, budget, desk.figures.available(), leverage)
        if qty <= 0:
            return None
        reason = f"{signal.strategy} score {signal.score:.0f}"
        return OrderRequest(
            instrument.key,
            signal.side,
            qty,
            product,
            OrderType.LIMIT,
            Price(entry),
            source=signal.strategy,
            reason=reason,
            stop=stop,
            target=target,
        )

    def add(
        self, signal: Signal, instrument: Instrument, request: OrderRequest | None, t_ns: int
    ) -> dict[str, Any]:
        """Keep a signal; return its journal data."""
        self._count += 1
        number = f"s{self._count}"
        state = "new" if request is not None else "too small: not one lot fits the risk budget"
        self.known[number] = Known(number, t_ns, signal, instrument, request, state)
        if len(self.known) > _KEPT:
            del self.known[next(iter(self.known))]
        return {
            "id": number,
            "instrument_key": instrument.key,
            "strategy": signal.strategy,
            "side": signal.side.value,
            "score": signal.score,
            "price": to_price(signal.price),
            "stop": to_price(signal.stop),
            "target": to_price(signal.target),
            "interval_s": signal.interval_s,
            "bar_start_ms": signal.bar_start_ms,
            "qty": request.qty if request is not None else 0,
            "votes": freeze(signal.votes),
        }

    def rows(self) -> tuple[SignalRow, ...]:
        """Signals for the screen, newest first."""
        now = [_row(known) for known in reversed(self.known.values())]
        return tuple(now + self._earlier[::-1])[:_KEPT]


def _row(known: Known) -> SignalRow:
    signal = known.signal
    return SignalRow(
        id=known.id,
        t_ns=known.t_ns,
        strategy=signal.strategy,
        key=known.instrument.key,
        symbol=known.instrument.symbol,
        side=signal.side.value,
        score=signal.score,
        price=signal.price,
        stop=signal.stop,
        target=signal.target,
        qty=known.request.qty if known.request is not None else 0,
        state=known.state,
        votes=signal.explain(),
    )


def _earlier_row(t_ns: int, data: Mapping[str, Any], lookup: Callable[[str], Instrument | None]) -> SignalRow:
    instrument = lookup(data["instrument_key"])
    return SignalRow(
        id=data["id"],
        t_ns=t_ns,
        strategy=data["strategy"],
        key=data["instrument_key"],
        symbol=instrument.symbol if instrument is not None else data["instrument_key"],
        side=data["side"],
        score=data["score"],
        price=to_rupees(data["price"]),
        stop=to_rupees(data["stop"]),
        target=to_rupees(data["target"]),
        qty=data["qty"],
        state="earlier run",
        votes=tuple(Vote(**vote).words() for vote in data["votes"]),
    )
