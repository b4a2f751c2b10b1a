"""Acts on what exists already: changing orders, exit plans, GTTs, conversions, limits. All go through the desk.

What could add risk is put under review first, like a ticket: painted, read, then sent with the send key.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tradetui.domain.exit_plan import ExitPlan
from tradetui.domain.order import Order, OrderRequest, OrderStatus, OrderType, Product, Side
from tradetui.domain.text import clean
from tradetui.domain.view import InstrumentRow, PositionRow, Snapshot
from tradetui.tui import fmt, words
from tradetui.tui import ticket as tk
from tradetui.tui.layout import Pane
from tradetui.tui.operate import Operator
from tradetui.tui.panes.ticket_view import sentence
from tradetui.tui.state import Confirm, Ui, UiMode, name_of

MANAGED = frozenset({"exit all", "cancel all", "square-off", "plan", "convert", "gtt", "limit", "basket"})
"""Commands that `Manager.run` does."""
_PRODUCTS = {"delivery": Product.DELIVERY, "mtf": Product.MTF}


class Manager:
    """Actions on working orders and open positions.

    Args:
        ui: State of the screen.
        operator: Opens tickets, knows positions and two-step acts.
        live: The newest snapshot.
        say: Puts a notice on the screen.
    """

    def __init__(
        self, ui: Ui, operator: Operator, live: Callable[[], Snapshot], say: Callable[..., None]
    ) -> None:
        self.ui = ui
        self._operator = operator
        self._desk = operator.desk
        self._live = live
        self._say = say
        self._reviewed: dict[str, Callable[[str], None]] = {
            "convert": self.convert,
            "gtt": self.gtt,
            "limit": self.limit,
            "basket": self.basket,
        }

    def run(self, verb: str, rest: str, now_ms: int) -> None:
        """Do a typed command."""
        if verb == "exit all":
            self.exit_all(rest, now_ms)
        elif verb == "cancel all":
            self.cancel_everything(rest == "with stops", now_ms)
        elif verb == "square-off":
            self.square_off_ok()
        elif verb == "plan":
            self.protect(rest, now_ms)
        else:
            self._reviewed[verb](rest)

    # --- orders ---------------------------------------------------------------------------------------

    def edit(self, now_ms: int) -> None:
        """Change the order under the cursor: a ticket with its terms, reviewed and sent like a new one."""
        order = self._marked()
        if order is None:
            return
        if order.status not in (OrderStatus.OPEN, OrderStatus.TRIGGER_PENDING, OrderStatus.PENDING):
            self._say(f"that order is {order.status.value}: it cannot be changed", "WARNING")
            return
        instrument = self._operator.terms(order.request.instrument_key)
        if instrument is None:
            return
        ticket = self._operator.open_ticket(instrument, order.request.side, "", now_ms)
        self.ui.ticket = tk.changing(ticket, order)

    def _marked(self) -> Order | None:
        live = self._live()
        working = [order for order in live.orders if order.status.working]
        mark = self.ui.cursors.get(Pane.ORDERS, "")
        found = next((order for order in live.orders if order.tag == mark), None)
        if found is None and len(working) == 1:
            found = working[0]
        if found is None:
            self.ui.look_at(Pane.ORDERS)
            self._say("mark an order in pane 6 first" if working else "no order is open")
        return found

    def cancel_last(self, now_ms: int) -> None:
        """Cancel the order that was sent last, if it is still open."""
        del now_ms
        ours = [o for o in self._live().orders if not o.foreign and not o.request.is_exit]
        newest = max(ours, key=lambda order: order.created_ns, default=None)
        if newest is None or not newest.status.working:
            self._say("the order sent last is not open any more" if newest else "no order was sent")
            return
        name = name_of(self._live(), self.ui, newest.request.instrument_key)
        if self._desk.submit("CANCEL", tag=newest.tag):
            self._say(f"cancelling {newest.request.side.value} {fmt.units(newest.request.qty)} {name}")

    def cancel_everything(self, with_stops: bool, now_ms: int) -> None:
        """Cancel every order of the account, in two steps; protective stops only when named."""
        working = [order for order in self._live().orders if order.status.working]
        if not working:
            self._say("no order is open")
            return
        spared = "protective stops too" if with_stops else "protective stops stay"
        if not self._operator.second("cancel.account", spared, now_ms):
            self._ask_again(f"cancel all {len(working)} orders of the account ({spared})?")
        elif self._desk.submit("CANCEL_ALL", name="with stops" if with_stops else ""):
            self._say(f"cancelling all orders ({spared})")

    def _ask_again(self, question: str) -> None:
        self._say(f"{question} do it again within 5 s", "WARNING", 5000)

    # --- positions ------------------------------------------------------------------------------------

    def exit_all(self, rest: str, now_ms: int) -> None:
        """Close every position, in two steps; delivery and MTF only when named."""
        held = [row for row in self._live().positions if row.qty]
        named = tuple(_PRODUCTS[word] for word in rest.lower().split() if word in _PRODUCTS)
        if not held:
            self._say("no position is open")
            return
        scope = "delivery and MTF stay" if not named else f"with {', '.join(rest.lower().split())}"
        if not self._operator.second("exit.all", scope, now_ms):
            self._ask_again(f"EXIT ALL of {len(held)} positions ({scope})?")
        elif self._desk.submit("EXIT_ALL", include=named, note="exit all"):
            self._say(f"closing positions ({scope})", "WARNING")

    def protect(self, line: str, now_ms: int) -> None:
        """Change the exit plan of the position under the cursor; taking its stop away takes two steps."""
        row = self._operator.position()
        if row is None:
            self._say("no position there: mark one in pane 5", "WARNING")
            return
        plan = words.plan_of(line.split(), row.plan)
        if isinstance(plan, str):
            self._say(plan, "WARNING")
            return
        wrong = _wrong_side(plan, row)
        unprotected = row.plan is not None and bool(row.plan.stop) and not (plan.stop or plan.trail)
        if wrong:
            self._say(wrong, "WARNING")
        elif unprotected and not self._operator.second("unprotect", row.key + row.product, now_ms):
            self._ask_again(f"{row.symbol} would have no stop any more:")
        elif self._desk.submit("PROTECT", instrument_key=row.key, product=Product(row.product), plan=plan):
            said = words.plan_text(plan) or "no exit plan: nothing protects it"
            self._say(f"{row.symbol}: {said}", "INFO" if not plan.empty else "WARNING")

    def convert(self, rest: str) -> None:
        """Put the conversion of a position under review."""
        row = self._operator.position()
        parts = rest.upper().split()
        product = next((one for one in Product if parts[:1] == [one.value]), None)
        units = int(parts[1]) if len(parts) == 2 and parts[1].isdigit() else None
        if row is None or product is None or (len(parts) > 1 and units is None):
            self._say("convert I|D|MTF [QTY], with the cursor on a position", "WARNING")
            return
        qty = min(units or abs(row.qty), abs(row.qty))
        lines = (
            f"convert {fmt.units(qty)} {row.symbol} from {tk.word(Product(row.product))} to {tk.word(product)}",
            "",
            "The broker checks the margin anew: delivery needs the full value.",
            "A protective stop is placed anew for the new product.",
        )
        self._review(
            "Convert", lines, "CONVERT",
            instrument_key=row.key, product=Product(row.product), to_product=product, qty=qty,
        )  # fmt: skip

    # --- GTT, limits ----------------------------------------------------------------------------------

    def gtt(self, rest: str) -> None:
        """Put a typed GTT under review, or cancel one."""
        parts = rest.split()
        if parts[:1] == ["cancel"]:
            self._cancel_gtt(parts[1] if len(parts) > 1 else "")
            return
        instrument = self._operator.terms(self._operator.target_key())
        if instrument is None:
            return
        request = words.gtt_of(parts, instrument.key, instrument.lot, self._operator.client_id())
        if isinstance(request, str):
            self._say(request, "WARNING")
            return
        self._review("GTT", words.gtt_sentences(request, instrument.symbol), "GTT_PLACE", gtt=request)

    def _cancel_gtt(self, name: str) -> None:
        working = [one for one in self._live().gtts if one.status.working]
        # The end of a number is enough where only one GTT ends so.
        found = [one for one in working if name == one.tag or one.gtt_id.endswith(name)]
        if len(found) != 1:
            listed = ", ".join(clean(one.gtt_id or one.tag) for one in working[:4])
            self._say(f"gtt cancel ID; open: {listed or 'none'}", "WARNING")
        elif self._desk.submit("GTT_CANCEL", tag=found[0].tag):
            self._say(f"cancelling GTT {clean(found[0].gtt_id)}")

    def basket(self, rest: str) -> None:
        """Put several typed legs under review as one group."""
        typed = words.legs_of(rest)
        if isinstance(typed, str):
            self._say(typed, "WARNING")
            return
        legs: list[OrderRequest] = []
        lines = [f"basket of {len(typed)} legs, judged together:"]
        for leg in typed:
            row = self._found(leg.symbol)
            if row is None:
                return
            units = words.units_of(leg.qty, max(row.lot, 1)) or 0
            form = OrderType.LIMIT if leg.price else OrderType.MARKET
            legs.append(
                OrderRequest(
                    row.key, leg.side, units, leg.product, form, leg.price,
                    reason="basket", client_id=self._operator.client_id(),
                )
            )  # fmt: skip
            lines.append(f"  {sentence(legs[-1], row.symbol, row.lot)}")
        lines += [
            "",
            "What protects goes first, then what is bought; what is sold waits until the buys have filled.",
            "If one leg is refused before the start, nothing is sent; later it is said, and what protects stays.",
        ]
        self._review("Basket", tuple(lines), "BASKET", basket=tuple(legs))

    def _found(self, symbol: str) -> InstrumentRow | None:
        """An instrument by its symbol, streamed from now on; says so when it is not clear which."""
        hits = list(self._desk.search(symbol, 20))
        exact = [row for row in hits if row.symbol.lower() == symbol.lower()] or (
            hits if len(hits) == 1 else []
        )
        if not exact or not exact[0].tradable:
            could = ", ".join(row.symbol for row in hits[:4])
            self._say(f"{symbol}: {f'could be {could}' if could else 'no such instrument'}", "WARNING")
            return None
        self.ui.known[exact[0].key] = exact[0]
        if exact[0].key not in self.ui.keys:
            self.ui.keys.append(exact[0].key)
        return exact[0]

    def limit(self, rest: str) -> None:
        """Put a change of a risk limit under review."""
        try:
            parts = shlex.split(rest)
            value = float(parts[1])
        except (ValueError, IndexError):
            self._say("limit NAME VALUE REASON, such as: limit daily_loss 2 calmer day", "WARNING")
            return
        reason = " ".join(parts[2:])
        lines = (
            f"limit {parts[0]} becomes {value:g}",
            f"reason: {reason or 'none typed'}",
            "",
            "It is written down.",
        )
        self._review("Limit", lines, "LIMITS", name=parts[0], value=value, note=reason)

    def square_off_ok(self) -> None:
        """Say that the broker's cut-off for intraday positions was looked up."""
        if self._desk.submit("SQUARE_OFF_OK", note="typed"):
            self._say("noted: you have confirmed the square-off time")

    # --- review ---------------------------------------------------------------------------------------

    def _review(self, title: str, lines: tuple[str, ...], kind: str, **fields: Any) -> None:
        if not self._desk.ready:
            self._say(f"trading keys are off: {self._desk.error or 'the engine is still starting'}", "ERROR")
            return
        self.ui.confirm = Confirm(title, lines, kind, fields)
        self.ui.mode = UiMode.CONFIRM

    def review_key(self, action: str, now_ms: int) -> None:
        """A key while something other than a ticket is under review."""
        confirm = self.ui.confirm
        if confirm is None or action == "ticket.drop":
            self.ui.confirm, self.ui.mode = None, UiMode.NORMAL
            self._say("dropped, nothing sent")
            return
        if action != tk.SEND:
            return
        held = confirm.pressed_ms >= 0 and now_ms - confirm.pressed_ms < tk.DEAD_MS
        unread = confirm.painted_ms < 0 or now_ms - confirm.painted_ms < tk.DEAD_MS
        self.ui.confirm = replace(confirm, pressed_ms=now_ms)
        if held or unread:
            self._say("not sent: read the review, then press send once", "WARNING")
            return
        self.ui.confirm, self.ui.mode = None, UiMode.NORMAL
        if self._desk.submit(confirm.kind, **confirm.fields):
            self._say(f"sent: {confirm.lines[0]}")
        else:
            self._say("NOT sent: the engine is not running", "ERROR")


def _wrong_side(plan: ExitPlan, row: PositionRow) -> str:
    """Why a plan cannot belong to a position, in words; empty when it can."""
    if plan.overnight and row.product == Product.INTRADAY.value:
        return "an intraday position does not stay over night: convert it first, :convert D"
    if row.last is None or not row.qty:
        return ""
    last, sign = round(row.last * 10_000), 1 if row.qty > 0 else -1
    side = Side.SELL if row.qty > 0 else Side.BUY
    if plan.stop and (plan.stop - last) * sign >= 0:
        return f"a stop that would {side.value} must lie {'below' if sign > 0 else 'above'} the last price {row.last}"
    if plan.target and (plan.target - last) * sign <= 0:
        return f"a target must lie {'above' if sign > 0 else 'below'} the last price {row.last}"
    return ""
