"""Random input for a while: what is checked for a hundred examples in the short suite, for as long as asked.

The checks and the reference decoder are those of the short suite. Every batch of examples has a seed made of
the run's seed and its own number; Hypothesis shrinks what fails and prints it.
"""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from tests.fixtures import reference_decoder as reference
from tests.fixtures.busy_frames import BUSY_SLOTS, busy_frame
from tests.fixtures.upstox_frames import KEYS, SLOTS, from_dict, recorded_frames
from tests.long.knobs import SEED, figure, generator, limit, rounds, seconds
from tests.unit.exchange import test_properties as exchange
from tests.unit.execution import test_manager as manager
from tradetui.brokers.upstox.decoder import Decoder
from tradetui.domain.errors import JournalDamaged
from tradetui.domain.events import Evidence, FillEvent
from tradetui.domain.money import Price
from tradetui.domain.order import Fill, OrderStatus, Product, Side
from tradetui.domain.records import Record, RecordKind
from tradetui.journal import MAGIC, Journal, StoredRecord, read
from tradetui.pb import market_feed_v3_pb2 as pb

pytestmark = pytest.mark.long

Check = Callable[..., None]

DECODER_S, BUSY_S, JOURNAL_S, MANAGER_S, EXCHANGE_S = 120.0, 240.0, 60.0, 60.0, 120.0


def keep_trying(duration_s: float, batch: int, check: Check, *examples: st.SearchStrategy[Any]) -> int:
    """Check random examples, batch by batch, until the time is up; how many those were."""
    count = 0

    def counted(drawn: tuple[Any, ...]) -> None:
        nonlocal count
        count += 1
        check(*drawn)

    for number in rounds(duration_s):
        holds = settings(max_examples=batch, database=None, suppress_health_check=list(HealthCheck))(
            given(st.tuples(*examples))(counted)
        )
        seed(SEED + number)(holds)()
    return count


def of_the_short_suite(test: Callable[..., None]) -> Check:
    """What a property test of the short suite checks of one example."""
    check: Check = test.hypothesis.inner_test  # type: ignore[attr-defined]
    return check


# --- decoder ------------------------------------------------------------------------------------------


def told(frame: bytes, decoder: Decoder, slots: dict[str, int]) -> str:
    """`reference.agrees`, with the frame shown when it does not hold."""
    try:
        return reference.agrees(frame, decoder, slots)
    except BaseException:
        print(f"frame: {frame.hex()}")
        raise


DOUBLES = (0.0, -1.0, 0.05, 1e18, -1e18, math.nan, math.inf, -math.inf, 1e9, 1.1e9, 5e-324)
WHOLES = (0, -1, 10**15, 10**18, 2**63 - 1, -(2**63), 1_765_771_373_598, 4_102_444_800_001)


def filled(rng: random.Random, message: Message) -> Message:
    """The message with a random part of its fields filled, sub-messages included; one number in six is odd.

    The strategy of the short suite draws the same and can shrink it, a hundred times more slowly.
    """
    descriptor: Any = message.DESCRIPTOR
    for field in descriptor.fields:
        if rng.random() < 0.25:
            continue
        if field.is_repeated:
            for _ in range(rng.randrange(8)):
                filled(rng, getattr(message, field.name).add())
        elif field.message_type is not None:
            part = getattr(message, field.name)
            part.SetInParent()
            filled(rng, part)
        else:
            setattr(message, field.name, number(rng, field))
    return message


def number(rng: random.Random, field: Any) -> Any:
    """A value of a field that is no message."""
    odd = rng.random() < 1 / 6
    match field.cpp_type:
        case field.CPPTYPE_DOUBLE:
            return rng.choice(DOUBLES) if odd else rng.uniform(0, 1e6)
        case field.CPPTYPE_INT64:
            return rng.choice(WHOLES) if odd else rng.randrange(10**7)
        case field.CPPTYPE_STRING:
            return rng.choice(["1d", "I1", "1d", "I30", "", "\x1b[2J"])
        case field.CPPTYPE_BOOL:
            return odd
        case _:
            return rng.randrange(6)


