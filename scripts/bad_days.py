"""The catalogue of bad days, and the page that is made of it and of the tests that name its cases.

A test names its cases at the start of its name: ``test_o13_...``, ``test_R1_R3_...``, ``test_property_windows_...``. What a user
sees is the ``Seen:`` part of a docstring. `tests/bad_days/test_catalogue.py` fails when a case has no test or nobody says what is
seen.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parent.parent
_CASES = re.compile(r"^test_((?:[ofr]\d{1,2}_)+)", re.IGNORECASE)
_SET = re.compile(r"^test_[TPL]_")
_PROPERTY = re.compile(r"^test_property_([a-z]+)_")

CASES: Final[dict[str, tuple[str, str]]] = {
    "O1": ("the acknowledgement never comes; the broker has the order open", "adopted by its tag; one order"),
    "O2": ("the same, and it filled meanwhile", "the fill is booked once; the position is right"),
    "O3": (
        "the same, and the broker never got it",
        "unknown until the book proves absence; sent again only by you",
    ),
    "O4": ("empty body, HTML body, null data or 502, order accepted", "as O1, never called rejected"),
    "O5": (
        "names do not resolve for ten minutes after an acknowledgement",
        "nothing is dropped; reconciled after",
    ),
    "O6": ("the fill is pushed before the acknowledgement", "one order, one fill"),
    "O7": ("duplicate, swapped and older pushes", "change nothing"),
    "O8": ("one push with a fill is missing while heartbeats go on", "the poll repairs it within seconds"),
    "O9": ("a partial fill, a modify under way, then a fill", "the quantities add up"),
    "O10": ("a cancel is refused because the order filled", "shown as filled"),
    "O11": (
        "a stop is cancelled and replaced",
        "no gap longer than the measured one; if the new one fails, emergency exit",
    ),
    "O12": ("the exit fills while its stop is made anew", "no reverse position"),
    "O13": ("the send key is held, or pressed twenty times in 300 ms", "one order"),
    "O14": ("a phone places, modifies, cancels on the same account", "seen, adopted, shown as foreign"),
    "O15": ("of five slices the third is refused", "the first two stand, the rest is stopped and said"),
    "O16": ("the broker squares off at its cut-off", "booked as the broker's exit"),
    "O17": ("a GTT triggers while we are away", "found at the start"),
    "O18": ("the kill switch is pulled at the broker's side", "shown; trading stops"),
    "O19": (
        "a library would resend a modify or cancel on a dropped connection",
        "never: one request is counted",
    ),
    "O20": (
        "a write is refused: static address, token, service hours, rate",
        "its own words and remedy; nothing is repeated",
    ),
    "O21": (
        "an unknown word or a missing field in one row of the book",
        "the other rows are kept, the odd one is shown raw",
    ),
    "O22": (
        "the exchange cancels resting stops at the closing auction",
        "seen; listed as naked; protected again or closed",
    ),
    "O23": (
        "a future's order outside the new price band is cancelled by the exchange",
        "seen, said, not sent again by itself",
    ),
    "O24": ("a stop-limit triggers and does not fill", "chased or escalated; never shown as protected"),
    "O25": ("stop and target race", "one fills; the other is gone before it can open a reverse position"),
    "R1": (
        "SIGKILL at every await and every durable write of submit, modify, cancel",
        "ledger and exchange agree; nothing doubled or lost",
    ),
    "R2": ("started twice on one data directory", "the second says who holds it and ends"),
    "R3": ("open orders that fills do not explain", "kept"),
    "R4": ("daily loss, trade counts, locks, cooldowns", "survive a restart and a flat book"),
    "R5": (
        "the journal is cut at any byte, or bytes are flipped",
        "found; all before it intact; what a clean cut hides, reconciliation finds",
    ),
    "R6": (
        "disk full, EIO, a sync that fails",
        "new risk stops; the book stays right; it says so and goes on when space returns",
    ),
    "R7": (
        "yesterday's token, 03:25, and across 03:30",
        "a clear login prompt without restart; no order is tried",
    ),
    "R8": ("positions over night", "average price and product are kept"),
    "F1": (
        "frames stop while pings and pongs go on",
        "an alarm in open hours only; REST tells whose fault it is; no storm of reconnects when the market is shut",
    ),
    "F2": ("the feed stalls without pongs, or drops", "back within seconds"),
    "F3": (
        "the feed reconnects",
        "every subscription in every mode again, inside the limits, with a fresh authorisation each time",
    ),
    "F4": ("the snapshot after a reconnect", "replaces the book; no ghost levels"),
    "F5": ("frames were missed", "the bars are marked, and mended with the broker's own"),
    "F6": ("senseless numbers, unknown words, broken frames", "no crash; counted; the last good value stays"),
    "F7": (
        "a new subscription is answered with a quote out of a cache",
        "as old as its last trade: a MARKET order is refused",
    ),
    "F8": (
        "a burst of 50,000 frames",
        "memory stays bounded; drops are counted and shown; orders go as before",
    ),
    "F9": ("the clock steps by two hours in mid-session", "timers, bars and ages stay right"),
    "F10": ("token revoked in mid-stream; 401, 403, 423, 429", "each its own behaviour"),
    "F11": (
        "the day's volume comes in two steps, frames come twice or in the wrong order",
        "volume never counts twice and is never negative",
    ),
    "F12": (
        "prices of the pre-open, the closing auction and after the close",
        "never a last price for stops, targets or bars",
    ),
}
"""Case -> what happens, what must hold."""

SETS: Final[dict[str, str]] = {
    "T_minutes": "the right number of one-minute bars for the date and the segment",
    "T_last_30_minute_bar": "the last half-hour bar of a session that is no multiple of it",
    "T_derivatives_close": "derivatives close at 15:40",
    "T_muhurat": "Muhurat trading",
    "T_weekend": "sessions on a weekend",
    "T_mcx": "the evening of the commodity exchange",
    "T_implied_volatility": "implied volatility at 15:29 of an expiry day",
    "T_holiday_shifted_expiry": "an expiry that a holiday moves",
    "P_streaming": "an indicator fed bar by bar says what it says of the whole series",
    "P_live_bars": "live bars are the bars rebuilt from the stored ticks",
    "P_a_paper_run": "a paper run of a recorded day is its replay, to the hash of its orders",
    "P_lookahead": "what was said does not change when the future is cut off",
    "P_warmup": "no value before an indicator is warm, and one from then on",
    "L_eight_hours": "eight simulated hours with the screen painting: memory and handles stay flat",
    "L_a_hundred": "a hundred replays in one process: memory stays flat",
    "L_a_day_and_a_night": "a whole simulated day, across the change of tokens at 03:30",
}
"""Beginning of test names (``test_T_minutes_...``) -> what holds of time (T), of sameness (P) and of long runs (L)."""

PROPERTIES: Final[dict[str, str]] = {
    "sum": "a position is the sum of its fills, in any order and with any duplication",
    "net": "gross less charges is net",
    "reconcile": "reconciliation converges in one pass, and the second changes nothing",
    "replay": "the journal read back is the live state",
    "roundtrip": "what is written to the broker or the disk comes back equal",
    "windows": "the governor never exceeds a window",
    "limits": "no order leaves while a limit is breached",
    "unknown": "an unknown outcome is left only with evidence",
    "review": "no sequence of keys sends an order that adds risk without a painted review",
    "arming": "cancels, exits, kill and running stops never need arming",
    "inert": "text from outside never acts on the terminal",
}
"""Name in test names -> what holds for every input."""


@dataclass(slots=True)
class Found:
    """Tests of one case.

    Attributes:
        tests: File and name of each.
        seen: What the user sees, in the words of the docstrings.
    """

    tests: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)


def found(root: Path = ROOT) -> dict[str, Found]:
    """Every case and property, with the tests that name it."""
    out = {name: Found() for name in (*CASES, *PROPERTIES)}
    for path in sorted((root / "tests").rglob("test_*.py")):
        for name, doc in _tests(path):
            for case in cases_of(name):
                one = out.setdefault(case, Found())
                one.tests.append(f"{path.relative_to(root / 'tests').as_posix()}::{name}")
                seen = seen_in(doc)
                if seen and seen not in one.seen:
                    one.seen.append(seen)
    return out


def cases_of(name: str) -> list[str]:
    """Cases that a test's name names."""
    some = _PROPERTY.match(name)
    if some:
        return [some[1]]
    listed = _CASES.match(name)
    return [case.upper() for case in listed[1].strip("_").split("_")] if listed else []


