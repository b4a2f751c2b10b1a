"""What must hold of a soak: against the exchange's own truth, and by the journal from its first record to its last."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any, Final

from tests.fixtures.scripted_world import Market
from tests.soak.trader import CAPITAL
from tradetui.desk.facts import IST_OFFSET_S
from tradetui.domain.gtt import GttStrategy
from tradetui.domain.money import to_money
from tradetui.domain.order import EXIT_SOURCE, Order, Product, Side
from tradetui.domain.position import PositionKey
from tradetui.domain.records import Record, RecordKind
from tradetui.domain.thawing import thaw
from tradetui.exchange.orders import GttState, OrderState
from tradetui.risk.limits import Limits
from tradetui.simulator.tokens import USER_ID

LIMITS: Final = Limits(capital=to_money(CAPITAL))
WORDS: Final = {
    "filled": "complete",
    "open": "open",
    "trigger pending": "trigger pending",
    "cancelled": "cancelled",
    "rejected": "rejected",
    "pending": "after market order req received",
}
_SAME: Final = {"cancelled after market order": "cancelled"}
"""The broker's words for one thing."""
_NS: Final = 1_000_000_000


class Disagreement:
    """Compares a ledger (`trader.Trader.ledger`) with the exchange."""

    def __init__(self, market: Market) -> None:
        self._market = market

    def __call__(self, ledger: dict[str, Any]) -> list[str]:
        """Everything in which they differ, in words; empty when they agree and nothing is open."""
        return [
            *(f"not settled: {words}" for words in ledger["open"]),
            *_differ("order", [tuple(o[:3]) for o in ledger["orders"] if o[0]], self._orders(), WORDS),
            *_differ("fill", [tuple(fill) for fill in ledger["fills"]], self._fills()),
            *_differ("position", list(ledger["positions"].items()), list(self.held().items())),
            *_differ("GTT", [(one,) for one in ledger["gtts"]], self._gtts()),
            *self._naked(ledger),
            *self._reversing(),
        ]

    def _orders(self) -> list[tuple[Any, ...]]:
        return [
            (o.order_id, _SAME.get(o.status.value, o.status.value), o.filled_qty)
            for o in self._market.venue.orders()
        ]

    def _fills(self) -> list[tuple[Any, ...]]:
        return [(t.trade_id, t.order_id, t.qty) for t in self._market.venue.trades()]

    def _gtts(self) -> list[tuple[Any, ...]]:
        return [(one.gtt_id,) for one in self._market.venue.exchange.gtts(USER_ID) if one.active]

    def held(self) -> dict[str, int]:
        """Open positions by the exchange's own trades."""
        net: Counter[str] = Counter()
        for trade in self._market.venue.trades():
            net[f"{trade.instrument_key} {trade.product.value}"] += trade.qty * trade.side.sign
        return {key: qty for key, qty in net.items() if qty}

    def _resting(self, key: str, side: Side) -> list[OrderState]:
        return [
            order
            for order in self._market.venue.orders()
            if not order.status.terminal
            and f"{order.key} {order.request.product.value}" == key
            and order.request.side is side
        ]

    def _naked(self, ledger: dict[str, Any]) -> list[str]:
        """Positions that nothing guards and that the screen does not list as naked."""
        out = []
        for key, qty in self.held().items():
            side = Side.SELL if qty > 0 else Side.BUY
            stops = [o.remaining for o in self._resting(key, side) if o.status.value == "trigger pending"]
            gtts = self._market.venue.exchange.gtts(USER_ID)
            guarded = sum(stops) + sum(_guards(one, qty) for one in gtts if _at(one) == key)
            if guarded < abs(qty) and key not in ledger["naked"]:
                out.append(f"{key}: {qty} held, {guarded} guarded, and not listed as naked")
        return out

    def _reversing(self) -> list[str]:
        """Stops that would sell more than is held."""
        out = []
        for key in {f"{o.key} {o.request.product.value}" for o in self._market.venue.orders()}:
            held = self.held().get(key, 0)
            for side in Side:
                stops = sum(
                    o.remaining for o in self._resting(key, side) if o.status.value == "trigger pending"
                )
                if stops > max(0, -held * side.sign):
                    out.append(f"{key}: stops of {stops} for {held} held")
        return out


def _at(gtt: GttState) -> str:
    return f"{gtt.key} {gtt.request.product.value}"


def _guards(gtt: GttState, held: int) -> int:
    """Units of a position that a GTT would close: by its stop, or as a single one on the exit side."""
    if not gtt.active:
        return 0
    if gtt.request.side.sign * held < 0:
        return gtt.request.qty if gtt.request.kind == "SINGLE" else 0
    return gtt.exit_qty if gtt.request.rule(GttStrategy.STOPLOSS) else 0


def _differ(
    what: str,
    ours: Iterable[tuple[Any, ...]],
    theirs: Iterable[tuple[Any, ...]],
    words: dict[str, str] | None = None,
) -> list[str]:
    mine = Counter(tuple((words or {}).get(one, one) for one in row) for row in ours)
    their = Counter(theirs)
    out = [f"{what} only in the ledger: {row}" for row in mine - their]
    return [*out, *(f"{what} only at the exchange: {row}" for row in their - mine)]