def random_frame(rng: random.Random) -> bytes:
    """A frame of random instruments with random parts."""
    message = pb.FeedResponse(type=rng.choice([0, 1, 1, 1, 9]), currentTs=rng.choice(WHOLES))  # type: ignore[arg-type]
    for key in rng.sample(KEYS, rng.randrange(len(KEYS) + 1)):
        filled(rng, message.feeds[key])
    return message.SerializeToString()


def mutated(rng: random.Random, frame: bytes, other: bytes) -> bytes:
    """A frame with one to four things wrong with it: bits, bytes, a cut, a gap, a piece of another frame."""
    data = bytearray(frame)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        at = rng.randrange(len(data) + 1)
        match rng.choice([0, 0, 0, 1, 1, 1, 2, 3, 4, 5, 6]):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1 if at < len(data):
                data[at] = rng.randrange(256)
            case 2:
                del data[at:]
            case 3:
                del data[at : at + rng.randrange(1, 12)]
            case 4:
                data[at:at] = rng.randbytes(rng.randrange(1, 12))
            case 5:
                begin = rng.randrange(len(other) + 1)
                data[at:at] = other[begin : begin + rng.randrange(64)]
            case _:
                data += other  # joined messages merge, the later field wins
    return bytes(data)


def tally(of: str, kinds: list[str]) -> None:
    counts = {kind: kinds.count(kind) for kind in sorted(set(kinds))}
    figure(f"fuzz, decoder, {of}: {len(kinds)} frames, {counts}")


@pytest.mark.timeout(limit(DECODER_S))
def test_f6_random_messages_and_their_mutations_decode_as_the_official_route_says() -> None:
    rng, decoder, kinds = generator("messages"), Decoder(SLOTS), list[str]()
    other = random_frame(rng)
    for _ in rounds(seconds(DECODER_S)):
        frame = random_frame(rng)
        kinds += [told(frame, decoder, SLOTS), told(mutated(rng, frame, other), decoder, SLOTS)]
        other = frame
    tally("random messages", kinds)
    assert {"ticks", "refused"} <= set(kinds)


@pytest.mark.timeout(limit(BUSY_S))
def test_f6_busy_frames_and_their_mutations_decode_as_the_official_route_says() -> None:
    """Frames of many instruments go another way, as columns: whatever bytes come, what comes out is the same."""
    rng, decoder, kinds, other = generator("busy"), Decoder(BUSY_SLOTS), list[str](), b""
    for _ in rounds(seconds(BUSY_S)):
        frame = busy_frame(rng)
        kinds += [told(frame, decoder, BUSY_SLOTS), told(mutated(rng, frame, other), decoder, BUSY_SLOTS)]
        other = frame
    tally("busy frames", kinds)
    assert {"ticks", "refused"} <= set(kinds)


@pytest.mark.timeout(limit(DECODER_S))
def test_f6_mutated_recorded_frames_decode_as_the_official_route_says(shared_data: Path) -> None:
    frames = list(itertools.islice(recorded_frames(shared_data), 0, None, 7))
    samples = json.loads((shared_data / "feed/upstox_v3_samples.json").read_text())
    frames += [from_dict(sample) for sample in samples] * 50
    slots = {
        key: slot
        for slot, key in enumerate(
            sorted({key for frame in frames for key in pb.FeedResponse.FromString(frame).feeds})
        )
    }
    rng, decoder, kinds = generator("recorded"), Decoder(slots), list[str]()
    for _ in rounds(seconds(DECODER_S)):
        kinds.append(told(mutated(rng, rng.choice(frames), rng.choice(frames)), decoder, slots))
    tally("mutated recorded frames", kinds)
    assert {"ticks", "refused"} <= set(kinds)


@pytest.mark.timeout(limit(DECODER_S))
def test_f6_random_bytes_decode_as_the_official_route_says() -> None:
    rng, decoder, kinds = generator("bytes"), Decoder(SLOTS), list[str]()
    for number in rounds(seconds(DECODER_S)):
        # Mostly short: random bytes are seldom a message, and the shorter the oftener.
        size = rng.randrange(12) if number % 4 else rng.choice([50, 400, 5_000, 100_000])
        kinds.append(told(rng.randbytes(size), decoder, SLOTS))
    tally("random bytes", kinds)


