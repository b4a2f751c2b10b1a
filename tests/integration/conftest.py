"""A simulator on a small recorded day, and the official SDK pointed at it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fixtures.simulated import Member, write_recording
from tradetui.simulator.server import SimulatorServer
from tradetui.simulator.state import SimOptions


@pytest.fixture
async def sim(tmp_path: Path) -> AsyncIterator[SimulatorServer]:
    options = SimOptions(auto_approve=True, replay=write_recording(tmp_path), faults=("no-limits",))
    async with SimulatorServer(options) as server:
        yield server


@pytest.fixture
async def member(sim: SimulatorServer) -> AsyncIterator[Member]:
    async with aiohttp.ClientSession() as session:
        one = Member(sim, session)
        await one.login()
        yield one


@pytest.fixture
def api(member: Member) -> Iterator[Any]:
    """The SDK with its hosts set to the simulator (`upstox.md` 8.2)."""
    import upstox_client as sdk  # only the tests of the SDK pay for its import

    configuration = sdk.Configuration()
    configuration.host = member.sim.urls.main
    configuration.order_host = member.sim.urls.order
    configuration.access_token = member.token
    client = sdk.ApiClient(configuration)
    yield client
    client.pool.close()
    client.pool.join()
    client.rest_client.pool_manager.clear()
