"""Keeping a simulated account from run to run: clock, orders, trades, positions, holdings, in one JSON file.

Only the same world takes it up again: another market's prices would not fit.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from tradetui.domain.calendar import ist_date
from tradetui.domain.errors import UsageError
from tradetui.domain.events import Holding
from tradetui.domain.money import Money, Price
from tradetui.domain.order import OrderRequest, OrderType, Product, Side, Validity
from tradetui.domain.position import Position
from tradetui.domain.records import freeze
from tradetui.domain.thawing import thaw
from tradetui.exchange.days import Conversion
from tradetui.exchange.exchange import Exchange
from tradetui.exchange.orders import GttState, OrderState, RawStatus, Trade
from tradetui.simulator.tokens import USER_ID

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Kept:
    """A simulated day as it was left.

    Attributes:
        world: Name and origin of the world it belongs to.
        clock_ns: Exchange time, UTC ns.
        opening: Cash of the account before any position.
        positions: Closed ones included.
        holdings: The demat account.
        histories: Every step of every order.
        trades: Every fill.
        gtts: Every good-till-triggered order.
        conversions: Every move between products.
        settled_on: Number of the last trading day whose morning the exchange has seen.
    """

    world: str
    clock_ns: int
    opening: Money
    positions: tuple[Position, ...] = ()
    holdings: tuple[Holding, ...] = ()
    histories: tuple[tuple[OrderState, ...], ...] = ()
    trades: tuple[Trade, ...] = ()
    gtts: tuple[GttState, ...] = ()
    conversions: tuple[Conversion, ...] = ()
    settled_on: int = 0

    @property
    def day(self) -> date:
        """The simulated day."""
        return ist_date(self.clock_ns)

    @property
    def next_serial(self) -> int:
        """A number above every one the exchange has given out."""
        used = [0]
        for steps in self.histories:
            used.append(int(steps[-1].order_id[6:]))
            used.append(int(steps[-1].exchange_order_id[2:] or 0))
        used.extend(int(trade.trade_id) for trade in self.trades)
        used.extend(int(gtt.gtt_id[-8:]) for gtt in self.gtts)
        return max(used) + 1

    def seat(self, exchange: Exchange) -> None:
        """Give an exchange its orders and trades back; the account itself was opened with the positions."""
        working = [steps[-1] for steps in self.histories if not steps[-1].status.terminal]
        for order in working:
            exchange.restore(order)
        exchange.remember(self.histories, self.trades, {USER_ID: self.conversions})
        for gtt in self.gtts:
            exchange.restore_gtt(gtt)
        exchange.settled_on = self.settled_on


def snapshot(world: str, clock_ns: int, exchange: Exchange) -> Kept:
    """The day as it stands."""
    return Kept(
        world,
        clock_ns,
        exchange.funds(USER_ID).opening,
        tuple(exchange.positions(USER_ID)),
        tuple(replace(holding, used_qty=0) for holding in exchange.holdings(USER_ID)),
        tuple(tuple(exchange.history(USER_ID, order.order_id)) for order in exchange.orders(USER_ID)),
        tuple(exchange.trades(USER_ID)),
        tuple(exchange.gtts(USER_ID)),
        tuple(exchange.conversions(USER_ID)),
        exchange.settled_on,
    )


def save(path: Path, kept: Kept) -> None:
    """Write the file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    frozen = {"gtts": freeze(kept.gtts), "conversions": freeze(kept.conversions)}
    text = json.dumps({"format": _FORMAT, **asdict(kept), **frozen}, separators=(",", ":"))
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    part.replace(path)


def load(path: Path) -> Kept | None:
    """Read the file; None if there is none.

    Raises:
        UsageError: It is damaged, or of another format.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        row = json.loads(text)
        if row["format"] != _FORMAT:
            raise ValueError(f"format {row['format']}")
        return Kept(
            world=str(row["world"]),
            clock_ns=int(row["clock_ns"]),
            opening=Money(row["opening"]),
            positions=tuple(_position(one) for one in row["positions"]),
            holdings=tuple(_holding(one) for one in row["holdings"]),
            histories=tuple(tuple(_order(step) for step in steps) for steps in row["histories"]),
            trades=tuple(_trade(one) for one in row["trades"]),
            gtts=thaw(tuple[GttState, ...], row.get("gtts", [])),
            conversions=thaw(tuple[Conversion, ...], row.get("conversions", [])),
            settled_on=int(row.get("settled_on", 0)),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} holds no simulated day ({error})", "Move it away to start over") from error


_Row = Mapping[str, Any]


def _position(row: _Row) -> Position:
    return Position(**{**row, "product": Product(row["product"])})


def _holding(row: _Row) -> Holding:
    return Holding(**{**row, "average_price": Price(row["average_price"])})


def _order(row: _Row) -> OrderState:
    terms = row["request"]
    request = OrderRequest(
        **{
            **terms,
            "side": Side(terms["side"]),
            "product": Product(terms["product"]),
            "order_type": OrderType(terms["order_type"]),
            "validity": Validity(terms["validity"]),
        }
    )
    return OrderState(**{**row, "request": request, "status": RawStatus(row["status"])})


def _trade(row: _Row) -> Trade:
    words: dict[str, Any] = {
        "side": Side(row["side"]),
        "product": Product(row["product"]),
        "order_type": OrderType(row["order_type"]),
    }
    return Trade(**{**row, **words})


def without_expired(kept: Kept, listed: Collection[str]) -> Kept:
    """The account without what the world no longer lists: contracts that ended lapse worthless into cash."""
    gone = [position for position in kept.positions if position.instrument_key not in listed]
    settled = sum(position.realised - position.cost for position in gone)
    return replace(
        kept,
        opening=Money(kept.opening + settled),
        positions=tuple(one for one in kept.positions if one.instrument_key in listed),
        holdings=tuple(one for one in kept.holdings if one.instrument_key in listed),
        histories=tuple(steps for steps in kept.histories if steps[-1].key in listed),
        gtts=tuple(gtt for gtt in kept.gtts if gtt.key in listed),
        conversions=tuple(one for one in kept.conversions if one.instrument_key in listed),
    )
