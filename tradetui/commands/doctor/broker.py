"""The way to the broker: keyring, login, hosts, static IP, clock. Without an account, the inner simulator's."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from tradetui.commands.doctor.line import Line, green, red, yellow
from tradetui.domain.errors import AuthError, TradeTuiError
from tradetui.domain.text import clean

if TYPE_CHECKING:
    from tradetui.brokers.upstox.auth import AuthStatus
    from tradetui.brokers.upstox.hosts import Hosts
    from tradetui.brokers.upstox.tokens import AccessToken

SKEW_YELLOW_S: Final = 2.0
SKEW_RED_S: Final = 30.0
"""A clock this far off puts trades into wrong minutes and session ends at wrong times."""
_REACH_S: Final = 8.0


@dataclass(frozen=True, slots=True)
class Reached:
    """One try to reach a host.

    Attributes:
        name: What the host is for: main, order, feed, assets.
        host: Its name.
        ms: Until its answer began; 0 without one.
        trouble: Why there was no answer; empty when there was.
        skew_s: Our clock minus the one in its ``Date`` header, seconds; ``None`` without that header.
    """

    name: str
    host: str
    ms: int = 0
    trouble: str = ""
    skew_s: float | None = None


@dataclass(frozen=True, slots=True)
class Broker:
    """Facts about account and broker.

    Attributes:
        simulated: Orders go to a simulator: there is no account, or the base URLs are on this machine.
        simulator_trouble: Why the simulator cannot be used; empty when it can.
        keyring: Name of the keyring; empty when none may be used.
        keyring_trouble: Why not.
        handed_in: A token was handed in for this run.
        status: What the login amounts to; ``None`` where none is needed.
        token_trouble: Why a token that was handed in cannot be used.
        reached: Every host.
        live_wanted: The settings hold a capital for live trading.
        registered: Static addresses registered at the broker; ``None`` when they were not asked for.
        registered_trouble: Why they are not known.
        local_ip: Our end of a connection to the order host; empty when unknown.
    """

    simulated: bool = True
    simulator_trouble: str = ""
    keyring: str = ""
    keyring_trouble: str = ""
    handed_in: bool = False
    status: AuthStatus | None = None
    token_trouble: str = ""
    reached: tuple[Reached, ...] = ()
    live_wanted: bool = False
    registered: tuple[str, ...] | None = None
    registered_trouble: str = ""
    local_ip: str = ""


@dataclass(slots=True)
class Found:
    """What `look` brings back beside the facts.

    Attributes:
        facts: The facts.
        hosts: Base URLs of the world that `run` would use.
        now_ns: Time in that world, UTC ns.
    """

    facts: Broker
    hosts: Hosts
    now_ns: int = field(default_factory=time.time_ns)


async def look(hosts: Hosts | None, token: str, *, live_wanted: bool) -> Found:
    """Gather the facts: look into the keyring, and reach the hosts that ``run`` would use.

    Args:
        hosts: Base URLs from flags or settings; ``None`` for Upstox, or the simulator when not logged in.
        token: Access token handed in for this run; empty for none.
        live_wanted: The settings hold a capital for live trading.
    """
    from tradetui.brokers.upstox import auth
    from tradetui.brokers.upstox.hosts import LIVE
    from tradetui.brokers.upstox.vault import Vault

    wanted = hosts or LIVE
    facts = Broker(live_wanted=live_wanted, handed_in=bool(token))
    vault = Vault(wanted.label)
    try:
        facts = replace(facts, keyring=await asyncio.to_thread(vault.backend_name))
    except AuthError as error:
        facts = replace(facts, keyring_trouble=error.message)
    if wanted.is_loopback:
        return await _simulated(facts, wanted.main)
    access: AccessToken | None = None
    if token:
        try:
            access = auth.token_from_text(token, wanted, time.time_ns())
        except AuthError as error:
            facts = replace(facts, token_trouble=error.message)
    elif facts.keyring:
        facts = replace(facts, status=await auth.status(wanted, vault))
        if facts.status is not None and facts.status.expires_ist:
            access = await asyncio.to_thread(vault.load_token)
    if access is None and hosts is None and not token:
        return await _inner_simulator(facts)
    return await _account(replace(facts, simulated=False), wanted, access)


async def _account(facts: Broker, hosts: Hosts, access: AccessToken | None) -> Found:
    from tradetui.brokers.upstox import auth
    from tradetui.brokers.upstox.vault import Vault

    facts = replace(facts, reached=await reach(hosts), local_ip=await asyncio.to_thread(_local_ip, hosts))
    if access is not None and not access.expired(time.time_ns()):
        if not facts.handed_in:
            facts = replace(facts, status=await auth.status(hosts, Vault(hosts.label), verify=True))
        facts = await _registered(facts, hosts, access)
    return Found(facts, hosts)


async def _inner_simulator(facts: Broker) -> Found:
    """Start the simulator that ``run`` would start, without touching its kept day."""
    from tradetui.brokers.upstox.hosts import LIVE
    from tradetui.simulator.child import SimChild

    try:
        child = await asyncio.to_thread(SimChild, ["--auto-approve", "--jump-to-open"])
    except TradeTuiError as error:
        return Found(replace(facts, simulator_trouble=error.message), LIVE)
    try:
        return await _simulated(facts, child.urls.main)
    finally:
        await asyncio.to_thread(child.stop)


async def _simulated(facts: Broker, main_url: str) -> Found:
    from tradetui.brokers.upstox.auth import login_simulator
    from tradetui.brokers.upstox.hosts import chosen_hosts

    try:
        login = await login_simulator(main_url)
    except TradeTuiError as error:
        hosts = chosen_hosts(main_url)
        assert hosts is not None
        return Found(replace(facts, simulator_trouble=error.message), hosts)
    facts = replace(
        facts,
        status=None,
        reached=await reach(login.hosts),
        local_ip=await asyncio.to_thread(_local_ip, login.hosts),
    )
    return Found(await _registered(facts, login.hosts, login.token), login.hosts, login.clock_ms * 1_000_000)


async def _registered(facts: Broker, hosts: Hosts, access: AccessToken) -> Broker:
    """Ask the broker which static addresses are registered."""
    from tradetui.brokers.upstox.api import UpstoxApi
    from tradetui.brokers.upstox.reads import user_ip

    api = UpstoxApi(hosts, access)
    try:
        found = await user_ip(api)
    except AuthError as error:
        # A token that was handed in has no status of its own: this is where it shows what it is worth.
        return replace(
            facts, registered_trouble=error.message, token_trouble=error.message if facts.handed_in else ""
        )
    except TradeTuiError as error:
        return replace(facts, registered_trouble=error.message)
    finally:
        await api.close()
    return replace(facts, registered=tuple(filter(None, (found.primary, found.secondary))))


async def reach(hosts: Hosts) -> tuple[Reached, ...]:
    """Ask every host for anything at all; each distinct address once, side by side."""
    import aiohttp

    urls = {
        "main": hosts.main,
        "order": hosts.order,
        "feed": hosts.feed.replace("ws", "http", 1),
        "assets": hosts.assets,
    }
    timeout = aiohttp.ClientTimeout(total=_REACH_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        return tuple(await asyncio.gather(*(_reach(session, name, url) for name, url in urls.items())))


async def _reach(session: Any, name: str, url: str) -> Reached:
    import aiohttp

    host = urlsplit(url).netloc
    began = time.monotonic()
    try:
        async with session.get(url, allow_redirects=False) as answer:
            # Any status will do: something that speaks HTTP, with a valid certificate, is there.
            took = time.monotonic() - began
            skew = skew_s(answer.headers.get("Date", ""), time.time() - took / 2)
    except aiohttp.ClientConnectorCertificateError:
        return Reached(name, host, trouble="its certificate is not valid")
    except TimeoutError:
        return Reached(name, host, trouble=f"no answer within {_REACH_S:.0f} s")
    except aiohttp.ClientError as error:
        return Reached(name, host, trouble=clean(str(error), 120) or type(error).__name__)
    return Reached(name, host, round(took * 1000), skew_s=skew)


def skew_s(header: str, asked_at: float) -> float | None:
    """Our clock minus that of a ``Date`` header, seconds; ``None`` without a date in it.

    Args:
        header: The header; it has whole seconds, so half a second is added.
        asked_at: Our clock half-way between question and answer, seconds since 1970.
    """
    try:
        return asked_at - (parsedate_to_datetime(header).timestamp() + 0.5)
    except (TypeError, ValueError):
        return None


def _local_ip(hosts: Hosts) -> str:
    """Our end of a way to the order host. A datagram socket tells it without sending anything."""
    parts = urlsplit(hosts.order)
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_DGRAM)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    except OSError:
        return ""


# --- checks -------------------------------------------------------------------------------------------


def mode(facts: Broker) -> Line:
    """Which world ``tradetui run`` would open on."""
    if facts.simulator_trouble:
        return red("world", facts.simulator_trouble, "run `tradetui sim` by itself to see what it says")
    if facts.simulated:
        return yellow(
            "world", "no account here: `tradetui run` opens on the simulator", "tradetui auth logs in"
        )
    live = (
        "live orders with --live" if facts.live_wanted else "live orders are off (account.live_capital is 0)"
    )
    return green("world", f"an account: live data, paper orders; {live}")


def keyring(facts: Broker) -> Line:
    """Whether a login can be kept."""
    if facts.keyring:
        return green("keyring", facts.keyring)
    return yellow(
        "keyring",
        facts.keyring_trouble,
        "install or unlock one (GNOME Keyring, KWallet, Keychain), or hand the token in with --token-stdin",
    )


def token(facts: Broker) -> Line:
    """Whether the login is good."""
    if facts.token_trouble:
        return red("token", facts.token_trouble, "make a new one, or `tradetui auth`")
    if facts.handed_in:
        return green("token", "handed in for this run only")
    status = facts.status
    if facts.simulated:
        return green("token", "the simulator needs none")
    if status is None or not status.logged_in:
        words = status.words if status is not None else "not logged in"
        return red("token", words, "tradetui auth")
    if status.verified is None:
        return yellow("token", status.words, "the broker could not be asked about it")
    if status.hours_left is not None and status.hours_left < 1:
        return yellow("token", status.words, "log in again before it ends: tradetui auth")
    return green("token", status.words)


def hosts_reachable(facts: Broker) -> list[Line]:
    """Every host."""
    lines = [
        red(
            "hosts",
            f"{one.name} ({one.host}): {one.trouble}",
            "check network, name server, VPN and proxy; the broker may be down",
        )
        for one in facts.reached
        if one.trouble
    ]
    fine = [f"{one.name} {one.ms} ms" for one in facts.reached if not one.trouble]
    return [*lines, *([green("hosts", "reached: " + ", ".join(fine))] if fine else [])]


def clock(facts: Broker) -> list[Line]:
    """Our clock against the broker's."""
    if facts.simulated:
        return [green("clock", "the simulator keeps its own time")] if facts.reached else []
    known = [one.skew_s for one in facts.reached if one.skew_s is not None]
    if not known:
        return [yellow("clock", "no host told its time")]
    # Each tells whole seconds, so the least of several is nearest to the truth.
    skew = min(known, key=abs)
    words = f"ours is {abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} the broker's (Date header, +-0.5 s)"
    remedy = (
        "switch on time synchronisation: timedatectl set-ntp true (in WSL: wsl --shutdown, then start again)"
    )
    if abs(skew) >= SKEW_RED_S:
        return [red("clock", words, remedy)]
    return [yellow("clock", words, remedy)] if abs(skew) >= SKEW_YELLOW_S else [green("clock", words)]


