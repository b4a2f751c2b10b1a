from tradetui.pb import market_feed_v3_pb2 as _market_feed_v3_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Frame(_message.Message):
    __slots__ = ("type", "feeds", "currentTs", "marketInfo")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    FEEDS_FIELD_NUMBER: _ClassVar[int]
    CURRENTTS_FIELD_NUMBER: _ClassVar[int]
    MARKETINFO_FIELD_NUMBER: _ClassVar[int]
    type: int
    feeds: _containers.RepeatedScalarFieldContainer[bytes]
    currentTs: int
    marketInfo: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, type: _Optional[int] = ..., feeds: _Optional[_Iterable[bytes]] = ..., currentTs: _Optional[int] = ..., marketInfo: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Entry(_message.Message):
    __slots__ = ("key", "value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: _market_feed_v3_pb2.Feed
    def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_market_feed_v3_pb2.Feed, _Mapping]] = ...) -> None: ...

class Entries(_message.Message):
    __slots__ = ("key", "value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    key: _containers.RepeatedScalarFieldContainer[str]
    value: Feeds
    def __init__(self, key: _Optional[_Iterable[str]] = ..., value: _Optional[_Union[Feeds, _Mapping]] = ...) -> None: ...

class Feeds(_message.Message):
    __slots__ = ("ltpc", "fullFeed", "firstLevelWithGreeks")
    LTPC_FIELD_NUMBER: _ClassVar[int]
    FULLFEED_FIELD_NUMBER: _ClassVar[int]
    FIRSTLEVELWITHGREEKS_FIELD_NUMBER: _ClassVar[int]
    ltpc: _containers.RepeatedScalarFieldContainer[bytes]
    fullFeed: FullFeeds
    firstLevelWithGreeks: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, ltpc: _Optional[_Iterable[bytes]] = ..., fullFeed: _Optional[_Union[FullFeeds, _Mapping]] = ..., firstLevelWithGreeks: _Optional[_Iterable[bytes]] = ...) -> None: ...

class FullFeeds(_message.Message):
    __slots__ = ("marketFF", "indexFF")
    MARKETFF_FIELD_NUMBER: _ClassVar[int]
    INDEXFF_FIELD_NUMBER: _ClassVar[int]
    marketFF: MarketFullFeeds
    indexFF: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, marketFF: _Optional[_Union[MarketFullFeeds, _Mapping]] = ..., indexFF: _Optional[_Iterable[bytes]] = ...) -> None: ...

class MarketFullFeeds(_message.Message):
    __slots__ = ("ltpc", "marketLevel", "optionGreeks", "marketOHLC", "atp", "vtt", "oi", "iv", "tbq", "tsq", "iep", "rp", "ieq", "iiqTotal", "iiqM")
    LTPC_FIELD_NUMBER: _ClassVar[int]
    MARKETLEVEL_FIELD_NUMBER: _ClassVar[int]
    OPTIONGREEKS_FIELD_NUMBER: _ClassVar[int]
    MARKETOHLC_FIELD_NUMBER: _ClassVar[int]
    ATP_FIELD_NUMBER: _ClassVar[int]
    VTT_FIELD_NUMBER: _ClassVar[int]
    OI_FIELD_NUMBER: _ClassVar[int]
    IV_FIELD_NUMBER: _ClassVar[int]
    TBQ_FIELD_NUMBER: _ClassVar[int]
    TSQ_FIELD_NUMBER: _ClassVar[int]
    IEP_FIELD_NUMBER: _ClassVar[int]
    RP_FIELD_NUMBER: _ClassVar[int]
    IEQ_FIELD_NUMBER: _ClassVar[int]
    IIQTOTAL_FIELD_NUMBER: _ClassVar[int]
    IIQM_FIELD_NUMBER: _ClassVar[int]
    ltpc: LTPCs
    marketLevel: MarketLevels
    optionGreeks: OptionGreeks
    marketOHLC: MarketOHLCs
    atp: _containers.RepeatedScalarFieldContainer[float]
    vtt: _containers.RepeatedScalarFieldContainer[int]
    oi: _containers.RepeatedScalarFieldContainer[float]
    iv: _containers.RepeatedScalarFieldContainer[float]
    tbq: _containers.RepeatedScalarFieldContainer[float]
    tsq: _containers.RepeatedScalarFieldContainer[float]
    iep: _containers.RepeatedScalarFieldContainer[float]
    rp: _containers.RepeatedScalarFieldContainer[float]
    ieq: _containers.RepeatedScalarFieldContainer[int]
    iiqTotal: _containers.RepeatedScalarFieldContainer[int]
    iiqM: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, ltpc: _Optional[_Union[LTPCs, _Mapping]] = ..., marketLevel: _Optional[_Union[MarketLevels, _Mapping]] = ..., optionGreeks: _Optional[_Union[OptionGreeks, _Mapping]] = ..., marketOHLC: _Optional[_Union[MarketOHLCs, _Mapping]] = ..., atp: _Optional[_Iterable[float]] = ..., vtt: _Optional[_Iterable[int]] = ..., oi: _Optional[_Iterable[float]] = ..., iv: _Optional[_Iterable[float]] = ..., tbq: _Optional[_Iterable[float]] = ..., tsq: _Optional[_Iterable[float]] = ..., iep: _Optional[_Iterable[float]] = ..., rp: _Optional[_Iterable[float]] = ..., ieq: _Optional[_Iterable[int]] = ..., iiqTotal: _Optional[_Iterable[int]] = ..., iiqM: _Optional[_Iterable[int]] = ...) -> None: ...

