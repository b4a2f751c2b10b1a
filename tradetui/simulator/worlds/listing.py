"""What is listed on a day of the synthetic market: instrument rows, and the same facts as columns."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradetui.domain.calendar import Segment, next_monthly_expiry, next_weekly_expiry, shift_expiry
from tradetui.domain.instrument import Instrument
from tradetui.simulator.worlds.companies import (
    COMPANIES,
    INDICES,
    STOCK_FUTURES,
    Company,
    Index,
    index_future_tick,
)
from tradetui.simulator.worlds.daily import ASSETS, AT_NIFTY, N_SHARES, DailyModel
from tradetui.simulator.worlds.inference import MasterRow, expiry_ms, to_instrument

F64 = NDArray[np.float64]

_TUESDAY = 1
_PAISE = 100.0
_STRIKES_BESIDE, _FAR_EVERY = 8, 2
_FUTURE_TOKENS, _OPTION_TOKENS = 36_000, 40_000
_CASH_FREEZE = 100_000.0


@dataclass(frozen=True, slots=True)
class Contract:
    """A derivative: what it is written on, until when, at what strike.

    Attributes:
        asset: Column of the underlying in `ASSETS`.
        expiry: Last trading day.
        strike: Rupees; 0 for a future.
        is_call: A call option.
    """

    asset: int
    expiry: date
    strike: float = 0.0
    is_call: bool = False

    @property
    def is_option(self) -> bool:
        """Whether it is an option."""
        return self.strike > 0


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything listed on a day. Columns run over ``rows``: the assets first, then futures, then options.

    Attributes:
        day: The session.
        rows: Instrument file rows.
        instruments: The same, read.
        contracts: Futures and options, in order; row ``len(ASSETS) + i`` is ``contracts[i]``.
        segments: Timetable class of each row.
        tick: Price step, rupees.
        lot: Quantity step, units.
        at: Row by instrument key.
        quiet_rows: Rows of instruments that are listed and never trade.
    """

    day: date
    rows: Sequence[MasterRow]
    instruments: Sequence[Instrument]
    contracts: Sequence[Contract]
    segments: Sequence[Segment]
    tick: F64
    lot: NDArray[np.int64]
    at: dict[str, int]
    quiet_rows: Sequence[MasterRow]


def make_listing(model: DailyModel, day: date) -> Listing:
    """List shares, indices, futures and options for a session.

    Strikes are added as the index moves and stay until they expire.

    Raises:
        KeyError: There is no session on that day.
    """
    rows: list[MasterRow] = [
        _share_row(company, model.tick_of_share(at, day)) for at, company in enumerate(COMPANIES)
    ]
    rows += [_index_row(index) for index in INDICES]
    segments = [Segment.EQ_FNO_UNDERLYING if company.lot else Segment.EQ_OTHER for company in COMPANIES]
    # The last of them is the volatility index, which keeps the hours of options.
    segments += [Segment.INDEX] * (len(INDICES) - 1) + [Segment.INDEX_VOLATILITY]
    contracts = contracts_on(model, day)
    for contract in contracts:
        rows.append(contract_row(model, contract, day))
        segments.append(_segment_of(contract, day))
    return Listing(
        day=day,
        rows=rows,
        instruments=[to_instrument(row) for row in rows],
        contracts=contracts,
        segments=segments,
        tick=np.array([row.get("tick_size", 5.0) / _PAISE for row in rows]),
        lot=np.array([row.get("lot_size", 1) for row in rows], np.int64),
        at={row["instrument_key"]: at for at, row in enumerate(rows)},
        quiet_rows=_quiet_rows(day),
    )


def contracts_on(model: DailyModel, day: date) -> list[Contract]:
    """Futures, then options, that are listed on a day."""
    return [*_futures(model, day), *_options(model, day)]


