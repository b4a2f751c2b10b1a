"""Journal records, and the plain-data form of domain values inside them.

A record is what the engine decided or heard, as plain JSON data. `freeze` turns frozen dataclasses into
plain data and `thawing.thaw` turns it back; the pair is what restart, audit and the ledger stand on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum, StrEnum
from functools import cache
from typing import Any, Final


class RecordKind(StrEnum):
    """Kinds of journal records."""

    RUN = "run"
    """The program started or stopped: version, mode, account, settings."""
    OPERATOR = "operator"
    """A person asked for something."""
    INTENT = "intent"
    """An order is about to be sent; written and synced before any byte leaves."""
    ORDER = "order"
    """The whole state of one order after a change."""
    FILL = "fill"
    """A trade of ours, booked once."""
    OPENING = "opening"
    """A position that was there before the first fill we know of (carried over night)."""
    SIGNAL = "signal"
    """A strategy's suggestion, with every vote."""
    DECISION = "decision"
    """What risk said about a request, when it said no; or a command that was given up."""
    RISK = "risk"
    """The risk state changed, or a breaker latched."""
    LIMITS = "limits"
    """A risk limit was changed while running: old, new, and the typed reason."""
    PLAN = "plan"
    """How a position is to be left: its exit plan after a change, and what protects it."""
    GROUP = "group"
    """A parent order and its slices, or a basket and its legs, after a change."""
    GTT = "gtt"
    """The whole state of one GTT after a change."""
    CONVERSION = "conversion"
    """Units moved from one product to another."""
    TIMES = "times"
    """Where the market stood when an order was decided, sent, acknowledged, filled."""
    STRATEGY = "strategy"
    """A strategy was switched, or suspended after an error."""
    RECONCILE = "reconcile"
    """Our book and the broker's were compared and something was found."""
    FEED = "feed"
    """The market data stream changed state."""
    WIRE = "wire"
    """A request, raw reply or push, redacted. Timing matters here, so it stays out of the content hash."""


NOT_HASHED = frozenset({RecordKind.WIRE, RecordKind.RUN})
"""Kinds that depend on timing or machine, and so stay outside the content hash."""


@dataclass(frozen=True, slots=True)
class Record:
    """One thing decided or heard.

    Attributes:
        t_ns: Engine time, UTC ns.
        kind: What it is.
        data: Plain JSON data: strings, integers, floats, booleans, ``None``, lists, maps.
        meta: Latency stamps and the like: kept, but outside the content hash.
    """

    t_ns: int
    kind: RecordKind
    data: Mapping[str, Any]
    meta: Mapping[str, Any] = field(default_factory=dict)


_PLAIN: Final = frozenset({str, int, float, bool, type(None)})


def freeze(value: Any) -> Any:
    """Plain JSON data of a domain value: dataclasses become maps, enums their values, tuples lists."""
    kind: Any = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, Enum):
        return value.value
    names = _names(kind)
    if names is not None:
        # Most fields are plain: an order is frozen before it is sent, and a call for each would be most of the work.
        fields_of = [(name, getattr(value, name)) for name in names]
        return {name: one if type(one) in _PLAIN else freeze(one) for name, one in fields_of}
    if isinstance(value, Mapping):
        return {str(k): freeze(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [freeze(v) for v in value]
    return value


@cache
def _names(kind: Any) -> tuple[str, ...] | None:
    """Fields of a dataclass; ``None`` for any other type. Worked out once."""
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else None
