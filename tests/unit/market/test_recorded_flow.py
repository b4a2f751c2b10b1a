"""The recorded day through the microstructure: what must add up adds up, and VWAP lies where the broker's does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.unit.market.flow_reference import SlowFlow
from tests.unit.market.recording import OPEN_NS, batch_of, continuous, files, frames
from tradetui.domain.market_data import Bar
from tradetui.market.day_measures import BuildUp
from tradetui.market.measures import measure
from tradetui.market.microstructure import Microstructure
from tradetui.market.quotes import Quotes, TradeColumns

pytestmark = pytest.mark.timeout(240)  # 177,000 frames of JSON on a busy machine

ALL = np.arange(7)
SHARES = np.arange(4, 7)


@dataclass(frozen=True)
class Day:
    """The state at the end of the day, and what the slow way makes of the same frames."""

    keys: list[str]
    quotes: Quotes
    micro: Microstructure
    slow: SlowFlow
    step: np.ndarray[tuple[int], np.dtype[np.float64]]
    """Mean distance between the prices of two rows that told of volume, weighted with it, rupees."""


@pytest.fixture(scope="module")
def day(shared_data: Path) -> Day:
    keys: list[str] = []
    events = []
    for slot, path in enumerate(files(shared_data)):
        for frame in frames(path):
            if len(keys) == slot:
                keys.append(frame.key)
            events.append((frame.t_ns, slot, batch_of(slot, frame.message)))
    events.sort(key=lambda event: event[0])
    quotes, slow = Quotes(continuous, 2), SlowFlow()
    micro = Microstructure(quotes, lambda slot: 0.05)
    moved, volume, before = np.zeros(7), np.zeros(7), np.zeros(7)
    for t_ns, slot, batch in events:
        trades = micro.apply(batch, t_ns)
        slow.update(quotes, batch, trades)
        rows = trades.rows(trades.slot >= 0) if isinstance(trades, TradeColumns) else trades
        for trade in rows:
            if trade.volume:
                moved[slot] += abs(trade.price - (before[slot] or trade.price)) * trade.volume
                volume[slot] += trade.volume
                before[slot] = trade.price
    return Day(keys, quotes, micro, slow, moved / volume)


def test_volume_adds_up(day: Day) -> None:
    """Seen and unseen volume are the day's, to the unit; so are sides, and so is the profile."""
    flow = day.micro.flow
    vtt = day.quotes.vtt[ALL]
    assert (flow.volume[ALL] + flow.base_volume[ALL] == vtt).all()
    sides = flow.buy_volume[ALL] + flow.sell_volume[ALL] + day.micro.unclassified(ALL)
    assert (sides == flow.volume[ALL]).all()
    for slot in ALL.tolist():
        assert day.micro.profile(slot).total == flow.volume[slot]
    # Nobody began what was matched after the close; all else was told by book or last change.
    assert day.micro.unclassified(ALL).tolist() == [0, 0, 0, 0, 1_600, 2, 5_003]


def test_the_slow_way_says_the_same_to_the_last_bit(day: Day) -> None:
    flow = day.micro.flow
    for slot in ALL.tolist():
        one = day.slow.slots[slot]
        assert (flow.volume[slot], flow.buy_volume[slot], flow.sell_volume[slot]) == (
            one.volume,
            one.buy,
            one.sell,
        )
        assert (flow.moment1[slot], flow.moment2[slot]) == (one.moment1, one.moment2)
        assert (flow.base_volume[slot], flow.base_value[slot]) == (one.base_volume, one.base_value)


def test_vwap_against_the_brokers(day: Day) -> None:
    """Ours is within 2 hundredths of a percent of `atp`: 0.5 to 18 paise, on prices of 133 to 2,675 rupees.

    The rest is the feed's: a frame tells the volume of all trades since the last one, but only the last price, so
    a step is valued at a price that is off by part of the way that the price went meanwhile. Over the day those
    errors nearly cancel: 1% to 7% of one such way is left in five instruments, 22% and 36% in the two quietest shares.
    Valued with the broker's own average the steps would add up to `atp` exactly, which says nothing new.
    """
    ours, theirs = day.micro.vwap(ALL), day.quotes.atp[ALL]
    off = np.abs(ours - theirs)
    print(", ".join(f"{a:.2f} / {b:.2f}" for a, b in zip(ours, theirs, strict=True)), off / day.step)
    assert (off / theirs < 2e-4).all()
    assert (off < 0.5 * day.step).all()
    deviation = day.micro.deviation(ALL)
    low, high = day.quotes.day[ALL, Bar.LOW], day.quotes.day[ALL, Bar.HIGH]
    assert (deviation > 0).all()
    assert (deviation < (high - low) / 2).all(), "no spread of prices is wider than half their range"


def test_profile_lies_in_the_day(day: Day) -> None:
    for slot in ALL.tolist():
        profile = day.micro.profile(slot)
        low, high = day.quotes.day[slot, Bar.LOW], day.quotes.day[slot, Bar.HIGH]
        value_low, value_high = profile.value_area()
        assert low - profile.width < profile.price[0]
        assert profile.price[-1] <= high
        assert value_low <= profile.control <= value_high
        inside = (profile.price >= value_low - 1e-6) & (profile.price <= value_high + 1e-6)
        share = profile.volume[inside].sum() / profile.total
        assert 0.70 <= share < 0.75


def test_the_days_end_in_measures(day: Day) -> None:
    """Gap, range and open interest as the recording's last frames have them."""
    quotes = day.quotes
    found = measure(quotes, day.micro, ALL, OPEN_NS + 6 * 3_600_000_000_000)
    row = quotes.day
    assert found.gap_percent == pytest.approx((row[ALL, Bar.OPEN] / quotes.close[ALL] - 1) * 100)
    assert ((found.day_position >= 0) & (found.day_position <= 1)).all()
    assert np.isnan(found.oi_change_percent).all(), "no past was loaded"
    assert np.isnan(found.oi_change_session[SHARES]).all()
    assert (found.oi_change_session[:4] != 0).all()
    assert (found.build_up[SHARES] == BuildUp.NONE).all()
    assert (found.build_up[:4] != BuildUp.NONE).all()
