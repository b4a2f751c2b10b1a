"""What scripts may do: armed by a person, within caps, for a while."""

from __future__ import annotations

import pytest

from tradetui.control.scripts import NS, Caps, Refused, Scripts

CAPS = Caps(orders=2, value=1_000, total=1_500)


def test_nothing_goes_unarmed() -> None:
    with pytest.raises(Refused, match="not armed"):
        Scripts().check(1, 0)


def test_arming_runs_out() -> None:
    scripts = Scripts()
    scripts.arm(CAPS, 10 * NS)
    scripts.check(1, 10 * NS - 1)
    with pytest.raises(Refused, match="not armed"):
        scripts.check(1, 10 * NS)


def test_each_cap_stands_by_itself() -> None:
    scripts = Scripts()
    scripts.arm(CAPS, 10 * NS)
    scripts.check(1_000, 0)
    with pytest.raises(Refused, match="in one"):
        scripts.check(1_001, 0)
    scripts.used(900)
    scripts.check(600, 0)
    with pytest.raises(Refused, match="in all"):
        scripts.check(601, 0)
    scripts.used(1)
    with pytest.raises(Refused, match="all 2 orders"):
        scripts.check(0, 0)


def test_a_new_arming_begins_afresh() -> None:
    scripts = Scripts()
    scripts.arm(CAPS, 10 * NS)
    scripts.used(900)
    scripts.used(500)
    scripts.arm(CAPS, 20 * NS)
    scripts.check(1_000, 15 * NS)


def test_the_settings_caps_last_until_somebody_disarms() -> None:
    scripts = Scripts(CAPS)
    assert scripts.armed(10**18)
    scripts.disarm()
    assert not scripts.armed(0)
