"""Parent orders: the slices of one large order, the legs of one basket. Sent one after the other, never blindly.

The gate has judged the parent as a whole. Its parts leave in order: each waits until the exchange has taken the one
before (the broker's acknowledgement alone comes before its own risk checks), and a later stage until everything before it
has filled. A part that is refused stops the rest; what was placed is kept, and that is said plainly. After a restart
an unfinished parent places nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tradetui.desk.books import Books
from tradetui.domain.order import Order, OrderRequest, OrderStatus, Validity
from tradetui.domain.records import RecordKind, freeze
from tradetui.execution.doubts import SECOND

WAIT_SAID_NS: Final = 30 * SECOND
"""How long a later stage waits before that is said."""
_ENDED_BADLY: Final = frozenset({OrderStatus.REJECTED, OrderStatus.REFUSED, OrderStatus.ABSENT})
_NOT_ANSWERED: Final = frozenset({OrderStatus.INTENT, OrderStatus.SENT, OrderStatus.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Part:
    """One order of a parent.

    Attributes:
        request: What is sent; its group is the parent's label.
        stage: Parts of a later stage wait until all earlier ones have filled.
        reducing: It makes a position smaller: it may go while trading is halted or disarmed.
    """

    request: OrderRequest
    stage: int = 0
    reducing: bool = False


@dataclass(frozen=True, slots=True)
class Parent:
    """A parent order and how far it has come.

    Attributes:
        label: ``g-`` and a number, shared by its parts.
        kind: ``slices`` or ``basket``.
        parts: In the order of sending.
        tags: Orders placed so far.
        state: ``placing``, ``done`` or ``stopped``.
        words: Why it stopped, or what it waits for.
    """

    label: str
    kind: str
    parts: tuple[Part, ...]
    tags: tuple[str, ...] = ()
    state: str = "placing"
    words: str = ""


class Groups:
    """All parent orders of the day.

    Args:
        books: What the desk knows.
        prefix: Beginning of our labels.
        place: Places an order that the gate has let through with its parent (whether it was to reduce a position);
            ``None`` when it was not.
    """

    def __init__(
        self, books: Books, prefix: str, place: Callable[[OrderRequest, bool], Order | None]
    ) -> None:
        self._books = books
        self._prefix = prefix
        self._place = place
        self.parents: dict[str, Parent] = {}
        self._waiting_since_ns: dict[str, int] = {}

    def begin(self, kind: str, parts: Sequence[Part]) -> Parent:
        """Take a parent over and place its first part."""
        label = f"g-{self._prefix}{len(self.parents) + 1:03d}"
        labelled = tuple(replace(part, request=replace(part.request, group=label)) for part in parts)
        self._set(Parent(label, kind, labelled))
        self._step(self.parents[label])
        return self.parents[label]

    def go_on(self) -> None:
        """Place what may be placed now."""
        for parent in [one for one in self.parents.values() if one.state == "placing"]:
            self._step(parent)

    def stop(self, words: str, label: str = "", key: str = "") -> None:
        """Place nothing more of one parent, of those in one instrument, or of all."""
        for parent in list(self.parents.values()):
            mine = not key or any(part.request.instrument_key == key for part in parent.parts)
            if parent.state == "placing" and label in ("", parent.label) and mine:
                self._stop(parent, words)

    def restore(self, parents: Sequence[Parent]) -> None:
        """Show the parents of an earlier run; one that was under way places nothing more."""
        for parent in parents:
            self.parents[parent.label] = parent
            if parent.state == "placing":
                if len(parent.tags) == len(parent.parts):
                    self._set(replace(parent, state="done", words=""))
                else:
                    self._stop(parent, "the program stopped while it was being placed")

    # --- inside ---------------------------------------------------------------------------------------

    def _step(self, parent: Parent) -> None:
        while parent.state == "placing":
            orders = [self._books.manager.orders[tag] for tag in parent.tags]
            if any(_under_way(order) for order in orders):
                return
            bad = next((order for order in orders if _failed(order)), None)
            if bad is not None:
                number = parent.tags.index(bad.tag) + 1
                why = bad.message or f"it was {bad.status.value}"
                self._stop(parent, f"{_part_word(parent)} {number} of {len(parent.parts)} was refused: {why}")
                return
            if len(orders) == len(parent.parts):
                self._set(replace(parent, state="done", words=""))
                return
            part = parent.parts[len(orders)]
            if self._waits(parent, part, orders):
                return
            words = self._not_now(part)
            order = None if words else self._place(part.request, part.reducing)
            if order is None:
                number = len(orders) + 1
                words = words or ("nothing is left to close" if part.reducing else "it was asked for before")
                self._stop(
                    parent, f"{_part_word(parent)} {number} of {len(parent.parts)} was not sent: {words}"
                )
                return
            parent = self._set(replace(parent, tags=(*parent.tags, order.tag), words=""))

    def _waits(self, parent: Parent, part: Part, orders: list[Order]) -> bool:
        """Whether a part must wait for an earlier stage to fill; says so when that takes long."""
        open_tags = [
            order.tag
            for order, earlier in zip(orders, parent.parts, strict=False)
            if earlier.stage < part.stage and order.status is not OrderStatus.FILLED
        ]
        if not open_tags:
            self._waiting_since_ns.pop(parent.label, None)
            return False
        cut = next((order for order in orders if order.tag in open_tags and order.status.terminal), None)
        if cut is not None:
            # An IOC leg that filled in part: what comes after it relies on all of it.
            number = parent.tags.index(cut.tag) + 1
            words = f"{_part_word(parent)} {number} of {len(parent.parts)} filled {cut.filled_qty} of {cut.request.qty}"
            self._stop(parent, words)
            return True
        since_ns = self._waiting_since_ns.setdefault(parent.label, self._books.now_ns)
        if self._books.now_ns - since_ns >= WAIT_SAID_NS and not parent.words:
            words = f"{len(parent.parts) - len(orders)} legs wait until {', '.join(open_tags)} has filled"
            self._set(replace(parent, words=words))
            self._say(parent, words)
        return True

    def _not_now(self, part: Part) -> str:
        """Why nothing may leave any more, although the parent was let through."""
        books = self._books
        if books.journal_problem:
            return books.journal_problem
        if part.reducing:
            return ""
        if books.state.value != "active":
            return f"trading is {books.state.value}: {books.state_reason}"
        if books.live and books.now_ns >= books.armed_until_ns:
            return "live trading is disarmed"
        return "" if books.feed_up else "the feed is down"

    def _stop(self, parent: Parent, words: str) -> None:
        orders = self._books.manager.orders
        kept = [tag for tag in parent.tags if tag in orders and not _failed(orders[tag])]
        words = f"{words}; {len(kept)} of {len(parent.parts)} stand, the rest is not sent"
        words += f"; kept: {', '.join(kept)}" if kept else ""
        self._set(replace(parent, state="stopped", words=words))
        self._say(parent, words)

    def _say(self, parent: Parent, words: str) -> None:
        data = {"refused": f"{parent.kind} {parent.label}: {words}", "kind": "group", "tag": parent.label}
        self._books.note(RecordKind.DECISION, data)

    def _set(self, parent: Parent) -> Parent:
        self.parents[parent.label] = parent
        self._books.note(RecordKind.GROUP, freeze(parent))
        return parent


def _under_way(order: Order) -> bool:
    """Whether nobody knows yet if the exchange takes an order; an after-market one has done all it can today."""
    checked = order.status is OrderStatus.PENDING and not order.raw_status.lower().startswith("after market")
    return checked or order.status in _NOT_ANSWERED


def _failed(order: Order) -> bool:
    if order.status in _ENDED_BADLY:
        return True
    cut = order.status is OrderStatus.CANCELLED and order.filled_qty < order.request.qty
    return cut and order.request.validity is not Validity.IOC


def _part_word(parent: Parent) -> str:
    return "slice" if parent.kind == "slices" else "leg"
