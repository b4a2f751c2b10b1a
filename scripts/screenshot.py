"""Take the README's picture: the real screen on the real runtime, talking to a simulator over loopback sockets.

Nothing in the picture is drawn by hand. A simulated session is jumped to mid-morning, orders are typed with keys,
and the screen's own SVG export becomes `docs/images/workstation.png`. Seed and date are fixed, so the market is
the same every time; latencies and the last seconds are not, so two pictures differ in a few digits.

``make docs`` runs it; it needs the cairo library (libcairo2). ``--text`` prints the screen as text too.
"""

from __future__ import annotations

import argparse
import asyncio
import html
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from textual.pilot import Pilot  # noqa: E402 - the tree beside this script comes first

from tradetui import config, logs, wiring  # noqa: E402
from tradetui.brokers.upstox.redact import redact_text  # noqa: E402
from tradetui.domain.calendar import IST  # noqa: E402
from tradetui.runtime.handle import RuntimeHandle  # noqa: E402
from tradetui.simulator.server import SimulatorServer  # noqa: E402
from tradetui.simulator.state import SimOptions  # noqa: E402
from tradetui.tui.app import TradeApp, UiSettings  # noqa: E402

PICTURE = ROOT / "docs" / "images" / "workstation.png"
SIZE = (120, 40)
SEED = 7
DAY = date(2026, 11, 20)
"""A Friday with a full session in the built-in calendar."""
MOMENT = datetime(2026, 11, 20, 11, 42, tzinfo=IST)
"""Where the session is jumped to: enough bars for a chart, the market open."""
WAIT_S = 60.0
READ_S = 0.5
"""How long the script reads a review before it sends: longer than send is dead."""
TRADED_S = 8.0
"""Real time that the market runs after the orders, so that the position's profit moves."""
WIDTH_PX = 1600
FONT, FONT_PX = "DejaVu Sans Mono", 21
"""At this size the font's box lines meet from row to row of the export's grid."""
_FONT_FACE = re.compile(r"@font-face\s*{[^}]*}", re.DOTALL)
_TEXT = re.compile(r'(<text [^>]*?)x="([\d.]+)"([^>]*?) textLength="([\d.]+)"([^>]*>)([^<]+)</text>')


class SimThread:
    """A simulator on a loop and a thread of its own, reached over its sockets only.

    Args:
        options: How to start it.
    """

    def __init__(self, options: SimOptions) -> None:
        self.server = SimulatorServer(options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulator", daemon=True)
        self._thread.start()
        self.do(self.server.start())

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something on the simulator's loop and wait for it."""
        asyncio.run_coroutine_threadsafe(work, self._loop).result(WAIT_S)

    def close(self) -> None:
        """Stop it."""
        self.do(self.server.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_S)
        self._loop.close()


@contextmanager
def simulator() -> Iterator[SimThread]:
    """A simulated session, jumped to `MOMENT`."""
    sim = SimThread(SimOptions(seed=SEED, day=DAY, auto_approve=True, speed=1.0, opening_cash=50_000))
    try:
        sim.do(sim.server.jump(round(MOMENT.timestamp()) * 1_000_000_000))
        yield sim
    finally:
        sim.close()


def workstation(home: Path, sim: SimThread) -> TradeApp:
    """The screen over a runtime that is joined exactly as `tradetui run` joins it."""
    place, urls = config.home(str(home)), sim.server.urls
    request = wiring.Request(
        place=place, settings=config.Config(), urls=(urls.main, urls.order, urls.feed, urls.assets)
    )

    def start() -> RuntimeHandle:
        rows = logs.set_up(place.data_dir / "logs", redact_text).rows
        return RuntimeHandle(lambda: wiring.join(request), rows).start()

    return TradeApp(start, UiSettings(tune_gc=False))


async def until(what: str, done: Callable[[], bool]) -> None:
    """Wait for a condition of the screen.

    Raises:
        TimeoutError: It did not come about.
    """
    deadline = time.monotonic() + WAIT_S
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {WAIT_S:g} s for {what}")
        await asyncio.sleep(0.05)


async def order(app: TradeApp, pilot: Pilot[int], symbol: str, *keys: str) -> None:
    """Select an instrument by its symbol, type a ticket, read the review, send it."""
    sent = len(app.controller.live.orders)
    await pilot.press("colon", *symbol.lower(), "enter")
    await until(f"{symbol} in the depth pane", lambda: f"3 {symbol}" in app.text())
    await pilot.press(*keys, "enter")
    await until("a painted review", lambda: app.controller.ui.ticket is None or _painted(app))
    await asyncio.sleep(READ_S)
    await pilot.press("f9")
    await until(f"the order in {symbol}", lambda: len(app.controller.live.orders) > sent)


def _painted(app: TradeApp) -> bool:
    ticket = app.controller.ui.ticket
    return ticket is not None and ticket.painted_ms >= 0


async def scene(app: TradeApp, pilot: Pilot[int]) -> None:
    """What the picture shows: two positions, one with a stop and a target, the chart of a share."""
    await until("prices", lambda: "RELIANCE" in app.text() and "starting" not in app.text())
    await order(app, pilot, "INFY", "s", "5")
    # From the quantity backwards: trail, target, stop.
    plan = ("up", "up", "up", *"2080", "tab", *"2110", "tab", *"0.5%")
    await order(app, pilot, "RELIANCE", "b", "1", "0", *plan)
    await until("two positions and a stop", lambda: "WAITING" in app.text() and "+10" in app.text())
    await asyncio.sleep(TRADED_S)


async def take(text: bool) -> str:
    """Run everything; returns the screen as SVG."""
    with tempfile.TemporaryDirectory() as home, simulator() as sim:
        app = workstation(Path(home), sim)
        async with app.run_test(size=SIZE) as pilot:
            try:
                await scene(app, pilot)
            finally:
                if text:
                    print(app.text())
            picture = app.picture()
            app.leave()
        handle = app.desk.handle
        if isinstance(handle, RuntimeHandle):
            handle.join(WAIT_S)
    return picture


def on_grid(svg: str) -> str:
    """Give every character its own place: drawn as one run, another font's width would drift off the grid."""

    def placed(found: re.Match[str]) -> str:
        before, x, middle, length, after, text = found.groups()
        count = len(html.unescape(text))
        places = " ".join(f"{float(x) + i * float(length) / count:.2f}" for i in range(count))
        return f'{before}x="{places}"{middle}{after}{text}</text>'

    return _TEXT.sub(placed, svg)


def write_png(svg: str, path: Path) -> None:
    """Draw the SVG with a monospaced font of the machine; nothing is fetched."""
    try:
        import cairosvg
    except OSError as error:
        raise SystemExit(f"no picture: the cairo library is missing on this machine ({error})") from None
    svg = (
        _FONT_FACE.sub("", svg)
        .replace("Fira Code", FONT)
        .replace("font-size: 20px", f"font-size: {FONT_PX}px")
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    cairosvg.svg2png(bytestring=on_grid(svg).encode(), write_to=str(path), output_width=WIDTH_PX)


def main(arguments: list[str]) -> int:
    """Take the picture; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", action="store_true", help="print the screen as text too")
    parser.add_argument("--out", type=Path, default=PICTURE, help="where the picture goes")
    options = parser.parse_args(arguments)
    write_png(asyncio.run(take(options.text)), options.out)
    print(f"wrote {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
