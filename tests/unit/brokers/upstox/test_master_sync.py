"""Fetching the instrument list: conditional, checked, atomic, and the last good one is kept."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.master_rows import NEAR, TODAY, contract, share, small_file
from tradetui.brokers.upstox import master_sync
from tradetui.brokers.upstox.hosts import INSTRUMENTS_PATH, Hosts
from tradetui.brokers.upstox.master_sync import MasterFile
from tradetui.domain.errors import StorageError, TransportError


class Assets:
    """An assets host that serves what it is told to."""

    def __init__(self) -> None:
        self.body = packed(small_file())
        self.etag = '"one"'
        self.status = 200
        self.length: int | None = None
        self.location = ""
        self.requests: list[dict[str, str]] = []
        assets = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                assets.requests.append({**self.headers, "path": self.path})
                status = assets.status
                if status == 200 and self.headers.get("If-None-Match") == assets.etag:
                    status = 304
                self.send_response(status)
                if assets.location:
                    self.send_header("Location", assets.location)
                self.send_header("ETag", assets.etag)
                self.send_header("Last-Modified", "Fri, 20 Nov 2026 00:30:00 GMT")
                body = assets.body if status == 200 else b""
                self.send_header(
                    "Content-Length", str(assets.length if assets.length is not None else len(body))
                )
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def packed(rows: Any) -> bytes:
    return gzip.compress(json.dumps(rows).encode())


@pytest.fixture
def assets() -> Iterator[Assets]:
    made = Assets()
    yield made
    made.close()


@pytest.fixture
def file(assets: Assets, tmp_path: Path) -> MasterFile:
    return MasterFile(tmp_path / "cache", Hosts(assets=assets.url), timeout_s=5)


def leftovers(file: MasterFile) -> list[str]:
    return sorted(entry.name for entry in file.path.parent.iterdir())


def test_the_first_sync_makes_the_list(assets: Assets, file: MasterFile) -> None:
    assert file.load() is None
    result = file.sync(TODAY)
    assert (result.changed, result.fresh, result.message) == (True, True, "16 instruments")
    assert result.master.by_symbol("RELIANCE").segment == "NSE_EQ"
    assert assets.requests[0]["path"] == INSTRUMENTS_PATH
    assert assets.requests[0]["User-Agent"].startswith("tradetui/")
    assert "Authorization" not in assets.requests[0]
    assert leftovers(file) == ["instruments-simulator.duckdb", "instruments-simulator.sqlite"]
    loaded = file.load()
    assert loaded is not None
    assert len(loaded) == 16


def test_an_unchanged_list_is_not_fetched_again(assets: Assets, file: MasterFile) -> None:
    file.sync(TODAY)
    result = file.sync(TODAY)
    assert (result.changed, result.fresh) == (False, True)
    assert assets.requests[1]["If-None-Match"] == '"one"'
    assert assets.requests[1]["If-Modified-Since"] == "Fri, 20 Nov 2026 00:30:00 GMT"
    assert file.sync(TODAY, force=True).changed
    assert "If-None-Match" not in assets.requests[2]


def test_a_changed_list_replaces_the_old_one(assets: Assets, file: MasterFile) -> None:
    file.sync(TODAY)
    assets.body, assets.etag = packed([*small_file(), share("NEWCO", 77)]), '"two"'
    result = file.sync(TODAY)
    assert (result.changed, len(result.master)) == (True, 17)
    assert result.master.by_symbol("NEWCO").key == "NSE_EQ|INE077A01011"


def test_validators_of_another_host_are_not_used(assets: Assets, file: MasterFile, tmp_path: Path) -> None:
    file.sync(TODAY)
    other = Assets()
    try:
        again = MasterFile(tmp_path / "cache", Hosts(assets=other.url))
        assert again.path == file.path
        assert again.sync(TODAY).changed
        assert "If-None-Match" not in other.requests[0]
    finally:
        other.close()


def test_hosts_have_files_of_their_own(tmp_path: Path) -> None:
    assert MasterFile(tmp_path, Hosts()).path.name == "instruments-assets.upstox.com.sqlite"
    assert (
        MasterFile(tmp_path, Hosts(assets="https://x.example:8443")).path.name
        == "instruments-x.example_8443.sqlite"
    )


def cut(assets: Assets) -> None:
    assets.body = assets.body[:-20]


def short(assets: Assets) -> None:
    assets.length = len(assets.body) + 10


def html(assets: Assets) -> None:
    assets.body = b"<html>just a moment</html>"


def no_list(assets: Assets) -> None:
    assets.body = packed({"status": "error"})


def empty(assets: Assets) -> None:
    assets.body = packed([])


def forbidden(assets: Assets) -> None:
    assets.status = 403


def broken(assets: Assets) -> None:
    assets.status = 503


def mostly_wrong(assets: Assets) -> None:
    assets.body = packed([*small_file(), *({} for _ in range(3))])


def away(assets: Assets) -> None:
    assets.status, assets.location = 302, "https://elsewhere.example/complete.json.gz"


@pytest.mark.parametrize("fault", [cut, short, html, no_list, empty, forbidden, broken, mostly_wrong, away])
def test_the_last_good_list_is_kept_and_that_is_said(
    fault: Callable[[Assets], None], assets: Assets, file: MasterFile
) -> None:
    file.sync(TODAY)
    before = file.path.read_bytes()
    assets.etag = '"two"'
    fault(assets)
    result = file.sync(TODAY)
    assert (result.changed, result.fresh, len(result.master)) == (False, False, 16)
    assert result.message.endswith("; kept the list of 20 Nov 2026 (16 instruments)")
    assert file.path.read_bytes() == before
    assert leftovers(file) == [file.table.name, file.path.name]


@pytest.mark.parametrize("fault", [cut, short, html, no_list, empty, forbidden, broken, mostly_wrong, away])
def test_without_a_last_good_list_the_fault_is_raised(
    fault: Callable[[Assets], None], assets: Assets, file: MasterFile
) -> None:
    fault(assets)
    with pytest.raises((StorageError, TransportError)):
        file.sync(TODAY)
    assert file.load() is None


def test_a_host_that_is_gone_is_said(assets: Assets, tmp_path: Path) -> None:
    gone = MasterFile(tmp_path, Hosts(assets="http://127.0.0.1:1"))
    with pytest.raises(TransportError, match="cannot be fetched"):
        gone.sync(TODAY)


def test_sizes_are_limited(assets: Assets, file: MasterFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(master_sync, "MAX_TEXT_BYTES", 500)
    with pytest.raises(StorageError, match="unpacks to over"):
        file.sync(TODAY)
    monkeypatch.setattr(master_sync, "MAX_PACKED_BYTES", 100)
    with pytest.raises(StorageError, match="the instrument file is over"):
        file.sync(TODAY)


def many(count: int, **more: Any) -> list[dict[str, Any]]:
    return [
        contract("NIFTY", 60_000 + number, NEAR, "CE", 20_000.0 + number, **more) for number in range(count)
    ]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (many(150), "NSE_FO shrank from 300 to 150 instruments"),
        (many(300, lot_size=75), "300 of 300 lot sizes changed at once"),
        (many(300, tick_size=0.05), "300 of 300 tick sizes changed at once"),
    ],
)
def test_a_list_that_differs_too_much_is_not_taken_unless_forced(
    rows: list[dict[str, Any]], reason: str, assets: Assets, file: MasterFile
) -> None:
    assets.body = packed(many(300))
    file.sync(TODAY)
    assets.body, assets.etag = packed(rows), '"two"'
    kept = file.sync(TODAY)
    assert not kept.fresh
    assert reason in kept.message
    assert file.sync(TODAY, force=True).changed


def test_a_lot_revision_of_a_few_is_taken(assets: Assets, file: MasterFile) -> None:
    assets.body = packed(many(300))
    file.sync(TODAY)
    assets.body, assets.etag = packed([*many(60, lot_size=75), *many(300)[60:]]), '"two"'
    assert file.sync(TODAY).changed


def test_a_damaged_file_is_made_anew(assets: Assets, file: MasterFile) -> None:
    file.sync(TODAY)
    file.path.write_bytes(b"damage" * 500)
    assert file.load() is None
    assert file.sync(TODAY).changed
