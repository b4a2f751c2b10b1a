"""What the files of an account tell while no engine runs: its ledger, opened read-only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tradetui import config
from tradetui.control.rows import Row, fill_row, order_row, rupees
from tradetui.domain.errors import StorageError, UsageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from tradetui.domain.instrument import Instrument
    from tradetui.storage.reports import ChargeOf

LEDGER = "ledger.duckdb"


def account_folder(place: config.Home, wanted: str = "") -> Path:
    """The folder of an account: the one named, else the one whose ledger was written last.

    Raises:
        UsageError: There is no such account.
        StorageError: There is none at all.
    """
    root = place.data_dir / "accounts"
    known = sorted(path.parent for path in root.glob(f"*/{LEDGER}")) if root.is_dir() else []
    if wanted:
        for folder in known:
            if folder.name == wanted:
                return folder
        names = ", ".join(folder.name for folder in known) or "none yet"
        raise UsageError(f"no account {wanted!r} in {root}", f"there are: {names}")
    if not known:
        raise StorageError(f"nothing has been stored in {place.data_dir} yet", "start `tradetui run`")
    return max(known, key=lambda folder: ((folder / LEDGER).stat().st_mtime_ns, folder.name))


class StoredAccount:
    """One account's files, open for reading.

    Args:
        place: Directories.
        wanted: Folder name of the account; empty for the newest.

    Raises:
        StorageError: The ledger cannot be opened, most likely because an engine works with it.
    """

    def __init__(self, place: config.Home, wanted: str = "") -> None:
        import duckdb

        self.folder = account_folder(place, wanted)
        try:
            self._con: DuckDBPyConnection = duckdb.connect(str(self.folder / LEDGER), read_only=True)
        except duckdb.Error as error:
            words = str(error).splitlines()[0]
            raise StorageError(
                f"cannot open the ledger of {self.folder.name}: {words}",
                "while an engine runs, leave --account away: then it is asked itself",
            ) from error
        self._place = place
        self._instruments = self._read_instruments()

    def _read_instruments(self) -> dict[str, Instrument]:
        import duckdb

        from tradetui.commands.past import stored_instruments

        try:
            with duckdb.connect(str(self.folder / "market.duckdb"), read_only=True) as market:
                return stored_instruments(market)
        except (duckdb.Error, ValueError):
            return {}  # keys are shown instead of names

    def close(self) -> None:
        """Close the files."""
        self._con.close()

    def __enter__(self) -> StoredAccount:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    @property
    def ledger(self) -> DuckDBPyConnection:
        """The open ledger."""
        return self._con

    def symbol(self, key: str) -> str:
        """Name of an instrument; its key where none is stored."""
        found = self._instruments.get(key)
        return found.symbol if found is not None else key

    def charge(self) -> ChargeOf:
        """Estimates the charges of one executed order."""
        from tradetui.commands.past import charge_by_key

        return charge_by_key(config.load(self._place.config_file), self._instruments.get)

    def answer(self, rows: list[Row], **more: Any) -> dict[str, Any]:
        """The common frame of an answer from files."""
        return {"source": "files", "account": self.folder.name, "day": self.day(), **more, "rows": rows}

    def day(self) -> str | None:
        """Newest day in the journal, ISO."""
        row = self._con.execute("SELECT max(journal_day) FROM journal").fetchone()
        return row[0].isoformat() if row and row[0] else None

    def orders(self, *, only_open: bool = False, tag: str = "") -> dict[str, Any]:
        """Orders of the newest day."""
        from tradetui.storage import reads

        day = self._newest()
        found = [
            order
            for order in reads.orders(self._con, day)
            if (order.status.working or not only_open) and tag in ("", order.tag, order.broker_id)
        ]
        return self.answer([order_row(order, self.symbol) for order in found])

    def trades(self) -> dict[str, Any]:
        """Trades of the newest day."""
        from tradetui.storage import reads

        return self.answer([fill_row(fill, self.symbol) for fill in reads.fills(self._con, self._newest())])

    def positions(self, *, only_open: bool = False) -> dict[str, Any]:
        """Positions as the ledger knows them; without an engine there are no prices."""
        from tradetui.storage import reads

        rows: list[Row] = [
            {
                "symbol": self.symbol(one.position.instrument_key),
                "product": one.position.product.value,
                "qty": one.position.qty,
                "average_price": rupees(one.position.average_price),
                "last": None,
                "realised": rupees(one.position.realised),
                "day": one.day,
                "instrument_key": one.position.instrument_key,
            }
            for one in reads.newest_positions(self._con)
            if one.position.qty or not only_open
        ]
        return self.answer(rows)

    def _newest(self) -> Any:
        row = self._con.execute("SELECT max(journal_day) FROM journal").fetchone()
        return row[0] if row else None
