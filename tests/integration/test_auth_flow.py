"""Login against the simulator, as a person's browser would do it, and the keyring behind it."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from tradetui.brokers.upstox import endpoints as ep
from tradetui.brokers.upstox.api import UpstoxApi
from tradetui.brokers.upstox.auth import browser_login, exchange, login_simulator
from tradetui.brokers.upstox.hosts import Hosts
from tradetui.brokers.upstox.vault import AppCredentials
from tradetui.domain.calendar import next_token_expiry_ns
from tradetui.domain.errors import AuthError
from tradetui.domain.secret import Secret
from tradetui.simulator.server import SimulatorServer
from tradetui.simulator.state import SimOptions


def hosts_of(sim: SimulatorServer) -> Hosts:
    return Hosts(main=sim.urls.main, order=sim.urls.order, feed=sim.urls.feed, assets=sim.urls.assets)


def app_of(sim: SimulatorServer, *, secret: str = "") -> AppCredentials:
    app = sim.state.app
    return AppCredentials(Secret(app.api_key), Secret(secret or app.api_secret), app.redirect_uri)


async def click(url: str, decision: str) -> tuple[int, str]:
    """Open the dialog, press a button of its form, follow the redirect: what a browser does."""
    async with aiohttp.ClientSession() as session:
        async with session.get(url) as answer:
            page = await answer.text()
            assert answer.status == 200
        fields = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page))
        action = re.search(r'action="([^"]*)"', page)
        assert action is not None
        target = url.partition("/v2/")[0] + action[1]
        async with session.post(target, data={**fields, "decision": decision}) as answer:
            return answer.status, await answer.text()


class Browser:
    """Opens addresses on the test's loop and presses a button there."""

    def __init__(self, decision: str = "approve") -> None:
        self.decision = decision
        self.loop = asyncio.get_running_loop()
        self.visits: list[asyncio.Task[tuple[int, str]]] = []

    def open(self, url: str) -> bool:
        def visit() -> None:
            self.visits.append(self.loop.create_task(click(url, self.decision)))

        self.loop.call_soon_threadsafe(visit)
        return True

    async def seen(self) -> list[tuple[int, str]]:
        return await asyncio.gather(*self.visits)


