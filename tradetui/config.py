"""Settings from TOML: frozen, checked, every one documented where it is declared.

A setting is a dataclass field made by `setting()`: its default, unit, range and meaning are what the loader
checks and what `config.toml.example` is written from, so the three cannot differ. Unknown keys are refused
naming the nearest known one. Secrets are never settings: they live in the keyring.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from tradetui.domain.errors import ConfigError

_TIME = re.compile(r"^([01]?\d|2[0-3]):([0-5]\d)$")
_SECRETS = ("token", "secret", "password", "pin", "totp", "api_key")


@dataclass(frozen=True, slots=True)
class About:
    """What is known about one setting.

    Attributes:
        words: What it means.
        unit: Unit, or empty.
        low, high: Allowed range of numbers, both included; ``None`` is open.
        choices: Allowed texts; empty allows any.
        clock: The text is a wall-clock time ``HH:MM`` (IST).
    """

    words: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    clock: bool = False


def setting(
    default: Any,
    words: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] = (),
    clock: bool = False,
) -> Any:
    """Declare a setting: a dataclass field that knows its meaning, unit and range."""
    about = About(words, unit, low, high, tuple(choices), clock)
    return field(default=default, metadata={"about": about})


@dataclass(frozen=True, slots=True)
class Account:
    """Whose account, and what it may use."""

    capital: float = setting(
        50_000.0,
        "capital that risk limits refer to on paper and simulator",
        unit="rupees",
        low=1_000,
        high=1e10,
    )
    live_capital: float = setting(
        0.0,
        "the same for live trading; 0 keeps live trading off until you type it",
        unit="rupees",
        low=0,
        high=1e10,
    )
    plan: str = setting("upstox", "brokerage plan for charge estimates", choices=("upstox", "zerodha"))
    redirect_uri: str = setting(
        "http://127.0.0.1:8517/callback", "redirect registered with your API app; must be on 127.0.0.1"
    )


@dataclass(frozen=True, slots=True)
class Urls:
    """Base URLs. Empty means Upstox's own hosts; flags and TRADETUI_URL_* win over these."""

    main: str = setting("", "REST")
    order: str = setting("", "order host: place, modify, cancel")
    feed: str = setting("", "WebSocket entry, ws:// on loopback only")
    assets: str = setting("", "instrument files")


@dataclass(frozen=True, slots=True)
class Watch:
    """What is on the screen from the start."""

    symbols: tuple[str, ...] = setting(
        (),
        "symbols or instrument keys, in order; empty lets the program choose: indices, well-known shares, near futures",
    )
    interval: str = setting("1m", "chart interval at start", choices=("1m", "5m", "15m", "1h", "1d"))


@dataclass(frozen=True, slots=True)
class Risk:
    """Limits of the risk gate. They hold for people and strategies, paper and live."""

    risk_per_trade: float = setting(
        1.0, "capital that one trade may lose at its stop", unit="percent", low=0.01, high=10
    )
    daily_loss: float = setting(
        3.0, "loss of the day that stops new risk", unit="percent of capital", low=0.1, high=50
    )
    max_positions: int = setting(4, "open positions in all", low=1, high=1000)
    max_intraday_positions: int = setting(2, "open intraday positions", low=1, high=1000)
    max_order_value: float = setting(
        0.0, "value of one order; 0 means capital times max_leverage", unit="rupees", low=0, high=1e12
    )
    max_leverage: float = setting(5.0, "total exposure over capital", unit="times", low=0.1, high=20)
    min_score: float = setting(
        60.0, "lowest score of a signal that may become an order", unit="percent", low=0, high=100
    )
    min_reward_risk: float = setting(1.5, "lowest reward over risk of a signal", low=0.1, high=20)
    window_start: str = setting("09:20", "strategies may enter from", unit="IST", clock=True)
    window_end: str = setting("15:00", "strategies may enter until", unit="IST", clock=True)
    cooldown: int = setting(
        300, "a strategy leaves an instrument alone after an order", unit="seconds", low=0, high=86_400
    )
    duplicate: int = setting(
        5, "an equal order within this time is a duplicate", unit="seconds", low=0, high=3_600
    )
    stale_warn: float = setting(
        30.0, "age of a quote that draws a warning", unit="seconds", low=1, high=3_600
    )
    stale_block: float = setting(
        300.0, "age of a quote that refuses market orders", unit="seconds", low=1, high=86_400
    )
    max_ltp_distance: float = setting(
        10.0, "limit price through the last price (fat finger)", unit="percent", low=0.1, high=100
    )
    max_trades: int = setting(0, "entries a day; 0 for no limit", low=0, high=10_000)
    market_protection: float = setting(
        3.0, "worst slippage assumed for market orders", unit="percent", low=0.1, high=25
    )