# --- journal ------------------------------------------------------------------------------------------

DAY_NS = 1_763_700_000_000_000_000  # 2025-11-21 10:10 IST


def random_record(rng: random.Random, number: int) -> Record:
    """A record of any kind and size."""
    text = "".join(rng.choices('aé₹漢\\"\n \x00🙂', k=rng.choice([0, 3, 40, 2_000])))
    data = {"number": number, "text": text, "parts": [rng.random()] * rng.randrange(4)}
    return Record(DAY_NS + number, rng.choice(list(RecordKind)), data, {"us": rng.randrange(10**6)})


def damaged(rng: random.Random, data: bytes) -> bytes:
    """A journal file as a failing disk or a power cut may leave it."""
    out, at = bytearray(data), rng.randrange(len(data))
    match rng.randrange(8):
        case 0:
            del out[at:]
        case 1:
            out[at] ^= 1 << rng.randrange(8)
        case 2:
            for _ in range(rng.randrange(2, 9)):
                out[rng.randrange(len(out))] = rng.randrange(256)
        case 3:
            size = rng.randrange(1, 512)
            out[at : at + size] = bytes(len(out[at : at + size]))
        case 4:
            del out[at : at + rng.randrange(1, 200)]
        case 5:
            out[at:at] = rng.randbytes(rng.randrange(1, 200))
        case 6:
            out += bytes(rng.randrange(1, 4_096))  # a file system's unwritten block
        case _:
            begin = rng.randrange(len(data))
            out[at:at] = data[begin : begin + rng.randrange(1, 2_000)]
    return bytes(out)


def read_until_damage(path: Path) -> tuple[list[StoredRecord], bool]:
    """What can be read, and whether damage was told."""
    out: list[StoredRecord] = []
    try:
        for stored in read(path):
            out.append(stored)  # noqa: PERF402 - what came before the damage is kept
    except JournalDamaged:
        return out, True
    return out, False


def check_damage(folder: Path, path: Path, data: bytes, whole: list[StoredRecord]) -> str:
    """Reading tells the damage and gives all before it; opening keeps all before it or changes nothing."""
    original = path.read_bytes()
    path.write_bytes(data)
    same = next((at for at, (a, b) in enumerate(zip(original, data, strict=False)) if a != b), None)
    intact = min(len(original), len(data)) if same is None else same
    good = [stored for stored in whole if stored.end <= intact]
    # Nobody can tell a file that ends between two records from one that was never longer.
    clean = data == original[: good[-1].end if good else len(MAGIC)]
    kept, said = read_until_damage(path)
    assert kept == good
    assert said is not clean
    try:
        journal = Journal(folder)
    except JournalDamaged:
        assert path.read_bytes() == data, "a damaged file is left as it is"
        return "refused"
    torn = journal.torn
    extra = Record(DAY_NS + 10**9, RecordKind.OPERATOR, {"after": True})
    journal.append(extra)
    journal.close()
    if torn is not None:
        end = good[-1].end if good else len(MAGIC)
        assert torn.read_bytes() in (data[end:], data)
        # Only the end of a file may be cut away: what was set aside has no whole record in it.
        aside = torn.read_bytes()
        assert not any(original[stored.offset : stored.end] in aside for stored in whole[len(good) :])
        torn.unlink()
    else:
        assert clean
    again, said = read_until_damage(path)
    assert not said
    assert [stored.record for stored in again] == [*(stored.record for stored in good), extra]
    return "as written" if clean else "cut tail set aside"


