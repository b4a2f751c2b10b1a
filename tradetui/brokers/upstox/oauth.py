"""The steps of a login by OAuth's code flow, and of those by a pasted code or token (`upstox.md` 1.4).

Nothing here prints, or puts a secret into a message.
"""

from __future__ import annotations

import asyncio
import getpass
import secrets
import time
import warnings
import webbrowser
from collections.abc import Callable
from typing import Final, TextIO
from urllib.parse import urlencode, urlsplit

from tradetui.brokers.upstox import endpoints as ep
from tradetui.brokers.upstox.api import UpstoxApi
from tradetui.brokers.upstox.hosts import Hosts
from tradetui.brokers.upstox.redirect import RedirectListener, code_from_answer
from tradetui.brokers.upstox.tokens import AccessToken, in_ist, make_token
from tradetui.brokers.upstox.vault import AppCredentials
from tradetui.domain.errors import AuthError, TransportError
from tradetui.domain.secret import Secret
from tradetui.domain.text import clean

DIALOG_PATH: Final = "/v2/login/authorization/dialog"
LOGIN_TIMEOUT_S: Final = 300.0

NowNs = Callable[[], int]


def dialog_url(hosts: Hosts, app: AppCredentials, state: str) -> str:
    """The page where the user logs in. It holds the app's key and the state, so it is not for the log."""
    fields = {
        "response_type": "code",
        "client_id": app.api_key.reveal(),
        "redirect_uri": app.redirect_uri,
        "state": state,
    }
    return f"{hosts.main}{DIALOG_PATH}?{urlencode(fields)}"


async def exchange(
    hosts: Hosts, app: AppCredentials, code: Secret, now_ns: NowNs = time.time_ns
) -> AccessToken:
    """Trade a login code for an access token. The code is spent whatever happens.

    Raises:
        AuthError: The code, the secret or the redirect address was refused.
        TransportError: No clear answer came.
    """
    form = [
        ("code", code.reveal()),
        ("client_id", app.api_key.reveal()),
        ("client_secret", app.api_secret.reveal()),
        ("redirect_uri", app.redirect_uri),
        ("grant_type", "authorization_code"),
    ]
    api = UpstoxApi(hosts)
    try:
        reply = await api.call(ep.TOKEN, form=form)
    except TransportError as error:
        raise TransportError(error.message, "The code is spent; start the login again") from None
    finally:
        await api.close()
    token = reply.data.get("access_token")
    if not isinstance(token, str) or not token:
        raise AuthError("the broker's answer holds no token", "Start the login again")
    return make_token(
        token, hosts, now_ns(), clean(reply.data.get("user_id")), clean(reply.data.get("user_name"))
    )


def code_from_paste(text: str, state: str = "") -> Secret:
    """The code out of what the user pasted: the whole address the browser ended at, or the code alone.

    Raises:
        AuthError: Nothing usable, or an address that belongs to another login.
    """
    text = text.strip()
    if "://" in text or "?" in text or "code=" in text:
        query = urlsplit(text).query or text.partition("?")[2] or text
        return code_from_answer(query, state)
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise AuthError(
            "that is neither a code nor an address", "Copy the browser's whole address after the login"
        )
    return Secret(text)


def token_from_text(text: str, hosts: Hosts, now_ns: int) -> AccessToken:
    """A token that the user pasted or piped in.

    Raises:
        AuthError: It cannot be a token, or has expired.
    """
    text = text.strip().removeprefix("Bearer ").strip()
    if len(text) < 8 or not text.isascii() or not text.isprintable() or " " in text:
        raise AuthError("that is not an access token", "Copy it whole from the developer console")
    token = make_token(text, hosts, now_ns)
    if token.expired(now_ns):
        raise AuthError(f"this token expired {in_ist(token.expires_ns)}", "Make a new one")
    return token


def token_from_stream(stream: TextIO, hosts: Hosts, now_ns: int) -> AccessToken:
    """A token for one run, from the first line of standard input. It is kept in memory only.

    Raises:
        AuthError: No usable token there.
    """
    return token_from_text(stream.readline(), hosts, now_ns)


def prompt_secret(prompt: str) -> Secret:
    """Ask at the terminal without showing what is typed.

    Raises:
        AuthError: The terminal cannot hide it, or nothing was typed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            typed = getpass.getpass(prompt).strip()
        except getpass.GetPassWarning:
            raise AuthError(
                "this terminal cannot hide what you type", "Use a real terminal, or --token-stdin"
            ) from None
        except EOFError:
            typed = ""
    if not typed:
        raise AuthError("nothing was typed")
    return Secret(typed)


async def browser_login(
    hosts: Hosts,
    app: AppCredentials,
    *,
    show: Callable[[str], None],
    open_browser: Callable[[str], bool] = webbrowser.open,
    timeout_s: float = LOGIN_TIMEOUT_S,
    now_ns: NowNs = time.time_ns,
) -> AccessToken:
    """Log in through the user's browser.

    Args:
        hosts: Where to log in.
        app: The API app.
        show: Told the address to open, for users whose browser does not open.
        open_browser: Opens it; whether it could.
        timeout_s: Seconds that the user may take.
        now_ns: Time, UTC ns.

    Raises:
        AuthError: Refused, not ours, not in time, or the port is taken.
        TransportError: The broker cannot be reached.
    """
    state = secrets.token_urlsafe(24)
    async with RedirectListener(app.redirect_uri, state) as listener:
        url = dialog_url(hosts, app, state)
        show(url)
        await asyncio.to_thread(open_browser, url)
        code = await listener.wait(timeout_s)
    return await exchange(hosts, app, code, now_ns)