def _share_row(company: Company, tick: float) -> MasterRow:
    row: MasterRow = {
        "segment": "NSE_EQ", "name": company.name, "exchange": "NSE", "isin": company.isin,
        "instrument_type": company.series, "instrument_key": company.key, "lot_size": 1,
        "freeze_quantity": _CASH_FREEZE, "exchange_token": company.token, "tick_size": round(tick * _PAISE, 2),
        "trading_symbol": company.symbol, "short_name": company.short_name, "security_type": "NORMAL",
        "qty_multiplier": 1.0,
    }  # fmt: skip
    return row | {"cas_eligible": True} if company.lot else row


def _index_row(index: Index) -> MasterRow:
    return {
        "segment": "NSE_INDEX", "name": index.name, "exchange": "NSE", "instrument_type": "INDEX",
        "instrument_key": index.key, "exchange_token": index.token, "trading_symbol": index.symbol,
    }  # fmt: skip


def _futures(model: DailyModel, day: date) -> list[Contract]:
    calendar = model.calendar
    near = next_monthly_expiry(calendar, day, _TUESDAY)
    after = next_monthly_expiry(calendar, near + timedelta(days=1), _TUESDAY)
    shares = [at for at, company in enumerate(COMPANIES) if company.symbol in STOCK_FUTURES]
    return [
        Contract(AT_NIFTY, near),
        Contract(AT_NIFTY, after),
        Contract(AT_NIFTY + 1, near),
        *(Contract(at, near) for at in shares),
    ]


