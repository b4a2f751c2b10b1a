"""Recordings on the disk: where they are, what they are, how other captures become one.

All recordings of an installation are in ``recordings`` of the data directory, one file a session, in the one format
of `storage.recording`. Two kinds: a *run* (everything that an engine took in: it can be replayed to the byte) and
*market* data alone (an import, or a day made from stored ticks).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from tradetui import __version__
from tradetui.domain.calendar import ist_date
from tradetui.domain.errors import StorageError, UsageError
from tradetui.domain.instrument import Instrument
from tradetui.domain.records import freeze
from tradetui.domain.text import clean
from tradetui.domain.thawing import encode, thaw
from tradetui.feeds.replay import NS_PER_MS, Wire
from tradetui.simulator.worlds.recording import is_recording, merge_frames, recorded_files
from tradetui.simulator.worlds.replay import ReplayWorld
from tradetui.storage.recording import (
    SUFFIX,
    InboxReader,
    RecordingWriter,
    RecordKind,
    Totals,
    read_trailer,
)
from tradetui.wiring.inbox import VERSION, recording_path

log = logging.getLogger(__name__)

FOLDER: Final = "recordings"
_LIBRARIES: Final = ("protobuf", "websockets", "zstandard")


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording.

    Attributes:
        path: The file.
        kind: ``run`` or ``market``.
        day: Trading day (IST) that it begins on.
        mode: Mode of the run, or where market data came from: ``import``, ``ticks``.
        account: Account folder of the run; name of what was imported.
        versions: Of the program and of libraries that made it.
        instruments: By slot.
        totals: What it amounts to.
        whole: It was ended in good order.
        damage: Why it could not be read to its end, in words.
        size: Bytes on the disk.
    """

    path: Path
    kind: str
    day: date
    mode: str
    account: str
    versions: Mapping[str, str]
    instruments: tuple[Instrument, ...]
    totals: Totals
    whole: bool
    damage: str = ""
    size: int = 0

    @property
    def name(self) -> str:
        """File name without ending."""
        return self.path.name.removesuffix(SUFFIX)


@dataclass(slots=True)
class _Read:
    """What the notes of a recording say."""

    header: dict[str, Any] = field(default_factory=dict)
    instruments: list[Instrument] = field(default_factory=list)

    def note(self, payload: bytes) -> None:
        """Take one note."""
        said = json.loads(payload)
        if not self.header:
            if said.get("version") != VERSION:
                raise StorageError("it was recorded by another version of this program")
            self.header = said
            rows = said.get("instruments") or said.get("beginning", {}).get("instruments", [])
            self.instruments += [thaw(Instrument, row) for row in rows]
        elif "instrument" in said:
            self.instruments.append(thaw(Instrument, said["instrument"]))


def about(kind: str, mode: str, account: str) -> dict[str, Any]:
    """What a recording's header says for people."""
    versions = {"tradetui": __version__}
    for name in _LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {"kind": kind, "mode": mode, "account": clean(account), "versions": versions}


def folder_of(data_dir: Path) -> Path:
    """Where the recordings of an installation are."""
    return data_dir / FOLDER


def describe(path: Path, *, deep: bool = False) -> Recording:
    """What a recording is.

    Args:
        path: The file.
        deep: Read it through: check every record, and name instruments that joined later. One that was cut is
            read through in any case.

    Raises:
        StorageError: It is no recording, or of another version.
    """
    totals, read, reader = read_trailer(path), _Read(), InboxReader(path)
    counted = Totals()
    try:
        for record in reader:
            counted.add(record.kind, record.t_ns, len(record.payload))
            if record.kind is RecordKind.NOTE:
                read.note(record.payload)
            if totals is not None and not deep:
                break
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{path.name}: its header cannot be read: {error!r}") from error
    if not read.header:
        raise StorageError(f"{path.name} does not say what it is: it was cut at once")
    whole = totals is not None and (reader.clean or not deep)
    found = counted if deep or totals is None else totals
    said = read.header.get("about", {})
    begin_ns = found.first_ns or read.header.get("beginning", {}).get("begin_ns", 0)
    return Recording(
        path=path,
        kind=str(said.get("kind", "run")),
        day=ist_date(begin_ns),
        mode=str(said.get("mode", "")),
        account=str(said.get("account", "")),
        versions=said.get("versions", {}),
        instruments=tuple(read.instruments),
        totals=found,
        whole=whole,
        damage="" if whole else reader.damage or "the end is missing",
        size=path.stat().st_size,
    )


def every(data_dir: Path) -> Iterator[Recording]:
    """All recordings, oldest day first; what is none is left out, with a word in the log."""
    found = []
    for path in sorted(folder_of(data_dir).glob(f"*{SUFFIX}")):
        try:
            found.append(describe(path))
        except StorageError as error:
            log.warning("%s is left out: %s", path.name, error)
    return iter(sorted(found, key=lambda one: (one.day, one.totals.first_ns, one.path.name)))


