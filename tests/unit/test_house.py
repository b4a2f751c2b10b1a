"""House rules that no linter knows: what files may name, how long they may be, that the docs hang together."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

# Spelled as patterns, so that this file does not name what it looks for.
REGISTRY_HOST = re.compile(
    r"pypi\.(?:org|python)|pythonhosted\.|test\.pypi|registry\.npmjs|npmjs\.(?:com|org)|crates\.io|"
    r"deb\.debian|archive\.ubuntu|ghcr\.io|docker\.io|anaconda\.org|proxy\.golang|rubygems\.",
    re.IGNORECASE,
)
MACHINE_PATH = re.compile(r"(?<![\w.~*\-])/(?:work|root|home|Users|tmp|opt|mnt|private)/[\w.]")
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b|raise NotImplementedError")
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 70


def tracked(root: Path) -> list[Path]:
    """Every text file of the project that git tracks."""
    if not (root / ".git").exists():
        pytest.skip("not a git checkout, so the project's files cannot be told from the rest")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True)
    paths = [root / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:4096]]


def findings(root: Path, pattern: re.Pattern[str]) -> list[str]:
    """Where a pattern occurs in the tracked files, as `file:line`."""
    return [
        f"{path.relative_to(root)}:{number}: {line.strip()[:80]}"
        for path in tracked(root)
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]


def sources(root: Path) -> list[Path]:
    """Every Python file of the program and its tools that is written by hand."""
    ours = (root / "tradetui", root / "scripts")
    return [
        path
        for path in tracked(root)
        if path.suffix == ".py" and not path.name.endswith("_pb2.py")
        if any(path.is_relative_to(folder) for folder in ours)
    ]


def test_no_file_names_a_registry(repo_root: Path) -> None:
    assert findings(repo_root, REGISTRY_HOST) == []


def test_no_file_names_a_path_of_one_machine(repo_root: Path) -> None:
    assert findings(repo_root, MACHINE_PATH) == []


def test_nothing_is_left_unfinished(repo_root: Path) -> None:
    assert [found for found in findings(repo_root, UNFINISHED) if ".py:" in found] == []


@pytest.mark.parametrize(
    ("pattern", "bad", "good"),
    [
        (REGISTRY_HOST, "https://py" + "pi.org/simple", "install it with pip"),
        (REGISTRY_HOST, "files.python" + "hosted.org", "a Python host"),
        (MACHINE_PATH, "/wo" + "rk/main/x.py", "network/main/x.py"),
        (MACHINE_PATH, "see /ho" + "me/me/.config", "see ~/.config"),
        (UNFINISHED, "# TO" + "DO: later", "mastodon"),
    ],
)
def test_the_patterns_find_what_they_are_for(pattern: re.Pattern[str], bad: str, good: str) -> None:
    assert pattern.search(bad)
    assert not pattern.search(good)


def test_files_stay_readable(repo_root: Path) -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources(repo_root)}
    assert {str(p.relative_to(repo_root)): n for p, n in lengths.items() if n > MAX_FILE_LINES} == {}


def test_functions_stay_readable(repo_root: Path) -> None:
    long: list[str] = []
    for path in sources(repo_root):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    long.append(f"{path.relative_to(repo_root)}:{node.lineno} {node.name} has {lines} lines")
    assert long == []


def test_the_locks_hold_exact_versions_with_hashes_and_nothing_else(repo_root: Path) -> None:
    locks = sorted(repo_root.glob("requirements*.lock"))
    assert len(locks) == 3
    pinned = re.compile(r"^[a-z0-9][a-z0-9.-]*==[\w.+]+( ; [^\\]+)? \\$")
    digest = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")
    for lock in locks:
        for line in lock.read_text(encoding="utf-8").splitlines():
            assert line.startswith("#") or pinned.match(line) or digest.match(line), f"{lock.name}: {line}"


def test_every_direct_dependency_is_locked(repo_root: Path) -> None:
    settings = tomllib.loads((repo_root / "pyproject.toml").read_text(encoding="utf-8"))

    def names(requirements: list[str]) -> set[str]:
        found = (re.match(r"[A-Za-z0-9._-]+", requirement) for requirement in requirements)
        return {re.sub(r"[._-]+", "-", match[0]).lower() for match in found if match}

    def locked(name: str) -> dict[str, str]:
        text = (repo_root / name).read_text(encoding="utf-8")
        return dict(re.findall(r"^([a-z0-9.-]+)==([^ ]+)", text, re.MULTILINE))

    run, dev, build = (locked(f"requirements{kind}.lock") for kind in ("", "-dev", "-build"))
    assert names(settings["project"]["dependencies"]) <= run.keys()
    assert names(settings["project"]["optional-dependencies"]["dev"]) <= dev.keys()
    assert (
        names(settings["build-system"]["requires"]) | names(settings["dependency-groups"]["build"])
        <= build.keys()
    )
    assert run.items() <= dev.items()
    assert {name: version for name, version in build.items() if dev.get(name, version) != version} == {}


def test_the_documentation_hangs_together(repo_root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "scripts/build_docs.py", "--check"],
        cwd=repo_root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
