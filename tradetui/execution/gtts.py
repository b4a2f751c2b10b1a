"""GTTs and their states: intents recorded first, outcomes by evidence only, child orders tied to their parent.

The same rules as for orders (`design.md` 4), with two differences: the broker keeps no label of ours, so terms
and time stand in for it (`gtt_evidence`), and absence is proven by the GTT book alone, read three times, the
first at least ten seconds after the lost answer. Writes are never repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, Protocol

from tradetui.domain.calendar import ist_date
from tradetui.domain.events import (
    AccountSnapshot,
    GttUpdate,
    RequestAccepted,
    RequestRefused,
    RequestUnknown,
)
from tradetui.domain.gtt import Gtt, GttRequest, GttStatus, GttStrategy
from tradetui.domain.order import Product
from tradetui.domain.records import RecordKind, freeze
from tradetui.domain.requests import CancelGtt, Command, ModifyGtt, PlaceGtt, Reconcile
from tradetui.domain.text import clean
from tradetui.execution import gtt_evidence as evidence
from tradetui.execution.doubts import SECOND, Doubts
from tradetui.execution.tags import Tags

ANSWER_DUE_NS: Final = 60 * SECOND
"""A request without any answer for so long counts as unknown; changes may wait half a minute for the rate limit."""
_CHANGE_SHOWS_NS: Final = 2 * SECOND
"""A book read so long after a change was asked for, without an answer, tells whether it was made."""


class Parent(Protocol):
    """Takes child orders: the order manager."""

    def link(self, broker_id: str, gtt: Gtt, strategy: GttStrategy) -> None:
        """An order came out of a rule of this GTT."""


class GttManager:
    """All GTTs of one account.

    Args:
        parent: Told of child orders.
        emit: Takes commands for the broker.
        note: Takes journal records.
        tags: Gives out labels.
    """

    def __init__(
        self,
        parent: Parent,
        emit: Callable[[Command], None],
        note: Callable[[RecordKind, Any], None],
        tags: Tags,
    ) -> None:
        self._parent = parent
        self._emit = emit
        self._note = note
        self._tags = tags
        self.gtts: dict[str, Gtt] = {}
        self._tag_of: dict[str, str] = {}
        self._doubts = Doubts()
        self._client_ids: set[str] = set()
        self._cancel_wanted: set[str] = set()
        self._cancel_taken: set[str] = set()
        self._changed_ns: dict[str, int] = {}
        self._read_wanted = False
        self._last_read_ns = 0

    # --- asking ---------------------------------------------------------------------------------------

    def was_asked(self, request: GttRequest) -> bool:
        """Whether a request with this client id has been decided before."""
        return bool(request.client_id) and request.client_id in self._client_ids

    def place(self, request: GttRequest, t_ns: int) -> Gtt | None:
        """Record an intent and emit its command. ``None`` when this client id was used before."""
        if self.was_asked(request):
            return None
        gtt = self._new(request, GttStatus.SENT, t_ns)
        self._emit(PlaceGtt(t_ns, gtt.tag, request))
        return gtt

    def refuse(self, request: GttRequest, t_ns: int, words: str) -> Gtt:
        """Record a request that our own gate refused."""
        return self._new(request, GttStatus.REFUSED, t_ns, words)

    def modify(self, tag: str, t_ns: int, request: GttRequest) -> str:
        """Replace quantity and rules. Returns why it cannot be done, or an empty string."""
        gtt = self.gtts.get(tag)
        if gtt is None or not gtt.status.working:
            return f"the GTT is {gtt.status.value} already" if gtt else f"no GTT {tag}"
        if not gtt.gtt_id:
            return "the broker has not confirmed this GTT yet"
        if gtt.modify_pending or gtt.cancel_pending:
            return "a change of this GTT is already under way"
        old = gtt.request
        if (request.instrument_key, request.side, request.product) != (
            old.instrument_key, old.side, old.product,
        ):  # fmt: skip
            return "instrument, side and product of a GTT cannot change: cancel it and place another"
        self._changed_ns[tag] = t_ns
        self._store(replace(gtt, modify_pending=True, updated_ns=t_ns))
        self._emit(ModifyGtt(t_ns, tag, gtt.gtt_id, request))
        return ""

    def cancel(self, tag: str, t_ns: int) -> str:
        """Emit a cancel, now or as soon as the broker's id is known. Returns why not, or an empty string."""
        gtt = self.gtts.get(tag)
        if gtt is None:
            return f"no GTT {tag}"
        if not gtt.status.working:
            return f"the GTT is {gtt.status.value} already"
        if gtt.cancel_pending:
            return ""
        self._store(replace(gtt, cancel_pending=True, updated_ns=t_ns))
        if gtt.gtt_id:
            self._send_cancel(self.gtts[tag], t_ns)
        else:
            self._cancel_wanted.add(tag)
        return ""

    # --- hearing --------------------------------------------------------------------------------------

    def on_accepted(self, event: RequestAccepted) -> None:
        """The broker took a request."""
        gtt = self.gtts.get(event.tag)
        if gtt is None:
            return
        self._read_wanted = True
        if event.kind == "gtt place":
            self._is_ours(gtt, event.broker_id, event.t_ns)
        elif event.kind == "gtt modify":
            self._store(replace(gtt, modify_pending=False, updated_ns=event.t_ns))
        else:
            # What rested may have triggered a moment before: the book tells, the answer only says that it was taken.
            self._cancel_taken.add(event.tag)

    def on_refused(self, event: RequestRefused) -> None:
        """The broker refused a request: nothing was done."""
        gtt = self.gtts.get(event.tag)
        if gtt is None:
            return
        gtt = replace(gtt, message=clean(event.message), updated_ns=event.t_ns)
        if event.kind != "gtt place":
            # Most often it was refused because it had just triggered.
            self._read_wanted = True
            if event.kind == "gtt modify":
                gtt = replace(gtt, modify_pending=False)
            else:
                gtt = replace(gtt, cancel_pending=False)
            self._store(gtt)
        elif not gtt.gtt_id:
            self._settle(replace(gtt, status=GttStatus.REJECTED))

    def on_unknown(self, event: RequestUnknown) -> None:
        """An answer never came or made no sense."""
        gtt = self.gtts.get(event.tag)
        if gtt is None:
            return
        self._read_wanted = True
        if event.kind != "gtt place":
            self._store(replace(gtt, message=clean(event.message), updated_ns=event.t_ns))
        elif gtt.status is GttStatus.SENT:
            self._doubt(gtt, event.t_ns, clean(event.message))

    def on_update(self, update: GttUpdate, *, asked_ns: int | None = None) -> None:
        """Apply a statement of the broker about one GTT.

        Args:
            update: The statement.
            asked_ns: For the GTT book: when its reading began. What we learned later is newer.
        """
        gtt = self._find(update)
        if gtt is None:
            stranger = evidence.adopted(update)
            if stranger.status.working:
                self._note(RecordKind.RECONCILE, {"found": "foreign GTT", "gtt_id": update.gtt_id})
                self._settle(stranger)
            else:
                # Old ones stay in the broker's book; only their orders may still concern us.
                self._tell_children(stranger)
            return
        if evidence.is_old(gtt, update, asked_ns) or (asked_ns is None and evidence.goes_back(gtt, update)):
            return
        said = evidence.confirmed(gtt, update)
        if asked_ns is not None:
            said = self._changes_decided(said, asked_ns)
        if replace(said, updated_ns=0) != replace(gtt, updated_ns=0):
            self._settle(replace(said, updated_ns=update.t_ns))

    def on_snapshot(self, snapshot: AccountSnapshot) -> None:
        """Compare the broker's GTT book with ours: adopt, find lost ones, follow children, prove absence."""
        if snapshot.gtts is None:
            return
        self._last_read_ns, self._read_wanted = snapshot.t_ns, False
        for update in snapshot.gtts:
            self.on_update(update, asked_ns=snapshot.asked_ns)
        if snapshot.odd_rows:
            return  # a row that could not be read may be the one that seems to be missing
        seen = {update.gtt_id for update in snapshot.gtts}
        for gtt in list(self.gtts.values()):
            if gtt.status.working and gtt.gtt_id not in seen and gtt.updated_ns < snapshot.asked_ns:
                self._missing(gtt, snapshot)

    # --- time -----------------------------------------------------------------------------------------

    def on_time(self, t_ns: int) -> None:
        """Ask for the GTT book while something about it is not known."""
        for gtt in list(self.gtts.values()):
            if gtt.status is GttStatus.SENT and t_ns - gtt.updated_ns >= ANSWER_DUE_NS:
                self._doubt(gtt, t_ns, "no answer from the broker")
        due = self._doubts.due(t_ns)
        if due or (self._read_wanted and t_ns - self._last_read_ns >= SECOND):
            self._read_wanted = False
            self._last_read_ns = t_ns
            self._emit(Reconcile(t_ns, gtts=True))

    # --- restart --------------------------------------------------------------------------------------

    def restore(self, gtts: list[Gtt], t_ns: int) -> None:
        """Take over the GTTs of earlier runs. What was under way is unknown until the broker's book tells."""
        claimed = {gtt.gtt_id for gtt in gtts if not gtt.foreign and gtt.gtt_id}
        for gtt in gtts:
            if gtt.foreign and gtt.gtt_id in claimed:
                continue  # it turned out to be ours later
            self.gtts[gtt.tag] = gtt
            if gtt.request.client_id:
                self._client_ids.add(gtt.request.client_id)
            if gtt.gtt_id:
                self._tag_of[gtt.gtt_id] = gtt.tag
            self._tell_children(gtt)
            if not gtt.status.working:
                continue
            self._read_wanted = True
            if gtt.cancel_pending and not gtt.gtt_id:
                self._cancel_wanted.add(gtt.tag)
            elif gtt.cancel_pending or gtt.modify_pending:
                gtt = replace(gtt, cancel_pending=False, modify_pending=False)
                self._store(gtt)
            if gtt.status is not GttStatus.ACTIVE:
                self._doubt(gtt, t_ns, gtt.message or "the program stopped before the answer came")

    # --- reading --------------------------------------------------------------------------------------

    def working(self, key: str = "", product: Product | None = None) -> list[Gtt]:
        """GTTs that rest or may rest at the broker, oldest first."""
        return [
            gtt
            for gtt in self.gtts.values()
            if gtt.status.working
            and (not key or gtt.request.instrument_key == key)
            and (product is None or gtt.request.product is product)
        ]

    def has_unknown(self, key: str) -> bool:
        """Whether a GTT of unknown outcome exists in an instrument."""
        return any(self.gtts[tag].request.instrument_key == key for tag in self._doubts)

    # --- inside ---------------------------------------------------------------------------------------

    def _new(self, request: GttRequest, status: GttStatus, t_ns: int, words: str = "") -> Gtt:
        if request.client_id:
            self._client_ids.add(request.client_id)
        gtt = Gtt(self._tags.next(t_ns), request, status, t_ns, t_ns, message=words)
        self._store(gtt)
        return gtt

    def _store(self, gtt: Gtt) -> None:
        self.gtts[gtt.tag] = gtt
        self._note(RecordKind.GTT, freeze(gtt))

    def _settle(self, gtt: Gtt) -> None:
        """Store a GTT after evidence: doubts end, children are told of, a wish to cancel goes out."""
        tag = gtt.tag
        if not gtt.status.working:
            gtt = replace(gtt, modify_pending=False, cancel_pending=False)
            self._cancel_taken.discard(tag)
            self._changed_ns.pop(tag, None)
        self._store(gtt)
        if gtt.gtt_id:
            self._tag_of[gtt.gtt_id] = tag
        if gtt.status is not GttStatus.UNKNOWN:
            self._doubts.end(tag)
        self._tell_children(gtt)
        if tag in self._cancel_wanted and (gtt.gtt_id or not gtt.status.working):
            self._cancel_wanted.discard(tag)
            if gtt.status.working:
                self._send_cancel(gtt, gtt.updated_ns)

    def _tell_children(self, gtt: Gtt) -> None:
        for one in gtt.rules:
            if one.order_id:
                self._parent.link(one.order_id, gtt, one.rule.strategy)

    def _send_cancel(self, gtt: Gtt, t_ns: int) -> None:
        self._changed_ns[gtt.tag] = t_ns
        self._emit(CancelGtt(t_ns, gtt.tag, gtt.gtt_id))

    def _doubt(self, gtt: Gtt, t_ns: int, words: str) -> None:
        self._store(replace(gtt, status=GttStatus.UNKNOWN, message=words, updated_ns=t_ns))
        self._doubts.begin(gtt.tag, t_ns)
        self._read_wanted = True

    def _find(self, update: GttUpdate) -> Gtt | None:
        """Our GTT that a statement is about: by its id, or the oldest open request that it answers."""
        tag = self._tag_of.get(update.gtt_id)
        if tag is not None:
            return self.gtts[tag]
        waiting = (one for one in self.gtts.values() if one.status.working or one.status is GttStatus.ABSENT)
        return next((one for one in waiting if evidence.is_it(one, update)), None)

    def _is_ours(self, gtt: Gtt, gtt_id: str, t_ns: int) -> None:
        """An answer names a GTT's id: that outranks whatever terms and time made us believe."""
        holder = self.gtts.get(self._tag_of.get(gtt_id, ""))
        if holder is not None and holder.tag != gtt.tag:
            # Its push came first and was taken for another one: what is known of it belongs here.
            del self._tag_of[gtt_id]
            bare = replace(holder, gtt_id="", rules=(), updated_ns=t_ns)
            if holder.foreign:
                self._store(replace(bare, status=GttStatus.ABSENT, message=f"it is {gtt.tag}"))
                del self.gtts[holder.tag]
            else:
                self._doubt(bare, t_ns, "what was taken for it is another one")
            gtt = replace(gtt, rules=holder.rules, expires_ns=holder.expires_ns)
        elif gtt.gtt_id and gtt.gtt_id != gtt_id:
            # A twin was taken for ours; the book will bring it in as what it is.
            self._tag_of.pop(gtt.gtt_id, None)
            gtt = replace(gtt, rules=())
        status = evidence.status_of(gtt.rules) if gtt.rules else GttStatus.ACTIVE
        self._settle(replace(gtt, gtt_id=gtt_id, status=status, updated_ns=t_ns))

    def _changes_decided(self, gtt: Gtt, asked_ns: int) -> Gtt:
        """Changes without an answer end once a book that must show them has been read."""
        if asked_ns - self._changed_ns.get(gtt.tag, 0) < _CHANGE_SHOWS_NS or gtt.tag in self._cancel_wanted:
            return gtt
        self._cancel_taken.discard(gtt.tag)
        return replace(gtt, modify_pending=False, cancel_pending=False)

    def _missing(self, gtt: Gtt, snapshot: AccountSnapshot) -> None:
        """A GTT that ought to be in the book is not."""
        ended = (gtt.expires_ns and snapshot.asked_ns >= gtt.expires_ns) or (
            gtt.request.product is Product.INTRADAY and ist_date(gtt.created_ns) < ist_date(snapshot.asked_ns)
        )
        if gtt.gtt_id and gtt.tag in self._cancel_taken:
            self._end(gtt, GttStatus.CANCELLED, "", snapshot.t_ns)
        elif gtt.gtt_id and ended:
            self._end(gtt, GttStatus.EXPIRED, "its time is over", snapshot.t_ns)
        elif gtt.tag not in self._doubts:
            self._doubt(gtt, snapshot.t_ns, "not in the broker's GTT book")
        elif self._doubts.missed(gtt.tag, snapshot.asked_ns):
            what = "the broker no longer knows it" if gtt.gtt_id else "never reached the broker"
            self._end(gtt, GttStatus.ABSENT, f"{what}: not in its GTT book in three reads", snapshot.t_ns)

    def _end(self, gtt: Gtt, status: GttStatus, words: str, t_ns: int) -> None:
        self._settle(replace(gtt, status=status, message=words or gtt.message, updated_ns=t_ns))
