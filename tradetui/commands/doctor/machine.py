"""The machine: Python, libraries, terminal, tmux, disk. `look` gathers facts, each check is a pure function of them."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tradetui.commands.doctor.line import Line, green, red, yellow

LIBRARIES: Final = (
    "aiohttp", "duckdb", "google.protobuf", "keyring", "numpy", "polars", "polars_talib", "pyarrow", "talib",
    "textual", "upstox_client", "websockets", "zstandard",
)  # fmt: skip
SMALLEST: Final = (80, 24)
"""Columns and rows that the whole layout needs; below, panes are shown one at a time."""
ESCAPE_MS: Final = 100
"""Longest wait of tmux after Esc that nobody notices, ms."""
DISK_RED: Final = 200 * 2**20
DISK_YELLOW: Final = 2 * 2**30
"""Free bytes: a day of 2000 instruments is about 1 GB in market.duckdb."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """What is known about the terminal.

    Attributes:
        is_tty: Standard output is one.
        columns, rows: Its size.
        term, colorterm: The environment's ``TERM`` and ``COLORTERM``.
        no_colour: ``NO_COLOR`` is set.
        encoding: Of standard output.
        tmux: Options of the tmux it runs in; ``None`` outside of tmux.
    """

    is_tty: bool = True
    columns: int = 120
    rows: int = 40
    term: str = "xterm-256color"
    colorterm: str = "truecolor"
    no_colour: bool = False
    encoding: str = "utf-8"
    tmux: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """Facts about the machine.

    Attributes:
        python: Version of Python.
        system: Name of the operating system.
        missing: Libraries that cannot be imported.
        terminal: The terminal.
        data_dir: Where data is kept.
        free_bytes: Free space there.
        writable: Whether the data directory can be written.
    """

    python: tuple[int, int, int] = (3, 11, 0)
    system: str = "Linux"
    missing: tuple[str, ...] = ()
    terminal: Terminal = field(default_factory=Terminal)
    data_dir: str = ""
    free_bytes: int = 1 << 40
    writable: bool = True


def look(data_dir: Path) -> Machine:
    """Gather the facts."""
    folder = next(path for path in (data_dir, *data_dir.parents) if path.exists())
    return Machine(
        python=sys.version_info[:3],
        system=platform.system(),
        missing=tuple(name for name in LIBRARIES if not _importable(name)),
        terminal=_terminal(os.environ),
        data_dir=str(data_dir),
        free_bytes=shutil.disk_usage(folder).free,
        writable=os.access(folder, os.W_OK | os.X_OK),
    )


def _importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False


def _terminal(environ: Mapping[str, str]) -> Terminal:
    size = shutil.get_terminal_size()
    return Terminal(
        is_tty=sys.stdout.isatty(),
        columns=size.columns,
        rows=size.lines,
        term=environ.get("TERM", ""),
        colorterm=environ.get("COLORTERM", ""),
        no_colour=bool(environ.get("NO_COLOR")),
        encoding=sys.stdout.encoding or "",
        tmux=tmux_options() if environ.get("TMUX") else None,
    )


def tmux_options() -> dict[str, str]:
    """Options of the tmux that we run in; empty where it does not answer."""
    program = shutil.which("tmux")
    found: dict[str, str] = {}
    for flags in ("-gs", "-gw", "-g") if program else ():
        try:
            answer = subprocess.run(  # noqa: S603 - tmux itself, asked for its options
                [str(program), "show-options", flags], capture_output=True, text=True, timeout=2, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return {}
        for line in answer.stdout.splitlines():
            name, _, value = line.partition(" ")
            # Lists come as `name[0] value`, one line each.
            name = name.partition("[")[0]
            value = value.strip('"')
            found[name] = f"{found[name]},{value}" if name in found else value
    return found


# --- checks -------------------------------------------------------------------------------------------


def python(facts: Machine) -> Line:
    """Python and the system it runs on."""
    version = ".".join(map(str, facts.python))
    if facts.system == "Windows":
        return red("python", f"{version} on Windows itself", "run tradetui inside WSL (Ubuntu, for example)")
    if facts.python < (3, 11):
        return red("python", f"{version} is too old", "install Python 3.11 or newer, then `make` again")
    return green("python", f"{version} on {facts.system}")


def libraries(facts: Machine) -> Line:
    """Whether everything that is imported late will be there."""
    if facts.missing:
        return red(
            "libraries", f"missing: {', '.join(facts.missing)}", "install again: make clean, then make run"
        )
    return green("libraries", f"all {len(LIBRARIES)} there")


def terminal_size(facts: Machine) -> Line:
    """Whether the screen fits."""
    seen = facts.terminal
    if not seen.is_tty:
        return yellow(
            "terminal", "standard output is no terminal: the screen cannot open here, --headless can"
        )
    if seen.term in ("", "dumb"):
        return red(
            "terminal",
            f"TERM is {seen.term or 'not set'}: it cannot place text",
            "use a real terminal, or --headless",
        )
    size = f"{seen.columns}x{seen.rows}"
    if seen.columns < SMALLEST[0] or seen.rows < SMALLEST[1]:
        return yellow("terminal", f"{size} is small: panes come one at a time", "make it 80x24 or larger")
    return green("terminal", f"{size}, {seen.term}")


def characters(facts: Machine) -> Line:
    """Whether chart and border glyphs can be written."""
    name = facts.terminal.encoding
    if name.lower().replace("-", "") != "utf8":
        return yellow(
            "characters",
            f"the terminal's encoding is {name or 'unknown'}, not UTF-8",
            "set a UTF-8 locale (LANG=C.UTF-8), or `screen.ascii = true` in the settings",
        )
    return green("characters", "UTF-8")


def colours(facts: Machine) -> Line:
    """How many colours there are. Nothing is told by colour alone, so fewer are never red."""
    seen = facts.terminal
    if seen.no_colour:
        return yellow("colours", "NO_COLOR is set: signs and words only")
    if seen.colorterm in ("truecolor", "24bit"):
        return green("colours", "true colour")
    if "256" in seen.term or "direct" in seen.term:
        return yellow("colours", f"256 ({seen.term})", "for true colour: export COLORTERM=truecolor")
    return yellow(
        "colours", f"few ({seen.term or 'TERM not set'})", 'set `screen.theme = "ansi"`, or a newer TERM'
    )


def tmux(facts: Machine) -> list[Line]:
    """Settings of tmux that the screen notices; nothing outside of tmux."""
    options = facts.terminal.tmux
    if options is None:
        return []
    if not options:
        return [yellow("tmux", "inside tmux, but it does not tell its options")]
    lines = []
    wait = options.get("escape-time", "")
    if wait.isdigit() and int(wait) > ESCAPE_MS:
        lines.append(yellow("tmux", f"Esc waits {wait} ms", "in ~/.tmux.conf: set -sg escape-time 10"))
    if options.get("focus-events", "off") != "on":
        lines.append(
            yellow(
                "tmux",
                "focus events are off: fast mode cannot lock when you look away",
                "in ~/.tmux.conf: set -g focus-events on",
            )
        )
    wide = f"{options.get('terminal-features', '')},{options.get('terminal-overrides', '')}"
    if "RGB" not in wide and "Tc" not in wide:
        lines.append(
            yellow(
                "tmux",
                "true colour is not switched on",
                "in ~/.tmux.conf: set -as terminal-features ',*:RGB'",
            )
        )
    return lines or [green("tmux", "escape-time, focus-events and colours are fine")]


def disk(facts: Machine) -> Line:
    """Whether there is room for a day."""
    room = f"{facts.free_bytes / 2**30:.1f} GB free for {facts.data_dir}"
    if not facts.writable:
        return red(
            "disk", f"{facts.data_dir} cannot be written", "change its owner or mode, or use --home DIR"
        )
    if facts.free_bytes < DISK_RED:
        return red("disk", room, "free some space, or use --home on another disk")
    if facts.free_bytes < DISK_YELLOW:
        return yellow("disk", room, "a busy day takes about 1 GB")
    return green("disk", room)


CHECKS: Final[tuple[Callable[[Machine], Line | list[Line]], ...]] = (
    python, libraries, terminal_size, characters, colours, tmux, disk,
)  # fmt: skip
