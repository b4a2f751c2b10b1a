"""Which account a run uses, and how it is logged in."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tradetui.brokers.upstox.auth import login_simulator, stored_token, token_from_text
from tradetui.brokers.upstox.hosts import LIVE, Hosts, chosen_hosts
from tradetui.brokers.upstox.tokens import AccessToken
from tradetui.brokers.upstox.vault import KeyringUnavailable, Vault
from tradetui.clock import FollowedClock, WallClock
from tradetui.domain.errors import UsageError
from tradetui.domain.view import Mode
from tradetui.simulator.child import SimChild
from tradetui.wiring.hand_over import Whereabouts

if TYPE_CHECKING:
    from tradetui.wiring import Request

log = logging.getLogger(__name__)

UNPACED = 600.0
"""Exchange seconds in a real one that are assumed of a simulator without a pace."""


@dataclass(frozen=True, slots=True)
class Account:
    """A logged-in account and the world it trades in.

    Attributes:
        mode: Which world the orders go to.
        hosts: Base URLs.
        token: Access token.
        clock: Engine time of this world.
        folder: Name of its data folder; no two worlds share one.
        label: For the screen: no full id.
        fault: Switches a fault of the inner simulator; ``None`` elsewhere.
        follow: Takes the sender's clock of each frame, where the clock follows the exchange.
        speed: Exchange seconds in a real one.
        inner: The exchange is our own child, and ends with us.
    """

    mode: Mode
    hosts: Hosts
    token: AccessToken
    clock: WallClock | FollowedClock
    folder: str
    label: str
    fault: Callable[[str, dict[str, object]], str] | None = None
    follow: Callable[[int], None] | None = None
    speed: float = 1.0
    inner: bool = False

    @property
    def host_words(self) -> str:
        """The host, for people; a rehearsal says what it is."""
        return (
            f"{self.hosts.label} (rehearsal on a simulator)"
            if self.mode is Mode.REHEARSAL
            else self.hosts.label
        )


def whereabouts(account: Account) -> Whereabouts:
    """Where an account trades, as it is left behind for the watchdog and the kill command."""
    hosts = account.hosts
    return Whereabouts(
        account.mode,
        hosts.main,
        hosts.order,
        hosts.feed,
        hosts.assets,
        account.folder,
        account.label,
        account.speed,
        account.inner,
    )


async def find_account(request: Request, cleanup: list[Callable[[], Any]]) -> Account:
    """The account that flags, settings and keyring lead to; the inner simulator when there is none.

    Raises:
        AuthError: Not logged in where a login is needed, or the login has expired.
        UsageError: Flags that contradict each other.
    """
    hosts = hosts_of(request)
    if hosts is not None and hosts.is_loopback:
        rehearsed = request.live or request.rehearse
        return await simulator_account(hosts.main, "a simulator on this machine", live=rehearsed)
    if request.rehearse:
        if hosts is not None:
            raise UsageError(
                f"a rehearsal needs a simulator, and {hosts.label} is none", "leave the base URLs away"
            )
        return await _inner(request, cleanup)
    wanted = hosts or LIVE
    token = await _token(request, wanted, explicit=hosts is not None or request.live)
    if token is not None:
        return _broker_account(request, wanted, token)
    return await _inner(request, cleanup)


async def _inner(request: Request, cleanup: list[Callable[[], Any]]) -> Account:
    log.info("starting the simulated exchange")
    child = await asyncio.to_thread(_start_child, request)
    cleanup.append(child.stop)
    return await simulator_account(
        child.urls.main, "the inner simulator", child.fault, live=request.rehearse, inner=True
    )


async def named_account(hosts: Hosts | None, token_text: str = "") -> Account:
    """The account at some hosts as the kill command needs it: for orders, whatever the settings say of capital.

    Args:
        hosts: Base URLs; ``None`` for Upstox.
        token_text: An access token for this once; empty takes the stored one.

    Raises:
        AuthError: Not logged in there.
        TransportError: The simulator cannot be reached.
    """
    if hosts is not None and hosts.is_loopback:
        return await simulator_account(hosts.main, "a simulator on this machine", live=True)
    wanted, clock = hosts or LIVE, WallClock()
    if token_text:
        token = token_from_text(token_text, wanted, clock.now_ns())
    else:
        token = await stored_token(wanted, Vault(wanted.label), clock.now_ns)
    return _account_at(Mode.LIVE, wanted, token)


def hosts_of(request: Request) -> Hosts | None:
    """Base URLs from flags, environment or settings; ``None`` when none is given.

    Raises:
        ConfigError: They contradict each other, or are no URLs.
    """
    chosen = request.settings.urls
    own = (chosen.main, chosen.order, chosen.feed, chosen.assets)
    return chosen_hosts(*(flag or setting for flag, setting in zip(request.urls, own, strict=True)))


async def _token(request: Request, hosts: Hosts, *, explicit: bool) -> AccessToken | None:
    """The token to run with; ``None`` when there is none and none was asked for."""
    clock = WallClock()
    if request.token:
        return token_from_text(request.token, hosts, clock.now_ns())
    vault = Vault(hosts.label)
    try:
        found = await asyncio.to_thread(vault.load_token)
    except KeyringUnavailable:
        if explicit:
            raise
        return None
    if found is None and not explicit:
        return None
    return await stored_token(hosts, vault, clock.now_ns)


def _broker_account(request: Request, hosts: Hosts, token: AccessToken) -> Account:
    live = request.live
    if live and request.settings.account.live_capital <= 0:
        raise UsageError(
            "live trading needs account.live_capital in the settings",
            "type the capital that risk limits shall refer to; see `tradetui config path`",
        )
    return _account_at(Mode.LIVE if live else Mode.PAPER, hosts, token)


def _account_at(mode: Mode, hosts: Hosts, token: AccessToken) -> Account:
    user = re.sub(r"\W", "", token.user_id) or "user"
    label = f"**{user[-4:]}" if user != "user" else ""
    folder = f"{mode.value.lower()}-{hosts.label}-{user}"
    return Account(mode, hosts, token, WallClock(), folder, label)


async def simulator_account(
    main_url: str,
    what: str,
    fault: Callable[[str, dict[str, object]], str] | None = None,
    *,
    live: bool = False,
    inner: bool = False,
) -> Account:
    """The account at a simulator on this machine, logged in.

    Args:
        main_url: Its main base URL.
        what: What it is, in words.
        fault: Switches its faults.
        live: Rehearse live trading on it: the same account and journal, but orders need arming.
        inner: It is our own child.

    Raises:
        AuthError: There is no simulator.
        TransportError: It cannot be reached.
    """
    log.info("logging in at %s", what)
    login = await login_simulator(main_url)
    # A recording that waits for its subscriber stands still; whatever has no pace counts as very fast.
    speed = login.speed or UNPACED
    clock = FollowedClock(login.clock_ms * 1_000_000, 1.0 if login.speed is None else login.speed)
    world = re.sub(r"[^A-Za-z0-9]+", "-", login.world).strip("-").lower()[:60] or "world"
    mode = Mode.REHEARSAL if live else Mode.SIM
    # Arming asks for the end of the account's name, on a simulator too.
    label = f"**{login.token.user_id[-4:]}" if live else what
    return Account(
        mode, login.hosts, login.token, clock, f"sim-{world}", label, fault, clock.observe, speed, inner
    )


def _start_child(request: Request) -> SimChild:
    folder = request.place.data_dir / "simulator"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    state = folder / f"seed-{request.sim_seed}.json"
    if request.fresh:
        state.unlink(missing_ok=True)
        _set_aside(request.place.account_dir(f"sim-synthetic-{request.sim_seed}-full"))
    return SimChild(
        [
            "--auto-approve",
            "--jump-to-open",
            f"--seed={request.sim_seed}",
            f"--speed={request.sim_speed:g}",
            f"--cash={round(request.settings.account.capital)}",
            f"--state={state}",
        ]
    )


def _set_aside(folder: Path) -> None:
    """Move an account's data away: a new exchange knows none of its positions, and closing one would open another."""
    if folder.exists():
        number = 1
        while (target := folder.with_name(f"{folder.name}.old-{number}")).exists():
            number += 1
        folder.rename(target)
        log.info("the simulated account's data of before is now %s", target.name)
