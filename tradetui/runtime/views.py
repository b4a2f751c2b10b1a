"""Engine state into one immutable `Snapshot` for the screen. Runs on the engine's loop, at the screen's rate."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from tradetui.domain.instrument import Instrument
from tradetui.domain.intervals import INTERVALS
from tradetui.domain.market_data import Bar, Candle, Greek, Px, Qty
from tradetui.domain.measures import MarketMeasures
from tradetui.domain.money import decimals_of, to_rupees
from tradetui.domain.order import Order, OrderStatus
from tradetui.domain.position import Position, PositionKey
from tradetui.domain.view import (
    ChartView,
    DepthLevel,
    DepthView,
    Gauge,
    Health,
    InstrumentRow,
    LogRow,
    Look,
    PositionRow,
    Snapshot,
    StrategyRow,
    WatchRow,
)
from tradetui.indicators import Columns, Spec
from tradetui.ports import PlannedFeed
from tradetui.runtime.gauges import risk_gauges
from tradetui.runtime.measures import MeasuresKept, profile_view
from tradetui.runtime.oddities import key_gauges, oddities
from tradetui.runtime.telemetry import budget_gauges, rss_mb
from tradetui.storage.writer import Load

if TYPE_CHECKING:
    from tradetui.runtime.core import Runtime

_NS: Final = 1_000_000_000
_ORDERS_SHOWN: Final = 200
_SLOW_EVERY: Final = 10
"""Percentiles sort 65,536 numbers: every tenth snapshot is often enough."""


def instrument_row(instrument: Instrument) -> InstrumentRow:
    """An instrument as search shows it."""
    return InstrumentRow(
        key=instrument.key,
        symbol=instrument.symbol,
        name=instrument.name,
        segment=instrument.segment,
        kind=instrument.kind.value,
        lot=instrument.lot_size,
        tick=instrument.tick_size,
        freeze=instrument.freeze_qty,
        expiry=instrument.expiry.isoformat() if instrument.expiry else "",
        strike=instrument.strike or 0,
        tradable=instrument.tradable,
    )


_ALL_BARS: Final = 1_000_000
"""All that the history has."""


class ViewBuilder:
    """Builds snapshots of one runtime.

    Args:
        runtime: What to look at.
        log_rows: Ring of log records, filled by the logging handler.
        notices: Ring of lines that deserve attention.
    """

    def __init__(self, runtime: Runtime, log_rows: deque[LogRow], notices: deque[LogRow]) -> None:
        self._runtime = runtime
        self._engine = runtime.engine
        self._log = log_rows
        self._notices = notices
        self._seq = 0
        self._trend: dict[int, deque[float]] = {}
        self._measures = MeasuresKept(runtime.engine)
        self._p50 = self._p99 = 0.0
        self._budget_rows: tuple[Gauge, ...] = ()
        # What the screen shows until it has a list of its own.
        self._first_list = tuple(instrument.key for instrument in runtime.parts.watch)

    def build(self, look: Look) -> Snapshot:
        """The state now, for what the screen looks at."""
        engine, desk, parts = self._engine, self._engine.desk, self._runtime.parts
        self._seq += 1
        now = engine.now_ns
        selected = engine.universe.get(look.selected)
        universe = engine.universe.instruments
        slots = engine.universe.slots
        shown_keys = [key for key in look.watch or self._first_list if key in slots]
        chosen = [slots[selected.key]] if selected else []
        measures = self._measures.of([*(slots[key] for key in shown_keys), *chosen])
        rows = tuple(
            self._watch_row(slots[key], universe[slots[key]], measures.get(slots[key])) for key in shown_keys
        )
        orders = tuple(reversed(desk.manager.orders.values()))[:_ORDERS_SHOWN]
        positions = tuple(self._position(p) for p in desk.portfolio.positions.values())
        gtts = tuple(reversed(desk.manager.gtts.gtts.values()))[:_ORDERS_SHOWN]
        shown = {o.request.instrument_key for o in orders} | {g.request.instrument_key for g in gtts}
        shown |= {p.key for p in positions}
        return Snapshot(
            seq=self._seq,
            t_ns=now,
            mode=parts.mode,
            account=parts.account,
            host=parts.host,
            broker=parts.broker.name,
            risk_state=desk.books.state.value,
            risk_reason=desk.books.state_reason,
            armed_until_ns=desk.books.armed_until_ns,
            login=self._runtime.login_trouble,
            feed_state="silent" if engine.silent else engine.feed.state.value,
            feed_reason=engine.feed.reason,
            feed_age_s=(now - engine.last_frame_ns) / _NS if engine.last_frame_ns else 0.0,
            phase=engine.phase(selected or universe[0]) if universe else "",
            indices=tuple(self._index(i) for i in universe if not i.tradable)[:4],
            day_pnl=desk.figures.day_pnl(),
            day_charges=desk.figures.day_charges(),
            capital=desk.books.limits.capital,
            available=desk.figures.available(),
            used=desk.portfolio.used or 0,
            subscribed=len(universe),
            stale_count=sum(row.stale for row in rows),
            watch=rows,
            depth=self._depth(selected, measures) if selected else None,
            chart=self._chart(selected, look) if selected else None,
            positions=positions,
            orders=orders,
            gtts=gtts,
            symbols={key: found.symbol for key in shown if (found := engine.universe.get(key))},
            signals=self._engine.signals.rows(),
            strategies=self._strategies(),
            gauges=risk_gauges(desk),
            budgets=self._budgets(),
            log=tuple(self._log),
            notices=tuple(self._notices),
            preview=desk.preview(look.ticket, look.modifies) if look.ticket is not None else None,
            health=self._health(),
            replay=parts.replay.view() if parts.replay is not None else None,
        )

    # --- market ---------------------------------------------------------------------------------------

    def _watch_row(self, slot: int, instrument: Instrument, measures: MarketMeasures | None) -> WatchRow:
        engine, quotes = self._engine, self._engine.quotes
        known = slot < quotes.capacity and quotes.last_seen_ns[slot] > 0
        asked = engine.prices.asked(slot)
        ltp = to_rupees(asked.last) if asked is not None else float(quotes.ltp[slot]) if known else 0.0
        close = float(quotes.close[slot]) if known else 0.0
        trading = engine.phase(instrument) == "continuous"
        old = engine.prices.age_s(slot, engine.now_ns, trading=trading)
        age = math.inf if old is None else old
        depth = quotes.depth[slot] if known else None
        trend = self._trend.setdefault(slot, deque(maxlen=24))
        if ltp and (not trend or trend[-1] != ltp):
            trend.append(ltp)
        moved = ltp - close if ltp and close else None
        return WatchRow(
            key=instrument.key,
            symbol=instrument.symbol,
            ltp=ltp or None,
            change=moved,
            change_pct=moved / close * 100 if moved is not None else None,
            volume=int(quotes.vtt[slot]) if known else 0,
            bid=float(depth[0, 0]) or None if depth is not None else None,
            ask=float(depth[2, 0]) or None if depth is not None else None,
            oi=float(quotes.oi[slot]) if known else 0.0,
            age_s=age if known else 0.0,
            stale=not known or age > engine.desk.books.limits.stale_warn_s,
            position_qty=engine.desk.portfolio.net_qty(instrument.key),
            decimals=decimals_of(instrument.tick_size),
            trend=tuple(trend),
            measures=measures,
            asked=asked is not None,
        )

    def _index(self, instrument: Instrument) -> tuple[str, float, float]:
        quotes, slot = self._engine.quotes, self._engine.universe.slots[instrument.key]
        if slot >= quotes.capacity:
            return (instrument.symbol, 0.0, 0.0)
        ltp, close = float(quotes.ltp[slot]), float(quotes.close[slot])
        return (instrument.symbol, ltp, (ltp / close - 1) * 100 if ltp and close else 0.0)

    def _depth(self, instrument: Instrument, measures: dict[int, MarketMeasures]) -> DepthView | None:
        engine, quotes = self._engine, self._engine.quotes
        slot = engine.universe.slots[instrument.key]
        if slot >= quotes.capacity:
            return None
        book, px, qty = quotes.depth[slot].tolist(), quotes.px[slot].tolist(), quotes.qty[slot].tolist()
        day, greeks = quotes.day[slot].tolist(), quotes.greeks[slot].tolist()
        feed = self._runtime.parts.feed
        deep = feed.deep_book(instrument.key) if isinstance(feed, PlannedFeed) else None
        five = zip(book[0], book[1], strict=True), zip(book[2], book[3], strict=True)
        bids, asks = deep if deep is not None else five
        seen = int(quotes.last_seen_ns[slot])
        age = (engine.now_ns - seen) / _NS if seen else 0.0
        return DepthView(
            instrument=instrument_row(instrument),
            bids=tuple(DepthLevel(p, int(q)) for p, q in bids),
            asks=tuple(DepthLevel(p, int(q)) for p, q in asks),
            ltp=px[Px.LTP] or None,
            ltq=qty[Qty.LTQ],
            ltt_ms=qty[Qty.LTT_MS],
            atp=px[Px.ATP],
            open=day[Bar.OPEN],
            high=day[Bar.HIGH],
            low=day[Bar.LOW],
            prev_close=px[Px.CLOSE],
            volume=qty[Qty.VTT],
            oi=px[Px.OI],
            total_bid=px[Px.TBQ],
            total_ask=px[Px.TSQ],
            iv=px[Px.IV],
            delta=greeks[Greek.DELTA],
            gamma=greeks[Greek.GAMMA],
            theta=greeks[Greek.THETA],
            vega=greeks[Greek.VEGA],
            age_s=age,
            stale=not seen or age > engine.desk.books.limits.stale_warn_s,
            auction_price=float(quotes.auction[slot, 0]),
            own=tuple(
                (o.request.side.value, _resting_at(o), o.pending_qty)
                for o in engine.desk.manager.working(instrument.key)
            ),
            measures=measures.get(slot),
            profile=profile_view(engine, slot),
        )

    def _chart(self, instrument: Instrument, look: Look) -> ChartView | None:
        engine = self._engine
        slot = engine.universe.slots[instrument.key]
        interval_s = INTERVALS.get(look.interval, 60)
        known = engine.bars(slot, interval_s, _ALL_BARS)
        bars = known[-look.bars :]
        marks = [
            (f"{o.request.side.value} {o.pending_qty}", _resting_at(o))
            for o in engine.desk.manager.working(instrument.key)
        ]
        for position in engine.desk.portfolio.open_positions():
            if position.instrument_key == instrument.key:
                marks.append((f"avg {position.qty:+d}", to_rupees(position.average_price)))
                managed = engine.desk.protection.plans.get((position.instrument_key, position.product))
                if managed is not None and managed.stop:
                    marks.append(("stop", to_rupees(managed.stop)))
                if managed is not None and managed.plan.target:
                    marks.append(("target", to_rupees(managed.plan.target)))
        return ChartView(
            key=instrument.key,
            symbol=instrument.symbol,
            interval=look.interval,
            start_ms=tuple(c.start_ms for c in bars),
            open=tuple(c.open for c in bars),
            high=tuple(c.high for c in bars),
            low=tuple(c.low for c in bars),
            close=tuple(c.close for c in bars),
            volume=tuple(c.volume for c in bars),
            overlays=_overlays(known, len(bars), self._runtime.parts.overlays),
            marks=tuple(marks),
            decimals=decimals_of(instrument.tick_size),
        )

    # --- account --------------------------------------------------------------------------------------

    def _position(self, position: Position) -> PositionRow:
        desk = self._engine.desk
        market = self._engine.market(position.instrument_key)
        instrument = self._engine.universe.get(position.instrument_key)
        unrealised = desk.figures.unrealised(position) if position.qty else 0
        key = (position.instrument_key, position.product)
        limit = self._engine.desk.books.limits.stale_warn_s
        breakeven = desk.figures.breakeven(position)
        managed = desk.protection.plans.get(key)
        why = desk.protection.why_naked(position) if position.qty else ""
        return PositionRow(
            key=position.instrument_key,
            symbol=instrument.symbol if instrument else position.instrument_key,
            product=position.product.value,
            qty=position.qty,
            average=position.average_price,
            last=to_rupees(market.last) if market.last is not None else None,
            realised=position.realised,
            unrealised=unrealised,
            pnl=position.realised + unrealised,
            charges=desk.figures.charges_of(*key),
            day_pnl=desk.figures.day_profit(position),
            carried_qty=desk.portfolio.carried_qty(key),
            breakeven=breakeven.price if breakeven else 0,
            breakeven_ticks=breakeven.ticks if breakeven else None,
            naked=bool(why),
            naked_why=why,
            plan=managed.in_force if managed is not None else None,
            stale=market.age_s is None or market.age_s > limit,
        )

    def _strategies(self) -> tuple[StrategyRow, ...]:
        runner = self._engine.runner
        earned = self._earned()
        return tuple(
            StrategyRow(s.name, w.running, w.auto, w.signals, earned.get(s.name, 0), w.error or s.title)
            for s in runner.strategies
            for w in (runner.switches[s.name],)
        )

    def _earned(self) -> dict[str, int]:
        """Gross profit by strategy, of the positions that only it (and our exits from them) traded."""
        desk = self._engine.desk
        requests = {order.tag: order.request for order in desk.manager.orders.values()}
        owners: dict[PositionKey, set[str]] = {}
        for fill in desk.portfolio.fills.values():
            request = requests.get(fill.tag)
            if request is None or not request.is_exit:
                source = request.source if request is not None else "foreign"
                owners.setdefault((fill.instrument_key, fill.product), set()).add(source)
        earned: dict[str, int] = {}
        for key, who in owners.items():
            position = desk.portfolio.positions[key]
            if len(who) == 1:
                (name,) = who
                earned[name] = earned.get(name, 0) + position.realised + desk.figures.unrealised(position)
        return earned

    def _budgets(self) -> tuple[Gauge, ...]:
        """The order account's windows, and the fullest read endpoint. Looked at with every tenth snapshot."""
        budgets = self._runtime.parts.budgets
        if budgets is not None and (self._seq % _SLOW_EVERY == 1 or not self._budget_rows):
            self._budget_rows = budget_gauges(budgets()) + key_gauges(self._runtime)
        return self._budget_rows

    def _health(self) -> Health:
        runtime = self._runtime
        counters = runtime.parts.feed.counters()
        load = runtime.parts.store.load() if runtime.parts.store is not None else Load()
        if self._seq % _SLOW_EVERY == 1:
            self._p50, self._p99 = runtime.latency.percentile_us(50), runtime.latency.percentile_us(99)
        return Health(
            frames=runtime.frames,
            ticks=runtime.ticks,
            dropped=counters.get("dropped", 0),
            reconnects=counters.get("reconnects", 0),
            bad_frames=counters.get("bad_frames", 0),
            tick_to_state_p50_us=self._p50,
            tick_to_state_p99_us=self._p99,
            max_loop_lag_ms=runtime.lag.max_ms,
            rss_mb=rss_mb(),
            store_queue=load.queued,
            store_dropped=load.dropped,
            store_lag_s=load.lag_s,
            store_problem=load.problem,
            odd=tuple((name, count) for name, count in oddities(runtime).items() if count),
            silence=runtime.supervision.verdict,
        )


def _resting_at(order: Order) -> float:
    """Where an order stands in the market, in rupees: a stop that waits stands at its trigger."""
    request = order.request
    if order.status is OrderStatus.TRIGGER_PENDING:
        return to_rupees(request.trigger_price)
    return to_rupees(request.price or request.trigger_price)


def _overlays(
    bars: list[Candle], shown: int, specs: Iterable[Spec]
) -> tuple[tuple[str, tuple[float, ...]], ...]:
    """Lines over the last ``shown`` bars, computed from all: averages are warm and levels know the day before."""
    if not bars:
        return ()
    columns = Columns.of_candles(bars)
    out = []
    for spec in specs:
        drawn = spec.indicator.on_price
        for name, output, values in zip(
            spec.columns, spec.indicator.outputs, spec.batch(columns), strict=True
        ):
            if output in drawn:
                out.append((name, tuple(values[-shown:].tolist())))
    return tuple(out)
