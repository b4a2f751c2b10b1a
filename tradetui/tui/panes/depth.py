"""Pane 3: depth of the selected instrument; a table when low, a ladder when tall."""

from __future__ import annotations

from tradetui.domain.view import DepthLevel, DepthView
from tradetui.tui import fmt
from tradetui.tui.layout import Pane
from tradetui.tui.panes.base import PaneSpec
from tradetui.tui.panes.measures import book_line, depth_lines
from tradetui.tui.panes.watchlist import tone
from tradetui.tui.spans import Line, Span, fit, right
from tradetui.tui.state import Frame, name_of


def decimals(view: DepthView) -> int:
    """Digits behind the point that the instrument's tick needs."""
    return 2 if view.instrument.tick % 100 == 0 else 4


def title(frame: Frame, width: int) -> tuple[Line, Line]:
    """Instrument and age of the data."""
    view = frame.snap.depth
    if view is None or view.instrument.key != frame.ui.selected:
        name = name_of(frame.snap, frame.ui, frame.ui.selected) if frame.ui.selected else ""
        return ((fit(f"{name} depth".strip(), min(len(name) + 6, width)), "title"),), ()
    mark = "~" if view.stale else ""
    style = "warn" if view.stale else "dim"
    name = view.instrument.symbol
    return ((fit(name, min(len(name), width - 9)), "title"),), ((f" {mark}{fmt.age(view.age_s)} ", style),)


def body(frame: Frame, width: int, height: int) -> list[Line]:
    """The book, the day's figures, and our own orders in it."""
    view = frame.snap.depth
    if view is None or view.instrument.key != frame.ui.selected:
        return (
            [((" waiting for the book", "dim"),)] if frame.ui.selected else [((" nothing selected", "dim"),)]
        )
    if not any(level.price for level in (*view.bids, *view.asks)):
        words = "no quotes yet" if view.instrument.tradable else "an index has no order book"
        return [((f" {words}", "dim"),), *_figures(view, width)][:height]
    return _ladder(frame, view, width, height) if height >= 17 else _table(frame, view, width, height)


def _own(view: DepthView, side: str, price: float) -> str:
    """A sign for our own resting orders at a price."""
    return "*" if any(s == side and abs(p - price) < 1e-9 for s, p, _ in view.own) else " "


def _table(frame: Frame, view: DepthView, width: int, height: int) -> list[Line]:
    places = decimals(view)
    half = (width - 1) // 2
    qty = half - 11
    divider = "|" if frame.ascii else "│"
    head = right("BIDQ", qty) + right("BID", 11) + divider + right("ASK", 10) + right("ASKQ", qty + 1)
    lines: list[Line] = [((head, "dim"),)]
    rows = max(1, min(5, height - 2))
    for i in range(rows):
        bid = view.bids[i] if i < len(view.bids) else DepthLevel(0, 0)
        ask = view.asks[i] if i < len(view.asks) else DepthLevel(0, 0)
        lines.append(
            (
                (right(fmt.units(bid.qty) if bid.price else "", qty), "text"),
                (right(fmt.price(bid.price, places) if bid.price else "", 10), "buy"),
                (_own(view, "BUY", bid.price), "key+bold"),
                (divider, "border"),
                (right(fmt.price(ask.price, places) if ask.price else "", 10), "sell"),
                (_own(view, "SELL", ask.price), "key+bold"),
                (right(fmt.units(ask.qty) if ask.price else "", qty), "text"),
            )
        )
    lines.append(_totals(frame, view, width))
    if len(lines) < height:
        lines += _figures(view, width)
    return lines[:height]


