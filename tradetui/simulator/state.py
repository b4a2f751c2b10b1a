"""What the parts of the simulated broker share."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from tradetui.simulator.clock import SimClock
from tradetui.simulator.faults import Faults
from tradetui.simulator.rest.limits import Governor
from tradetui.simulator.restrictions import KillSwitch, StaticIps
from tradetui.simulator.tokens import Tokens

HOST = "127.0.0.1"
"""The only address ever listened on."""


@dataclass(frozen=True, slots=True)
class SimOptions:
    """How a simulator is started; each is a flag of ``tradetui sim``.

    Attributes:
        port: Port of the main listener; the others follow it. 0 picks free ports.
        auto_approve: The login dialog redirects at once.
        jump_to_open: Start the exchange's clock in a session whatever the time of day.
        seed: Seed of the synthetic world.
        variant: Which synthetic world: ``full``, ``thin``, ``wide``, ``hostile``.
        replay: Recorded feed to play, a file or a folder.
        instruments: Instrument file (Upstox's ``complete.json.gz``) with the terms of what is replayed.
        bars: Minute bars to turn into ticks.
        bench: Instruments and updates a second of a world made for measuring.
        speed: Exchange seconds per second; None is as fast as possible.
        faults: Faults on from the start, as ``NAME`` or ``NAME:key=value,..``.
        day: Date of the simulated session; None for the last trading day, or the recording's own.
        opening_cash: Cash of the simulated account, rupees.
        redirect_uri: Registered redirect address; empty picks one on a free port.
        state_file: Keeps account and clock from run to run; None forgets them.
    """

    port: int = 0
    auto_approve: bool = False
    jump_to_open: bool = False
    seed: int = 1
    variant: str = "full"
    replay: Path | None = None
    instruments: Path | None = None
    bars: Path | None = None
    bench: tuple[int, int] | None = None
    speed: float | None = 1.0
    faults: tuple[str, ...] = ()
    day: date | None = None
    opening_cash: int = 1_000_000
    redirect_uri: str = ""
    state_file: Path | None = None


@dataclass(frozen=True, slots=True)
class App:
    """The API app registered with the simulated broker. A demo pair, worth nothing elsewhere."""

    api_key: str
    api_secret: str = field(repr=False)
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class Urls:
    """Where a running simulator listens: base URLs without a trailing slash."""

    main: str
    order: str
    feed: str
    assets: str
    control: str


@dataclass(slots=True)
class SimState:
    """Everything the handlers need."""

    options: SimOptions
    clock: SimClock
    faults: Faults
    tokens: Tokens
    app: App
    urls: Urls
    counts: Counter[str] = field(default_factory=Counter)
    """Requests by kind: ``METHOD /path/template``, and ``host:NAME`` by listener."""
    limits: Governor = field(default_factory=Governor)
    """The rate limits, and how near to them the client came."""
    kill_switch: KillSwitch = field(default_factory=KillSwitch)
    static_ips: StaticIps = field(default_factory=lambda: StaticIps(HOST))
