"""The broker's ceiling on order writes, held once more where the bytes leave.

The governor counts a request when it is granted. A machine that stalls for a moment, or a thread that is not run,
would let several of them out together later, and the broker counts when they arrive (`upstox.md` 6.1).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

MOST: Final = 10
"""Order writes in a window."""
WINDOW_S: Final = 1.02
"""A second, and a little for what the way to the broker differs from request to request."""


class Pace:
    """Lets no more than so many requests pass in any window. Called on the threads that send.

    Args:
        most: How many.
        window_s: Length of the window, seconds.
        now_s: Monotonic seconds.
        sleep: Waits for seconds.
    """

    def __init__(
        self,
        most: int = MOST,
        window_s: float = WINDOW_S,
        *,
        now_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._most = most
        self._window_s = window_s
        self._now_s = now_s
        self._sleep = sleep
        self._lock = threading.Lock()
        self._passed: deque[float] = deque(maxlen=most)

    def wait(self) -> None:
        """Return when one more request may leave, and count it."""
        while (pause_s := self._take()) > 0:
            self._sleep(pause_s)

    def _take(self) -> float:
        """Count one request and return 0, or how long to wait, seconds."""
        with self._lock:
            now = self._now_s()
            pause_s = self._passed[0] + self._window_s - now if len(self._passed) == self._most else 0.0
            if pause_s <= 0:
                self._passed.append(now)
            return pause_s
