"""The login a client goes through: the dialog a person clicks, and the exchange of its code for a token.

`upstox.md` 1.4. The page never asks for credentials: on the real host they are given to Upstox alone.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from urllib.parse import urlencode

from aiohttp import web

from tradetui.simulator.rest.envelope import ApiError, success
from tradetui.simulator.state import SimState
from tradetui.simulator.tokens import USER_ID, bearer_of

DIALOG_PATH = "/v2/login/authorization/dialog"
TOKEN_PATH = "/v2/login/authorization/token"  # noqa: S105 - an address
LOGOUT_PATH = "/v2/logout"

_REQUIRED = (
    # On this endpoint these codes name the missing field; elsewhere the same numbers mean other things.
    ("client_id", "UDAPI1017", "API Key is required"),
    ("redirect_uri", "UDAPI1018", "Redirect URI is required"),
    ("code", "UDAPI1022", "Code is required"),
    ("grant_type", "UDAPI1023", "Grant type is required"),
    ("client_secret", "UDAPI1024", "App Secret is required"),
)

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>tradetui simulator: login</title>
<meta name="viewport" content="width=device-width,initial-scale=1">
<style>
body{{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:12vh auto;padding:0 1rem;color:#1c2430}}
button{{font:inherit;padding:.5rem 1.5rem;margin-right:1rem;border-radius:.4rem;border:1px solid #888}}
button[value=approve]{{background:#1b6e3c;color:#fff;border-color:#1b6e3c}}
code{{background:#eef1f5;padding:.1rem .3rem;overflow-wrap:anywhere}}
</style></head><body>
<h1>Simulated login</h1>
<p>This page is served by <b>tradetui's simulator</b> on your own machine. No real account, no real money,
and no password: never type one here.</p>
<p>The app <code>{client}</code> asks for access to the simulated account {user} and wants to be answered at
<code>{redirect}</code>.</p>
<form method="post" action="{action}">{hidden}
<button name="decision" value="approve" autofocus>Approve</button>
<button name="decision" value="deny">Deny</button></form>
</body></html>
"""

PROFILE = {
    "email": "demo@example.invalid",
    "exchanges": ["NSE", "NFO", "BSE", "CDS", "BFO", "BCD"],
    "products": ["D", "CO", "I"],
    "broker": "UPSTOX",
    "user_id": USER_ID,
    "user_name": "DEMO ACCOUNT",
    "order_types": ["MARKET", "LIMIT", "SL", "SL-M"],
    "user_type": "individual",
    "poa": False,
    "ddpi": True,
    "is_active": True,
}
"""The simulated customer, as `/v2/user/profile` and the token answer tell it."""


class Login:
    """Handlers of the login endpoints.

    Args:
        state: The simulator's state.
    """

    def __init__(self, state: SimState) -> None:
        self._state = state

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Register dialog, token and logout."""
        router.add_get(DIALOG_PATH, self.dialog)
        router.add_post(DIALOG_PATH, self.decide)
        router.add_post(TOKEN_PATH, self.token)
        router.add_delete(LOGOUT_PATH, self.logout)

    async def dialog(self, request: web.Request) -> web.Response:
        """Show the page, or approve at once under ``--auto-approve``."""
        fields = dict(request.query)
        self._check(fields)
        if self._state.options.auto_approve:
            return self._redirect(fields, code=self._code(fields))
        hidden = "".join(
            f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
            for name, value in fields.items()
            if name in ("client_id", "redirect_uri", "response_type", "state")
        )
        page = _PAGE.format(
            client=html.escape(fields["client_id"]),
            redirect=html.escape(fields["redirect_uri"]),
            user=USER_ID,
            action=DIALOG_PATH,
            hidden=hidden,
        )
        headers = {
            # The form leads away to the client's own address, so form-action must stay open.
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
        }
        return web.Response(text=page, content_type="text/html", charset="utf-8", headers=headers)

    async def decide(self, request: web.Request) -> web.Response:
        """Take the click."""
        fields = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        self._check(fields)
        if fields.get("decision") == "deny":
            return self._redirect(fields, error="access_denied")
        if fields.get("decision") != "approve":
            raise ApiError("UDAPI100036", message="Neither approved nor denied", property_path="decision")
        return self._redirect(fields, code=self._code(fields))

    async def token(self, request: web.Request) -> web.Response:
        """Exchange a code. The answer is not enveloped; the code is spent by the first attempt."""
        fields = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        for name, code, message in _REQUIRED:
            if not fields.get(name):
                raise ApiError(code, message=message, property_path=name)
        ticket = self._state.tokens.redeem_ticket("login", fields["code"])
        if fields["grant_type"] != "authorization_code":
            raise ApiError(
                "UDAPI1023", message="Grant type is invalid", property_path="grant_type",
                invalid_value=fields["grant_type"],
            )  # fmt: skip
        app = self._state.app
        if fields["client_id"] != app.api_key or fields["client_secret"] != app.api_secret:
            raise ApiError("UDAPI100069", 401)
        if fields["redirect_uri"] != app.redirect_uri:
            raise ApiError("UDAPI100070", 401)
        if ticket is None or ticket.detail != fields["redirect_uri"]:
            raise ApiError("UDAPI100057", 401)
        alone = self._state.faults.active("single-token") is not None
        token = self._state.tokens.issue_token(alone=alone)
        return web.json_response({**PROFILE, "access_token": token, "extended_token": None})

    async def logout(self, request: web.Request) -> web.Response:
        """End the token that asks."""
        self._state.tokens.revoke(bearer_of(request.headers.get("Authorization", "")))
        return success(True)

    def _check(self, fields: Mapping[str, str]) -> None:
        app = self._state.app
        if fields.get("client_id") != app.api_key or fields.get("redirect_uri") != app.redirect_uri:
            # Never redirect to an address that is not registered: report here.
            raise ApiError("UDAPI100068", 401)
        if fields.get("response_type") != "code":
            raise ApiError(
                "UDAPI100036", message="The 'response_type' must be 'code'", property_path="response_type",
                invalid_value=fields.get("response_type"),
            )  # fmt: skip

    def _code(self, fields: Mapping[str, str]) -> str:
        return self._state.tokens.issue_ticket("login", fields["redirect_uri"])

    def _redirect(self, fields: Mapping[str, str], **answer: str) -> web.Response:
        if "state" in fields:
            answer["state"] = fields["state"]
        target = fields["redirect_uri"]
        joint = "&" if "?" in target else "?"
        # The body is empty and the address holds a secret: nothing may keep it.
        headers = {"Location": f"{target}{joint}{urlencode(answer)}", "Cache-Control": "no-store"}
        return web.Response(status=302, headers=headers)