def _ladder(frame: Frame, view: DepthView, width: int, height: int) -> list[Line]:
    places = decimals(view)
    figures = _figures(view, width)
    # Five levels come before the day's figures; more levels only where both have room.
    room = max(min(5, (height - 3) // 2), (height - 3 - len(figures)) // 2, 1)
    levels = min(room, max(len(view.bids), len(view.asks), 1))
    bids, asks = view.bids[:levels], view.asks[:levels]
    top = max([level.qty for level in (*bids, *asks)] or [1]) or 1
    side = (width - 13) // 2
    gap: Span = (" " * side, "text")
    head = fit(right("BID QTY", side) + right("PRICE", 11) + "  " + fit("ASK QTY", side), width)
    lines: list[Line] = [((head, "dim"),)]
    for level in reversed(asks):
        price = right(fmt.price(level.price, places), 11)
        cells = _sized(fit(fmt.units(level.qty), side), level.qty / top, "bar2")
        lines.append(
            (gap, (price, "sell"), (_own(view, "SELL", level.price), "key+bold"), (" ", "text"), *cells)
        )
    change = None if view.ltp is None or not view.prev_close else view.ltp - view.prev_close
    rule = "-" if frame.ascii else "─"
    began = (
        f"{view.measures.aggressor.lower()} " if view.measures is not None and view.measures.aggressor else ""
    )
    last = f" {fmt.price(view.ltp, places)} x {fmt.units(view.ltq)} {began}"
    lines.append(((fit(rule * 2 + last + rule * width, width), f"{tone(change)}+bold"),))
    for level in bids:
        price = right(fmt.price(level.price, places), 11)
        cells = _sized(right(fmt.units(level.qty), side), level.qty / top, "bar", left=True)
        lines.append((*cells, (price, "buy"), (_own(view, "BUY", level.price), "key+bold")))
    lines.append(_totals(frame, view, width))
    return [*lines, *figures][:height]


def _sized(text: str, share: float, ground: str, *, left: bool = False) -> list[Span]:
    """A quantity whose ground is filled from the price outwards by its share of the largest level."""
    full = max(1, round(share * len(text))) if share > 0 else 0
    if left:
        cut = len(text) - full
        return [(text[:cut], "text"), (text[cut:], f"text+{ground}")]
    return [(text[:full], f"text+{ground}"), (text[full:], "text")]


def _totals(frame: Frame, view: DepthView, width: int) -> Line:
    """Total bid and ask quantity with their share as a bar."""
    total = view.total_bid + view.total_ask
    left, tail = f"TBQ {fmt.compact(view.total_bid)} ", f" {fmt.compact(view.total_ask)} TSQ"
    room = max(0, width - len(left) - len(tail))
    share = view.total_bid / total if total else 0.5
    full = round(share * room)
    on, off = ("#", "-") if frame.ascii else ("▓", "░")
    return ((left, "dim"), (on * full, "buy"), (off * (room - full), "sell"), (tail, "dim"))


def _figures(view: DepthView, width: int) -> list[Line]:
    """The day in numbers."""
    places = decimals(view)
    change = None if view.ltp is None or not view.prev_close else view.ltp - view.prev_close
    share = None if change is None else 100 * change / view.prev_close
    pairs: list[list[Span]] = [
        [
            ("LTP ", "dim"),
            (fmt.price(view.ltp, places), "text+bold"),
            (f" {fmt.price(change, places, sign=True)} {fmt.percent(share)}%", tone(change)),
        ],
        [
            ("O ", "dim"),
            (fmt.price(view.open or None, places), "text"),
            ("  C ", "dim"),
            (fmt.price(view.prev_close or None, places), "text"),
        ],
        [
            ("H ", "dim"),
            (fmt.price(view.high or None, places), "text"),
            ("  L ", "dim"),
            (fmt.price(view.low or None, places), "text"),
        ],
        [
            ("avg ", "dim"),
            (fmt.price(view.atp or None, places), "text"),
            ("  vol ", "dim"),
            (fmt.compact(view.volume), "text"),
        ],
    ]
    pairs += book_line(view, places)
    if view.oi:
        pairs.append([("OI ", "dim"), (fmt.compact(view.oi), "text")])
    if view.iv:
        pairs.append(
            [
                ("IV ", "dim"),
                (f"{view.iv * 100:.1f}%", "text"),
                ("  delta ", "dim"),
                (f"{view.delta:+.2f}", "text"),
            ]
        )
    for side, price, qty in view.own[:3]:
        pairs.append(
            [
                ("* my ", "key"),
                (
                    f"{side} {fmt.units(qty)} @ {fmt.price(price, places) if price else 'trigger'}",
                    side.lower(),
                ),
            ]
        )
    pairs += depth_lines(view, places)
    return [((" ", "text"), *spans) for spans in pairs if width > 10]


SPEC = PaneSpec(Pane.DEPTH, title, body, 10.0)
