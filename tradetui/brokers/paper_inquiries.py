"""Questions to the paper account: reckoned here, and labelled as estimates."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tradetui.domain import margin
from tradetui.domain.calendar import ist_date
from tradetui.domain.charges import BrokerPlan, Leg, charge_class, estimate
from tradetui.domain.errors import UnknownInstrument, UsageError
from tradetui.domain.inquiry import ChargesAnswer, LegMargin, MarginAnswer, SegmentLock, StaticIp
from tradetui.domain.instrument import Instrument
from tradetui.domain.money import Money, Price
from tradetui.domain.order import OrderRequest, Product, Side


class PaperInquiries:
    """`ports.Inquiries` of an account that no broker knows.

    Args:
        instrument: Key to terms.
        last: Key to the last price; ``None`` when it is not known.
        plan: What a broker would charge.
        now_ns: Engine time.
    """

    def __init__(
        self,
        instrument: Callable[[str], Instrument | None],
        last: Callable[[str], Price | None],
        plan: BrokerPlan,
        now_ns: Callable[[], int],
    ) -> None:
        self._instrument = instrument
        self._last = last
        self._plan = plan
        self._now_ns = now_ns

    async def margin(self, requests: Sequence[OrderRequest]) -> MarginAnswer:
        """The sum of what the legs are likely to block; no benefit of a hedge is reckoned.

        Raises:
            UnknownInstrument: An instrument is not known.
            UsageError: A market order in something whose price is not known.
        """
        legs = tuple(self._leg(one) for one in requests)
        total = Money(sum(leg.total for leg in legs))
        return MarginAnswer(legs, total, total, estimate=True)

    async def charges(
        self, instrument_key: str, qty: int, product: Product, side: Side, price: Price
    ) -> ChargesAnswer:
        """What one executed order would cost, by the shipped schedule.

        Raises:
            UnknownInstrument: The instrument is not known.
            RateUnknown: A rate is not known for that venue, kind and date.
        """
        instrument = self._known(instrument_key)
        lines = estimate(
            Leg(
                venue=instrument.exchange,
                kind=charge_class(instrument, product),
                side=side,
                qty=qty,
                price=price,
                day=ist_date(self._now_ns()),
                multiplier=instrument.multiplier,
                underlying=instrument.name,
                security=instrument.key,
            ),
            self._plan,
        )
        return ChargesAnswer(
            total=Money(lines.total - lines.dp),
            brokerage=lines.brokerage,
            gst=lines.gst,
            stt=lines.stt,
            stamp=lines.stamp,
            transaction=lines.exchange_txn,
            sebi=lines.sebi,
            dp_plan=self._plan.name if lines.dp else "",
            dp_min=lines.dp,
            estimate=True,
        )

    async def kill_switch(self) -> tuple[SegmentLock, ...]:
        """None: there is no broker that could lock anything."""
        return ()

    async def set_kill_switch(self, segment: str, on: bool) -> tuple[SegmentLock, ...]:
        """Refused.

        Raises:
            UsageError: Always.
        """
        raise UsageError(
            "a paper account has no kill switch at a broker", "To stop trading here: tradetui kill"
        )

    async def static_ip(self) -> StaticIp:
        """None: no order leaves the process."""
        return StaticIp("", "")

    def _leg(self, one: OrderRequest) -> LegMargin:
        instrument = self._known(one.instrument_key)
        price = one.price or one.trigger_price or self._last(one.instrument_key)
        if not price:
            raise UsageError(f"no price of {instrument.symbol} is known yet", "Give a price")
        return LegMargin(
            one.instrument_key, margin.estimate(instrument, one.product, one.side, one.qty, Price(price))
        )

    def _known(self, key: str) -> Instrument:
        found = self._instrument(key)
        if found is None:
            raise UnknownInstrument(f"{key} is not among the instruments of this run")
        return found