def _options(model: DailyModel, day: date) -> list[Contract]:
    near = next_weekly_expiry(model.calendar, day, _TUESDAY)
    far = next_weekly_expiry(model.calendar, near + timedelta(days=1), _TUESDAY)
    step = INDICES[0].strike_step
    contracts = []
    for expiry, every in ((near, 1), (far, _FAR_EVERY)):
        middles = [round(close / step) for close in _closes_since_listing(model, expiry, day)]
        low, high = -(-min(middles) // every) * every, max(middles) // every * every
        strikes = range(low - _STRIKES_BESIDE, high + _STRIKES_BESIDE + 1, every)
        contracts += [
            Contract(AT_NIFTY, expiry, float(strike * step), is_call)
            for strike in strikes
            for is_call in (True, False)
        ]
    return contracts


def _closes_since_listing(model: DailyModel, expiry: date, day: date) -> list[float]:
    """Index closes that strikes were listed around: a week's options appear two expiries ahead."""
    nominal = expiry + timedelta(days=(_TUESDAY - expiry.weekday()) % 7)
    appeared = shift_expiry(model.calendar, nominal - timedelta(days=14))
    last = bisect_left(model.days, day)
    first = bisect_left(model.days, appeared)
    return [float(close) for close in model.close[max(0, min(first, last - 1)) : max(1, last), AT_NIFTY]]


def _segment_of(contract: Contract, day: date) -> Segment:
    on_index = contract.asset >= N_SHARES
    if contract.is_option:
        return Segment.FNO_EXPIRING_INDEX if on_index and contract.expiry == day else Segment.FNO
    if on_index and contract.expiry == day:
        return Segment.FNO_EXPIRING_INDEX_FUTURE
    return Segment.FNO_NEAR_FUTURE


def contract_row(model: DailyModel, contract: Contract, day: date) -> MasterRow:
    """The instrument file's row of a contract on a day."""
    on_index = contract.asset >= N_SHARES
    terms: Index | Company = INDICES[contract.asset - N_SHARES] if on_index else COMPANIES[contract.asset]
    when = f"{contract.expiry:%d %b %y}".upper()
    if contract.is_option:
        kind, tick = ("CE" if contract.is_call else "PE"), 5.0
        symbol = f"{terms.symbol} {contract.strike:.0f} {kind} {when}"
    else:
        level = float(model.prices(day).prev_close[contract.asset])
        rupees = index_future_tick(level) if on_index else model.tick_of_share(contract.asset, day)
        kind, tick, symbol = "FUT", round(rupees * _PAISE, 2), f"{terms.symbol} FUT {when}"
    token = str(_token(contract))
    return {
        "weekly": contract.is_option and next_monthly_expiry(model.calendar, contract.expiry, _TUESDAY) != contract.expiry,
        "segment": "NSE_FO", "name": terms.symbol, "exchange": "NSE", "expiry": expiry_ms(contract.expiry),
        "instrument_type": kind, "asset_symbol": terms.symbol, "underlying_symbol": terms.symbol,
        "instrument_key": f"NSE_FO|{token}", "lot_size": terms.lot, "freeze_quantity": terms.freeze,
        "exchange_token": token, "minimum_lot": terms.lot, "asset_key": ASSETS[contract.asset],
        "underlying_key": ASSETS[contract.asset], "tick_size": tick, "strike_price": contract.strike,
        "asset_type": "INDEX" if on_index else "EQUITY", "underlying_type": "INDEX" if on_index else "EQUITY",
        "trading_symbol": symbol, "qty_multiplier": 1.0,
    }  # fmt: skip


def _token(contract: Contract) -> int:
    """An exchange token: unique among live contracts, reused after expiry as the exchange does."""
    if not contract.is_option:
        return _FUTURE_TOKENS + contract.expiry.month % 3 * 500 + contract.asset
    week = contract.expiry.toordinal() // 7 % 8
    return _OPTION_TOKENS + week * 2_000 + int(contract.strike) // 50 % 1_000 * 2 + (not contract.is_call)


def _quiet_rows(day: date) -> list[MasterRow]:
    """Listed, known to the instrument file, and never traded: other segments and a trade-for-trade series."""
    expiry = expiry_ms(date(day.year, 12, 31))

    def contract(segment: str, token: str, symbol: str, kind: str, **more: Any) -> MasterRow:
        return {
            "weekly": False, "segment": segment, "name": symbol.split(maxsplit=1)[0], "exchange": segment[:3],
            "expiry": expiry, "instrument_type": kind, "asset_symbol": symbol.split(maxsplit=1)[0],
            "underlying_symbol": symbol.split(maxsplit=1)[0], "instrument_key": f"{segment}|{token}", "lot_size": 1,
            "minimum_lot": 1, "exchange_token": token, "trading_symbol": symbol, "strike_price": 0.0, **more,
        }  # fmt: skip

    year = f"{day:%y}"
    return [
        {"segment": "BSE_EQ", "name": "RELIANCE INDUSTRIES LTD.", "exchange": "BSE", "isin": "INE002A01018",
         "instrument_type": "A", "instrument_key": "BSE_EQ|INE002A01018", "lot_size": 1, "freeze_quantity": _CASH_FREEZE,
         "exchange_token": "500325", "tick_size": 5.0, "trading_symbol": "RELIANCE", "qty_multiplier": 1.0},
        {"segment": "BSE_INDEX", "name": "SENSEX", "exchange": "BSE", "instrument_type": "INDEX",
         "instrument_key": "BSE_INDEX|SENSEX", "exchange_token": "1", "trading_symbol": "SENSEX"},
        contract("BSE_FO", "1101001", f"SENSEX FUT 31 DEC {year}", "FUT", lot_size=20, minimum_lot=20,
                 freeze_quantity=1000.0, tick_size=5.0, qty_multiplier=1.0, underlying_key="BSE_INDEX|SENSEX",
                 underlying_type="INDEX", asset_key="BSE_INDEX|SENSEX", asset_type="INDEX", exchange="BSE"),
        contract("NCD_FO", "14001", f"USDINR FUT 31 DEC {year}", "FUT", freeze_quantity=10_000.0, tick_size=0.25,
                 qty_multiplier=1000.0, underlying_type="CUR", asset_type="CUR", exchange="NSE"),
        contract("MCX_FO", "454801", f"GOLD FUT 31 DEC {year}", "FUT", freeze_quantity=100.0, tick_size=100.0,
                 qty_multiplier=100.0, underlying_type="COM", asset_type="COM", exchange="MCX"),
        contract("NSE_COM", "121801", f"GOLD FUT 31 DEC {year}", "FUT", freeze_quantity=10.0, tick_size=100.0,
                 qty_multiplier=100.0, underlying_type="COM", asset_type="COM", exchange="NSE"),
    ]  # fmt: skip
