"""Everything that happened: market, account, timer, operator.

Every event carries the engine's time, ``t_ns``. The core never reads a clock; silence is made of
`TimeEvent`s. Same events in, byte-identical journal out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tradetui.domain.exit_plan import ExitPlan
from tradetui.domain.gtt import GttRequest, RuleState
from tradetui.domain.lists import DatedLists
from tradetui.domain.market_data import Candle, TickBatch
from tradetui.domain.money import Money, Price
from tradetui.domain.order import Fill, OrderRequest, OrderStatus, OrderType, Product, Side, Validity


@dataclass(frozen=True, slots=True)
class TickEvent:
    """One frame of market data."""

    t_ns: int
    batch: TickBatch


@dataclass(frozen=True, slots=True)
class TimeEvent:
    """Time passed: staleness, cooldowns, bar closes and square-off need no frame to arrive."""

    t_ns: int


class FeedState(StrEnum):
    """State of the market data stream."""

    CONNECTING = "connecting"
    UP = "up"
    DOWN = "down"
    """Lost; reconnecting with back-off. New risk is blocked."""
    REFUSED = "refused"
    """Token refused: no use trying again without a login."""
    ENDED = "ended"
    """The recording is over, or the feed was closed on purpose."""


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """The market data stream changed state."""

    t_ns: int
    state: FeedState
    reason: str = ""
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class MarketStatusEvent:
    """The exchange says in which phase its segments are.

    Attributes:
        status: Segment (``NSE_EQ``) to the broker's own word (``NORMAL_OPEN``).
    """

    t_ns: int
    status: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class GapEvent:
    """Frames of some instruments were missed while the stream as a whole was up.

    Attributes:
        from_ns: Since when; they come again from ``t_ns`` on. UTC ns.
        keys: The instruments.
    """

    t_ns: int
    from_ns: int
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AskedQuote:
    """What the broker answered when it was asked for an instrument's price, beside the stream.

    Attributes:
        last: Last traded price.
        ltt_ms: Time of that trade, epoch ms; 0 when not said.
        volume: Units traded today.
    """

    instrument_key: str
    last: Price
    ltt_ms: int
    volume: int = 0


@dataclass(frozen=True, slots=True)
class QuotesEvent:
    """Prices asked for by REST, for instruments of which the stream is silent. No ticks, and never parts of bars."""

    t_ns: int
    quotes: tuple[AskedQuote, ...]


@dataclass(frozen=True, slots=True)
class ListsEvent:
    """The dated lists in force (F&O ban and the like) were read, or have changed."""

    t_ns: int
    lists: DatedLists


@dataclass(frozen=True, slots=True)
class DayBand:
    """Lowest and highest price at which an instrument may trade today (circuit limits), as the broker says."""

    instrument_key: str
    low: Price
    high: Price


@dataclass(frozen=True, slots=True)
class BandsEvent:
    """Price bands were read at the broker. They hold for the day (IST) of ``t_ns``.

    Attributes:
        bands: What was said; an instrument that is not among them keeps what was known of it today.
    """

    t_ns: int
    bands: tuple[DayBand, ...]


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """Finished bars from storage or the candle endpoint: warm-up, or a gap that was filled.

    Attributes:
        candles: Oldest first, one interval and one slot, strictly before the first live bar.
    """

    t_ns: int
    slot: int
    interval_s: int
    candles: tuple[Candle, ...]


@dataclass(frozen=True, slots=True)
class PastDaysEvent:
    """What past sessions of one instrument came to, from stored bars. Today is not part of it.

    Attributes:
        slot: Instrument.
        high_rupees, low_rupees: Highest and lowest price of the last 52 weeks; 0 when not known.
        oi: Open interest at the end of the last session, units; 0 when not known.
        volume_by_minute: Mean cumulative volume, units, at the end of each minute since the start of continuous
            trading; empty when too few sessions are stored.
    """

    t_ns: int
    slot: int
    high_rupees: float = 0.0
    low_rupees: float = 0.0
    oi: float = 0.0
    volume_by_minute: tuple[float, ...] = ()


class Evidence(StrEnum):
    """Where a statement about an order comes from."""

    ACK = "ack"
    """The answer to our own request."""
    STREAM = "stream"
    """A push on the portfolio stream."""
    POLL = "poll"
    """The order book, read by REST."""


@dataclass(frozen=True, slots=True)
class OrderUpdate:
    """A statement of the broker about one order. Empty strings and ``None`` mean: not said.

    Attributes:
        tag: Our label, when the broker echoes it.
        broker_id: The broker's order id.
        status: Our reading of the broker's status.
        raw_status: The broker's own string.
        filled_qty: Units filled so far.
        average_price: Average price of the fills so far.
        message: The broker's words on a rejection.
        by_broker: Placed by the broker itself (its square-off of intraday positions), not by the account's holder.
    """

    t_ns: int
    evidence: Evidence
    tag: str
    broker_id: str
    status: OrderStatus
    raw_status: str = ""
    exchange_id: str = ""
    instrument_key: str = ""
    side: Side | None = None
    product: Product | None = None
    order_type: OrderType | None = None
    validity: Validity | None = None
    qty: int | None = None
    price: Price | None = None
    trigger_price: Price | None = None
    filled_qty: int | None = None
    average_price: Price | None = None
    message: str = ""
    exchange_time_ns: int = 0
    by_broker: bool = False


@dataclass(frozen=True, slots=True)
class GttUpdate:
    """A statement of the broker about one GTT. It carries no label of ours.

    Attributes:
        gtt_id: The broker's id.
        rules: Each rule with its state.
        created_ns: When the broker took it, UTC ns; 0 when not said.
        expires_ns: When the broker drops it, UTC ns; 0 when not said.
    """

    t_ns: int
    evidence: Evidence
    gtt_id: str
    instrument_key: str
    side: Side
    qty: int
    product: Product
    rules: tuple[RuleState, ...]
    created_ns: int = 0
    expires_ns: int = 0


@dataclass(frozen=True, slots=True)
class RequestSent:
    """The bytes of a request are about to go to the socket: for the ledger of decision times."""

    t_ns: int
    kind: str
    tag: str


@dataclass(frozen=True, slots=True)
class JournalEvent:
    """The journal can no longer be written, or can again.

    Attributes:
        problem: Why it cannot; empty when it can.
    """

    t_ns: int
    problem: str


@dataclass(frozen=True, slots=True)
class RequestAccepted:
    """The broker took a request. For a place: ``broker_id`` is now known (of a GTT: its id).

    Attributes:
        kind: ``place``, ``modify``, ``cancel``, ``gtt place``, ``gtt modify``, ``gtt cancel`` or ``convert``.
    """

    t_ns: int
    kind: str
    tag: str
    broker_id: str
    latency_ms: int = 0


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """The broker refused a request with a proper error envelope: nothing was done.

    Attributes:
        kind: As in `RequestAccepted`; ``read`` when the login no longer opens the account.
        code: The broker's error code.
        message: In words, with the remedy.
    """

    t_ns: int
    kind: str
    tag: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class RequestUnknown:
    """A request was sent and its answer never came or made no sense."""

    t_ns: int
    kind: str
    tag: str
    message: str


@dataclass(frozen=True, slots=True)
class FillEvent:
    """A trade of ours."""

    t_ns: int
    fill: Fill


@dataclass(frozen=True, slots=True)
class BrokerPosition:
    """The broker's own view of one position, for comparison with ours.

    Attributes:
        close_price: Close of the previous session: the mark of what was carried over night; 0 when not said.
        overnight_qty: Signed units carried over night.
    """

    instrument_key: str
    product: Product
    qty: int
    average_price: Price
    realised: Money
    close_price: Price = Price(0)
    overnight_qty: int = 0


@dataclass(frozen=True, slots=True)
class Holding:
    """Shares in the demat account.

    Attributes:
        qty: Units held, T1 units apart.
        t1_qty: Bought, not yet settled.
        used_qty: Blocked by sells of today.
    """

    instrument_key: str
    qty: int
    t1_qty: int
    used_qty: int
    average_price: Price


@dataclass(frozen=True, slots=True)
class AccountSnapshot:
    """What the broker says the account looks like: read at start, after reconnects, and every few seconds.

    Attributes:
        orders: Today's order book.
        fills: Today's trades.
        positions: Day positions; ``None`` when that read failed.
        holdings: Demat holdings; ``None`` when not read.
        available: Cash available to trade; ``None`` when not read.
        used: Margin in use; ``None`` when not read.
        asked_ns: Engine time when the read began: younger orders may rightly be missing from it.
        gtts: Every GTT of the account; ``None`` when that read failed.
        locked_segments: Segments that the account's own kill switch at the broker has closed; ``None`` when not read.
        may_sell_holdings: Delivery sales need no further authorisation (DDPI or POA); ``None`` when not known.
        odd_rows: Rows of the order and GTT books that could not be read, as text: shown. With any, nothing is absent.
    """

    t_ns: int
    asked_ns: int
    orders: tuple[OrderUpdate, ...]
    fills: tuple[Fill, ...]
    positions: tuple[BrokerPosition, ...] | None = None
    holdings: tuple[Holding, ...] | None = None
    available: Money | None = None
    used: Money | None = None
    gtts: tuple[GttUpdate, ...] | None = None
    locked_segments: tuple[str, ...] | None = None
    may_sell_holdings: bool | None = None
    odd_rows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TagAbsence:
    """One poll of order book and tag history found no order with this tag. One such poll proves nothing."""

    t_ns: int
    tag: str


class OperatorKind(StrEnum):
    """What a person at the keyboard asked for."""

    PLACE = "place"
    MODIFY = "modify"
    CANCEL = "cancel"
    CANCEL_ALL = "cancel all"
    EXIT = "exit"
    KILL = "kill"
    FLATTEN = "flatten"
    RESUME = "resume"
    ARM = "arm"
    DISARM = "disarm"
    STRATEGY_RUN = "strategy run"
    STRATEGY_PAUSE = "strategy pause"
    AUTO_ON = "auto on"
    """The strategy's signals may become orders."""
    AUTO_OFF = "auto off"
    ACT = "act on signal"
    EXIT_ALL = "exit all"
    """Close every position; delivery and MTF only when named."""
    BASKET = "basket"
    """Several orders as one group: gated together, the protective leg first."""
    PROTECT = "protect"
    """Give a position an exit plan, or change it; an empty plan takes it away."""
    CONVERT = "convert"
    GTT_PLACE = "gtt place"
    GTT_MODIFY = "gtt modify"
    GTT_CANCEL = "gtt cancel"
    LIMITS = "limits"
    """Change a risk limit while running, with a typed reason."""
    SQUARE_OFF_OK = "square-off confirmed"
    """The user has confirmed the broker's cut-off time for intraday positions."""


