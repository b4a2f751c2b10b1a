"""Our schema of the market feed: reproducible, and the same wire as the broker's own."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from google.protobuf.proto import parse_length_prefixed

from tradetui.pb import market_feed_v3_columns_pb2 as columns_pb2
from tradetui.pb import market_feed_v3_pb2 as ours

theirs = pytest.importorskip(
    "upstox_client.feeder.proto.MarketDataFeedV3_pb2", reason="the Upstox SDK is not installed"
)


def messages(file: FileDescriptor) -> dict[str, Descriptor]:
    """Every message of a file by its name inside the package, nested ones included."""
    found: dict[str, Descriptor] = {}
    waiting = list(file.message_types_by_name.values())
    while waiting:
        message = waiting.pop()
        found[message.full_name.removeprefix(f"{file.package}.")] = message
        waiting.extend(message.nested_types)
    return found


def kind_name(field: Any, package: str) -> str:
    """The message or enum a field holds, without its package; empty for a plain field."""
    kind = field.message_type or field.enum_type
    return str(kind.full_name).removeprefix(f"{package}.") if kind else ""


def shape(field: Any, package: str) -> tuple[object, ...]:
    """All that matters of a field, to the wire and to the JSON form."""
    return (
        field.number,
        field.name,
        field.json_name,
        field.type,
        field.is_repeated,
        field.has_presence,
        field.containing_oneof.name if field.containing_oneof else None,
        kind_name(field, package),
    )


def test_every_message_and_field_agrees_with_the_sdk() -> None:
    mine, sdk = messages(ours.DESCRIPTOR), messages(theirs.DESCRIPTOR)
    assert mine.keys() == sdk.keys()
    for name, message in mine.items():
        assert [shape(f, ours.DESCRIPTOR.package) for f in message.fields] == [
            shape(f, theirs.DESCRIPTOR.package) for f in sdk[name].fields
        ], name


def test_every_enum_agrees_with_the_sdk() -> None:
    def values(file: FileDescriptor) -> dict[str, dict[str, int]]:
        return {
            name: {value.name: value.number for value in enum.values}
            for name, enum in file.enum_types_by_name.items()
        }

    assert values(ours.DESCRIPTOR) == values(theirs.DESCRIPTOR)
    assert values(ours.DESCRIPTOR)["RequestMode"] == {
        "ltpc": 0,
        "full_d5": 1,
        "option_greeks": 2,
        "full_d30": 3,
    }


def test_the_closing_auction_fields_are_there() -> None:
    auction = {f.name: f.number for f in ours.MarketFullFeed.DESCRIPTOR.fields if f.number > 10}
    assert auction == {"iep": 11, "rp": 12, "ieq": 13, "iiqTotal": 14, "iiqM": 15, "casEligible": 16}
    indicative: Any = ours.LTPC.DESCRIPTOR.fields_by_name["iep"]
    assert indicative.message_type.full_name == "google.protobuf.DoubleValue"


def test_names_do_not_clash_with_the_sdk() -> None:
    assert ours.DESCRIPTOR.name != theirs.DESCRIPTOR.name
    assert ours.DESCRIPTOR.package != theirs.DESCRIPTOR.package


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("tradetui.pb.market_feed_v3_pb2", "upstox_client.feeder.proto.MarketDataFeedV3_pb2"),
        ("upstox_client.feeder.proto.MarketDataFeedV3_pb2", "tradetui.pb.market_feed_v3_pb2"),
    ],
)
@pytest.mark.parametrize("implementation", ["upb", "python"])
def test_both_schemas_load_in_one_process_in_either_order(
    first: str, second: str, implementation: str, repo_root: Path
) -> None:
    code = f"import {first} as a, {second} as b; print(len(a.FeedResponse().SerializeToString()), b.LTPC(ltp=1).ltp)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=repo_root,
        env={**os.environ, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": implementation},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.split()) == (0, ["0", "1.0"]), done.stderr


def fill(message: Message, draw: random.Random) -> None:
    """Set every field of a message, and one member of each oneof, to drawn values."""
    for oneof in message.DESCRIPTOR.oneofs:
        chosen = draw.choice([field.name for field in oneof.fields])
        fill(getattr(message, chosen), draw)
        getattr(message, chosen).SetInParent()
    for field in message.DESCRIPTOR.fields:
        if field.containing_oneof is None:
            fill_field(message, field, draw)


def fill_field(message: Message, field: Any, draw: random.Random) -> None:
    """Set one field of a message to drawn values."""
    value = getattr(message, field.name)
    if field.message_type and field.message_type.GetOptions().map_entry:
        entry = field.message_type.fields_by_name["value"]
        for key in draw.sample(
            ["", "NSE_EQ|INE002A01018", "NSE_INDEX|Nifty 50", "\u20b9"], draw.randint(0, 3)
        ):
            if entry.message_type:
                fill(value[key], draw)
            else:
                value[key] = drawn(entry, draw)
    elif field.message_type and field.is_repeated:
        for _ in range(draw.randint(0, 5)):
            fill(value.add(), draw)
    elif field.message_type:
        value.SetInParent()
        fill(value, draw)
    else:
        setattr(message, field.name, drawn(field, draw))


def drawn(field: Any, draw: random.Random) -> object:
    """Draw a value of a plain field's type, its limits among them."""
    if field.enum_type:
        return draw.choice([value.number for value in field.enum_type.values])
    values: dict[int, list[object]] = {
        FieldDescriptor.TYPE_DOUBLE: [0.0, -0.0, 0.05, -1e308, 5e-324, float("inf"), draw.uniform(0, 1e6)],
        FieldDescriptor.TYPE_INT64: [0, 1, -1, 2**63 - 1, -(2**63), draw.getrandbits(53)],
        FieldDescriptor.TYPE_BOOL: [False, True],
        FieldDescriptor.TYPE_STRING: ["", "1d", "I1", "\u0928\u093f\u092b\u094d\u091f\u0940"],
    }
    return draw.choice(values[field.type])


