"""Hypothesis strategies for every kind of event that is written as text."""

from __future__ import annotations

from hypothesis import strategies as st

from tradetui.domain.events import (
    AccountSnapshot,
    AskedQuote,
    BandsEvent,
    BrokerPosition,
    DayBand,
    Event,
    FeedEvent,
    FillEvent,
    GapEvent,
    GttUpdate,
    HistoryEvent,
    Holding,
    JournalEvent,
    ListsEvent,
    MarketStatusEvent,
    OperatorEvent,
    OrderUpdate,
    PastDaysEvent,
    QuotesEvent,
    RequestAccepted,
    RequestRefused,
    RequestSent,
    RequestUnknown,
    TagAbsence,
    TimeEvent,
)
from tradetui.domain.exit_plan import ExitPlan, Trail
from tradetui.domain.gtt import GttRequest, GttRule, RuleState
from tradetui.domain.instrument import Instrument
from tradetui.domain.lists import DatedLists
from tradetui.domain.market_data import Candle
from tradetui.domain.order import Fill, OrderRequest, Side

# Lone surrogates cannot be written as UTF-8, and text is cleaned of them at ingest.
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
WHOLE = st.integers(-(2**62), 2**62)
REALS = st.floats(allow_nan=False)
_CANDLE = st.builds(Candle, open=REALS, high=REALS, low=REALS, close=REALS, oi=REALS)
_FILL = st.builds(Fill, trade_id=WORDS, broker_id=WORDS, tag=WORDS, instrument_key=WORDS)
_TRAIL = st.none() | st.builds(Trail)
_REQUEST = st.builds(
    OrderRequest,
    instrument_key=WORDS,
    source=WORDS,
    reason=WORDS,
    client_id=WORDS,
    qty=WHOLE,
    trail=_TRAIL,
    group=WORDS,
)
_RULE = st.builds(GttRule, trigger_price=WHOLE, trailing_gap=WHOLE)
_RULE_STATE = st.builds(RuleState, rule=_RULE, raw_status=WORDS, order_id=WORDS, message=WORDS)
_GTT_UPDATE = st.builds(
    GttUpdate, gtt_id=WORDS, instrument_key=WORDS, rules=st.lists(_RULE_STATE, max_size=3).map(tuple)
)
_GTT = st.builds(
    GttRequest, instrument_key=WORDS, rules=st.lists(_RULE, max_size=3).map(tuple), source=WORDS, reason=WORDS
)
_UPDATE = st.builds(
    OrderUpdate,
    tag=WORDS,
    broker_id=WORDS,
    raw_status=WORDS,
    exchange_id=WORDS,
    instrument_key=WORDS,
    side=st.none() | st.sampled_from(Side),
    qty=st.none() | WHOLE,
    price=st.none() | WHOLE,
    message=WORDS,
)
_SNAPSHOT = st.builds(
    AccountSnapshot,
    orders=st.lists(_UPDATE, max_size=2).map(tuple),
    fills=st.lists(_FILL, max_size=2).map(tuple),
    positions=st.none() | st.lists(st.builds(BrokerPosition, instrument_key=WORDS), max_size=2).map(tuple),
    holdings=st.none() | st.lists(st.builds(Holding, instrument_key=WORDS), max_size=2).map(tuple),
    available=st.none() | WHOLE,
    used=st.none() | WHOLE,
    gtts=st.none() | st.lists(_GTT_UPDATE, max_size=2).map(tuple),
    locked_segments=st.none() | st.lists(WORDS, max_size=2).map(tuple),
    may_sell_holdings=st.none() | st.booleans(),
)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(TimeEvent, WHOLE),
    st.builds(FeedEvent, reason=WORDS),
    st.builds(MarketStatusEvent, WHOLE, st.lists(st.tuples(WORDS, WORDS), max_size=3).map(tuple)),
    st.builds(HistoryEvent, candles=st.lists(_CANDLE, max_size=3).map(tuple)),
    st.builds(
        PastDaysEvent,
        high_rupees=REALS,
        low_rupees=REALS,
        oi=REALS,
        volume_by_minute=st.lists(REALS, max_size=3).map(tuple),
    ),
    _UPDATE,
    st.builds(RequestAccepted, kind=WORDS, tag=WORDS, broker_id=WORDS),
    st.builds(RequestRefused, kind=WORDS, tag=WORDS, code=WORDS, message=WORDS),
    st.builds(RequestUnknown, kind=WORDS, tag=WORDS, message=WORDS),
    st.builds(FillEvent, WHOLE, _FILL),
    _SNAPSHOT,
    st.builds(TagAbsence, WHOLE, WORDS),
    _GTT_UPDATE,
    st.builds(RequestSent, kind=WORDS, tag=WORDS),
    st.builds(JournalEvent, problem=WORDS),
    st.builds(GapEvent, keys=st.lists(WORDS, max_size=3).map(tuple)),
    st.builds(
        QuotesEvent,
        quotes=st.lists(st.builds(AskedQuote, instrument_key=WORDS), max_size=3).map(tuple),
    ),
    st.builds(
        BandsEvent,
        bands=st.lists(st.builds(DayBand, instrument_key=WORDS), max_size=3).map(tuple),
    ),
    st.builds(
        ListsEvent,
        lists=st.builds(
            DatedLists,
            fo_ban=st.none() | st.dictionaries(WORDS, WORDS, max_size=2),
            price_bands=st.none() | st.dictionaries(WORDS, REALS, max_size=2),
            files=st.dictionaries(WORDS, WORDS, max_size=2),
        ),
    ),
    st.builds(
        OperatorEvent,
        request=st.none() | _REQUEST,
        tag=WORDS,
        name=WORDS,
        note=WORDS,
        basket=st.lists(_REQUEST, max_size=2).map(tuple),
        gtt=st.none() | _GTT,
        plan=st.none() | st.builds(ExitPlan, trail=_TRAIL),
        value=REALS,
    ),
)
INSTRUMENTS = st.builds(
    Instrument,
    key=WORDS,
    segment=WORDS,
    exchange=WORDS,
    symbol=WORDS,
    name=WORDS,
    expiry=st.none() | st.dates(),
    strike=st.none() | WHOLE,
)
