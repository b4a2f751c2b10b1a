"""Slow columns of the synthetic market: open interest, book shapes, and how often quotes change."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from tradetui.simulator.worlds.books import BookTerms
from tradetui.simulator.worlds.companies import COMPANIES
from tradetui.simulator.worlds.daily import ASSETS, N_SHARES
from tradetui.simulator.worlds.session import Session

F64 = NDArray[np.float64]

_OI_DAYS = 2.5
"""Usual open interest in days of volume."""


def book_terms(session: Session, seed: int) -> BookTerms:
    """How the books of a session's listing look."""
    rows = len(session.listing.rows)
    half, least = np.full(rows, 0.00012), np.full(rows, 0.45)
    for at, contract in enumerate(session.listing.contracts, len(ASSETS)):
        half[at], least[at] = (0.0012, 0.6) if contract.is_option else (0.00006, 0.7)
    for at, company in enumerate(COMPANIES):
        if not company.lot:
            half[at] = 0.0008
    tick = session.listing.tick
    gap = np.clip(np.rint(session.prev_close * half * 0.9 / tick), 1, 8).astype(np.int64)
    lots = session.volume.sum(axis=0) / session.listing.lot
    return BookTerms(
        tick=tick,
        lot=session.listing.lot,
        half_spread=half,
        min_half_spread=least,
        gap=gap,
        size=np.maximum(lots / 25_000.0, 1.5),
        seed=seed * 1_000_003 + session.day.toordinal(),
    )


def quote_pace(session: Session) -> F64:
    """Chance by step and row that a quote changes without a trade: liquid names twice a second, others less."""
    busy = session.trades.sum(axis=0) / np.maximum(session.active.sum(axis=0), 1)
    pace = np.clip(0.03 + busy / 120.0, 0.03, 0.5)
    pace[N_SHARES : len(ASSETS)] = 0.0
    return np.asarray(pace)


class OpenInterest:
    """Open interest of a session's contracts: drifts from the day before to the day's own level.

    Args:
        session: The session.
        seed: Seed of the world.
    """

    def __init__(self, session: Session, seed: int) -> None:
        listing = session.listing
        rows = len(listing.rows)
        lots = session.volume.sum(axis=0) / listing.lot
        self._lot = listing.lot
        self._from, self._to = np.zeros(rows), np.zeros(rows)
        self._minutes = session.minutes
        for at, contract in enumerate(listing.contracts, len(ASSETS)):
            name = f"{seed}|{contract.asset}|{contract.expiry}|{contract.strike}|{contract.is_call}"
            base = _OI_DAYS * max(lots[at], 50.0)
            self._from[at] = base * (0.75 + 0.5 * _chance(name, session.day.toordinal() - 1))
            self._to[at] = base * (0.75 + 0.5 * _chance(name, session.day.toordinal()))

    def at(self, minute: int) -> F64:
        """Units by row at the start of a minute."""
        part = minute / self._minutes
        lots = np.rint(self._from + (self._to - self._from) * part)
        return np.asarray(lots * self._lot)


def _chance(name: str, day: int) -> float:
    digest = hashlib.blake2b(f"{name}|{day}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") / 2**32
