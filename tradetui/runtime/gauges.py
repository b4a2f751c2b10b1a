"""Risk figures against their limits, for the screen and for `tradetui risk`."""

from __future__ import annotations

from typing import Final

from tradetui.desk import Desk
from tradetui.domain.lists import DatedLists
from tradetui.domain.money import format_rupees
from tradetui.domain.order import OrderStatus, Product
from tradetui.domain.view import Gauge, Verdict
from tradetui.risk.breakers import Span, limit_of
from tradetui.risk.facts import RiskState

_WARN_SHARE: Final = 0.7
"""Share of a limit from which its gauge warns."""
_LOSSES: Final = ((Span.DAY, "Day loss"), (Span.WEEK, "Week loss"), (Span.MONTH, "Month drawdown"))
_LISTS: Final = ("fo_ban", "intraday", "surveillance", "price_bands")


def risk_gauges(desk: Desk) -> tuple[Gauge, ...]:
    """Every limit that has a figure, what stands in the way first."""
    return (*_notices(desk), *_losses(desk), *_counts(desk), *_money(desk), _lists(desk.books.lists))


def _notices(desk: Desk) -> list[Gauge]:
    books, out = desk.books, []
    if books.state is not RiskState.ACTIVE:
        out.append(Gauge("State", 1, 1, books.state.value, Verdict.BLOCK))
    if books.locked_segments:
        closed = ", ".join(sorted(books.locked_segments))
        out.append(Gauge("Closed at broker", 1, 1, closed, Verdict.BLOCK))
    if doubts := sum(order.status is OrderStatus.UNKNOWN for order in desk.manager.working()):
        out.append(
            Gauge("Unknown orders", doubts, 0, f"{doubts}: the broker's book will tell", Verdict.BLOCK)
        )
    if naked := len(desk.naked()):
        out.append(Gauge("Naked", naked, 0, f"{naked} without a stop", Verdict.WARN))
    if differences := len(desk.manager.positions.differences):
        out.append(
            Gauge("Positions differ", differences, 0, f"{differences} from the broker's", Verdict.WARN)
        )
    if odd := len(desk.manager.odd_rows.rows):
        out.append(Gauge("Odd rows", odd, 0, f"{odd} could not be read, see the log", Verdict.WARN))
    if desk.guard.why_not_arm():
        out.append(Gauge("Square-off", 0, 1, "not confirmed", Verdict.WARN))
    return out


def _losses(desk: Desk) -> list[Gauge]:
    found, limits = desk.guard.losses(), desk.books.limits
    out = []
    for span, name in _LOSSES:
        loss, limit = max(0, found.of(span)), limit_of(limits, span)
        if limit:
            out.append(_gauge(name, loss, limit, f"{format_rupees(-loss, 0)} / -{format_rupees(limit, 0)}"))
    return out


def _counts(desk: Desk) -> list[Gauge]:
    limits, positions = desk.books.limits, desk.portfolio.open_positions()
    intraday = sum(position.product is Product.INTRADAY for position in positions)
    out = [
        _count("Positions", len(positions), limits.max_positions),
        _count("Intraday", intraday, limits.max_intraday_positions),
        _count("Swing", len(positions) - intraday, limits.max_swing_positions),
    ]
    if limits.max_trades_per_day:
        out.append(_count("Entries", desk.books.entries_today, limits.max_trades_per_day))
    if limits.max_losses_in_a_row:
        out.append(_count("Losing run", desk.guard.losses_in_a_row, limits.max_losses_in_a_row))
    return out


def _money(desk: Desk) -> list[Gauge]:
    limits, figures = desk.books.limits, desk.figures
    exposure, most = figures.exposure(), limits.most_exposure
    used = max(0, limits.capital - figures.available())
    return [
        _gauge("Exposure", exposure, most, f"{format_rupees(exposure, 0)} / {format_rupees(most, 0)}"),
        _gauge(
            "Cash used",
            used,
            limits.capital,
            f"{format_rupees(used, 0)} / {format_rupees(limits.capital, 0)}",
        ),
    ]


def _lists(lists: DatedLists) -> Gauge:
    """Which dated lists are at hand; a missing one makes what it tells unknown."""
    missing = [name for name in _LISTS if name not in lists.files]
    text = f"unknown: {', '.join(missing)}" if missing else "all at hand"
    return Gauge("Lists", len(_LISTS) - len(missing), len(_LISTS), text)


def _count(name: str, value: int, limit: int) -> Gauge:
    return _gauge(name, value, limit, f"{value} / {limit}")


def _gauge(name: str, value: float, limit: float, text: str) -> Gauge:
    share = value / limit if limit else float(value > 0)
    verdict = Verdict.BLOCK if share >= 1 else Verdict.WARN if share >= _WARN_SHARE else Verdict.PASS
    return Gauge(name, value, limit, text, verdict)
