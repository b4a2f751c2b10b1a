"""The simulator as one object: listeners, clock, venue and world, started and stopped together.

In a test, over real sockets in this process::

    async with SimulatorServer(SimOptions(auto_approve=True)) as sim:
        print(sim.urls.main)
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import secrets
import socket
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from tradetui.domain.calendar import Calendar
from tradetui.domain.errors import TradeTuiError, UsageError
from tradetui.domain.money import to_money
from tradetui.simulator import keep
from tradetui.simulator.board import Board
from tradetui.simulator.clock import SimClock
from tradetui.simulator.control import Control
from tradetui.simulator.faults import Faults, parse_fault
from tradetui.simulator.feed import FeedHub
from tradetui.simulator.hand import Hand
from tradetui.simulator.listeners import Listeners
from tradetui.simulator.login import Login
from tradetui.simulator.portfolio import PortfolioStream
from tradetui.simulator.rest.candles import CandlesApi
from tradetui.simulator.rest.expired import ExpiredApi
from tradetui.simulator.rest.files import AssetFiles
from tradetui.simulator.rest.funds import FundsApi
from tradetui.simulator.rest.gtt import GttApi
from tradetui.simulator.rest.guard import Guard
from tradetui.simulator.rest.orders import OrdersApi
from tradetui.simulator.rest.portfolio import PortfolioApi
from tradetui.simulator.rest.quotes import QuotesApi
from tradetui.simulator.rest.sessions import SessionsApi
from tradetui.simulator.rest.several import SeveralApi
from tradetui.simulator.rest.user import UserApi
from tradetui.simulator.start import build_world, resume
from tradetui.simulator.state import HOST, App, SimOptions, SimState, Urls
from tradetui.simulator.tokens import Tokens
from tradetui.simulator.truth import truth
from tradetui.simulator.venue import Venue

_log = logging.getLogger(__name__)

DISCOVERY_PATH = "/.well-known/tradetui-simulator"
"""Where a client pointed at a loopback host learns that it is a simulator, and how to log itself in."""

_LISTENERS = ("main", "order", "feed", "assets", "control")
"""In the order of their ports when the first port is given."""

_MAX_LINE = 64 * 1024
"""Longest request line: 500 instrument keys, percent-encoded, take 20 kB."""

_KEEP_EVERY_S = 5.0
"""How much of a day a killed process may lose."""

_SHUTDOWN_S = 0.2
"""How long open requests may take to end; streams and hung requests never do by themselves."""


class SimulatorServer:
    """A running simulated broker.

    Args:
        options: How to start it.

    Raises:
        UsageError: A fault in the options is unknown.
    """

    def __init__(self, options: SimOptions) -> None:
        self.options = options
        self.faults = Faults()
        for text in options.faults:
            self.faults.set(*parse_fault(text))
        self._runners: list[web.AppRunner] = []
        self._listeners = Listeners(HOST, self.faults)
        self._state: SimState | None = None
        self._venue: Venue | None = None
        self._feed: FeedHub | None = None
        self._stream: PortfolioStream | None = None
        self._driver: asyncio.Task[None] | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def state(self) -> SimState:
        """What the handlers share.

        Raises:
            RuntimeError: The server is not running.
        """
        if self._state is None:
            raise RuntimeError("the simulator is not running")
        return self._state

    @property
    def venue(self) -> Venue:
        """The market and the exchange of the running server.

        Raises:
            RuntimeError: The server is not running.
        """
        if self._venue is None:
            raise RuntimeError("the simulator is not running")
        return self._venue

    @property
    def feed(self) -> FeedHub:
        """The market data feed of the running server.

        Raises:
            RuntimeError: The server is not running.
        """
        if self._feed is None:
            raise RuntimeError("the simulator is not running")
        return self._feed

    @property
    def urls(self) -> Urls:
        """Base URLs of the running server."""
        return self.state.urls

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Open the listeners.

        Raises:
            TradeTuiError: A port is in use or may not be opened.
        """
        sockets = _open_sockets(self.options.port)
        try:
            await self._build(sockets)
        except BaseException:
            await self.close()
            for listener in sockets.values():
                listener.close()
            raise

    async def close(self) -> None:
        """Stop the market and close every connection and listener."""
        for task in (self._driver, self._keeper):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        for part in (self._feed, self._stream):
            if part is not None:
                await part.close()
        await self._listeners.close()
        for runner in reversed(self._runners):
            await runner.cleanup()
        self._runners.clear()

    def ready_line(self) -> dict[str, str]:
        """What `tradetui sim` prints once it can be used (`design.md` 11)."""
        urls, app = self.urls, self.state.app
        return {
            "main": urls.main,
            "order": urls.order,
            "feed": urls.feed,
            "assets": urls.assets,
            "api_key": app.api_key,
            "api_secret": app.api_secret,
            "redirect_uri": app.redirect_uri,
            "control": urls.control,
        }

    async def jump(self, to_ns: int) -> None:
        """Move clock and market forward together, and show every client the market as it is then.

        Raises:
            UsageError: The moment has passed.
        """
        assert self._feed is not None
        self.venue.jump(to_ns)
        await self._feed.refresh()

    async def wait_failed(self) -> None:
        """Return only when the market cannot go on.

        Raises:
            TradeTuiError: Why.
        """
        assert self._driver is not None
        await asyncio.shield(self._driver)

    async def _build(self, sockets: dict[str, socket.socket]) -> None:
        ports = {name: listener.getsockname()[1] for name, listener in sockets.items()}
        urls = Urls(**{name: _url(name, port) for name, port in ports.items()})
        options = self.options
        built = build_world(options, Calendar.default())
        calendar = built.calendar
        kept = resume(options, built)
        clock = SimClock(kept.clock_ns if kept is not None else built.start_ns, speed=options.speed)
        if built.world.waits_for_subscriber:
            clock.pause()
        self._state = state = SimState(
            options=options,
            clock=clock,
            faults=self.faults,
            tokens=Tokens(clock.now_ns),
            app=self._register_app(),
            urls=urls,
        )
        self.faults.on_sudden("revoke", lambda _args: state.tokens.revoke())
        state.tokens.on_issue(state.kill_switch.token_issued)
        board = Board(built.world)
        self._venue = venue = Venue(
            built.world, board, clock, calendar, self.faults, to_money(options.opening_cash), kept
        )
        venue.refuse_segment = state.kill_switch.refuse_order
        self._feed = FeedHub(state, built.world, board, calendar)
        venue.on_relist(self._feed.relist)
        self._stream = PortfolioStream(state, venue)
        hand = Hand(venue, self._feed.publish, self.faults)
        control = Control(state, partial(truth, venue), self.jump, built.name, built.label, hand)
        apps = self._applications(state, venue, calendar, control)
        apps["assets"] = AssetFiles(built.world.master_rows).application()
        apps["control"] = control.application()
        runners: dict[str, web.AppRunner] = {}
        for name, app in apps.items():
            runner = web.AppRunner(
                app, access_log=None, shutdown_timeout=_SHUTDOWN_S, max_line_size=_MAX_LINE
            )
            self._runners.append(runner)
            await runner.setup()
            runners[name] = runner
        await self._listeners.open(runners, sockets)
        self._feed.start()
        self._stream.start()
        self._driver = asyncio.create_task(self._drive(venue, self._feed))
        self._driver.add_done_callback(_log_failure)
        if options.state_file is not None:
            self._keeper = asyncio.create_task(self._keep(options.state_file, built.origin))

    async def _keep(self, path: Path, origin: str) -> None:
        """Write the day down every few seconds, and once more at the end."""
        assert self._venue is not None
        try:
            while True:
                await asyncio.sleep(_KEEP_EVERY_S)
                keep.save(path, keep.snapshot(origin, self.state.clock.now_ns(), self._venue.exchange))
        finally:
            keep.save(path, keep.snapshot(origin, self.state.clock.now_ns(), self._venue.exchange))

    def _register_app(self) -> App:
        """A demo key and secret, new for each run."""
        port = _spare_port(self.options.port)
        return App(
            api_key=secrets.token_hex(16),
            api_secret=secrets.token_hex(8),
            redirect_uri=self.options.redirect_uri or f"http://{HOST}:{port}/callback",
        )

    def _applications(
        self, state: SimState, venue: Venue, calendar: Calendar, control: Control
    ) -> dict[str, web.Application]:
        """The three listeners of Upstox's protocol."""
        assert self._feed is not None
        assert self._stream is not None
        guard, orders = Guard(state), OrdersApi(state, venue)
        main = web.Application(middlewares=[guard.middleware("main")])
        main.router.add_get(DISCOVERY_PATH, control.discovery)
        for api in (
            Login(state),
            UserApi(state, venue),
            PortfolioApi(state, venue),
            GttApi(state, venue),
            FundsApi(state, venue),
            SeveralApi(state, venue),
            QuotesApi(state, venue),
            CandlesApi(state, venue),
            ExpiredApi(state, venue),
            SessionsApi(state, calendar),
        ):
            api.add_routes(main.router)
        orders.add_write_routes(main.router)
        orders.add_read_routes(main.router)
        order = web.Application(middlewares=[guard.middleware("order")])
        orders.add_write_routes(order.router)
        feed = web.Application()
        for stream in (self._feed, self._stream):
            stream.add_rest_routes(main.router)
            stream.add_feed_routes(feed.router)
        return {"main": main, "order": order, "feed": feed}

    async def _drive(self, venue: Venue, feed: FeedHub) -> None:
        if venue.world.waits_for_subscriber:
            await feed.wait_for_subscriber()
            self.state.clock.resume()
        await venue.run(feed.publish, feed.finish)


