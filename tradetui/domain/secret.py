"""A string that must never be seen: tokens, API secrets, login codes (`design.md` 10b)."""

from __future__ import annotations

import hmac
from typing import Final, NoReturn

STARS: Final = "******"
"""What a secret looks like wherever it is printed."""


class Secret:
    """Holds a secret; prints as stars, cannot be pickled, compares in constant time.

    Args:
        value: The secret itself.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself, for the one place that sends or stores it."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __repr__(self) -> str:
        return f"Secret({STARS})"

    def __str__(self) -> str:
        return STARS

    def __format__(self, spec: str) -> str:
        return format(STARS, spec)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is never pickled")
