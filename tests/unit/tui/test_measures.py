"""Microstructure on the screen: which columns a watchlist has room for, and what the depth pane says."""

from __future__ import annotations

from dataclasses import replace

from tests.fixtures.fake_handle import RELIANCE, FakeHandle
from tradetui.domain.measures import MarketMeasures, ProfileView
from tradetui.domain.view import DepthView, Snapshot, WatchRow
from tradetui.tui.panes import depth, measures, watchlist
from tradetui.tui.spans import line_width, plain
from tradetui.tui.state import Frame, Ui

FULL = MarketMeasures(
    spread_rupees=0.1,
    spread_ticks=2.0,
    spread_bps=9.995,
    microprice=100.075,
    imbalance_1=0.5,
    imbalance_5=-0.1111,
    vwap=100.0,
    deviation=1.7321,
    aggressor="SELL",
    cumulative_delta=58_725,
    seen_volume=1_792_560,
    unclassified_volume=0,
    relative_volume=2.04,
    day_position=0.505,
    gap_percent=1.0,
    from_high_percent=-15.0,
    from_low_percent=27.5,
    oi_change=500.0,
    oi_change_percent=50.0,
    oi_change_session=100.0,
    build_up="long build-up",
)
ROW = WatchRow(
    "K|1", "RELIANCE", 101.5, 1.5, 1.5, 12_345, 101.45, 101.55, 1_500.0, 0.2, stale=False, measures=FULL
)


def watch(width: int, *rows: WatchRow) -> list[str]:
    """Lines of a watchlist of some rows."""
    ui = Ui()
    ui.keys = [row.key for row in rows]
    frame = Frame(Snapshot(seq=1, watch=rows), ui)
    lines = watchlist.body(frame, width, 10)
    assert all(line_width(line) <= width for line in lines)
    return [plain(line) for line in lines]


def test_a_narrow_list_has_no_room_and_a_wide_one_has_every_column() -> None:
    assert "RVOL" not in watch(76, ROW)[0]
    head, line = watch(200, ROW)
    assert [name for name in head.split() if name in {column.head for column in measures.COLUMNS}] == [
        column.head for column in measures.COLUMNS
    ]
    for text in (
        "2.0",
        "+1.50",
        "50",
        "-0.11",
        "+58.7K",
        "2",
        "+1.00",
        "-15.00",
        "+27.50",
        "+50.00",
        "L build",
    ):
        assert f" {text}" in line
    # Heads stand over their figures.
    for name, text in (("RVOL", "2.0"), ("DELTA", "+58.7K"), ("BUILD", "L build")):
        assert head.index(name) + len(name) == line.index(text) + len(text)


def test_columns_come_one_after_the_other_as_the_pane_gets_wider() -> None:
    counts = [len(measures.columns_for(room)) for room in range(90)]
    assert counts == sorted(counts)
    assert (counts[5], counts[6], counts[-1]) == (0, 1, len(measures.COLUMNS))


def test_a_row_without_figures_is_blank_and_an_old_one_dim() -> None:
    bare = replace(ROW, key="K|2", symbol="NEW", measures=None)
    empty = replace(ROW, key="K|3", symbol="INDEX", measures=MarketMeasures())
    _, first, second, third = watch(200, ROW, bare, empty)
    assert "58.7K" in first
    assert second.count("--") == third.count("--") == len(measures.COLUMNS)
    assert {style for _, style in measures.cells(ROW, measures.COLUMNS, quiet=True)} == {"dim"}
    assert "RVOL" not in watch(200, bare)[0]


def view(**changes: object) -> DepthView:
    handle = FakeHandle()
    handle.view = replace(handle.view, selected=RELIANCE.key)
    found = handle.depth(0)
    assert found is not None
    return replace(found, measures=FULL, profile=ProfileView(921.175, 765.6, 969.55), **changes)  # type: ignore[arg-type]


def pane(shown: DepthView, width: int, height: int) -> list[str]:
    ui = Ui()
    ui.selected = shown.instrument.key
    return [plain(line) for line in depth.body(Frame(Snapshot(seq=1, depth=shown), ui), width, height)]


def test_the_depth_pane_says_book_and_flow_where_it_always_has_room() -> None:
    """Of a large screen the pane gets 18 lines of 40 columns."""
    text = pane(view(), 40, 18)
    assert len(text) == 18
    (line,) = [line for line in text if "micro" in line]
    assert line == " micro 100.075 imb -0.11 cvd +58.7K"
    assert any(" x 75 sell ─" in line for line in text)
    assert any(" x 75 ─" in line for line in pane(replace(view(), measures=None), 40, 18))


def test_a_tall_depth_pane_says_the_rest() -> None:
    text = "\n".join(pane(view(), 40, 40))
    for words in (
        "spread 2 ticks 10.0 bp",
        "imbalance +0.50  of 5 levels -0.11",
        "cum delta +58.7K +3% of 17.9L seen",
        "vwap 100.00 ± 1.73",
        "POC 921.1",
        "value 765.60 to 969.55",
        "rel vol 2.04",
        "52w high % -15.00  low % +27.50",
        "OI % +50.00 long build-up",
    ):
        assert words in text
    assert "micro" not in "\n".join(pane(replace(view(), measures=None, profile=None), 40, 40))