@dataclass(frozen=True, slots=True)
class Vote:
    """The weighted vote of indicators (strategy ``vote``)."""

    enabled: bool = setting(True, "compute its signals")
    intervals: tuple[str, ...] = setting(("5m", "15m", "1h"), "timeframes that vote: 1m, 5m, 15m, 1h, 1d")
    rsi: float = setting(25.0, "weight of RSI", low=0, high=100)
    macd: float = setting(25.0, "weight of MACD", low=0, high=100)
    bollinger: float = setting(20.0, "weight of Bollinger bands", low=0, high=100)
    adx: float = setting(15.0, "weight of ADX", low=0, high=100)
    stochastic: float = setting(10.0, "weight of the stochastic", low=0, high=100)
    atr: float = setting(5.0, "weight of ATR", low=0, high=100)


@dataclass(frozen=True, slots=True)
class OpeningRange:
    """The opening-range breakout (strategy ``opening_range``)."""

    enabled: bool = setting(True, "compute its signals")
    minutes: int = setting(15, "length of the opening range", unit="minutes", low=1, high=120)
    exit_time: str = setting("15:05", "no entry after", unit="IST", clock=True)


@dataclass(frozen=True, slots=True)
class Strategies:
    """Strategies. Their signals become orders only after you switch `auto` on, on the screen, per strategy."""

    symbols: tuple[str, ...] = setting(
        (), "symbols they look at; empty means every tradable one on the watchlist"
    )
    vote: Vote = field(default_factory=Vote)
    opening_range: OpeningRange = field(default_factory=OpeningRange)


@dataclass(frozen=True, slots=True)
class Screen:
    """How the screen looks and feels."""

    hz: float = setting(10.0, "frames a second", unit="Hz", low=0.5, high=20)
    theme: str = setting("dark", "colours", choices=("dark", "light", "contrast", "ansi"))
    gain_loss: str = setting("blue-orange", "colours of gain and loss", choices=("blue-orange", "green-red"))
    ascii: bool = setting(False, "plain ASCII instead of chart and border glyphs")
    keys: dict[str, str] = field(
        default_factory=dict, metadata={"about": About("action id to key, for keys you want elsewhere")}
    )


