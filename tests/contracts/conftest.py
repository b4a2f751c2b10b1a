"""Brokers under contract. A new broker adds a harness and a line to `HARNESSES`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from tests.contracts.harness import Harness
from tests.contracts.paper_harness import PaperHarness
from tests.contracts.upstox_harness import UpstoxHarness

HARNESSES: dict[str, Callable[[], Harness]] = {"paper": PaperHarness, "upstox over simulator": UpstoxHarness}


@pytest.fixture(params=sorted(HARNESSES))
async def harness(request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    """A started broker with its market."""
    made = HARNESSES[request.param]()
    await made.start()
    yield made
    await made.stop()
