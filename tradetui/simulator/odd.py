"""Rows of a read that no client expects: a new word, a missing field, a number that is a word."""

from __future__ import annotations

from typing import Any

from tradetui.domain.errors import UsageError
from tradetui.simulator.faults import Faults

_FORMS = ("status", "enum", "missing", "type", "nameless")


def odd_rows(rows: list[dict[str, Any]], faults: Faults, path: str) -> list[dict[str, Any]]:
    """The rows as they go out: under the fault ``odd-row`` the first one makes little sense.

    Raises:
        UsageError: The fault was given a form that there is not.
    """
    if not rows:
        return rows
    odd = faults.strike("odd-row", path)
    if odd is None:
        return rows
    form = str(odd["form"])
    if form not in _FORMS:
        raise UsageError(f"no odd form {form!r}", "It is one of: " + ", ".join(_FORMS))
    first = dict(rows[0])
    if form == "status":
        first["status"] = "frozen by the exchange"
    elif form == "enum":
        first["order_type"], first["product"] = "ICEBERG", "XYZ"
    elif form == "missing":
        first.pop("quantity", None)
    elif form == "nameless":
        first.pop("order_id", None)
    else:
        first["quantity"] = "ten"
    return [first, *rows[1:]]
