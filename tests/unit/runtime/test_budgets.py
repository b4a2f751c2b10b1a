"""What is left of the broker's limits, as the screen gets it."""

from __future__ import annotations

from tradetui.brokers.upstox.governor import Budget, WindowUse
from tradetui.domain.view import Verdict
from tradetui.runtime.telemetry import budget_gauges


def budget(account: str, used: int, *, waiting: int = 0, pause_s: float = 0.0) -> Budget:
    uses = (WindowUse(1.1, used, 8, 2), WindowUse(60.0, used, 480, 20), WindowUse(1800.0, used, 1900, 100))
    return Budget(account, uses, (0, waiting, 0), 0.0, pause_s)


def test_orders_and_the_fullest_read_are_shown_with_their_reserve() -> None:
    rows = budget_gauges((budget("", 6), budget("/v2/order/retrieve-all", 1), budget("/v2/other", 0)))
    assert [row.name for row in rows] == [
        "Orders 1 s", "Orders 1 min", "Orders 30 min",
        "Reads retrieve-all 1 s", "Reads retrieve-all 1 min", "Reads retrieve-all 30 min",
    ]  # fmt: skip
    assert rows[0].text == "6 / 8 +2 exits"
    assert [row.verdict for row in rows[:2]] == [Verdict.WARN, Verdict.PASS]


def test_a_full_window_blocks_and_a_pause_says_why() -> None:
    rows = {row.name: row for row in budget_gauges((budget("", 8, waiting=2, pause_s=27.4),))}
    assert rows["Orders 1 s"].verdict is Verdict.BLOCK
    assert rows["Orders waiting"].text == "2"
    assert rows["Orders pause"].text == "27 s more: the broker said too many requests"
