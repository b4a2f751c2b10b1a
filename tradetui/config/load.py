"""Reading settings from TOML, and saying what is wrong with them."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from tradetui.config.about import About, range_words
from tradetui.config.calendar import check as check_calendar
from tradetui.config.sections import Config
from tradetui.config.words import walk
from tradetui.domain.errors import ConfigError

_TIME = re.compile(r"^([01]?\d|2[0-3]):([0-5]\d)$")
_SECRETS = ("token", "secret", "password", "pin", "totp", "api_key")


def load(path: Path) -> Config:
    """Read settings; a missing file gives the defaults.

    Raises:
        ConfigError: Says file, key, what is wrong and how to mend it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Config()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}", "see `tradetui config path`") from error
    return parse(text, str(path))


def parse(text: str, source: str = "config.toml") -> Config:
    """Settings from TOML text.

    Raises:
        ConfigError: Says key, what is wrong and how to mend it.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source} is not valid TOML: {error}") from error
    config: Config = _build(Config, raw, "", source)
    _check_whole(config, source)
    return config


def _build(cls: type[Any], raw: Mapping[str, Any], prefix: str, source: str) -> Any:
    known = {f.name: f for f in fields(cls)}
    hints = get_type_hints(cls)
    values: dict[str, Any] = {}
    for key, value in raw.items():
        name = f"{prefix}{key}"
        if key not in known:
            _refuse_unknown(key, name, known, prefix, source)
        hint = hints[key]
        if is_dataclass(hint) and isinstance(hint, type):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{source}: {name} must be a table", f"write [{name}]")
            values[key] = _build(hint, value, f"{name}.", source)
        else:
            values[key] = _value(value, hint, known[key].metadata["about"], name, source)
    return cls(**values)


def _refuse_unknown(key: str, name: str, known: Mapping[str, Any], prefix: str, source: str) -> None:
    if any(word in key.lower() for word in _SECRETS):
        raise ConfigError(
            f"{source}: {name} looks like a secret", "secrets never go into this file: run `tradetui auth`"
        )
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
    whole = [path for path, _, _ in walk()]
    elsewhere = [path for path in whole if path.rsplit(".", 1)[-1] == key]
    if elsewhere:
        remedy = f"did you mean {elsewhere[0]}?"
    elif near:
        remedy = f"did you mean {prefix}{near[0]}?"
    else:
        remedy = f"known here: {', '.join(known)}"
    raise ConfigError(f"{source}: unknown setting {name}", remedy)


def _value(value: Any, hint: Any, about: About, name: str, source: str) -> Any:
    said = f"{source}: {name} = {value!r}"
    if hint is bool:
        if not isinstance(value, bool):
            raise ConfigError(f"{said} must be true or false")
        return value
    if hint in (int, float):
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or (hint is int and not float(value).is_integer())
        ):
            raise ConfigError(f"{said} must be a {'whole ' if hint is int else ''}number")
        if not (about.low is None or value >= about.low) or not (about.high is None or value <= about.high):
            raise ConfigError(f"{said} is out of range", f"allowed: {range_words(about)}")
        return hint(value)
    if hint is str:
        return _text(value, about, said)
    if hint == tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ConfigError(f"{said} must be a list of texts")
        return tuple(value)
    if not isinstance(value, Mapping) or not all(isinstance(item, str) for item in value.values()):
        raise ConfigError(f"{said} must be a table of texts")
    return dict(value)


def _text(value: Any, about: About, said: str) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{said} must be a text in quotes")
    if about.choices and value not in about.choices:
        raise ConfigError(f"{said} is not one of the choices", f"allowed: {', '.join(about.choices)}")
    if about.clock and not _TIME.match(value):
        raise ConfigError(f"{said} is not a time of day", "write it as HH:MM, such as 15:00")
    return value


def _check_whole(config: Config, source: str) -> None:
    """Rules that need more than one setting, or know what a text should hold."""
    check_calendar(config.calendar, source)
    risk = config.risk
    if clock_seconds(risk.window_start) >= clock_seconds(risk.window_end):
        raise ConfigError(f"{source}: risk.window_start must be before risk.window_end")
    vote = config.strategies.vote
    if vote.rsi + vote.macd + vote.bollinger + vote.adx + vote.stochastic + vote.atr <= 0:
        raise ConfigError(f"{source}: at least one weight under strategies.vote must be above 0")


def clock_seconds(text: str) -> int:
    """Seconds after midnight of ``HH:MM``."""
    hours, minutes = text.split(":")
    return int(hours) * 3600 + int(minutes) * 60
