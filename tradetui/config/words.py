"""The settings as documentation: a walk over all of them, and the example file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

from tradetui.config.about import About, range_words
from tradetui.config.sections import Config


def walk(cls: type[Any] = Config, prefix: str = "") -> Iterator[tuple[str, About, Any]]:
    """Every setting: dotted name, what is known about it, default."""
    hints = get_type_hints(cls)
    empty = cls()
    for f in fields(cls):
        if is_dataclass(hints[f.name]):
            yield from walk(hints[f.name], f"{prefix}{f.name}.")
        else:
            yield f"{prefix}{f.name}", f.metadata["about"], getattr(empty, f.name)


def example() -> str:
    """The text of `config.toml.example`: every setting with its default, unit and range, commented out."""
    out = [
        "# tradetui settings. Every line shows a default; remove the '#' to change one.",
        "# Where this file lives: `tradetui config path`. Check it: `tradetui config check`.",
        "# Secrets never go in here: `tradetui auth` keeps them in your keyring.",
    ]
    section = None
    for name, about, default in walk():
        table, key = name.rsplit(".", 1)
        if table != section:
            section = table
            out += ["", f"[{table}]", f"# {_doc_of(table)}"]
        unit = f" Unit: {about.unit}." if about.unit else ""
        allowed = f" Allowed: {range_words(about)}." if range_words(about) else ""
        out.append(f"# {about.words[0].upper()}{about.words[1:]}.{unit}{allowed}")
        out.append(f"#{key} = {_toml(default)}")
    return "\n".join(out) + "\n"


def _doc_of(table: str) -> str:
    cls: Any = Config
    for part in table.split("."):
        cls = get_type_hints(cls)[part]
    return str(cls.__doc__)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{}"
    return f"{value:g}" if isinstance(value, float) and value < 1e6 else str(value)
