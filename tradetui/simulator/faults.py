"""Faults on switches: everything that goes wrong with a broker, by name.

A fault is switched on from the command line (``--fault NAME``), through the control URL
(``POST /faults``), or by a test. Whoever serves a request or a stream asks `Faults` whether one strikes.
`FAULTS` documents each; every fault also takes the `COMMON` arguments.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tradetui.domain.errors import UsageError
from tradetui.simulator.fault_table import FAULTS, Args, Value

__all__ = ["COMMON", "FAULTS", "Args", "Faults", "Value", "parse_fault"]

COMMON: dict[str, Value] = {"count": 0, "every": 1, "skip": 0, "path": ""}
"""``count``: strikes before it switches itself off, 0 for no end; ``skip``: occasions let through first;
``every``: strikes one in N of the others; ``path``: strikes only requests whose path contains this text."""


class Faults:
    """The switchboard. Used on the server's loop only."""

    def __init__(self) -> None:
        self._on: dict[str, dict[str, Value]] = {}
        self._seen: dict[str, int] = {}
        self._strikes: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._sudden: dict[str, list[Callable[[Args], None]]] = {}
        self._heard: list[Callable[[], None]] = []

    def set(self, name: str, args: Args | None = None) -> None:
        """Switch a fault on, or change its arguments; ``{"off": true}`` switches it off.

        Raises:
            UsageError: No such fault or argument.
        """
        kind = FAULTS.get(name)
        if kind is None:
            raise UsageError(f"no fault named {name!r}", "Faults: " + ", ".join(sorted(FAULTS)))
        given = dict(args or {})
        if given.pop("off", False):
            self.clear(name)
            return
        known = {**COMMON, **kind.args}
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise UsageError(f"fault {name!r} takes no {unknown[0]!r}", "It takes: " + ", ".join(known))
        wrong = [key for key, value in given.items() if isinstance(known[key], str) != isinstance(value, str)]
        if (
            wrong
            or int(given.get("every", 1)) < 1
            or min(int(given.get(one, 0)) for one in ("count", "skip")) < 0
        ):
            raise UsageError(f"wrong arguments for fault {name!r}: {given}")
        full = {**known, **given}
        if kind.sudden:
            self._strikes[name] = self._strikes.get(name, 0) + 1
            for act in self._sudden.get(name, ()):
                act(full)
        else:
            self._on[name] = full
            self._seen[name] = self._strikes[name] = 0
        self._tell()

    def clear(self, name: str | None = None) -> None:
        """Switch one fault off, or all."""
        if name is None:
            self._on.clear()
        else:
            self._on.pop(name, None)
        self._tell()

    def active(self, name: str) -> Args | None:
        """Arguments of a fault that is on, else None. Does not count as a strike."""
        return self._on.get(name)

    def strike(self, name: str, path: str = "") -> Args | None:
        """Arguments of a fault if it hits this occasion, else None; counts towards ``count`` and ``every``."""
        args = self._on.get(name)
        if args is None or str(args["path"]) not in path:
            return None
        self._seen[name] += 1
        turn = self._seen[name] - int(args["skip"])
        if turn <= 0 or turn % int(args["every"]):
            return None
        self._strikes[name] += 1
        if args["count"] and self._strikes[name] >= int(args["count"]):
            self.clear(name)
        return args

    def on_sudden(self, name: str, act: Callable[[Args], None]) -> None:
        """Have ``act`` called whenever a sudden fault happens."""
        self._sudden.setdefault(name, []).append(act)

    def on_change(self, act: Callable[[], None]) -> None:
        """Have ``act`` called at every switch of any fault."""
        self._heard.append(act)

    async def wait_change(self) -> None:
        """Return at the next switch of any fault."""
        await self._changed.wait()

    def listing(self) -> dict[str, object]:
        """What is on, with arguments, and how often each has struck."""
        return {
            "active": {name: dict(args) for name, args in self._on.items()},
            "strikes": {name: count for name, count in self._strikes.items() if count},
        }

    def _tell(self) -> None:
        # Everybody waiting gets this change; those who wait from now on get the next.
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        for act in self._heard:
            act()


def parse_fault(text: str) -> tuple[str, dict[str, Value]]:
    """Read ``NAME`` or ``NAME:key=value,key=value`` as given on the command line.

    Raises:
        UsageError: The text has no such form.
    """
    name, _, rest = text.partition(":")
    args: dict[str, Value] = {}
    for part in filter(None, rest.split(",")):
        key, equals, raw = part.partition("=")
        if not equals:
            raise UsageError(f"not a fault: {text!r}", "Write it as NAME or NAME:key=value,key=value")
        args[key.strip()] = _value(raw.strip())
    return name.strip(), args


def _value(raw: str) -> Value:
    for kind in (int, float):
        try:
            return kind(raw)
        except ValueError:
            continue
    return raw
