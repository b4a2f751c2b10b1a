"""A broker behind a bad network, for random play: every request and every word of it may be late, lost or out of order.

It keeps orders and GTTs, splits fills, loses answers before or after it has acted, and is read as a whole like the
real one. What it says passes the same filter for old pushes as at the broker's edge.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from tests.unit.desk.support import DAY, KEY, LIMITS, SHARE, AtBroker, Floor, S, rs
from tradetui.domain.events import (
    AccountSnapshot,
    Evidence,
    FillEvent,
    GttUpdate,
    OperatorEvent,
    RequestAccepted,
    RequestRefused,
    RequestSent,
    RequestUnknown,
    TagAbsence,
)
from tradetui.domain.gtt import GttRequest, RuleState, RuleStatus
from tradetui.domain.order import OrderRequest, OrderStatus, Product, Side
from tradetui.domain.records import freeze
from tradetui.domain.requests import (
    CancelGtt,
    CancelOrder,
    Command,
    ConvertPosition,
    ModifyGtt,
    ModifyOrder,
    PlaceGtt,
    PlaceOrder,
    ProbeTag,
    Reconcile,
)
from tradetui.wiring.restore import give_back, read_past

SMALL = replace(SHARE, key="NSE_EQ|S", symbol="S", freeze_qty=4)
"""A share with a freeze quantity of four."""
ANSWER_BY_S = 20
"""The broker's edge gives a request up after so long; its outcome is unknown then."""
AT = ((KEY, Product.INTRADAY), (KEY, Product.DELIVERY), (SMALL.key, Product.INTRADAY))
KINDS = {
    PlaceOrder: "place", ModifyOrder: "modify", CancelOrder: "cancel", PlaceGtt: "gtt place",
    ModifyGtt: "gtt modify", CancelGtt: "gtt cancel", ConvertPosition: "convert",
}  # fmt: skip
_ANSWERS = (RequestAccepted, RequestRefused, RequestUnknown)


@dataclass(slots=True)
class Rests:
    """A GTT as the broker has it."""

    id: str
    request: GttRequest
    status: RuleStatus
    created_ns: int
    child: str = ""

    @property
    def units(self) -> int:
        """Units that it may still send an order for."""
        return self.request.qty if self.status is RuleStatus.SCHEDULED else 0


