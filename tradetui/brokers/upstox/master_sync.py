"""Getting today's instrument list: conditional download, sanity checks, atomic replacement.

The last good list is kept whenever anything is wrong with a new one, and the result says so. Everything here
blocks (seconds, once a day); the caller runs it on a thread.
"""

from __future__ import annotations

import http.client
import os
import re
import sqlite3
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlsplit

from tradetui import __version__
from tradetui.brokers.upstox.hosts import Hosts, is_loopback_url
from tradetui.brokers.upstox.instruments import Former, Master
from tradetui.brokers.upstox.master_rows import RowReport, parse_rows, split_rows
from tradetui.domain.errors import StorageError, TradeTuiError, TransportError
from tradetui.domain.text import clean
from tradetui.storage.listings import write_listings

USER_AGENT: Final = f"tradetui/{__version__}"
"""The assets host answers 403 to requests without one (`upstox.md` 1.3)."""

MAX_PACKED_BYTES: Final = 64 * 1024 * 1024
"""Most bytes to download; the file has about 4 MB."""
MAX_TEXT_BYTES: Final = 400 * 1024 * 1024
"""Most bytes it may unpack to; it has about 55 MB."""

MAX_REFUSED: Final = 0.05
"""A file of which more rows than this share cannot be right is not taken."""
MIN_SIZE: Final = 0.6
"""A new list must have at least this share of the old one's instruments, in all and by large segment."""
LARGE_SEGMENT: Final = 100
MAX_CHANGED: Final = 0.25
"""More instruments than this share with another lot or tick than in the last good list: not taken.

A lot revision touches the contracts of a few indices or shares at a time; a change of everything is damage,
such as prices in another unit.
"""
_COMPARE_FROM: Final = 50
"""Shares of fewer common instruments mean nothing."""
_CHUNK: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What a sync did.

    Attributes:
        master: The list to use: the new one, or the last good one.
        changed: A new list was taken.
        fresh: The list is what the broker has now; ``False`` means that the last good one had to do.
        message: One line for a person.
    """

    master: Master
    changed: bool
    fresh: bool
    message: str


class MasterFile:
    """The instrument list on disk.

    Args:
        folder: Directory for the file; made if absent, private.
        hosts: Where the list comes from. Each assets host has a file of its own, and so have all simulators
            together: a simulator's instruments must never pass for the broker's.
        timeout_s: For connecting and for each read.
    """

    def __init__(self, folder: Path, hosts: Hosts, timeout_s: float = 30.0) -> None:
        self._url = hosts.instruments_url
        self._local = is_loopback_url(self._url)
        self._timeout_s = timeout_s
        host = "simulator" if self._local else re.sub(r"[^a-z0-9.-]", "_", urlsplit(self._url).netloc.lower())
        self.path = folder / f"instruments-{host}.sqlite"
        self.table = folder / f"instruments-{host}.duckdb"

    def load(self) -> Master | None:
        """The last good list, or ``None`` when there is none that can be read."""
        try:
            return Master.open(self.path) if self.path.exists() else None
        except StorageError:
            return None

    def sync(self, on: date, *, force: bool = False) -> SyncResult:
        """Fetch the list if it changed, and take it if it is sane.

        Args:
            on: Today in India (the exchange's today, for a simulator).
            force: Take a list that differs too much from the last good one, and fetch it even if unchanged.

        Raises:
            TransportError: There is no last good list, and none could be fetched.
            StorageError: There is no last good list, and what came cannot be used, or nothing can be written.
        """
        old = self.load()
        try:
            return self._sync(old, on, force)
        except TradeTuiError as error:
            if old is None:
                raise
            kept = f"kept the list of {old.on:%d %b %Y} ({len(old):,} instruments)"
            return SyncResult(old, changed=False, fresh=False, message=f"{error.message}; {kept}")

    def _sync(self, old: Master | None, on: date, force: bool) -> SyncResult:
        known = (
            dict(old.meta) if old is not None and old.meta.get("source") == self._url and not force else {}
        )
        fetched = self._fetch(known.get("etag", ""), known.get("modified", ""))
        if fetched is None:
            if old is None:
                raise TransportError("the assets host says 'unchanged' of a file that we do not have")
            words = "" if self.table.exists() else self._tabulate(old)
            return SyncResult(
                old, changed=False, fresh=True, message=f"unchanged: {len(old):,} instruments{words}"
            )
        text, etag, modified = fetched
        report = RowReport()
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        temporary.unlink(missing_ok=True)
        try:
            rows = parse_rows(split_rows(text), report)
            made = Master.build(rows, on, temporary, source=self._url, etag=etag, modified=modified)
            made.close()
            reason = _insane(report) or ("" if force or old is None else _too_different(temporary, self.path))
            if old is not None and not reason:
                _remember_names(temporary, self.path, old.on)
            if reason:
                raise StorageError(
                    f"the new instrument list was not taken: {reason}", "tradetui instruments sync --force"
                )
            temporary.replace(self.path)
        except OSError as error:
            raise StorageError(
                f"the instrument list cannot be written: {clean(error.strerror, 120)}"
            ) from error
        finally:
            temporary.unlink(missing_ok=True)
        if old is not None:
            old.close()
        new = Master.open(self.path)
        return SyncResult(new, changed=True, fresh=True, message=report.words() + self._tabulate(new))

    def _tabulate(self, master: Master) -> str:
        """Keep the list as a table too; a failure is words, for the list itself is good."""
        try:
            write_listings(self.table, master.rows(), master.on)
        except StorageError as error:
            return f"; {error.message}"
        return ""

    # ---- the network -------------------------------------------------------------------------------------

    def _fetch(self, etag: str, modified: str) -> tuple[str, str, str] | None:
        """The file's text and its validators; ``None`` when it has not changed.

        Raises:
            TransportError: It could not be fetched whole.
            StorageError: It is too large, or not what it should be.
        """
        headers = {"User-Agent": USER_AGENT, "Accept": "*/*"}
        if etag:
            headers["If-None-Match"] = etag
        if modified:
            headers["If-Modified-Since"] = modified
        request = urllib.request.Request(self._url, headers=headers)  # noqa: S310 - `Hosts` allows http(s) only
        try:
            with closing(_opener(self._local).open(request, timeout=self._timeout_s)) as reply:
                text = _unpack(_whole(reply))
                return text, reply.headers.get("ETag", ""), reply.headers.get("Last-Modified", "")
        except urllib.error.HTTPError as error:
            with closing(error):
                if error.code == 304:
                    return None
                raise TransportError(f"the instrument file was refused ({error.code})") from None
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            reason = getattr(error, "reason", error)
            raise TransportError(f"the instrument file cannot be fetched: {clean(reason, 120)}") from None


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Redirects stay encrypted, and on this machine when they began there."""

    def __init__(self, local: bool) -> None:
        self._local = local

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """Refuse what `Hosts` would refuse."""
        if is_loopback_url(newurl) != self._local or not (self._local or newurl.startswith("https://")):
            raise TransportError("the instrument file was redirected to an address that is not allowed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(local: bool) -> urllib.request.OpenerDirector:
    """No proxy for this machine; certificates are verified by default."""
    handlers: list[urllib.request.BaseHandler] = [_Redirects(local)]
    if local:
        handlers.append(urllib.request.ProxyHandler({}))
    return urllib.request.build_opener(*handlers)


def _whole(reply: Any) -> Iterator[bytes]:
    """The body in pieces; a short or over-long one is an error."""
    expected = reply.headers.get("Content-Length")
    got = 0
    while piece := reply.read(_CHUNK):
        got += len(piece)
        if got > MAX_PACKED_BYTES:
            raise StorageError(f"the instrument file is over {MAX_PACKED_BYTES >> 20} MB: not taken")
        yield piece
    if expected is not None and got != int(expected):
        raise TransportError(f"the instrument file came short: {got:,} of {int(expected):,} bytes")


def _unpack(pieces: Iterator[bytes]) -> str:
    """Gunzip while it comes, up to a limit: a small file must not fill the memory."""
    gunzip = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    parts: list[bytes] = []
    size = 0
    try:
        for piece in pieces:
            part = gunzip.decompress(piece, MAX_TEXT_BYTES + 1 - size)
            size += len(part)
            if size > MAX_TEXT_BYTES:
                raise StorageError(
                    f"the instrument file unpacks to over {MAX_TEXT_BYTES >> 20} MB: not taken"
                )
            parts.append(part)
        if not gunzip.eof:
            raise StorageError("the instrument file is cut short")
        return b"".join(parts).decode("utf-8")
    except (zlib.error, UnicodeDecodeError):
        raise StorageError("the instrument file is damaged") from None


# ---- sanity --------------------------------------------------------------------------------------------------


def _insane(report: RowReport) -> str:
    """Why a list cannot be used on its own account; empty when it can."""
    if not report.taken:
        return "it has no instruments"
    if report.rows - report.taken > MAX_REFUSED * report.rows:
        return f"too many rows cannot be right ({report.words()})"
    return ""


def _too_different(new: Path, old: Path) -> str:
    """Why a list cannot follow the last good one; empty when it can."""
    with _both(new, old) as both:
        for segment, before, now in both.execute(
            """
            SELECT o.segment, o.n, coalesce(c.n, 0)
            FROM (SELECT segment, count(*) AS n FROM old.instruments GROUP BY 1) AS o
            LEFT JOIN (SELECT segment, count(*) AS n FROM main.instruments GROUP BY 1) AS c USING (segment)
            UNION ALL
            SELECT 'all', (SELECT count(*) FROM old.instruments), (SELECT count(*) FROM main.instruments)
            """
        ):
            if before >= LARGE_SEGMENT and now < MIN_SIZE * before:
                return f"{segment} shrank from {before:,} to {now:,} instruments"
        common, lots, ticks = both.execute(
            """
            SELECT count(*), sum(c.lot_size <> o.lot_size), sum(c.tick_size <> o.tick_size)
            FROM main.instruments AS c JOIN old.instruments AS o USING (key)
            WHERE c.expiry IS o.expiry AND c.symbol = o.symbol
            """
        ).fetchone()
    if common >= _COMPARE_FROM:
        for what, changed in (("lot sizes", lots), ("tick sizes", ticks)):
            if changed > MAX_CHANGED * common:
                return f"{changed:,} of {common:,} {what} changed at once"
    return ""


def _remember_names(new: Path, old: Path, until: date) -> None:
    """Write into a new list which names its shares and indices bore in the old one, and before.

    A rename keeps the key, which holds the ISIN. A split or a new face value changes the ISIN: then the share that
    bears the same symbol is the same company under a new key, and the old key becomes a name of it.
    """
    with _both(new, old) as both:
        renamed = both.execute(
            "SELECT o.symbol, c.key FROM main.instruments AS c JOIN old.instruments AS o USING (key) "
            "WHERE c.symbol <> o.symbol AND c.expiry IS NULL AND o.expiry IS NULL"
        ).fetchall()
        rekeyed = dict(
            both.execute(
                "SELECT o.key, c.key FROM old.instruments AS o JOIN main.instruments AS c "
                "ON c.segment = o.segment AND c.symbol = o.symbol AND c.kind = o.kind "
                "WHERE o.kind = 'EQ' AND o.isin <> '' AND c.isin <> '' "
                "AND o.key NOT IN (SELECT key FROM main.instruments) "
                "AND c.key NOT IN (SELECT key FROM old.instruments)"
            ).fetchall()
        )
        before = both.execute("SELECT sought, key, until FROM old.former").fetchall()
    names = [Former(name, rekeyed.get(key, key), date.fromisoformat(day)) for name, key, day in before]
    names += [Former(name, key, until) for name, key in renamed]
    names += [Former(was, key, until) for was, key in rekeyed.items()]
    if names:
        with closing(sqlite3.connect(new)) as connection, connection:
            Master.remember(connection, names)


@contextmanager
def _both(new: Path, old: Path) -> Iterator[sqlite3.Connection]:
    """A connection that sees the new list as ``main`` and the last good one as ``old``, both read-only."""
    with closing(sqlite3.connect(f"{new.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as both:
        both.execute("ATTACH ? AS old", (f"{old.resolve().as_uri()}?mode=ro&immutable=1",))
        yield both
