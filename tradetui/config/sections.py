"""Every section of the settings file but ``[risk]``, and the whole."""

from __future__ import annotations

from dataclasses import dataclass, field

from tradetui.config.about import About, setting
from tradetui.config.calendar import OwnCalendar
from tradetui.config.risk import Risk
from tradetui.domain.intervals import INTERVALS


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
    square_off_confirmed: bool = setting(
        False,
        "you have looked up your broker's cut-off for intraday, and risk.square_off lies before it (live needs this)",
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
class Feed:
    """How much of the market may stream."""

    plan: str = setting(
        "auto",
        "the account's plan, which decides the limits; auto reads it from the login",
        choices=("auto", "standard", "plus"),
    )
    limits: str = setting(
        "user",
        "what the broker's limits on instruments count for: the user (safe), or each connection (more may stream)",
        choices=("user", "connection"),
    )


@dataclass(frozen=True, slots=True)
class Watch:
    """What is on the screen from the start."""

    symbols: tuple[str, ...] = setting(
        (),
        "symbols or instrument keys, in order; empty lets the program choose: indices, well-known shares, near futures",
    )
    interval: str = setting("1m", "chart interval at start; 1M is a month", choices=tuple(INTERVALS))
    overlays: tuple[str, ...] = setting(
        ("ema(20)", "vwap"),
        "lines over the chart: indicators with their parameters, such as supertrend(10,3), bbands or cpr",
    )


@dataclass(frozen=True, slots=True)
class Vote:
    """The weighted vote of indicators (strategy ``vote``)."""

    enabled: bool = setting(True, "compute its signals")
    intervals: tuple[str, ...] = setting(("5m", "15m", "1h"), f"timeframes that vote: {', '.join(INTERVALS)}")
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
    hang_up: str = setting(
        "stay",
        "when the terminal goes away while live, or with an open order or position: stay runs on headless, end stops",
        choices=("stay", "end"),
    )
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
    depth: bool = setting(True, "keep levels 2 to 5 of the book with every tick: half of a tick's size")
    ticks_days: int = setting(
        5,
        "closed days of ticks that stay in market.duckdb; older ones go to Parquet files in the archive; 0 keeps all there",
        unit="days",
        low=0,
        high=3_650,
    )
    bars_days: int = setting(
        0, "the same for bars; 0 keeps all of them in market.duckdb", unit="days", low=0, high=36_500
    )
    archive_days: int = setting(
        0,
        "days of ticks kept in the archive; older files are deleted; 0 keeps all",
        unit="days",
        low=0,
        high=36_500,
    )
    record: bool = setting(False, "record the inbox, raw frames included, for bit-exact replay")
    record_max_gb: float = setting(
        20.0, "size on the disk at which a recording ends", unit="GB", low=0.01, high=10_000
    )
    record_keep_days: int = setting(
        0,
        "recordings of runs older than this are removed when a new one begins; 0 keeps all",
        unit="days",
        low=0,
        high=3_650,
    )


@dataclass(frozen=True, slots=True)
class History:
    """Past bars from the broker (`tradetui backfill`)."""

    parallel: int = setting(
        4, "requests under way at a time; the broker's limits hold whatever it is", low=1, high=4
    )
    attempts: int = setting(7, "how often one range is asked for before it counts as failed", low=1, high=7)
    timeout: float = setting(10.0, "longest wait for a piece of an answer", unit="seconds", low=0.5, high=120)


@dataclass(frozen=True, slots=True)
class Watchdog:
    """The small process that stands by while live (or rehearsing): what it does when the engine falls silent."""

    after: float = setting(
        20.0, "silence of the engine after which it acts", unit="seconds", low=1, high=3_600
    )
    policy: str = setting(
        "cancel",
        "warn: write it to the log; cancel: cancel what opens risk, leave stops; flatten: close positions too",
        choices=("warn", "cancel", "flatten"),
    )


@dataclass(frozen=True, slots=True)
class Scripts:
    """Orders of other programs, sent with `tradetui place` through a running engine. Live ones always need arming."""

    enabled: bool = setting(
        False, "on paper and simulator: scripts may trade without `tradetui arm --scripts`"
    )
    max_orders: int = setting(100, "orders and modifies in one run", low=1, high=10_000)
    max_value: float = setting(100_000.0, "value of one order", unit="rupees", low=1, high=1e9)
    max_total: float = setting(
        1_000_000.0, "value of all of them in one run", unit="rupees", low=1, high=1e12
    )


@dataclass(frozen=True, slots=True)
class Simulator:
    """The simulated exchange that runs when there is no account."""

    seed: int = setting(
        7, "seed of the synthetic market: the same seed and date give the same day", low=0, high=2**31 - 1
    )
    speed: float = setting(1.0, "exchange seconds per real second", unit="times", low=0.1, high=1_000)


@dataclass(frozen=True, slots=True)
class Charges:
    """Rates of charges that have changed since this version; the shipped ones have their dates and sources."""

    rates: dict[str, str] = field(
        default_factory=dict,
        metadata={
            "about": About(
                'date and rate to rupees per crore (GST: percent) and its source: "2027-04-01 stt.sell.OPTION" = '
                '"20000; Budget 2027"; also exchange.VENUE.CLASS, stamp.CLASS, sebi, gst'
            )
        },
    )


@dataclass(frozen=True, slots=True)
class Config:
    """All settings."""

    account: Account = field(default_factory=Account)
    urls: Urls = field(default_factory=Urls)
    feed: Feed = field(default_factory=Feed)
    watch: Watch = field(default_factory=Watch)
    risk: Risk = field(default_factory=Risk)
    strategies: Strategies = field(default_factory=Strategies)
    charges: Charges = field(default_factory=Charges)
    calendar: OwnCalendar = field(default_factory=OwnCalendar)
    screen: Screen = field(default_factory=Screen)
    logs: Logs = field(default_factory=Logs)
    storage: Storage = field(default_factory=Storage)
    history: History = field(default_factory=History)
    watchdog: Watchdog = field(default_factory=Watchdog)
    scripts: Scripts = field(default_factory=Scripts)
    simulator: Simulator = field(default_factory=Simulator)
