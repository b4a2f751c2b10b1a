"""Login as the program does it: `login_simulator`, and what ``tradetui auth`` calls (`status`, `login`, `logout`).

The single steps are in `oauth` and come through here: `browser_login`, `exchange`, `code_from_paste`,
`token_from_text`, `token_from_stream`, `prompt_secret`. Nothing here prints, prompts by itself, or puts a
secret into a message.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from tradetui.brokers.upstox import endpoints as ep
from tradetui.brokers.upstox.api import UpstoxApi
from tradetui.brokers.upstox.hosts import Hosts, is_loopback_url
from tradetui.brokers.upstox.oauth import (
    DIALOG_PATH,
    NowNs,
    browser_login,
    code_from_paste,
    dialog_url,
    exchange,
    prompt_secret,
    token_from_stream,
    token_from_text,
)
from tradetui.brokers.upstox.redirect import code_from_answer
from tradetui.brokers.upstox.tokens import AccessToken, in_ist
from tradetui.brokers.upstox.vault import AppCredentials, KeyringUnavailable, Vault
from tradetui.domain.errors import AuthError, TradeTuiError, TransportError
from tradetui.domain.secret import Secret
from tradetui.domain.text import clean

__all__ = [
    "AuthStatus",
    "SimulatorAbout",
    "SimulatorLogin",
    "about_simulator",
    "browser_login",
    "code_from_paste",
    "dialog_url",
    "exchange",
    "host_clock",
    "login",
    "login_simulator",
    "logout",
    "prompt_secret",
    "status",
    "stored_token",
    "token_from_stream",
    "token_from_text",
]

DISCOVERY_PATH: Final = "/.well-known/tradetui-simulator"
_NS_PER_HOUR: Final = 3_600_000_000_000


# --- the simulator ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SimulatorLogin:
    """A login to a simulator on this machine; the token lives in memory only.

    Attributes:
        hosts: Its base URLs.
        token: The token.
        clock_ms: Exchange time when it was asked, epoch ms.
        speed: Exchange seconds per real second; ``None`` when events move its clock.
        control: Base URL of its control listener.
        world: Which world it simulates: name and seed, or name of the recording.
    """

    hosts: Hosts
    token: AccessToken
    clock_ms: int
    speed: float | None
    control: str
    world: str


async def login_simulator(main_url: str) -> SimulatorLogin:
    """Log in to a simulator on this machine with its own demo credentials, following its dialog.

    Raises:
        AuthError: Not on this machine, not a simulator, or its dialog was not answered as expected.
        TransportError: It cannot be reached.
    """
    import aiohttp

    if not is_loopback_url(main_url):
        raise AuthError("simulators are logged in to on this machine only", "Use tradetui auth")
    main_url = main_url.rstrip("/")
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as session:
            async with session.get(main_url + DISCOVERY_PATH, allow_redirects=False) as answer:
                about = await answer.json(content_type=None) if answer.status == 200 else None
            if not isinstance(about, dict) or about.get("simulator") != "tradetui":
                raise AuthError(f"there is no simulator at {main_url}", "Start one: tradetui sim")
            hosts = Hosts(main=main_url, order=about["order"], feed=about["feed"], assets=about["assets"])
            app = AppCredentials(Secret(about["api_key"]), Secret(about["api_secret"]), about["redirect_uri"])
            code = await _follow_dialog(session, hosts, app)
    except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
        raise TransportError(
            f"the simulator at {main_url} cannot be reached ({type(error).__name__})",
            "Start one: tradetui sim",
        ) from None
    clock = about.get("clock") or {}
    clock_ms = int(clock.get("now_ms") or time.time_ns() // 1_000_000)
    speed = clock.get("speed")
    token = await exchange(hosts, app, code, lambda: clock_ms * 1_000_000)
    rate = None if speed == "max" else float(speed or 0)
    return SimulatorLogin(
        hosts,
        token,
        clock_ms,
        rate,
        str(about.get("control") or ""),
        str(about.get("label") or about.get("world") or ""),
    )


async def _follow_dialog(session: Any, hosts: Hosts, app: AppCredentials) -> Secret:
    """Open the dialog and press Approve, as a browser would, up to the redirect."""
    state = secrets.token_urlsafe(24)
    fields = {
        "response_type": "code",
        "client_id": app.api_key.reveal(),
        "redirect_uri": app.redirect_uri,
        "state": state,
    }
    url = hosts.main + DIALOG_PATH
    async with session.get(url, params=fields, allow_redirects=False) as page:
        answer, location = page.status, page.headers.get("Location", "")
        await page.read()
    if answer == 200:
        form = {**fields, "decision": "approve"}
        async with session.post(url, data=form, allow_redirects=False) as page:
            answer, location = page.status, page.headers.get("Location", "")
            await page.read()
    if answer != 302 or not location.startswith(app.redirect_uri):
        raise AuthError(f"the simulator's login page answered HTTP {answer} instead of a code")
    return code_from_answer(urlsplit(location).query, state)


@dataclass(frozen=True, slots=True)
class SimulatorAbout:
    """What a simulator says of itself without a login.

    Attributes:
        api_key: Key of its demo app.
        redirect_uri: Redirect address registered for that app.
        ahead_ns: Its clock minus this machine's, ns.
    """

    api_key: str
    redirect_uri: str
    ahead_ns: int


async def about_simulator(hosts: Hosts) -> SimulatorAbout | None:
    """What the simulator at a loopback host says of itself; ``None`` when nothing there is one."""
    if not hosts.is_loopback:
        return None
    import aiohttp

    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
            session.get(hosts.main + DISCOVERY_PATH, allow_redirects=False) as answer,
        ):
            about = await answer.json(content_type=None)
        ahead_ns = int(about["clock"]["now_ms"]) * 1_000_000 - time.time_ns()
        return SimulatorAbout(clean(about["api_key"], 80), clean(about["redirect_uri"], 200), ahead_ns)
    except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError):
        return None


async def host_clock(hosts: Hosts) -> NowNs:
    """The clock that a host's tokens die by: the machine's, or a simulator's own.

    A simulator that cannot be asked counts as one that keeps the machine's time.
    """
    about = await about_simulator(hosts)
    if about is None:
        return time.time_ns
    ahead_ns = about.ahead_ns
    return lambda: time.time_ns() + ahead_ns


# --- what the commands call ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AuthStatus:
    """Who is logged in where, until when.

    Attributes:
        host: Label of the host.
        live: Whether orders at this host are real.
        account: The user's name for the account.
        keyring: Name of the keyring; empty when none can be used.
        has_app: API key and secret are stored.
        logged_in: A token is stored and has not expired.
        verified: The broker took the token just now; None when it was not asked.
        user_id, user_name: Who.
        expires_ist: When the token dies, as text in IST; empty without a token.
        hours_left: Hours until then; negative when it has passed, None without a token.
        words: All of it in one line, with the remedy if something is wrong.
    """

    host: str
    live: bool
    account: str
    keyring: str
    has_app: bool
    logged_in: bool
    verified: bool | None
    user_id: str
    user_name: str
    expires_ist: str
    hours_left: float | None
    words: str


async def status(
    hosts: Hosts, vault: Vault, *, verify: bool = False, now_ns: NowNs | None = None
) -> AuthStatus:
    """Look up what is stored, and ask the broker about it if wanted.

    Args:
        hosts: Where the login is.
        vault: Where it is kept.
        verify: Ask the broker for the profile with it.
        now_ns: Time, UTC ns; the host's own clock when left out.
    """
    try:
        keyring = await asyncio.to_thread(vault.backend_name)
        app = await asyncio.to_thread(vault.load_app)
        token = await asyncio.to_thread(vault.load_token)
    except KeyringUnavailable as error:
        return AuthStatus(
            hosts.label, hosts.is_live, vault.account, "", False, False, None, "", "", "", None, str(error)
        )
    if token is None:
        words = f"not logged in to {hosts.label}. Log in: tradetui auth"
        return AuthStatus(
            hosts.label, hosts.is_live, vault.account, keyring, app is not None, False, None,
            "", "", "", None, words,
        )  # fmt: skip
    now = (now_ns or await host_clock(hosts))()
    expired = token.expired(now)
    verified, user_name, trouble = None, token.user_name, ""
    if verify and not expired:
        verified, user_name, trouble = await _verify(hosts, token)
    hours = (token.expires_ns - now) / _NS_PER_HOUR
    who = " ".join(filter(None, (token.user_id, user_name))) or "unknown user"
    if expired:
        words = (
            f"the login of {who} at {hosts.label} expired {in_ist(token.expires_ns)}. Log in: tradetui auth"
        )
    else:
        words = f"{who} at {hosts.label}, until {in_ist(token.expires_ns)} ({hours:.1f} h left)"
    return AuthStatus(
        hosts.label, hosts.is_live, vault.account, keyring, app is not None,
        not expired and verified is not False, verified, token.user_id, user_name,
        in_ist(token.expires_ns), round(hours, 2), f"{words}. {trouble}" if trouble else words,
    )  # fmt: skip


async def login(
    hosts: Hosts, vault: Vault, token: AccessToken, *, app: AppCredentials | None = None
) -> AuthStatus:
    """Check a fresh token with the broker and keep it, and the app's credentials if given.

    Args:
        hosts: Where it was issued.
        vault: Where to keep it.
        token: From `browser_login`, `exchange` or `token_from_text`.
        app: Credentials to keep with it.

    Raises:
        AuthError: The broker refused the token, or no keyring can be used. Nothing is kept then.
        TransportError: The broker cannot be asked.
    """
    api = UpstoxApi(hosts, token)
    try:
        profile = (await api.call(ep.PROFILE)).data
    finally:
        await api.close()
    if isinstance(profile, Mapping):
        token = AccessToken(
            token.secret, token.issuer, token.expires_ns,
            clean(profile.get("user_id") or token.user_id, 40),
            clean(profile.get("user_name") or token.user_name, 80),
        )  # fmt: skip
    if app is not None:
        await asyncio.to_thread(vault.save_app, app)
    await asyncio.to_thread(vault.save_token, token)
    return await status(hosts, vault)


async def logout(hosts: Hosts, vault: Vault, *, forget_app: bool = False) -> str:
    """End the token at the broker and forget it here. Returns what was done, in words.

    Args:
        hosts: Where it was issued.
        vault: Where it is kept.
        forget_app: Forget API key and secret too.

    Raises:
        AuthError: No keyring can be used.
    """
    token = await asyncio.to_thread(vault.load_token)
    words = [f"was not logged in to {hosts.label}"] if token is None else []
    if token is not None:
        api = UpstoxApi(hosts, token)
        try:
            await api.call(ep.LOGOUT)
            words.append(f"logged out of {hosts.label}")
        except AuthError:
            words.append(f"the token was no longer valid at {hosts.label}")
        except TradeTuiError as error:
            words.append(f"{hosts.label} could not be told ({error.message}); the token ends by itself")
        finally:
            await api.close()
        await asyncio.to_thread(vault.forget_token)
        words.append("token removed from the keyring")
    if forget_app and await asyncio.to_thread(vault.forget_app):
        words.append("API key and secret removed from the keyring")
    return "; ".join(words)


async def stored_token(hosts: Hosts, vault: Vault, now_ns: NowNs | None = None) -> AccessToken:
    """The token to run with.

    Raises:
        AuthError: There is none, or it has expired.
    """
    token = await asyncio.to_thread(vault.load_token)
    if token is None:
        raise AuthError(f"not logged in to {hosts.label}", "Log in: tradetui auth")
    if token.expired((now_ns or await host_clock(hosts))()):
        raise AuthError(
            f"the login at {hosts.label} expired {in_ist(token.expires_ns)}", "Log in: tradetui auth"
        )
    return token


async def _verify(hosts: Hosts, token: AccessToken) -> tuple[bool | None, str, str]:
    api = UpstoxApi(hosts, token)
    try:
        profile = (await api.call(ep.PROFILE)).data
    except AuthError as error:
        return False, token.user_name, str(error)
    except TradeTuiError as error:
        return None, token.user_name, str(error)
    finally:
        await api.close()
    name = profile.get("user_name") if isinstance(profile, Mapping) else ""
    return True, clean(name or token.user_name, 80), ""
