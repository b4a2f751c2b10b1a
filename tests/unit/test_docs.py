"""Nothing that a user can meet goes undocumented, and what the documentation shows is what the program does."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from scripts import build_docs, doc_tables, screenshot
from tradetui import config
from tradetui.indicators import REGISTRY
from tradetui.risk.gate import RULES
from tradetui.runtime.core import Runtime
from tradetui.simulator.faults import COMMON, FAULTS, Faults, parse_fault
from tradetui.simulator.server import SimulatorServer
from tradetui.storage.schema import LEDGER
from tradetui.strategies import STRATEGIES
from tradetui.tui.actions import ACTIONS
from tradetui.tui.commands import COMMANDS, Command, parse
from tradetui.tui.panes import SPECS
from tradetui.wiring.backfill.report import Summary


def page(root: Path, name: str) -> str:
    return (root / name).read_text(encoding="utf-8")


def first_cells(text: str) -> set[str]:
    """What stands as code in the first column of a page's tables."""
    cells = re.findall(r"^\| (`.+?`) \|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_every_command_and_flag_is_documented(repo_root: Path) -> None:
    text = page(repo_root, "docs/reference/commands.md")
    missing = [name for name in doc_tables.command_names() if f"## tradetui {name}\n" not in text]
    assert missing == []
    modules = ("tradetui.cli", "tradetui.commands.table")
    source = "".join(inspect.getsource(sys.modules[name]) for name in modules)
    hidden = {"--until-stdin-closes", "--version"}
    flags = set(re.findall(r'"(--[a-z-]+)"', source)) - hidden
    assert flags - first_cells(text) == set()


def test_every_setting_is_documented(repo_root: Path) -> None:
    text = page(repo_root, "docs/reference/settings.md")
    for name, about, _ in config.walk():
        table, _, key = name.rpartition(".")
        section = text.partition(f"\n## {table}\n")[2].partition("\n## ")[0]
        assert f"| `{key}` |" in section, name
        assert doc_tables._cell(about.words) in section, name


def test_every_key_and_typed_command_is_documented(repo_root: Path) -> None:
    text = page(repo_root, "docs/reference/keys.md")
    assert [action.id for action in ACTIONS if f"| `{action.id}` |" not in text] == []
    assert [usage for usage, _ in COMMANDS if f"`{doc_tables._cell(usage)}`" not in text] == []


@pytest.mark.parametrize(
    ("name", "things"),
    [
        ("docs/how-to/add-a-strategy.md", set(STRATEGIES)),
        ("docs/reference/indicators.md", set(REGISTRY)),
        ("docs/how-to/add-a-risk-rule.md", {rule.__name__ for rule in RULES}),
        ("docs/reference/faults.md", set(FAULTS) | set(COMMON)),
    ],
    ids=["strategies", "indicators", "risk rules", "faults"],
)
def test_every_one_of_a_kind_is_documented(repo_root: Path, name: str, things: set[str]) -> None:
    assert things - first_cells(page(repo_root, name)) == set()


def test_every_pane_is_documented(repo_root: Path) -> None:
    text = page(repo_root, "docs/how-to/add-a-pane.md")
    assert [spec.pane for spec in SPECS if f"| `{spec.pane.value}` |" not in text] == []


def keys_of_the_object_in(function: object) -> set[str]:
    """Keys of the dictionary that a function returns, read off its source."""
    if function is Summary.as_data:
        return set(Summary("1m").as_data())
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))  # type: ignore[arg-type]
    returned = [node.value for node in ast.walk(tree) if isinstance(node, ast.Return)]
    (made,) = [value for value in returned if isinstance(value, ast.Dict)]
    return {key.value for key in made.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}


@pytest.mark.parametrize(
    ("heading", "function"),
    [
        ("tradetui run --headless --json", Runtime.summary),
        ("tradetui sim", SimulatorServer.ready_line),
        ("tradetui backfill --json", Summary.as_data),
    ],
)
def test_json_fields_are_documented_and_no_others(repo_root: Path, heading: str, function: object) -> None:
    text = page(repo_root, "docs/reference/json-output.md")
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    assert first_cells(section) == keys_of_the_object_in(function)


def test_a_page_without_a_row_would_be_noticed(repo_root: Path) -> None:
    text = page(repo_root, "docs/reference/faults.md").replace("| `stall` |", "| stall |")
    assert set(FAULTS) - first_cells(text) == {"stall"}


