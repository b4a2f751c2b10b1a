"""Exchange values as Upstox's JSON objects (`upstox.md` 2.7, 2.8, 4); shared by REST and portfolio stream."""

from __future__ import annotations

from typing import Any

from tradetui.domain.calendar import ist_datetime
from tradetui.domain.events import Holding
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import to_rupees
from tradetui.domain.order import Product
from tradetui.exchange.days import DayFigures
from tradetui.exchange.orders import OrderState, RawStatus, Trade
from tradetui.simulator.tokens import USER_ID

_EXCHANGE_WORDS = {
    # Orders name an exchange where keys name a segment (`upstox.md` 2.2).
    "NSE_EQ": "NSE",
    "NSE_FO": "NFO",
    "NCD_FO": "CDS",
    "NSE_COM": "NSCOM",
    "BSE_EQ": "BSE",
    "BSE_FO": "BFO",
    "BCD_FO": "BCD",
    "MCX_FO": "MCX",
}
_LONG_FORMAT = "%Y-%m-%d %H:%M:%S"
_NAMED_MONTH_FORMAT = "%d-%b-%Y %H:%M:%S"
_HAIRCUT = 0.2
_CANCELLED = (RawStatus.CANCELLED, RawStatus.AMO_CANCELLED)


def exchange_word(instrument: Instrument) -> str:
    """The exchange as orders and positions name it: ``NSE``, ``NFO``."""
    return _EXCHANGE_WORDS.get(instrument.segment, instrument.exchange)


def stamp(t_ns: int) -> str | None:
    """``YYYY-MM-DD HH:MM:SS`` in IST without a zone; None for no time."""
    return ist_datetime(t_ns).strftime(_LONG_FORMAT) if t_ns else None


def order_row(order: OrderState, instrument: Instrument) -> dict[str, Any]:
    """An order of book and details."""
    return {
        **step_row(order, instrument),
        "guid": None,
        "pending_quantity": order.remaining if order.status in _CANCELLED else order.pending_qty,
        "status_message_raw": order.message or None,
        "order_ref_id": f"udapi-{order.order_id}",
    }


def step_row(order: OrderState, instrument: Instrument) -> dict[str, Any]:
    """One line of an order's history."""
    request = order.request
    return {
        "exchange": exchange_word(instrument),
        "product": request.product.value,
        "price": to_rupees(request.price),
        "quantity": request.qty,
        "status": order.status.value,
        "tag": order.tag or None,
        "instrument_token": order.key,
        "placed_by": order.placed_by or USER_ID,
        "trading_symbol": instrument.symbol,
        "tradingsymbol": instrument.symbol,
        "order_type": request.order_type.value,
        "validity": request.validity.value,
        "trigger_price": to_rupees(request.trigger_price),
        "disclosed_quantity": request.disclosed_qty,
        "transaction_type": request.side.value,
        "average_price": to_rupees(order.average_price),
        "filled_quantity": order.filled_qty,
        "status_message": order.message or None,
        "exchange_order_id": order.exchange_order_id,
        "parent_order_id": None,
        "order_id": order.order_id,
        "variety": "AMO" if order.after_market else "SIMPLE",
        "order_timestamp": stamp(order.updated_ns),
        "exchange_timestamp": stamp(order.exchange_ns),
        "is_amo": order.after_market,
        "order_request_id": str(order.requests),
    }


def order_update(order: OrderState, instrument: Instrument) -> dict[str, Any]:
    """An ``order`` frame of the portfolio stream."""
    return {
        "update_type": "order",
        "user_id": USER_ID,
        "userId": USER_ID,
        "instrument_key": order.key,
        **order_row(order, instrument),
        "status_message": order.message,
    }


def trade_row(trade: Trade, instrument: Instrument, *, named_month: bool) -> dict[str, Any]:
    """One fill. The two endpoints write its time in two ways; clients must read both."""
    moment = ist_datetime(trade.t_ns).strftime(_NAMED_MONTH_FORMAT if named_month else _LONG_FORMAT)
    return {
        "exchange": exchange_word(instrument),
        "product": trade.product.value,
        "trading_symbol": instrument.symbol,
        "tradingsymbol": instrument.symbol,
        "instrument_token": trade.instrument_key,
        "order_type": trade.order_type.value,
        "transaction_type": trade.side.value,
        "quantity": trade.qty,
        "exchange_order_id": trade.exchange_order_id,
        "order_id": trade.order_id,
        "exchange_timestamp": moment,
        "average_price": to_rupees(trade.price),
        "trade_id": trade.trade_id,
        "order_ref_id": f"udapi-{trade.order_id}",
        "order_timestamp": moment,
    }


