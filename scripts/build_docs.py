"""Write what is generated in the documentation and check every relative link (`make docs`).

Generated are the index of decisions, `config.toml.example`, and the tables between ``<!-- generated: NAME -->`` and
``<!-- end -->``, which `doc_tables.py` makes from the code. With `--check` nothing is written: the exit code says whether everything
generated is current and every link leads somewhere. The test suite runs it that way.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts import doc_tables  # noqa: E402 - found only once the root is on the path
from tradetui import config  # noqa: E402 - as above

ADR_DIR = Path("docs") / "adr"
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6}\s+(.*)$", re.MULTILINE)
STATUS = re.compile(r"^- Status: (.+)$", re.MULTILINE)


def pages(root: Path) -> list[Path]:
    """Every Markdown page that a reader may open, sorted."""
    return sorted([*root.glob("*.md"), *(root / "docs").rglob("*.md")])


def anchors(text: str) -> set[str]:
    """The anchors that a page's headings give, spelled as code hosts spell them."""
    found: set[str] = set()
    for title in HEADING.findall(FENCE.sub("", text)):
        plain = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)).strip().lower()
        found.add(plain.replace(" ", "-"))
    return found


def broken_links(root: Path) -> list[str]:
    """Name each relative link that leads nowhere.

    Args:
        root: The repository's root.

    Returns:
        One line for each, `page: target`. Links to other sites are not followed.
    """
    broken: list[str] = []
    for page in pages(root):
        for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
            path, _, fragment = target.partition("#")
            if ":" in path:
                continue
            other = (page.parent / path).resolve() if path else page
            known = other.exists() and (
                not fragment
                or other.suffix != ".md"
                or fragment in anchors(other.read_text(encoding="utf-8"))
            )
            if not known:
                broken.append(f"{page.relative_to(root)}: {target}")
    return broken


def adr_index(root: Path) -> str:
    """Write the index of decisions from their titles and states.

    Args:
        root: The repository's root.

    Returns:
        The text of `docs/adr/README.md`.

    Raises:
        ValueError: A decision has no title or no `- Status:` line.
    """
    rows = []
    for path in sorted((root / ADR_DIR).glob("[0-9][0-9][0-9][0-9]-*.md")):
        text = path.read_text(encoding="utf-8")
        title, status = HEADING.search(text), STATUS.search(text)
        if title is None or status is None:
            raise ValueError(f"{path.name} needs a title and a '- Status:' line")
        rows.append(f"| [{path.name[:4]}]({path.name}) | {title[1].partition('. ')[2]} | {status[1]} |")
    return "\n".join(
        [
            "# Decisions",
            "",
            "One short record for each decision that someone may want to reverse. `make docs` writes this list.",
            "",
            "| No | Decision | Status |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def generated(root: Path) -> dict[Path, str]:
    """Every file that holds something generated, with the text it should have.

    Args:
        root: The repository's root.
    """
    wanted = {
        root / ADR_DIR / "README.md": adr_index(root),
        root / "config.toml.example": config.example(),
    }
    for page in pages(root):
        text = page.read_text(encoding="utf-8")
        if doc_tables.MARK.search(text):
            wanted[page] = doc_tables.fill(text)
    return wanted


def main(arguments: list[str]) -> int:
    """Rebuild or check; returns the exit code."""
    check = "--check" in arguments
    problems: list[str] = []
    for page, wanted in generated(ROOT).items():
        if page.exists() and page.read_text(encoding="utf-8") == wanted:
            continue
        if check:
            problems.append(f"{page.relative_to(ROOT)}: out of date, run make docs")
        else:
            page.write_text(wanted, encoding="utf-8")
            print(f"wrote {page.relative_to(ROOT)}")
    problems += broken_links(ROOT)
    for problem in problems:
        print(problem)
    print(f"{len(pages(ROOT))} pages, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