class LTPCs(_message.Message):
    __slots__ = ("ltp", "ltt", "ltq", "cp", "iep")
    LTP_FIELD_NUMBER: _ClassVar[int]
    LTT_FIELD_NUMBER: _ClassVar[int]
    LTQ_FIELD_NUMBER: _ClassVar[int]
    CP_FIELD_NUMBER: _ClassVar[int]
    IEP_FIELD_NUMBER: _ClassVar[int]
    ltp: _containers.RepeatedScalarFieldContainer[float]
    ltt: _containers.RepeatedScalarFieldContainer[int]
    ltq: _containers.RepeatedScalarFieldContainer[int]
    cp: _containers.RepeatedScalarFieldContainer[float]
    iep: DoubleValues
    def __init__(self, ltp: _Optional[_Iterable[float]] = ..., ltt: _Optional[_Iterable[int]] = ..., ltq: _Optional[_Iterable[int]] = ..., cp: _Optional[_Iterable[float]] = ..., iep: _Optional[_Union[DoubleValues, _Mapping]] = ...) -> None: ...

class DoubleValues(_message.Message):
    __slots__ = ("value",)
    VALUE_FIELD_NUMBER: _ClassVar[int]
    value: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, value: _Optional[_Iterable[float]] = ...) -> None: ...

class OptionGreeks(_message.Message):
    __slots__ = ("delta", "theta", "gamma", "vega", "rho")
    DELTA_FIELD_NUMBER: _ClassVar[int]
    THETA_FIELD_NUMBER: _ClassVar[int]
    GAMMA_FIELD_NUMBER: _ClassVar[int]
    VEGA_FIELD_NUMBER: _ClassVar[int]
    RHO_FIELD_NUMBER: _ClassVar[int]
    delta: _containers.RepeatedScalarFieldContainer[float]
    theta: _containers.RepeatedScalarFieldContainer[float]
    gamma: _containers.RepeatedScalarFieldContainer[float]
    vega: _containers.RepeatedScalarFieldContainer[float]
    rho: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, delta: _Optional[_Iterable[float]] = ..., theta: _Optional[_Iterable[float]] = ..., gamma: _Optional[_Iterable[float]] = ..., vega: _Optional[_Iterable[float]] = ..., rho: _Optional[_Iterable[float]] = ...) -> None: ...

class MarketLevels(_message.Message):
    __slots__ = ("bidAskQuote",)
    BIDASKQUOTE_FIELD_NUMBER: _ClassVar[int]
    bidAskQuote: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, bidAskQuote: _Optional[_Iterable[bytes]] = ...) -> None: ...

