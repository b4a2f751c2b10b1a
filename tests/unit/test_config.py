"""Settings: documented where declared, refused with words that help."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tradetui import config
from tradetui.config import Config, parse
from tradetui.domain.errors import ConfigError


def test_example_is_what_the_program_writes(repo_root: Path) -> None:
    assert (repo_root / "config.toml.example").read_text() == config.example()


def test_example_with_every_line_on_gives_the_defaults() -> None:
    text = re.sub(r"^#(\w+ =)", r"\1", config.example(), flags=re.MULTILINE)
    assert text.count("\n#") < config.example().count("\n#")
    assert parse(text) == Config()


def test_a_missing_file_gives_the_defaults(tmp_path: Path) -> None:
    assert config.load(tmp_path / "none.toml") == Config()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[risk]\ndailyloss = 3", "did you mean risk.daily_loss"),
        ("capital = 3", "did you mean account.capital"),
        ("[risk]\ndaily_loss = 99", "allowed: 0.1 to 50"),
        ('[risk]\ndaily_loss = "3"', "must be a number"),
        ("[risk]\nmax_positions = 2.5", "whole number"),
        ("[risk]\nmax_positions = true", "whole number"),
        ('[risk]\nwindow_end = "25:00"', "HH:MM"),
        ('[risk]\nwindow_end = "09:00"', "must be before"),
        ('[account]\napi_secret = "x"', "tradetui auth"),
        ('[screen]\ntheme = "pink"', "dark, light, contrast, ansi"),
        ("risk = 3", r"write \[risk\]"),
        ('[watch]\nsymbols = "A"', "list of texts"),
        ("[risk\n", "not valid TOML"),
        ("[strategies.vote]\nrsi=0\nmacd=0\nbollinger=0\nadx=0\nstochastic=0\natr=0", "at least one weight"),
    ],
)
def test_bad_settings_say_what_is_wrong_and_how_to_mend_it(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


def test_a_secret_in_the_file_is_not_repeated_in_the_error() -> None:
    with pytest.raises(ConfigError) as caught:
        parse('[account]\naccess_token = "hunter2"')
    assert "hunter2" not in str(caught.value)


def test_values_are_taken() -> None:
    got = parse('[risk]\ndaily_loss = 2\n[strategies.vote]\nintervals = ["5m"]\n[screen.keys]\nkill = "f11"')
    assert got.risk.daily_loss == 2.0
    assert got.strategies.vote.intervals == ("5m",)
    assert got.screen.keys == {"kill": "f11"}


def test_home_follows_flag_then_environment(tmp_path: Path) -> None:
    assert config.home(str(tmp_path)).config_file == tmp_path / "config.toml"
    assert config.home(None, {"TRADETUI_HOME": str(tmp_path)}).data_dir == tmp_path
    assert config.home(None, {}).data_dir.name == "tradetui"
    assert "/" not in config.home(str(tmp_path)).account_dir("a/../b").name
