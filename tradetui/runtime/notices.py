"""Journal records that a person should hear of, in words: one function a kind."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from tradetui.domain.conversion import ConversionStatus
from tradetui.domain.events import Event
from tradetui.domain.gtt import GttStatus
from tradetui.domain.money import format_rupees
from tradetui.domain.order import OrderStatus
from tradetui.domain.records import Record, RecordKind
from tradetui.domain.view import LogRow
from tradetui.engine import Outcome
from tradetui.market.universe import Universe

log = logging.getLogger(__name__)

_KEPT: Final = 50

Words = tuple[str, str]
"""Level (a `logging` level name) and text."""

Symbol = Callable[[Mapping[str, Any]], str]
"""Symbol of the instrument that a record's data names."""


class NoticeBoard:
    """Says what happened, once: in the log, and in a ring for the line at the bottom of the screen.

    Args:
        universe: Names instruments.
    """

    def __init__(self, universe: Universe) -> None:
        self._universe = universe
        self._statuses: dict[str, str] = {}
        self._seq = 0
        self.rows: deque[LogRow] = deque(maxlen=_KEPT)

    def heard(self, event: Event, outcome: Outcome) -> None:
        """A listener of `Runtime`."""
        del event
        for record in outcome.records:
            self.post(record)

    def post(self, record: Record) -> None:
        """Say what a record means, if a person should hear of it."""
        if record.kind in (RecordKind.ORDER, RecordKind.GTT, RecordKind.CONVERSION):
            tag, status = record.data["tag"], record.data["status"]
            if self._statuses.get(tag) == status:
                return  # a detail changed, not the state
            self._statuses[tag] = status
        said = words_of(record, self._universe)
        if said is not None:
            level, text = said
            self._seq += 1
            self.rows.append(LogRow(self._seq, record.t_ns // 1_000_000, level, text))
            log.log(logging.getLevelNamesMapping()[level], "%s", text)


def words_of(record: Record, universe: Universe) -> Words | None:
    """What to tell a person about a record; ``None`` when nothing."""

    def symbol(data: Mapping[str, Any]) -> str:
        key = str(data.get("instrument_key", ""))
        found = universe.get(key)
        return found.symbol if found is not None else key

    tell = _TELL.get(record.kind)
    return tell(record.data, symbol) if tell is not None else None


def _fill(data: Mapping[str, Any], symbol: Symbol) -> Words:
    return "INFO", f"filled {data['side']} {data['qty']} {symbol(data)} at {format_rupees(data['price'])}"


def _order(data: Mapping[str, Any], symbol: Symbol) -> Words | None:
    request = data["request"]
    what = f"{request['side']} {request['qty']} {symbol(request)}"
    match OrderStatus(data["status"]):
        case OrderStatus.REJECTED:
            return "ERROR", f"rejected {what}: {data['message']}"
        case OrderStatus.UNKNOWN:
            return "ERROR", f"outcome unknown, asking the broker: {what} ({data['message']})"
        case OrderStatus.ABSENT:
            return "ERROR", f"{what} {data['message']}"
        case OrderStatus.CANCELLED:
            return "INFO", _with(f"cancelled {what}, filled {data['filled_qty']}", data["message"])
        case OrderStatus.TRIGGER_PENDING if not data["cancel_pending"]:
            return "INFO", f"waits {what}, trigger {format_rupees(request['trigger_price'])}"
        case OrderStatus.OPEN if not data["filled_qty"] and not data["cancel_pending"]:
            return "INFO", f"open {what}"
        case _:
            return None


def _signal(data: Mapping[str, Any], symbol: Symbol) -> Words:
    return "INFO", f"signal {data['strategy']}: {data['side']} {symbol(data)} score {data['score']:.0f}"


def _decision(data: Mapping[str, Any], symbol: Symbol) -> Words:
    request = data.get("request")
    what = f" {request['side']} {request['qty']} {symbol(request)}" if request else ""
    return "WARNING", f"refused{what}: {data['refused']}"


def _risk(data: Mapping[str, Any], _: Symbol) -> Words | None:
    if "state" in data:
        return "WARNING", _with(f"trading is {data['state']}", data["reason"])
    if "armed_until_ns" in data:
        return "WARNING", "live trading armed" if data["armed_until_ns"] else _with(
            "disarmed", data["reason"]
        )
    if "locked_segments" in data:
        closed = ", ".join(data["locked_segments"])
        words = (
            f"closed by your account's kill switch at the broker: {closed}"
            if closed
            else "all segments are open"
        )
        return "ERROR" if closed else "INFO", words
    if "released" in data:
        return "WARNING", _with("loss limit released", data["reason"])
    if "lists" in data:
        return "INFO", f"lists in force: {', '.join(sorted(data['lists'].values())) or 'none'}"
    if "square_off_ok" in data:
        return "INFO", f"square-off time confirmed: {data['square_off_ok']}"
    return None  # counts and results are for the restart; a breaker shows as the state it leads to


def _limits(data: Mapping[str, Any], _: Symbol) -> Words:
    return "WARNING", _with(f"limit {data['name']} is {data['new']:g}, was {data['old']:g}", data["reason"])


def _feed(data: Mapping[str, Any], _: Symbol) -> Words:
    level = "INFO" if data["state"] in ("up", "ended", "connecting") else "WARNING"
    return level, _with(f"feed {data['state']}", data["reason"])


def _strategy(data: Mapping[str, Any], _: Symbol) -> Words:
    return "WARNING" if data.get("error") else "INFO", f"strategy {data['name']}: {data['what']}"


def _reconcile(data: Mapping[str, Any], symbol: Symbol) -> Words:
    what = symbol(data) or data.get("broker_id") or data.get("gtt_id") or data.get("row") or ""
    sides = f": ours {data['ours']:+d}, the broker's {data['theirs']:+d}" if "theirs" in data else ""
    return "WARNING", f"reconcile: {data['found']} {what}{sides}"


def _gtt(data: Mapping[str, Any], symbol: Symbol) -> Words:
    request, status = data["request"], data["status"]
    bad = status in (GttStatus.UNKNOWN, GttStatus.REJECTED, GttStatus.REFUSED, GttStatus.ABSENT)
    text = f"GTT {status} {request['side']} {request['qty']} {symbol(request)}"
    return "WARNING" if bad else "INFO", _with(text, data["message"])


def _conversion(data: Mapping[str, Any], symbol: Symbol) -> Words:
    done = data["status"] in (ConversionStatus.SENT, ConversionStatus.DONE)
    text = f"conversion {data['status']} {data['qty']} {symbol(data)} {data['old']} to {data['new']}"
    return "INFO" if done else "WARNING", _with(text, data["message"])


def _opening(data: Mapping[str, Any], symbol: Symbol) -> Words:
    return "INFO", f"carried position {data['qty']:+d} {symbol(data)}"


def _with(text: str, reason: str) -> str:
    return f"{text}: {reason}" if reason else text


_TELL: Final[dict[RecordKind, Callable[[Mapping[str, Any], Symbol], Words | None]]] = {
    RecordKind.FILL: _fill,
    RecordKind.ORDER: _order,
    RecordKind.SIGNAL: _signal,
    RecordKind.DECISION: _decision,
    RecordKind.RISK: _risk,
    RecordKind.LIMITS: _limits,
    RecordKind.FEED: _feed,
    RecordKind.STRATEGY: _strategy,
    RecordKind.RECONCILE: _reconcile,
    RecordKind.OPENING: _opening,
    RecordKind.GTT: _gtt,
    RecordKind.CONVERSION: _conversion,
}
