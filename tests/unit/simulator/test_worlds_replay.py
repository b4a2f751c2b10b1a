from __future__ import annotations

import gzip
import json
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from google.protobuf.json_format import ParseDict

from tradetui.domain.errors import UsageError
from tradetui.domain.instrument import InstrumentKind
from tradetui.pb.market_feed_v3_pb2 import Feed, FeedResponse
from tradetui.simulator.board import Board
from tradetui.simulator.worlds.recording import RECORDER_LAG_MS, feed_from_json, read_frames
from tradetui.simulator.worlds.replay import ReplayWorld

DAY = "feed/upstox_v3_2025-12-15"
FOREVER = 1 << 62
KEY = "NSE_EQ|INE000A01011"
OTHER = "NSE_FO|99001"


def line(rx_ms: int, ltp: float, ltt: int, key: str = KEY, **market: Any) -> dict[str, Any]:
    body = {
        "ltpc": {"ltp": ltp, "ltt": str(ltt), "ltq": "5", "cp": 99.0},
        "marketLevel": {"bidAskQuote": [{"bidQ": "10", "bidP": 99.95, "askQ": "15", "askP": 100.05}, {}]},
        "optionGreeks": {},
        **market,
    }
    feed = {"fullFeed": {"marketFF": body}, "requestMode": "full_d5"}
    return {"rx_ms": rx_ms, "type": "live_feed", "feeds": {key: feed}}


def write(path: Path, lines: list[dict[str, Any]]) -> Path:
    with gzip.open(path, "wt") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in lines)
    return path


@pytest.fixture
def two_files(tmp_path: Path) -> Path:
    write(tmp_path / "EXMPL.jsonl.gz", [line(1000 + 10 * i, 100 + i, 900 + i) for i in range(4)])
    write(
        tmp_path / "EXIDX_24500_CE_30_DEC_25.jsonl.gz",
        [line(1005 + 10 * i, 50.05 + i, 900 + i, OTHER) for i in range(3)],
    )
    return tmp_path