@dataclass(frozen=True, slots=True)
class OperatorEvent:
    """A person asked for something. What it needs beyond ``kind`` depends on the kind.

    Attributes:
        request: PLACE: the order as reviewed.
        tag: MODIFY, CANCEL, GTT_MODIFY, GTT_CANCEL: which order or GTT.
        price, trigger_price, qty: MODIFY: the new terms; ``None`` keeps the old one. EXIT, CONVERT: ``qty`` units
            of the position; ``None`` for all.
        instrument_key, product: EXIT, PROTECT, CONVERT: which position. CANCEL_ALL: which instrument (empty: all).
        to_product: CONVERT: what the units become.
        basket: BASKET: the legs.
        gtt: GTT_PLACE, GTT_MODIFY: the GTT as reviewed.
        plan: PROTECT: the new exit plan.
        include: EXIT_ALL, FLATTEN: products beyond intraday and derivatives that are to be closed too.
        name: STRATEGY_*, AUTO_*: which strategy. ACT: the id of the signal. LIMITS: the limit's name.
        value: LIMITS: its new value.
        until_ns: ARM: when arming runs out.
        note: Who pulled it, typed reasons.
    """

    t_ns: int
    kind: OperatorKind
    request: OrderRequest | None = None
    tag: str = ""
    price: Price | None = None
    trigger_price: Price | None = None
    qty: int | None = None
    instrument_key: str = ""
    product: Product = Product.INTRADAY
    name: str = ""
    until_ns: int = 0
    note: str = ""
    to_product: Product | None = None
    basket: tuple[OrderRequest, ...] = ()
    gtt: GttRequest | None = None
    plan: ExitPlan | None = None
    include: tuple[Product, ...] = ()
    value: float = 0.0


AccountEvent = (
    OrderUpdate
    | GttUpdate
    | RequestSent
    | JournalEvent
    | RequestAccepted
    | RequestRefused
    | RequestUnknown
    | FillEvent
    | AccountSnapshot
    | TagAbsence
    | OperatorEvent
)
"""Events of the account lane: they go before market events that wait."""

MarketEvent = (
    TickEvent
    | TimeEvent
    | FeedEvent
    | MarketStatusEvent
    | HistoryEvent
    | ListsEvent
    | BandsEvent
    | GapEvent
    | QuotesEvent
    | PastDaysEvent
)
"""Events of the market lane."""

Event = AccountEvent | MarketEvent
"""Everything the engine takes in."""
