"""The kill file: a file called ``KILL`` in the data directory stops trading, whatever else still works.

Anybody who can make a file can pull it: a shell, a file manager, a cron job, a phone with SSH. An empty file (or
``kill``) is stage 1; ``flatten`` is stage 2, with products to include behind it: ``flatten delivery,mtf``. It
stands until a person takes it away; while it stands, every engine on this directory is halted.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tradetui.domain.errors import StorageError, UsageError
from tradetui.domain.order import Product

KILL_FILE: Final = "KILL"
_MOST_BYTES: Final = 200
PRODUCTS: Final = {"delivery": Product.DELIVERY, "mtf": Product.MTF}
"""What stage 2 leaves alone unless it is named."""


@dataclass(frozen=True, slots=True)
class KillOrder:
    """What a kill file, a signal or a command asks for.

    Attributes:
        flatten: Stage 2: close positions too.
        include: Products beyond intraday and derivatives that are to be closed.
    """

    flatten: bool = False
    include: tuple[Product, ...] = ()

    @property
    def words(self) -> str:
        """As the kill file says it."""
        named = ",".join(name for name, product in PRODUCTS.items() if product in self.include)
        return f"flatten {named}".strip() if self.flatten else "kill"


def products_from(text: str) -> tuple[Product, ...]:
    """Products of ``delivery,mtf``.

    Raises:
        UsageError: A word that is none of them.
    """
    names = [name for name in text.lower().replace(",", " ").split() if name]
    unknown = [name for name in names if name not in PRODUCTS]
    if unknown:
        raise UsageError(f"cannot include {unknown[0]!r}", f"known: {', '.join(PRODUCTS)}")
    return tuple(dict.fromkeys(PRODUCTS[name] for name in names))


def read_kill_file(folder: Path) -> KillOrder | None:
    """What the kill file asks for; ``None`` when there is none.

    A file that cannot be read, or says something else, counts as stage 1: it was put there to stop trading.
    """
    try:
        with open(folder / KILL_FILE, "rb") as file:  # noqa: PTH123 - four times a second
            text = file.read(_MOST_BYTES).decode("ascii", "replace")
    except FileNotFoundError:
        return None
    except OSError:
        return KillOrder()
    word, _, rest = text.strip().partition(" ")
    if word.lower() != "flatten":
        return KillOrder()
    try:
        return KillOrder(True, products_from(rest))
    except UsageError:
        return KillOrder(True)


def write_kill_file(folder: Path, order: KillOrder) -> Path:
    """Put the kill file there, durably.

    Raises:
        StorageError: The directory cannot be written.
    """
    path = folder / KILL_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = path.with_suffix(".new")
        with fresh.open("w", encoding="ascii") as file:
            file.write(order.words + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    return path


def clear_kill_file(folder: Path) -> bool:
    """Take the kill file away; ``False`` when there was none.

    Raises:
        StorageError: It cannot be removed.
    """
    path = folder / KILL_FILE
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StorageError(f"cannot remove {path}: {error.strerror}") from error
    with contextlib.suppress(OSError):
        path.with_suffix(".new").unlink()
    return True
