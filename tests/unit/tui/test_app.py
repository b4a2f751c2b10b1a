"""The screen on a fake engine: paints first, shows everything, survives an engine that does not come."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from tests.conftest import REPO_ROOT
from tests.fixtures.fake_handle import FakeHandle
from tests.fixtures.screen import screen
from tradetui.domain.errors import StorageError
from tradetui.domain.view import Handle


def test_the_screen_loads_without_the_heavy_libraries() -> None:
    code = (
        "import sys, tradetui.tui.app as app\n"
        "from tradetui.domain.view import Snapshot\n"
        "heavy = ('numpy', 'polars', 'duckdb', 'talib', 'pyarrow', 'upstox_client', 'aiohttp', 'websockets')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=REPO_ROOT, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_shows_mode_quotes_and_kill_key_at_every_size(size: tuple[int, int]) -> None:
    async with screen(size) as s:
        text = s.text()
        assert text.startswith("[SIM]")
        assert "RELIANCE" in text
        assert "1,502.35" in text
        assert text.rstrip().endswith("F12 KILL")


async def test_paints_before_the_engine_is_there() -> None:
    gate = threading.Event()
    handle = FakeHandle()

    def slow() -> Handle:
        gate.wait(30)
        return handle

    from tradetui.tui.app import TradeApp, UiSettings

    app = TradeApp(slow, UiSettings(watch=("NSE_EQ|INE002A01018",), auto=False, tune_gc=False))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "starting" in app.text()
        assert "Watch" in app.text()
        assert app.first_paint_ns > 0
        assert handle.seq == 0
        await pilot.press("b")
        assert "trading keys are off" in app.controller.ui.notice.text
        gate.set()
        for _ in range(2000):
            await pilot.pause()
            if app.desk.handle is not None:
                break
        app.step()
        assert app.desk.handle is handle


async def test_an_engine_that_does_not_start_is_said_in_words() -> None:
    def broken() -> Handle:
        raise StorageError("ledger.duckdb is locked by process 4711", "end that program")

    async with screen((80, 24), start=broken) as s:
        text = s.text()
        assert "ledger.duckdb is locked by process 4711" in text
        assert "Nothing runs, nothing was changed" in text
        await s.press("escape")
        assert s.app.return_code == 1


async def test_an_engine_that_fails_later_disables_trading_keys() -> None:
    async with screen() as s:
        s.handle.ended = RuntimeError("boom")
        s.app.step()
        await s.settle()
        assert "RuntimeError: boom" in s.text()
        assert not s.app.desk.ready
