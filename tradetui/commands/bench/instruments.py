"""``bench instruments``: search as you type over a list as long as the broker's, and what a new list costs.

The list is made up, so that the figures need no network and compare from run to run. Processor time is measured: a
busy machine lengthens the wait for an answer, not the work.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date, datetime
from datetime import time as wall_time
from itertools import islice
from pathlib import Path
from typing import Any, Final

from tradetui.commands.bench import BenchOptions
from tradetui.commands.bench.report import Result
from tradetui.domain.calendar import IST

COUNT: Final = 127_000
"""Entries of the broker's list (118,000 to 127,000 in 2025 and 2026)."""
DAY: Final = date(2026, 11, 20)
LIMITS: Final = {"key_worst_ms": 5.0}
"""What the figures must not exceed."""

TYPED: Final = (
    "nifty 26000 ce", "reliance fut dec", "banknifty pe", "abc motors", "united bank", "share77 900 pe",
    "option call nifty", "gold", "silver 90000 ce", "s", "g", "2", "x", "equity", "india ltd", "ine0",
)  # fmt: skip
"""What is typed, one key after the other."""

_EXPIRIES: Final = (date(2026, 11, 23), date(2026, 12, 1), date(2026, 12, 29), date(2027, 1, 28))
_TRADES: Final = ("MOTORS", "BANK", "STEEL", "PHARMA", "POWER", "FINANCE", "CEMENT", "TEXTILES")
_NAMES: Final = ("ABC", "UNITED", "BHARAT", "ORIENT", "SUN", "GREAT", "NEW", "INDIA", "EAST", "SILVER")
_CHAINS: Final = (
    # segment, root, underlying, number of expiries, middle strike, step, strikes each side
    ("NSE_FO", "NIFTY", "NSE_INDEX|Nifty 50", 4, 26_000, 50, 120),
    ("NSE_FO", "BANKNIFTY", "NSE_INDEX|Nifty Bank", 2, 59_000, 100, 150),
    ("BSE_FO", "SENSEX", "BSE_INDEX|SENSEX", 4, 85_000, 100, 120),
    ("MCX_FO", "GOLD", "", 4, 170_000, 100, 1_400),
    ("MCX_FO", "SILVER", "", 4, 400_000, 250, 1_500),
)


def made_up_rows(count: int = COUNT) -> Iterator[dict[str, Any]]:
    """Rows of a list in the broker's shape: indices, chains as long as the real ones, shares with derivatives, debt."""
    yield from islice(_rows(), count)


def _rows() -> Iterator[dict[str, Any]]:
    for number, (symbol, name) in enumerate((("NIFTY", "Nifty 50"), ("BANKNIFTY", "Nifty Bank"))):
        yield {
            "segment": "NSE_INDEX", "exchange": "NSE", "instrument_key": f"NSE_INDEX|{name}", "name": name,
            "instrument_type": "INDEX", "trading_symbol": symbol, "exchange_token": str(26_000 + number),
        }  # fmt: skip
    token = 1_000
    for segment, root, underlying, expiries, middle, step, side in _CHAINS:
        for expiry in _EXPIRIES[:expiries]:
            yield _contract(segment, root, underlying, token, expiry, "FUT", 0)
            token += 1
            for strike in range(middle - side * step, middle + side * step + 1, step):
                for kind in ("CE", "PE"):
                    yield _contract(segment, root, underlying, token, expiry, kind, strike)
                    token += 1
    number = 0
    while True:
        number += 1
        symbol = "RELIANCE" if number == 1 else f"SHARE{number}"
        isin = f"INE{number:06d}"[:9] + "011" if number < 1_000_000 else ""
        name = f"{_NAMES[number % 10]} {_TRADES[number % 8]} {number} LTD"
        yield _share(symbol, isin, name, number)
        if number <= 200:
            for expiry in _EXPIRIES[:3]:
                yield _contract("NSE_FO", symbol, f"NSE_EQ|{isin}", token, expiry, "FUT", 0)
                token += 1
                for strike in range(600, 1_401, 10):
                    for kind in ("CE", "PE"):
                        yield _contract("NSE_FO", symbol, f"NSE_EQ|{isin}", token, expiry, kind, strike)
                        token += 1


