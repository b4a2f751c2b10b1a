"""Whatever fills, fails, gets lost or restarts, in whatever order: no exit ever turns a position round.

The broker of these tests answers when it likes, or never; what it says arrives late and out of order; the process
dies at any moment. The judge is the broker's own book: units on sale may never exceed the units held.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.desk.support import KEY, LIMITS, Floor, plan, rs
from tradetui.domain.events import FillEvent, OperatorEvent, OperatorKind
from tradetui.domain.exit_plan import Trail, TrailKind
from tradetui.domain.order import OrderRequest, OrderType, Product, Side
from tradetui.domain.requests import ModifyOrder, PlaceOrder, Reconcile

STEPS = (
    "buy", "sell", "answer", "answer", "answer", "refuse", "lose", "lost on the way", "fill", "fill", "trigger",
    "hear", "hear", "hear", "hear any", "wait", "wait", "wait long", "price", "price", "cancelled", "exit",
    "part exit", "protect", "trail", "move stop", "cancel all", "kill", "flatten", "resume", "die",
)  # fmt: skip

EXAMPLES = int(os.environ.get("TRADETUI_EXAMPLES", "150"))


class Late(Floor):
    """A floor on which nothing is answered or heard before its time."""

    def __init__(self) -> None:
        super().__init__(limits=LIMITS)
        self.hold_back = True
        self.outbox: list[Any] = []
        self.at_once = False

    def hear(self, event: Any) -> None:
        if self.at_once or isinstance(event, OperatorEvent):
            super().hear(event)
        else:
            self.outbox.append(event)

    # --- steps

    def do(self, step: str, n: int) -> None:
        """One random step; ``n`` picks what it is about."""
        getattr(self, "_" + step.replace(" ", "_"))(n)
        self.check()

    def _buy(self, n: int) -> None:
        self.desk.request(self._order(Side.BUY, 1 + n % 7, stop=rs(95), target=rs(108)))

    def _sell(self, n: int) -> None:
        request = self._order(Side.SELL, 1 + n % 7)
        held = self.desk.books.held(KEY, Product.INTRADAY)
        held -= self.desk.manager.pending_qty(KEY, Product.INTRADAY, Side.SELL)
        if request.qty <= held:  # a person may open a short on purpose; that is not what is judged here
            self.desk.request(request)

    def _order(self, side: Side, qty: int, **more: Any) -> OrderRequest:
        return OrderRequest(KEY, side, qty, order_type=OrderType.LIMIT, price=rs(self.prices[KEY]), **more)

    def _answer(self, n: int) -> None:
        if self.queue:
            self.answer(self.queue.pop(0))

    def _refuse(self, n: int) -> None:
        kind = ("stop", "exit", "modify", "cancel", "place")[n % 5]
        self.refuse[kind] = "no"
        self._answer(n)
        self.refuse.clear()

    def _lose(self, n: int) -> None:
        if self.queue and isinstance(self.queue[0], PlaceOrder):
            self.lose_answer(self.queue.pop(0), reached=True)

    def _lost_on_the_way(self, n: int) -> None:
        if self.queue and isinstance(self.queue[0], PlaceOrder):
            self.lose_answer(self.queue.pop(0), reached=False)

    def _working(self) -> list[Any]:
        return [order for order in self.broker.orders.values() if order.left]

    def _fill(self, n: int) -> None:
        able = [o for o in self._working() if o.status.value == "open"]
        if able:
            order = able[n % len(able)]
            price = rs(self.prices[KEY])
            fill = self.broker.trade(order, 1 + n % order.left, price, self.now)
            self.push(order)
            self.hear(FillEvent(self.now, fill))

    def _trigger(self, n: int) -> None:
        stops = [o for o in self._working() if o.status.value == "trigger pending"]
        if stops:
            stops[n % len(stops)].status = type(stops[0].status).OPEN
            self.push(stops[n % len(stops)])

    def _cancelled(self, n: int) -> None:
        able = self._working()
        if able:
            able[n % len(able)].status = type(able[0].status).CANCELLED
            self.push(able[n % len(able)])

    def _hear(self, n: int) -> None:
        if self.outbox:
            super().hear(self.outbox.pop(0))

    def _hear_any(self, n: int) -> None:
        if self.outbox:
            super().hear(self.outbox.pop(n % len(self.outbox)))

    def _wait(self, n: int) -> None:
        self.wait(0.1 + n % 4)

    def _wait_long(self, n: int) -> None:
        self.wait(11)

    def _price(self, n: int) -> None:
        self.tick(92.0 + n % 20)

    def _exit(self, n: int) -> None:
        self.ask(OperatorKind.EXIT, instrument_key=KEY)

    def _part_exit(self, n: int) -> None:
        self.ask(OperatorKind.EXIT, instrument_key=KEY, qty=1 + n % 5)

    def _protect(self, n: int) -> None:
        self.ask(OperatorKind.PROTECT, instrument_key=KEY, plan=plan(90.0 + n % 12, 115))

    def _trail(self, n: int) -> None:
        trail = Trail(TrailKind.POINTS, rs(1 + n % 5))
        self.ask(OperatorKind.PROTECT, instrument_key=KEY, plan=plan(trail=trail))

    def _move_stop(self, n: int) -> None:
        for stop in self.stops()[:1]:
            self.ask(OperatorKind.MODIFY, tag=stop.tag, trigger_price=rs(88.0 + n % 14))

    def _cancel_all(self, n: int) -> None:
        self.ask(OperatorKind.CANCEL_ALL, name="with stops" if n % 2 else "")

    def _kill(self, n: int) -> None:
        self.ask(OperatorKind.KILL)

    def _flatten(self, n: int) -> None:
        self.ask(OperatorKind.FLATTEN)

    def _resume(self, n: int) -> None:
        self.ask(OperatorKind.RESUME)

    def _die(self, n: int) -> None:
        self.outbox.clear()
        self.restart()

    # --- judging

    def check(self) -> None:
        """The broker's own book: never short, never more on sale than is held."""
        on_sale = sum(order.left for order in self._working() if order.request.side is Side.SELL)
        assert self.held >= 0, "a reverse position"
        assert on_sale <= self.held, f"{on_sale} on sale, {self.held} held"

    def come_to_rest(self) -> None:
        """Everything is answered and heard from now on, and time passes."""
        self.hold_back, self.at_once = False, True
        for event in self.outbox:
            super().hear(event)
        self.outbox.clear()
        self.settle()
        for _ in range(90):
            self.wait(1)
            self.check()


@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 60)), min_size=20, max_size=80))
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_exit_ever_turns_a_position_round(steps: list[tuple[str, int]]) -> None:
    floor = Late()
    for step in ("buy", "answer", "hear", "hear", "fill", "hear", "hear"):
        floor.do(step, 6)
    for step, n in steps:
        floor.do(step, n)
    floor.come_to_rest()
    assert floor.desk.portfolio.qty(KEY, Product.INTRADAY) == floor.held, "what we know is what is"
    managed = floor.desk.protection.plans.get((KEY, Product.INTRADAY))
    assert (managed is None) or floor.held, "no plan without a position"
    waiting = floor.desk.closing.wanted or any(
        o.left for o in floor.broker.orders.values() if o.request.source != "exit-stop"
    )
    if managed is not None and managed.stop and not waiting:
        assert floor.naked() == [], "what can rest, rests"
        assert sum(order.pending_qty for order in floor.stops()) == floor.held
    for order in floor.broker.orders.values():
        placed = [c for c in floor.commands if isinstance(c, PlaceOrder) and c.tag == order.tag]
        assert len(placed) <= 1, "an order is never sent twice"
    assert not any(isinstance(c, ModifyOrder | PlaceOrder | Reconcile) for c in floor.queue)
