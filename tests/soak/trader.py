"""A run whose operator acts at random, in a process of its own that is there to be killed.

Reads lines of JSON on standard input and answers each with one on standard output:

* ``{"act": seed}``: one thing that a person could ask for, drawn from the seed. Answers at once with what it was.
* ``{"settle": ns}``: waits until the engine has come to that time and has read the whole account since; answers with
  the ledger (`Trader.ledger`).
* ``{"stop": true}``: ends in good order.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.unit.exchange.support import CALL, FUTURE, SHARE
from tradetui import wiring
from tradetui.brokers.upstox.broker import UpstoxBroker
from tradetui.brokers.upstox.feed import UpstoxFeed
from tradetui.brokers.upstox.link import Backoff
from tradetui.config import Account, Config, Home, Watch
from tradetui.domain.events import AccountSnapshot, Event, OperatorEvent, OperatorKind
from tradetui.domain.exit_plan import ExitPlan, Trail, TrailKind
from tradetui.domain.gtt import GttRequest, GttRule, GttStrategy, GttTrigger
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Price, to_price
from tradetui.domain.order import OrderRequest, OrderStatus, OrderType, Product, Side
from tradetui.domain.position import Position
from tradetui.engine import Outcome
from tradetui.risk.facts import RiskState
from tradetui.runtime.core import Runtime

WATCHED: Final = (SHARE, CALL, FUTURE)
CAPITAL: Final = 1_500_000.0
"""Rupees. Some of what is drawn is beyond the limits of so much, on purpose."""
_QUICK: Final = Backoff(0.01, 0.05, 0.05)
_SETTLE_S: Final = 20.0


class Trader:
    """Somebody who trades without a plan.

    Args:
        runtime: The run.
        number: Of the run, so that what is asked twice is never the same ticket.
    """

    def __init__(self, runtime: Runtime, number: int) -> None:
        self._runtime = runtime
        self._number = number
        self._asked = self._snapshots = 0
        self._heard = asyncio.Event()
        runtime.listeners.append(self._hear)

    def _hear(self, event: Event, outcome: Outcome) -> None:
        self._snapshots += isinstance(event, AccountSnapshot)
        self._heard.set()

    async def priced(self) -> None:
        """Wait until everything watched has a price."""
        engine = self._runtime.engine
        while any(engine.market(one.key).last is None for one in WATCHED):
            await self._something()

    async def _something(self) -> None:
        self._heard.clear()
        await self._heard.wait()

    # --- acting ---------------------------------------------------------------------------------------

    def act(self, seed: int) -> str:
        """Ask for one random thing; returns what it was."""
        rng = Random(seed)
        desk = self._runtime.engine.desk
        if desk.books.state is not RiskState.ACTIVE and rng.random() < 0.4:
            return self._ask(OperatorKind.RESUME, note="the soak goes on")
        act = rng.choices(
            (
                self._enter, self._enter_options, self._basket, self._gtt, self._modify, self._cancel,
                self._exit, self._protect, self._end_gtt, self._all,
            ),
            (30, 6, 5, 8, 14, 10, 10, 8, 4, 3),
        )[0]  # fmt: skip
        return act(rng)

    def _ask(self, kind: OperatorKind, **fields: Any) -> str:
        self._runtime.take(OperatorEvent(self._runtime.parts.clock.now_ns(), kind, **fields))
        return kind.value

    def _ticket(self) -> str:
        self._asked += 1
        return f"soak-{self._number}-{self._asked}"

    def _last(self, instrument: Instrument) -> Price:
        last = self._runtime.engine.market(instrument.key).last
        assert last is not None
        return last

    def _enter(self, rng: Random) -> str:
        instrument = rng.choice((SHARE, SHARE, SHARE, FUTURE))
        side = rng.choice((Side.BUY, Side.BUY, Side.SELL))
        product = rng.choice((Product.INTRADAY, Product.INTRADAY, Product.DELIVERY))
        qty = rng.randrange(1, 40) if instrument is SHARE else 65 * rng.randrange(1, 3)
        last, kind = self._last(instrument), rng.choice((OrderType.LIMIT, OrderType.LIMIT, OrderType.MARKET))
        price = _near(last, rng.choice((-0.02, -0.005, 0.001, 0.003, 0.2)) * side.sign)
        plan = _plan(rng, last, side) if rng.random() < 0.7 else ExitPlan()
        request = OrderRequest(
            instrument.key, side, qty, product, kind,
            price=price if kind is OrderType.LIMIT else Price(0),
            protection_pct=3 if kind is OrderType.MARKET else -1,
            stop=plan.stop, target=plan.target, trail=plan.trail, time_exit_s=plan.time_exit_s,
            overnight=plan.overnight and product is Product.DELIVERY,
            client_id=self._ticket(),
        )  # fmt: skip
        return self._ask(OperatorKind.PLACE, request=request)

    def _enter_options(self, rng: Random) -> str:
        """Often more than the exchange takes in one order."""
        last = self._last(CALL)
        request = OrderRequest(
            CALL.key, Side.BUY, 65 * rng.choice((1, 20, 40, 70)), Product.DELIVERY,
            price=_near(last, rng.choice((-0.05, 0.01))),
            stop=_near(last, -0.2),
            client_id=self._ticket(),
        )  # fmt: skip
        return f"{self._ask(OperatorKind.PLACE, request=request)} {request.qty} options"

    def _basket(self, rng: Random) -> str:
        label, qty = self._ticket(), 65 * rng.randrange(1, 3)
        sold = OrderRequest(
            FUTURE.key, Side.SELL, qty, Product.DELIVERY,
            price=_near(self._last(FUTURE), -0.01), client_id=f"{label}a", group=label,
        )  # fmt: skip
        bought = OrderRequest(
            CALL.key, Side.BUY, qty, Product.DELIVERY,
            price=_near(self._last(CALL), 0.02), client_id=f"{label}b", group=label,
        )  # fmt: skip
        return self._ask(OperatorKind.BASKET, basket=(sold, bought))

    def _gtt(self, rng: Random) -> str:
        last = self._last(SHARE)
        above = rng.random() < 0.5
        level = _near(last, rng.uniform(0.003, 0.02) * (1 if above else -1))
        trigger = GttTrigger.ABOVE if above else GttTrigger.BELOW
        rules = [GttRule(GttStrategy.ENTRY, trigger, level)]
        if rng.random() < 0.7:
            rules.append(GttRule(GttStrategy.STOPLOSS, GttTrigger.IMMEDIATE, _near(level, -0.03)))
            rules.append(GttRule(GttStrategy.TARGET, GttTrigger.IMMEDIATE, _near(level, 0.03)))
        product = rng.choice((Product.INTRADAY, Product.DELIVERY))
        gtt = GttRequest(
            SHARE.key, Side.BUY, rng.randrange(1, 20), product, tuple(rules), client_id=self._ticket()
        )
        return self._ask(OperatorKind.GTT_PLACE, gtt=gtt)

    def _end_gtt(self, rng: Random) -> str:
        gtts = self._runtime.engine.desk.manager.gtts.working()
        if not gtts:
            return "no GTT"
        return self._ask(OperatorKind.GTT_CANCEL, tag=rng.choice(gtts).tag)

    def _modify(self, rng: Random) -> str:
        orders = self._runtime.engine.desk.manager.working()
        if not orders:
            return "nothing to modify"
        order = rng.choice(orders)
        if order.request.is_resting_stop:
            trigger = _near(order.request.trigger_price, rng.uniform(-0.01, 0.01))
            return self._ask(OperatorKind.MODIFY, tag=order.tag, trigger_price=trigger)
        if not order.request.price:
            return "nothing to modify"
        change: dict[str, Any] = {"price": _near(order.request.price, rng.uniform(-0.02, 0.02))}
        if order.request.instrument_key == SHARE.key and rng.random() < 0.5:
            change["qty"] = rng.randrange(1, 40)
        return self._ask(OperatorKind.MODIFY, tag=order.tag, **change)

    def _cancel(self, rng: Random) -> str:
        orders = self._runtime.engine.desk.manager.working()
        if not orders:
            return "nothing to cancel"
        return self._ask(OperatorKind.CANCEL, tag=rng.choice(orders).tag)

    def _position(self, rng: Random) -> Position | None:
        positions = list(self._runtime.engine.desk.portfolio.open_positions())
        return rng.choice(positions) if positions else None

    def _exit(self, rng: Random) -> str:
        position = self._position(rng)
        if position is None:
            return "nothing to exit"
        held = abs(position.qty)
        qty = rng.randrange(1, held + 1) if position.instrument_key == SHARE.key else None
        return self._ask(
            OperatorKind.EXIT,
            instrument_key=position.instrument_key,
            product=position.product,
            qty=rng.choice((None, qty)),
        )

    def _protect(self, rng: Random) -> str:
        position = self._position(rng)
        if position is None:
            return "nothing to protect"
        instrument = next(one for one in WATCHED if one.key == position.instrument_key)
        plan = _plan(rng, self._last(instrument), Side.BUY if position.qty > 0 else Side.SELL)
        return self._ask(
            OperatorKind.PROTECT,
            instrument_key=position.instrument_key,
            product=position.product,
            plan=plan if rng.random() < 0.85 else ExitPlan(),
        )

    def _all(self, rng: Random) -> str:
        kind = rng.choice(
            (OperatorKind.KILL, OperatorKind.CANCEL_ALL, OperatorKind.EXIT_ALL, OperatorKind.FLATTEN)
        )
        return self._ask(kind, note="soak")

    # --- telling --------------------------------------------------------------------------------------

    async def settle(self, to_ns: int) -> dict[str, Any]:
        """Wait for a time, and for a whole reading of the account after it; the ledger then."""
        engine = self._runtime.engine
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_S):
                while engine.now_ns < to_ns // 1_000_000 * 1_000_000:
                    await self._something()
                seen = self._snapshots
                while self._snapshots < seen + 1:
                    await self._something()
        return self.ledger()

    def ledger(self) -> dict[str, Any]:
        """Our side of the books."""
        desk = self._runtime.engine.desk
        manager = desk.manager
        orders = list(manager.orders.values())
        gtts = list(manager.gtts.gtts.values())
        doubtful = (OrderStatus.UNKNOWN, OrderStatus.SENT, OrderStatus.PENDING, OrderStatus.INTENT)
        return {
            "now_ns": self._runtime.engine.now_ns,
            "orders": [[o.broker_id, o.status.value, o.filled_qty, o.request.is_exit] for o in orders],
            "fills": [[f.trade_id, f.broker_id, f.qty] for f in desk.portfolio.fills.values()],
            "positions": {
                f"{p.instrument_key} {p.product.value}": p.qty for p in desk.portfolio.open_positions()
            },
            "gtts": [one.gtt_id for one in gtts if one.status.working],
            "naked": {f"{one.instrument_key} {one.product.value}": one.why for one in desk.naked()},
            "open": [
                f"{o.tag} {o.status.value} {o.message}"
                for o in orders
                if (o.status in doubtful and not o.raw_status.lower().startswith("after market"))
                or o.modify_pending
                or o.cancel_pending
            ],
            "state": desk.books.state.value,
        }


def _near(price: int, part: float) -> Price:
    """A price so far away, on a tick of five paise."""
    return to_price(max(0.05, round(price * (1 + part) / 500) * 500 / 10_000))


def _plan(rng: Random, last: Price, side: Side) -> ExitPlan:
    stop = _near(last, -side.sign * rng.uniform(0.005, 0.03))
    target = _near(last, side.sign * rng.uniform(0.005, 0.03)) if rng.random() < 0.5 else Price(0)
    trail = rng.choice(
        (None, None, Trail(TrailKind.POINTS, int(to_price(0.5))), Trail(TrailKind.PERCENT, 100))
    )
    time_exit_s = rng.choice((0, 0, 0, 13 * 3600))
    return ExitPlan(stop, target, trail, time_exit_s, overnight=rng.random() < 0.2)


async def commands() -> asyncio.StreamReader:
    """Standard input, line by line."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def say(what: Any) -> None:
    """Answer."""
    print(json.dumps(what), flush=True)


async def main(home: str, url: str, number: str) -> None:
    """One run, from its start to ``stop``."""
    keys = (SHARE.symbol, CALL.key, FUTURE.key)
    settings = Config(account=Account(capital=CAPITAL), watch=Watch(symbols=keys))
    place = Home(Path(home), Path(home))
    parts = await wiring.join(wiring.Request(place, settings, (url, None, None, None)))
    assert isinstance(parts.feed, UpstoxFeed)
    assert isinstance(parts.broker, UpstoxBroker)
    parts.feed._backoff = parts.broker._stream._backoff = _QUICK
    runtime = Runtime(parts, stay_up=True)
    trader = Trader(runtime, int(number))
    running = asyncio.create_task(runtime.run())
    priced = asyncio.create_task(trader.priced())
    await asyncio.wait([running, priced], return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()
    await priced
    say({"up": True})
    lines = await commands()
    while line := await lines.readline():
        asked = json.loads(line)
        if "act" in asked:
            say({"did": trader.act(asked["act"])})
        elif "settle" in asked:
            say(await trader.settle(asked["settle"]))
        else:
            break
    runtime.stop()
    await running
    say({"down": True})


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
