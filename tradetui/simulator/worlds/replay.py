"""A recorded day as a world: every recorded frame happens once, at the time it was recorded."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

from tradetui.domain.calendar import ist_date
from tradetui.domain.errors import UsageError
from tradetui.domain.instrument import Instrument
from tradetui.domain.market_data import Candle
from tradetui.pb.market_feed_v3_pb2 import Feed
from tradetui.simulator.merging import merge
from tradetui.simulator.worlds.base import WorldUpdate
from tradetui.simulator.worlds.inference import (
    MasterRow,
    Sample,
    infer_terms,
    load_master,
    to_instrument,
    to_row,
)
from tradetui.simulator.worlds.recording import (
    RecordedFrame,
    instruments_of,
    is_recording,
    last_time_ms,
    merge_frames,
    read_frames,
    recorded_files,
)

_SAMPLE_FRAMES = 400
_SAMPLE_SHARED_FRAMES = 20_000
"""A binary recording holds many instruments; each must be met in its head to be listed."""
_SAMPLE_OWN_FRAMES = 1_000_000
_MS = 1_000_000


class ReplayWorld:
    """A recording, or a directory of them, replayed; see `World`.

    An instrument's first recorded frame is its snapshot and does not happen again as an update; every other
    recorded line becomes exactly one update. Exchange time is the recorder's clock plus its known lag, and
    never steps back.

    Args:
        path: One ``.inbox.zst`` (our own), ``.jsonl.gz`` or ``.pb.gz`` file, or a directory of them (merged by time).
        master: An instrument file (Upstox's ``complete.json.gz``) that gives the contract terms; without it
            they are those of our own recording, or inferred from file names, prices and quantities.

    Raises:
        UsageError: There is nothing to replay, or a file is damaged.
    """

    def __init__(self, path: Path, *, master: Path | None = None) -> None:
        self._files = recorded_files(path)
        self._first: dict[str, RecordedFrame] = {}
        samples: dict[str, Sample] = {}
        for file in self._files:
            self._sample(file, samples)
        rows = load_master(master, samples) if master is not None else self._own_terms(samples)
        self._start_ms = min(frame.t_ms for frame in self._first.values())
        day = ist_date(self._start_ms * _MS)
        self._rows = [rows.get(key) or infer_terms(key, sample, day) for key, sample in samples.items()]
        self._instruments = [to_instrument(row) for row in self._rows]
        self._state: dict[str, Feed] = {}
        self._now_ms = self._start_ms
        self._unseen = set(self._first)
        self._end_ns: int | None = None
        self._frames = merge_frames(self._files)
        self._next: WorldUpdate | None = None
        self._pull()

    @property
    def instruments(self) -> Sequence[Instrument]:
        """The recorded instruments, in the order of their files."""
        return self._instruments

    @property
    def start_ns(self) -> int:
        """Exchange time of the first recorded frame."""
        return self._start_ms * _MS

    @property
    def end_ns(self) -> int | None:
        """Exchange time of the last recorded frame. The first call reads the recording through."""
        if self._end_ns is None:
            last = max(last_time_ms(file) for file in self._files)
            self._end_ns = max(last, self._start_ms) * _MS
        return self._end_ns

    @property
    def waits_for_subscriber(self) -> bool:
        """Always: no tick may be missed."""
        return True

    def master_rows(self) -> Sequence[Mapping[str, Any]]:
        """Instrument file rows of the recorded instruments."""
        return self._rows

    def advance(self, to_ns: int) -> Iterator[WorldUpdate]:
        """Everything recorded up to and including ``to_ns``."""
        while self._next is not None and self._next.t_ns <= to_ns:
            update = self._next
            self._pull()
            yield update

    def skip(self, to_ns: int) -> None:
        """Move on without the updates in between; the snapshots then hold what they would have led to."""
        while self._next is not None and self._next.t_ns <= to_ns:
            for key, feed in self._next.feeds.items():
                state = self._state.get(key)
                if state is None:
                    state = self._state[key] = Feed()
                    state.CopyFrom(self._first[key].feeds[key])
                merge(state, feed)
            self._pull()

    def next_ns(self) -> int | None:
        """Exchange time of the next recorded frame; ``None`` at the end of the recording."""
        return None if self._next is None else self._next.t_ns

    def snapshot(self, key: str) -> Feed | None:
        """The first recorded frame of an instrument (or its state after `skip`)."""
        state = self._state.get(key)
        if state is not None:
            return state
        first = self._first.get(key)
        return None if first is None else first.feeds[key]

    def history(self, key: str, interval_s: int, first: date, last: date) -> Sequence[Candle]:
        """Nothing: a recording knows no day but its own."""
        return ()

    def minutes(self, key: str, day: date) -> Sequence[Candle]:
        """Nothing but what its updates show."""
        return ()

    def trade(self, key: str, price: float, qty: int, t_ns: int) -> None:
        """Nothing: what was recorded happened without us."""

    def _sample(self, file: Path, samples: dict[str, Sample]) -> None:
        """Look at the head of a file: which instruments, what prices and quantities."""
        stem = file.name.partition(".")[0]
        binary = ".pb" in file.suffixes or is_recording(file)
        limit = _SAMPLE_SHARED_FRAMES if binary else _SAMPLE_FRAMES
        # A recording of our own says which instruments it holds: it is read until each of them was met.
        listed = {one.key for one in instruments_of(file)} if is_recording(file) else set()
        limit = _SAMPLE_OWN_FRAMES if listed else limit
        own: dict[str, Sample] = {}
        for frame in islice(read_frames(file), limit):
            for key, feed in frame.feeds.items():
                if key not in self._first:
                    self._first[key] = frame
                    own[key] = samples[key] = Sample(stem)
                samples[key].add(feed)
            if listed and listed <= own.keys():
                break
        if not own and not self._first:
            raise UsageError(f"{file.name} holds no frames")
        for sample in own.values():
            sample.shared_file = len(own) > 1 or binary

    def _own_terms(self, keys: Container[str]) -> dict[str, MasterRow]:
        """Contract terms that recordings of our own bring along."""
        own = [one for file in self._files if is_recording(file) for one in instruments_of(file)]
        return {one.key: to_row(one) for one in own if one.key in keys}

    def _pull(self) -> None:
        """Read ahead by one update."""
        for frame in self._frames:
            self._now_ms = max(self._now_ms, frame.t_ms)
            feeds = frame.feeds
            if self._unseen and not self._unseen.isdisjoint(feeds):
                firsts = self._unseen.intersection(feeds)
                self._unseen -= firsts
                feeds = {key: feed for key, feed in feeds.items() if key not in firsts}
                if not feeds:
                    continue
            self._next = WorldUpdate(self._now_ms * _MS, feeds)
            return
        self._next = None