@dataclass(frozen=True, slots=True)
class Logs:
    """Log files under the data directory."""

    level: str = setting("INFO", "least severe level written", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    format: str = setting("text", "plain text or one JSON object a line", choices=("text", "json"))
    max_mb: float = setting(10.0, "size at which a file is rotated", unit="MB", low=0.1, high=1_000)
    keep: int = setting(5, "rotated files kept", unit="files", low=0, high=100)


@dataclass(frozen=True, slots=True)
class Storage:
    """What is kept."""

    ticks: bool = setting(True, "keep every tick in market.duckdb")
    record: bool = setting(False, "record the inbox, raw frames included, for bit-exact replay")


@dataclass(frozen=True, slots=True)
class Simulator:
    """The simulated exchange that runs when there is no account."""

    seed: int = setting(
        7, "seed of the synthetic market: the same seed and date give the same day", low=0, high=2**31 - 1
    )
    speed: float = setting(1.0, "exchange seconds per real second", unit="times", low=0.1, high=1_000)


@dataclass(frozen=True, slots=True)
class Config:
    """All settings."""

    account: Account = field(default_factory=Account)
    urls: Urls = field(default_factory=Urls)
    watch: Watch = field(default_factory=Watch)
    risk: Risk = field(default_factory=Risk)
    strategies: Strategies = field(default_factory=Strategies)
    screen: Screen = field(default_factory=Screen)
    logs: Logs = field(default_factory=Logs)
    storage: Storage = field(default_factory=Storage)
    simulator: Simulator = field(default_factory=Simulator)


# --- loading ------------------------------------------------------------------------------------------


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
    """Rules that need more than one setting."""
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


# --- documentation ------------------------------------------------------------------------------------


def walk(cls: type[Any] = Config, prefix: str = "") -> Iterator[tuple[str, About, Any]]:
    """Every setting: dotted name, what is known about it, default."""
    hints = get_type_hints(cls)
    empty = cls()
    for f in fields(cls):
        if is_dataclass(hints[f.name]):
            yield from walk(hints[f.name], f"{prefix}{f.name}.")
        else:
            yield f"{prefix}{f.name}", f.metadata["about"], getattr(empty, f.name)


def range_words(about: About) -> str:
    """The allowed range in words; empty when anything goes."""
    if about.choices:
        return " | ".join(about.choices)
    if about.clock:
        return "HH:MM"
    if about.low is None and about.high is None:
        return ""
    low = "" if about.low is None else f"{about.low:g}"
    high = "" if about.high is None else f"{about.high:g}"
    return f"{low} to {high}"


def example() -> str:
    """The text of `config.toml.example`: every setting with its default, unit and range, commented out."""
    out = [
        "# tradetui settings. Every line shows a default; remove the '#' to change one.",
        "# Where this file lives: `tradetui config path`. Check it: `tradetui config check`.",
        "# Secrets never go in here: `tradetui auth` keeps them in your keyring.",
    ]
    section = None
    for name, about, default in walk():
        table, key = name.rsplit(".", 1)
        if table != section:
            section = table
            out += ["", f"[{table}]", f"# {_doc_of(table)}"]
        unit = f" Unit: {about.unit}." if about.unit else ""
        allowed = f" Allowed: {range_words(about)}." if range_words(about) else ""
        out.append(f"# {about.words[0].upper()}{about.words[1:]}.{unit}{allowed}")
        out.append(f"#{key} = {_toml(default)}")
    return "\n".join(out) + "\n"


def _doc_of(table: str) -> str:
    cls: Any = Config
    for part in table.split("."):
        cls = get_type_hints(cls)[part]
    return str(cls.__doc__)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{}"
    return f"{value:g}" if isinstance(value, float) and value < 1e6 else str(value)


# --- places -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Home:
    """Where settings and data live.

    Attributes:
        config_dir: Holds ``config.toml``.
        data_dir: Holds databases, journals, logs, instrument lists.
    """

    config_dir: Path
    data_dir: Path

    @property
    def config_file(self) -> Path:
        """The settings file."""
        return self.config_dir / "config.toml"

    def account_dir(self, account: str) -> Path:
        """Folder of one account's journal and databases; accounts never share one."""
        return self.data_dir / "accounts" / re.sub(r"[^A-Za-z0-9._-]", "_", account)


def home(override: str | None = None, environ: Mapping[str, str] = os.environ) -> Home:
    """Settings and data directories: the flag, else ``TRADETUI_HOME``, else the platform's own places."""
    root = override or environ.get("TRADETUI_HOME")
    if root:
        path = Path(root).expanduser()
        return Home(path, path)
    import platformdirs

    return Home(
        platformdirs.user_config_path("tradetui", appauthor=False),
        platformdirs.user_data_path("tradetui", appauthor=False),
    )
