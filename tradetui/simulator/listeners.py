"""The listening sockets of the simulated broker, which the fault ``unreachable`` takes away and gives back."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping

from aiohttp import web

from tradetui.simulator.faults import Faults

_ALWAYS = "control"
"""The listener that stays, so that the fault can be lifted."""


class Listeners:
    """One site for each listener.

    A port that is given up is kept bound without listening: nobody else can take it, and whoever connects is
    refused.

    Args:
        host: Address of all of them.
        faults: Says when they are unreachable.
    """

    def __init__(self, host: str, faults: Faults) -> None:
        self._host = host
        self._faults = faults
        self._runners: dict[str, web.AppRunner] = {}
        self._sites: dict[str, web.SockSite] = {}
        self._ports: dict[str, int] = {}
        self._bound: dict[str, socket.socket] = {}
        self._watcher: asyncio.Task[None] | None = None

    async def open(self, runners: Mapping[str, web.AppRunner], sockets: Mapping[str, socket.socket]) -> None:
        """Serve every application on its socket, and follow the fault from now on."""
        for name, runner in runners.items():
            self._runners[name] = runner
            self._ports[name] = sockets[name].getsockname()[1]
            await self._serve(name, sockets[name])
        self._watcher = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Follow the fault no more; the runners close their own sockets."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        for bound in self._bound.values():
            bound.close()
        self._bound.clear()

    async def _serve(self, name: str, listener: socket.socket) -> None:
        site = self._sites[name] = web.SockSite(self._runners[name], listener)
        await site.start()

    async def _watch(self) -> None:
        while True:
            gone = self._faults.active("unreachable") is not None
            if gone and not self._bound:
                await self._leave()
            elif not gone and self._bound:
                await self._return()
            await self._faults.wait_change()

    async def _leave(self) -> None:
        for name in [one for one in self._runners if one != _ALWAYS]:
            await self._sites.pop(name).stop()
            server = self._runners[name].server
            for connection in list(server.connections) if server is not None else ():
                if connection.transport is not None:
                    connection.transport.abort()
            bound = socket.socket()
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((self._host, self._ports[name]))
            self._bound[name] = bound

    async def _return(self) -> None:
        for name, bound in self._bound.items():
            bound.listen(128)
            await self._serve(name, bound)
        self._bound.clear()