@pytest.mark.timeout(limit(JOURNAL_S))
def test_r5_any_damage_of_a_journal_is_told_and_everything_before_it_is_kept(tmp_path: Path) -> None:
    rng, outcomes = generator("journal"), list[str]()
    for number in rounds(seconds(JOURNAL_S)):
        folder = tmp_path / str(number)
        journal = Journal(folder)
        for n in range(rng.randrange(1, 12)):
            journal.append(random_record(rng, n))
        journal.close()
        (path,) = folder.iterdir()
        original, whole = path.read_bytes(), list(read(path))
        for _ in range(40):
            data = damaged(rng, original)
            try:
                outcomes.append(check_damage(folder, path, data, whole))
            except Exception:
                print(f"whole: {original.hex()}\ndamaged: {data.hex()}")
                raise
            path.write_bytes(original)
        path.unlink()
    counts = {kind: outcomes.count(kind) for kind in sorted(set(outcomes))}
    figure(f"fuzz, journal: {len(outcomes)} damaged files, {counts}")


# --- orders -------------------------------------------------------------------------------------------

STATEMENTS = st.lists(st.tuples(st.sampled_from(manager.MOVES), st.integers(0, 100)), max_size=80)


@pytest.mark.timeout(limit(MANAGER_S))
def test_any_statements_about_an_order_move_it_by_the_table_only() -> None:
    check = of_the_short_suite(manager.test_states_move_by_the_table_only_and_quantities_never_shrink)
    count = keep_trying(seconds(MANAGER_S), 200, check, STATEMENTS)
    figure(f"fuzz, order manager: {count} lives of an order")


@st.composite
def told_fills(draw: st.DrawFn) -> list[Fill]:
    """Fills of one order, and of others, told in any order and any number of times."""
    fills = [
        Fill(
            f"T{number}",
            draw(st.sampled_from(["B1", "B2"])),
            "",
            "NSE_EQ|X",
            draw(st.sampled_from(Side)),
            draw(st.integers(1, 100)),
            Price(draw(st.integers(1, 10**9))),
            draw(st.sampled_from([Product.INTRADAY, Product.DELIVERY])),
            number,
        )
        for number in range(draw(st.integers(1, 12)))
    ]
    return draw(st.permutations(fills + draw(st.lists(st.sampled_from(fills), max_size=20))))


def check_position(told: list[Fill], moves: list[tuple[Callable[[manager.Bench, int], None], int]]) -> None:
    """The position is the sum of the fills, each once, whatever else is said meanwhile."""
    bench = manager.Bench()
    bench.place()
    bench.update(OrderStatus.OPEN, evidence=Evidence.POLL)
    said: set[tuple[str, str]] = set()
    for fill, (move, number) in itertools.zip_longest(told, moves, fillvalue=(lambda b, n: None, 0)):
        if isinstance(fill, Fill):
            name = (fill.trade_id, fill.broker_id)
            assert bench.manager.on_fill(FillEvent(3 * manager.S, fill)) is (name not in said)
            said.add(name)
        move(bench, number)
    for product in Product:
        unique = {fill.trade_id: fill for fill in told if fill.product is product}
        assert bench.portfolio.qty("NSE_EQ|X", product) == sum(
            fill.side.sign * fill.qty for fill in unique.values()
        )


@pytest.mark.timeout(limit(MANAGER_S))
def test_a_position_is_the_sum_of_its_fills_in_any_order_and_any_duplication() -> None:
    moves = st.lists(st.tuples(st.sampled_from(manager.MOVES), st.integers(0, 100)), max_size=20)
    count = keep_trying(seconds(MANAGER_S), 200, check_position, told_fills(), moves)
    figure(f"fuzz, positions: {count} orders of events")


# --- exchange -----------------------------------------------------------------------------------------


@pytest.mark.timeout(limit(EXCHANGE_S))
def test_the_exchange_keeps_its_rules_whatever_is_sent() -> None:
    properties = [
        of_the_short_suite(exchange.test_everything_that_must_always_hold),
        of_the_short_suite(exchange.test_same_inputs_same_outputs),
        of_the_short_suite(exchange.test_at_the_end_of_the_session_nothing_works_and_nothing_is_blocked),
    ]
    counts = [
        keep_trying(seconds(EXCHANGE_S) / len(properties), 50, check, exchange.ACTIONS)
        for check in properties
    ]
    figure(f"fuzz, exchange: {counts} sequences of orders and market events, by property")
