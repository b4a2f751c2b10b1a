"""What the risk limits must remember, folded out of the journal: results, breakers, counts, changed limits."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from tradetui.desk.guard import Memory
from tradetui.domain.order import OrderRequest, Product
from tradetui.domain.records import Record, RecordKind
from tradetui.domain.thawing import thaw
from tradetui.risk.breakers import Latch, Span

SIZES_KEPT: Final = 20
"""Last quantities kept for each instrument: what the gate calls usual is their median."""


class RiskFold:
    """Folds risk records, oldest first.

    Args:
        today: The day that the new run begins on, IST.
    """

    def __init__(self, today: date) -> None:
        self._today = today
        self._results: dict[str, int] = {}
        self._latches: dict[Span, Latch] = {}
        self._waived: dict[Span, tuple[str, int]] = {}
        self._entries = 0
        self._changes: list[tuple[str, float]] = []
        self._locked: tuple[str, ...] = ()
        self._square_off_ok = ""
        self._sizes: dict[str, deque[int]] = {}
        self._groups: dict[str, str] = {}

    def take(self, record: Record, day: date) -> None:
        """Take one record that was written on ``day``."""
        data = record.data
        if record.kind is RecordKind.RISK:
            self._risk(data, day)
        elif record.kind is RecordKind.LIMITS and day == self._today:
            self._changes.append((data["name"], data["new"]))
        elif record.kind is RecordKind.INTENT and day != self._today:
            request = thaw(OrderRequest, data["request"])
            if not request.is_exit and request.product is not Product.INTRADAY:
                self._groups[f"{request.instrument_key}\t{request.product.value}"] = request.group
            if request.source == "manual":
                self._sizes.setdefault(request.instrument_key, deque(maxlen=SIZES_KEPT)).append(request.qty)

    def _risk(self, data: Mapping[str, Any], day: date) -> None:
        if "day" in data:
            self._results[data["day"]] = data["net"]
        elif "breaker" in data:
            span = Span(data["breaker"])
            self._latches[span] = Latch(span, data["until"], data["words"])
        elif "released" in data:
            for name, loss in data["released"].items():
                self._latches.pop(Span(name), None)
                self._waived[Span(name)] = (Span(name).of(day), loss)
        elif "entries" in data and day == self._today:
            self._entries = data["entries"]
        elif "locked_segments" in data:
            self._locked = tuple(data["locked_segments"])
        elif "square_off_ok" in data:
            self._square_off_ok = data["square_off_ok"]

    def memory(self) -> Memory:
        """What the guard takes over."""
        month, week = Span.MONTH.of(self._today), Span.WEEK.of(self._today)
        results = {
            day: net
            for day, net in sorted(self._results.items())
            if (found := date.fromisoformat(day)) < self._today
            and (Span.MONTH.of(found) == month or Span.WEEK.of(found) == week)
        }
        return Memory(
            results=results,
            latches=tuple(latch for latch in self._latches.values() if latch.holds(self._today)),
            waived={
                span.value: loss
                for span, (until, loss) in self._waived.items()
                if until == span.of(self._today)
            },
            entries=self._entries,
            changes=tuple(self._changes),
            locked_segments=self._locked,
            square_off_ok=self._square_off_ok,
            sizes={key: tuple(sizes) for key, sizes in self._sizes.items()},
            groups={position: group for position, group in self._groups.items() if group},
        )