def test_what_the_sdk_encodes_we_decode_and_the_other_way_round() -> None:
    draw = random.Random(20251215)
    sizes = set()
    for _ in range(300):
        sent = theirs.FeedResponse()
        fill(sent, draw)
        wire = sent.SerializeToString(deterministic=True)
        read = ours.FeedResponse.FromString(wire)
        assert MessageToDict(read) == MessageToDict(sent)
        assert read.SerializeToString(deterministic=True) == wire
        assert theirs.FeedResponse.FromString(read.SerializeToString()) == sent
        sizes.add(len(wire))
    assert len(sizes) > 200  # the messages did differ


def test_presence_is_known_for_messages_and_not_for_numbers() -> None:
    empty = ours.Feed.FromString(
        ours.Feed(fullFeed=ours.FullFeed(marketFF=ours.MarketFullFeed())).SerializeToString()
    )
    assert empty.WhichOneof("FeedUnion") == "fullFeed"
    assert not empty.fullFeed.marketFF.HasField("ltpc")
    with pytest.raises(ValueError, match="presence"):
        empty.fullFeed.marketFF.HasField("vtt")
    assert ours.LTPC(ltp=0.0).SerializeToString() == b""
    zero_iep = ours.LTPC()
    zero_iep.iep.value = 0.0
    zero_iep.iep.SetInParent()
    assert ours.LTPC.FromString(zero_iep.SerializeToString()).HasField("iep")


def test_recorded_frames_fit_the_schema_without_a_name_left_over(shared_data: Path) -> None:
    recordings = sorted((shared_data / "feed" / "upstox_v3_2025-12-15").glob("*.jsonl.gz"))
    assert len(recordings) == 7
    for recording in recordings:
        with gzip.open(recording, "rt", encoding="utf-8") as lines:
            for line in itertools.islice(lines, 300):
                frame = json.loads(line)
                del frame["rx_ms"]  # the recorder's own stamp
                message = ParseDict(frame, ours.FeedResponse())  # refuses a name it does not know
                read = ours.FeedResponse.FromString(message.SerializeToString())
                assert MessageToDict(read) == MessageToDict(message)
                assert set(read.feeds) == set(frame["feeds"])


