"""The loopback listener that catches the broker's answer to a login in the browser.

It takes one request on the registered address, checks its ``state``, shows a page that says to go back to
the terminal, and is gone.
"""

from __future__ import annotations

import asyncio
import errno
import hmac
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import parse_qs, urlsplit

from tradetui.brokers.upstox.hosts import is_loopback_host
from tradetui.domain.errors import AuthError
from tradetui.domain.secret import Secret
from tradetui.domain.text import clean

if TYPE_CHECKING:
    from aiohttp import web

_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>tradetui</title>
<meta name="viewport" content="width=device-width,initial-scale=1">
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:15vh auto;padding:0 1rem;color:#1c2430}}
</style></head><body><h1>{title}</h1><p>{text}</p></body></html>
"""
_HEADERS: Final = {
    # The address of this page holds the code: nothing may keep it or pass it on.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Connection": "close",
}
_PASTE: Final = "Paste the code instead: tradetui auth --paste-code"


def code_from_answer(query: str, state: str) -> Secret:
    """The login code in the query of a redirect.

    Args:
        query: What follows the question mark.
        state: What was sent with the request.

    Raises:
        AuthError: The login was refused, belongs to another request, or has no code.
    """
    fields = {name: values[-1] for name, values in parse_qs(query).items()}
    if not hmac.compare_digest(fields.get("state", "").encode(), state.encode()):
        raise AuthError(
            "the answer does not belong to this login (its state differs): nothing was accepted",
            "Start the login again",
        )
    if "error" in fields:
        said = clean(fields.get("error_description") or fields["error"], 120)
        raise AuthError(f"the login was refused: {said}", "Start the login again")
    if not fields.get("code"):
        raise AuthError("the broker's answer holds no code", "Start the login again")
    return Secret(fields["code"])


class RedirectListener:
    """Listens on the registered redirect address, on this machine only.

    Args:
        redirect_uri: ``http://127.0.0.1:<port>/<path>``, as registered.
        state: What was sent with the request.
    """

    def __init__(self, redirect_uri: str, state: str) -> None:
        parts = urlsplit(redirect_uri)
        if parts.scheme != "http" or not is_loopback_host(parts.hostname) or not parts.port:
            raise AuthError(
                f"the redirect address {clean(redirect_uri, 120)!r} does not lead to this machine",
                f"Register http://127.0.0.1:8765/callback. {_PASTE}",
            )
        # Browsers may resolve localhost to either address family.
        name = str(parts.hostname)
        self._addresses = ["127.0.0.1", "::1"] if name == "localhost" else [name]
        self._port = parts.port
        self._path = parts.path or "/"
        self._state = state
        self._answer: asyncio.Future[Secret] | None = None
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        from aiohttp import web

        self._answer = asyncio.get_running_loop().create_future()
        app = web.Application()
        app.router.add_get("/{any:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        opened = 0
        try:
            for address in self._addresses:
                try:
                    await web.TCPSite(self._runner, address, self._port).start()
                    opened += 1
                except OSError as error:
                    if error.errno == errno.EADDRINUSE or (address == self._addresses[-1] and not opened):
                        raise
        except OSError as error:
            await self._runner.cleanup()
            busy = error.errno == errno.EADDRINUSE
            why = "is in use by another program" if busy else f"cannot be opened ({error.strerror})"
            remedy = f"Close the other program, or another login that waits. {_PASTE}"
            raise AuthError(f"port {self._port}, where the login comes back, {why}", remedy) from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.cancel()
        if self._runner is not None:
            await self._runner.cleanup()

    async def wait(self, timeout_s: float) -> Secret:
        """The login code.

        Raises:
            AuthError: Refused, not ours, or nobody came in time.
        """
        assert self._answer is not None
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.shield(self._answer)
        except TimeoutError:
            raise AuthError(
                f"nobody finished the login within {timeout_s:.0f} s", f"Start again. {_PASTE}"
            ) from None

    async def _handle(self, request: web.Request) -> web.Response:
        answer = self._answer
        if answer is None or request.path != self._path or not is_loopback_host(request.url.host):
            return _page(404, "Not here", "This address is not part of a login.")
        if answer.done():
            return _page(410, "Too late", "This login was answered before. Go back to the terminal.")
        try:
            code = code_from_answer(request.query_string, self._state)
        except AuthError as error:
            answer.set_exception(error)
            # Somebody else may look after the exception later than this loop's debug check.
            answer.exception()
            return _page(400, "Not logged in", "tradetui did not accept this answer; the terminal says why.")
        answer.set_result(code)
        return _page(200, "Thank you", "tradetui has its answer. You may close this tab.")


def _page(status: int, title: str, text: str) -> web.Response:
    from aiohttp import web

    body = _PAGE.format(title=title, text=text)
    return web.Response(status=status, text=body, content_type="text/html", charset="utf-8", headers=_HEADERS)
