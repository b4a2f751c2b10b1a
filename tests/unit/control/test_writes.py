"""Scripted orders against an engine whose broker is played by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.exchange.support import SHARE
from tests.unit.runtime.parts import Bench
from tradetui.control.scripts import Caps, Refused, Scripts
from tradetui.control.table import Console
from tradetui.domain.errors import UsageError
from tradetui.domain.events import Event, FeedState, RequestRefused
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Money, to_money, to_price
from tradetui.domain.order import Order, OrderStatus
from tradetui.domain.requests import ModifyOrder, PlaceOrder
from tradetui.engine import Outcome

CAPS = Caps(orders=3, value=to_money(5_000), total=to_money(8_000))


class Hand:
    """A console on an engine; the broker answers what a test tells it to."""

    def __init__(self, caps: Caps | None = CAPS) -> None:
        bench = Bench()
        self.rig, self.parts, self.engine = bench.rig, bench.parts, bench.rig.engine
        self.listeners: list[Callable[[Event, Outcome], None]] = []
        self.noted: list[dict[str, Any]] = []
        self.used: set[str] = set()
        self.answer: Callable[[Order], object] = self.rig.accept
        self.rig.feed(FeedState.UP)
        self.rig.tick(100.0)
        self.console = Console(self, Scripts(caps), self.noted.append, lambda *terms: Money(0), self._query)

    async def _query(self, name: str, args: Any) -> dict[str, Any]:
        return {"used": args["client_id"] in self.used}

    def take(self, event: Event) -> None:
        outcome = self.rig.step(event)
        for listener in list(self.listeners):
            listener(event, outcome)
        for command in outcome.commands:
            if isinstance(command, PlaceOrder):
                asyncio.get_running_loop().call_soon(self._reply, command.tag)

    def _reply(self, tag: str) -> None:
        self.answer(self.engine.desk.manager.orders[tag])
        for listener in list(self.listeners):
            listener(RequestRefused(0, "", "", "", ""), Outcome())

    def watch_more(self, instrument: Instrument) -> None:
        raise AssertionError("everything is streamed")

    async def ask(self, name: str, **args: Any) -> Any:
        return await self.console.answer(name, args)

    async def place(self, **more: Any) -> Any:
        terms = {"instrument": SHARE.symbol, "side": "BUY", "qty": 10, "price": 99.0, "wait": 1.0, **more}
        return await self.ask("place", **terms)

    @property
    def sent(self) -> int:
        return len(self.rig.placed())


async def test_a_reply_tells_what_the_broker_said() -> None:
    hand = Hand()
    reply = await hand.place(reason="why", script="mine")
    assert (reply["done"], reply["settled"], reply["status"]) == (True, True, "open")
    (order,) = hand.rig.orders()
    assert (order.request.source, order.request.reason) == ("script:mine", "why")


async def test_a_rejection_is_told_in_the_brokers_words() -> None:
    hand = Hand()
    hand.answer = lambda order: hand.rig.step(
        RequestRefused(hand.rig.now_ns, "place", order.tag, "X1", "no funds")
    )
    reply = await hand.place()
    assert (reply["done"], reply["status"], reply["words"]) == (False, "rejected", "no funds")


async def test_no_answer_in_time_is_not_called_done() -> None:
    hand = Hand()
    hand.answer = lambda order: None
    reply = await hand.place(wait=0.01)
    assert (reply["done"], reply["settled"], reply["status"]) == (False, False, "sent")
    again = await hand.place(wait=0.01, price=98.0)
    assert not again["done"]


async def test_many_at_once_with_one_client_id_are_one_order() -> None:
    hand = Hand()
    replies = await asyncio.gather(*(hand.place(client_id="c1") for _ in range(5)))
    assert hand.sent == 1
    assert {reply["tag"] for reply in replies} == {hand.rig.orders()[0].tag}
    assert sorted(reply["repeated"] for reply in replies) == [False, True, True, True, True]


async def test_a_client_id_of_an_earlier_day_is_refused() -> None:
    hand = Hand()
    hand.used.add("old")
    with pytest.raises(Refused, match="used before"):
        await hand.place(client_id="old")
    assert hand.sent == 0


async def test_caps_count_orders_and_value_and_refusals_of_the_gate_cost_nothing() -> None:
    hand = Hand()
    with pytest.raises(Refused, match="in one"):
        await hand.place(qty=60)
    refused = await hand.place(price=150.0)
    assert refused["status"] == "refused"
    await hand.place(qty=40)
    with pytest.raises(Refused, match="in all"):
        await hand.place(qty=45, price=98.0)
    await hand.place(qty=1, price=98.0)
    await hand.place(qty=1, price=97.0)
    with pytest.raises(Refused, match="all 3 orders"):
        await hand.place(qty=1, price=96.0)
    assert hand.sent == 3


async def test_an_equal_order_is_a_duplicate_for_a_script() -> None:
    hand = Hand()
    await hand.place()
    reply = await hand.place()
    assert reply["status"] == "refused"
    assert "equal order" in reply["words"]


async def test_a_modify_needs_arming_and_counts_what_it_adds() -> None:
    hand = Hand()
    tag = (await hand.place(qty=10))["tag"]
    with pytest.raises(Refused, match="in one"):
        await hand.ask("modify", tag=tag, qty=60)
    reply = await hand.ask("modify", tag=tag, qty=20, wait=0.01)
    assert not reply["done"], "the broker has not confirmed it"
    assert [type(one) for one in hand.rig.commands][-1] is ModifyOrder
    assert hand.console.writes.scripts.total == to_money(20 * 99.0)
    hand.console.writes.scripts.disarm()
    with pytest.raises(Refused, match="not armed"):
        await hand.ask("modify", tag=tag, price=98.5)


async def test_cancels_and_exits_need_no_arming() -> None:
    hand = Hand(caps=None)
    hand.rig.hold(10)
    hand.rig.commands.clear()
    with pytest.raises(Refused, match="not armed"):
        await hand.place()
    reply = await hand.ask("exit", instrument=SHARE.symbol, wait=0.01)
    assert not reply["done"]
    (exit_,) = hand.rig.placed()
    assert exit_.request.is_exit
    with pytest.raises(Refused, match="no D position"):
        await hand.ask("exit", instrument=SHARE.symbol, product="D")


async def test_a_kill_takes_the_scripts_arming_too() -> None:
    hand = Hand()
    told = await hand.ask("kill", note="test")
    assert told["state"] == "halted"
    with pytest.raises(Refused, match="not armed"):
        await hand.place()


async def test_an_arming_is_written_down_before_it_counts() -> None:
    hand = Hand(caps=None)
    await hand.ask("arm-scripts", minutes=5, max_orders=2, max_value=1_000, by="a test")
    (noted,) = hand.noted
    assert (noted["what"], noted["orders"], noted["by"]) == ("scripts armed", 2, "a test")

    def fails(data: dict[str, Any]) -> None:
        raise Refused("the disk is full")

    hand = Hand(caps=None)
    hand.console.writes._note = fails
    with pytest.raises(Refused, match="disk"):
        await hand.ask("arm-scripts")
    assert not hand.console.writes.permission()["scripts_armed"]


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("nothing", {}),
        ("orders", {"colour": 1}),
        ("place", {"instrument": SHARE.symbol, "side": "HOLD", "qty": 1}),
        ("place", {"instrument": SHARE.symbol, "side": "BUY", "qty": True}),
        ("place", {"instrument": SHARE.symbol, "side": "BUY", "qty": -1}),
        ("place", {"instrument": SHARE.symbol, "side": "BUY", "qty": 1, "price": float("nan")}),
        ("place", {"instrument": SHARE.symbol, "side": "BUY", "qty": 1, "price": "99"}),
        ("place", {"instrument": "NOPE", "side": "BUY", "qty": 1}),
        ("place", {"instrument": SHARE.symbol, "side": "BUY", "qty": 1, "script": "../x"}),
        ("place", {"instrument": SHARE.symbol, "side": "BUY", "qty": 1, "wait": 1e9}),
        ("arm-scripts", {"minutes": 100_000}),
        ("kill", {"include": ["X"]}),
        ("exit", {"all": True, "include": ["X"]}),
        ("exit", {"all": True, "include": "D"}),
        ("exit", {"all": True, "wait": -1}),
        ("cancel", {"all": True, "wait": "long"}),
        ("cancel", {"all": True, "script": "a b"}),
        ("set-lock", {"segment": "NSE_EQ"}),
    ],
)
async def test_what_is_asked_wrongly_is_wrong_use(name: str, args: dict[str, Any]) -> None:
    hand = Hand()
    hand.rig.hold(10)
    before = len(hand.rig.commands)
    with pytest.raises(UsageError):
        await hand.ask(name, **args)
    assert len(hand.rig.commands) == before, "what is refused as wrong use has done nothing"


async def test_every_read_answers_with_plain_data() -> None:
    import json

    hand = Hand()
    hand.rig.hold(10)
    for name in (
        "status",
        "orders",
        "trades",
        "positions",
        "holdings",
        "funds",
        "gtts",
        "naked",
        "budget",
        "risk",
    ):
        data = await hand.ask(name)
        assert json.loads(json.dumps(data)) == data, name
    (position,) = (await hand.ask("positions", open=True))["rows"]
    assert (position["qty"], position["average_price"]) == (10, 100.0)
    assert [row["status"] for row in (await hand.ask("orders"))["rows"]] == [OrderStatus.FILLED.value]
    assert (await hand.ask("orders", open=True))["rows"] == []
    assert to_price(position["last"]) == to_price(100.0)
