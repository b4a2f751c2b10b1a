"""The ticket as text, drawn by a pane that is mounted from the start."""

from __future__ import annotations

from tradetui.domain.money import to_rupees
from tradetui.domain.order import OrderRequest, OrderType, Side
from tradetui.domain.text import clean
from tradetui.domain.view import Preview, Snapshot, Verdict, WatchRow
from tradetui.tui import fmt
from tradetui.tui.layout import Rect, fits_ticket
from tradetui.tui.panes.base import enclose
from tradetui.tui.panes.watchlist import tone
from tradetui.tui.spans import BLANK, Line, Span, fit, line_width, pad, wrap
from tradetui.tui.state import Frame
from tradetui.tui.ticket import Field, Phase, Ticket, answers, asked, locked, missing, word
from tradetui.tui.words import trail_text


def build(frame: Frame, width: int, height: int, send_key: str = "F9") -> list[Line]:
    """All lines of the ticket; the last one always says what the keys do now."""
    ticket = frame.ui.ticket
    if ticket is None:
        return []
    side = "buy" if ticket.side is Side.BUY else "sell"
    name = f" {ticket.side.value} {ticket.instrument.symbol} "
    # A place of its own for each side: BUY starts at the left edge, SELL ends at the right one.
    left: Line = ((name, f"{side}+reverse+bold"),) if ticket.side is Side.BUY else (("Ticket", "title"),)
    right: Line = ((" Ticket ", "title"),) if ticket.side is Side.BUY else ((name, f"{side}+reverse+bold"),)
    if not fits_ticket(Rect(0, 0, width, height)):
        text: Line = ((" enlarge the terminal to review an order; Esc drops it", "warn+bold"),)
        return enclose(frame, ("", left, right), [text], (width, height), edge_style=side)
    answer = answers(ticket, frame.ui.preview)
    inner = width - 2
    lines = _terms(frame, ticket, inner)
    if ticket.phase is Phase.EDIT:
        lines += _fields(ticket, inner)
    else:
        lines += _review(ticket, inner)
    lines += away(frame.live, ticket, inner)
    room = height - 2 - len(lines) - 2
    lines += _effect(frame.live, answer, ticket, inner)[: max(room, 1)]
    room = height - 2 - len(lines) - 2
    lines += _checks(answer, ticket, inner, max(room, 1))
    lines = [*lines[: height - 4], *([()] * max(0, height - 4 - len(lines)))]
    lines.append((((" " + ticket.message) if ticket.message else "", "warn+bold"),))
    lines.append(_step(frame, ticket, answer, send_key))
    return enclose(frame, ("", left, right), lines, (width, height), edge_style=side)


def _terms(frame: Frame, ticket: Ticket, width: int) -> list[Line]:
    """Terms of the instrument and its quote: on one line where there is room for both."""
    instrument = ticket.instrument
    row = next((row for row in frame.live.watch if row.key == instrument.key), None)
    spans: list[Span] = [(f" {instrument.segment}", "dim")]
    if instrument.lot > 1:
        spans.append((f"  lot {fmt.units(instrument.lot)}", "dim"))
    tick: Span = (
        f"  tick {fmt.money(instrument.tick, places=2 if instrument.tick % 100 == 0 else 4)}",
        "dim",
    )
    free: Span = (f"  free {fmt.money(frame.live.available, places=0)}", "dim")
    quote = _quote(row) if row is not None else []
    for extra in ([*quote, tick, free], [*quote, tick], quote):
        if quote and line_width((*spans, *extra)) <= width and width >= 70:
            return [(*spans, *extra)]
    return [(*spans, tick, free), *([tuple(quote)] if quote else [])]


def _quote(row: WatchRow) -> list[Span]:
    return [
        (" bid ", "dim"),
        (fmt.price(row.bid, row.decimals), "buy"),
        (" ask ", "dim"),
        (fmt.price(row.ask, row.decimals), "sell"),
        (" ltp ", "dim"),
        (("~" if row.stale else "") + fmt.price(row.ltp, row.decimals), "warn" if row.stale else "text+bold"),
        (f" {fmt.percent(row.change_pct)}%", tone(row.change_pct)),
    ]


def _cell(ticket: Ticket, field: Field, text: str, width: int) -> list[Span]:
    here = ticket.field is field
    label = [(f" {field.value} ", "focus+bold" if here else "dim")]
    if here:
        body = fit(text + ("" if ticket.fresh else "_"), width)
        return [
            *label,
            ("[", "focus"),
            (body, "text+bold+reverse" if ticket.fresh else "text+bold+cursor"),
            ("]", "focus"),
        ]
    return [*label, ("[", "faint"), (fit(text, width), "text"), ("]", "faint")]


