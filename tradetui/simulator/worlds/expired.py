"""Contracts of the synthetic market that have expired: which there were, on what terms, and their bars."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from datetime import date, timedelta
from functools import lru_cache
from typing import Final

from tradetui.domain.market_data import Candle
from tradetui.simulator.worlds.daily import ASSETS, DailyModel
from tradetui.simulator.worlds.inference import MasterRow
from tradetui.simulator.worlds.listing import Contract, contract_row, contracts_on
from tradetui.simulator.worlds.past import Past

KEPT_DAYS: Final = 183
"""Expired contracts are kept for about six months (`upstox.md` 2.14)."""


class ExpiredContracts:
    """See the module's docstring.

    Args:
        model: Daily prices.
        past: Past sessions.
    """

    def __init__(self, model: DailyModel, past: Past) -> None:
        self._model = model
        self._past = past
        self._ending = lru_cache(maxsize=512)(self._ending_on)

    def expiries(self, underlying: str, today: date) -> list[date]:
        """Past expiries of contracts on an instrument, oldest first."""
        asset = _asset(underlying)
        days = self._model.days
        first = bisect_left(days, today - timedelta(days=KEPT_DAYS))
        inside = days[first : bisect_left(days, today)]
        return [day for day in inside if any(one.asset == asset for one in self._ending(day))]

    def contracts(self, underlying: str, expiry: date) -> list[MasterRow]:
        """The contracts that expired on a day, with the three-part keys by which their bars are asked for."""
        asset = _asset(underlying)
        rows = [contract_row(self._model, one, expiry) for one in self._ending(expiry) if one.asset == asset]
        return [
            row
            | {"instrument_key": f"{row['instrument_key']}|{expiry:%d-%m-%Y}", "expiry": expiry.isoformat()}
            for row in rows
        ]

    def bars(
        self, key: str, expiry: date, interval_s: int, first: date, last: date
    ) -> Sequence[Candle] | None:
        """Bars of an expired contract, oldest first; ``None`` when there was none such.

        Args:
            key: Its key of two parts.
            expiry: When it expired.
            interval_s: 60, or 86,400 for sessions.
            first: First day.
            last: Last day, included.
        """
        if not any(
            contract_row(self._model, one, expiry)["instrument_key"] == key for one in self._ending(expiry)
        ):
            return None
        session = self._past.session(expiry)
        return self._past.contract_bars(
            session, session.listing.at[key], interval_s, first, min(last, expiry)
        )

    def _ending_on(self, day: date) -> tuple[Contract, ...]:
        if self._model.row(day) is None:
            return ()
        return tuple(one for one in contracts_on(self._model, day) if one.expiry == day)


def _asset(underlying: str) -> int:
    """Column of an underlying; -1 for an instrument without contracts."""
    return ASSETS.index(underlying) if underlying in ASSETS else -1
