"""The recorded inbox: order, bytes, cuts and damage."""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures.upstox_frames import KEYS, SLOTS, frame, full_tick, market_info
from tradetui.brokers.upstox.decoder import Decoder, MarketInfo
from tradetui.domain.errors import FeedError, StorageError
from tradetui.domain.events import Event, FeedEvent, FeedState, MarketStatusEvent, TickEvent, TimeEvent
from tradetui.domain.market_data import TickBatch
from tradetui.feeds.recorder import InboxRecorder
from tradetui.feeds.replay import recorded_events
from tradetui.storage import recording
from tradetui.storage.recording import (
    MAGIC,
    InboxReader,
    InboxRecord,
    RecordingWriter,
    RecordKind,
    Totals,
    read_trailer,
)


def encode(event: Event) -> bytes:
    assert isinstance(event, FeedEvent)
    return json.dumps([event.t_ns, event.state.value, event.reason, event.attempt]).encode()


def decode_event(data: bytes) -> Event:
    t_ns, state, reason, attempt = json.loads(data)
    return FeedEvent(t_ns, FeedState(state), reason, attempt)


def tick(recorder: InboxRecorder, t_ns: int, raw: bytes) -> Event:
    """What feed and runtime do with a frame."""
    recorder.hold(t_ns, raw)
    decoded = Decoder(SLOTS).decode(raw)
    event: Event
    if isinstance(decoded, MarketInfo):
        event = MarketStatusEvent(t_ns, decoded.status)
    else:
        event = TickEvent(t_ns, decoded)
    recorder.record(event)
    return event


