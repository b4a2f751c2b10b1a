"""The screen of a replay: its word and colour, its keys and commands."""

from __future__ import annotations

import pytest

from tests.fixtures.fake_handle import T0_NS, FakeHandle
from tests.fixtures.screen import screen
from tradetui.domain.replay import ReplayView
from tradetui.domain.view import Mode
from tradetui.tui.panes import SPECS
from tradetui.tui.panes.base import boxed

HOUR = 3_600_000_000_000


def replayed(**terms: object) -> FakeHandle:
    handle = FakeHandle(Mode.REPLAY)
    handle.account = "2025-12-15-0932"
    handle.replayed = ReplayView("2025-12-15-0932", T0_NS - HOUR, T0_NS + HOUR, T0_NS, **terms)  # type: ignore[arg-type]
    return handle


@pytest.mark.parametrize(
    ("terms", "word"),
    [
        ({"speed": 10.0}, "[REPLAY 10x]"),
        ({"speed": 0.0}, "[REPLAY max]"),
        ({"paused": True}, "[REPLAY PAUSED]"),
        ({"to_ns": T0_NS + 5}, "[REPLAY jumping]"),
        ({"ended": True}, "[REPLAY ended]"),
    ],
)
async def test_how_the_replay_goes_stands_in_the_mode_word(terms: dict[str, object], word: str) -> None:
    async with screen((120, 40), replayed(**terms)) as s:
        await s.settle()
        assert s.text().startswith(word)


async def test_every_frame_on_the_screen_has_another_colour_than_live_or_paper() -> None:
    edges = {}
    for mode in (Mode.REPLAY, Mode.PAPER, Mode.LIVE):
        handle = replayed() if mode is Mode.REPLAY else FakeHandle(mode)
        async with screen((120, 40), handle) as s:
            await s.settle()
            shown = s.app.frame()
            styles = {boxed(spec)(shown, 40, 8)[0][0][1] for spec in SPECS if spec.pane is not shown.ui.focus}
            (edges[mode],) = styles
            palette = s.app.palette
            assert palette.style("accent").color != palette.style("border").color
            assert palette.style("accent").color != palette.style("warn").color
    assert edges == {Mode.REPLAY: "accent", Mode.PAPER: "border", Mode.LIVE: "warn"}


async def test_keys_steer_it() -> None:
    handle = replayed()
    async with screen((120, 40), handle) as s:
        await s.settle()
        await s.press("space", ".", ",", ";", "}", "{")
        assert handle.steered == [
            ("toggle",), ("step", "frame"), ("step", "second"), ("step", "minute"), ("faster",), ("slower",),
        ]  # fmt: skip
        await s.press("J")
        await s.type("23:59", enter=True)
        assert "after the end" in s.notice
        await s.press("J")
        await s.type("0:01", enter=True)
        assert "lies behind" in s.notice
        assert len(handle.steered) == 6


async def test_commands_steer_it_and_say_what_is_wrong() -> None:
    handle = replayed(paused=True)
    async with screen((120, 40), handle) as s:
        await s.settle()
        for line in ("replay speed 20", "replay step minute", "replay fly"):
            await s.command(line)
        assert handle.steered == [("speed", "20"), ("step", "minute")]
        assert "replay pause, resume" in s.notice


async def test_on_another_run_the_keys_say_that_there_is_none() -> None:
    handle = FakeHandle()
    async with screen((120, 40), handle) as s:
        await s.settle()
        await s.press("space")
        assert "nothing is replayed here" in s.notice
        assert handle.steered == []
