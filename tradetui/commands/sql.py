"""``tradetui sql``: one SELECT on what is stored, answered by the running engine, else from the files."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tradetui import config
from tradetui.commands.output import form_of, show
from tradetui.control.client import NotRunning, ask
from tradetui.domain.errors import UsageError

_LONGEST: Final = 100_000


@dataclass(frozen=True, slots=True)
class SqlOptions:
    """Flags of ``tradetui sql``; see `data_table.sql`."""

    statement: str = ""
    most: int = 1000
    seconds: float = 20.0
    account: str = ""
    home: str | None = None
    as_json: bool = False
    as_csv: bool = False


def run_sql(options: SqlOptions) -> int:
    """Ask and print; returns the exit code.

    Raises:
        UsageError: It is not one SELECT, or the database refuses it.
        StorageError: The files cannot be opened.
    """
    form = form_of(as_json=options.as_json, as_csv=options.as_csv)
    place = config.home(options.home)
    text = sys.stdin.read(_LONGEST) if options.statement == "-" else options.statement
    if options.statement == "-" and not text.strip():
        raise UsageError("no statement on standard input")
    args = {"statement": text, "most": options.most, "seconds": options.seconds}
    data = _answer(place, options, args)
    if not text.strip() and form == "table":
        _print_tables(data)
        return 0
    show(data, form, data["columns"], "no rows")
    if data["more"] and form != "json":
        print(f"(there are more than {options.most} rows: --rows, or `tradetui export`)", file=sys.stderr)
    return 0


def _answer(place: config.Home, options: SqlOptions, args: Mapping[str, Any]) -> Mapping[str, Any]:
    if not options.account:
        try:
            return ask(place.data_dir, "sql", args, options.seconds + 10.0)
        except NotRunning:
            pass
    from tradetui.commands.past import select
    from tradetui.commands.stored import account_folder
    from tradetui.storage.questions import files_of

    folder = account_folder(place, options.account)
    with files_of(folder) as past:
        return {"source": "files", "account": folder.name, **select(past, args)}


def _print_tables(data: Mapping[str, Any]) -> None:
    for row in data["rows"]:
        print(f"{row['table']} ({row['database']}): {row['about']}")
        print(f"    {row['columns']}")
