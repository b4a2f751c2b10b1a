"""Formats, layout, key map, command line, candles: the parts that need no screen."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradetui.tui import fmt
from tradetui.tui.actions import ACTIONS, Context, KeyMap, shown
from tradetui.tui.commands import COMMANDS, Command, complete, parse
from tradetui.tui.layout import NUMBERS, Pane, Size, arrange, size_class
from tradetui.tui.pace import adapted
from tradetui.tui.panes.watchlist import sparkline
from tradetui.tui.spans import fit, pad, plain, right, width_of, wrap
from tradetui.tui.theme import COLOURS, Palette
from tradetui.tui.widgets.candlestick import Bars, Look, draw


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "--"),
        (0.0, "0.00"),
        (1502.35, "1,502.35"),
        (123456.7, "1,23,456.70"),
        (-0.004, "0.00"),
        (math.nan, "--"),
    ],
)
def test_prices(value: float | None, text: str) -> None:
    assert fmt.price(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (9999, "9999"),
        (12_345, "12.3K"),
        (8_412_345, "84.1L"),
        (12_000_000, "1.2Cr"),
        (9_999_999, "1.0Cr"),
        (99_999, "1.0L"),
    ],
)
def test_large_numbers(value: float, text: str) -> None:
    assert fmt.compact(value) == text


@given(st.floats(-1e14, 1e14))
def test_large_numbers_fit_their_column(value: float) -> None:
    assert len(fmt.compact(value)) <= 7


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0384, "38ms"),
        (0.9999, "1.0s"),
        (4.24, "4.2s"),
        (59.97, "0m59"),
        (185.2, "3m05"),
        (7800, "2h10"),
        (math.inf, "--"),
    ],
)
def test_ages(seconds: float, text: str) -> None:
    assert fmt.age(seconds) == text


def test_times_are_indian() -> None:
    assert fmt.clock(1_763_697_125_000) == "09:22:05"
    assert fmt.day(1_763_697_125_000) == "21-11"
    assert fmt.day(1_709_145_000_000) == "29-02"
    assert fmt.countdown(61.2) == "01:02"
    assert fmt.countdown(-5) == "00:00"


def test_accounts_are_masked() -> None:
    assert fmt.masked("4ABCD4821") == "**4821"
    assert fmt.masked("") == ""


@given(st.text(max_size=40), st.integers(0, 30))
def test_lines_always_have_the_width_asked_for(text: str, width: int) -> None:
    cleaned = "".join(c for c in text if c.isprintable())
    assert width_of(fit(cleaned, width)) == width
    assert width_of(plain(pad(((cleaned, "text"), ("x", "dim")), width))) == width
    for part in wrap(cleaned, max(width, 2)):
        assert width_of(part) <= max(width, 2)


def test_a_number_that_does_not_fit_is_not_shown_with_fewer_digits() -> None:
    assert right("12345", 4) == "####"
    assert right("123", 5) == "  123"


@given(st.integers(1, 300), st.integers(1, 100), st.permutations(list(Pane)), st.booleans())
def test_panes_never_overlap_and_stay_inside(width: int, height: int, recent: list[Pane], zoom: bool) -> None:
    made = arrange(width, height, tuple(recent), zoom=zoom)
    cells: set[tuple[int, int]] = set()
    for rect in (
        *made.panes.values(),
        *((made.tabs,) if made.tabs and made.panes else ()),
        *((made.header, made.notice, made.hint) if made.panes else ()),
    ):
        own = {
            (x, y) for x in range(rect.x, rect.x + rect.width) for y in range(rect.y, rect.y + rect.height)
        }
        assert not own & cells
        cells |= own
        assert rect.x >= 0
        assert rect.x + rect.width <= width
        assert rect.y + rect.height <= height
    if made.panes:
        assert recent[0] in made.panes
        assert len(cells) == width * height
    for rect in (made.ticket, made.overlay):
        assert rect.x + rect.width <= width
        assert rect.x >= 0


def test_size_classes() -> None:
    assert size_class(80, 24) is Size.SMALL
    assert size_class(120, 40) is Size.MEDIUM
    assert size_class(200, 60) is Size.LARGE
    assert size_class(59, 24) is Size.TINY
    assert size_class(80, 19) is Size.TINY
    assert size_class(29, 24) is Size.NONE


def test_the_table_of_actions_is_sound() -> None:
    assert len({action.id for action in ACTIONS}) == len(ACTIONS)
    assert KeyMap().problems == []
    taken = {
        "ctrl+b",
        "ctrl+a",
        "ctrl+s",
        "ctrl+q",
        "ctrl+z",
        "ctrl+h",
        "ctrl+i",
        "ctrl+m",
        "ctrl+j",
        "f10",
        "f11",
    }
    assert not taken & {key for action in ACTIONS for key in action.keys}
    assert {f"pane.{n}" for n in NUMBERS.values()} <= {action.id for action in ACTIONS}
    for context in Context:
        assert KeyMap().hints(context)[0] == ("F12", "KILL")


def test_keys_can_be_remapped_and_conflicts_are_reported() -> None:
    keymap = KeyMap({"buy": ("f2",), "ticket.send": ("f8",)})
    assert keymap.problems == []
    found = keymap.find(Context.NORMAL, "f2")
    assert found is not None
    assert found.id == "buy"
    assert keymap.find(Context.NORMAL, "b") is None
    assert keymap.key_text("ticket.send") == "F8"
    clash = KeyMap({"pause": ("x",)})
    assert any("both cancel and pause" in problem for problem in clash.problems)
    assert clash.find(Context.NORMAL, "x") is not None


@pytest.mark.parametrize(
    "remap",
    [
        {"nosuch": ("x",)},
        {"kill": ()},
        {"ticket.send": ("enter",)},
        {"ticket.send": ("s",)},
        {"kill": ("escape",)},
        {"buy": ("f12",)},
    ],
)
def test_remaps_that_would_be_unsafe_are_refused(remap: dict[str, tuple[str, ...]]) -> None:
    keymap = KeyMap(remap)
    assert keymap.problems
    for context in Context:
        for key in ("f12", "ctrl+k"):
            found = keymap.find(context, key)
            assert found is not None
            assert found.id == "kill"
    send = keymap.find(Context.TICKET, "f9")
    assert send is not None
    assert send.id == "ticket.send"


def test_keys_are_written_for_people() -> None:
    assert [shown(k) for k in ("f9", "ctrl+k", "enter", "b", "pagedown")] == [
        "F9",
        "Ctrl+K",
        "Enter",
        "b",
        "PgDn",
    ]


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("arm 15", Command("arm", "15")),
        ("  KILL ", Command("kill")),
        ("FLATTEN", Command("flatten")),
        ("strategy run Opening-Range", Command("strategy run", "Opening-Range")),
        ("auto off vote", Command("auto off", "vote")),
        ("watch remove", Command("watch remove")),
        ("interval 5m", Command("interval", "5m")),
        ("fault delay ms=250 once=on", Command("fault", "delay", {"ms": 250, "once": True})),
        ("q", Command("quit")),
        ("M&M", Command("select", "M&M")),
        ("screenshot a b.svg", Command("screenshot", "a b.svg")),
    ],
)
def test_command_lines(line: str, command: Command) -> None:
    assert parse(line) == command


@pytest.mark.parametrize(
    "line",
    [
        "",
        "arm",
        "arm 0",
        "arm 61",
        "arm x",
        "flatten",
        "kill now",
        "auto vote",
        "watch",
        "interval 7m",
        "fault",
        "fault x y",
        "theme pink",
    ],
)
def test_wrong_command_lines_say_what_is_wrong(line: str) -> None:
    assert isinstance(parse(line), str)


def test_every_documented_command_is_understood() -> None:
    samples = {
        "MINUTES": "5",
        "NAME": "vote",
        "SYMBOL": "INFY",
        "PATH": "x.svg",
        "[KEY=VALUE": "a=1",
        "...]": "b=2",
        "[SYMBOL]": "INFY",
        "[QTY]": "5",
        "[ID]": "GTT-1",
        "[delivery]": "delivery",
        "[mtf]": "mtf",
        "[with": "with",
        "stops]": "stops",
    }
    for usage, _ in COMMANDS:
        words = [samples.get(word, word.split("|")[0]) for word in usage.split(" ")]
        assert isinstance(parse(" ".join(words)), Command), usage


def test_completion() -> None:
    assert complete("str", [], []) == ("strategy ", "")
    assert complete("strategy p", ["vote"], []) == ("strategy pause ", "")
    assert complete("auto on v", ["vote", "orb"], []) == ("auto on vote ", "")
    assert complete("REL", [], ["RELIANCE", "INFY"]) == ("RELIANCE ", "")
    line, several = complete("re", [], ["RELIANCE", "RECLTD"])
    assert line == "re"
    assert "resume" in several
    assert complete("zzz", [], []) == ("zzz", "")


PRICES = st.floats(0.05, 1e6, allow_nan=False)


@given(
    st.lists(st.tuples(PRICES, PRICES, PRICES, PRICES, st.integers(0, 10**9)), max_size=60),
    st.integers(2, 120),
    st.integers(1, 40),
    st.integers(1, 4),
    st.booleans(),
)
def test_candles_fill_their_rectangle_exactly(
    rows: list[tuple[float, float, float, float, int]], width: int, height: int, step: int, plain_set: bool
) -> None:
    bars = Bars(
        [r[0] for r in rows],
        [max(r[:4]) for r in rows],
        [min(r[:4]) for r in rows],
        [r[3] for r in rows],
        [r[4] for r in rows],
        [("accent", [math.nan if i % 3 else r[1] for i, r in enumerate(rows)])],
        [("avg", rows[0][0], "accent")] if rows else [],
    )
    lines = draw(bars, Look(width, height, 2, step, min(2, height - 1), ascii=plain_set))
    assert len(lines) in (0, height)
    for line in lines:
        text = plain(line)
        assert width_of(text) == width
        if plain_set:
            assert text.isascii()


def test_a_candle_is_drawn_in_half_cells() -> None:
    # Range 0..9, five rows of two half cells: high 9, body 3 to 6, low 0.
    lines = draw(Bars([3.0], [9.0], [0.0], [6.0], [1]), Look(12, 5, 0, 1, 0, times=False))
    assert "".join(plain(line)[1] for line in lines) == "│╽┃╿│"


def test_sparklines() -> None:
    assert sparkline((1.0, 2.0, 3.0), 4) == " ▁▅█"
    assert sparkline((), 3) == "   "
    assert sparkline((5.0, 5.0), 2) == "▁▁"
    assert sparkline((1.0, 2.0), 2, ascii_only=True).isascii()


def test_the_frame_rate_steps_down_on_slow_links_and_comes_back() -> None:
    assert adapted(10.0, 10.0, 80.0, 0) == 5.0
    assert adapted(5.0, 10.0, 120.0, 0) == 2.0
    assert adapted(1.0, 10.0, 900.0, 9) == 1.0
    assert adapted(10.0, 10.0, 5.0, 6) == 5.0
    assert adapted(5.0, 10.0, 5.0, 0) == 10.0
    assert adapted(10.0, 10.0, 5.0, 0) == 10.0
    assert adapted(10.0, 20.0, 5.0, 0) == 20.0
    assert adapted(1.0, 8.0, 5.0, 0) == 2.0


@pytest.mark.parametrize("name", sorted(COLOURS))
@pytest.mark.parametrize("pair", ["blue-orange", "green-red"])
def test_gain_and_loss_differ_and_are_readable(name: str, pair: str) -> None:
    palette = Palette(name, pair)
    assert palette.style("gain") != palette.style("loss")
    if name == "16":
        return
    back = _luminance(palette.colours["background"])
    for meaning in ("text", "dim", "gain", "loss", "buy", "sell", "warn", "error", "good", "key", "title"):
        fore = _luminance(palette.colours[meaning])
        contrast = (max(fore, back) + 0.05) / (min(fore, back) + 0.05)
        assert contrast >= 4.5, (meaning, contrast)


def _luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.1."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