async def test_a_browser_login_gives_a_token_that_works_until_half_past_three(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with SimulatorServer(SimOptions()) as sim:
        hosts, browser = hosts_of(sim), Browser()
        token = await browser_login(
            hosts,
            app_of(sim),
            show=lambda url: None,
            open_browser=browser.open,
            timeout_s=20,
            now_ns=sim.state.clock.now_ns,
        )
        [(page_status, page)] = await browser.seen()
        assert page_status == 200
        assert "close this tab" in page
        assert token.expires_ns == next_token_expiry_ns(sim.state.clock.now_ns())
        api = UpstoxApi(hosts, token)
        profile = (await api.call(ep.PROFILE)).data
        assert profile["user_id"] == token.user_id
        sim.state.clock.jump(token.expires_ns)
        with pytest.raises(AuthError, match="Log in"):
            await api.call(ep.PROFILE)
        await api.close()
    for secret in (token.secret.reveal(), sim.state.app.api_secret):
        assert secret not in caplog.text


async def test_a_denied_login_is_said() -> None:
    async with SimulatorServer(SimOptions()) as sim:
        browser = Browser("deny")
        with pytest.raises(AuthError, match="refused: access_denied"):
            await browser_login(
                hosts_of(sim), app_of(sim), show=lambda url: None, open_browser=browser.open, timeout_s=20
            )
        [(page_status, _)] = await browser.seen()
        assert page_status == 400


async def test_a_wrong_secret_and_a_used_code_are_said() -> None:
    async with SimulatorServer(SimOptions(auto_approve=True)) as sim:
        hosts = hosts_of(sim)
        code = sim.state.tokens.issue_ticket("login", sim.state.app.redirect_uri)
        with pytest.raises(AuthError, match="Compare API key, secret"):
            await exchange(hosts, app_of(sim, secret="wrong"), Secret(code))
        with pytest.raises(AuthError, match="used before or is too old"):
            await exchange(hosts, app_of(sim), Secret(code))


@pytest.mark.parametrize("auto_approve", [True, False])
async def test_the_simulator_logs_us_in_by_itself(auto_approve: bool) -> None:
    async with SimulatorServer(SimOptions(auto_approve=auto_approve)) as sim:
        got = await login_simulator(sim.urls.main)
        assert got.hosts == hosts_of(sim)
        assert not got.hosts.is_live
        assert got.control == sim.urls.control
        assert got.speed == sim.state.clock.speed
        api = UpstoxApi(got.hosts, got.token)
        assert (await api.call(ep.USER_IP)).data["primary_ip"] == "127.0.0.1"
        assert (await api.call(ep.LOGOUT)).data is True
        with pytest.raises(AuthError):
            await api.call(ep.PROFILE)
        await api.close()


KEYRING_SESSION = """
import asyncio, os, sys
sys.path.insert(0, os.environ["REPO"])
import keyring
from tests.integration.test_auth_flow import Browser, app_of, hosts_of
from tradetui.brokers.upstox import auth
from tradetui.brokers.upstox.vault import Vault, describe
from tradetui.simulator.server import SimulatorServer
from tradetui.simulator.state import SimOptions

async def main():
    async with SimulatorServer(SimOptions()) as sim:
        hosts, browser = hosts_of(sim), Browser()
        vault = Vault(hosts.label)
        assert vault.backend_name() == "SecretService.Keyring", vault.backend_name()
        app = app_of(sim)
        token = await auth.browser_login(hosts, app, show=lambda url: None, open_browser=browser.open, timeout_s=20)
        await browser.seen()
        said = await auth.login(hosts, vault, token, app=app)
        assert said.logged_in and said.has_app, said
        again = Vault(hosts.label)
        assert (await auth.stored_token(hosts, again)) == token
        assert again.load_app() == app
        assert keyring.get_password(f"tradetui:{hosts.label}", "default:token") is not None
        print((await auth.status(hosts, again, verify=True)).words)
        with open(os.environ["SECRETS"], "w") as file:
            file.write("\\n".join([token.secret.reveal(), app.api_secret.reveal(), app.api_key.reveal()]))
        print(await auth.logout(hosts, again, forget_app=True))
        assert again.load_token() is None and again.load_app() is None
        assert keyring.get_password(f"tradetui:{hosts.label}", "default:token") is None

asyncio.run(main())
print("kept and forgotten")
"""


@pytest.mark.keyring
def test_a_real_secret_service_keeps_the_login_and_no_file_does(repo_root: Path, tmp_path: Path) -> None:
    tools = ("dbus-run-session", "gnome-keyring-daemon")
    missing = [name for name in tools if shutil.which(name) is None]
    if missing:
        pytest.skip(f"no Secret Service daemon can be started here: {', '.join(missing)} not installed")
    home, runtime, script = tmp_path / "home", tmp_path / "run", tmp_path / "session.py"
    secrets_file = tmp_path / "secrets"
    for folder in (home, runtime):
        folder.mkdir(mode=0o700)
    script.write_text(KEYRING_SESSION)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("DBUS_", "XDG_"))},
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(runtime),
        "REPO": str(repo_root),
        "SECRETS": str(secrets_file),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    unlock = "printf pass | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1"
    done = subprocess.run(
        ["dbus-run-session", "--", "sh", "-c", f'{unlock}; exec "$0" "$1"', sys.executable, str(script)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    if "SecretService" not in done.stdout + done.stderr and "org.freedesktop.secrets" in done.stderr:
        pytest.skip("the Secret Service daemon does not start on this machine's D-Bus")
    assert done.returncode == 0, done.stderr
    assert "kept and forgotten" in done.stdout
    secrets = secrets_file.read_text().splitlines()
    secrets_file.unlink()
    assert len(secrets) == 3
    for secret in secrets:
        assert secret not in done.stdout
        assert secret not in done.stderr
        for path in tmp_path.rglob("*"):
            if path.is_file():
                assert secret.encode() not in path.read_bytes(), path