def same(one: Event, other: Event) -> bool:
    if not isinstance(one, TickEvent) or not isinstance(other, TickEvent):
        return one == other
    names = TickBatch.__dataclass_fields__
    return one.t_ns == other.t_ns and all(
        np.array_equal(getattr(one.batch, name), getattr(other.batch, name)) for name in names
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.inbox.zst"


def test_a_recorded_inbox_gives_back_every_event_in_order(path: Path) -> None:
    recorder = InboxRecorder(path, encode)
    recorder.note(1, b'{"slots": 6}')
    sent: list[Event] = [FeedEvent(2, FeedState.UP, "", 1), TimeEvent(3)]
    for event in sent:
        recorder.record(event)
    sent.append(tick(recorder, 4, market_info(9, NSE_EQ=2)))
    for number in range(300):
        sent.append(
            tick(recorder, 5 + number, frame({KEYS[0]: full_tick(100 + number, number, number)}, number))
        )
        if number % 7 == 0:
            sent.append(TimeEvent(5 + number))
            recorder.record(sent[-1])
    status = MarketStatusEvent(999, (("NSE_EQ", "NORMAL_CLOSE"),))
    recorder.close()
    recorder.close()
    assert recorder.missing == 0
    notes: list[bytes] = []
    reader = InboxReader(path)
    got = list(recorded_events(reader, Decoder(SLOTS).decode, decode_event, notes.append))
    assert notes == [b'{"slots": 6}']
    assert len(got) == len(sent)
    assert all(same(one, other) for one, other in zip(got, sent, strict=True))
    assert not same(got[0], status)
    assert reader.clean
    assert reader.damage == ""
    assert recorder.records == len(sent) + 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_frames_that_made_no_event_are_let_go(path: Path) -> None:
    recorder = InboxRecorder(path, encode)
    recorder.hold(1, b"not a frame")
    recorder.hold(2, b"nor is this, at the same moment")
    good = frame({KEYS[0]: full_tick(5.0, 1, 1)}, 1)
    recorder.hold(2, good)
    recorder.record(TickEvent(2, _batch(good)))
    recorder.close()
    assert [record.payload for record in InboxReader(path)] == [good]


def test_a_tick_whose_bytes_never_came_is_counted(path: Path) -> None:
    recorder = InboxRecorder(path, encode)
    recorder.record(TickEvent(2, _batch(frame({KEYS[0]: full_tick(5.0, 1, 1)}, 1))))
    recorder.close()
    assert recorder.missing == 1
    assert list(InboxReader(path)) == []


def _batch(raw: bytes) -> TickBatch:
    batch = Decoder(SLOTS).decode(raw)
    assert isinstance(batch, TickBatch)
    return batch


def test_time_that_passes_flushes(path: Path) -> None:
    now = 0.0
    recorder = InboxRecorder(path, encode, now_s=lambda: now)
    recorder.record(TimeEvent(1))
    now = 0.6
    recorder.record(TimeEvent(2))
    until(lambda: [record.t_ns for record in InboxReader(path)] == [1, 2])
    recorder.close()


def until(holds: Callable[[], bool]) -> None:
    """Wait for the recording's thread."""
    for _ in range(10_000):
        try:
            if holds():
                return
        except StorageError:
            pass  # the magic is not written yet
        time.sleep(0.001)
    raise AssertionError("never came")


def write_some(path: Path, count: int = 40) -> list[InboxRecord]:
    recorder = InboxRecorder(path, encode)
    for number in range(count):
        recorder.record(TimeEvent(number))
        recorder.note(number, bytes([number % 256]) * number)
        if number % 5 == 0:
            recorder.settle()
    recorder.close()
    return list(InboxReader(path))


def test_every_cut_leaves_a_whole_beginning(path: Path, tmp_path: Path) -> None:
    whole = write_some(path)
    assert len(whole) == 80
    data = path.read_bytes()
    cut = tmp_path / "cut"
    longest = 0
    for size in range(len(data)):
        cut.write_bytes(data[:size])
        reader = InboxReader(cut)
        try:
            got = list(reader)
        except StorageError:
            assert size < 20  # inside the magic
            continue
        assert got == whole[: len(got)]
        assert not reader.clean or len(got) == 80
        assert reader.clean or reader.damage
        longest = max(longest, len(got))
    assert longest == 80


def test_what_was_flushed_is_there_after_a_crash(path: Path) -> None:
    recorder = InboxRecorder(path, encode, now_s=lambda: 0.0)
    for number in range(10):
        recorder.record(TimeEvent(number))
    recorder.settle()
    reader = InboxReader(path)
    assert [record.t_ns for record in reader] == list(range(10))
    assert not reader.clean
    assert reader.damage == "cut after record 10"
    recorder.close()


@settings(max_examples=60)
@given(st.data())
def test_a_flipped_byte_never_gives_a_wrong_record(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("flip")
    whole = write_some(folder / "run")
    raw = bytearray((folder / "run").read_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    (folder / "run").write_bytes(bytes(raw))
    reader = InboxReader(folder / "run")
    try:
        got = list(reader)
    except StorageError:
        return
    assert got == whole[: len(got)]


@pytest.mark.parametrize(
    "content", [b"", b"hello", zstandard.compress(b"x" * 50), zstandard.compress(MAGIC[:-1])]
)
def test_other_files_are_no_recordings(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StorageError, match="not a recorded inbox"):
        list(InboxReader(path))


def test_an_absent_or_present_file_is_said(path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be read"):
        list(InboxReader(path))
    path.write_bytes(b"mine")
    with pytest.raises(StorageError, match="cannot be made"):
        InboxRecorder(path, encode)
    assert path.read_bytes() == b"mine"


def refusing(error: int) -> Callable[[int], None]:
    def sync(handle: int) -> None:
        raise OSError(error, os.strerror(error))

    return sync


def test_a_full_disk_ends_the_recording_and_not_the_run(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = InboxRecorder(path, encode)
    recorder.record(TimeEvent(1))
    recorder.settle()
    monkeypatch.setattr(recording, "_make_durable", refusing(errno.ENOSPC))
    with caplog.at_level(logging.ERROR):
        recorder.record(TimeEvent(2))
        recorder.settle()
        recorder.record(TimeEvent(3))
        recorder.close()
    assert recorder.error == "No space left on device"
    assert caplog.text.count("the recording ended early") == 1
    assert not read_trailer(path)
    assert next(iter(InboxReader(path))).t_ns == 1


def test_every_batch_is_durable_before_the_next(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    real = recording._make_durable

    def counted(handle: int) -> None:
        seen.append(os.fstat(handle).st_size)
        real(handle)

    monkeypatch.setattr(recording, "_make_durable", counted)
    writer = RecordingWriter(path)
    for number in range(40):
        writer.put(RecordKind.FRAME, number + 1, os.urandom(100_000))
    writer.close()
    # Magic, three batches of a megabyte, the rest.
    assert len(seen) == 5
    assert seen == sorted(set(seen))
    assert read_trailer(path) == writer.totals == Totals(1, 40, 40, 40, 0, 0, 4_000_000)


def test_a_disk_that_falls_behind_ends_a_live_recording_and_holds_up_a_lossless_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(recording, "_make_durable", lambda handle: (go_on.wait(30), None)[1])
    monkeypatch.setattr(recording, "_MOST_QUEUED", 3_000_000)
    live, patient = RecordingWriter(tmp_path / "live"), RecordingWriter(tmp_path / "patient", lossless=True)
    frame_ = bytes(1_100_000)
    for number in range(5):
        live.put(RecordKind.FRAME, number, frame_)
    assert live.error == "the disk is too slow"

    def fill() -> None:
        for number in range(5):
            patient.put(RecordKind.FRAME, number, frame_)

    held = threading.Thread(target=fill)
    held.start()
    held.join(0.2)
    assert held.is_alive()
    go_on.set()
    held.join(30)
    patient.close()
    assert not patient.error
    assert len(list(InboxReader(tmp_path / "patient"))) == 5


def test_a_recording_ends_at_its_largest_size_and_says_so(path: Path) -> None:
    writer = RecordingWriter(path, max_bytes=2_500_000)
    for number in range(60):
        writer.put(RecordKind.FRAME, number + 1, os.urandom(100_000))
        if number % 10 == 9:
            writer.settle()
    writer.close()
    assert "largest size" in writer.error
    kept = list(InboxReader(path))
    assert 20 <= len(kept) < 60
    assert path.stat().st_size < 4_500_000


def test_the_trailer_tells_without_reading_and_other_tools_pass_over_it(path: Path) -> None:
    writer = RecordingWriter(path)
    for second in (1, 2, 3, 30, 31, 100):
        writer.put(RecordKind.FRAME, second * 1_000_000_000, b"x" * second)
    writer.put(RecordKind.TIME, 500_000_000_000)
    assert read_trailer(path) is None
    writer.close()
    totals = read_trailer(path)
    assert totals == Totals(1_000_000_000, 100_000_000_000, 6, 7, 2, 69_000_000_000, 167)
    with path.open("rb") as file:
        plain = zstandard.ZstdDecompressor().stream_reader(file).read()
    assert plain.startswith(MAGIC)
    path.write_bytes(path.read_bytes()[:-1])
    assert read_trailer(path) is None


def test_a_decoder_that_cannot_read_a_recorded_frame_says_so(path: Path) -> None:
    recorder = InboxRecorder(path, encode)
    good = frame({KEYS[0]: full_tick(5.0, 1, 1)}, 1)
    tick(recorder, 1, good)
    recorder.close()

    def refuse(raw: bytes) -> TickBatch:
        raise FeedError("of another version")

    replay: Callable[[], object] = lambda: list(recorded_events(InboxReader(path), refuse, decode_event))  # noqa: E731
    with pytest.raises(FeedError, match="another version"):
        replay()


def test_record_kinds_are_stable() -> None:
    assert {kind.name: int(kind) for kind in RecordKind} == {
        "END": 0,
        "FRAME": 1,
        "TIME": 2,
        "EVENT": 3,
        "NOTE": 4,
    }
