"""How far a backfill is: bars with rate and time left on a terminal, plain lines in a pipe, JSON lines for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TextIO

if TYPE_CHECKING:
    from rich.progress import TaskID

_SHOWN: Final = 8
"""Instruments with a bar of their own; more would scroll."""
_LINE_EVERY_S: Final = 10.0
"""Between two plain lines that only say how far it is."""

Event = Mapping[str, Any]


class Progress:
    """Says nothing: for ``--json`` alone."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def tell(self, event: Event) -> None:
        """Take one event; see `wiring.backfill.job.Job`."""


class JsonLines(Progress):
    """One JSON object a line for every event, on standard output, the final object last.

    Args:
        stream: Where to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def tell(self, event: Event) -> None:
        """Print an event."""
        print(json.dumps(dict(event)), file=self._stream, flush=True)


class Tally:
    """What the events add up to."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._began_s = now_s()
        self.pieces = 0
        self.done = 0
        self.bars = 0
        self.failed = 0

    def take(self, event: Event) -> None:
        """Count an event."""
        match event["event"]:
            case "planned":
                self.pieces += int(event["pieces"])
            case "stored":
                self.done += 1
                self.bars += int(event["bars"])
            case "failed":
                self.failed += 1

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return self._now_s() - self._began_s

    @property
    def rate(self) -> float:
        """Bars a second."""
        return self.bars / self.seconds if self.seconds > 0 else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds that the rest takes at this pace; ``None`` while nobody can tell."""
        ended = self.done + self.failed
        return self.seconds / ended * (self.pieces - ended) if ended else None


class PlainLines(Progress):
    """A line for what matters, and one every few seconds for how far it is: for pipes and log files.

    Args:
        stream: Where to.
        now_s: Monotonic seconds.
    """

    def __init__(self, stream: TextIO, now_s: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._now_s = now_s
        self._tally = Tally(now_s)
        self._said_s = now_s()

    def tell(self, event: Event) -> None:
        """Count, and say what is worth a line."""
        self._tally.take(event)
        match event["event"]:
            case "chosen":
                words = f" ({event['words']})" if event["words"] else ""
                self._say(f"{event['instruments']} instruments{words}, {event['from']} to {event['to']}")
            case "failed":
                self._say(f"{event['symbol']} {event['from']} to {event['to']}: {event['why']}")
            case "retry":
                self._say(f"{event['symbol']}: {event['why']}; again in {event['wait_s']:.0f} s")
            case "waiting" if event["wait_s"] >= _LINE_EVERY_S:
                self._how_far(f"; the rate limits let the next request go in {event['wait_s']:.0f} s")
            case _:
                self._how_far("")

    def _how_far(self, more: str) -> None:
        if self._now_s() - self._said_s < _LINE_EVERY_S:
            return
        tally = self._tally
        left = "" if tally.left_s is None else f", about {tally.left_s:.0f} s left"
        self._say(
            f"{tally.done} of {tally.pieces} ranges, {tally.bars:,} bars, {tally.rate:,.0f}/s{left}{more}"
        )

    def _say(self, words: str) -> None:
        self._said_s = self._now_s()
        print(words, file=self._stream, flush=True)


class TerminalProgress(Progress):
    """Progress bars: one for everything, and one for each of the first few instruments.

    Args:
        stream: The terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[words]}", markup=False),
            TimeRemainingColumn(),
            console=Console(file=stream, markup=False, highlight=False),
        )
        self._tally = Tally()
        self._all: TaskID = self._bars.add_task("all", total=0, words="")
        self._of: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def tell(self, event: Event) -> None:
        """Move the bars."""
        self._tally.take(event)
        match event["event"]:
            case "planned":
                self._add(str(event["symbol"]), int(event["pieces"]))
            case "stored":
                self._advance(str(event["symbol"]), "")
                self._bars.update(self._all, words=f"{self._tally.bars:,} bars, {self._tally.rate:,.0f}/s")
            case "failed":
                self._advance(str(event["symbol"]), "failed")
            case "retry":
                self._bars.update(self._all, words=f"{event['why']}: again in {event['wait_s']:.0f} s")
            case "waiting":
                self._bars.update(self._all, words=f"rate limits: next request in {event['wait_s']:.0f} s")

    def _add(self, symbol: str, pieces: int) -> None:
        if len(self._of) < _SHOWN:
            words = "" if pieces else "all stored"
            self._of[symbol] = self._bars.add_task(symbol, total=pieces, words=words)
        self._bars.update(self._all, total=self._tally.pieces)

    def _advance(self, symbol: str, words: str) -> None:
        self._bars.advance(self._all)
        if symbol in self._of:
            self._bars.update(self._of[symbol], advance=1, words=words)


def progress_for(stream: TextIO, *, as_json: bool, events: bool, out: TextIO | None = None) -> Progress:
    """Bars on a terminal, plain lines elsewhere; JSON lines where they are asked for, silence for one object."""
    if events:
        return JsonLines(out or sys.stdout)
    if as_json:
        return Progress()
    return TerminalProgress(stream) if stream.isatty() else PlainLines(stream)
