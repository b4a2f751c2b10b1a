"""Finished minutes into longer bars of one instrument, in a form that can take back the last minute."""

from __future__ import annotations

from dataclasses import dataclass

Ohlcv = tuple[float, float, float, float, float]
"""Open, high, low, close (rupees) and volume (units)."""

MINUTE_MS = 60_000


def merge(older: Ohlcv, newer: Ohlcv) -> Ohlcv:
    """One bar that covers two, ``older`` first."""
    o, h, low, _, v = older
    _, h2, low2, c, v2 = newer
    return (o, h2 if h2 > h else h, low2 if low2 < low else low, c, v + v2)


def sane(bar: Ohlcv) -> bool:
    """Whether a bar from outside makes sense."""
    return 0 < bar[2] <= min(bar[0], bar[3]) and bar[1] >= max(bar[0], bar[3]) and bar[4] >= 0


class Gaps:
    """When the feed was down."""

    def __init__(self) -> None:
        self._spans: list[tuple[int, int]] = []

    def mark(self, from_ms: int, to_ms: int) -> None:
        """Remember a span; a later call with the same start moves its end."""
        self._spans = [span for span in self._spans if span[0] != from_ms]
        self._spans.append((from_ms, to_ms))

    def forget(self, before_ms: int) -> None:
        """Drop spans that ended before an instant."""
        self._spans = [span for span in self._spans if span[1] > before_ms]

    def overlap(self, since_ms: int, start_ms: int, end_ms: int) -> bool:
        """Whether a bar was seen in part only.

        Args:
            since_ms: From when on its instrument is known.
            start_ms: Start of the bar.
            end_ms: End of the bar.
        """
        if since_ms > start_ms or not self._spans:
            return since_ms > start_ms
        return any(a < end_ms and b > start_ms for a, b in self._spans)


@dataclass(slots=True)
class Fold:
    """A longer bar while minutes are merged into it, and after.

    Attributes:
        start_ms: Start of the bar, epoch ms; 0 before the first.
        end_ms: Its end: the session's end cuts the last bar short.
        bar: All minutes so far.
        before: All minutes but the last, so that the last can be revised; None if there is only one.
        broker: One of the minutes in ``before`` is the broker's.
        last_broker: The last minute is the broker's.
        open: Still forming.
    """

    start_ms: int = 0
    end_ms: int = 0
    bar: Ohlcv = (0.0, 0.0, 0.0, 0.0, 0.0)
    before: Ohlcv | None = None
    broker: bool = False
    last_broker: bool = False
    open: bool = False

    def begin(self, start_ms: int, end_ms: int, minute: Ohlcv, broker: bool) -> None:
        """Start a new bar with its first minute."""
        self.start_ms = start_ms
        self.end_ms = end_ms
        self.bar = minute
        self.before = None
        self.broker = False
        self.last_broker = broker
        self.open = True

    def add(self, minute: Ohlcv, broker: bool) -> None:
        """Merge the next minute."""
        self.before = self.bar
        self.bar = merge(self.bar, minute)
        self.broker = self.broker or self.last_broker
        self.last_broker = broker

    def revise(self, minute: Ohlcv, broker: bool) -> None:
        """Put ``minute`` in the place of the last one."""
        self.bar = minute if self.before is None else merge(self.before, minute)
        self.last_broker = broker


@dataclass(slots=True)
class Minutes:
    """The last finished minutes of one instrument; the forming one lives in the builder's columns.

    Attributes:
        pending_ms: Start of a minute that is over but waits for the broker's figures; 0 for none.
        pending: Its bar.
        done_ms: Start of the last finished minute; 0 before the first.
        done: Its bar.
        done_broker: The broker's figures are in it.
        dirty: Late trades changed it after it was handed out.
        folds: The longer bars, by interval.
    """

    folds: list[Fold]
    pending_ms: int = 0
    pending: Ohlcv = (0.0, 0.0, 0.0, 0.0, 0.0)
    done_ms: int = 0
    done: Ohlcv = (0.0, 0.0, 0.0, 0.0, 0.0)
    done_broker: bool = False
    dirty: bool = False


def with_late_trade(bar: Ohlcv, price: float, volume: int, newest: bool) -> Ohlcv:
    """A bar after a trade that came late; it sets the close only if it is the bar's ``newest`` trade."""
    return (
        bar[0],
        max(bar[1], price),
        min(bar[2], price),
        price if newest else bar[3],
        bar[4] + volume,
    )
