"""The instrument files, as the assets host serves them (`upstox.md` 5): gzip of one JSON array."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

_FOLDER = "/market-quote/instruments/exchange"
_REFUSED = (
    '<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code>'
    "<Message>Access Denied</Message></Error>"
)

Row = Mapping[str, Any]


class AssetFiles:
    """The assets listener.

    Args:
        master_rows: Gives every row of the instrument master.
    """

    def __init__(self, master_rows: Callable[[], Sequence[Row]]) -> None:
        self._master_rows = master_rows
        self._rows: Sequence[Row] = ()
        self._packed: dict[str, bytes] = {}

    def application(self) -> web.Application:
        """The listener's application."""
        app = web.Application()
        app.router.add_get(f"{_FOLDER}/{{name}}", self.file)
        app.router.add_get("/{rest:.*}", self.refuse)
        return app

    async def file(self, request: web.Request) -> web.Response:
        """One file. The real host refuses clients that do not say who they are."""
        name = request.match_info["name"]
        if not request.headers.get("User-Agent"):
            return _denied()
        rows = self._master_rows()
        if rows is not self._rows:  # another day, another list
            self._rows = rows
            self._packed.clear()
        packed = self._packed.get(name)
        if packed is None:
            chosen = self._select(name)
            if chosen is None:
                return _denied()
            packed = self._packed[name] = _pack(chosen)
        # Stored gzip, so no Content-Encoding: a client unpacks the file, not its transport.
        return web.Response(body=packed, content_type="application/gzip")

    async def refuse(self, _request: web.Request) -> web.Response:
        """Anything else: the store behind the assets host says 403, not 404."""
        return _denied()

    def _select(self, name: str) -> list[Row] | None:
        """Rows of a file; None for a file that does not exist."""
        stem, _, rest = name.partition(".")
        if rest != "json.gz":
            return None
        match stem:
            case "complete":
                return list(self._rows)
            case "NSE" | "BSE" | "MCX":
                return [row for row in self._rows if row.get("exchange") == stem]
            case "NSE_MIS" | "BSE_MIS":
                exchange = stem.removesuffix("_MIS")
                return [
                    {**row, "intraday_margin": 20.0, "intraday_leverage": 5.0}
                    for row in self._rows
                    if row.get("segment") == f"{exchange}_EQ"
                ]
            case "MTF":
                return [row for row in self._rows if row.get("mtf_enabled")]
            case "global":
                return [row for row in self._rows if str(row.get("segment", "")).startswith("GLOBAL_")]
            case "suspended-instrument" | "mf-instruments":
                return []
        return None


def _pack(rows: Sequence[Row]) -> bytes:
    text = json.dumps([dict(row) for row in rows], ensure_ascii=False, separators=(",", ":"))
    return gzip.compress(text.encode(), mtime=0)


def _denied() -> web.Response:
    return web.Response(status=403, text=_REFUSED, content_type="application/xml")
