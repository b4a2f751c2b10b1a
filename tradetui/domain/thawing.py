"""Plain JSON data back into domain values, and events as bytes: the inverse of `records.freeze`.

The recorded inbox stands on it: every event but a frame is written as JSON and must come back equal.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import date
from enum import Enum
from functools import cache
from typing import Any, Final, NewType, Union, get_args, get_origin, get_type_hints

from tradetui.domain.errors import DomainError
from tradetui.domain.events import (
    AccountSnapshot,
    BandsEvent,
    Event,
    FeedEvent,
    FillEvent,
    GapEvent,
    GttUpdate,
    HistoryEvent,
    JournalEvent,
    ListsEvent,
    MarketStatusEvent,
    OperatorEvent,
    OrderUpdate,
    PastDaysEvent,
    QuotesEvent,
    RequestAccepted,
    RequestRefused,
    RequestSent,
    RequestUnknown,
    TagAbsence,
    TimeEvent,
)
from tradetui.domain.records import freeze

_EVENTS: Final[Mapping[str, type[Any]]] = {
    kind.__name__: kind
    for kind in (
        TimeEvent,
        FeedEvent,
        MarketStatusEvent,
        HistoryEvent,
        PastDaysEvent,
        ListsEvent,
        BandsEvent,
        GapEvent,
        QuotesEvent,
        OrderUpdate,
        RequestAccepted,
        RequestRefused,
        RequestUnknown,
        RequestSent,
        FillEvent,
        GttUpdate,
        JournalEvent,
        AccountSnapshot,
        TagAbsence,
        OperatorEvent,
    )
}
"""Every event but `TickEvent`, which is kept as the frame it came from."""

_Thaw = Callable[[Any], Any]


def encode_event(event: Event) -> bytes:
    """An event as JSON.

    Raises:
        DomainError: It is a `TickEvent`.
    """
    name = type(event).__name__
    if name not in _EVENTS:
        raise DomainError(f"a {name} is kept as its frame, not as text")
    return encode({"event": name, "data": freeze(event)})


def decode_event(data: bytes) -> Event:
    """The inverse of `encode_event`.

    Raises:
        DomainError: It is no event of ours.
    """
    try:
        row = json.loads(data)
        event: Event = thaw(_EVENTS[row["event"]], row["data"])
    except (ValueError, KeyError, TypeError) as error:
        raise DomainError(f"not a recorded event: {error}") from error
    return event


def encode(value: Any) -> bytes:
    """Frozen data as JSON. Infinity and NaN, which a broker may send, are written as Python reads them."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=date.isoformat).encode()


def thaw(kind: Any, data: Any) -> Any:
    """The value of type ``kind`` that `records.freeze` turned into ``data``.

    ``kind`` is a dataclass of plain values, enums, dates, tuples, mappings, and more such dataclasses.

    Raises:
        KeyError: A field without a default is missing.
        TypeError: ``kind`` has a part that has no plain form.
        ValueError: An enum or a date has no such value.
    """
    return _thawer(kind)(data)


@cache
def _thawer(kind: Any) -> _Thaw:
    """How to thaw a type; worked out once for each."""
    if isinstance(kind, NewType):
        return _thawer(kind.__supertype__)
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _optional(kind, args)
    if origin in (tuple, list):
        return _sequence(origin, args)
    if origin in (dict, Mapping):
        each = _thawer(args[1])
        return lambda data: {key: each(value) for key, value in data.items()}
    if kind in (int, float, str, bool, Any):
        return _same
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    if kind is date:
        return date.fromisoformat
    if is_dataclass(kind):
        return _dataclass(kind)
    raise TypeError(f"no plain form of {kind}")


def _same(data: Any) -> Any:
    return data


def _optional(kind: Any, args: tuple[Any, ...]) -> _Thaw:
    inner = [arg for arg in args if arg is not type(None)]
    if len(inner) != 1:
        raise TypeError(f"no plain form of {kind}")
    some = _thawer(inner[0])
    return lambda data: None if data is None else some(data)


def _sequence(origin: Any, args: tuple[Any, ...]) -> _Thaw:
    if origin is list or args[1:] == (...,):
        each = _thawer(args[0])
        return lambda data: origin(each(value) for value in data)
    parts = [_thawer(arg) for arg in args]
    return lambda data: tuple(part(value) for part, value in zip(parts, data, strict=True))


def _dataclass(kind: Any) -> _Thaw:
    hints = get_type_hints(kind)
    parts = [
        (field.name, _thawer(hints[field.name]), _is_optional(field)) for field in fields(kind) if field.init
    ]

    def build(data: Any) -> Any:
        # A field that was added later is missing in what was written before: its default stands.
        return kind(
            **{name: part(data[name]) for name, part, may_lack in parts if not may_lack or name in data}
        )

    return build


def _is_optional(field: Field[Any]) -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING
