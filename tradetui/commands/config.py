"""`tradetui config`: write, check and find the settings file."""

from __future__ import annotations

import json

from tradetui import config
from tradetui.domain.errors import ConfigError


def init(home: str | None) -> int:
    """Write a settings file in which every line is a comment; never over an existing one."""
    place = config.home(home)
    path = place.config_file
    if path.exists():
        print(f"{path} exists already and was left alone; check it with `tradetui config check`")
        return 1
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        path.write_text(config.example(), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error
    print(f"wrote {path}")
    return 0


def check(home: str | None, *, as_json: bool) -> int:
    """Read the settings file, and the user's own trading days, and say what differs from the defaults."""
    from tradetui.wiring.calendars import own_tables

    place = config.home(home)
    path = place.config_file
    try:
        loaded = config.load(path)
        own_tables(place, loaded)
    except ConfigError as error:
        if not as_json:
            raise
        print(json.dumps({"ok": False, "path": str(path), "error": str(error)}))
        return error.exit_code
    changed = {
        name: value for name, value in _values(loaded) if value != dict(_values(config.Config()))[name]
    }
    if as_json:
        print(json.dumps({"ok": True, "path": str(path), "exists": path.exists(), "changed": changed}))
        return 0
    print(f"{path}: " + ("fine" if path.exists() else "not there, every setting has its default"))
    for name, value in changed.items():
        print(f"  {name} = {value!r}")
    return 0


def path(home: str | None) -> int:
    """Print where the settings file and the data live."""
    place = config.home(home)
    print(place.config_file)
    print(place.data_dir)
    return 0


def _values(loaded: config.Config) -> list[tuple[str, object]]:
    out: list[tuple[str, object]] = []
    for name, _, _ in config.walk():
        value: object = loaded
        for part in name.split("."):
            value = getattr(value, part)
        out.append((name, list(value) if isinstance(value, tuple) else value))
    return out
