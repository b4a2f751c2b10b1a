"""Conversions between products: intents recorded first, lost answers decided by the broker's positions.

A conversion leaves no trade and no order: the only evidence is that the units stand under another product. One
that was made elsewhere shows in the same way, as the same units missing here and too many there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from tradetui.domain.conversion import Conversion, ConversionStatus
from tradetui.domain.events import AccountSnapshot, RequestAccepted, RequestRefused, RequestUnknown
from tradetui.domain.order import Product, Side
from tradetui.domain.portfolio import Portfolio
from tradetui.domain.position import PositionKey
from tradetui.domain.records import RecordKind, freeze
from tradetui.domain.requests import Command, ConvertPosition
from tradetui.domain.text import clean
from tradetui.execution.doubts import SECOND, Doubts
from tradetui.execution.tags import Tags

ANSWER_DUE_NS: Final = 60 * SECOND
"""A request without any answer for so long counts as unknown."""

Differences = Mapping[PositionKey, tuple[int, int]]
"""Position -> (ours, the broker's), where they differ."""


class Conversions:
    """All conversions of one account's day.

    Args:
        portfolio: Where units move.
        emit: Takes commands for the broker.
        note: Takes journal records.
        tags: Gives out labels.
    """

    def __init__(
        self,
        portfolio: Portfolio,
        emit: Callable[[Command], None],
        note: Callable[[RecordKind, Any], None],
        tags: Tags,
    ) -> None:
        self._portfolio = portfolio
        self._emit = emit
        self._note = note
        self._tags = tags
        self.conversions: dict[str, Conversion] = {}
        self._doubts = Doubts()
        self._suspected: tuple[PositionKey, PositionKey, int] | None = None
        self.read_wanted = False
        """The broker's positions are wanted soon."""

    # --- asking ---------------------------------------------------------------------------------------

    def convert(self, key: str, old: Product, new: Product, qty: int | None, t_ns: int) -> str:
        """Record an intent and emit its command.

        Args:
            key: Instrument.
            old: Product of the position.
            new: What the units become.
            qty: Units, positive; ``None`` for all.
            t_ns: Engine time.

        Returns:
            Why it cannot be done, or an empty string.
        """
        words = self.why_not(key, old, new, qty)
        if words:
            return words
        held = self._portfolio.qty(key, old)
        units = abs(held) if qty is None else qty
        side = Side.BUY if held > 0 else Side.SELL
        tag = self._tags.next(t_ns)
        self._store(Conversion(tag, key, side, units, old, new, ConversionStatus.SENT, t_ns, t_ns))
        self._emit(ConvertPosition(t_ns, tag, key, side, units, old, new))
        return ""

    def why_not(self, key: str, old: Product, new: Product, qty: int | None) -> str:
        """Why a conversion cannot be asked for now; empty when it can."""
        held = abs(self._portfolio.qty(key, old))
        if old is new:
            return f"it is {old.name.lower()} already"
        if not held:
            return f"no {old.name.lower()} position in {key}"
        if qty is not None and not 0 < qty <= held:
            return f"the position has {held} units, not {qty}"
        if self.under_way(key):
            return "a conversion in this instrument is already under way"
        return ""

    def leaving(self, key: str, product: Product) -> int:
        """Signed units of a position that may be moving to another product: nothing may be closed with them."""
        under_way = (one for one in self.conversions.values() if one.status.under_way)
        return sum(one.signed_qty for one in under_way if (one.instrument_key, one.old) == (key, product))

    # --- hearing --------------------------------------------------------------------------------------

    def on_accepted(self, event: RequestAccepted) -> None:
        """The broker took a conversion: the units have moved."""
        found = self.conversions.get(event.tag)
        if found is not None and found.status.under_way:
            self._done(found, event.t_ns)

    def on_refused(self, event: RequestRefused) -> None:
        """The broker refused: nothing moved."""
        found = self.conversions.get(event.tag)
        if found is not None and found.status.under_way:
            self._end(found, ConversionStatus.REJECTED, clean(event.message), event.t_ns)

    def on_unknown(self, event: RequestUnknown) -> None:
        """An answer never came or made no sense."""
        found = self.conversions.get(event.tag)
        if found is not None and found.status is ConversionStatus.SENT:
            self._doubt(found, event.t_ns, clean(event.message))

    def on_snapshot(self, snapshot: AccountSnapshot) -> None:
        """Decide conversions of unknown outcome by the broker's positions. Every fill must be booked by now."""
        if snapshot.positions is None:
            return
        theirs = {(p.instrument_key, p.product): p.qty for p in snapshot.positions}
        for tag in self._doubts:
            one = self.conversions[tag]
            if one.updated_ns >= snapshot.asked_ns:
                continue
            said = [theirs.get((one.instrument_key, product), 0) for product in (one.old, one.new)]
            ours = [self._portfolio.qty(one.instrument_key, product) for product in (one.old, one.new)]
            moved = one.signed_qty
            if said == [ours[0] - moved, ours[1] + moved]:
                self._done(one, snapshot.t_ns)
            elif said == ours and self._doubts.missed(tag, snapshot.asked_ns):
                words = "the broker's positions have not changed"
                self._end(one, ConversionStatus.NOT_DONE, words, snapshot.t_ns)

    def explain(self, differences: Differences, t_ns: int) -> bool:
        """Whether differences of positions are one conversion made elsewhere; if so it is booked.

        They must stand unchanged in two snapshots: one may have been read while a conversion was under way.
        """
        found = _one_move(differences)
        suspected, self._suspected = self._suspected, found
        if found is None or found != suspected:
            return False
        (key, old), (_, new), units = found
        if self.under_way(key) or abs(units) > abs(self._portfolio.qty(key, old)):
            return False
        self._suspected = None
        side = Side.BUY if units > 0 else Side.SELL
        number = sum(one.foreign for one in self.conversions.values()) + 1
        tag = f"x-conversion-{self._tags.prefix}{number}"
        stranger = Conversion(
            tag, key, side, abs(units), old, new, ConversionStatus.SENT, t_ns, t_ns, foreign=True
        )
        self._done(stranger, t_ns)
        return True

    # --- time, restart, reading -----------------------------------------------------------------------

    def on_time(self, t_ns: int) -> None:
        """Ask for positions while an outcome is not known."""
        for one in list(self.conversions.values()):
            if one.status is ConversionStatus.SENT and t_ns - one.updated_ns >= ANSWER_DUE_NS:
                self._doubt(one, t_ns, "no answer from the broker")
        if self._doubts.due(t_ns):
            self.read_wanted = True

    def restore(self, conversions: list[Conversion], t_ns: int) -> None:
        """Take over the conversions of an earlier run of the day. Those that are done have been booked before."""
        for one in conversions:
            self.conversions[one.tag] = one
            if one.status.under_way:
                self._doubt(one, t_ns, one.message or "the program stopped before the answer came")

    def under_way(self, key: str) -> bool:
        """Whether units of an instrument may be moving."""
        return any(one.status.under_way and one.instrument_key == key for one in self.conversions.values())

    # --- inside ---------------------------------------------------------------------------------------

    def _store(self, one: Conversion) -> None:
        self.conversions[one.tag] = one
        self._note(RecordKind.CONVERSION, freeze(one))

    def _done(self, one: Conversion, t_ns: int) -> None:
        held = self._portfolio.qty(one.instrument_key, one.old)
        if held * one.side.sign < one.qty:
            # Sold in between, and the trade came first: what there is moves, and the comparison tells the rest.
            one = replace(one, qty=max(0, held * one.side.sign))
        if one.qty:
            self._portfolio.convert(one.instrument_key, one.old, one.new, one.signed_qty)
        self._end(one, ConversionStatus.DONE, "", t_ns)
        self.read_wanted = True

    def _end(self, one: Conversion, status: ConversionStatus, words: str, t_ns: int) -> None:
        self._doubts.end(one.tag)
        self._store(replace(one, status=status, message=words, updated_ns=t_ns))

    def _doubt(self, one: Conversion, t_ns: int, words: str) -> None:
        self._store(replace(one, status=ConversionStatus.UNKNOWN, message=words, updated_ns=t_ns))
        self._doubts.begin(one.tag, t_ns)
        self.read_wanted = True


def _one_move(differences: Differences) -> tuple[PositionKey, PositionKey, int] | None:
    """(from, to, signed units) when the only differences are the same units under two products; else ``None``."""
    if len(differences) != 2:
        return None
    (one, (ours_1, theirs_1)), (two, (ours_2, theirs_2)) = differences.items()
    if one[0] != two[0] or theirs_1 - ours_1 + theirs_2 - ours_2:
        return None
    # The side that lost units towards zero is where they came from.
    if abs(theirs_1) < abs(ours_1) and ours_1 * theirs_1 >= 0:
        return one, two, ours_1 - theirs_1
    if abs(theirs_2) < abs(ours_2) and ours_2 * theirs_2 >= 0:
        return two, one, ours_2 - theirs_2
    return None
