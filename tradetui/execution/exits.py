"""Stops and targets that are watched here, for positions that strategies opened.

The engine looks at them on every frame; a hit becomes one protected market exit. They carry the product of
the position they close. A resting protective order at the broker is the business of the managed bracket.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from tradetui.domain.money import Price, format_rupees
from tradetui.domain.order import Fill, OrderRequest, Product

SOURCE: Final = "exit"
"""`OrderRequest.source` of our own exits."""


class _Priced(Protocol):
    @property
    def last(self) -> Price | None: ...


@dataclass(frozen=True, slots=True)
class Watched:
    """Stop and target of one position; 0 means none. ``sign`` is +1 for a long position."""

    instrument_key: str
    product: Product
    sign: int
    stop: Price
    target: Price


@dataclass(frozen=True, slots=True)
class Hit:
    """A stop or target that traded."""

    instrument_key: str
    product: Product
    words: str


class Watcher:
    """All watched stops and targets, at most one pair a position."""

    def __init__(self) -> None:
        self.pairs: dict[tuple[str, Product], Watched] = {}

    def on_fill(self, fill: Fill, request: OrderRequest) -> None:
        """An entry with a stop filled: watch it."""
        self.pairs[fill.instrument_key, fill.product] = Watched(
            fill.instrument_key, fill.product, fill.side.sign, request.stop, request.target
        )

    def drop(self, key: str, product: Product) -> None:
        """The position is gone."""
        self.pairs.pop((key, product), None)

    def hits(self, market: Callable[[str], _Priced]) -> list[Hit]:
        """Pairs whose stop or target the last price has reached. A hit pair stays until its position is flat."""
        out = []
        for pair in self.pairs.values():
            last = market(pair.instrument_key).last
            if last is None:
                continue
            if pair.stop and (last - pair.stop) * pair.sign <= 0:
                out.append(Hit(pair.instrument_key, pair.product, f"stop {format_rupees(pair.stop)} hit"))
            elif pair.target and (last - pair.target) * pair.sign >= 0:
                out.append(Hit(pair.instrument_key, pair.product, f"target {format_rupees(pair.target)} hit"))
        return out
