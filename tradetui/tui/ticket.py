"""The order ticket: a pure state machine, keys in, state out.

It knows no terminal and reads no clock, so no key can be lost or leak: whatever arrives after the key that
opened the ticket goes into it, in order (`tui.md` b4). Three rules hold for every sequence of keys:

* only `send` sends, and only a review that was painted at least 300 ms ago, with `send` untouched since;
* a block cannot be passed; a warning costs retyping the quantity;
* a market order is reviewed again if its worst price got worse by more than a fifth of a percent; a limit review does not expire.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tradetui.domain.order import OrderRequest
from tradetui.domain.view import Preview, Verdict
from tradetui.tui.ticket_fields import (
    EDITS,
    LONGEST,
    Field,
    Phase,
    Ticket,
    build,
    changing,
    filled_in,
    open_ticket,
    price_text,
    typed,
    word,
)

__all__ = [
    "DEAD_MS",
    "SEND",
    "Field",
    "Outcome",
    "Phase",
    "Ticket",
    "answers",
    "asked",
    "build",
    "changing",
    "edit",
    "filled_in",
    "locked",
    "missing",
    "needs_retype",
    "open_ticket",
    "painted",
    "press",
    "price_text",
    "refuse",
    "review",
    "send",
    "unpainted",
    "word",
]

SEND = "ticket.send"
"""Id of the only action that sends."""
DEAD_MS = 300
"""Send is dead this long after the review was painted, and after any press of send."""
WORST_SLACK_BP = 20
"""How much worse the worst price may get after it was read, in 1/100 percent: it is percents away from the market
as it is, and follows it tick by tick; asking again at every tick would teach people not to read."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a key did.

    Attributes:
        ticket: The ticket after the key; ``None`` when it is closed.
        send: The order to place, at most once in a ticket's life.
    """

    ticket: Ticket | None
    send: OrderRequest | None = None


def refuse(ticket: Ticket, message: str, now_ms: int) -> Ticket:
    """Send was pressed where nothing can be sent."""
    return replace(ticket, message=message, pressed_ms=now_ms)


def asked(ticket: Ticket) -> OrderRequest | None:
    """The order to have judged now: the one under review, or the one typed so far if it is complete."""
    if ticket.request is not None:
        return ticket.request
    made = build(ticket)
    return made if isinstance(made, OrderRequest) else None


def answers(ticket: Ticket, preview: Preview | None) -> Preview | None:
    """``preview`` if it judges exactly what this ticket asks, else ``None``."""
    if preview is None or preview.request != asked(ticket):
        return None
    return preview


def painted(ticket: Ticket, preview: Preview | None, now_ms: int) -> Ticket:
    """Note that the review and its checks were put on the terminal. Only the first time counts."""
    answer = answers(ticket, preview)
    if ticket.phase is not Phase.REVIEW or ticket.painted_ms >= 0 or answer is None:
        return ticket
    return replace(ticket, painted_ms=now_ms, reviewed_worst=answer.worst_price)


def unpainted(ticket: Ticket) -> Ticket:
    """The picture of the review was lost (a resize): it has to be painted and read again."""
    return replace(ticket, painted_ms=-1) if ticket.painted_ms >= 0 else ticket


def missing(ticket: Ticket) -> str:
    """What is still to be typed, in words; empty when the order is complete."""
    made = build(ticket)
    return "" if isinstance(made, OrderRequest) else made[1]


def review(ticket: Ticket) -> Ticket:
    """Ask for the review, or put the cursor on what is missing."""
    made = build(ticket)
    if not isinstance(made, OrderRequest):
        field, words = made
        return replace(ticket, field=field, fresh=True, message=words)
    return replace(
        ticket, phase=Phase.REVIEW, request=made, painted_ms=-1, reviewed_worst=0, retyped="", message=""
    )


def edit(ticket: Ticket) -> Ticket:
    """From review back to the fields."""
    return replace(ticket, phase=Phase.EDIT, request=None, painted_ms=-1, retyped="", fresh=True, message="")


def send(ticket: Ticket, preview: Preview | None, now_ms: int) -> Outcome:
    """Press send: the order goes out, or the ticket says why not."""
    held = ticket.pressed_ms >= 0 and now_ms - ticket.pressed_ms < DEAD_MS
    ticket = replace(ticket, pressed_ms=now_ms)
    if ticket.phase is not Phase.REVIEW or ticket.request is None:
        return Outcome(replace(ticket, message="review first: Enter"))
    answer = answers(ticket, preview)
    if ticket.painted_ms < 0 or answer is None:
        return Outcome(replace(ticket, message="not sent: the checks have not answered yet"))
    if held or now_ms - ticket.painted_ms < DEAD_MS:
        return Outcome(replace(ticket, message="not sent: read the review, then press send once"))
    if answer.blocked:
        rules = ", ".join(check.rule for check in answer.checks if check.verdict is Verdict.BLOCK)
        return Outcome(replace(ticket, message=f"not sent: blocked by {rules}"))
    if _worse(ticket, answer):
        words = f"worst price moved to {price_text(answer.worst_price)}: read again, then send"
        return Outcome(replace(ticket, painted_ms=-1, reviewed_worst=0, retyped="", message=words))
    if not _retyped(ticket, answer):
        return Outcome(
            replace(ticket, message=f"warning above: type the quantity {ticket.qty} again, then send")
        )
    return Outcome(None, ticket.request)


def locked(ticket: Ticket, preview: Preview | None, now_ms: int) -> str:
    """Why send would do nothing now, in words; empty when the next press sends."""
    if ticket.phase is not Phase.REVIEW:
        return "review first"
    answer = answers(ticket, preview)
    if answer is None:
        return "waiting for the checks"
    if answer.blocked:
        return "BLOCKED: cannot be sent"
    if not _retyped(ticket, answer):
        return f"type {ticket.qty} again to pass the warning"
    dead_since = max(ticket.painted_ms, ticket.pressed_ms if ticket.pressed_ms >= 0 else -DEAD_MS)
    if ticket.painted_ms < 0 or now_ms - dead_since < DEAD_MS:
        return "reading"
    if _worse(ticket, answer):
        return "the worst price moved"
    return ""


def _retyped(ticket: Ticket, answer: Preview) -> bool:
    """Whether no warning asks for the quantity, or it was typed again."""
    return not needs_retype(answer) or bool(ticket.retyped and int(ticket.retyped) == int(ticket.qty or 0))


def needs_retype(answer: Preview) -> bool:
    """Whether a warning asks for one extra act."""
    return any(check.verdict is Verdict.WARN for check in answer.checks)


def _worse(ticket: Ticket, answer: Preview) -> bool:
    if not ticket.reviewed_worst or not answer.worst_price:
        return bool(answer.worst_price) != bool(ticket.reviewed_worst)
    worse = (answer.worst_price - ticket.reviewed_worst) * ticket.side.sign
    return worse * 10_000 > WORST_SLACK_BP * ticket.reviewed_worst


def press(ticket: Ticket, action: str, char: str, preview: Preview | None, now_ms: int) -> Outcome:
    """One key.

    Args:
        ticket: State before the key.
        action: Id of the ticket action on the key, or empty.
        char: The printable character it types, or empty.
        preview: The newest answer of the risk checks.
        now_ms: A clock that only grows.
    """
    if action == SEND:
        return send(ticket, preview, now_ms)
    if action == "ticket.drop":
        return Outcome(None)
    if action == "ticket.checks":
        return Outcome(replace(ticket, all_checks=not ticket.all_checks))
    if ticket.phase is Phase.REVIEW:
        return Outcome(_press_review(ticket, action, char))
    if action == "ticket.review":
        return Outcome(review(ticket))
    handler = EDITS.get(action)
    if handler is not None and not (action == "ticket.lots" and ticket.field is not Field.QTY):
        return Outcome(handler(ticket))
    return Outcome(typed(ticket, char) if char else ticket)


def _press_review(ticket: Ticket, action: str, char: str) -> Ticket:
    if char.isdigit():
        return replace(ticket, retyped=(ticket.retyped + char)[-LONGEST:], message="")
    if action in ("ticket.next", "ticket.previous"):
        return edit(ticket)
    if action == "ticket.erase":
        return replace(ticket, retyped=ticket.retyped[:-1]) if ticket.retyped else edit(ticket)
    if action == "ticket.clear":
        return replace(ticket, retyped="")
    if action == "ticket.review":
        return ticket
    return replace(ticket, message="under review: send, drop, or Tab to edit")
