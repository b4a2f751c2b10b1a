"""Microstructure on the screen: columns of a wide watchlist, lines of the depth pane."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tradetui.domain.measures import MarketMeasures
from tradetui.domain.view import DepthView, WatchRow
from tradetui.tui import fmt
from tradetui.tui.spans import Span, right

_BUILD_UPS = {
    "long build-up": ("L build", "gain"),
    "short build-up": ("S build", "loss"),
    "short covering": ("S cover", "gain"),
    "long unwinding": ("L unwind", "loss"),
}
Cell = tuple[str, str]
"""Text and style."""


def _signed(value: float | None, text: Callable[[float], str]) -> Cell:
    if value is None:
        return fmt.NEVER, "dim"
    return text(value), "gain" if value > 0 else "loss" if value < 0 else "text"


def _from_vwap(row: WatchRow, of: MarketMeasures) -> Cell:
    if row.ltp is None or not of.vwap:
        return fmt.NEVER, "dim"
    return _signed((row.ltp / of.vwap - 1.0) * 100.0, fmt.percent)


def _relative_volume(row: WatchRow, of: MarketMeasures) -> Cell:
    if of.relative_volume is None:
        return fmt.NEVER, "dim"
    return f"{min(of.relative_volume, 999.0):.1f}", "text+bold" if of.relative_volume >= 2.0 else "text"


def _day_position(row: WatchRow, of: MarketMeasures) -> Cell:
    return (fmt.NEVER, "dim") if of.day_position is None else (f"{of.day_position * 100:.0f}", "text")


def _imbalance_cell(value: float | None) -> Cell:
    return _signed(value, "{:+.2f}".format)


def _imbalance(row: WatchRow, of: MarketMeasures) -> Cell:
    return _imbalance_cell(of.imbalance_5)


def _delta(row: WatchRow, of: MarketMeasures) -> Cell:
    return _signed(of.cumulative_delta, signed_compact) if of.seen_volume else (fmt.NEVER, "dim")


def _spread(row: WatchRow, of: MarketMeasures) -> Cell:
    return (fmt.NEVER, "dim") if of.spread_ticks is None else (f"{min(of.spread_ticks, 9999.0):.0f}", "text")


def _build_up(row: WatchRow, of: MarketMeasures) -> Cell:
    return _BUILD_UPS.get(of.build_up, (fmt.NEVER, "dim"))


def signed_compact(value: float) -> str:
    """A large number with its sign."""
    return ("+" if value > 0 else "") + fmt.compact(value)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the watchlist.

    Attributes:
        head: Its head.
        width: Columns of the terminal, the gap on its left included.
        cell: Text and style of one row.
    """

    head: str
    width: int
    cell: Callable[[WatchRow, MarketMeasures], Cell]


COLUMNS = (
    Column("RVOL", 6, _relative_volume),
    Column("VWAP%", 7, _from_vwap),
    Column("DAY", 5, _day_position),
    Column("IMB", 6, _imbalance),
    Column("DELTA", 8, _delta),
    Column("SPR", 5, _spread),
    Column("GAP%", 7, lambda row, of: _signed(of.gap_percent, fmt.percent)),
    Column("52H%", 8, lambda row, of: _signed(of.from_high_percent, fmt.percent)),
    Column("52L%", 8, lambda row, of: _signed(of.from_low_percent, fmt.percent)),
    Column("OI%", 8, lambda row, of: _signed(of.oi_change_percent, fmt.percent)),
    Column("BUILD", 9, _build_up),
)
"""In the order in which they appear as the pane gets wider."""


def columns_for(room: int) -> tuple[Column, ...]:
    """As many columns as fit into ``room``, first ones first."""
    shown = []
    for column in COLUMNS:
        if column.width > room:
            break
        room -= column.width
        shown.append(column)
    return tuple(shown)


def heads(columns: tuple[Column, ...]) -> str:
    """The heads of the columns."""
    return "".join(right(column.head, column.width) for column in columns)


def cells(row: WatchRow, columns: tuple[Column, ...], *, quiet: bool) -> list[Span]:
    """The cells of one row; dim when its data are old."""
    if row.measures is None:
        return [(right(fmt.NEVER, column.width), "dim") for column in columns]
    out: list[Span] = []
    for column in columns:
        text, style = column.cell(row, row.measures)
        out.append((right(text, column.width), "dim" if quiet else style))
    return out


def book_line(view: DepthView, places: int) -> list[list[Span]]:
    """The one line that has a place in every depth pane: microprice, imbalance of five levels, volume delta."""
    of = view.measures
    if of is None or of.microprice is None:
        return []
    line: list[Span] = [("micro ", "dim"), (fmt.price(of.microprice, places + 1), "text")]
    if of.imbalance_5 is not None:
        line += [(" imb ", "dim"), _imbalance_cell(of.imbalance_5)]
    if of.seen_volume:
        line += [(" cvd ", "dim"), _signed(of.cumulative_delta, signed_compact)]
    return [line]


def depth_lines(view: DepthView, places: int) -> list[list[Span]]:
    """What a tall depth pane says beside the day's figures: spread, trade flow, profile, past."""
    of = view.measures
    if of is None:
        return []
    lines: list[list[Span]] = []
    if of.spread_ticks is not None and of.spread_bps is not None:
        ticks = f"{of.spread_ticks:g} tick{'' if of.spread_ticks == 1 else 's'}"
        lines.append([("spread ", "dim"), (ticks, "text"), (f" {of.spread_bps:.1f} bp", "dim")])
    if of.imbalance_1 is not None and of.imbalance_5 is not None:
        best, five = _imbalance_cell(of.imbalance_1), _imbalance_cell(of.imbalance_5)
        lines.append([("imbalance ", "dim"), best, ("  of 5 levels ", "dim"), five])
    if of.seen_volume:
        share = 100.0 * of.cumulative_delta / of.seen_volume
        seen = f" {share:+.0f}% of {fmt.compact(of.seen_volume)} seen"
        lines.append([("cum delta ", "dim"), _signed(of.cumulative_delta, signed_compact), (seen, "dim")])
    if of.vwap is not None:
        width = f" ± {fmt.price(of.deviation, places)}" if of.deviation is not None else ""
        lines.append([("vwap ", "dim"), (fmt.price(of.vwap, places), "text"), (width, "dim")])
    if view.profile is not None:
        low, high = fmt.price(view.profile.value_low, places), fmt.price(view.profile.value_high, places)
        lines.append([("POC ", "dim"), (fmt.price(view.profile.control, places), "text")])
        lines.append([("value ", "dim"), (f"{low} to {high}", "text")])
    if of.relative_volume is not None:
        lines.append([("rel vol ", "dim"), (f"{of.relative_volume:.2f}", "text")])
    if of.from_high_percent is not None:
        year = _signed(of.from_high_percent, fmt.percent), _signed(of.from_low_percent, fmt.percent)
        lines.append([("52w high % ", "dim"), year[0], ("  low % ", "dim"), year[1]])
    if of.oi_change_percent is not None:
        words = f" {of.build_up}" if of.build_up else ""
        lines.append([("OI % ", "dim"), _signed(of.oi_change_percent, fmt.percent), (words, "text")])
    return lines
