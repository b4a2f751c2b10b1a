"""One line of the doctor's report."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Light(StrEnum):
    """How a check came out."""

    GREEN = "green"
    YELLOW = "yellow"
    """Worth knowing; nothing that trading needs is missing."""
    RED = "red"
    """Something that trading needs is missing or broken."""


@dataclass(frozen=True, slots=True)
class Line:
    """What one check found.

    Attributes:
        name: What was looked at.
        light: How it is.
        words: What was found, in one line.
        remedy: How to mend it; never empty on a red line.
    """

    name: str
    light: Light
    words: str
    remedy: str = ""

    def __post_init__(self) -> None:
        if self.light is Light.RED and not self.remedy:
            raise ValueError(f"a red line must say how to mend it: {self.words}")


def green(name: str, words: str) -> Line:
    """All is well."""
    return Line(name, Light.GREEN, words)


def yellow(name: str, words: str, remedy: str = "") -> Line:
    """Worth knowing."""
    return Line(name, Light.YELLOW, words, remedy)


def red(name: str, words: str, remedy: str) -> Line:
    """Missing or broken."""
    return Line(name, Light.RED, words, remedy)
