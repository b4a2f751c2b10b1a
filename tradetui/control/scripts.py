"""Arming and caps of scripted orders: a permission of its own, on top of the engine's.

It is given by a person who types `tradetui arm --scripts` on a terminal, for minutes, or by the settings, on paper and
on the simulator only. It belongs to this run: no restart brings it back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tradetui.domain.errors import TradeTuiError
from tradetui.domain.money import format_rupees

NS: Final = 1_000_000_000
MOST_MINUTES: Final = 480


class Refused(TradeTuiError):
    """A scripted request was refused before it reached the engine: nothing was done, nothing was counted."""


@dataclass(frozen=True, slots=True)
class Caps:
    """What scripts may do during one arming. Money in 1/10,000 rupee.

    Attributes:
        orders: Orders and modifies in all.
        value: Value of one order.
        total: Value of all of them together.
    """

    orders: int
    value: int
    total: int


@dataclass(slots=True)
class Scripts:
    """The permission, and what has been used of it.

    Attributes:
        always: Caps that the settings give for the whole run; ``None`` where they give nothing, and always for live.
        caps: Caps in force; ``None`` while disarmed.
        until_ns: Engine time when it runs out; 0 for the end of the run.
        orders: Orders sent under it.
        total: Their value.
    """

    always: Caps | None = None
    caps: Caps | None = None
    until_ns: int = 0
    orders: int = 0
    total: int = 0

    def __post_init__(self) -> None:
        self.caps = self.always

    def arm(self, caps: Caps, until_ns: int) -> None:
        """Begin a new arming; what was used of the one before does not count any more."""
        self.caps, self.until_ns = caps, until_ns
        self.orders = self.total = 0

    def disarm(self) -> None:
        """Take the permission away, the settings' own too, until somebody arms again."""
        self.caps, self.until_ns = None, 0

    def armed(self, now_ns: int) -> bool:
        """Whether scripted orders may be sent now, caps apart."""
        return self.caps is not None and (not self.until_ns or now_ns < self.until_ns)

    def check(self, value: int, now_ns: int) -> None:
        """Whether one more order of this value may be sent.

        Raises:
            Refused: Not armed, or a cap stands against it.
        """
        if not self.armed(now_ns) or self.caps is None:
            raise Refused(
                "scripted orders are not armed",
                "type `tradetui arm --scripts --for 10m --max-orders 20 --max-value 100000` on a terminal",
            )
        if self.orders >= self.caps.orders:
            raise Refused(f"all {self.caps.orders} orders of this arming are used", "arm again")
        if value > self.caps.value:
            raise Refused(
                f"the order is worth {format_rupees(value, 2)}, more than the "
                f"{format_rupees(self.caps.value, 2)} that scripts may send in one"
            )
        if self.total + value > self.caps.total:
            raise Refused(
                f"with {format_rupees(self.total, 2)} sent already, the order would pass the "
                f"{format_rupees(self.caps.total, 2)} of this arming in all",
                "arm again",
            )

    def used(self, value: int) -> None:
        """One more order of this value was sent."""
        self.orders += 1
        self.total += value