def _fields(ticket: Ticket, width: int) -> list[Line]:
    """Rows of two or three fields; fields that this ticket does not have are left out."""
    left = min(38, width - 22)
    note = f" lots = {fmt.units(ticket.units)}" if ticket.lots else ""
    unit = " units" if not ticket.lots or left > 34 else ""
    has = ticket.fields
    if ticket.moves_stop:
        words = f" the stop of {fmt.units(ticket.units)} {ticket.instrument.symbol}: its limit and its units follow"
        return [
            tuple(_cell(ticket, Field.TRIGGER, ticket.trigger, 11)),
            *(((f" {part}", "dim"),) for part in wrap(words.strip(), width - 2)),
        ]
    first = [*_cell(ticket, Field.QTY, ticket.qty, 7), (note + unit, "dim")]
    first = [*pad(first, left), *_cell(ticket, Field.TYPE, word(ticket.order_type), 8)]
    second: list[Span] = [(" price: market, protected", "dim")]
    if Field.PRICE in has:
        second = _cell(ticket, Field.PRICE, ticket.price, 11)
    second = list(pad(second, left))
    if Field.TRIGGER in has:
        second += _cell(ticket, Field.TRIGGER, ticket.trigger, 11)
    if ticket.modifies:
        return [
            tuple(first),
            tuple(second),
            ((" a change of a working order: its type and product stay", "dim"),),
        ]
    third = [
        *pad(_cell(ticket, Field.PRODUCT, word(ticket.product), 8), left),
        *_cell(ticket, Field.VALIDITY, word(ticket.validity), 4),
    ]
    if Field.DISCLOSED in has and width >= 76:
        third += _cell(ticket, Field.DISCLOSED, ticket.disclosed, 6)
    fourth = [
        *_cell(ticket, Field.STOP, ticket.stop, 9),
        *_cell(ticket, Field.TARGET, ticket.target, 9),
        *_cell(ticket, Field.TRAIL, ticket.trail, 7),
    ]
    return [tuple(first), tuple(second), tuple(third), tuple(fourth)]


def sentence(request: OrderRequest, symbol: str, lot: int) -> str:
    """The order in full, as one sentence."""
    qty = f"{fmt.units(request.qty)}" + (
        f" ({request.qty // lot} lots)" if lot > 1 and request.qty % lot == 0 else ""
    )
    at = {
        OrderType.LIMIT: f"LIMIT {fmt.money(request.price)}",
        OrderType.MARKET: "MARKET (protected)",
        OrderType.SL: f"SL trigger {fmt.money(request.trigger_price)} limit {fmt.money(request.price)}",
        OrderType.SL_M: f"SL-M trigger {fmt.money(request.trigger_price)}",
    }[request.order_type]
    shown = f" showing {fmt.units(request.disclosed_qty)}" if request.disclosed_qty else ""
    left = f" stop {fmt.money(request.stop)}" if request.stop else ""
    left += f" target {fmt.money(request.target)}" if request.target else ""
    left += f" trail {trail_text(request.trail)}" if request.trail else ""
    amo = " AMO (goes in at the next open)" if request.amo else ""
    terms = f"{word(request.product)} {request.validity.value}"
    return f"{request.side.value} {qty} {symbol} {at} {terms}{shown}{left}{amo}"


def _review(ticket: Ticket, width: int) -> list[Line]:
    request = asked(ticket)
    if request is None:
        return []
    side = "buy" if request.side is Side.BUY else "sell"
    text = sentence(request, ticket.instrument.symbol, ticket.instrument.lot)
    if ticket.moves_stop:
        text = f"stop of {fmt.units(request.qty)} {ticket.instrument.symbol} to {fmt.money(request.trigger_price)}"
    if ticket.modifies:
        text = f"CHANGE {text}"
    lines: list[Line] = [((" " + part, f"{side}+bold"),) for part in wrap(text, width - 2)]
    return lines + _outcomes(request)


def _outcomes(request: OrderRequest) -> list[Line]:
    """What the exit plan would earn or lose from the limit price, before charges; empty where there is none."""
    entry = request.price or request.trigger_price
    spans: list[Span] = []
    for words, price in (("stopped", request.stop), ("at target", request.target)):
        if price and entry:
            won = (price - entry) * request.side.sign * request.qty
            spans += [(f" {words} ", "dim"), (fmt.money(won, sign=True), tone(won))]
    return [(*spans, ("  before charges", "dim"))] if spans else []