def test_recorded_binary_frames_decode_as_the_sdk_decodes_them(shared_data: Path) -> None:
    recording = shared_data / "feed" / "upstox_v3_2025-12-15" / "frames_10h00.pb.gz"
    count = 0
    with io.BytesIO(gzip.decompress(recording.read_bytes())) as stream:
        while (sdk := parse_length_prefixed(theirs.FeedResponse, stream)) is not None:
            wire = sdk.SerializeToString(deterministic=True)
            assert ours.FeedResponse.FromString(wire).SerializeToString(deterministic=True) == wire
            count += 1
    assert count == 7944


def test_make_proto_gives_the_committed_bytes(tmp_path: Path, repo_root: Path) -> None:
    pytest.importorskip("grpc_tools", reason="protoc (grpcio-tools) is not installed; make test installs it")
    code = (
        f"import pathlib, sys; sys.path.insert(0, {str(repo_root / 'scripts')!r}); "
        f"import gen_proto; gen_proto.generate(pathlib.Path({str(tmp_path)!r}))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    committed = {path.name: path.read_bytes() for path in (repo_root / "tradetui" / "pb").glob("*_pb2.py*")}
    assert written == committed
    assert set(written) == {
        f"{schema}_pb2.{kind}"
        for schema in ("market_feed_v3", "market_feed_v3_columns")
        for kind in ("py", "pyi")
    }


@pytest.mark.parametrize(
    ("columns", "official"),
    [
        ("Frame", "FeedResponse"), ("Merged", "FeedResponse"), ("Entries", "FeedsEntry"), ("Entry", "FeedsEntry"),
        ("MergedEntry", "FeedsEntry"), ("Feeds", "Feed"), ("MergedFeed", "Feed"), ("FullFeeds", "FullFeed"),
        ("MergedFullFeed", "FullFeed"), ("MarketFullFeeds", "MarketFullFeed"),
        ("MergedMarketFullFeed", "MarketFullFeed"), ("MergedIndexFullFeed", "IndexFullFeed"), ("LTPCs", "LTPC"),
        ("OptionGreeks", "OptionGreeks"), ("MarketLevels", "MarketLevel"), ("MergedMarketLevel", "MarketLevel"),
        ("MarketOHLCs", "MarketOHLC"), ("MergedMarketOHLC", "MarketOHLC"), ("Quotes", "Quote"), ("OHLCs", "OHLC"),
    ],
)  # fmt: skip
def test_the_columns_have_the_numbers_and_wire_types_of_the_schema(columns: str, official: str) -> None:
    known: Any = {
        **ours.DESCRIPTOR.message_types_by_name,
        "FeedsEntry": ours.FeedResponse.DESCRIPTOR.fields_by_name["feeds"].message_type,
    }[official]
    mine: Any = columns_pb2.DESCRIPTOR.message_types_by_name[columns]
    assert mine.fields
    for field in mine.fields:
        theirs_field = known.fields_by_name[field.name]
        assert field.number == theirs_field.number
        assert _wire_type(field) == _wire_type(theirs_field), field.name


def _wire_type(field: Any) -> int:
    """How a single value of a field is written: varint, fixed64 or with its length."""
    if field.type in (field.TYPE_MESSAGE, field.TYPE_STRING, field.TYPE_BYTES):
        return 2
    return 1 if field.type == field.TYPE_DOUBLE else 0


def test_everything_that_the_schema_checks_is_checked_in_the_merged_form() -> None:
    """A frame that the merged form takes must be one that the schema takes: every message below it is the same."""
    for columns, official in (
        ("Merged", "FeedResponse"), ("MergedFeed", "Feed"), ("MergedFullFeed", "FullFeed"),
        ("MergedMarketFullFeed", "MarketFullFeed"), ("MergedIndexFullFeed", "IndexFullFeed"),
        ("MergedMarketLevel", "MarketLevel"), ("MergedMarketOHLC", "MarketOHLC"),
    ):  # fmt: skip
        mine = columns_pb2.DESCRIPTOR.message_types_by_name[columns]
        assert set(mine.fields_by_name) == set(ours.DESCRIPTOR.message_types_by_name[official].fields_by_name)
