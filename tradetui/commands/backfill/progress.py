"""How far a backfill is: bars with rate and time left on a terminal, nothing elsewhere."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

if TYPE_CHECKING:
    from rich.progress import TaskID

_SHOWN = 8
"""Instruments with a bar of their own; more would scroll."""


class Progress:
    """Says nothing: for pipes and ``--json``."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def add(self, symbol: str, pieces: int) -> None:
        """An instrument has so many pieces to fetch."""

    def got(self, bars: int) -> None:
        """So many bars came and are stored."""

    def done(self, symbol: str, pieces: int) -> None:
        """Pieces of an instrument are finished, well (1) or not (0)."""

    async def wait(self, seconds: float) -> None:
        """The broker did not answer; the next attempt comes after so long."""
        await asyncio.sleep(seconds)


class TerminalProgress(Progress):
    """Progress bars: one for everything, and one for each of the first few instruments.

    Args:
        stream: The terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as Bars

        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[words]}", markup=False),
            TimeRemainingColumn(),
            console=Console(file=stream, markup=False, highlight=False),
        )
        self._all: TaskID = self._bars.add_task("all", total=0, words="")
        self._of: dict[str, TaskID] = {}
        self._fetched = 0

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def add(self, symbol: str, pieces: int) -> None:
        """An instrument has so many pieces to fetch."""
        if len(self._of) < _SHOWN:
            words = "" if pieces else "all stored"
            self._of[symbol] = self._bars.add_task(symbol, total=pieces, words=words)
        overall = self._task(self._all)
        self._bars.update(self._all, total=(overall.total or 0) + pieces)

    def got(self, bars: int) -> None:
        """So many bars came and are stored."""
        self._fetched += bars
        elapsed = self._task(self._all).elapsed or 0.0
        rate = self._fetched / elapsed if elapsed > 0 else 0.0
        self._bars.update(self._all, words=f"{self._fetched:,} bars, {rate:,.0f}/s")

    def done(self, symbol: str, pieces: int) -> None:
        """Pieces of an instrument are finished, well (1) or not (0)."""
        self._bars.advance(self._all)
        if symbol in self._of:
            self._bars.update(self._of[symbol], advance=1, words="" if pieces else "refused")

    async def wait(self, seconds: float) -> None:
        """The broker did not answer; the next attempt comes after so long."""
        self._bars.update(self._all, words=f"no answer, again in {seconds:.0f} s")
        await asyncio.sleep(seconds)

    def _task(self, number: TaskID) -> Any:
        return next(task for task in self._bars.tasks if task.id == number)


def progress_for(stream: TextIO, *, wanted: bool) -> Progress:
    """Bars on a terminal, silence elsewhere."""
    return TerminalProgress(stream) if wanted and stream.isatty() else Progress()