def _log_failure(driver: asyncio.Task[None]) -> None:
    """Say that the market has stopped, for whoever runs a server and does not `wait_failed`."""
    if not driver.cancelled() and (error := driver.exception()) is not None:
        _log.error("the simulated market stopped: %s", error, exc_info=error)


def _url(name: str, port: int) -> str:
    return f"{'ws' if name == 'feed' else 'http'}://{HOST}:{port}"


def _open_sockets(first_port: int) -> dict[str, socket.socket]:
    """One listening socket each, on free ports, or on consecutive ones from ``first_port``."""
    if first_port and not 1024 <= first_port <= 65_535 - len(_LISTENERS):
        raise UsageError(f"not a usable port: {first_port}", "Use 0 for free ports, or 1024 to 65530")
    opened: dict[str, socket.socket] = {}
    for offset, name in enumerate(_LISTENERS):
        port = first_port + offset if first_port else 0
        try:
            opened[name] = socket.create_server((HOST, port), backlog=128)
        except OSError as error:
            for listener in opened.values():
                listener.close()
            why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be opened: {error.strerror}"
            remedy = (
                f"The simulator takes {len(_LISTENERS)} ports in a row from --port; --port 0 finds free ones"
            )
            raise TradeTuiError(f"port {port} on {HOST} {why}", remedy) from error
    return opened


def _spare_port(first_port: int) -> int:
    """A port for the client's redirect listener: behind ours, or any that is free now."""
    if first_port:
        return first_port + len(_LISTENERS)
    with contextlib.closing(socket.create_server((HOST, 0))) as probe:
        return int(probe.getsockname()[1])
