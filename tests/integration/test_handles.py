"""A run gives back every file and socket that it opened: a day of restarts in one process must not use them up."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import pytest

from tests.fixtures.scripted_world import scripted_market
from tests.fixtures.workstation import KEY, running


def opened() -> list[str]:
    """What the open file descriptors of this process point at."""
    gc.collect()
    out = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            out.append(str(link.readlink()))
        except FileNotFoundError:  # the one that lists the folder
            continue
    return out


@pytest.mark.skipif(sys.platform != "linux", reason="open files are listed under /proc on Linux only")
async def test_a_run_that_has_ended_holds_no_file_and_no_socket(tmp_path: Path) -> None:
    counts = []
    for number in range(4):
        async with scripted_market() as market:
            market.normal(KEY)
            async with running(market, tmp_path / str(number)) as w:
                await w.polls()
        assert not [one for one in opened() if one.startswith(str(tmp_path))]
        counts.append(len(opened()))
    assert max(counts[2:]) <= counts[1], counts
