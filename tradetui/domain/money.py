"""Prices and cash as integers in 1/10,000 rupee.

Why integers: sums of floats drift, and a ledger must add up to the last paisa. Why 1/10,000: it holds
every tick of the Indian exchanges (0.05, 0.01, and the 0.0025 of currency derivatives).

``Price`` and ``Money`` are distinct types for the type checker: a price times a quantity is money, a
price times a price is nothing.
"""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal
from typing import NewType

from tradetui.domain.errors import DomainError

SCALE = 10_000
"""Units in one rupee."""

Price = NewType("Price", int)
"""A price per unit, in 1/10,000 rupee."""

Money = NewType("Money", int)
"""An amount of cash, in 1/10,000 rupee."""

PAISA = SCALE // 100
"""Units in one paisa."""


def _scaled(value: float | int | str | Decimal) -> int:
    if isinstance(value, float):
        if not math.isfinite(value) or abs(value) > 1e12:
            raise DomainError(f"not an amount of rupees: {value!r}")
        value = repr(value)
    return int((Decimal(value) * SCALE).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def to_price(rupees: float | int | str | Decimal) -> Price:
    """Turn rupees into a `Price`, rounded half up to 1/10,000.

    Raises:
        DomainError: The value is not finite, or beyond any price on earth.
    """
    return Price(_scaled(rupees))


def to_money(rupees: float | int | str | Decimal) -> Money:
    """Turn rupees into `Money`, rounded half up to 1/10,000.

    Raises:
        DomainError: The value is not finite, or beyond any amount on earth.
    """
    return Money(_scaled(rupees))


def to_rupees(value: int) -> float:
    """Rupees as a float, for the wire, charts and statistics only."""
    return value / SCALE


def value_of(price: Price, qty: int, multiplier: int = 1) -> Money:
    """Money that ``qty`` units at ``price`` stand for."""
    return Money(price * qty * multiplier)


def is_on_tick(price: Price, tick: Price) -> bool:
    """Whether ``price`` is a multiple of ``tick`` (both in 1/10,000 rupee)."""
    return tick > 0 and price % tick == 0


def floor_to_tick(price: Price, tick: Price) -> Price:
    """The highest multiple of ``tick`` not above ``price``."""
    return Price(price - price % tick) if tick > 0 else price


def ceil_to_tick(price: Price, tick: Price) -> Price:
    """The lowest multiple of ``tick`` not below ``price``."""
    return Price(price + (-price) % tick) if tick > 0 else price


def nearest_tick(price: Price, tick: Price) -> Price:
    """The multiple of ``tick`` nearest to ``price``; halves go up."""
    return Price((price + tick // 2) // tick * tick) if tick > 0 else price


def decimals_of(tick: Price) -> int:
    """Digits behind the point that prices on this tick need: 2, or 4 for currency ticks such as 0.0025."""
    return 2 if tick % PAISA == 0 else 4


def group_indian(digits: str) -> str:
    """Put commas into a string of digits the Indian way: ``1234567`` becomes ``12,34,567``."""
    head, tail = digits[:-3], digits[-3:]
    parts = []
    while head:
        parts.append(head[-2:])
        head = head[:-2]
    return ",".join([*reversed(parts), tail]) if parts else tail


def format_rupees(value: int, places: int = 2, *, sign: bool = False) -> str:
    """Format 1/10,000 rupees for a person: ``-1,23,456.70``.

    Args:
        value: Amount or price in 1/10,000 rupee.
        places: Digits behind the point, 0 to 4. Rounded half away from zero.
        sign: Put a plus sign before positive values.
    """
    step = 10 ** (4 - places)
    whole = (abs(value) + step // 2) // step
    text = group_indian(str(whole // 10**places))
    if places:
        text += f".{whole % 10**places:0{places}d}"
    if value < 0 and whole:
        return "-" + text
    return "+" + text if sign and whole else text
