"""``tradetui export``: stored rows as Parquet, CSV or Arrow, from the running engine, else from the files."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tradetui import config
from tradetui.control.client import NotRunning, ask
from tradetui.domain.calendar import IST
from tradetui.domain.errors import StorageError, UsageError
from tradetui.storage import exports
from tradetui.storage.exports import FORMATS, KINDS, SUFFIXES, Wanted

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """Flags of ``tradetui export``; see `data_table.export`."""

    what: str
    out: str = "-"
    form: str = ""
    symbols: tuple[str, ...] = ()
    interval: str = ""
    first: datetime | None = None
    last: datetime | None = None
    force: bool = False
    account: str = ""
    home: str | None = None
    as_json: bool = False


def run_export(options: ExportOptions) -> int:
    """Write what was asked for; returns the exit code.

    Raises:
        UsageError: It makes no sense.
        StorageError: The files cannot be opened or written.
    """
    if options.what == "list":
        rows = [{"what": name, "about": kind.about} for name, kind in KINDS.items()]
        for row in rows if not options.as_json else ():
            print(f"{row['what']:12} {row['about']}")
        if options.as_json:
            print(json.dumps({"rows": rows}))
        return 0
    form, path = _target(options)
    wanted = Wanted(
        options.what, options.symbols, options.interval, _us(options.first), _us(options.last, upto=True)
    )
    wanted.check()
    place = config.home(options.home)
    with _rows(place, options, wanted) as (reader, source):
        if path is None:
            count = exports.write_stream(reader, sys.stdout.buffer, form, piped=True)
            sys.stdout.buffer.flush()
            size = 0
        else:
            count, size = exports.write_file(reader, path, form, replace=options.force)
    found = {**source, "what": options.what, "format": form, "rows_written": count}
    if path is None:
        print(f"({count} rows)", file=sys.stderr)
    elif options.as_json:
        print(json.dumps({**found, "path": str(path), "bytes": size}))
    else:
        print(f"{count} rows, {size / 2**20:.1f} MiB: {path}")
    return 0


def _target(options: ExportOptions) -> tuple[str, Path | None]:
    path = None if options.out == "-" else Path(options.out).expanduser()
    form = options.form or (SUFFIXES.get(path.suffix.lower(), "") if path else "csv")
    if not form:
        raise UsageError(
            f"no format is known for {path.name if path else ''!r}",
            "end the name in .parquet, .csv or .arrow, or give --format",
        )
    if form not in FORMATS:
        raise UsageError(f"no format {form[:20]!r}", f"known: {', '.join(FORMATS)}")
    if path is None:
        if options.as_json:
            raise UsageError("--json tells about a file: give --out")
        if form != "csv" and sys.stdout.isatty():
            raise UsageError(f"{form} is not for a terminal", "give --out FILE, or pipe it on")
    elif path.exists() and not options.force:
        raise UsageError(f"{path} is there already", "give another name, or --force")
    elif not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}")
    return form, path


def _us(moment: datetime | None, *, upto: bool = False) -> int:
    """Wall-clock time, IST, as epoch microseconds; a day given as the end counts whole. 0 for none."""
    if moment is None:
        return 0
    if upto and (moment.hour, moment.minute, moment.second) == (0, 0, 0):
        moment += timedelta(days=1)
    return round(moment.replace(tzinfo=IST).timestamp()) * 1_000_000


@contextlib.contextmanager
def _rows(
    place: config.Home, options: ExportOptions, wanted: Wanted
) -> Iterator[tuple[pa.RecordBatchReader, dict[str, Any]]]:
    """The rows, and where they come from: the running engine hands them over in a file."""
    answer: dict[str, Any] | None = None
    if not options.account:
        args = {
            "kind": wanted.kind,
            "symbols": list(wanted.symbols),
            "interval": wanted.interval,
            "first_us": wanted.first_us,
            "last_us": wanted.last_us,
        }
        with contextlib.suppress(NotRunning):
            answer = ask(place.data_dir, "export", args, exports.TIME_S + 10.0)
    if answer is None:
        from tradetui.commands.stored import account_folder
        from tradetui.storage.questions import files_of

        folder = account_folder(place, options.account)
        with files_of(folder) as past, exports.rows_of(past, wanted) as reader:
            yield reader, {"source": "files", "account": folder.name}
        return
    import pyarrow as pa

    handed = Path(answer["path"])
    try:
        with pa.memory_map(str(handed)) as source, pa.ipc.open_stream(source) as reader:
            yield reader, {"source": "engine", "account": answer.get("account")}
    except FileNotFoundError as error:
        raise StorageError(f"the running engine's export is gone: {error.filename}") from error
    finally:
        handed.unlink(missing_ok=True)
