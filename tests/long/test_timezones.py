"""Cases T: what depends on days and hours says the same wherever the machine thinks it is.

The tests of calendar, instruments, candles, settings, journal days, clocks and the recorded day run in a process of their own
under each time zone; every test must end the same way in all of them. The cases themselves (`tests/unit/market/test_trading_time.py`) are among
them; `make test` runs those in one process under the same zones.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.fixtures.zones import ZONES
from tests.long.knobs import SEED, figure

pytestmark = [pytest.mark.long, pytest.mark.timeout(4_000)]

MODULES = (
    "tests/unit/domain",
    "tests/unit/market",
    "tests/unit/test_config.py",
    "tests/unit/test_journal.py",
    "tests/unit/brokers/upstox/test_candles.py",
    "tests/unit/brokers/upstox/test_instruments.py",
    "tests/unit/brokers/upstox/test_instrument_names.py",
    "tests/unit/brokers/upstox/test_master_sync.py",
    "tests/unit/commands/test_instruments.py",
    "tests/unit/simulator/test_clock.py",
    "tests/unit/simulator/test_start.py",
    "tests/unit/storage/test_ledger.py",
    "tests/unit/strategies/test_opening_range.py",
    "tests/unit/wiring/test_calendars.py",
)
RUN_S = 900.0
LEAST_TESTS = 300
SUMMER = datetime(2026, 7, 1, tzinfo=UTC)
_OFFSET = f"import time; print(time.localtime({SUMMER.timestamp():.0f}).tm_gmtoff)"

Outcomes = dict[str, str]


def environment(zone: str) -> dict[str, str]:
    """Our environment in another time zone."""
    return {**os.environ, "TZ": zone}


def assert_known_here(zone: str, repo_root: Path) -> None:
    """A name that the C library does not know means UTC to it, without a word."""
    done = subprocess.run(
        [sys.executable, "-c", _OFFSET],
        env=environment(zone), capture_output=True, text=True, check=True, cwd=repo_root, timeout=60,
    )  # fmt: skip
    offset = SUMMER.astimezone(ZoneInfo(zone)).utcoffset()
    assert offset is not None
    if int(done.stdout) != offset.total_seconds():
        pytest.skip(f"the system's time-zone database does not know {zone} (install tzdata)")


def ran_in(zone: str, repo_root: Path, folder: Path) -> Outcomes:
    """Run the modules under a time zone; how each test ended."""
    report = folder / f"{zone.replace('/', '-')}.xml"
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--hypothesis-seed={SEED}",
            "--durations=0", f"--basetemp={folder / 'tmp'}", f"--junitxml={report}", *MODULES,
        ],
        env=environment(zone), capture_output=True, text=True, check=False, cwd=repo_root, timeout=RUN_S,
    )  # fmt: skip
    assert done.returncode == 0, f"under TZ={zone}:\n{done.stdout[-12_000:]}{done.stderr[-4_000:]}"
    outcomes: Outcomes = {}
    for case in ET.parse(report).iter("testcase"):
        parts = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        outcomes[f"{case.get('classname')}::{case.get('name')}"] = parts[0] if parts else "passed"
    return outcomes


def test_every_test_ends_the_same_in_every_time_zone(repo_root: Path, tmp_path: Path) -> None:
    for zone in ZONES:
        assert_known_here(zone, repo_root)
    ran: dict[str, Outcomes] = {}
    for zone in ZONES:
        began_s = time.monotonic()
        ran[zone] = ran_in(zone, repo_root, tmp_path)
        figure(
            f"time zones: {zone}: {dict(Counter(ran[zone].values()))} in {time.monotonic() - began_s:.0f} s"
        )
    first = ran[ZONES[0]]
    assert len(first) >= LEAST_TESTS
    for zone, outcomes in ran.items():
        assert outcomes == first, f"TZ={zone}: {sorted(set(outcomes.items()) ^ set(first.items()))}"
