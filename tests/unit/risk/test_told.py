"""The table of what is guarded names every rule, and nothing that does not exist."""

from __future__ import annotations

import re

from tests.conftest import REPO_ROOT
from tradetui.risk import gate

PAGE = (REPO_ROOT / "docs" / "how-to" / "add-a-risk-rule.md").read_text()
SECTION = PAGE.partition("## What is guarded")[2].partition("## Every rule")[0]
ROWS = [
    [cell.strip() for cell in line.split("|")[1:-1]] for line in SECTION.splitlines() if line.startswith("| ")
][2:]


def named(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


def test_every_rule_is_in_the_table_and_in_the_file_it_names() -> None:
    told = set().union(*(named(row[1]) for row in ROWS)) - {"Guard.change_limit"}
    assert told == {rule.__name__ for rule in gate.RULES}
    for rule in gate.RULES:
        file = rule.__module__.removeprefix("tradetui.").replace(".", "/") + ".py"
        assert any(rule.__name__ in named(row[1]) and file in named(row[2]) for row in ROWS), rule.__name__


def test_every_file_and_test_of_the_table_exists() -> None:
    for row in ROWS:
        assert all((REPO_ROOT / "tradetui" / file).is_file() for file in named(row[2])), row
        files = {name for name in named(row[3]) if name.endswith(".py")}
        assert files or row[3].startswith("pressed"), row
        for name in files:
            under = REPO_ROOT / "tests" / ("" if name.startswith("integration/") else "unit")
            assert (under / name).is_file(), name


def test_what_is_called_pressed_is_pressed() -> None:
    from tests.unit.risk.test_never_beyond_limits import CAUGHT_BY

    pressed = {rule.__name__ for rule, _, _ in CAUGHT_BY}
    for row in ROWS:
        if row[3].startswith("pressed"):
            some = re.match(r"pressed \(([^)]*)\)", row[3])
            claimed = named(some[1]) if some else named(row[1]) - {"option_band", "usual_size"}
            assert claimed <= pressed, row
