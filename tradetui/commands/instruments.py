"""`tradetui instruments`: the list of the day from the last good file, without network and beside a running engine."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from tradetui.commands.output import form_of, show
from tradetui.commands.shared import NO_URLS, Flags, Setting, prepare
from tradetui.domain.calendar import CalendarUnknown, ist_date, segment_of
from tradetui.domain.errors import StorageError, UnknownInstrument, UsageError
from tradetui.domain.instrument import Instrument, InstrumentKind
from tradetui.domain.money import SCALE
from tradetui.domain.price_rules import TRADE_TO_TRADE

if TYPE_CHECKING:
    from tradetui.brokers.upstox.hosts import Hosts
    from tradetui.brokers.upstox.instruments import Master
    from tradetui.brokers.upstox.master_sync import MasterFile

_FOUND: Final = ("symbol", "name", "segment", "series", "expiry", "strike", "lot_size", "tick_size", "key")
_CHAIN: Final = ("ce", "ce_symbol", "strike", "pe_symbol", "pe")

SERIES: Final = {
    # `india-markets.md` 2.1
    "EQ": "rolling settlement", "BE": "trade for trade", "BZ": "trade for trade, not compliant",
    "SM": "SME board", "ST": "SME board, trade for trade", "SZ": "SME board, trade for trade, not compliant",
    "T0": "settles on the same day", "IV": "infrastructure trust (InvIT)", "RR": "real-estate trust (REIT)",
    "GB": "gold bond", "GS": "government security", "SG": "state loan", "TB": "treasury bill", "BL": "block window",
}  # fmt: skip
"""What a series of NSE means."""


@dataclass(frozen=True, slots=True)
class Where:
    """Which list is asked, for which day, and how the answer looks; see `commands.instruments_table`."""

    home: str | None = None
    urls: Flags = NO_URLS
    on: date | None = None
    as_json: bool = False
    as_csv: bool = False

    @property
    def form(self) -> str:
        """``json``, ``csv`` or ``table``."""
        return form_of(as_json=self.as_json, as_csv=self.as_csv)


@dataclass(frozen=True, slots=True)
class _Asked:
    setting: Setting
    file: MasterFile
    master: Master
    on: date


def run_sync(where: Where, *, force: bool, as_json: bool) -> int:
    """Fetch the list if it changed; returns the exit code: 1 when the last good one had to do.

    Raises:
        TradeTuiError: There is none, and none could be had.
    """
    setting = prepare(where.home)
    file = _file(setting, _hosts(setting, where.urls))
    result = file.sync(ist_date(time.time_ns()), force=force)
    with _closing(result.master) as master:
        data: dict[str, Any] = {
            "fresh": result.fresh,
            "changed": result.changed,
            "message": result.message,
            "instruments": len(master),
            "day": master.on.isoformat(),
            "segments": master.counts(),
            "path": str(file.path),
            "table": str(file.table),
        }
    if as_json:
        print(json.dumps(data))
    else:
        print(result.message)
        for segment, count in data["segments"].items():
            print(f"  {segment:12} {count:>8,}")
    return 0 if result.fresh else 1


def run_search(where: Where, text: str, limit: int, segment: str, at: float | None) -> int:
    """Find instruments; returns the exit code: 1 when nothing matches.

    Raises:
        TradeTuiError: There is no list.
    """
    form = where.form
    level = round(at * SCALE) if at is not None else None
    with _asked(where) as asked:
        wanted = segment.upper()
        # A segment is picked among more matches: search ranks all of them together.
        most = limit if not wanted else limit * 50
        levels = None if level is None else lambda _: level
        found = asked.master.search(text, most, asked.on, levels)
        rows = [_row(one) for one in found if not wanted or one.segment == wanted][:limit]
    show(
        {"source": "files", "list": asked.master.on.isoformat(), "rows": rows},
        form,
        _FOUND,
        "nothing matches",
    )
    return 0 if rows else 1


def run_show(where: Where, text: str) -> int:
    """Every term of one instrument; returns the exit code.

    Raises:
        TradeTuiError: There is no list, or no such instrument in it.
    """
    form = where.form
    with _asked(where) as asked:
        one = asked.master.by_symbol(text, on=asked.on)
        data = {**_row(one), **_terms(one), **_marks(asked, one), **_hours(asked, one), **_past(asked, one)}
    show({"rows": [data]} if form == "csv" else data, form, tuple(data))
    return 0


def run_chain(where: Where, text: str, expiry: date | None) -> int:
    """Strikes of one expiry; returns the exit code.

    Raises:
        TradeTuiError: There is no list, or no options on that.
    """
    form = where.form
    with _asked(where) as asked:
        contracts = _contracts(asked, text)
        options = [one for one in contracts if one.is_option]
        if not options:
            raise UnknownInstrument(f"no options on {text!r}", "try `tradetui instruments search`")
        expiries = sorted({one.expiry for one in options if one.expiry is not None})
        chosen = expiry or expiries[0]
        if chosen not in expiries:
            known = ", ".join(day.isoformat() for day in expiries)
            raise UsageError(f"no options on {text} expire on {chosen}", f"there are: {known}")
        rows = _strikes([one for one in options if one.expiry == chosen])
        futures = [one for one in contracts if one.kind is InstrumentKind.FUTURE]
        data: dict[str, Any] = {
            "source": "files",
            "list": asked.master.on.isoformat(),
            "underlying": options[0].underlying_key,
            "expiry": chosen.isoformat(),
            "expiries": [day.isoformat() for day in expiries],
            "futures": [
                {"key": one.key, "symbol": one.symbol, "expiry": _iso(one.expiry)} for one in futures
            ],
            "rows": rows,
        }
    show(data, form, _CHAIN)
    if form == "table":
        print(f"expiries: {', '.join(data['expiries'])}", file=sys.stderr)
    return 0


# ---- where the list is ---------------------------------------------------------------------------------------


def _hosts(setting: Setting, urls: Flags) -> Hosts:
    from tradetui.brokers.upstox.hosts import LIVE

    return setting.hosts(urls) or LIVE


def _file(setting: Setting, hosts: Hosts) -> MasterFile:
    from tradetui.brokers.upstox.master_sync import MasterFile

    return MasterFile(setting.place.data_dir / "instruments", hosts)


@contextmanager
def _asked(where: Where) -> Iterator[_Asked]:
    """The last good list, open for reading. Without one of the broker's, a simulator's has to do, and that is said."""
    setting = prepare(where.home)
    hosts = _hosts(setting, where.urls)
    file = _file(setting, hosts)
    master = file.load()
    if master is None and setting.hosts(where.urls) is None:
        from tradetui.brokers.upstox.hosts import Hosts

        local = "http://127.0.0.1:1"
        file = _file(setting, Hosts(local, local, "ws://127.0.0.1:1", local))
        master = file.load()
        if master is not None:
            print("(no list of the broker yet: this is the simulator's)", file=sys.stderr)
    if master is None:
        raise StorageError("there is no instrument list yet", "fetch it: tradetui instruments sync")
    with _closing(master):
        # A simulated exchange has days of its own: its list says for which day it is.
        today = ist_date(time.time_ns()) if "simulator" not in file.path.name else master.on
        yield _Asked(setting, file, master, where.on or today)


@contextmanager
def _closing(master: Master) -> Iterator[Master]:
    try:
        yield master
    finally:
        master.close()


def _contracts(asked: _Asked, text: str) -> list[Instrument]:
    """Living contracts on what a symbol or key names; of a contract, those on the same underlying."""
    if "|" in text:
        one = asked.master.by_key(text)
        return asked.master.derivatives_of(one.underlying_key if one.is_derivative else one.key, asked.on)
    found = asked.master.contracts_on(text, asked.on)
    if not found:
        one = asked.master.by_symbol(text, on=asked.on)
        found = asked.master.derivatives_of(one.underlying_key if one.is_derivative else one.key, asked.on)
    return found


# ---- words ---------------------------------------------------------------------------------------------------


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day is not None else None


def _rupees(money: int | None) -> float | None:
    return money / SCALE if money is not None else None


def _row(one: Instrument) -> dict[str, Any]:
    return {
        "symbol": one.symbol, "name": one.name, "segment": one.segment, "exchange": one.exchange,
        "kind": one.kind.value, "series": one.series, "expiry": _iso(one.expiry), "strike": _rupees(one.strike),
        "lot_size": one.lot_size, "tick_size": _rupees(one.tick_size), "key": one.key,
    }  # fmt: skip


def _terms(one: Instrument) -> dict[str, Any]:
    return {
        "short_name": one.short_name, "isin": one.isin, "exchange_token": one.exchange_token,
        "underlying_key": one.underlying_key, "freeze_qty": one.freeze_qty, "max_order_qty": one.max_order_qty,
        "multiplier": one.multiplier, "quote_unit": one.quote_unit, "weekly": one.weekly,
        "tradable": one.tradable,
    }  # fmt: skip


def _marks(asked: _Asked, one: Instrument) -> dict[str, Any]:
    """Series, surveillance and the like: from the list itself, and from the dated lists where there are any."""
    from tradetui.domain.lists import settles_trade_by_trade
    from tradetui.storage.lists import read_lists

    lists = read_lists(asked.setting.place.data_dir / "lists", asked.on)
    watched = lists.watched(one)
    by_stage = bool(watched) and settles_trade_by_trade(watched or "")
    share = one.kind is InstrumentKind.EQUITY
    return {
        "series_words": SERIES.get(one.series, "") if one.segment == "NSE_EQ" else "",
        "security_type": one.security_type,
        "trade_for_trade": share and (one.series in TRADE_TO_TRADE or by_stage),
        "closing_auction": one.cas_eligible,
        "margin_funding": one.mtf,
        # None: there is no such list at hand, so nobody knows (docs/reference/lists.md).
        "surveillance": watched if share else None,
        "fo_ban": lists.banned(one) if one.is_derivative else None,
        "intraday_allowed": lists.takes_intraday(one) if share else None,
    }


def _hours(asked: _Asked, one: Instrument) -> dict[str, Any]:
    """Class of hours, and how long a contract has to live."""
    from tradetui.domain.calendar import days_to_expiry
    from tradetui.domain.calendar.layers import hours_words
    from tradetui.wiring.calendars import usable_calendar

    calendar = usable_calendar(asked.setting.place, asked.setting.config, _hosts(asked.setting, NO_URLS))
    out: dict[str, Any] = {"session_class": None, "hours": None, "trading_days_left": None}
    try:
        segment = segment_of(calendar, one, asked.on)
        out["session_class"] = segment.value
        out["hours"] = hours_words(calendar, segment, asked.on)
        if one.expiry is not None:
            out["trading_days_left"] = days_to_expiry(calendar, one, asked.on)
    except (CalendarUnknown, ValueError):
        pass
    return out


def _past(asked: _Asked, one: Instrument) -> dict[str, Any]:
    """What the lists of earlier days said of the key, and which names it bore."""
    from tradetui.storage.listings import read_listings

    former = [
        {"name": was.name, "until": was.until.isoformat()} for was in asked.master.former_names(one.key)
    ]
    states = [
        {
            "symbol": state.symbol, "series": state.series, "lot_size": state.lot_size,
            "tick_size": _rupees(state.tick_size), "freeze_qty": state.freeze_qty, "expiry": _iso(state.expiry),
            "first_day": state.first_day.isoformat(), "last_day": _iso(state.last_day),
        }
        for state in read_listings(asked.file.table, one.key)
    ]  # fmt: skip
    return {"former_names": former, "listings": states}


def _strikes(options: list[Instrument]) -> list[dict[str, Any]]:
    rows: dict[int, dict[str, Any]] = {}
    for one in options:
        row = rows.setdefault(
            one.strike or 0,
            {"strike": _rupees(one.strike), "ce": None, "pe": None, "ce_symbol": None, "pe_symbol": None,
             "lot_size": one.lot_size, "tick_size": _rupees(one.tick_size)},
        )  # fmt: skip
        side = "ce" if one.kind is InstrumentKind.CALL else "pe"
        row[side], row[f"{side}_symbol"] = one.key, one.symbol
    return [rows[strike] for strike in sorted(rows)]
