"""Reading order bodies: types, words and missing fields, before the exchange judges the order itself."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from tradetui.domain.errors import DomainError
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Price, to_price
from tradetui.domain.order import OrderRequest, OrderType, Product, Side, Validity
from tradetui.exchange.orders import Amendment, OrderState
from tradetui.simulator.rest.envelope import ApiError
from tradetui.simulator.rest.keys import one_key

_ORDER_ID = re.compile(r"^[-a-zA-Z0-9]{1,64}$")
MAX_SLICES = 25
"""Children of one sliced order (`upstox.md` 2.4)."""

Body = Mapping[str, Any]
_Word = TypeVar("_Word", bound=StrEnum)


def read_place(body: Body, listed: Mapping[str, Instrument]) -> tuple[Instrument, OrderRequest, str]:
    """Instrument, terms and tag of a place body.

    Raises:
        ApiError: A field is missing, of the wrong type, or no word of the protocol.
    """
    key = body.get("instrument_token")
    if not isinstance(key, str) or not key:
        raise ApiError("UDAPI1026", property_path="instrument_token", invalid_value=key)
    instrument = one_key(key, listed, malformed="UDAPI1011")
    qty = read_whole(body, "quantity", missing="UDAPI1064")
    if qty <= 0:
        raise ApiError("UDAPI1052", property_path="quantity", invalid_value=qty)
    if not isinstance(body.get("is_amo"), bool):
        # Must be sent although the server decides by the clock.
        raise ApiError("UDAPI1063", property_path="is_amo", invalid_value=body.get("is_amo"))
    tag = body.get("tag") or ""
    if not isinstance(tag, str):
        raise ApiError("UDAPI100036", property_path="tag", invalid_value=tag)
    request = OrderRequest(
        instrument_key=key,
        side=read_word(Side, body, "transaction_type", "UDAPI1057"),
        qty=qty,
        product=read_word(Product, body, "product", "UDAPI1054"),
        order_type=read_word(OrderType, body, "order_type", "UDAPI1004"),
        price=read_price(body, "price", missing="UDAPI1061"),
        trigger_price=read_price(body, "trigger_price", missing="UDAPI1060"),
        validity=read_word(Validity, body, "validity", "UDAPI1007"),
        disclosed_qty=read_whole(body, "disclosed_quantity", missing="UDAPI1062"),
        protection_pct=read_protection(body, default=0),
    )
    return instrument, request, tag


def read_modify(body: Body, order: OrderState) -> Amendment:
    """New terms of an order; what the body leaves out stays as it is.

    Raises:
        ApiError: A field is of the wrong type or no word of the protocol.
    """
    now = order.request
    full: dict[str, Any] = {
        "quantity": now.qty,
        "disclosed_quantity": now.disclosed_qty,
        "order_type": now.order_type.value,
        "validity": now.validity.value,
        "price": now.price / 10_000,
        "trigger_price": now.trigger_price / 10_000,
    }
    full.update({name: value for name, value in body.items() if value is not None})
    return Amendment(
        qty=read_whole(full, "quantity", missing="UDAPI1064"),
        price=read_price(full, "price", missing="UDAPI1061"),
        trigger_price=read_price(full, "trigger_price", missing="UDAPI1060"),
        order_type=read_word(OrderType, full, "order_type", "UDAPI1004"),
        validity=read_word(Validity, full, "validity", "UDAPI1007"),
        disclosed_qty=read_whole(full, "disclosed_quantity", missing="UDAPI1062"),
        protection_pct=read_protection(full, default=now.protection_pct),
    )


def read_order_id(value: object, missing: str) -> str:
    """An order id.

    Raises:
        ApiError: There is none (``missing``), or it is malformed.
    """
    if value is None or value == "":
        raise ApiError(missing, message="The 'order_id' is required", property_path="order_id")
    if not isinstance(value, str) or not _ORDER_ID.match(value):
        raise ApiError("UDAPI1023", property_path="order_id", invalid_value=value)
    return value


def slices_of(instrument: Instrument, qty: int) -> list[int]:
    """Quantities of the children of a sliced order: whole lots, each within the freeze quantity.

    Raises:
        ApiError: It takes more than 25 children.
    """
    parts = parts_of(instrument, qty)
    if len(parts) > MAX_SLICES:
        raise ApiError("UDAPI1118", property_path="quantity", invalid_value=qty)
    return parts


def parts_of(instrument: Instrument, qty: int) -> list[int]:
    """``qty`` in parts of at most the freeze quantity, in whole lots."""
    most = instrument.max_order_qty
    if not most or qty <= most:
        return [qty]
    count = -(-qty // most)
    return [most] * (count - 1) + [qty - most * (count - 1)]


def read_word(kind: type[_Word], body: Body, name: str, code: str) -> _Word:
    """A word of the protocol.

    Raises:
        ApiError: It is none (``code``).
    """
    value = body.get(name)
    try:
        return kind(str(value))
    except ValueError as error:
        raise ApiError(code, property_path=name, invalid_value=value) from error


def read_whole(body: Body, name: str, *, missing: str) -> int:
    """A whole number.

    Raises:
        ApiError: It is missing (``missing``) or no whole number.
    """
    value = body.get(name)
    if value is None:
        raise ApiError(missing, property_path=name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not float(value).is_integer():
        raise ApiError("UDAPI100036", property_path=name, invalid_value=value)
    return int(value)


def read_price(body: Body, name: str, *, missing: str) -> Price:
    """A price in rupees, 0 included.

    Raises:
        ApiError: There is none (``missing``), or it is no price.
    """
    """A price in rupees, 0 included.

    Raises:
        ApiError: It is missing (``missing``) or no price.
    """
    value = body.get(name)
    if value is None:
        raise ApiError(missing, property_path=name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise ApiError("UDAPI100036", property_path=name, invalid_value=value)
    try:
        return to_price(value)
    except DomainError as error:
        raise ApiError("UDAPI100036", property_path=name, invalid_value=str(value)) from error


def read_protection(body: Body, *, default: int) -> int:
    """Market protection in whole percent; a fraction of a percent counts as the next whole one."""
    value = body.get("market_protection")
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ApiError("UDAPI1159", property_path="market_protection", invalid_value=str(value))
    return math.ceil(value)
