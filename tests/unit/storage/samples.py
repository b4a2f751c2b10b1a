"""Instruments, frames, bars and records for the storage tests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np

from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.market_data import BarSource, Candle, FrameKind, Greek, Has, Px, Qty, TickBatch
from tradetui.domain.money import Price
from tradetui.domain.order import Fill, Order, OrderRequest, OrderStatus, Product, Side
from tradetui.domain.records import Record, RecordKind, freeze

T0_MS = 1_765_770_300_000
"""2025-12-15 09:15 IST."""
T0_NS = T0_MS * 1_000_000
DAY = date(2025, 12, 15)

RELIANCE = Instrument("NSE_EQ|INE002A01018", "NSE_EQ", "NSE", "RELIANCE", "Reliance", InstrumentKind.EQUITY)
NIFTY = Instrument("NSE_INDEX|Nifty 50", "NSE_INDEX", "NSE", "NIFTY", "Nifty 50", InstrumentKind.INDEX)
CALL = Instrument(
    "NSE_FO|51414",
    "NSE_FO",
    "NSE",
    "BANKNIFTY 59000 CE",
    "BANKNIFTY",
    InstrumentKind.CALL,
    lot_size=35,
    expiry=date(2025, 12, 30),
    strike=Price(590_000_000),
)
ALL = [RELIANCE, NIFTY, CALL]


def frame(rows: int = 3, step: int = 0, kind: FrameKind = FrameKind.LIVE) -> TickBatch:
    """A frame whose numbers can be told apart: row ``i`` is slot ``i`` modulo three."""
    batch = TickBatch.zeros(kind, T0_MS + step * 100 + 7, rows)
    number = np.arange(rows)
    batch.slot[:] = number % 3
    batch.mask[:] = np.array([Has.LTPC | Has.DEPTH | Has.FULL, Has.LTPC | Has.INDEX, Has.LTPC | Has.GREEKS])[
        number % 3
    ]
    batch.px[:, Px.LTP] = 100.05 + number + step
    batch.px[:, Px.OI] = np.where(number % 3 == 2, 350.0, 0.0)
    batch.qty[:, Qty.LTT_MS] = T0_MS + step * 100
    batch.qty[:, Qty.LTQ] = 5
    batch.qty[:, Qty.VTT] = np.where(number % 3 == 1, 0, 1000 + step)
    batch.depth[:] = np.arange(20).reshape(4, 5) + 1.0
    batch.greeks[:, Greek.DELTA] = 0.5
    return batch


def bar(minute: int, close: float = 101.0, slot: int = 0, **kw: object) -> Candle:
    """A one-minute bar."""
    fields: dict[str, object] = {"source": BarSource.TICKS, "interval_s": 60, **kw}
    return Candle(
        slot=slot,
        start_ms=T0_MS + minute * 60_000,
        open=100.0,
        high=max(102.0, close),
        low=99.0,
        close=close,
        volume=10 + minute,
        **fields,  # type: ignore[arg-type]
    )


def order(tag: str = "tt1", status: OrderStatus = OrderStatus.SENT, at: int = 0, qty: int = 10) -> Order:
    """An order of RELIANCE."""
    request = OrderRequest(
        RELIANCE.key, Side.BUY, qty, price=Price(14_000_500), reason="test", client_id="c" + tag
    )
    return Order(tag, request, status, T0_NS, T0_NS + at, broker_id="b" + tag if at else "")


def fill(
    trade: int, side: Side = Side.BUY, qty: int = 1, price: int = 14_000_500, key: str = RELIANCE.key
) -> Fill:
    """A fill."""
    return Fill(
        f"t{trade}", "btt1", "tt1", key, side, qty, Price(price), Product.INTRADAY, T0_NS + trade * 1_000_001
    )


def record(kind: RecordKind, value: object, at: int = 0) -> Record:
    """A record of a domain value or of plain data."""
    return Record(T0_NS + at, kind, freeze(value), {"us": 12})


def a_day() -> list[Record]:
    """Every kind of record once or more, in an order that can happen."""
    return [
        record(RecordKind.RUN, {"what": "start", "version": "1"}),
        record(RecordKind.OPERATOR, {"kind": "place"}),
        record(RecordKind.INTENT, order(status=OrderStatus.INTENT)),
        record(RecordKind.ORDER, order()),
        record(RecordKind.ORDER, order(status=OrderStatus.OPEN, at=5), 5),
        record(RecordKind.FILL, fill(1, qty=4), 6),
        record(RecordKind.FILL, fill(2, qty=6, price=14_001_000), 7),
        record(RecordKind.ORDER, order(status=OrderStatus.FILLED, at=8), 8),
        record(RecordKind.FILL, fill(3, Side.SELL, 15, 13_999_000), 9),
        record(
            RecordKind.OPENING,
            {"instrument_key": CALL.key, "product": "D", "qty": -35, "average_price": 3_000_000},
            9,
        ),
        record(
            RecordKind.SIGNAL, {"id": "s1", "strategy": "vote", "side": "BUY", "score": 71.5, "votes": []}, 10
        ),
        record(RecordKind.DECISION, {"request": freeze(order().request), "refused": "daily loss"}, 11),
        record(RecordKind.RISK, {"state": "halted", "reason": "kill pulled by me"}, 12),
        record(RecordKind.FEED, {"state": "up", "reason": ""}, 13),
        record(RecordKind.FEED, {"state": "up", "reason": ""}, 13),
    ]


def numbered(records: list[Record]) -> list[tuple[str, int, Record]]:
    """Records with the places that a journal of their own would give them."""
    from tradetui.storage.ledger import Numbering

    numbering = Numbering()
    return [numbering.next(item) for item in records]


def reader(records: list[Record]) -> Callable[[str, int], list[tuple[str, int, Record]]]:
    """Reads those records like a journal does; the list may grow."""
    return lambda day, _: [item for item in numbered(records) if item[0] >= day]