def _day_figures(figures: DayFigures) -> dict[str, Any]:
    """What a position bought and sold: today, and what was carried at its cost."""
    position, multiplier = figures.position, figures.position.multiplier
    overnight = to_rupees(figures.overnight_value)
    carried_buy, carried_sell = max(0, figures.overnight_qty), max(0, -figures.overnight_qty)
    day_buy, day_sell = to_rupees(figures.buy_value), to_rupees(figures.sell_value)
    buy_value, sell_value = max(0.0, overnight) + day_buy, max(0.0, -overnight) + day_sell
    return {
        "quantity": position.qty,
        "average_price": to_rupees(position.average_price),
        "buy_price": _per_unit(buy_value, carried_buy + figures.buy_qty, multiplier),
        "sell_price": _per_unit(sell_value, carried_sell + figures.sell_qty, multiplier),
        "buy_value": buy_value,
        "sell_value": sell_value,
        "day_buy_quantity": figures.buy_qty,
        "day_buy_price": _per_unit(day_buy, figures.buy_qty, multiplier),
        "day_buy_value": day_buy,
        "day_sell_quantity": figures.sell_qty,
        "day_sell_price": _per_unit(day_sell, figures.sell_qty, multiplier),
        "day_sell_value": day_sell,
        "overnight_quantity": figures.overnight_qty,
        "overnight_buy_quantity": carried_buy,
        "overnight_buy_amount": max(0.0, overnight),
        "overnight_sell_quantity": carried_sell,
        "overnight_sell_amount": max(0.0, -overnight),
    }


def _per_unit(value: float, qty: int, multiplier: int) -> float:
    return round(value / qty / multiplier, 4) if qty else 0.0


def position_row(figures: DayFigures, instrument: Instrument, last: float, close: float) -> dict[str, Any]:
    """A position, closed ones included. ``last`` and ``close`` in rupees.

    Profit is the day's: what was carried counts from the previous close (`india-markets.md` 12). The
    documentation's sample of MTF positions counts theirs from the entry.
    """
    position = figures.position
    basis = position if position.product is Product.MTF else figures.today
    realised = to_rupees(basis.realised)
    unrealised = round(basis.qty * last * position.multiplier - to_rupees(basis.cost), 4)
    return {
        "exchange": exchange_word(instrument),
        "multiplier": float(position.multiplier),
        "value": to_rupees(position.cost),
        "pnl": round(realised + unrealised, 4),
        "product": position.product.value,
        "instrument_token": position.instrument_key,
        "last_price": last,
        "close_price": close,
        "unrealised": unrealised,
        "realised": realised,
        "trading_symbol": instrument.symbol,
        "tradingsymbol": instrument.symbol,
        **_day_figures(figures),
    }


def position_update(figures: DayFigures, instrument: Instrument) -> dict[str, Any]:
    """A ``position`` frame: no prices of the market, and a segment where REST has an exchange."""
    position = figures.position
    return {
        "update_type": "position",
        "instrument_token": position.instrument_key,
        "instrument_key": position.instrument_key,
        "exchange": instrument.segment,
        "product": position.product.value,
        "multiplier": position.multiplier,
        **_day_figures(figures),
    }


def _demat(holding: Holding, instrument: Instrument) -> dict[str, Any]:
    return {
        "isin": instrument.isin,
        "company_name": instrument.name,
        "exchange": exchange_word(instrument),
        "product": "D",
        "instrument_token": holding.instrument_key,
        "quantity": holding.qty,
        "t1_quantity": holding.t1_qty,
        "cnc_used_quantity": holding.used_qty,
        "average_price": to_rupees(holding.average_price),
        "collateral_type": "WC",
        "collateral_quantity": 0,
        "collateral_update_quantity": 0,
        "haircut": _HAIRCUT,
    }


def holding_row(holding: Holding, instrument: Instrument, last: float, close: float) -> dict[str, Any]:
    """Shares in the demat account. ``last`` and ``close`` in rupees."""
    change = last - close if close else 0.0
    paid = to_rupees(holding.average_price)
    return {
        **_demat(holding, instrument),
        "trading_symbol": instrument.symbol,
        "tradingsymbol": instrument.symbol,
        "last_price": last,
        "close_price": close,
        "pnl": round((last - paid) * (holding.qty + holding.t1_qty), 4),
        "day_change": round(change, 4),
        "day_change_percentage": round(100 * change / close, 4) if close else 0.0,
    }


def holding_update(holding: Holding, instrument: Instrument) -> dict[str, Any]:
    """A ``holding`` frame: no price and no profit."""
    return {
        "update_type": "holding",
        "instrument_key": holding.instrument_key,
        **_demat(holding, instrument),
    }
