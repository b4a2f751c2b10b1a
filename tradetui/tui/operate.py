"""Acts that touch the account: tickets, cancels, exits, kill, arming. All go through the desk as events.

Safety rules (`tui.md` b3, `design.md` 9): nothing adds risk without a reviewed ticket; cancels, exits and
kill never need arming; cancelling a protective stop takes two steps; a held key counts once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count

from tradetui.domain.money import Price, to_price
from tradetui.domain.order import Order, OrderStatus, OrderType, Product, Side
from tradetui.domain.view import InstrumentRow, Mode, PositionRow, Snapshot
from tradetui.tui import fmt
from tradetui.tui import ticket as tk
from tradetui.tui.desk import Desk
from tradetui.tui.layout import Pane
from tradetui.tui.navigate import Navigator
from tradetui.tui.state import Pending, Ui, UiMode, name_of, position_id

QUIET_MS = 300
"""A key that sends, exits or cancels is dead until it was left alone this long."""
TWO_STEP_MS = 5000
"""The second step must come within this time."""
_ALONE = "Stops that rest there keep working; targets, trails and times are watched by nobody."
"""What becomes of exit plans without this program."""


class Operator:
    """Actions on orders and positions.

    Args:
        ui: State of the screen.
        desk: The engine.
        navigator: Knows what the cursor is on.
        live: The newest snapshot.
        say: Puts a notice on the screen.
        product: Product that tickets start with.
    """

    def __init__(
        self,
        ui: Ui,
        desk: Desk,
        navigator: Navigator,
        live: Callable[[], Snapshot],
        say: Callable[..., None],
        product: Product = Product.INTRADAY,
    ) -> None:
        self.ui = ui
        self.desk = desk
        self._nav = navigator
        self._live = live
        self._say = say
        self._product = product
        self._ids = count(1)
        self._stem = f"{os.getpid():x}-{os.urandom(4).hex()}"
        self._kill_ms = -TWO_STEP_MS - 1

    def ticket_side(self, side: Side, now_ms: int) -> None:
        """Open a ticket for the instrument that the cursor is on."""
        key = self._nav.target_key()
        instrument = self.terms(key)
        if instrument is None:
            return
        self.open_ticket(instrument, side, self._touch(instrument, side), now_ms)

    def target_key(self) -> str:
        """The instrument that trading keys are aimed at."""
        return self._nav.target_key()

    def terms(self, key: str) -> InstrumentRow | None:
        """Terms of an instrument that orders can be typed for; says why not and gives ``None`` otherwise."""
        if not self.desk.ready:
            self._say(f"trading keys are off: {self.desk.error or 'the engine is still starting'}", "ERROR")
            return None
        if not key:
            self._say("select an instrument first: / finds one", "WARNING")
            return None
        depth = self._live().depth
        instrument = depth.instrument if depth is not None and depth.instrument.key == key else None
        instrument = instrument or self.desk.instrument(key) or self.ui.known.get(key)
        name = name_of(self._live(), self.ui, key)
        if instrument is None:
            self._say(f"terms of {name} are not known yet", "WARNING")
        elif not instrument.tradable:
            self._say(f"{name} cannot be traded: it is an index or not open to orders", "WARNING")
            instrument = None
        return instrument

    def _touch(self, instrument: InstrumentRow, side: Side) -> str:
        """Price a new ticket starts with: the other side of the book, else the last price."""
        live = self._live()
        row = next((row for row in live.watch if row.key == instrument.key), None)
        value = None
        if row is not None:
            value = (row.ask if side is Side.BUY else row.bid) or row.ltp
        if value is None and live.depth is not None and live.depth.instrument.key == instrument.key:
            levels = live.depth.asks if side is Side.BUY else live.depth.bids
            value = (levels[0].price if levels else 0) or live.depth.ltp
        return tk.price_text(to_price(value), instrument.tick) if value else ""

    def open_ticket(self, instrument: InstrumentRow, side: Side, price: str, now_ms: int) -> tk.Ticket:
        """Put a fresh ticket on the screen; its client id is made now, so it can send one order at most."""
        del now_ms
        closed = self._live().phase == "closed"
        ticket = tk.open_ticket(
            instrument, side, self.client_id(), price=price, product=self._product, amo=closed
        )
        self.ui.ticket = ticket
        self.ui.preview = None
        self.ui.mode = UiMode.TICKET
        self.ui.known[instrument.key] = instrument
        return ticket

    def client_id(self) -> str:
        """A new id: for one review, one order."""
        return f"t{self._stem}-{next(self._ids)}"

    def ticket_key(self, action: str, char: str, now_ms: int) -> None:
        """A key while the ticket is open."""
        ticket = self.ui.ticket
        if ticket is None:
            self.ui.mode = UiMode.NORMAL
            return
        if action == tk.SEND and not self.desk.ready:
            self.ui.ticket = tk.refuse(
                ticket, f"not sent: {self.desk.error or 'the engine is not running'}", now_ms
            )
            return
        outcome = tk.press(ticket, action, char, self.ui.preview, now_ms)
        self.ui.ticket = outcome.ticket
        if outcome.ticket is not None:
            return
        self.ui.mode = UiMode.NORMAL
        if outcome.send is None:
            self._say("ticket dropped, nothing sent")
            return
        request = outcome.send
        words = f"{request.side.value} {fmt.units(request.qty)} {ticket.instrument.symbol}"
        if ticket.modifies:
            words = f"change of {words}"
            sent = self.desk.submit(
                "MODIFY",
                tag=ticket.modifies,
                qty=None if ticket.moves_stop else request.qty,
                price=request.price or None,
                trigger_price=request.trigger_price or None,
            )
        else:
            sent = self.desk.place(request)
        if sent:
            self._say(f"sent: {words} {request.order_type.value}")
        else:
            self._say(f"NOT sent: {words}: the engine is not running", "ERROR")

    def from_signal(self, now_ms: int) -> None:
        """Open a ticket filled in from the marked signal."""
        mark = self.ui.cursors.get(Pane.SIGNALS, "")
        row = next((row for row in self._live().signals if row.id == mark), None)
        if self.ui.focus is not Pane.SIGNALS or row is None:
            self._say("mark a signal in pane 7 first")
            return
        instrument = self.terms(row.key)
        if instrument is None:
            return
        side = Side(row.side)
        lots = instrument.lot > 1
        ticket = self.open_ticket(
            instrument, side, tk.price_text(to_price(row.price), instrument.tick), now_ms
        )
        self.ui.ticket = tk.filled_in(
            ticket,
            qty=str(row.qty // instrument.lot if lots else row.qty),
            reason=f"signal {row.id}",
            stop=Price(to_price(row.stop)),
            target=Price(to_price(row.target)),
        )

    # --- reducing risk -------------------------------------------------------------------------------

    def second(self, action: str, target: str, now_ms: int) -> bool:
        """Whether this is the second step of an action aimed at the same target; else notes the first."""
        pending = self.ui.pending
        self.ui.pending = None
        same = pending is not None and (pending.action, pending.target) == (action, target)
        if same and pending is not None and now_ms <= pending.until_ms:
            return True
        self.ui.pending = Pending(action, target, now_ms + TWO_STEP_MS)
        return False

    def cancel(self, now_ms: int) -> None:
        """Cancel the order under the cursor; a stop that protects a position takes two steps."""
        live = self._live()
        mark = self.ui.cursors.get(Pane.ORDERS, "")
        order = next((order for order in live.orders if order.tag == mark), None)
        if Pane.ORDERS not in self._nav.visible():
            self.ui.look_at(Pane.ORDERS)
            self._say("orders shown: mark one, then cancel")
            return
        working = [order for order in live.orders if order.status.working]
        if order is None and len(working) == 1:
            order = working[0]
            self.ui.cursors[Pane.ORDERS] = order.tag
        if order is None:
            self._say("mark an order in pane 6 first" if working else "no order is open")
            return
        name = name_of(live, self.ui, order.request.instrument_key)
        words = f"{order.request.side.value} {fmt.units(order.request.qty)} {name}"
        if not order.status.working:
            self._say(f"{words} is {order.status.value}: nothing to cancel")
            return
        if self._protects(order) and not self.second("cancel", order.tag, now_ms):
            self._say(f"{words} protects a position: press again to cancel it", "WARNING", TWO_STEP_MS)
            return
        if self.desk.submit("CANCEL", tag=order.tag):
            self._say(f"cancelling {words}")
        else:
            self._say(f"cannot cancel: {self.desk.error}", "ERROR")

    def _protects(self, order: Order) -> bool:
        if order.request.order_type not in (OrderType.SL, OrderType.SL_M):
            return False
        return any(
            row.key == order.request.instrument_key and row.qty * order.request.side.sign < 0
            for row in self._live().positions
        )

    def cancel_all(self, now_ms: int) -> None:
        """Cancel every order of the instrument under the cursor, in two steps."""
        key = self._nav.target_key()
        live = self._live()
        name = name_of(live, self.ui, key)
        mine = [o for o in live.orders if o.request.instrument_key == key and o.status.working]
        if not key or not mine:
            self._say(f"no open order of {name}" if key else "select an instrument first")
            return
        if not self.second("cancel.all", key, now_ms):
            self._say(
                f"cancel all {len(mine)} orders of {name}? press again within 5 s", "WARNING", TWO_STEP_MS
            )
            return
        if self.desk.submit("CANCEL_ALL", instrument_key=key):
            self._say(f"cancelling {len(mine)} orders of {name}")

    def exit(self, now_ms: int) -> None:
        """Exit a position: two steps, then a ticket under review."""
        row = self.position()
        if row is None:
            self._say("no position there: mark one in pane 5")
            return
        if not self.second("exit", position_id(row), now_ms):
            self._say(
                f"exit {fmt.signed_units(row.qty)} {row.symbol}? press again within 5 s",
                "WARNING",
                TWO_STEP_MS,
            )
            return
        instrument = self.terms(row.key)
        if instrument is None:
            return
        side = Side.SELL if row.qty > 0 else Side.BUY
        ticket = self.open_ticket(instrument, side, self._touch(instrument, side), now_ms)
        units = abs(row.qty)
        whole = instrument.lot > 1 and units % instrument.lot == 0
        filled = tk.filled_in(
            ticket,
            qty=str(units // instrument.lot if whole else units),
            reason="exit",
            lots=whole,
            product=Product(row.product),
            order_type=OrderType.MARKET,
        )
        self.ui.ticket = tk.review(filled)

    def position(self) -> PositionRow | None:
        """The position that the cursor is on, or the only one of the instrument; ``None`` when that is not clear."""
        rows = [row for row in self._live().positions if row.qty]
        if self.ui.focus is Pane.POSITIONS:
            mark = self.ui.cursors.get(Pane.POSITIONS, "")
            chosen = [row for row in rows if position_id(row) == mark]
            return chosen[0] if chosen else rows[0] if len(rows) == 1 else None
        key = self._nav.target_key()
        same = [row for row in rows if row.key == key]
        return same[0] if len(same) == 1 else None

    def kill(self, now_ms: int, *, note: str = "kill key") -> None:
        """Stage 1 at once; stage 2 with a second press within 5 s."""
        live = self._live()
        where = f"{live.mode.value} {fmt.masked(live.account) if live.mode.needs_arming else ''}".strip()
        if now_ms - self._kill_ms <= TWO_STEP_MS:
            self.flatten(note="kill key, second press")
            return
        if self.desk.submit("KILL", note=note):
            self._kill_ms = now_ms
            self._say(
                f"KILL {where}: only stops stay. Again within 5 s: close all positions",
                "ERROR",
                TWO_STEP_MS,
            )
        else:
            self._say("kill: the engine is not running; use the kill command from a shell", "ERROR")

    def flatten(self, note: str) -> None:
        """Stage 2: close all positions."""
        self._kill_ms = -TWO_STEP_MS - 1
        if self.desk.submit("FLATTEN", note=note):
            self.ui.flattening = True
            self._say(f"FLATTEN {self._live().mode.value}: closing all positions", "ERROR")
        else:
            self._say("flatten: the engine is not running", "ERROR")

    def resume(self, reason: str = "") -> None:
        """Take new orders again after a kill; the next press of kill is a first one.

        Args:
            reason: Typed: without one a loss limit that was reached holds on.
        """
        self._kill_ms = -TWO_STEP_MS - 1
        self.ui.flattening = False
        if self.desk.submit("RESUME", note=reason):
            self._say("asked to take new orders again")
        else:
            self._say("resume: the engine is not running", "ERROR")

    def disarm(self) -> None:
        """Stop live orders at once."""
        if self.desk.submit("DISARM", note="key"):
            self._say(
                "disarmed" if self._live().mode.needs_arming else "nothing was armed: orders are not live"
            )
        else:
            self._say("disarm: the engine is not running", "ERROR")

    def arm(self, minutes: int) -> None:
        """First half of arming: show the scope and ask for the end of the account number."""
        live = self._live()
        if not live.mode.needs_arming:
            self._say(f"nothing to arm: orders are {live.mode.value}, not live")
            return
        if not live.account:
            self._say("cannot arm: the account is not known yet", "WARNING")
            return
        self.ui.mode = UiMode.ARM
        self.ui.prompt.text = ""
        # The end of a real account is typed from memory; a simulator's account is nobody's, and is shown.
        whose = live.account if live.mode is Mode.REHEARSAL else fmt.masked(live.account)[:2]
        self.ui.prompt.message = f"arms {live.mode.value} orders on {live.broker} {whose} for {minutes} min"
        self._say("type the last four of the account and Enter; Esc leaves it disarmed", "WARNING")

    def armed(self, minutes: int, typed: str) -> None:
        """Second half of arming."""
        live = self._live()
        if typed != live.account[-4:]:
            self._say("not armed: that is not the end of the account number", "WARNING")
            return
        until = live.t_ns + minutes * 60_000_000_000
        if self.desk.submit("ARM", until_ns=until, note="typed"):
            self._say(f"asked to arm {live.mode.value} for {minutes} minutes; A disarms", "WARNING")

    def quit_question(self) -> tuple[str, ...]:
        """What stays open when the program ends; empty when nothing does."""
        live = self._live()
        orders = [order for order in live.orders if order.status.working]
        held = [row for row in live.positions if row.qty]
        if (not orders and not held) or not self.desk.ready:
            return ()
        fate = {
            Mode.LIVE: f"They stay at the broker as they are. {_ALONE}",
            Mode.PAPER: "Paper orders stop being matched; positions are kept and shown at the next start.",
            Mode.SIM: "The simulated exchange ends with the program; the trades stay in the ledger.",
            Mode.REHEARSAL: f"They stay at the simulated exchange as they are. {_ALONE}",
            Mode.REPLAY: "The replayed day ends here; the trades stay in the ledger.",
        }[live.mode]
        lines = ["Open now:", *(self._order_words(order) for order in orders[:8])]
        lines += [
            f"  {fmt.signed_units(row.qty)} {row.symbol}  {fmt.money(row.pnl, sign=True)}"
            + ("  NAKED" if row.naked else "")
            for row in held[:8]
        ]
        return (*lines, "", fate, "", "y quits, n stays.")

    def _order_words(self, order: Order) -> str:
        request = order.request
        name = name_of(self._live(), self.ui, request.instrument_key)
        doubt = " (UNKNOWN: check the broker's own screen)" if order.status is OrderStatus.UNKNOWN else ""
        return (
            f"  order {request.side.value} {fmt.units(order.pending_qty)} {name} {order.status.value}{doubt}"
        )
