"""What a person asked for, done through the parts of the desk and recorded, with a plain word where it cannot be."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tradetui.desk.baskets import in_order, parts_of
from tradetui.desk.sparing import spared
from tradetui.domain.events import OperatorEvent, OperatorKind
from tradetui.domain.exit_plan import ExitPlan
from tradetui.domain.gtt import GttRequest, GttStrategy
from tradetui.domain.order import EXIT_SOURCE, OrderRequest, OrderType
from tradetui.domain.records import RecordKind, freeze
from tradetui.risk.gate import judge, judge_group, refusal, refusal_of_group

if TYPE_CHECKING:
    from tradetui.desk.desk import Desk

WITH_STOPS = "with stops"
"""`OperatorEvent.name` of a CANCEL_ALL that takes protective orders too."""


class Acts:
    """See the module's docstring.

    Args:
        desk: Whose parts are used.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def take(self, event: OperatorEvent) -> None:
        """Do what a person asked for, and record it."""
        desk = self._desk
        desk.books.note(RecordKind.OPERATOR, freeze(replace(event, t_ns=0)))
        match event.kind:
            case OperatorKind.PLACE if event.request is not None:
                desk.request(event.request)
            case OperatorKind.BASKET:
                self._say(self._basket(event.basket), event)
            case OperatorKind.MODIFY:
                self._say(self._modify(event), event)
            case OperatorKind.CANCEL:
                self._say(self._cancel(event.tag), event)
            case OperatorKind.CANCEL_ALL:
                self._cancel_all(event.instrument_key, with_stops=event.name == WITH_STOPS)
            case OperatorKind.EXIT:
                self._say(self._exit(event), event)
            case OperatorKind.EXIT_ALL:
                desk.close_all("exit all", event.include)
            case OperatorKind.PROTECT:
                plan = event.plan or ExitPlan()
                self._say(desk.protection.protect(event.instrument_key, event.product, plan), event)
            case OperatorKind.KILL:
                desk.kill(event.note or "operator")
            case OperatorKind.FLATTEN:
                desk.flatten(event.note or "operator", event.include)
            case _:
                self._gtt_or_conversion(event)
                self._risk(event)

    def _gtt_or_conversion(self, event: OperatorEvent) -> None:
        gtts, now_ns = self._desk.manager.gtts, self._desk.books.now_ns
        match event.kind:
            case OperatorKind.GTT_PLACE if event.gtt is not None:
                self._say(self._place_gtt(event.gtt), event)
            case OperatorKind.GTT_MODIFY if event.gtt is not None:
                self._say(self._judge_gtt(event.gtt) or gtts.modify(event.tag, now_ns, event.gtt), event)
            case OperatorKind.GTT_CANCEL:
                self._say(gtts.cancel(event.tag, now_ns), event)
            case OperatorKind.CONVERT:
                self._say(self._convert(event), event)
            case _:
                pass

    def _risk(self, event: OperatorEvent) -> None:
        desk = self._desk
        match event.kind:
            case OperatorKind.RESUME:
                desk.call_back()
                self._say(desk.guard.resume(event.note), event)
                desk.set_state(*desk.guard.state_now())
            case OperatorKind.LIMITS:
                self._say(desk.guard.change_limit(event), event)
            case OperatorKind.SQUARE_OFF_OK:
                desk.guard.confirm_square_off()
            case OperatorKind.ARM if why := desk.guard.why_not_arm():
                self._say(why, event)
            case OperatorKind.ARM:
                desk.books.armed_until_ns = event.until_ns
                desk.books.note(RecordKind.RISK, {"armed_until_ns": event.until_ns})
            case OperatorKind.DISARM:
                desk.disarm(event.note or "operator")
            case _:
                pass

    # --- orders ---------------------------------------------------------------------------------------

    def _modify(self, event: OperatorEvent) -> str:
        desk = self._desk
        order = desk.manager.orders.get(event.tag)
        if order is None:
            return f"no order {event.tag}"
        if order.status.terminal:
            return "the order is finished"
        if not order.request.is_resting_stop:
            return desk.amend(order, event.qty, event.price, event.trigger_price)
        if event.trigger_price is None:
            return "a stop's quantity follows its position, and its limit its trigger: change the trigger"
        return desk.protection.stop_moved(order, event.trigger_price)

    def _cancel(self, tag: str) -> str:
        """Cancel one order, or all parts of a parent."""
        desk = self._desk
        now_ns = desk.books.now_ns
        if tag in desk.groups.parents:
            desk.groups.stop("cancelled", tag)
            kept = spared(desk.books)
            for order in desk.manager.in_group(tag):
                if order.status.working and order.tag not in kept:
                    desk.manager.cancel(order.tag, now_ns)
            return ""
        found = desk.manager.orders.get(tag)
        if found is not None and found.status.working:
            at = (found.request.instrument_key, found.request.product)
            if found.request.is_resting_stop:
                desk.protection.without_stop(*at)
            elif found.request.source == EXIT_SOURCE:
                desk.closing.stop(at)
        return desk.manager.cancel(tag, now_ns)

    def _cancel_all(self, key: str, *, with_stops: bool) -> None:
        """Cancel everything that works in an instrument, or at all; stops stay unless they are named."""
        desk = self._desk
        desk.groups.stop("cancelled", key=key)
        kept = set() if with_stops else spared(desk.books)
        for order in desk.manager.working(key):
            if order.tag not in kept:
                self._cancel(order.tag)

    def _exit(self, event: OperatorEvent) -> str:
        """Close a position, or part of it."""
        desk = self._desk
        key, product = event.instrument_key, event.product
        held = abs(desk.books.held(key, product))
        if not held and not desk.manager.working(key, product):
            return f"no {product.name.lower()} position in {desk.books.symbol(key)}"
        if event.qty is not None and not 0 < event.qty <= held:
            return f"the position has {held} units, not {event.qty}"
        if event.qty is not None and event.qty < held:
            return desk.closing.want_part(key, product, "exit", event.qty)
        desk.closing.want(key, product, "exit")
        return ""

    def _basket(self, legs: tuple[OrderRequest, ...]) -> str:
        """Judge all legs together, and send them in the order that never leaves risk uncovered."""
        desk = self._desk
        if not legs:
            return "a basket needs legs"
        if any(desk.manager.was_asked(leg) for leg in legs):
            return ""
        facts = in_order([desk.facts.of(leg) for leg in legs])
        words = refusal_of_group(judge_group(facts))
        if words:
            return f"nothing of the basket was sent: {words}"
        desk.groups.begin("basket", parts_of(facts))
        return ""

    # --- GTTs, conversions ----------------------------------------------------------------------------

    def _place_gtt(self, request: GttRequest) -> str:
        desk = self._desk
        if desk.manager.gtts.was_asked(request):
            return ""
        words = self._judge_gtt(request)
        if words:
            desk.manager.gtts.refuse(request, desk.books.now_ns, words)
        else:
            desk.manager.gtts.place(request, desk.books.now_ns)
        return words

    def _judge_gtt(self, request: GttRequest) -> str:
        """A GTT becomes an order at its trigger without asking us: the gate judges that order now."""
        desk = self._desk
        entry = request.rule(GttStrategy.ENTRY)
        if entry is None:
            return "a GTT needs an ENTRY rule: the broker knows no exit-only GTT"
        held = desk.books.held(request.instrument_key, request.product)
        if request.kind == "MULTIPLE" and held * request.side.sign < 0:
            return (
                "every GTT begins with an entry: this one would first sell what you hold, and its stop and target "
                "would then guard the opposite position. Use an exit plan, or a SINGLE on the exit side"
            )
        closed = desk.books.market(request.instrument_key).phase == "closed"
        facts = desk.facts.of(
            OrderRequest(
                request.instrument_key, request.side, request.qty, request.product, OrderType.LIMIT,
                price=entry.trigger_price, source=request.source, amo=closed,
            )
        )  # fmt: skip
        # The price lies where it shall trigger, not where the market is; and it may rest whatever an auction does.
        return refusal(judge(replace(facts, last=entry.trigger_price, same_recent=False, stage="")))

    def _convert(self, event: OperatorEvent) -> str:
        desk = self._desk
        if event.to_product is None:
            return "to which product?"
        if desk.closing.active(event.instrument_key, event.product):
            return "the position is being closed"
        return desk.protection.convert(event.instrument_key, event.product, event.to_product, event.qty)

    def _say(self, words: str, event: OperatorEvent) -> None:
        if words:
            data = {"refused": words, "kind": event.kind.value, "tag": event.tag}
            self._desk.books.note(RecordKind.DECISION, data)
