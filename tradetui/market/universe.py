"""Instruments of this run and their slots.

A slot is a small integer that indexes the columns of market state. It lives for one run only; nothing stored
names a slot.
"""

from __future__ import annotations

from tradetui.domain.instrument import Instrument
from tradetui.domain.money import to_rupees


class Universe:
    """Grows only: an instrument keeps its slot until the run ends."""

    def __init__(self) -> None:
        self.slots: dict[str, int] = {}
        """Instrument key to slot; handed to decoders, which look keys up here."""
        self.instruments: list[Instrument] = []
        """Instrument by slot."""

    def add(self, instrument: Instrument) -> int:
        """The slot of an instrument, given out now if it is new."""
        slot = self.slots.get(instrument.key)
        if slot is None:
            slot = self.slots[instrument.key] = len(self.instruments)
            self.instruments.append(instrument)
        return slot

    def get(self, key: str) -> Instrument | None:
        """Terms of an instrument of this run."""
        slot = self.slots.get(key)
        return None if slot is None else self.instruments[slot]

    def tick_rupees(self, slot: int) -> float:
        """Price step of an instrument, rupees."""
        return to_rupees(self.instruments[slot].tick_size)

    def __len__(self) -> int:
        return len(self.instruments)