def _effect(snap: Snapshot, answer: Preview | None, ticket: Ticket, width: int) -> list[Line]:
    if answer is None:
        return [((f" {missing(ticket) or 'waiting for the checks ...'}", "dim"),)]
    pairs = [
        ("value", fmt.money(answer.value), "text"),
        ("margin", fmt.money(answer.margin), "error" if answer.margin > snap.available else "text"),
        ("charges", fmt.money(answer.charges), "text"),
    ]
    if answer.worst_price:
        pairs.append(("worst", fmt.money(answer.worst_price), "warn"))
    if ticket.moves_stop:
        pairs = []  # an order that is there already: nothing is paid for moving it
    lines: list[list[Span]] = [[]]
    for name, text, style in pairs:
        cell: list[Span] = [(f" {name} ", "dim"), (f"{text} ", style)]
        if lines[-1] and line_width((*lines[-1], *cell)) > width:
            lines.append([])
        lines[-1] += cell
    effect: list[Line] = [((f" {part}", "title+bold"),) for part in wrap(clean(answer.effect), width - 2)]
    return [*(effect or [BLANK]), *(tuple(line) for line in lines if line)]


_VERDICTS = {Verdict.WARN: ("WARN ", "warn"), Verdict.BLOCK: ("BLOCK", "error")}


def _checks(answer: Preview | None, ticket: Ticket, width: int, room: int) -> list[Line]:
    """Blocks first, then warnings, each with its words; then how many passed, by name when asked for."""
    if answer is None:
        return []
    lines: list[Line] = []
    for verdict in (Verdict.BLOCK, Verdict.WARN):
        name, style = _VERDICTS[verdict]
        for check in answer.checks:
            if check.verdict is verdict:
                parts = wrap(f"{clean(check.rule)}: {clean(check.words)}", width - 9)
                lines.append(((f" {name} ", style + "+bold"), (parts[0], style)))
                lines += [((" " * 7 + part, style),) for part in parts[1:]]
    passed = [clean(check.rule) for check in answer.checks if check.verdict is Verdict.PASS]
    if passed and not ticket.all_checks:
        whole = len(passed) == len(answer.checks)
        every = f"all {len(passed)} checks pass" if len(passed) > 1 else "the check passes"
        text = every if whole else f"{len(passed)} of {len(answer.checks)} pass"
        lines.append(((f" {text}", "good"),))
    elif passed:
        for n, part in enumerate(wrap(", ".join(passed), width - 9)):
            lines.append(((" pass  " if n == 0 else " " * 7, "good"), (part, "dim")))
    if len(lines) > room:
        hidden = len(lines) - room + 1
        lines = [*lines[: room - 1], ((f" and {hidden} more lines: enlarge the terminal", "dim"),)]
    return lines


def away(snap: Snapshot, ticket: Ticket, width: int) -> list[Line]:
    """How far the limit stands from the side of the book it would trade with, now; empty without a limit."""
    request = asked(ticket)
    row = next((row for row in snap.watch if row.key == ticket.instrument.key), None)
    if request is None or request.order_type is not OrderType.LIMIT or row is None:
        return []
    buy = request.side is Side.BUY
    touch, name = (row.ask, "ask") if buy else (row.bid, "bid")
    if not touch:
        return [((f" no {name} to trade with now: it would wait", "warn"),)]
    limit = to_rupees(request.price)
    gap = (limit - touch) * request.side.sign
    at = f"the {name} {fmt.price(touch, row.decimals)}"
    if abs(gap) < 1e-9:
        return [((f" at {at}: would trade now", "good"),)]
    far = f"{fmt.price(abs(gap), row.decimals)} ({abs(gap) / touch * 100:.2f}%)"
    where = "above" if (gap > 0) is buy else "below"
    words = f"{far} {where} {at}: would {'trade now' if gap > 0 else 'wait'}"
    return [((f" {part}", "warn"),) for part in wrap(words, width - 2)]


def _step(frame: Frame, ticket: Ticket, answer: Preview | None, send_key: str) -> Line:
    if ticket.phase is Phase.EDIT:
        return (
            (" 1/2 ", "key+bold"),
            ("Enter", "key"),
            (" review  ", "dim"),
            ("Tab", "key"),
            (" next  ", "dim"),
            ("Esc", "key"),
            (" drop", "dim"),
        )
    head: Span = (" 2/2 ", "key+bold")
    drop: list[Span] = [("  Esc", "key"), (" drop  ", "dim"), ("Tab", "key"), (" edit", "dim")]
    why = locked(ticket, answer, frame.now_ms)
    if why == "reading":
        why = "reading..." if frame.ascii else "reading…"
        return (head, (f"{why} {send_key} is still locked", "warn"), *drop)
    if answer is not None and answer.blocked:
        return (head, (why, "error+bold"), *drop)
    if why.startswith("type "):
        return (head, (f"{why}: ", "warn+bold"), (f"{ticket.retyped}_", "text+bold"), *drop)
    if why:
        return (head, (f"{why}: {send_key} is still locked", "warn"), *drop)
    side = "buy" if ticket.side is Side.BUY else "sell"
    act = "CHANGE" if ticket.modifies else ticket.side.value
    return (head, (f" {send_key} = SEND {act} ", f"{side}+reverse+bold"), *drop)
