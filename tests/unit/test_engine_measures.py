"""The engine keeps the microstructure: frames, past figures and the turn of the day reach it; the journal does not."""

from __future__ import annotations

import numpy as np

from tests.fixtures.engine_rig import Rig
from tests.unit.exchange.support import SHARE
from tradetui.domain.events import PastDaysEvent
from tradetui.domain.records import RecordKind

SHARES = np.array([0])


def traded() -> Rig:
    """Three trades after the first sight: two bought, one sold."""
    rig = Rig()
    for price in (100.0, 100.1, 100.2, 99.0):
        rig.tick(price)
    return rig


def test_frames_reach_the_flow_and_leave_no_record() -> None:
    rig = traded()
    micro = rig.engine.microstructure
    assert micro.tick_size(SHARES).tolist() == [SHARE.tick_size / 10_000]
    assert micro.delta(SHARES).tolist() == [10]
    assert micro.profile(0).total == 30
    assert {record.kind for record in rig.records} <= {RecordKind.FEED, RecordKind.RISK}


def test_past_figures_reach_it() -> None:
    rig = traded()
    before = len(rig.records)
    rig.step(PastDaysEvent(rig.now_ns, 0, 120.0, 80.0, 5.0, (10.0, 20.0)))
    past = rig.engine.microstructure.past
    assert (past.high_rupees[0], past.low_rupees[0], past.oi[0]) == (120.0, 80.0, 5.0)
    assert past.volume.ratio(SHARES, np.array([40]), np.array([120_000])).tolist() == [2.0]
    assert len(rig.records) == before


def test_midnight_ends_the_session_whether_anything_trades_or_not() -> None:
    """Otherwise what is read at night would depend on whether somebody had read before midnight."""
    rig = traded()
    rig.time(14 * 3600.0 - 2.0)  # 23:59:58
    assert rig.engine.microstructure.delta(SHARES).tolist() == [10]
    rig.time(2.0)
    assert rig.engine.microstructure.delta(SHARES).tolist() == [0]
    assert rig.engine.microstructure.profile(0).total == 0
