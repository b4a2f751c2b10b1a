"""The login dialog and the token exchange, over real sockets."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from tests.fixtures.simulated import Member, write_recording
from tradetui.domain.calendar import ist_datetime
from tradetui.simulator.server import SimulatorServer
from tradetui.simulator.state import SimOptions
from tradetui.simulator.tokens import Tokens

DIALOG = "/v2/login/authorization/dialog"


@pytest.fixture
async def member(tmp_path: Path) -> AsyncIterator[Member]:
    """A client of a simulator that waits for a click."""
    async with (
        SimulatorServer(SimOptions(replay=write_recording(tmp_path))) as sim,
        aiohttp.ClientSession() as session,
    ):
        yield Member(sim, session)


def query_of(member: Member, **changes: str) -> dict[str, str]:
    ready = member.sim.ready_line()
    fields = {
        "client_id": ready["api_key"],
        "redirect_uri": ready["redirect_uri"],
        "response_type": "code",
        "state": 'a"b<c>&d',
        **changes,
    }
    return {name: value for name, value in fields.items() if value}


async def click(member: Member, decision: str) -> dict[str, list[str]]:
    """Send the page's form; return the query that the client's redirect address gets."""
    url = member.sim.urls.main + DIALOG
    form = {**query_of(member), "decision": decision}
    async with member.http.post(url, data=form, allow_redirects=False) as answer:
        assert answer.status == 302
        target = answer.headers["Location"]
    assert target.startswith(member.sim.ready_line()["redirect_uri"] + "?")
    return parse_qs(urlsplit(target).query)


async def test_the_page_can_be_clicked_and_asks_for_no_credentials(member: Member) -> None:
    async with member.http.get(member.sim.urls.main + DIALOG, params=query_of(member)) as answer:
        page = await answer.text()
    assert 'name="decision" value="approve"' in page
    assert "password" not in page.partition("<form")[2]
    # What the client sent comes back escaped: the page must not run it.
    assert 'value="a&quot;b&lt;c&gt;&amp;d"' in page
    assert "http://" not in page.replace(member.sim.ready_line()["redirect_uri"], "")


async def test_approve_and_deny_return_the_state_untouched(member: Member) -> None:
    approved = await click(member, "approve")
    assert approved["state"] == ['a"b<c>&d']
    assert len(approved["code"][0]) == 32
    assert await click(member, "deny") == {"error": ["access_denied"], "state": ['a"b<c>&d']}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"client_id": "wrong"}, "UDAPI100068"),
        ({"redirect_uri": "http://127.0.0.1:1/elsewhere"}, "UDAPI100068"),
        ({"response_type": "token"}, "UDAPI100036"),
        ({"response_type": ""}, "UDAPI100036"),
    ],
)
async def test_a_wrong_dialog_is_never_redirected(member: Member, changes: dict[str, str], code: str) -> None:
    url = member.sim.urls.main + DIALOG
    async with member.http.get(url, params=query_of(member, **changes), allow_redirects=False) as answer:
        assert answer.status in (400, 401)
        assert (await answer.json())["errors"][0]["error_code"] == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"client_id": ""}, "UDAPI1017"),
        ({"redirect_uri": ""}, "UDAPI1018"),
        ({"code": ""}, "UDAPI1022"),
        ({"grant_type": ""}, "UDAPI1023"),
        ({"client_secret": ""}, "UDAPI1024"),
        ({"grant_type": "refresh_token"}, "UDAPI1023"),
        ({"client_secret": "wrong"}, "UDAPI100069"),
        ({"client_id": "wrong"}, "UDAPI100069"),
        ({"redirect_uri": "http://127.0.0.1:1/x"}, "UDAPI100070"),
        ({"code": "0" * 32}, "UDAPI100057"),
    ],
)
async def test_the_exchange_names_what_is_wrong(member: Member, changes: dict[str, str], code: str) -> None:
    (grant,) = (await click(member, "approve"))["code"]
    assert (await member.exchange(grant, **changes)).code == code


async def test_a_code_is_spent_by_its_first_attempt_even_a_failed_one(member: Member) -> None:
    (grant,) = (await click(member, "approve"))["code"]
    assert (await member.exchange(grant, client_secret="wrong")).code == "UDAPI100069"
    assert (await member.exchange(grant)).code == "UDAPI100057"


async def test_the_token_is_not_enveloped_and_dies_at_half_past_three(member: Member) -> None:
    (grant,) = (await click(member, "approve"))["code"]
    reply = (await member.exchange(grant)).body
    assert "status" not in reply
    assert "data" not in reply
    claims = json.loads(base64.urlsafe_b64decode(reply["access_token"].split(".")[1] + "=="))
    assert claims["iss"] == "udapi-gateway-service"
    assert f"{ist_datetime(claims['exp'] * 1_000_000_000):%Y-%m-%d %H:%M}" == "2025-12-16 03:30"
    member.token = reply["access_token"]
    assert (await member.get("/v2/user/profile")).status == 200
    await member.control("/clock", {"jump": "2025-12-16T03:29:59"})
    assert (await member.get("/v2/user/profile")).status == 200
    await member.control("/clock", {"jump": "2025-12-16T03:30:00"})
    assert (await member.get("/v2/user/profile")).code == "UDAPI100050"


async def test_revoke_ends_every_token(member: Member) -> None:
    (grant,) = (await click(member, "approve"))["code"]
    member.token = (await member.exchange(grant)).body["access_token"]
    await member.control("/faults", {"name": "revoke"})
    refused = await member.get("/v2/user/profile")
    assert (refused.status, refused.code) == (401, "UDAPI100050")


async def test_discovery_is_for_loopback_names_only(member: Member) -> None:
    url = member.sim.urls.main + "/.well-known/tradetui-simulator"
    async with member.http.get(url) as answer:
        told = await answer.json()
    ready = member.sim.ready_line()
    assert {name: told[name] for name in ready} == ready
    assert told["world"] == "replay"
    async with member.http.get(url, headers={"Host": "attacker.example"}) as answer:
        assert answer.status == 404
        assert ready["api_secret"] not in await answer.text()


def test_codes_live_a_minute_of_real_time() -> None:
    now = [0]
    tokens = Tokens(lambda: 0, monotonic_ns=lambda: now[0])
    code, late = tokens.issue_ticket("login", "x"), tokens.issue_ticket("login", "y")
    now[0] = 60_000_000_000
    assert tokens.redeem_ticket("market", code) is None
    assert tokens.redeem_ticket("login", code) is None, "a wrong use spends it too"
    now[0] += 1
    assert tokens.redeem_ticket("login", late) is None


def test_a_forged_token_is_not_valid() -> None:
    tokens = Tokens(lambda: 0)
    token = tokens.issue_token()
    assert tokens.valid(token)
    assert not tokens.valid(token[:-2] + "xx")
    assert tokens.valid(tokens.issue_token(alone=True))
    assert not tokens.valid(token)