class World(Floor):
    """See the module's docstring."""

    def __init__(self) -> None:
        super().__init__(limits=LIMITS)
        self.instruments[SMALL.key] = SMALL
        self.prices[SMALL.key] = 100.0
        self.hold_back = True
        self.said: list[Any] = []
        """On its way to us."""
        self.flights: dict[tuple[str, str], int] = {}
        """Requests whose answer has not come: kind and label -> when they left."""
        self.marks: dict[str, tuple[int, int, int]] = {}
        self.mods: dict[str, int] = {}
        self.gtts: dict[str, Rests] = {}
        self.all_children = False
        self.lossless = True
        """No push was lost since the last reading of the books."""
        self.asked: list[Command] = []

    # --- out

    def take_requests(self) -> None:
        """Requests leave the desk."""
        while self.queue:
            command = self.queue.pop(0)
            if type(command) in KINDS:
                self.flights[KINDS[type(command)], command.tag] = self.now  # type: ignore[union-attr]
            self.asked.append(command)

    def serve(self, number: int, outcome: str) -> None:
        """One request reaches the broker, or does not; its answer comes, or not."""
        command = self.asked.pop(number)
        self.commands.append(command)
        if isinstance(command, Reconcile):
            self.said.append(self.book())
            return
        if isinstance(command, ProbeTag):
            found = [o for o in self.broker.orders.values() if command.tag in (o.tag, f"x-{o.id}")]
            self.said += [self.update(o, Evidence.POLL) for o in found] or [TagAbsence(self.now, command.tag)]
            return
        kind = KINDS[type(command)]
        tag: str = command.tag
        told: list[Any] = []
        words, broker_id = "refused by chance", ""
        if outcome not in {"refused", "lost before"}:
            words, broker_id, told = self.act(command)
        if outcome.startswith("lost"):
            self.said += [*told, RequestUnknown(self.now, kind, tag, "time-out")]
        elif words:
            self.said += [RequestRefused(self.now, kind, tag, "X", words)]
        else:
            self.said += [RequestAccepted(self.now, kind, tag, broker_id), *told]

    def act(self, command: Command) -> tuple[str, str, list[Any]]:  # noqa: PLR0911 - one for each answer
        """Do it: words of a refusal, the id, and what is pushed."""
        match command:
            case PlaceOrder():
                order = self.broker.place(command.tag, command.request)
                return "", order.id, [self.tell(order)]
            case ModifyOrder():
                order = self.broker.orders[command.broker_id]
                if not order.status.working or command.qty <= order.filled:
                    return "it is finished", "", []
                order.request = replace(
                    order.request, qty=command.qty, price=command.price, trigger_price=command.trigger_price,
                    order_type=command.order_type,
                )  # fmt: skip
                self.mods[order.id] = self.mods.get(order.id, 0) + 1
                return "", order.id, [self.tell(order)]
            case CancelOrder():
                order = self.broker.orders[command.broker_id]
                if not order.status.working:
                    return "it is finished", "", []
                order.status = OrderStatus.CANCELLED
                return "", order.id, [self.tell(order)]
            case PlaceGtt():
                name = f"G{len(self.gtts) + 1}"
                self.gtts[name] = Rests(name, command.request, RuleStatus.SCHEDULED, self.now)
                return "", name, [self.tell_gtt(self.gtts[name])]
            case ConvertPosition():
                key, units = command.instrument_key, command.qty
                if abs(self.held_at((key, command.old))) < units:
                    return "there are not so many", "", []
                self.broker.qty[key, command.old] -= command.side.sign * units
                self.broker.qty[key, command.new] = (
                    self.held_at((key, command.new)) + command.side.sign * units
                )
                return "", "", []
            case ModifyGtt() | CancelGtt():
                gtt = self.gtts[command.gtt_id]
                if gtt.status is not RuleStatus.SCHEDULED:
                    return "it has triggered", "", []
                if isinstance(command, ModifyGtt):
                    gtt.request = command.request
                else:
                    gtt.status = RuleStatus.CANCELLED
                return "", gtt.id, [self.tell_gtt(gtt)]
            case _:
                raise AssertionError(command)

    def late(self) -> None:
        """What has no answer for too long is given up by the broker's edge."""
        for number in reversed(range(len(self.asked))):
            if self.now - self.asked[number].t_ns > ANSWER_BY_S * S:
                self.serve(number, "lost after" if number % 2 else "lost before")

    # --- in

    def tell(self, order: AtBroker) -> Any:
        """A push, with the mark by which the edge knows an old one."""
        mark = (self.mods.get(order.id, 0), order.filled, int(order.status.terminal))
        return (order.id, mark, self.update(order, Evidence.STREAM))

    def tell_gtt(self, gtt: Rests, evidence: Evidence = Evidence.STREAM) -> GttUpdate:
        request, child = gtt.request, self.broker.orders.get(gtt.child)
        if child is not None and child.status.terminal:
            gtt.status = RuleStatus.COMPLETED if child.status is OrderStatus.FILLED else RuleStatus.FAILED
        rule = RuleState(request.rules[0], gtt.status, order_id=gtt.child)
        return GttUpdate(
            self.now, evidence, gtt.id, request.instrument_key, request.side, request.qty, request.product,
            (rule,), gtt.created_ns,
        )  # fmt: skip

    def book(self) -> AccountSnapshot:
        """The whole account, read now."""
        asked_ns = min([self.now, *self.flights.values()])
        gtts = tuple(self.tell_gtt(gtt, Evidence.POLL) for gtt in self.gtts.values())
        return replace(self.snapshot(), asked_ns=asked_ns, gtts=gtts)

    def hear_one(self, number: int) -> None:
        """Something arrives."""
        event = self.said.pop(number)
        if isinstance(event, tuple):
            name, mark, event = event
            newest = self.marks.get(name, (0, 0, 0))
            if any(ours < theirs for ours, theirs in zip(mark, newest, strict=True)):
                return
            self.marks[name] = mark
        if isinstance(event, TagAbsence) and ("place", event.tag) in self.flights:
            return
        if isinstance(event, _ANSWERS):
            self.flights.pop((event.kind, event.tag), None)
        if isinstance(event, AccountSnapshot):
            self.lossless = True
        if not isinstance(event, RequestSent):
            event = replace(event, t_ns=self.now)
        self.desk.on_account(event)
        self.take_requests()

    def ask_for(self, event: OperatorEvent) -> None:
        """A person asks."""
        self.desk.on_account(event)
        self.take_requests()

    def pass_time(self, seconds: float) -> None:
        """Time passes."""
        self.now += round(seconds * S)
        self.desk.on_time(self.now)
        self.take_requests()
        self.late()

    def price(self, price: float, key: str) -> None:
        """The market moves."""
        self.prices[key] = price
        self.desk.on_prices()
        self.take_requests()

    # --- at the exchange

    def working(self) -> list[AtBroker]:
        return [order for order in self.broker.orders.values() if order.left]

    def fills(self, order: AtBroker, qty: int) -> None:
        """Units trade; the push and the trade come each on its own road."""
        price = rs(self.prices[order.request.instrument_key])
        fill = self.broker.trade(order, min(qty, order.left), price, self.now)
        self.said += [self.tell(order), FillEvent(self.now, fill)]

    def fires(self, gtt: Rests) -> None:
        """A GTT triggers: its order rests, without our label."""
        request = gtt.request
        child = self.broker.place(
            "",
            OrderRequest(
                request.instrument_key,
                request.side,
                request.qty,
                request.product,
                price=rs(90),
                source="exit-stop",
            ),
        )
        gtt.status, gtt.child = RuleStatus.OPEN, child.id
        self.said += [self.tell_gtt(gtt), self.tell(child)]

    # --- process

    def die(self) -> None:
        """SIGKILL: what was on its way to us is gone; requests that had left may still arrive."""
        self.said.clear()
        self.asked = [command for command in self.asked if type(command) in KINDS]
        while self.asked:
            self.serve(0, "lost after" if len(self.asked) % 2 else "lost before")
        self.said.clear()
        self.queue.clear()
        self.flights.clear()
        self.marks.clear()
        self.lossless = False
        past = read_past(list(self.records), DAY, "tt-")
        self.desk = self.new_desk()
        give_back(past, self.desk, self.now)
        self.take_requests()
        self.said.append(self.book())

    def told(self) -> dict[str, Any]:
        """What a restart must give back, as plain data."""
        desk = self.desk
        return {
            "orders": {
                tag: (freeze(order.request), order.filled_qty, order.broker_id)
                for tag, order in sorted(desk.manager.orders.items())
            },
            "ended": sorted(t for t, o in desk.manager.orders.items() if o.status.terminal),
            "positions": {
                f"{key} {product}": desk.portfolio.qty(key, product) for key, product in desk.portfolio.positions
            },
            "gtts": {tag: (gtt.gtt_id, gtt.request.qty) for tag, gtt in sorted(desk.manager.gtts.gtts.items())},
            "plans": {str(at): (freeze(m.plan), m.side) for at, m in sorted(desk.protection.plans.items())},
            "wants": {str(at): freeze(want) for at, want in sorted(desk.closing.wanted.items())},
            "state": (desk.books.state, desk.books.entries_today),
            "parents": sorted(desk.groups.parents),
        }  # fmt: skip

    # --- judging

    def held_at(self, at: tuple[str, Product]) -> int:
        return self.broker.qty.get(at, 0)

    def leaving(self, at: tuple[str, Product], side: Side, *, ours: bool = False) -> int:
        """Units that orders and GTTs on one side may still trade, as the broker has it; ``ours``: without a person's."""
        orders = sum(
            order.left
            for order in self.working()
            if (order.request.instrument_key, order.request.product) == at
            and order.request.side is side
            and not (ours and order.request.source == "manual")
        )
        gtts = sum(
            gtt.units
            for gtt in self.gtts.values()
            if (gtt.request.instrument_key, gtt.request.product) == at and gtt.request.side is side
        )
        return orders + gtts
