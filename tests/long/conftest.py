"""What the long tests measured, and how to repeat them, at the end of the run."""

from __future__ import annotations

import pytest

from tests.long.knobs import FIGURES, SEED


@pytest.fixture(autouse=True)
def tell_seed() -> None:
    """A failure shows what was printed, and so how to repeat it."""
    print(f"TRADETUI_SEED={SEED}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures of a run that had long tests."""
    if FIGURES:
        terminalreporter.section(f"long tests, TRADETUI_SEED={SEED}")
        for words in FIGURES:
            terminalreporter.write_line(words)
