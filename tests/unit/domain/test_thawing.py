"""Events as text and back: what a recorded inbox stands on."""

from __future__ import annotations

import json
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.domain.event_samples import EVENTS, INSTRUMENTS
from tradetui.config import Config, parse
from tradetui.domain import events
from tradetui.domain.errors import DomainError
from tradetui.domain.events import Event, TickEvent
from tradetui.domain.instrument import Instrument
from tradetui.domain.market_data import FrameKind, TickBatch
from tradetui.domain.records import freeze
from tradetui.domain.thawing import decode_event, encode, encode_event, thaw
from tradetui.risk.limits import Limits


@settings(max_examples=400)
@given(EVENTS)
def test_property_roundtrip_every_event_comes_back_equal(event: Event) -> None:
    back = decode_event(encode_event(event))
    assert type(back) is type(event)
    # Compared as text too: 1 == True == 1.0, but none may turn into another on the way.
    assert (repr(back), back) == (repr(event), event)


def test_no_kind_of_event_is_forgotten() -> None:
    written = {one for one in get_args(events.Event) if one is not TickEvent}
    assert {kind.__name__ for kind in written} == {kind.__name__ for kind in map(type, _one_of_each())}


def _one_of_each() -> list[Event]:
    found: dict[type, Event] = {}

    @settings(max_examples=1000, database=None)
    @given(EVENTS)
    def collect(event: Event) -> None:
        found.setdefault(type(event), event)

    collect()
    return list(found.values())


@given(INSTRUMENTS)
def test_an_instrument_with_its_expiry_comes_back(instrument: Instrument) -> None:
    assert thaw(Instrument, json.loads(encode(freeze(instrument)))) == instrument


def test_settings_and_limits_come_back() -> None:
    chosen = parse(
        '[watch]\nsymbols = ["RELIANCE", "INFY"]\n[screen.keys]\nbuy = "b"\n[risk]\nmin_score = 70\n'
    )
    assert thaw(Config, freeze(chosen)) == chosen
    assert thaw(Limits, freeze(Limits())) == Limits()


def test_frames_are_not_written_as_text() -> None:
    with pytest.raises(DomainError, match="frame"):
        encode_event(TickEvent(1, TickBatch.zeros(FrameKind.LIVE, 0, 1)))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff\xfe",
        b'{"event":"Nothing","data":{}}',
        b'{"event":"TimeEvent","data":{}}',
        b'{"event":"FeedEvent","data":{"t_ns":1,"state":"sideways","reason":"","attempt":0}}',
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(DomainError, match="not a recorded event"):
        decode_event(data)


@given(st.binary(max_size=60))
def test_noise_is_refused_and_never_raises_anything_else(data: bytes) -> None:
    with pytest.raises(DomainError):
        decode_event(data)


def test_a_type_without_plain_form_is_named() -> None:
    with pytest.raises(TypeError, match="set"):
        thaw(set[int], [1])
