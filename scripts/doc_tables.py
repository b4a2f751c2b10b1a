"""The generated parts of the documentation, each made from the table in the code that it describes.

A page holds a generated part between two comments, ``<!-- generated: NAME -->`` and ``<!-- end -->``; `fill` writes
what `PARTS[NAME]` gives between them. Everything outside the comments is written by hand.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Final, get_type_hints

from scripts import bad_days, performance

ROOT = Path(__file__).resolve().parent.parent
MARK = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
README_KEYS: Final = ("any", "normal", "ticket")
"""Contexts of keys that the README shows; the reference page shows all."""
CONTEXT_WORDS: Final = {
    "any": "Everywhere",
    "normal": "On the panes",
    "ticket": "In a ticket",
    "prompt": "In search, command line and palette",
    "help": "In help and other texts",
}


def fill(text: str) -> str:
    """A page with every generated part made anew.

    Raises:
        KeyError: The page asks for a part that nobody makes.
    """
    return MARK.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]().strip()}\n\n{found[3]}", text)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; bars in cells are escaped, line breaks become spaces."""
    lines = [heads, ["---"] * len(heads), *([_cell(text) for text in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def code(text: str) -> str:
    """Text as code in a table cell or line."""
    return f"`{text}`" if text else ""


def first_line(thing: object) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())


def member_docs(kind: type[Enum]) -> dict[str, str]:
    """What the string below each member of an enum says, by value of the member."""
    body = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {str(member.value): "" for member in kind}
    for node, following in zip(body.body, body.body[1:], strict=False):
        if isinstance(node, ast.Assign) and isinstance(following, ast.Expr):
            name, said = node.targets[0], following.value
            if isinstance(name, ast.Name) and isinstance(said, ast.Constant) and isinstance(said.value, str):
                found[str(kind[name.id].value)] = said.value
    return found


# --- keys ---------------------------------------------------------------------------------------------


def _keys(contexts: Sequence[str], heading: str, *, ids: bool, wanted: Callable[[Any], bool]) -> str:
    from tradetui.tui.actions import ACTIONS, shown

    out: list[str] = []
    for context in contexts:
        rows = [
            [
                " or ".join(code(shown(key)) for key in action.keys),
                action.words,
                *([code(action.id)] if ids else []),
            ]
            for action in ACTIONS
            if action.context == context and wanted(action)
        ]
        heads = ["Key", "What it does", *(["Action id"] if ids else [])]
        out += [f"{heading} {CONTEXT_WORDS[context]}", "", table(heads, rows), ""]
    return "\n".join(out)


def readme_keys() -> str:
    """The keys of panes and ticket that the hint line shows, that move between panes, or that touch orders."""

    def wanted(action: Any) -> bool:
        return bool(action.hint) or action.danger.name != "NONE" or action.id.startswith("pane.")

    return _keys(README_KEYS, "###", ids=False, wanted=wanted)


def all_keys() -> str:
    """Keys of every context, with the ids that remapping uses."""
    return _keys(tuple(CONTEXT_WORDS), "##", ids=True, wanted=lambda action: True)


def command_line() -> str:
    """What can be typed after a colon."""
    from tradetui.tui.commands import COMMANDS

    return table(["Type", "What it does"], [[code(usage), words] for usage, words in COMMANDS])


def panes() -> str:
    """Number, name and content of each pane."""
    from tradetui.tui.layout import NUMBERS
    from tradetui.tui.panes import SPECS

    rows = []
    for spec in SPECS:
        module = sys.modules[spec.body.__module__]
        words = re.sub(r"^Pane \d+: ", "", first_line(module)).rstrip(".")
        source = code(f"{spec.body.__module__.replace('.', '/')}.py")
        rows.append([str(NUMBERS[spec.pane]), code(spec.pane.value), words, source])
    return table(["No", "Pane", "What it shows", "Source"], rows)


# --- commands -----------------------------------------------------------------------------------------


def _functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every command by the words that call it, groups before their members."""
    from tradetui.cli import app

    for command in app.registered_commands:
        assert command.callback is not None
        yield command.name or command.callback.__name__, command.callback
    for group in app.registered_groups:
        inner = group.typer_instance
        assert inner is not None
        own = inner.registered_callback
        if own is not None and own.callback is not None:
            yield str(group.name), own.callback
        for command in inner.registered_commands:
            assert command.callback is not None
            yield f"{group.name} {command.name or command.callback.__name__}", command.callback


def control_requests() -> str:
    """What the control socket takes."""
    from tradetui.control.table import REQUESTS

    rows = [
        [code(name), asked.words, ", ".join(map(code, asked.takes)), "yes" if asked.changes else ""]
        for name, asked in REQUESTS.items()
    ]
    return table(["Request", "What it does", "Arguments", "Changes something"], rows)


def command_names() -> list[str]:
    """Every command as it is typed, without the program's name."""
    return [name for name, _ in _functions()]


def commands() -> str:
    """Every command, its flags, their defaults and environment variables."""
    out: list[str] = []
    for name, function in _functions():
        out += [f"## tradetui {name}", "", first_line(function), ""]
        rows = list(_flags(function))
        if rows:
            out += [table(["Argument or flag", "Meaning", "Default", "Environment"], rows), ""]
    return "\n".join(out)


def _flags(function: Callable[..., Any]) -> Iterator[list[str]]:
    hints = get_type_hints(function, include_extras=True)
    for name, parameter in inspect.signature(function).parameters.items():
        about = next(iter(getattr(hints[name], "__metadata__", ())), None)
        if about is None or about.hidden:
            continue
        default = parameter.default
        given = "" if default in (None, False, inspect.Parameter.empty) else str(default)
        flags = ", ".join(code(flag) for flag in about.param_decls or ()) or _declared(about, name)
        yield [flags, about.help or "", code(given), code(str(about.envvar or ""))]


def _declared(about: Any, name: str) -> str:
    """Typer keeps the first spelling of an option as its ``default`` when it is given inside ``Annotated``."""
    first = about.default
    return code(first) if isinstance(first, str) and first.startswith("--") else code(name.upper())


# --- settings -----------------------------------------------------------------------------------------


def settings() -> str:
    """Every setting by table: default, unit, range, meaning."""
    from tradetui import config

    out: list[str] = []
    section, rows = "", list[list[str]]()
    heads = ["Setting", "Default", "Unit", "Allowed", "Meaning"]
    for name, about, default in config.walk():
        group = name.rpartition(".")[0]
        if group != section:
            out += [table(heads, rows), ""] if rows else []
            out += [f"## {group}", "", _section_doc(group), ""]
            section, rows = group, []
        allowed = config.range_words(about)
        rows.append([code(name.rpartition(".")[2]), code(_toml(default)), about.unit, allowed, about.words])
    return "\n".join([*out, table(heads, rows)])


def _section_doc(group: str) -> str:
    from tradetui import config

    kind: Any = config.Config
    for part in group.split("."):
        kind = get_type_hints(kind)[part]
    return first_line(kind)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


# --- the simulator ------------------------------------------------------------------------------------


def faults() -> str:
    """Every fault of the simulator with its own arguments."""
    from tradetui.simulator.faults import FAULTS

    rows = [
        [
            code(name),
            kind.what,
            ", ".join(code(f"{key}={value}") for key, value in kind.args.items()),
            "once" if kind.sudden else "until switched off",
        ]
        for name, kind in FAULTS.items()
    ]
    return table(["Fault", "What happens", "Arguments (defaults)", "Lasts"], rows)


def fault_names() -> str:
    """The names of the faults in one paragraph."""
    from tradetui.simulator.faults import FAULTS

    return ", ".join(code(name) for name in FAULTS) + "."


# --- the core -----------------------------------------------------------------------------------------


def risk_rules() -> str:
    """Every rule of the gate, in the order they are run."""
    from tradetui.risk.gate import RULES

    return table(["Rule", "What it says"], [[code(rule.__name__), first_line(rule)] for rule in RULES])


def record_kinds() -> str:
    """Kinds of journal records, and which of them count towards the content hash."""
    from tradetui.domain.records import NOT_HASHED, RecordKind

    rows = [
        [code(kind), words, "no" if kind in {one.value for one in NOT_HASHED} else "yes"]
        for kind, words in member_docs(RecordKind).items()
    ]
    return table(["Kind", "What it records", "In `journal_sha256`"], rows)


def order_states() -> str:
    """States of an order and where each may lead."""
    from tradetui.domain.order import ALLOWED, OrderStatus

    docs = member_docs(OrderStatus)
    rows = [
        [
            code(status.value),
            docs[status.value],
            ", ".join(code(one.value) for one in OrderStatus if one in ALLOWED.get(status, ())) or "none",
        ]
        for status in OrderStatus
    ]
    return table(["State", "Meaning", "May become"], rows)


def floors() -> str:
    """The floors of the import contract, top floor first, and what stands on each."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    layers = next(one["layers"] for one in contracts if one["id"] == "floors")
    rows = []
    for number, layer in zip(range(len(layers), 0, -1), layers, strict=True):
        for name in re.findall(r"\w+", layer):
            source = _source_of(name)
            if source is not None:
                words = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
                rows.append([str(number), code(name), words.split("\n\n")[0]])
    return table(["Floor", "In `tradetui/`", "What it is"], rows)


def _source_of(name: str) -> Path | None:
    """The file that holds a module's or package's docstring; ``None`` where the contract names none yet."""
    for path in (ROOT / "tradetui" / f"{name}.py", ROOT / "tradetui" / name / "__init__.py"):
        if path.exists():
            return path
    return None


_MADE = re.compile(r"^CREATE (?:OR REPLACE )?(TABLE|VIEW) (?:IF NOT EXISTS )?([\w.]+)", re.MULTILINE)


def tables() -> str:
    """Tables and views of the two database files, with the comments of their columns."""
    text = (ROOT / "tradetui" / "storage" / "schema.sql").read_text(encoding="utf-8")
    out: list[str] = []
    for part in text.split("-- database: ")[1:]:
        name, _, body = part.partition("\n")
        out += [f"## {name.strip()}.duckdb", ""]
        notes = dict(re.findall(r"COMMENT ON (?:TABLE|VIEW) ([\w.]+) IS '((?:[^']|'')*)'", body))
        for kind, found in _MADE.findall(body):
            words = notes.get(found, "").replace("''", "'")
            out += [f"### {found}", "", f"{kind.capitalize()}. {words}{'.' if words else ''}".strip(), ""]
            columns = re.findall(rf"COMMENT ON COLUMN {found}\.(\w+) IS '((?:[^']|'')*)'", body)
            if columns:
                rows = [[code(column), said.replace("''", "'")] for column, said in columns]
                out += [table(["Column", "Unit or meaning"], rows), ""]
    return "\n".join(out)


def bad_day_table() -> str:
    """Every bad day that a test plays, from the catalogue and the tests' own words."""
    return table(["Case", "What happens", "What holds", "What you see"], bad_days.rows())


def property_table() -> str:
    """Every property that tests try with inputs made by chance."""
    return table(["What holds for every input", "Tests"], bad_days.property_rows())


def set_table() -> str:
    """What must hold of time, sameness and long runs, and the tests."""
    return table(["What holds", "Tests"], bad_days.set_rows())


def indicators() -> str:
    """Every indicator by family: parameters with defaults, inputs, outputs, bars without a value."""
    from tradetui.indicators import REGISTRY, spec

    families: dict[str, list[Any]] = {}
    for _, indicator in sorted(REGISTRY.items()):
        families.setdefault(indicator.family, []).append(indicator)
    out: list[str] = []
    for family, members in sorted(families.items()):
        rows = []
        for one in members:
            outputs = [code(name) + ("*" if name in one.on_price else "") for name in one.outputs]
            title = f"{one.title}. {one.about[:1].upper()}{one.about[1:]}" if one.about else one.title
            rows.append(
                [
                    code(one.name),
                    title,
                    ", ".join(f"{name} {value:g}" for name, value in one.params.items()),
                    ", ".join(one.inputs),
                    ", ".join(outputs),
                    str(spec(one.name).warmup),
                    one.source,
                ]
            )
        heads = ["Name", "What it is", "Parameters", "Inputs", "Outputs", "Warm-up", "Computed by"]
        out += [f"## {family[:1].upper()}{family[1:]}", "", table(heads, rows), ""]
    return "\n".join(out)


PARTS: Final[dict[str, Callable[[], str]]] = {
    "readme-keys": readme_keys,
    "all-keys": all_keys,
    "command-line": command_line,
    "panes": panes,
    "commands": commands,
    "control-requests": control_requests,
    "settings": settings,
    "faults": faults,
    "fault-names": fault_names,
    "risk-rules": risk_rules,
    "record-kinds": record_kinds,
    "order-states": order_states,
    "floors": floors,
    "tables": tables,
    "bad-days": bad_day_table,
    "properties": property_table,
    "time-and-sameness": set_table,
    "performance": performance.render,
    "indicators": indicators,
}
"""Every generated part by the name that pages use."""
