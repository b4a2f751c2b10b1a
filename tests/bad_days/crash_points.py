"""Every moment of the order path at which a process can be killed, read off the code itself.

A moment is the start, or the end, of an ``await``, of a write or sync of the journal, of a hand-over to another
thread, or of a call that puts bytes on the wire. Nothing is listed by hand: new code brings its own moments.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tradetui

PACKAGE = Path(tradetui.__file__).parent

NOT_ORDERS = {
    "auth": "logs in, before any order",
    "calendar_file": "reads sessions and holidays",
    "candles": "reads history",
    "decoder": "decodes market data",
    "errors": "words only",
    "feed": "the market data stream",
    "feed_columns": "decodes market data",
    "feed_marks": "decodes market data",
    "feed_rows": "decodes market data",
    "inquiries": "answers questions of people: margins, charges, addresses",
    "hosts": "addresses only",
    "instruments": "reads the instrument list",
    "key_budget": "the market data stream",
    "link": "opens sockets of streams; an order never goes through one",
    "master_rows": "reads the instrument list",
    "master_sync": "reads the instrument list",
    "oauth": "logs in, before any order",
    "master_ranks": "reads the instrument list",
    "master_search": "reads the instrument list",
    "past_bars": "reads history",
    "reads": "answers questions of people: quotes, holidays, addresses",
    "redact": "words only",
    "redirect": "logs in, before any order",
    "subscriptions": "the market data stream",
    "tokens": "logs in, before any order",
    "vault": "logs in, before any order",
}
"""Modules of the broker's edge that no order passes, and why. Whatever is not named here is searched."""

_WRITES = frozenset(
    {
        "write", "pwrite", "writev", "write_text", "fdatasync", "fsync", "ftruncate", "truncate", "replace",
        "rename", "pack_into",
    }
)  # fmt: skip
"""Calls after which something outlives the process; ``pack_into`` writes into a file that is mapped into memory."""
_HANDS_OVER = frozenset({"submit", "call_api", "append", "sync", "put", "call_soon_threadsafe"})


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """Where a process is killed.

    Attributes:
        file: Path inside the package.
        first, last: Lines of the statement.
        after: Killed when it is done, not before it begins.
        function: In which function, for people.
        what: ``await``, ``durable write``, ``hand-over``.
    """

    file: str
    first: int
    last: int
    after: bool
    function: str
    what: str

    def __str__(self) -> str:
        """Short words for a test's report."""
        return f"{'after' if self.after else 'before'} {self.what} {self.file}:{self.first} ({self.function})"


def durable() -> list[Path]:
    """Files that keep what a restart must know of orders: the journal, the lease, what is spent of the limits."""
    around = ["storage/lease.py", "wiring/journals.py", "brokers/upstox/spent.py"]
    return sorted([*PACKAGE.glob("journal/*.py"), *(PACKAGE / name for name in around)])


def order_path() -> list[Path]:
    """Files that an order passes on its way out, and its answer on its way in."""
    edge = {path for path in (PACKAGE / "brokers" / "upstox").glob("*.py") if path.stem not in NOT_ORDERS}
    return sorted({*edge, *durable(), PACKAGE / "runtime" / "pump.py"})


def moments() -> list[Moment]:
    """Every moment, in the order of the code."""
    found: set[Moment] = set()
    keeping = durable()
    for path in order_path():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        name = path.relative_to(PACKAGE).as_posix()
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for first, last, what in _in(function, keeps=path in keeping):
                    found |= {
                        Moment(name, first, last, after, function.name, what) for after in (False, True)
                    }
    return sorted(found)


def _in(function: ast.FunctionDef | ast.AsyncFunctionDef, *, keeps: bool) -> Iterator[tuple[int, int, str]]:
    for statement in _own_statements(function):
        header = _header(statement)
        what = _kind(statement, header, keeps=keeps)
        if what:
            last = max(getattr(node, "end_lineno", statement.lineno) for node in header)
            yield statement.lineno, last, what


def _own_statements(function: ast.AST) -> Iterator[ast.stmt]:
    """Statements of a function, not those of functions inside it."""
    for child in ast.iter_child_nodes(function):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(child, ast.stmt):
            yield child
        yield from _own_statements(child)


def _header(statement: ast.stmt) -> list[ast.AST]:
    """The part of a statement that runs before its body: of a ``with``, its items; of a plain one, all of it."""
    if isinstance(statement, ast.With | ast.AsyncWith):
        return [item.context_expr for item in statement.items]
    if isinstance(statement, ast.For | ast.AsyncFor):
        return [statement.iter]
    if isinstance(statement, ast.If | ast.While):
        return [statement.test]
    if isinstance(statement, ast.Match):
        return [statement.subject]
    if isinstance(statement, ast.Try):
        return []
    return [statement]


def _kind(statement: ast.stmt, header: list[ast.AST], *, keeps: bool) -> str:
    if isinstance(statement, ast.AsyncWith | ast.AsyncFor):
        return "await"
    inside = [node for part in header for node in ast.walk(part)]
    if any(isinstance(node, ast.Await) for node in inside):
        return "await"
    called = {
        node.func.attr
        for node in inside
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    # `getattr(os, "fdatasync", ...)` counts as well.
    called |= {
        node.value for node in inside if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    if keeps and called & _WRITES:
        return "durable write"
    if not keeps and called & _HANDS_OVER and _crosses(inside):
        return "hand-over"
    return ""


def _crosses(inside: list[ast.AST]) -> bool:
    """Whether a call hands something to the broker, the journal, a worker thread, or the wire; lists do not count."""
    crossing = {"_broker", "_journal", "workers", "client", "_jobs"}
    for node in inside:
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in _HANDS_OVER
        ):
            if node.func.attr in ("submit", "call_api"):
                return True
            owner = node.func.value
            name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            if name in crossing:
                return True
    return False
