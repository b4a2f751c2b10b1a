"""Slices of an order above the exchange's freeze quantity (`india-markets.md` 2.3)."""

from __future__ import annotations

from dataclasses import replace

from tradetui.domain.instrument import Instrument
from tradetui.domain.order import OrderRequest


def slices_of(request: OrderRequest, instrument: Instrument | None) -> tuple[OrderRequest, ...]:
    """A request as orders of at most the freeze quantity in whole lots; itself when it fits into one.

    The first slice carries the client id, so that one review sends at most one parent.
    """
    most = instrument.max_order_qty if instrument else 0
    if not most or request.qty <= most:
        return (request,)
    whole, rest = divmod(request.qty, most)
    sizes = [most] * whole + ([rest] if rest else [])
    return tuple(
        replace(
            request,
            qty=qty,
            client_id="" if number else request.client_id,
            # The exchange wants a tenth of each order disclosed, not of the parent.
            disclosed_qty=min(qty, request.disclosed_qty),
        )
        for number, qty in enumerate(sizes)
    )
