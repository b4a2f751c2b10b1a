"""What is kept on disk: who uses it, databases, journals, the instrument list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tradetui.commands.doctor.line import Line, green, red, yellow
from tradetui.domain.errors import JournalDamaged, StorageError

if TYPE_CHECKING:
    from tradetui.brokers.upstox.hosts import Hosts

OLD_LIST_DAYS: Final = 4
"""Age of an instrument list that a long weekend does not explain."""


@dataclass(frozen=True, slots=True)
class Database:
    """One database file.

    Attributes:
        name: Account folder and file.
        size: Bytes.
        trouble: Why it cannot be used; empty when it can.
    """

    name: str
    size: int
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class JournalSeen:
    """The journal of one account.

    Attributes:
        account: Account folder.
        days: Files read.
        records: Records that passed every check.
        cut: The last record of the last file stops in the middle, as after a power failure.
        trouble: What is damaged, and where; empty when nothing is.
    """

    account: str
    days: int
    records: int
    cut: bool = False
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Files:
    """Facts about the data directory.

    Attributes:
        config_trouble: Why the settings file cannot be used; empty when it can.
        config_path: The settings file.
        config_exists: It is there.
        user: Who has the data directory open, in words; empty when nobody does.
        databases: Databases of all accounts; not looked into while somebody has them open.
        journals: Journals of all accounts.
        list_day: Day of the instrument list; ``None`` when there is none.
        list_size: Instruments in it.
        list_from_simulator: A simulator gives a new one at each start.
        today: Today in India.
    """

    config_trouble: str = ""
    config_path: str = ""
    config_exists: bool = True
    user: str = ""
    databases: tuple[Database, ...] = ()
    journals: tuple[JournalSeen, ...] = ()
    list_day: date | None = None
    list_size: int = 0
    list_from_simulator: bool = False
    today: date = date.min


def look(data_dir: Path, config_path: Path, config_trouble: str) -> Files:
    """Gather the facts. The data directory is locked meanwhile, so that nobody writes what is being read."""
    from tradetui.storage.lock import DataInUse, DataLock

    facts = Files(
        config_trouble=config_trouble, config_path=str(config_path), config_exists=config_path.exists()
    )
    try:
        with DataLock(data_dir, "tradetui doctor"):
            return replace(
                facts, databases=_databases(data_dir, look_into=True), journals=_journals(data_dir)
            )
    except DataInUse as error:
        # Its writer appends to the journal right now, so a cut last record means nothing.
        journals = tuple(replace(seen, cut=False) for seen in _journals(data_dir))
        return replace(
            facts, user=error.message, databases=_databases(data_dir, look_into=False), journals=journals
        )


def with_list(facts: Files, data_dir: Path, hosts: Hosts, today: date) -> Files:
    """Add what is known about the instrument list of a host."""
    from tradetui.brokers.upstox.master_sync import MasterFile

    found = replace(facts, today=today, list_from_simulator=hosts.is_loopback)
    master = MasterFile(data_dir / "instruments", hosts).load()
    if master is None:
        return found
    try:
        return replace(found, list_day=master.on, list_size=len(master))
    finally:
        master.close()


def _accounts(data_dir: Path) -> list[Path]:
    folder = data_dir / "accounts"
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _databases(data_dir: Path, *, look_into: bool) -> tuple[Database, ...]:
    from tradetui.storage.database import check_file
    from tradetui.storage.schema import LEDGER, MARKET
    from tradetui.storage.store import LEDGER_FILE, MARKET_FILE

    found = []
    for folder in _accounts(data_dir):
        for name, schema in ((LEDGER_FILE, LEDGER), (MARKET_FILE, MARKET)):
            path = folder / name
            if path.exists():
                trouble = check_file(path, schema) if look_into else ""
                found.append(Database(f"{folder.name}/{name}", path.stat().st_size, trouble))
    return tuple(found)


def _journals(data_dir: Path) -> tuple[JournalSeen, ...]:
    return tuple(_journal(folder) for folder in _accounts(data_dir) if (folder / "journal").is_dir())


def _journal(folder: Path) -> JournalSeen:
    """Read every record of every day, and follow the chain of hashes from file to file."""
    from tradetui.journal import GENESIS, files, is_cut_tail, read

    days, records, last = files(folder / "journal"), 0, GENESIS
    for path in days:
        good = 0
        try:
            for stored in read(path):
                if stored.number == 1 and stored.previous != last:
                    words = f"{path.name} does not follow the file before it: a day is missing or was changed"
                    return JournalSeen(folder.name, len(days), records, trouble=words)
                last, good = stored.sha256, stored.end
                records += 1
        except JournalDamaged as error:
            if path == days[-1] and is_cut_tail(path, good):
                return JournalSeen(folder.name, len(days), records, cut=True)
            return JournalSeen(folder.name, len(days), records, trouble=error.message)
        except StorageError as error:
            return JournalSeen(folder.name, len(days), records, trouble=error.message)
    return JournalSeen(folder.name, len(days), records)


# --- checks -------------------------------------------------------------------------------------------


def settings(facts: Files) -> Line:
    """The settings file."""
    if facts.config_trouble:
        return red(
            "settings", facts.config_trouble, f"edit {facts.config_path}, then `tradetui config check`"
        )
    there = "" if facts.config_exists else ", not there: every setting has its default"
    return green("settings", facts.config_path + there)


def in_use(facts: Files) -> list[Line]:
    """Whether another program has the data open: then databases are not looked into."""
    return [yellow("data", facts.user, "stop it to have the databases looked into")] if facts.user else []


def databases(facts: Files) -> list[Line]:
    """Each database file."""
    if not facts.databases:
        return [green("databases", "none yet; `tradetui run` makes them")]
    lines = [
        red(
            "databases",
            f"{one.name}: {one.trouble}",
            "close what has it open; if it is damaged, `tradetui run` sets it aside and rebuilds the ledger from "
            "the journal; bars come back with `tradetui backfill`",
        )
        for one in facts.databases
        if one.trouble
    ]
    size = sum(one.size for one in facts.databases) / 2**20
    fine = len(facts.databases) - len(lines)
    words = f"{fine} of {len(facts.databases)} fine, {size:,.0f} MB in all"
    if facts.user:
        words = f"{len(facts.databases)} there, {size:,.0f} MB in all, in use"
    return [*lines, *([green("databases", words)] if fine else [])]


def journals(facts: Files) -> list[Line]:
    """Each journal, every record of it."""
    lines: list[Line] = []
    for seen in facts.journals:
        words = f"{seen.account}: {seen.records:,} records in {seen.days} days"
        if seen.trouble:
            lines.append(
                red(
                    "journal",
                    f"{seen.account}: {seen.trouble}; {seen.records:,} records before it are whole",
                    "copy the folder away, then move the damaged file out of it",
                )
            )
        elif seen.cut:
            lines.append(
                yellow("journal", f"{words}; the last one is cut", "`tradetui run` sets the cut part aside")
            )
        else:
            lines.append(green("journal", f"{words}, every checksum and link holds"))
    return lines or [green("journal", "none yet")]


def instruments(facts: Files) -> Line:
    """The age of the instrument list."""
    if facts.list_from_simulator:
        return green("instruments", "come from the simulator at each start")
    if facts.list_day is None:
        return yellow("instruments", "no list yet", "`tradetui run` fetches it (4 MB)")
    age = (facts.today - facts.list_day).days
    words = f"{facts.list_size:,}, list of {facts.list_day:%d %b %Y} ({age} days old)"
    if age > OLD_LIST_DAYS:
        return yellow(
            "instruments", words, "`tradetui run` fetches today's; check that the assets host is reachable"
        )
    return green("instruments", words)


CHECKS: Final[tuple[Callable[[Files], Line | list[Line]], ...]] = (
    settings, in_use, databases, journals, instruments,
)  # fmt: skip
