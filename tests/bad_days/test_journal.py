"""Bad days of the disk (R5, R6): a cut journal, and a disk that is full or fails while positions are open."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures.scripted_world import scripted_market
from tests.fixtures.workstation import KEY, Workstation, journal, running
from tradetui.config import Home
from tradetui.domain.events import OperatorKind
from tradetui.domain.order import OrderStatus, Side
from tradetui.domain.records import RecordKind
from tradetui.journal import files, read, verify
from tradetui.runtime import pump
from tradetui.wiring.journals import Projected


def folder_of(home: Path) -> Path:
    (folder,) = (home / "accounts").iterdir()
    return folder / "journal"


async def test_r5_what_a_clean_cut_between_records_hides_is_found_by_reconciliation(tmp_path: Path) -> None:
    """The newest records of the journal are gone, cut exactly between two of them: no checksum can show that.

    Seen: the order and its trade come back from the broker's book at the next start; no label is used twice.
    """
    async with scripted_market() as market:
        market.normal(KEY)
        async with running(market, tmp_path) as w:
            tag = w.send(Side.BUY, 10, price=100.05)
            await w.until_order(tag, OrderStatus.FILLED)
            await w.until(w.agrees)
        (path,) = files(folder_of(tmp_path))
        data, rows = path.read_bytes(), list(read(path))
        kinds = (RecordKind.INTENT, RecordKind.ORDER, RecordKind.FILL)
        cuts = [row.offset for row in rows if row.record.kind in kinds]
        assert len(cuts) >= 4
        for size in cuts:
            # The ledger is only a copy: it follows the journal, or is made anew from it.
            path.write_bytes(data[:size])
            assert verify(path.parent).whole
            async with running(market, tmp_path) as w:
                await w.polls(1)
                await w.until(w.agrees)
                assert w.held() == 10
                used = {one.tag for one in w.truth()}
                assert tag in used
                new = w.send(Side.BUY, 1, price=90.0)
                assert new not in used, "no label is given out twice"
                await w.until_order(new, OrderStatus.OPEN)
                await w.until(w.agrees)
            for old in files(folder_of(tmp_path)):
                old.unlink()


class Disk:
    """Makes the journal of a running workstation fail, the reserve apart."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, w: Workstation) -> None:
        self.error = 0
        self.sync_error = 0
        projected = w.runtime.parts.journal
        assert isinstance(projected, Projected)
        found = projected._journal
        assert found._file is not None
        disk, real, sync = self, found._file, os.fdatasync
        number = real.fileno()

        class File:
            def __getattr__(self, name: str) -> object:
                return getattr(real, name)

            def write(self, data: bytes) -> int:
                if disk.error:
                    real.write(data[: len(data) // 2])
                    raise OSError(disk.error, os.strerror(disk.error))
                return real.write(data)

        def synced(fd: int) -> None:
            if disk.sync_error and fd == number:
                raise OSError(disk.sync_error, os.strerror(disk.sync_error))
            sync(fd)

        monkeypatch.setattr(found, "_file", File())
        monkeypatch.setattr(os, "fdatasync", synced)
        self.journal = found

    def mend(self) -> None:
        self.error = self.sync_error = 0


BREAK: dict[str, Callable[[Disk], None]] = {
    "disk full": lambda disk: setattr(disk, "error", errno.ENOSPC),
    "write error": lambda disk: setattr(disk, "error", errno.EIO),
    "sync error": lambda disk: setattr(disk, "sync_error", errno.EIO),
}


@pytest.mark.parametrize("what", list(BREAK))
async def test_r6_new_risk_stops_exits_go_on_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """The disk of the journal is full, or fails, while a position is open.

    Seen: new orders are refused with the disk's own words; the exit is sent and recorded in the emergency reserve;
      trading goes on by itself when there is space again.
    """
    async with scripted_market() as market:
        market.normal(KEY)
        async with running(market, tmp_path) as w:
            await w.until_order(w.send(Side.BUY, 10, price=100.05), OrderStatus.FILLED)
            await w.until(lambda: w.held() == 10)
            disk = Disk(monkeypatch, w)
            BREAK[what](disk)
            refused = w.send(Side.BUY, 1, price=98.0)
            await w.until(lambda: w.orders[refused].status in (OrderStatus.REFUSED, OrderStatus.REJECTED))
            again = w.send(Side.BUY, 1, price=97.0)
            assert w.orders[again].status is OrderStatus.REFUSED
            assert os.strerror(errno.ENOSPC if "full" in what else errno.EIO) in w.orders[again].message
            sent = len(w.truth())
            w.ask(OperatorKind.EXIT, instrument_key=KEY)
            await w.until(lambda: w.held() == 0)
            assert len(w.truth()) == sent + 1
            exits = [o.tag for o in w.orders.values() if o.request.is_exit]
            reserved = verify(folder_of(tmp_path)).reserved
            assert reserved > 0
            disk.mend()
            await w.until(lambda: not w.runtime.engine.desk.books.journal_problem)
            late = w.send(Side.BUY, 1, price=98.5)
            await w.until_order(late, OrderStatus.OPEN)
            await w.until(w.agrees)
        found = verify(folder_of(tmp_path))
        assert (found.whole, found.reserved) == (True, 0)
        kept = [row.data["tag"] for row in journal(Home(tmp_path, tmp_path)) if row.kind is RecordKind.INTENT]
        assert set(exits) <= set(kept)
        async with running(market, tmp_path) as w:
            await w.until(w.agrees)
            assert w.held() == 0


async def test_r6_without_any_room_the_exit_still_leaves_and_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The disk is full and the emergency reserve cannot be used either.

    Seen: the exit is sent all the same; a CRITICAL line says that it is recorded in memory only.
    """
    async with scripted_market() as market:
        market.normal(KEY)
        async with running(market, tmp_path) as w:
            await w.until_order(w.send(Side.BUY, 10, price=100.05), OrderStatus.FILLED)
            await w.until(lambda: w.held() == 10)
            disk = Disk(monkeypatch, w)
            disk.error = errno.ENOSPC
            monkeypatch.setattr(disk.journal, "use_reserve", lambda: False)
            w.ask(OperatorKind.EXIT, instrument_key=KEY)
            await w.until(lambda: w.held() == 0)
            assert "recorded in memory only" in caplog.text
            assert any(one.name == pump.__name__ for one in caplog.records)
            disk.mend()
            await w.until(lambda: not w.runtime.engine.desk.books.journal_problem)
        exits = [row for row in journal(Home(tmp_path, tmp_path)) if row.kind is RecordKind.INTENT]
        assert exits[-1].data["request"]["source"] == "exit"
        assert verify(folder_of(tmp_path)).whole
