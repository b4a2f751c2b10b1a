"""Reading recorded feed files, line by line, without holding a file in memory.

Our own recordings (``*.inbox.zst``, see `storage.recording`), and two formats of others: ``*.jsonl.gz``, one JSON
object a line (``rx_ms`` is the recorder's clock, the rest is the protobuf-JSON shape of a frame), and ``*.pb.gz``,
binary frames each preceded by its length as a varint.
"""

from __future__ import annotations

import gzip
import heapq
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from google.protobuf.message import DecodeError

from tradetui.domain.errors import DomainError, StorageError, UsageError
from tradetui.domain.instrument import Instrument
from tradetui.domain.thawing import thaw
from tradetui.pb.market_feed_v3_pb2 import (
    LTPC,
    Feed,
    FeedResponse,
    IndexFullFeed,
    MarketFullFeed,
    MarketOHLC,
    OptionGreeks,
    RequestMode,
    Type,
)
from tradetui.storage.recording import SUFFIX, InboxReader, RecordKind, read_trailer

log = logging.getLogger(__name__)

RECORDER_LAG_MS = 5_950
"""How slow the recorder's clock was: the floor of ``rx_ms - ltt`` in the recordings (`design.md` 8)."""

_MAX_FRAME = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RecordedFrame:
    """One recorded frame.

    Attributes:
        t_ms: Exchange time of the frame as recorded, epoch ms; may step back.
        feeds: Instrument key to full-mode message.
    """

    t_ms: int
    feeds: Mapping[str, Feed]


def read_frames(path: Path) -> Iterator[RecordedFrame]:
    """Yield the frames of one recorded file (``.inbox.zst``, ``.jsonl.gz``, ``.pb.gz``) in recorded order.

    Raises:
        UsageError: The file's kind is not known, or a line or frame in it is damaged.
    """
    if path.name.endswith((".jsonl.gz", ".jsonl")):
        return _read_json(path)
    if path.name.endswith((".pb.gz", ".pb")):
        return _read_binary(path)
    if is_recording(path):
        return _read_own(path)
    raise UsageError(f"not a recording: {path.name}", "recordings end in .inbox.zst, .jsonl.gz or .pb.gz")


def is_recording(path: Path) -> bool:
    """Whether a file is a recording of our own format."""
    return path.name.endswith(SUFFIX)


def instruments_of(path: Path) -> list[Instrument]:
    """Contract terms that a recording of our own brings along: reads it through.

    Raises:
        UsageError: It is damaged before its header.
    """
    found: list[Instrument] = []
    try:
        for record in InboxReader(path):
            if record.kind is RecordKind.NOTE:
                said = json.loads(record.payload)
                rows = said.get("instruments") or said.get("beginning", {}).get("instruments", [])
                rows += [said["instrument"]] if "instrument" in said else []
                found += [thaw(Instrument, row) for row in rows]
    except (StorageError, DomainError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"{path.name}: its notes cannot be read: {error}") from error
    return found


def merge_frames(paths: Sequence[Path]) -> Iterator[RecordedFrame]:
    """Yield the frames of several files merged by time; ties keep the order of the files."""
    return heapq.merge(*(read_frames(path) for path in paths), key=lambda frame: frame.t_ms)


def recorded_files(path: Path) -> list[Path]:
    """The recordings that a path means: the file itself, or a directory's by name, all of one format.

    Raises:
        UsageError: There is nothing to replay.
    """
    if path.is_dir():
        files = sorted(path.glob("*.jsonl.gz")) or sorted(path.glob(f"*{SUFFIX}"))
        if not files:
            raise UsageError(f"no *.jsonl.gz or *{SUFFIX} recordings in {path}")
        return files
    if not path.is_file():
        raise UsageError(f"no such recording: {path}")
    return [path]


def last_time_ms(path: Path) -> int:
    """Newest exchange time in a recording, epoch ms; reads the file through without decoding every line.

    Raises:
        UsageError: The file is damaged.
    """
    if is_recording(path) and (totals := read_trailer(path)) is not None:
        return totals.last_ns // 1_000_000
    if not path.name.endswith((".jsonl.gz", ".jsonl")):
        return max((frame.t_ms for frame in read_frames(path)), default=0)
    line = b"{}"
    try:
        with _open(path) as lines:
            for line in lines:  # noqa: B007
                pass
        return int(json.loads(line)["rx_ms"]) + RECORDER_LAG_MS
    except (ValueError, KeyError, OSError, EOFError) as error:
        raise UsageError(f"{path.name}: damaged at the end: {error!r}") from error


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb"))


def _read_json(path: Path) -> Iterator[RecordedFrame]:
    with _open(path) as lines:
        number = 0
        # The decoder itself: `json.loads` asks every line anew in which encoding it is.
        decode = json.JSONDecoder().raw_decode
        try:
            for line in lines:
                number += 1
                row, _ = decode(line.decode())
                feeds = {key: feed_from_json(feed) for key, feed in row.get("feeds", {}).items()}
                if feeds:
                    yield RecordedFrame(row["rx_ms"] + RECORDER_LAG_MS, feeds)
        except (ValueError, KeyError, TypeError, AttributeError, OSError, EOFError) as error:
            raise UsageError(f"{path.name}: damaged at line {number}: {error!r}") from error


