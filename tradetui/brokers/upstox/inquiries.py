"""Questions to Upstox that people ask: margins, charges, the kill switch, addresses (`upstox.md` 2.9, 2.12).

Plain asynchronous reads beside the engine's path. The answers are read raw: the SDK's models lose the lines
``other_charges`` and ``dp_plan``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tradetui.brokers.upstox import endpoints as ep
from tradetui.brokers.upstox import parse, reads
from tradetui.brokers.upstox.api import UpstoxApi
from tradetui.domain.errors import TransportError, UsageError
from tradetui.domain.inquiry import ChargesAnswer, LegMargin, MarginAnswer, SegmentLock, StaticIp
from tradetui.domain.money import Money, Price, to_rupees
from tradetui.domain.order import OrderRequest, Product, Side
from tradetui.domain.text import clean

MAX_LEGS: Final = 20
_WAIT_S: Final = 10.0


class UpstoxInquiries:
    """`ports.Inquiries` of an Upstox account.

    Args:
        api: REST interface with a token.
    """

    def __init__(self, api: UpstoxApi) -> None:
        self._api = api

    async def margin(self, requests: Sequence[OrderRequest]) -> MarginAnswer:
        """What orders would block together, after the benefit of legs that hedge each other.

        Raises:
            UsageError: More legs than the broker takes, or none.
            TradeTuiError: The broker refused, or cannot be reached.
        """
        if not 0 < len(requests) <= MAX_LEGS:
            raise UsageError(f"the broker reckons margins of 1 to {MAX_LEGS} legs, not {len(requests)}")
        body = {"instruments": [_leg_body(request) for request in requests]}
        data = await self._map(ep.MARGIN, body=body)
        rows = parse.rows_of(data.get("margins"))
        legs = tuple(_leg_margin(request, row) for request, row in zip(requests, rows, strict=False))
        required, final = parse.money(data.get("required_margin")), parse.money(data.get("final_margin"))
        if required is None or len(legs) != len(requests):
            raise TransportError("the broker's answer about margins makes no sense", "Try again later")
        return MarginAnswer(legs, required, required if final is None else final)

    async def charges(
        self, instrument_key: str, qty: int, product: Product, side: Side, price: Price
    ) -> ChargesAnswer:
        """What one executed order would cost.

        Raises:
            TradeTuiError: The broker refused, or cannot be reached.
        """
        query = [
            ("instrument_token", instrument_key),
            ("quantity", str(qty)),
            ("product", product.value),
            ("transaction_type", side.value),
            ("price", str(to_rupees(price))),
        ]
        charges = _at(await self._map(ep.BROKERAGE, query=query), "charges")
        taxes, other, plan = (_at(charges, name) for name in ("taxes", "other_charges", "dp_plan"))
        total = parse.money(charges.get("total"))
        if total is None:
            raise TransportError("the broker's answer about charges makes no sense", "Try again later")
        return ChargesAnswer(
            total=total,
            brokerage=_money(charges, "brokerage"),
            gst=_money(taxes, "gst"),
            stt=_money(taxes, "stt"),
            stamp=_money(taxes, "stamp_duty"),
            transaction=_money(other, "transaction"),
            clearing=_money(other, "clearing"),
            ipft=_money(other, "ipft"),
            sebi=_money(other, "sebi_turnover"),
            dp_plan=clean(plan.get("name"), 60),
            dp_min=_money(plan, "min_expense"),
        )

    async def kill_switch(self) -> tuple[SegmentLock, ...]:
        """Which segments the account's own kill switch has closed.

        Raises:
            TradeTuiError: The broker refused, or cannot be reached.
        """
        return _locks((await self._api.call(ep.KILL_SWITCH, max_wait_s=_WAIT_S)).data)

    async def set_kill_switch(self, segment: str, on: bool) -> tuple[SegmentLock, ...]:
        """Close a segment (``on``), or open it again. No panic button: see the refusals in `errors`.

        Closing needs flat positions, cancels what is open there, and holds for 12 hours.

        Raises:
            OutcomeUnknown: The answer got lost: ask `kill_switch`.
            TradeTuiError: The broker refused, or cannot be reached.
        """
        # The broker's words are about trading in the segment: DISABLE stops it.
        body = [{"segment": segment, "action": "DISABLE" if on else "ENABLE"}]
        return _locks((await self._api.call(ep.SET_KILL_SWITCH, body=body, max_wait_s=_WAIT_S)).data)

    async def static_ip(self) -> StaticIp:
        """The addresses from which the broker takes orders.

        Raises:
            TradeTuiError: The broker refused, or cannot be reached.
        """
        return await reads.user_ip(self._api)

    async def _map(self, endpoint: ep.Endpoint, **ask: Any) -> Mapping[str, Any]:
        data = (await self._api.call(endpoint, max_wait_s=_WAIT_S, **ask)).data
        return data if isinstance(data, Mapping) else {}


def _leg_body(request: OrderRequest) -> dict[str, Any]:
    body: dict[str, Any] = {
        "instrument_key": request.instrument_key,
        "quantity": request.qty,
        "product": request.product.value,
        "transaction_type": request.side.value,
    }
    if request.price:
        body["price"] = to_rupees(request.price)
    return body


def _leg_margin(request: OrderRequest, row: Mapping[str, Any]) -> LegMargin:
    return LegMargin(
        request.instrument_key,
        _money(row, "total_margin"),
        _money(row, "span_margin"),
        _money(row, "exposure_margin"),
        _money(row, "equity_margin"),
        _money(row, "net_buy_premium"),
        _money(row, "additional_margin"),
        _money(row, "tender_margin"),
    )


def _locks(data: object) -> tuple[SegmentLock, ...]:
    return tuple(
        SegmentLock(
            clean(row.get("segment"), 20),
            str(row.get("segment_status")).upper() == "ACTIVE",
            row.get("kill_switch_enabled") is True,
        )
        for row in parse.rows_of(data)
        if row.get("segment")
    )


def _money(row: Mapping[str, Any], name: str) -> Money:
    return parse.money(row.get(name)) or Money(0)


def _at(row: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = row.get(name)
    return found if isinstance(found, Mapping) else {}
