"""What a run offers to other `tradetui` commands: the control socket with its console."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tradetui.control.scripts import Caps, Scripts
from tradetui.control.server import ControlServer
from tradetui.control.table import Console
from tradetui.domain.errors import TradeTuiError
from tradetui.domain.money import to_money
from tradetui.wiring.settings import charge_from

if TYPE_CHECKING:
    from tradetui import config
    from tradetui.runtime.core import Runtime


def add_control(runtime: Runtime, place: config.Home, settings: config.Config) -> None:
    """Let a run answer other commands from the moment it has started."""
    chosen, always = settings.scripts, None
    if chosen.enabled and not runtime.engine.desk.books.live:
        always = Caps(chosen.max_orders, to_money(chosen.max_value), to_money(chosen.max_total))

    async def relogin() -> str:
        login = runtime.parts.login
        if login is None:
            return "this run needs no login"
        token = await login.look()
        if token is None:
            raise TradeTuiError("no newer login is stored", "run `tradetui auth`")
        runtime.use_token(token)
        return f"goes on with the new login at {login.label}"

    async def query(name: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
        from tradetui.commands.past import answer_from_store

        return await answer_from_store(runtime, settings, name, args)

    console = Console(runtime, Scripts(always), runtime.remark, charge_from(settings), query, relogin)
    runtime.services.append(ControlServer(place.data_dir, console.answer))
