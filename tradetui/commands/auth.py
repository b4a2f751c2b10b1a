"""`tradetui auth`: log in for the day, say who is logged in, log out.

Three ways in: the browser (its answer comes to a listener on this machine), the code or address pasted from a
browser elsewhere, or an access token made in the developer console. What is secret is typed without echo and
goes to the keyring, and nowhere else.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import webbrowser
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from tradetui.commands.shared import Setting, prepare

if TYPE_CHECKING:
    from tradetui.brokers.upstox.auth import AuthStatus, SimulatorAbout
    from tradetui.brokers.upstox.hosts import Hosts
    from tradetui.brokers.upstox.oauth import NowNs
    from tradetui.brokers.upstox.tokens import AccessToken
    from tradetui.brokers.upstox.vault import AppCredentials, Vault


@dataclass(frozen=True, slots=True)
class LoginOptions:
    """Flags of ``tradetui auth``; see `cli.auth`."""

    home: str | None = None
    url_main: str | None = None
    url_order: str | None = None
    paste_code: bool = False
    paste_token: bool = False
    no_browser: bool = False
    new_app: bool = False
    timeout_s: float = 300.0


def login(options: LoginOptions) -> int:
    """Log in and keep the token; returns the exit code.

    Raises:
        TradeTuiError: One line that says what is wrong and how to mend it. Nothing is kept then.
    """
    from tradetui.brokers.upstox import auth
    from tradetui.brokers.upstox.vault import Vault
    from tradetui.domain.errors import UsageError

    if options.paste_code and options.paste_token:
        raise UsageError("--paste-code and --paste-token are two different ways", "give one of them")
    if not options.timeout_s > 0:
        raise UsageError("--timeout must be above 0 seconds")
    setting = prepare(options.home)
    hosts = _hosts(setting, options.url_main, options.url_order)
    vault = Vault(hosts.label)
    # Before anything is typed: without a keyring it would be typed in vain.
    vault.backend_name()
    clock = asyncio.run(auth.host_clock(hosts))
    if options.paste_token:
        token = _pasted_token(hosts, clock)
        return _keep(hosts, vault, token, None)
    app = _app(setting, hosts, vault, ask_again=options.new_app)
    token = _pasted_code(hosts, app, clock) if options.paste_code else _browser(hosts, app, options, clock)
    return _keep(hosts, vault, token, app)


def status(home: str | None, url_main: str | None, *, as_json: bool) -> int:
    """Say who is logged in where, until when; returns 0 when logged in, else 1."""
    from tradetui.brokers.upstox import auth
    from tradetui.brokers.upstox.vault import Vault

    hosts = _hosts(prepare(home), url_main, None)
    found = asyncio.run(auth.status(hosts, Vault(hosts.label), verify=True))
    if as_json:
        print(json.dumps(asdict(found)))
    else:
        print(found.words)
        for line in _details(found):
            print(f"  {line}")
    return 0 if found.logged_in else 1


def logout(home: str | None, url_main: str | None, *, forget_app: bool) -> int:
    """End the session at the broker and forget the token.

    Raises:
        AuthError: No keyring can be used.
    """
    from tradetui.brokers.upstox import auth
    from tradetui.brokers.upstox.vault import Vault

    hosts = _hosts(prepare(home), url_main, None)
    print(asyncio.run(auth.logout(hosts, Vault(hosts.label), forget_app=forget_app)))
    return 0


# --- steps --------------------------------------------------------------------------------------------


def _hosts(setting: Setting, url_main: str | None, url_order: str | None) -> Hosts:
    from tradetui.brokers.upstox.hosts import LIVE

    return setting.hosts((url_main, url_order, None, None)) or LIVE


def _app(setting: Setting, hosts: Hosts, vault: Vault, *, ask_again: bool) -> AppCredentials:
    """The API app: from the keyring, or typed the first time."""
    from tradetui.brokers.upstox import auth
    from tradetui.brokers.upstox.vault import AppCredentials
    from tradetui.domain.errors import TransportError

    # A simulator tells its app's redirect address and key; it makes new ones each time it starts.
    about: SimulatorAbout | None = None
    if hosts.is_loopback:
        about = asyncio.run(auth.about_simulator(hosts))
        if about is None:
            raise TransportError(f"there is no simulator at {hosts.main}", "Start one: tradetui sim")
    redirect_uri = about.redirect_uri if about else setting.config.account.redirect_uri
    known = None if ask_again else vault.load_app()
    if known is not None and (about is None or known.api_key.reveal() == about.api_key):
        return replace(known, redirect_uri=redirect_uri)
    if about:
        print(
            f"This is a simulator at {hosts.label}. Type the demo key and secret that it printed; no real ones."
        )
    else:
        print(f"The API app registered at {hosts.label} (asked once, kept in the keyring).")
        print(f"Its redirect address must be, letter by letter: {redirect_uri}")
    key = auth.prompt_secret("API key (not shown): ")
    return AppCredentials(key, auth.prompt_secret("API secret (not shown): "), redirect_uri)


def _browser(hosts: Hosts, app: AppCredentials, options: LoginOptions, clock: NowNs) -> AccessToken:
    from tradetui.brokers.upstox import auth

    def show(url: str) -> None:
        lead = (
            "Open this address in a browser on this machine" if options.no_browser else "Your browser opens"
        )
        print(f"{lead}:\n\n{url}\n\nWaiting for the login. Ctrl-C gives up.", flush=True)

    return asyncio.run(
        auth.browser_login(
            hosts,
            app,
            show=show,
            open_browser=_leave_alone if options.no_browser else _open,
            timeout_s=options.timeout_s,
            now_ns=clock,
        )
    )


def _pasted_code(hosts: Hosts, app: AppCredentials, clock: NowNs) -> AccessToken:
    from tradetui.brokers.upstox import auth

    state = secrets.token_urlsafe(24)
    print(f"Open this address in any browser and log in:\n\n{auth.dialog_url(hosts, app, state)}\n")
    print("It ends at an address that may not load. Copy that whole address, or the code in it.")
    pasted = auth.prompt_secret("Address or code (not shown): ")
    return asyncio.run(auth.exchange(hosts, app, auth.code_from_paste(pasted.reveal(), state), clock))


def _pasted_token(hosts: Hosts, clock: NowNs) -> AccessToken:
    from tradetui.brokers.upstox import auth

    pasted = auth.prompt_secret(f"Access token of {hosts.label} (not shown): ")
    return auth.token_from_text(pasted.reveal(), hosts, clock())


def _keep(hosts: Hosts, vault: Vault, token: AccessToken, app: AppCredentials | None) -> int:
    from tradetui.brokers.upstox import auth

    found = asyncio.run(auth.login(hosts, vault, token, app=app))
    print(f"Logged in: {found.words}")
    print(f"Kept in the keyring ({found.keyring}). Next: tradetui run")
    return 0


def _details(found: AuthStatus) -> list[str]:
    """Lines below the headline of ``auth status``."""
    lines = [f"keyring  {found.keyring or 'none that may be used'}"]
    lines.append(f"API app  {'stored' if found.has_app else 'not stored'}")
    if found.verified is not None:
        lines.append(f"broker   {'took the token just now' if found.verified else 'refused the token'}")
    if found.live:
        lines.append("orders   would be real here, and only with `tradetui run --live`")
    return lines


def _leave_alone(_url: str) -> bool:
    return False


def _open(url: str) -> bool:
    """Open the user's browser; one that would run inside this terminal is left alone."""
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    inside = isinstance(browser, webbrowser.GenericBrowser) and not isinstance(
        browser, webbrowser.BackgroundBrowser
    )
    return False if inside else browser.open(url)
