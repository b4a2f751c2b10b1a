"""Limits that change while running: the same names and ranges as the settings."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from tradetui.config import Config, Risk
from tradetui.domain.errors import DomainError
from tradetui.domain.money import to_money
from tradetui.risk.limits import CHANGEABLE, Limits, change, value_of
from tradetui.wiring.settings import limits_from

SETTINGS: dict[str, Any] = {field.name: field.metadata["about"] for field in fields(Risk)}


@pytest.mark.parametrize("name", CHANGEABLE)
def test_a_changeable_limit_is_a_setting_with_the_same_range(name: str) -> None:
    about, how = SETTINGS[name], CHANGEABLE[name]
    assert (how.low, how.high) == (about.low, about.high)
    limits = limits_from(Config(), live=False)
    assert value_of(limits, name) == getattr(Config().risk, name)


def test_every_number_among_the_settings_is_changeable() -> None:
    numbers = {name for name, about in SETTINGS.items() if not about.choices and not about.clock}
    assert numbers == set(CHANGEABLE)


def test_the_settings_defaults_are_the_limits_defaults() -> None:
    assert limits_from(Config(), live=False) == Limits()


def test_a_change_changes_one_limit() -> None:
    limits = change(Limits(), "daily_loss", 2.5)
    assert limits.daily_loss == to_money(1_250)
    assert limits.weekly_loss == Limits().weekly_loss
    assert change(Limits(), "max_order_value", 1_000).max_order_value == to_money(1_000)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("daily_los", 2, "did you mean daily_loss?"),
        ("nothing", 2, "there are: "),
        ("daily_loss", 51, "0.1 to 50"),
        ("daily_loss", float("nan"), "out of range"),
        ("orders_per_second", 11, "1 to 10"),
        ("max_positions", 2.5, "whole number"),
    ],
)
def test_what_cannot_be_is_refused_in_words(name: str, value: float, words: str) -> None:
    with pytest.raises(DomainError, match=words.replace("?", r"\?")):
        change(Limits(), name, value)
