"""Our positions against the broker's: what was carried over night is taken in, everything else is said.

No difference is ever booked away: a position that differs stays on the list until a trade, a conversion or a
new day explains it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Final

from tradetui.domain.calendar import ist_date
from tradetui.domain.events import BrokerPosition
from tradetui.domain.money import Money, Price
from tradetui.domain.order import Product
from tradetui.domain.portfolio import Opening, Portfolio
from tradetui.domain.position import Position, PositionKey
from tradetui.domain.records import RecordKind, freeze
from tradetui.execution.conversions import Conversions

_KEPT_ROWS: Final = 100
"""A row whose text changes with every reading must not grow without end."""


class OddRows:
    """Rows of the broker's books that could not be read: kept as they came, and said once each (case O21).

    Args:
        note: Takes journal records.
    """

    def __init__(self, note: Callable[[RecordKind, Any], None]) -> None:
        self._note = note
        self.rows: deque[str] = deque(maxlen=_KEPT_ROWS)
        """The newest ones, oldest first."""

    def say(self, rows: Sequence[str]) -> None:
        """Take in what one reading of the books found odd."""
        for row in rows:
            if row not in self.rows:
                self.rows.append(row)
                self._note(RecordKind.RECONCILE, {"found": "a row that makes no sense", "row": row})


class PositionCheck:
    """Compares positions, and remembers what was found.

    Args:
        portfolio: Our positions.
        conversions: Explain units that stand under another product.
        note: Takes journal records.
    """

    def __init__(
        self, portfolio: Portfolio, conversions: Conversions, note: Callable[[RecordKind, Any], None]
    ) -> None:
        self._portfolio = portfolio
        self._conversions = conversions
        self._note = note
        self.compared = False
        """Whether the broker's positions were ever compared: before that nobody knows what was carried over night."""
        self._rolled_on: date | None = None
        self.kept: Callable[[PositionKey], bool] = lambda at: False
        """Whether somebody still looks after a position: then shares stay in our book when the demat account has them."""
        self.remembered: Mapping[PositionKey, Position] = {}
        """What an earlier run held at the end of the days before today; empty once it was compared."""
        self.differences: dict[PositionKey, tuple[int, int]] = {}
        """Position -> (ours, the broker's), as last found."""

    def turn_day(self, day: date) -> None:
        """A new day began while running: what is open now is what the day starts with."""
        self._rolled_on = day
        for position in self._portfolio.open_positions():
            opening = Opening(position.instrument_key, position.product, position.qty, position.average_price)
            self._note(RecordKind.OPENING, freeze(opening))

    def compare(self, theirs: Sequence[BrokerPosition], t_ns: int) -> None:
        """Compare with the broker's positions. Every fill that is known must be booked by now."""
        said = {(p.instrument_key, p.product): p for p in theirs}
        if self.remembered and not self.compared and not self._take_from_demat(said):
            return
        first, self.compared = not self.compared, True
        differences = {
            key: pair
            for key, pair in self._portfolio.unexplained(theirs).items()
            if not self._conversions.under_way(key[0])
        }
        for key, (ours, qty) in list(differences.items()):
            found = said.get(key)
            in_demat = self._in_demat(key, ours - qty)
            if in_demat and (self.kept(key) or ours != self._portfolio.carried_qty(key)):
                del differences[key]  # held as before, and listed elsewhere
            elif ours > qty and key[1] is Product.DELIVERY and self.kept(key):
                continue  # until the holdings show it, nobody says that it is gone
            elif in_demat or (first and found is not None) or self._moved_over_night(key, t_ns):
                self._open(found or BrokerPosition(*key, qty, Price(0), Money(0)))
                del differences[key]
        if self._conversions.explain(differences, t_ns):
            differences.clear()
        for key, (ours, qty) in differences.items():
            if self.differences.get(key) != (ours, qty):
                self._note(
                    RecordKind.RECONCILE,
                    {
                        "found": "position differs",
                        "instrument_key": key[0],
                        "product": key[1].value,
                        "ours": ours,
                        "theirs": qty,
                    },
                )
        self.differences = differences

    def _take_from_demat(self, said: Mapping[PositionKey, BrokerPosition]) -> bool:
        """After a restart: shares of an earlier day that an exit plan looks after and the holdings show are held on.

        Returns:
            Whether that could be judged: not before the holdings were read.
        """
        mine = [
            (key, position)
            for key, position in self.remembered.items()
            if key[1] is Product.DELIVERY
            and position.qty > 0
            and self.kept(key)
            # Shares that the broker still lists as a position are there to be seen.
            and (said[key].qty if key in said else 0) == self._portfolio.qty(*key)
        ]
        if mine and not self._portfolio.holdings_known:
            return False
        self.remembered = {}
        for key, position in mine:
            holding = self._portfolio.holding(key[0])
            there = holding is not None and holding.qty + holding.t1_qty >= position.qty
            if there and not self._portfolio.carried_qty(key):
                opening = Opening(*key, position.qty, position.average_price)
                self._portfolio.open_with(opening)
                self._note(RecordKind.OPENING, freeze(opening))
        return True

    def _in_demat(self, key: PositionKey, units: int) -> bool:
        """Whether units that the broker's positions lack are shares of an earlier day, among the holdings by now."""
        if key[1] is not Product.DELIVERY or not 0 < units <= self._portfolio.carried_qty(key):
            return False
        holding = self._portfolio.holding(key[0])
        return holding is not None and holding.qty + holding.t1_qty >= units

    def _open(self, found: BrokerPosition) -> None:
        opening = self._portfolio.carried(found)
        self._portfolio.open_with(opening)
        self._note(RecordKind.OPENING, freeze(opening))

    def _moved_over_night(self, key: PositionKey, t_ns: int) -> bool:
        """Whether a position changed between two days of one run (shares that went into the demat account).

        The broker turns its own day some time before the market opens; once something has traded, a difference
        is a difference.
        """
        today = ist_date(t_ns)
        return today == self._rolled_on and not any(
            (fill.instrument_key, fill.product) == key and ist_date(fill.time_ns) == today
            for fill in self._portfolio.fills.values()
        )
