"""Our labels: unique to installation, account and day, one sequence for everything that is sent."""

from __future__ import annotations

import re
from typing import Final

from tradetui.domain.calendar import ist_date

_DATED: Final = re.compile(r"^(tt)(\d{6})(.*)$")
"""Prefix with the day in it, as wiring makes it: ``tt261121abcd-``."""


class Tags:
    """Gives out labels, and begins anew with every day of a run that goes on over midnight.

    Args:
        prefix: Beginning of every label; a date in it moves on with the days.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._sequence = 0

    def next(self, t_ns: int) -> str:
        """The next label, for something decided at ``t_ns``."""
        dated = _DATED.match(self.prefix)
        if dated is not None and (today := ist_date(t_ns).strftime("%y%m%d")) > dated[2]:
            self.prefix, self._sequence = f"{dated[1]}{today}{dated[3]}", 0
        self._sequence += 1
        return f"{self.prefix}{self._sequence:05d}"

    def restore(self, sequence: int) -> None:
        """An earlier run of the day got as far as this number."""
        self._sequence = sequence

    def seen(self, tag: str) -> bool:
        """The broker knows a label: ours are not given out again, even when our own record of it is gone.

        Returns:
            Whether it is one that we gave out today.
        """
        number = tag.removeprefix(self.prefix)
        ours = number != tag and number.isdecimal()
        if ours:
            self._sequence = max(self._sequence, int(number))
        return ours