class MarketOHLCs(_message.Message):
    __slots__ = ("ohlc",)
    OHLC_FIELD_NUMBER: _ClassVar[int]
    ohlc: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, ohlc: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Quotes(_message.Message):
    __slots__ = ("bidQ", "bidP", "askQ", "askP")
    BIDQ_FIELD_NUMBER: _ClassVar[int]
    BIDP_FIELD_NUMBER: _ClassVar[int]
    ASKQ_FIELD_NUMBER: _ClassVar[int]
    ASKP_FIELD_NUMBER: _ClassVar[int]
    bidQ: _containers.RepeatedScalarFieldContainer[int]
    bidP: _containers.RepeatedScalarFieldContainer[float]
    askQ: _containers.RepeatedScalarFieldContainer[int]
    askP: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, bidQ: _Optional[_Iterable[int]] = ..., bidP: _Optional[_Iterable[float]] = ..., askQ: _Optional[_Iterable[int]] = ..., askP: _Optional[_Iterable[float]] = ...) -> None: ...

class OHLCs(_message.Message):
    __slots__ = ("interval", "open", "high", "low", "close", "vol", "ts")
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    CLOSE_FIELD_NUMBER: _ClassVar[int]
    VOL_FIELD_NUMBER: _ClassVar[int]
    TS_FIELD_NUMBER: _ClassVar[int]
    interval: _containers.RepeatedScalarFieldContainer[str]
    open: _containers.RepeatedScalarFieldContainer[float]
    high: _containers.RepeatedScalarFieldContainer[float]
    low: _containers.RepeatedScalarFieldContainer[float]
    close: _containers.RepeatedScalarFieldContainer[float]
    vol: _containers.RepeatedScalarFieldContainer[int]
    ts: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, interval: _Optional[_Iterable[str]] = ..., open: _Optional[_Iterable[float]] = ..., high: _Optional[_Iterable[float]] = ..., low: _Optional[_Iterable[float]] = ..., close: _Optional[_Iterable[float]] = ..., vol: _Optional[_Iterable[int]] = ..., ts: _Optional[_Iterable[int]] = ...) -> None: ...

class Merged(_message.Message):
    __slots__ = ("type", "feeds", "currentTs", "marketInfo")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    FEEDS_FIELD_NUMBER: _ClassVar[int]
    CURRENTTS_FIELD_NUMBER: _ClassVar[int]
    MARKETINFO_FIELD_NUMBER: _ClassVar[int]
    type: int
    feeds: MergedEntry
    currentTs: int
    marketInfo: _market_feed_v3_pb2.MarketInfo
    def __init__(self, type: _Optional[int] = ..., feeds: _Optional[_Union[MergedEntry, _Mapping]] = ..., currentTs: _Optional[int] = ..., marketInfo: _Optional[_Union[_market_feed_v3_pb2.MarketInfo, _Mapping]] = ...) -> None: ...

class MergedEntry(_message.Message):
    __slots__ = ("key", "value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: MergedFeed
    def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[MergedFeed, _Mapping]] = ...) -> None: ...

class MergedFeed(_message.Message):
    __slots__ = ("ltpc", "fullFeed", "firstLevelWithGreeks", "requestMode")
    LTPC_FIELD_NUMBER: _ClassVar[int]
    FULLFEED_FIELD_NUMBER: _ClassVar[int]
    FIRSTLEVELWITHGREEKS_FIELD_NUMBER: _ClassVar[int]
    REQUESTMODE_FIELD_NUMBER: _ClassVar[int]
    ltpc: _market_feed_v3_pb2.LTPC
    fullFeed: MergedFullFeed
    firstLevelWithGreeks: _market_feed_v3_pb2.FirstLevelWithGreeks
    requestMode: int
    def __init__(self, ltpc: _Optional[_Union[_market_feed_v3_pb2.LTPC, _Mapping]] = ..., fullFeed: _Optional[_Union[MergedFullFeed, _Mapping]] = ..., firstLevelWithGreeks: _Optional[_Union[_market_feed_v3_pb2.FirstLevelWithGreeks, _Mapping]] = ..., requestMode: _Optional[int] = ...) -> None: ...

class MergedFullFeed(_message.Message):
    __slots__ = ("marketFF", "indexFF")
    MARKETFF_FIELD_NUMBER: _ClassVar[int]
    INDEXFF_FIELD_NUMBER: _ClassVar[int]
    marketFF: MergedMarketFullFeed
    indexFF: MergedIndexFullFeed
    def __init__(self, marketFF: _Optional[_Union[MergedMarketFullFeed, _Mapping]] = ..., indexFF: _Optional[_Union[MergedIndexFullFeed, _Mapping]] = ...) -> None: ...

