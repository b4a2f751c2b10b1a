"""The floors of the house: the contracts hold, cover every module, and catch what they are there to catch."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("importlinter", reason="import-linter is not installed; make test installs it")

CORE = {"domain", "market", "indicators", "strategies", "risk", "execution", "desk", "engine", "signals"}
SEEN_BY_THE_SCREEN = ("runtime", "backtest", "config", "domain")


def contracts(root: Path) -> dict[str, dict[str, Any]]:
    """The import contracts of `pyproject.toml` by id."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    return {contract["id"]: contract for contract in settings["tool"]["importlinter"]["contracts"]}


def modules(root: Path) -> set[str]:
    """Names of the package's own top-level modules and packages that exist now."""
    package = root / "tradetui"
    found = {path.stem for path in package.glob("*.py")} | {
        path.parent.name for path in package.glob("*/__init__.py")
    }
    return found - {"__init__"}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the contract checker on the package in a folder."""
    program = Path(sys.executable).parent / "lint-imports"
    return subprocess.run(
        [program, "--no-cache", "--no-logo"], cwd=folder, capture_output=True, text=True, check=False
    )


def test_the_contracts_hold(repo_root: Path) -> None:
    done = lint(repo_root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_every_core_module_is_under_the_core_contract(repo_root: Path) -> None:
    sources = {name.removeprefix("tradetui.") for name in contracts(repo_root)["core"]["source_modules"]}
    assert sources == CORE & modules(repo_root)


def skeleton(root: Path, folder: Path) -> None:
    """Lay out an empty package with a module for every name in the contracts, and their configuration."""
    package = folder / "tradetui"
    package.mkdir()
    (package / "__init__.py").touch()
    names = {
        part.strip("() ") for layer in contracts(root)["floors"]["layers"] for part in layer.split("|")
    } - {"__main__"}
    for name in names:
        (package / name).mkdir()
        (package / name / "__init__.py").touch()
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    (folder / "pyproject.toml").write_text(text[text.index("[tool.importlinter]") :], encoding="utf-8")


BREACHES = [
    pytest.param("domain", "from tradetui import market", "floor by floor", id="lower imports higher"),
    pytest.param("engine", "from tradetui.brokers import upstox", "floor by floor", id="siblings"),
    pytest.param("commands", "import tradetui.cli", "floor by floor", id="a command imports the table"),
    pytest.param("execution", "import tradetui.wiring", "floor by floor", id="reaching over four floors"),
    pytest.param("indicators", "import asyncio", "does no I/O", id="asyncio in the core"),
    pytest.param("market", "import duckdb", "does no I/O", id="storage in the core"),
    pytest.param(
        "strategies", "from google.protobuf import message", "does no I/O", id="the wire in the core"
    ),
    pytest.param("tui", "import tradetui.brokers", "The screen sees", id="an adapter in the screen"),
    pytest.param(
        "tui", "def late():\n    import tradetui.storage", "The screen sees", id="late is no excuse"
    ),
]


@pytest.mark.parametrize(("module", "source", "contract"), BREACHES)
def test_a_breach_is_caught(module: str, source: str, contract: str, tmp_path: Path, repo_root: Path) -> None:
    skeleton(repo_root, tmp_path)
    (tmp_path / "tradetui" / "brokers" / "upstox.py").touch()
    (tmp_path / "tradetui" / "tui" / "panes.py").write_text(
        "".join(f"import tradetui.{name}\n" for name in SEEN_BY_THE_SCREEN), encoding="utf-8"
    )
    sound = lint(tmp_path)
    assert sound.returncode == 0, sound.stdout + sound.stderr
    (tmp_path / "tradetui" / module / "breach.py").write_text(f'"""Breach."""\n{source}\n', encoding="utf-8")
    done = lint(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    broken = [line for line in done.stdout.splitlines() if " BROKEN" in line]
    assert any(contract in line for line in broken), broken


def test_a_module_without_a_floor_is_caught(tmp_path: Path, repo_root: Path) -> None:
    skeleton(repo_root, tmp_path)
    (tmp_path / "tradetui" / "helpers.py").touch()
    done = lint(tmp_path)
    assert done.returncode == 1
    assert "tradetui.helpers" in done.stdout