def of_day(data_dir: Path, day: date) -> list[Recording]:
    """What was recorded on a day, in order and without overlap; empty when nothing was.

    Several runs of one account on one day belong together. Where several accounts were recorded, the one with the
    most frames is taken; an account's run that overlaps an earlier one is left out.
    """
    by_account: dict[tuple[str, str], list[Recording]] = {}
    for one in every(data_dir):
        if one.day == day and one.totals.frames:
            by_account.setdefault((one.mode, one.account), []).append(one)
    if not by_account:
        return []
    best = max(by_account.values(), key=lambda group: sum(one.totals.frames for one in group))
    kept: list[Recording] = []
    for one in best:
        if not kept or one.totals.first_ns > kept[-1].totals.last_ns:
            kept.append(one)
        elif one.totals.frames > kept[-1].totals.frames and len(kept) == 1:
            kept = [one]
    left = sum(map(len, by_account.values())) - len(kept)
    if left:
        log.info("%d more recordings of %s are left out; name a file to play it", left, day)
    return kept


def named(data_dir: Path, text: str) -> Path | None:
    """The recording that a path, or a name as `replay list` shows it, means; ``None`` for a date or nothing."""
    for path in (Path(text).expanduser(), folder_of(data_dir) / text, folder_of(data_dir) / (text + SUFFIX)):
        if path.exists() and text.strip():
            return path
    return None


def prune(data_dir: Path, keep_days: int, today: date) -> list[Path]:
    """Remove recordings of days that are older than is to be kept; 0 keeps all. Imports are never removed."""
    gone = []
    for one in every(data_dir) if keep_days else ():
        if one.kind == "run" and one.day < today - timedelta(days=keep_days):
            one.path.unlink(missing_ok=True)
            gone.append(one.path)
    if gone:
        log.info("removed %d recordings older than %d days", len(gone), keep_days)
    return gone


# --- making them --------------------------------------------------------------------------------------


class MarketFile:
    """Writes market data as a recording.

    Args:
        data_dir: Of the installation.
        first_ns: Engine time of the first frame.
        source: Where it comes from: ``import``, ``ticks``.
        name: Name of what it is made from.
        instruments: By slot.

    Raises:
        StorageError: The file cannot be made.
    """

    def __init__(
        self, data_dir: Path, first_ns: int, source: str, name: str, instruments: Sequence[Instrument]
    ) -> None:
        self.path = recording_path(folder_of(data_dir), first_ns)
        self._part = self.path.with_name(f".{self.path.name}.part")
        self._part.unlink(missing_ok=True)
        self._writer = RecordingWriter(self._part, lossless=True)
        header = {"version": VERSION, "about": about("market", source, name)}
        header["instruments"] = [freeze(one) for one in instruments]
        self._writer.put(RecordKind.NOTE, first_ns, encode(header))
        self._t_ns = first_ns

    def frame(self, t_ns: int, raw: bytes) -> None:
        """Add a frame; time never steps back."""
        self._t_ns = max(self._t_ns, t_ns)
        self._writer.put(RecordKind.FRAME, self._t_ns, raw)

    def drop(self) -> None:
        """Leave nothing behind."""
        self._writer.close()
        self._part.unlink(missing_ok=True)

    def close(self) -> Path:
        """Finish; the file appears under its name only when it is whole.

        Raises:
            StorageError: It could not be written.
        """
        self._writer.close()
        if self._writer.error:
            self._part.unlink(missing_ok=True)
            raise StorageError(f"the recording could not be written: {self._writer.error}")
        self._part.replace(self.path)
        return self.path


def import_market(data_dir: Path, source: Path, master: Path | None = None) -> Path:
    """Turn somebody's capture of the feed (``.jsonl.gz``, ``.pb.gz``, or a folder) into a recording.

    Every recorded frame becomes a frame, at the time it was recorded; what the file did not keep (the sender's
    clock, which instruments shared a frame) is made up as `feeds.replay.Wire` does it.

    Args:
        data_dir: Of the installation.
        source: What to import.
        master: An instrument file that gives the contract terms; without it they are inferred.

    Raises:
        UsageError: There is nothing to import, or a file is damaged.
        StorageError: The recording cannot be written.
    """
    if is_recording(source):
        raise UsageError(f"{source.name} is a recording already", "play it with `tradetui run --replay FILE`")
    world = ReplayWorld(source, master=master)
    out = MarketFile(data_dir, world.start_ns, "import", source.name, world.instruments)
    wire = Wire(one.key for one in world.instruments)
    try:
        for recorded in merge_frames(recorded_files(source)):
            for raw in wire.frames(recorded.feeds, recorded.t_ms):
                out.frame(recorded.t_ms * NS_PER_MS, raw)
    except BaseException:
        out.drop()
        raise
    return out.close()
