"""How a setting is declared: default, unit, range and meaning in one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class About:
    """What is known about one setting.

    Attributes:
        words: What it means.
        unit: Unit, or empty.
        low, high: Allowed range of numbers, both included; ``None`` is open.
        choices: Allowed texts; empty allows any.
        clock: The text is a wall-clock time ``HH:MM`` (IST).
    """

    words: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    clock: bool = False


def setting(
    default: Any,
    words: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] = (),
    clock: bool = False,
) -> Any:
    """Declare a setting: a dataclass field that knows its meaning, unit and range."""
    about = About(words, unit, low, high, tuple(choices), clock)
    return field(default=default, metadata={"about": about})


def range_words(about: About) -> str:
    """The allowed range in words; empty when anything goes."""
    if about.choices:
        return " | ".join(about.choices)
    if about.clock:
        return "HH:MM"
    if about.low is None and about.high is None:
        return ""
    low = "" if about.low is None else f"{about.low:g}"
    high = "" if about.high is None else f"{about.high:g}"
    return f"{low} to {high}"