def static_ip(facts: Broker) -> list[Line]:
    """Our address against the registered ones. Order writes from elsewhere are refused (403 ``UDAPI1154``)."""
    if facts.registered is None:
        return (
            [yellow("static IP", f"not known: {facts.registered_trouble}")]
            if facts.registered_trouble
            else []
        )
    bad: Callable[[str, str, str], Line] = red if facts.live_wanted else yellow
    if not facts.registered:
        remedy = (
            "register your static IP in the broker's developer console; live orders are refused without it"
        )
        return [bad("static IP", "none is registered", remedy)]
    names = " and ".join(facts.registered)
    if not facts.local_ip:
        return [yellow("static IP", f"registered: {names}; our own address could not be found out")]
    if facts.local_ip in facts.registered:
        return [green("static IP", f"our address {facts.local_ip} is registered")]
    if ipaddress.ip_address(facts.local_ip).is_global:
        remedy = "connect through the registered address, or register this one (once a week; it ends today's login)"
        return [bad("static IP", f"our address {facts.local_ip} is not the registered {names}", remedy)]
    return [
        yellow(
            "static IP",
            f"registered: {names}. Compared with {facts.local_ip}, which is private: the address that the broker "
            "sees is your router's or VPN's, and cannot be known from in here",
            "look it up at your provider and compare; live orders from another address are refused",
        )
    ]


CHECKS: Final[tuple[Callable[[Broker], Line | list[Line]], ...]] = (
    mode, keyring, token, hosts_reachable, clock, static_ip,
)  # fmt: skip