class Watch:
    """Goes through the journal and sees whether an order left that a limit forbids.

    Args:
        path: Engine time, and the prices from then on, oldest first.
    """

    def __init__(self, path: list[tuple[int, dict[str, float]]]) -> None:
        self._times = [t_ns for t_ns, _ in path]
        self._path = path
        self._held: Counter[PositionKey] = Counter()
        self._orders: dict[str, Order] = {}
        self._booked: Counter[str] = Counter()
        self._state = "active"
        self._second: deque[int] = deque()
        self.breaches: list[str] = []
        self.judged = 0

    def read(self, records: Iterable[Record]) -> None:
        """Take the whole journal."""
        for record in records:
            self._take(record)

    def _take(self, record: Record) -> None:
        data = record.data
        match record.kind:
            case RecordKind.RISK if "state" in data:
                self._state = data["state"]
            case RecordKind.FILL:
                at = (data["instrument_key"], Product(data["product"]))
                self._held[at] += data["qty"] * Side(data["side"]).sign
                self._booked[data["broker_id"]] += data["qty"]
            case RecordKind.ORDER:
                order = thaw(Order, data)
                self._orders[order.tag] = order
            case RecordKind.INTENT:
                order = thaw(Order, data)
                self._judge(order, record.t_ns)
                self._orders[order.tag] = order

    def _judge(self, order: Order, t_ns: int) -> None:
        """An order is about to leave."""
        request = order.request
        at = (request.instrument_key, request.product)
        held = self._held[at] + self._unbooked(at)
        if request.source.startswith(EXIT_SOURCE):
            if held * request.side.sign > 0 or request.qty > abs(held):
                self._say(order, f"an exit of {request.qty} while {held} are held")
            return
        if held * request.side.sign < 0 and request.qty <= abs(held):
            return
        self.judged += 1
        if self._state != "active":
            self._say(order, f"it adds risk while trading is {self._state}")
        second = (t_ns // _NS + IST_OFFSET_S) % 86_400
        if request.product is Product.INTRADAY and second >= LIMITS.square_off_s:
            self._say(order, "a new intraday position after the square-off time")
        self._money(order, t_ns)
        self._counts(order, t_ns)

    def _money(self, order: Order, t_ns: int) -> None:
        request = order.request
        low, high = self._price(request.instrument_key, t_ns)
        price = request.price or low
        if request.price and not low * 0.89 <= request.price <= high * 1.11:
            self._say(order, f"its price {request.price} is far from the market's {low} to {high}")
        value = request.qty * price
        if value > LIMITS.order_value:
            self._say(order, f"its value {value} is above the limit of {LIMITS.order_value}")
        exposure = value
        for (key, _), qty in self._held.items():
            exposure += abs(qty) * self._price(key, t_ns)[0]
        if exposure > LIMITS.most_exposure:
            self._say(order, f"exposure {exposure} is above the limit of {LIMITS.most_exposure}")

    def _counts(self, order: Order, t_ns: int) -> None:
        request = order.request
        if request.group:
            return  # judged once, as a whole, at its first part
        here = (request.instrument_key, request.product)
        groups = {o.request.group for o in self._orders.values() if o.request.group}
        loose = {at for at, qty in self._held.items() if qty and not self._in_group(at, groups)}
        if here not in loose:
            intraday = request.product is Product.INTRADAY
            same = sum((at[1] is Product.INTRADAY) == intraday for at in loose)
            most = LIMITS.max_intraday_positions if intraday else LIMITS.max_swing_positions
            if same >= most or len(loose) >= LIMITS.max_positions:
                self._say(order, f"{sorted(loose)} are open already")
        self._second.append(t_ns)
        while t_ns - self._second[0] >= _NS:
            self._second.popleft()
        if len(self._second) > LIMITS.orders_per_second:
            self._say(order, f"{len(self._second)} orders within a second")

    def _in_group(self, at: PositionKey, groups: set[str]) -> bool:
        return any(
            o.request.group in groups
            and (o.request.instrument_key, o.request.product) == at
            and o.request.group
            for o in self._orders.values()
        )

    def _unbooked(self, at: PositionKey) -> int:
        """Units that the broker reports as filled and whose trades are not booked yet."""
        return sum(
            max(0, order.filled_qty - self._booked[order.broker_id]) * order.request.side.sign
            for order in self._orders.values()
            if (order.request.instrument_key, order.request.product) == at and order.broker_id
        )

    def _price(self, key: str, t_ns: int) -> tuple[int, int]:
        """Lowest and highest price that the run may have seen, 1/10,000 rupee: a step may be under way."""
        index = bisect_right(self._times, t_ns)
        near = [prices[key] for _, prices in self._path[max(0, index - 3) : index + 2]] or [100.0]
        return int(min(near) * 10_000), int(max(near) * 10_000)

    def _say(self, order: Order, words: str) -> None:
        self.breaches.append(f"{order.tag}: {words} ({order.request})")