def _read_own(path: Path) -> Iterator[RecordedFrame]:
    """Frames of a recording; one that was cut ends where it was cut, and that is said."""
    reader = InboxReader(path)
    number = 0
    try:
        for number, record in enumerate(reader, 1):  # noqa: B007
            if record.kind is not RecordKind.FRAME:
                continue
            frame = FeedResponse.FromString(record.payload)
            if frame.type != Type.market_info and frame.feeds:
                feeds = {key: frame.feeds[key] for key in sorted(frame.feeds)}
                yield RecordedFrame(record.t_ns // 1_000_000, feeds)
    except (StorageError, DecodeError) as error:
        raise UsageError(f"{path.name}: damaged at record {number}: {error}") from error
    if reader.damage:
        log.warning("%s ends early: %s", path.name, reader.damage)


def _read_binary(path: Path) -> Iterator[RecordedFrame]:
    with _open(path) as stream:
        number = 0
        try:
            while (size := _read_varint(stream)) is not None:
                number += 1
                body = stream.read(size)
                if size > _MAX_FRAME or len(body) < size:
                    raise EOFError("cut short")
                frame = FeedResponse.FromString(body)
                if frame.type != Type.market_info and frame.feeds:
                    # A protobuf map has another order in every process; a recording has one.
                    yield RecordedFrame(
                        frame.currentTs, {key: frame.feeds[key] for key in sorted(frame.feeds)}
                    )
        except (DecodeError, OSError, EOFError) as error:
            raise UsageError(f"{path.name}: damaged at frame {number}: {error!r}") from error


def _read_varint(stream: BinaryIO) -> int | None:
    """The next length; ``None`` at the end of the file."""
    value = shift = 0
    while True:
        byte = stream.read(1)
        if not byte:
            if shift:
                raise EOFError("cut short inside a length")
            return None
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
        shift += 7
        if shift > 35:
            raise EOFError("not a length")


# ---- protobuf-JSON to protobuf -------------------------------------------------------------------------
# `google.protobuf.json_format` takes about 140 us a frame; setting the fields by hand takes 12.

_Json = Mapping[str, Any]
_MODES = {
    "ltpc": RequestMode.ltpc,
    "full_d5": RequestMode.full_d5,
    "option_greeks": RequestMode.option_greeks,
    "full_d30": RequestMode.full_d30,
}


def feed_from_json(row: _Json) -> Feed:
    """Turn the JSON shape of one full-mode feed into its message; sub-messages are present iff sent.

    Raises:
        KeyError: The feed is of another mode or lacks its branch.
    """
    feed = Feed()
    full = row["fullFeed"]
    if "marketFF" in full:
        _market(feed.fullFeed.marketFF, full["marketFF"])
    else:
        _index(feed.fullFeed.indexFF, full["indexFF"])
    mode = row.get("requestMode")
    if mode is not None:
        feed.requestMode = _MODES[mode]
    return feed


def _ltpc(message: LTPC, row: _Json) -> None:
    message.SetInParent()
    message.ltp = row.get("ltp", 0.0)
    message.ltt = int(row.get("ltt", 0))
    message.ltq = int(row.get("ltq", 0))
    message.cp = row.get("cp", 0.0)
    if "iep" in row:
        message.iep.value = row["iep"]


def _bars(message: MarketOHLC, row: _Json) -> None:
    message.SetInParent()
    add = message.ohlc.add
    for bar in row.get("ohlc", ()):
        add(
            interval=bar.get("interval", ""),
            open=bar.get("open", 0.0),
            high=bar.get("high", 0.0),
            low=bar.get("low", 0.0),
            close=bar.get("close", 0.0),
            vol=int(bar.get("vol", 0)),
            ts=int(bar.get("ts", 0)),
        )


def _greeks(message: OptionGreeks, row: _Json) -> None:
    message.SetInParent()
    for name, value in row.items():
        setattr(message, name, value)


def _depth(message: MarketFullFeed, row: _Json) -> None:
    message.marketLevel.SetInParent()
    add = message.marketLevel.bidAskQuote.add
    for quote in row.get("bidAskQuote", ()):
        get = quote.get
        add(bidQ=int(get("bidQ", 0)), bidP=get("bidP", 0.0), askQ=int(get("askQ", 0)), askP=get("askP", 0.0))


def _index(message: IndexFullFeed, row: _Json) -> None:
    message.SetInParent()
    if "ltpc" in row:
        _ltpc(message.ltpc, row["ltpc"])
    if "marketOHLC" in row:
        _bars(message.marketOHLC, row["marketOHLC"])


def _integer(value: Any) -> int:
    return int(value)


_NUMBERS: dict[str, Callable[[Any], Any]] = {
    "atp": float,
    "vtt": _integer,
    "oi": float,
    "iv": float,
    "tbq": float,
    "tsq": float,
    "iep": float,
    "rp": float,
    "ieq": _integer,
    "iiqTotal": _integer,
    "iiqM": _integer,
    "casEligible": bool,
}


def _market(message: MarketFullFeed, row: _Json) -> None:
    message.SetInParent()
    for name, value in row.items():
        if name == "ltpc":
            _ltpc(message.ltpc, value)
        elif name == "marketLevel":
            _depth(message, value)
        elif name == "marketOHLC":
            _bars(message.marketOHLC, value)
        elif name == "optionGreeks":
            _greeks(message.optionGreeks, value)
        else:
            convert = _NUMBERS.get(name)
            if convert is not None:
                setattr(message, name, convert(value))
