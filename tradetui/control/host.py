"""What the control socket needs of a running engine, and how arguments of requests are read."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, TypeVar

from tradetui.domain.errors import UnknownInstrument, UsageError
from tradetui.domain.events import Event
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Price, to_price
from tradetui.domain.order import Product
from tradetui.engine import Engine, Outcome
from tradetui.wiring.parts import Parts

Args = Mapping[str, Any]
_MOST_UNITS: Final = 10**9
_MOST_RUPEES: Final = 1e9
_Enum = TypeVar("_Enum")


class Host(Protocol):
    """A running engine; `runtime.core.Runtime` is one."""

    engine: Engine
    parts: Parts
    listeners: list[Callable[[Event, Outcome], None]]

    def take(self, event: Event) -> None:
        """Work an event off now."""

    def watch_more(self, instrument: Instrument) -> None:
        """Stream one more instrument."""


class Hearing:
    """Waits, on the loop, until something holds that the engine's events may bring about; keeps what was recorded.

    Args:
        host: The engine.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._news = asyncio.Event()
        self.refusals: list[str] = []
        """Words of decisions against what was asked, while this was listening."""
        self.found: list[Mapping[str, Any]] = []
        """What reconciliations found meanwhile."""
        self.events: list[type] = []

    def __enter__(self) -> Hearing:
        self._host.listeners.append(self._hear)
        return self

    def __exit__(self, *args: object) -> None:
        self._host.listeners.remove(self._hear)

    def _hear(self, event: Event, outcome: Outcome) -> None:
        self.events.append(type(event))
        for record in outcome.records:
            if record.kind.value == "decision" and record.data.get("refused"):
                self.refusals.append(str(record.data["refused"]))
            elif record.kind.value == "reconcile":
                self.found.append(dict(record.data))
        self._news.set()

    async def until(self, holds: Callable[[], bool], wait_s: float) -> bool:
        """Whether it held within ``wait_s`` seconds."""
        try:
            async with asyncio.timeout(wait_s):
                while not holds():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return holds()
        return True


# --- arguments ----------------------------------------------------------------------------------------


def text(args: Args, name: str, default: str = "", most: int = 200) -> str:
    """A text argument.

    Raises:
        UsageError: It is no text, or too long.
    """
    value = args.get(name, default)
    if not isinstance(value, str) or len(value) > most:
        raise UsageError(f"{name} must be a text of at most {most} characters")
    return value


def whole(args: Args, name: str) -> int | None:
    """A whole number of units, zero or more; ``None`` when not given.

    Raises:
        UsageError: It is none.
    """
    value = args.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_UNITS:
        raise UsageError(f"{name} must be a whole number from 0 to {_MOST_UNITS:,}")
    return value


def number(args: Args, name: str, default: float, low: float, high: float) -> float:
    """A number within bounds.

    Raises:
        UsageError: It is none.
    """
    value = args.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise UsageError(f"{name} must be a number from {low:g} to {high:g}")
    return float(value)


def price(args: Args, name: str) -> Price | None:
    """A price in rupees; ``None`` when not given.

    Raises:
        UsageError: It is none, or has more than four decimals.
    """
    value = args.get(name)
    if value is None:
        return None
    good = not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
    if not good or not 0 <= value <= _MOST_RUPEES:
        raise UsageError(f"{name} must be a price in rupees")
    found = to_price(float(value))
    if abs(found - float(value) * 10_000) > 1e-3:
        raise UsageError(f"{name} has more than four decimals")
    return found


def choice(args: Args, name: str, kind: Callable[[str], _Enum], default: str) -> _Enum:
    """One of the values of an enumeration.

    Raises:
        UsageError: It is none of them; the words list them.
    """
    given = text(args, name, default) or default
    try:
        return kind(given.upper())
    except ValueError:
        members: Any = kind
        raise UsageError(f"{name} must be one of {', '.join(one.value for one in members)}") from None


def products(args: Args, name: str) -> tuple[Product, ...]:
    """A list of products; none when not given.

    Raises:
        UsageError: It is no list of them.
    """
    given = args.get(name) or []
    known = {one.value: one for one in Product}
    if not isinstance(given, list) or not all(isinstance(one, str) and one in known for one in given):
        raise UsageError(f"{name} must be a list of {', '.join(known)}")
    return tuple(known[one] for one in given)


def instrument_of(host: Host, given: str) -> Instrument:
    """An instrument by key, or by symbol when that names exactly one.

    Raises:
        UnknownInstrument: None, or several, are called so.
    """
    if "|" in given:
        found = host.parts.lookup(given) or host.engine.universe.get(given)
        if found is None:
            raise UnknownInstrument(f"no instrument with the key {given!r}")
        return found
    wanted = given.strip().upper()
    streamed = [one for one in host.engine.universe.instruments if one.symbol.upper() == wanted]
    alike = streamed or [one for one in host.parts.search(given, 20) if one.symbol.upper() == wanted]
    if not alike:
        raise UnknownInstrument(
            f"no instrument called {given!r}", "give its key, such as 'NSE_EQ|INE002A01018'"
        )
    if len({one.key for one in alike}) > 1:
        keys = ", ".join(one.key for one in alike[:4])
        raise UnknownInstrument(f"{given!r} names several instruments", f"give the key: {keys}")
    return alike[0]