def _share(symbol: str, isin: str, name: str, number: int) -> dict[str, Any]:
    return {
        "segment": "NSE_EQ", "exchange": "NSE", "instrument_key": f"NSE_EQ|{isin}", "isin": isin,
        "instrument_type": "EQ" if number % 4 else "SG", "trading_symbol": symbol, "name": name, "lot_size": 1,
        "freeze_quantity": 100_000.0, "tick_size": 5.0, "exchange_token": str(number), "qty_multiplier": 1.0,
        "short_name": name.title(), "security_type": "NORMAL",
    }  # fmt: skip


def _contract(
    segment: str, root: str, underlying: str, token: int, expiry: date, kind: str, strike: int
) -> dict[str, Any]:
    label = expiry.strftime("%d %b %y").upper()
    middle = "FUT" if kind == "FUT" else f"{strike} {kind}"
    end = datetime.combine(expiry, wall_time(23, 59, 59), IST)
    return {
        "segment": segment, "exchange": segment.partition("_")[0], "instrument_key": f"{segment}|{token}",
        "instrument_type": kind, "name": root, "trading_symbol": f"{root} {middle} {label}",
        "expiry": int(end.timestamp() * 1000), "lot_size": 65, "minimum_lot": 65, "freeze_quantity": 1_800.0,
        "tick_size": 5.0, "strike_price": float(strike), "qty_multiplier": 1.0, "exchange_token": str(token),
        "underlying_symbol": root, "underlying_key": underlying, "weekly": False,
    }  # fmt: skip


def typed_keys() -> Iterator[str]:
    """What stands in the search field after each key."""
    for text in TYPED:
        yield from (text[:length] for length in range(1, len(text) + 1))


def key_costs(search: Callable[[str], object], rounds: int = 3) -> dict[str, float]:
    """Processor time of each key, ms: the least of some rounds, so that a neighbour's burst does not count."""
    costs: dict[str, float] = {}
    for text in typed_keys():
        spent = []
        for _ in range(rounds):
            began = time.process_time_ns()
            search(text)
            spent.append((time.process_time_ns() - began) / 1e6)
        costs[text] = min(spent)
    return costs


def bench(_options: BenchOptions) -> Result:
    """Run the benchmark."""
    from tradetui.brokers.upstox.instruments import Master
    from tradetui.brokers.upstox.master_rows import parse_rows, split_rows
    from tradetui.storage.listings import write_listings

    result = Result("instruments", limits=dict(LIMITS))
    levels = {"NSE_INDEX|Nifty 50": 261_200_000, "NSE_INDEX|Nifty Bank": 590_000_000}
    with tempfile.TemporaryDirectory(prefix="tradetui-bench-") as folder:
        text = json.dumps(list(made_up_rows()))
        began = time.process_time()
        rows = json.loads(text)
        result.bounds["json_loads_s"] = time.process_time() - began
        began = time.process_time()
        path = Path(folder) / "list.sqlite"
        Master.build(parse_rows(split_rows(text)), DAY, path).close()
        result.figures["list_s"] = time.process_time() - began
        began = time.process_time()
        master = Master.open(path)
        result.figures["open_ms"] = (time.process_time() - began) * 1e3
        began = time.process_time()
        write_listings(Path(folder) / "list.duckdb", master.rows(), DAY)
        result.figures["table_s"] = time.process_time() - began
        costs = sorted(key_costs(lambda keys: master.search(keys, 20, levels=levels.get)).values())
        master.close()
        result.figures["instruments"] = float(len(rows))
        result.figures["list_mb"] = path.stat().st_size / 2**20
    result.figures["key_p50_ms"] = costs[len(costs) // 2]
    result.figures["key_p95_ms"] = costs[int(len(costs) * 0.95)]
    result.figures["key_worst_ms"] = costs[-1]
    names = [f"{row['trading_symbol']} {row['name']}".lower() for row in rows]

    def scan(keys: str) -> list[str]:
        words = keys.split()
        return [name for name in names if all(word in name for word in words)][:20]

    result.bounds["scan_key_p50_ms"] = sorted(key_costs(scan, 1).values())[len(costs) // 2]
    return result