def test_files_are_merged_by_time_and_every_line_happens_once(two_files: Path) -> None:
    world = ReplayWorld(two_files)
    updates = list(world.advance(FOREVER))
    assert [(u.t_ns // 1_000_000 - RECORDER_LAG_MS, list(u.feeds)) for u in updates] == [
        (1010, [KEY]),
        (1015, [OTHER]),
        (1020, [KEY]),
        (1025, [OTHER]),
        (1030, [KEY]),
    ]
    assert world.next_ns() is None
    assert world.start_ns == (1000 + RECORDER_LAG_MS) * 1_000_000
    assert world.end_ns == (1030 + RECORDER_LAG_MS) * 1_000_000


def test_the_first_frame_is_the_snapshot(two_files: Path) -> None:
    world = ReplayWorld(two_files)
    snapshot = world.snapshot(OTHER)
    assert snapshot is not None
    assert snapshot.fullFeed.marketFF.ltpc.ltp == 50.05
    assert world.snapshot("NSE_EQ|INE999A01010") is None
    assert world.waits_for_subscriber


def test_advance_stops_at_the_asked_moment(two_files: Path) -> None:
    world = ReplayWorld(two_files)
    middle = (1020 + RECORDER_LAG_MS) * 1_000_000
    assert [u.t_ns for u in world.advance(middle)][-1] == middle
    assert world.next_ns() == (1025 + RECORDER_LAG_MS) * 1_000_000


def test_time_never_steps_back(tmp_path: Path) -> None:
    path = write(tmp_path / "EXMPL.jsonl.gz", [line(t, 100.0, 900 + t) for t in (1000, 1030, 1020, 1040)])
    stamps = [u.t_ns // 1_000_000 - RECORDER_LAG_MS for u in ReplayWorld(path).advance(FOREVER)]
    assert stamps == [1030, 1030, 1040]


def test_skip_leads_to_the_same_state(two_files: Path) -> None:
    world, twin = ReplayWorld(two_files), ReplayWorld(two_files)
    board = Board(world)
    for update in world.advance(FOREVER):
        board.apply(update)
    twin.skip(FOREVER)
    assert twin.next_ns() is None
    assert twin.snapshot(KEY) == board.feed(KEY)


def test_terms_are_inferred_from_name_prices_and_quantities(two_files: Path) -> None:
    option, share = ReplayWorld(two_files).instruments
    assert (option.symbol, option.kind, option.strike, option.expiry) == (
        "EXIDX 24500 CE 30 DEC 25",
        InstrumentKind.CALL,
        245_000_000,
        date(2025, 12, 30),
    )
    assert (option.lot_size, option.tick_size) == (5, 500)
    assert (share.symbol, share.kind, share.lot_size, share.isin) == (
        "EXMPL", InstrumentKind.EQUITY, 1, "INE000A01011",
    )  # fmt: skip


def test_a_sub_message_is_present_exactly_when_it_was_sent() -> None:
    full = line(0, 100.0, 1)["feeds"][KEY]
    assert feed_from_json(full) == ParseDict(full, Feed())
    for gone in ("ltpc", "marketLevel", "optionGreeks"):
        partial = line(0, 100.0, 1)["feeds"][KEY]
        del partial["fullFeed"]["marketFF"][gone]
        feed = feed_from_json(partial)
        assert feed == ParseDict(partial, Feed())
        assert not feed.fullFeed.marketFF.HasField(gone)


def test_samples_of_the_real_feed_read_as_the_reference_reader_does(shared_data: Path) -> None:
    frames = json.loads((shared_data / "feed/upstox_v3_samples.json").read_text())
    feeds = [feed for frame in frames for feed in frame.get("feeds", {}).values()]
    assert len(feeds) >= 5
    assert any("indexFF" in feed["fullFeed"] for feed in feeds)
    for feed in feeds:
        assert feed_from_json(feed) == ParseDict(feed, Feed())


@pytest.mark.parametrize(
    "content", [b"{not json}\n", b'{"rx_ms": 1, "feeds": {"NSE_EQ|X": {"ltpc": {}}}}\n', b"[]\n"]
)
def test_a_damaged_line_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "EXMPL.jsonl.gz"
    path.write_bytes(gzip.compress(content))
    with pytest.raises(UsageError, match=r"EXMPL\.jsonl\.gz: damaged at line 1"):
        ReplayWorld(path)


def test_a_cut_binary_recording_is_named(tmp_path: Path) -> None:
    body = FeedResponse(currentTs=5, feeds={KEY: Feed()}).SerializeToString()
    path = tmp_path / "frames.pb.gz"
    path.write_bytes(gzip.compress(bytes([len(body)]) + body + bytes([100]) + body))
    with pytest.raises(UsageError, match="damaged at frame 2"):
        ReplayWorld(path)


def test_nothing_to_replay_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such recording"):
        ReplayWorld(tmp_path / "none.jsonl.gz")
    with pytest.raises(UsageError, match="no \\*\\.jsonl\\.gz"):
        ReplayWorld(tmp_path)


Played = tuple[ReplayWorld, Board, Counter[str], list[int]]


@pytest.fixture(scope="module")
def played(shared_data: Path) -> Played:
    """The seven full-day files, once through."""
    world = ReplayWorld(shared_data / DAY)
    board = Board(world)
    counts: Counter[str] = Counter()
    stamps = []
    for update in world.advance(FOREVER):
        assert len(update.feeds) == 1
        counts.update(list(update.feeds))
        stamps.append(update.t_ns)
        board.apply(update)
    return world, board, counts, stamps


def test_every_line_is_one_update_save_the_snapshots(played: Played, shared_data: Path) -> None:
    world, _, counts, stamps = played
    lines = {}
    for file in sorted((shared_data / DAY).glob("*.jsonl.gz")):
        with gzip.open(file) as stream:
            lines[file.name.partition(".")[0].replace("_", " ")] = sum(1 for _ in stream)
    assert sum(lines.values()) == 176_965
    assert {i.symbol: counts[i.key] + 1 for i in world.instruments} == lines
    assert stamps == sorted(stamps)


def test_the_board_ends_on_the_last_reported_day_bar(played: Played) -> None:
    world, board, _, _ = played
    for instrument in world.instruments:
        state = board.feed(instrument.key)
        assert state is not None
        market = state.fullFeed.marketFF
        day = next(bar for bar in market.marketOHLC.ohlc if bar.interval == "1d")
        assert day.low <= day.close <= day.high
        assert abs(day.vol - market.vtt) <= 0.001 * market.vtt


def test_the_boards_minutes_are_the_reported_ones(played: Played, shared_data: Path) -> None:
    world, board, _, _ = played
    reported = pl.read_parquet(shared_data / DAY / "I1_reported.parquet")
    checked = 0
    for instrument in world.instruments:
        mine = {bar.start_ms: bar for bar in board.minutes(instrument.key, date(2025, 12, 15))}
        for row in reported.filter(pl.col("instrument_key") == instrument.key).iter_rows(named=True):
            bar = mine[row["ts_ms"]]
            assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (
                row["open"], row["high"], row["low"], row["close"], row["volume"],
            )  # fmt: skip
            checked += 1
    assert checked == reported.height > 2_000


def test_the_binary_recording_says_what_its_json_says(shared_data: Path) -> None:
    """Every feed of the ten o'clock file is one line of the seven files, field by field."""
    binary = list(read_frames(shared_data / DAY / "frames_10h00.pb.gz"))
    assert len(binary) == 7_944
    feeds = Counter(
        (key, feed.SerializeToString(deterministic=True)) for f in binary for key, feed in f.feeds.items()
    )
    assert feeds.total() == 10_113
    first, last = (
        1_765_773_000_000 - 60_000,
        1_765_774_200_000 + 60_000,
    )  # 10:00 to 10:20 IST, a minute either side
    said: Counter[tuple[str, bytes]] = Counter()
    for file in sorted((shared_data / DAY).glob("*.jsonl.gz")):
        with gzip.open(file) as stream:
            lines = [raw for raw in stream if first <= int(raw[9:22]) <= last]
        for row in map(json.loads, lines):
            for key, feed in row["feeds"].items():
                said[key, ParseDict(feed, Feed()).SerializeToString(deterministic=True)] += 1
    assert feeds <= said


def test_a_master_file_gives_the_terms(shared_data: Path) -> None:
    world = ReplayWorld(
        shared_data / DAY / "frames_10h00.pb.gz",
        master=shared_data / "instruments/upstox_complete_2025-12-10.json.gz",
    )
    by_symbol = {instrument.symbol: instrument for instrument in world.instruments}
    assert len(by_symbol) == 7
    call = by_symbol["BANKNIFTY 59400 CE 30 DEC 25"]
    assert (call.key, call.lot_size, call.tick_size, call.strike) == ("NSE_FO|51460", 35, 500, 594_000_000)
    assert by_symbol["BSE"].name == "BSE LIMITED"
    assert sum(len(update.feeds) for update in world.advance(FOREVER)) == 10_113 - 7