def test_generated_parts_are_current(repo_root: Path) -> None:
    stale = [
        str(path.relative_to(repo_root))
        for path, wanted in build_docs.generated(repo_root).items()
        if path.read_text(encoding="utf-8") != wanted
    ]
    assert stale == [], "run make docs"


def test_a_changed_table_makes_its_page_stale(repo_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tradetui.tui.commands.COMMANDS", (*COMMANDS, ("dance", "not in the page")))
    wanted = build_docs.generated(repo_root)[repo_root / "docs" / "reference" / "keys.md"]
    assert "| `dance` | not in the page |" in wanted
    assert wanted != page(repo_root, "docs/reference/keys.md")


def test_every_generated_part_is_used_and_none_is_unknown() -> None:
    asked = {
        found[1]
        for path in build_docs.pages(doc_tables.ROOT)
        for found in doc_tables.MARK.findall(path.read_text(encoding="utf-8"))
    }
    assert asked == set(doc_tables.PARTS)


def test_links_resolve(repo_root: Path) -> None:
    assert build_docs.broken_links(repo_root) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "b.md").write_text("# Title here\n")
    (tmp_path / "a.md").write_text("[x](docs/b.md#title-here) [y](docs/b.md#gone) [z](docs/c.md)\n")
    assert build_docs.broken_links(tmp_path) == ["a.md: docs/b.md#gone", "a.md: docs/c.md"]


PATHS = re.compile(r"`((?:tradetui|tests|scripts|docs)/[\w./-]+|[\w/-]+/[\w-]+\.py)`")


def test_named_files_exist(repo_root: Path) -> None:
    """A path in backticks is a file of the repository, of the package, or of the tests."""
    wrong = []
    for path in build_docs.pages(repo_root):
        if path.name == "CHANGELOG.md" or path.parent.name == "adr":
            continue  # both tell of a moment, and files may move later
        wrong += [
            f"{path.relative_to(repo_root)}: {name}"
            for name in PATHS.findall(path.read_text(encoding="utf-8"))
            if not any(
                (repo_root / under / name).exists() for under in (".", "tradetui", "tests/unit", "tests")
            )
        ]
    assert wrong == []


def test_the_picture_is_there_and_of_a_readable_size(repo_root: Path) -> None:
    data = (repo_root / "docs" / "images" / "workstation.png").read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert int.from_bytes(data[16:20], "big") >= 1200


def test_the_faults_that_the_help_suggests_exist() -> None:
    (words,) = [words for usage, words in COMMANDS if usage.startswith("fault NAME")]
    suggested = words.partition("such as ")[2].split(", ")
    assert suggested
    for line in suggested:
        command = parse(line)
        assert isinstance(command, Command)
        assert command.verb == "fault"
        Faults().set(command.rest, command.args)  # type: ignore[arg-type]


def test_every_fault_in_the_simulator_page_can_be_switched(repo_root: Path) -> None:
    text = page(repo_root, "docs/how-to/use-the-simulator.md")
    told = re.findall(r"--fault (\S+)", text)
    assert told
    for one in told:
        Faults().set(*parse_fault(one))


def test_every_character_of_the_picture_has_its_own_place() -> None:
    line = '<text class="a" x="12.2" y="20" textLength="36.6" clip-path="url(#l)">a&amp;&#160;</text>'
    placed = screenshot.on_grid(line)
    assert 'x="12.20 24.40 36.60"' in placed
    assert "textLength" not in placed
    assert placed.endswith('clip-path="url(#l)">a&amp;&#160;</text>')


def test_the_query_in_the_table_reference_fits_the_tables(repo_root: Path) -> None:
    import duckdb

    (query,) = re.findall(r'\.sql\("([^"]+)"\)', page(repo_root, "docs/reference/tables.md"))
    with duckdb.connect() as connection:
        connection.execute(LEDGER.sql)
        assert connection.sql(query).columns == ["t", "instrument_key", "side", "qty", "rupees"]


def test_the_sdk_example_runs_as_it_stands(repo_root: Path) -> None:
    text = page(repo_root, "docs/how-to/use-the-simulator.md")
    (example,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", example],
        cwd=repo_root,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "complete 1"