def seen_in(doc: str) -> str:
    """What a docstring says the user sees; empty when it does not."""
    _, mark, rest = doc.partition("Seen:")
    return " ".join(rest.split("\n\n")[0].split()) if mark else ""


def _tests(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.name, ast.get_docstring(node) or ""


def rows() -> list[list[str]]:
    """The page's table of cases: id, what happens, what must hold, what is seen."""
    tests = found()
    return [
        [case, what, holds, " ".join(seen[:1].upper() + seen[1:] for seen in tests[case].seen)]
        for case, (what, holds) in CASES.items()
    ]


def set_tests(root: Path = ROOT) -> dict[str, list[str]]:
    """Beginning of a name in `SETS` -> the tests whose names begin so; all others of T, P and L under an empty one."""
    out: dict[str, list[str]] = {name: [] for name in (*SETS, "")}
    for path in sorted((root / "tests").rglob("test_*.py")):
        for name, _ in _tests(path):
            if not _SET.match(name):
                continue
            which = next((known for known in SETS if name.startswith(f"test_{known}")), "")
            out[which].append(name)
    return out


def set_rows() -> list[list[str]]:
    """The page's table of time, sameness and long runs: what holds, and the tests."""
    tests = set_tests()
    return [[words, ", ".join(f"`{one}`" for one in tests[name])] for name, words in SETS.items()]


def property_rows() -> list[list[str]]:
    """The page's table of properties: what holds, and the tests."""
    tests = found()
    return [
        [words, ", ".join(f"`{one.rpartition('::')[2]}`" for one in tests[name].tests)]
        for name, words in PROPERTIES.items()
    ]
