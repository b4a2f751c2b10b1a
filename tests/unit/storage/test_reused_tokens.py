"""A token that was given to another contract: its past does not become the new contract's."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from tests.unit.storage.samples import CALL, DAY, RELIANCE, T0_MS, bar
from tradetui.domain.instrument import InstrumentKind
from tradetui.storage.store import Store

OLD = replace(CALL, expiry=date(2026, 11, 24))
NEW = replace(CALL, symbol="BANKNIFTY 59000 PE 29 DEC 26", kind=InstrumentKind.PUT, expiry=date(2026, 12, 29))


def test_a_contract_is_not_warmed_with_bars_of_the_one_that_bore_its_token() -> None:
    store = Store.in_memory([OLD])
    try:
        store.merge_bars(OLD, 60, [bar(number) for number in range(5)])
        assert len(store.recent_bars(OLD, "1m", 9)) == 5
        assert store.recent_bars(NEW, "1m", 9) == []  # never seen yet: the key alone would find the old one's
        assert len(store.recent_bars(NEW.key, "1m", 9)) == 5
        store.merge_bars(NEW, 60, [replace(bar(7), close=59.0)])
        assert [one.close for one in store.recent_bars(NEW, "1m", 9)] == [59.0]
        assert [one.start_ms for one in store.recent_bars(OLD, "1m", 9)] == [
            T0_MS + number * 60_000 for number in range(5)
        ]
        assert len(store.broker_bar_starts(NEW, "1m", DAY, DAY)) == 1
    finally:
        store.close()


def test_what_does_not_expire_is_found_as_itself() -> None:
    store = Store.in_memory([RELIANCE])
    try:
        store.merge_bars(RELIANCE, 60, [bar(0)])
        assert len(store.recent_bars(RELIANCE, "1m", 9)) == 1
        renamed = replace(RELIANCE, symbol="RIL")
        assert len(store.recent_bars(renamed, "1m", 9)) == 1  # history follows a rename
    finally:
        store.close()