class MergedMarketFullFeed(_message.Message):
    __slots__ = ("ltpc", "marketLevel", "optionGreeks", "marketOHLC", "atp", "vtt", "oi", "iv", "tbq", "tsq", "iep", "rp", "ieq", "iiqTotal", "iiqM", "casEligible")
    LTPC_FIELD_NUMBER: _ClassVar[int]
    MARKETLEVEL_FIELD_NUMBER: _ClassVar[int]
    OPTIONGREEKS_FIELD_NUMBER: _ClassVar[int]
    MARKETOHLC_FIELD_NUMBER: _ClassVar[int]
    ATP_FIELD_NUMBER: _ClassVar[int]
    VTT_FIELD_NUMBER: _ClassVar[int]
    OI_FIELD_NUMBER: _ClassVar[int]
    IV_FIELD_NUMBER: _ClassVar[int]
    TBQ_FIELD_NUMBER: _ClassVar[int]
    TSQ_FIELD_NUMBER: _ClassVar[int]
    IEP_FIELD_NUMBER: _ClassVar[int]
    RP_FIELD_NUMBER: _ClassVar[int]
    IEQ_FIELD_NUMBER: _ClassVar[int]
    IIQTOTAL_FIELD_NUMBER: _ClassVar[int]
    IIQM_FIELD_NUMBER: _ClassVar[int]
    CASELIGIBLE_FIELD_NUMBER: _ClassVar[int]
    ltpc: _market_feed_v3_pb2.LTPC
    marketLevel: MergedMarketLevel
    optionGreeks: _market_feed_v3_pb2.OptionGreeks
    marketOHLC: MergedMarketOHLC
    atp: float
    vtt: int
    oi: float
    iv: float
    tbq: float
    tsq: float
    iep: float
    rp: float
    ieq: int
    iiqTotal: int
    iiqM: int
    casEligible: bool
    def __init__(self, ltpc: _Optional[_Union[_market_feed_v3_pb2.LTPC, _Mapping]] = ..., marketLevel: _Optional[_Union[MergedMarketLevel, _Mapping]] = ..., optionGreeks: _Optional[_Union[_market_feed_v3_pb2.OptionGreeks, _Mapping]] = ..., marketOHLC: _Optional[_Union[MergedMarketOHLC, _Mapping]] = ..., atp: _Optional[float] = ..., vtt: _Optional[int] = ..., oi: _Optional[float] = ..., iv: _Optional[float] = ..., tbq: _Optional[float] = ..., tsq: _Optional[float] = ..., iep: _Optional[float] = ..., rp: _Optional[float] = ..., ieq: _Optional[int] = ..., iiqTotal: _Optional[int] = ..., iiqM: _Optional[int] = ..., casEligible: _Optional[bool] = ...) -> None: ...

class MergedIndexFullFeed(_message.Message):
    __slots__ = ("ltpc", "marketOHLC")
    LTPC_FIELD_NUMBER: _ClassVar[int]
    MARKETOHLC_FIELD_NUMBER: _ClassVar[int]
    ltpc: _market_feed_v3_pb2.LTPC
    marketOHLC: MergedMarketOHLC
    def __init__(self, ltpc: _Optional[_Union[_market_feed_v3_pb2.LTPC, _Mapping]] = ..., marketOHLC: _Optional[_Union[MergedMarketOHLC, _Mapping]] = ...) -> None: ...

class MergedMarketLevel(_message.Message):
    __slots__ = ("bidAskQuote",)
    BIDASKQUOTE_FIELD_NUMBER: _ClassVar[int]
    bidAskQuote: _market_feed_v3_pb2.Quote
    def __init__(self, bidAskQuote: _Optional[_Union[_market_feed_v3_pb2.Quote, _Mapping]] = ...) -> None: ...

class MergedMarketOHLC(_message.Message):
    __slots__ = ("ohlc",)
    OHLC_FIELD_NUMBER: _ClassVar[int]
    ohlc: _market_feed_v3_pb2.OHLC
    def __init__(self, ohlc: _Optional[_Union[_market_feed_v3_pb2.OHLC, _Mapping]] = ...) -> None: ...
