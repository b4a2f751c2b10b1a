"""What the keys may ask of the running engine: one method an act, turned into operator events.

The event types are imported on first use: they reach numpy through the market data types, and the first
paint must not wait for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tradetui.domain.order import OrderRequest
from tradetui.domain.view import Handle, InstrumentRow, Look, Snapshot


class Desk:
    """The engine as the keys see it; also before it runs, and after it ended."""

    def __init__(self) -> None:
        self.handle: Handle | None = None
        self.error: str = ""
        """Why the engine is gone or never came, in words; empty while it runs."""

    @property
    def ready(self) -> bool:
        """Whether orders can be asked for."""
        return self.handle is not None and not self.error and self.handle.stopped() is False

    def snapshot(self) -> Snapshot | None:
        """The newest snapshot."""
        return self.handle.snapshot() if self.handle is not None else None

    def look(self, look: Look) -> None:
        """Say what to show next."""
        if self.handle is not None:
            self.handle.look(look)

    def search(self, text: str, limit: int = 20) -> Sequence[InstrumentRow]:
        """Instruments that match, best first."""
        return self.handle.search(text, limit) if self.handle is not None else ()

    def instrument(self, key: str) -> InstrumentRow | None:
        """Terms of one instrument."""
        return self.handle.instrument(key) if self.handle is not None else None

    def fault(self, name: str, args: dict[str, object]) -> str:
        """Switch a fault of the inner simulator."""
        return self.handle.fault(name, args) if self.handle is not None else "the engine is not running"

    def replay(self, words: Sequence[str]) -> str:
        """Steer the replay."""
        return self.handle.replay(words) if self.handle is not None else "the engine is not running"

    def submit(self, kind: str, **fields: Any) -> bool:
        """Send an operator event.

        Args:
            kind: Name of an `OperatorKind`, such as ``CANCEL_ALL``.
            **fields: Further fields of `OperatorEvent`.

        Returns:
            Whether there was an engine to take it.
        """
        if self.handle is None or (self.error and kind not in ("KILL", "FLATTEN", "DISARM")):
            return False
        from tradetui.domain.events import OperatorEvent, OperatorKind

        # The engine overwrites t_ns with its own clock on arrival.
        self.handle.submit(OperatorEvent(t_ns=0, kind=OperatorKind[kind], **fields))
        return True

    def place(self, request: OrderRequest) -> bool:
        """Place an order exactly as it was reviewed."""
        return self.submit("PLACE", request=request)
