"""Out of hours the ticket says that its order goes in at the next open, and labels it so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fixtures.fake_handle import FakeHandle
from tests.fixtures.screen import screen
from tests.unit.tui.test_actions import on_reliance
from tradetui.domain.view import Snapshot


class Phased(FakeHandle):
    """A market in one phase."""

    phase = "continuous"

    def snapshot(self) -> Snapshot | None:
        shot = super().snapshot()
        return None if shot is None else replace(shot, phase=self.phase)


@pytest.mark.parametrize(
    ("phase", "labelled"), [("closed", True), ("continuous", False), ("pre-open", False)]
)
async def test_a_ticket_of_closed_hours_is_labelled_and_says_so(phase: str, labelled: bool) -> None:
    handle = Phased()
    handle.phase = phase
    async with screen((120, 40), handle) as s:
        await on_reliance(s)
        await s.press("b", "1", "0", "enter")
        assert ("(goes in at the next open)" in s.text()) is labelled
        s.ms += 301
        await s.settle()
        await s.press("f9")
        (event,) = s.handle.submitted
        assert event.request is not None
        assert event.request.amo is labelled
