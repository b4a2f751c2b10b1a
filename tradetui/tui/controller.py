"""One handler owns every key. Keys in, state and requests out: no terminal, no thread, no clock of its own.

Because each key is handled to the end before the next is looked at, what is typed ahead lands where it was
meant: ``b75<Enter>`` in one read opens a ticket, fills it in and reviews it (`tui.md` b4).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from tradetui.domain.order import Product, Side
from tradetui.domain.text import clean
from tradetui.domain.view import LogRow, Look, Snapshot
from tradetui.tui import fmt
from tradetui.tui import ticket as tk
from tradetui.tui.actions import ACTIONS, Action, Context, Danger, KeyMap
from tradetui.tui.commands import COMMANDS, STRATEGY, Command, complete, parse
from tradetui.tui.desk import Desk
from tradetui.tui.layout import Geometry, Pane
from tradetui.tui.manage import MANAGED, Manager
from tradetui.tui.navigate import Navigator
from tradetui.tui.operate import QUIET_MS, Operator
from tradetui.tui.panes.bottom import context_of
from tradetui.tui.panes.overlay import help_lines
from tradetui.tui.replay import Replayer
from tradetui.tui.state import Notice, Prompt, Ui, UiMode, ids_of, name_of

PASTE_KEYS = 6
"""More printable keys than this within `PASTE_MS` on the panes is a paste, not typing."""
PASTE_MS = 30
STOPPED = "The engine stopped"
"""Title of the text shown when there is no engine any more."""
FLAT_SAID_MS = 4000
"""How long the news that all is flat stay before what led there."""
NEWS_MS = 2000
"""One press of send too many does not hide the news of the fill that the one before led to."""
NOT_STARTED = "The engine could not start"
"""Title of the text shown when there never was one."""
_TYPING = (UiMode.SEARCH, UiMode.COMMAND, UiMode.PALETTE, UiMode.ARM)


class Controller:
    """State of the screen and what keys do to it.

    Args:
        desk: The engine.
        keymap: Keys to actions.
        watch: Instrument keys of the watchlist.
        product: Product that tickets start with.
        geometry: The layout on the screen now.
    """

    def __init__(
        self,
        desk: Desk,
        keymap: KeyMap,
        *,
        watch: tuple[str, ...] = (),
        product: Product = Product.INTRADAY,
        geometry: Callable[[], Geometry],
    ) -> None:
        self.ui = Ui(keys=list(watch), selected=watch[0] if watch else "")
        self.desk = desk
        self.keymap = keymap
        self.live = Snapshot()
        self.now_ms = 0
        self.effects: list[tuple[str, str]] = []
        self.nav = Navigator(self.ui, self.shown, geometry, self.say, self._effect)
        self.operator = Operator(self.ui, desk, self.nav, lambda: self.live, self.say, product)
        self.manager = Manager(self.ui, self.operator, lambda: self.live, self.say)
        self.replayer = Replayer(desk, lambda: self.live, self.say)
        self._pressed: dict[str, int] = {}
        self._burst: deque[int] = deque(maxlen=PASTE_KEYS + 1)
        self._dropping_ms = -PASTE_MS - 1
        self._interrupt_ms = -10_000
        self._arm_minutes = 0
        self._notice_seq = -1
        self._adopted = False
        self._trading: Mapping[str, Callable[[int], None]] = {
            "buy": lambda now: self.operator.ticket_side(Side.BUY, now),
            "sell": lambda now: self.operator.ticket_side(Side.SELL, now),
            "order.from": self.operator.from_signal,
            "cancel": self.operator.cancel,
            "cancel.all": self.operator.cancel_all,
            "cancel.last": self.manager.cancel_last,
            "edit": self.manager.edit,
            "trail": lambda _: self._prompt(UiMode.COMMAND, "trail "),
            "exit.all": lambda now: self.manager.exit_all("", now),
            "exit": self.operator.exit,
            "kill": self.operator.kill,
            "disarm": lambda _: self.operator.disarm(),
            "search": lambda _: self._prompt(UiMode.SEARCH),
            "command": lambda _: self._prompt(UiMode.COMMAND),
            "palette": lambda _: self._palette(),
            "help": lambda _: self.help(),
            "quit": lambda _: self.quit(),
            "interrupt": self._interrupt,
            **self.replayer.actions(lambda text: self._prompt(UiMode.COMMAND, text)),
        }

    # --- what the app tells ---------------------------------------------------------------------------

    def shown(self) -> Snapshot:
        """The snapshot on the screen: the frozen one while paused."""
        return self.ui.frozen or self.live

    def take(self, snap: Snapshot, now_ms: int) -> None:
        """A new snapshot arrived."""
        self.now_ms = now_ms
        self.live = snap
        self.ui.preview = snap.preview
        if self.ui.flattening:
            self._flattened(snap)
        elif now_ms < self.ui.notice.hold_ms:
            pass  # a question waits for its second press: the news come after it
        elif snap.notices and snap.notices[-1].seq > self._notice_seq:
            self._notice_seq = snap.notices[-1].seq
            newest = snap.notices[-1]
            self.say(newest.text, newest.level)
        if not self.ui.keys and snap.watch and not self._adopted:
            # The engine's own list, once: a list that the user emptied stays empty.
            self.ui.keys = [row.key for row in snap.watch]
        self._adopted = self._adopted or bool(self.ui.keys)
        if not self.ui.selected and self.ui.keys:
            self.ui.selected = self.ui.keys[0]

    def starting(self, rows: Sequence[LogRow], now_ms: int) -> None:
        """There is no engine yet: show what the start says of itself."""
        self.now_ms = now_ms
        self.live = replace(self.live, log=tuple(rows))
        self.ui.status = f"{rows[-1].text} ..." if rows else "starting ..."

    def _flattened(self, snap: Snapshot) -> None:
        """How far closing all positions got, until nothing is left."""
        held = [row for row in snap.positions if row.qty]
        open_orders = [order for order in snap.orders if order.status.working]
        if not held and not open_orders:
            self.ui.flattening = False
            # What led there is told by what is said now.
            self._notice_seq = snap.notices[-1].seq if snap.notices else self._notice_seq
            words = "flat: no position and no order is open; new orders stay blocked until :resume"
            self.say(words, "WARNING", FLAT_SAID_MS)
            return
        rows = ", ".join(f"{fmt.signed_units(row.qty)} {row.symbol}" for row in held[:4])
        more = f" and {len(held) - 4} more" if len(held) > 4 else ""
        self.say(
            f"FLATTEN: still open: {rows or 'no position'}{more}; {len(open_orders)} orders work", "ERROR"
        )

    def painted(self, now_ms: int) -> None:
        """The frame that was built last is on the terminal."""
        if self.ui.confirm is not None:
            if self.ui.confirm.painted_ms < 0:
                self.ui.confirm = replace(self.ui.confirm, painted_ms=now_ms)
        elif self.ui.ticket is not None:
            self.ui.ticket = tk.painted(self.ui.ticket, self.ui.preview, now_ms)

    def lost_picture(self) -> None:
        """What was painted is gone; a review counts as unread again."""
        if self.ui.ticket is not None:
            self.ui.ticket = tk.unpainted(self.ui.ticket)
        if self.ui.confirm is not None:
            self.ui.confirm = replace(self.ui.confirm, painted_ms=-1)

    def look(self, hz: float) -> Look:
        """What the screen wants to see next."""
        ticket = self.ui.ticket
        return Look(
            watch=tuple(self.ui.keys),
            selected=self.ui.selected,
            interval=self.ui.interval,
            ticket=tk.asked(ticket) if ticket is not None else None,
            modifies=ticket.modifies if ticket is not None else "",
            hz=hz,
        )

    def say(self, text: str, level: str = "INFO", hold_ms: int = 0) -> None:
        """Put a notice on the screen; for ``hold_ms`` the engine's news do not replace it."""
        hold = self.now_ms + hold_ms if hold_ms else 0
        self.ui.notice = Notice(clean(text), level, self.now_ms, hold)

    def _effect(self, name: str, argument: str) -> None:
        self.effects.append((name, argument))

    def fail(self, words: str) -> None:
        """The engine is gone or never came: say so over the panes; trading keys are off from here."""
        self.desk.error = clean(words)
        self.ui.error = self.desk.error
        ran = bool(self.live.seq)
        self.ui.status = "engine stopped" if ran else "not started"
        after = "Trading keys are off; what is shown is old." if ran else "Nothing runs, nothing was changed."
        self.ui.texts = (STOPPED if ran else NOT_STARTED, (self.desk.error, "", after, "", "q quits."))
        self.ui.text_scroll = 0
        self.ui.mode = UiMode.TEXT
        self.ui.ticket = None

    # --- keys -----------------------------------------------------------------------------------------

    def key(self, key: str, char: str, now_ms: int) -> None:
        """One key.

        Args:
            key: Textual's name of the key.
            char: The printable character it types, or empty.
            now_ms: A clock that only grows.
        """
        self.now_ms = now_ms
        token = char or key
        mode = self.ui.mode
        context = context_of(mode)
        action = self.keymap.find(context, token) or (self.keymap.find(context, key) if char else None)
        if mode is UiMode.NORMAL and char and self._is_paste(now_ms):
            return
        if action is not None and action.danger is not Danger.NONE and self._held(token, action, now_ms):
            return
        if action is not None and action.context is Context.ANY:
            self.act(action, now_ms)
        elif mode is UiMode.TICKET:
            self.operator.ticket_key(action.id if action else "", char, now_ms)
        elif mode is UiMode.CONFIRM:
            self.manager.review_key(action.id if action else "", now_ms)
        elif mode is UiMode.QUIT:
            self._answer_quit(token)
        elif mode is UiMode.TEXT:
            self._text_key(action.id if action else "")
        elif mode in _TYPING:
            self._prompt_key(action.id if action else "", char)
        elif action is not None:
            self.act(action, now_ms)
        elif token in self.keymap.keys_of(tk.SEND) and now_ms - self.ui.notice.at_ms > NEWS_MS:
            self.say("nothing is under review")

    def paste(self, text: str, now_ms: int) -> None:
        """Bracketed paste: into the line being typed, or a number into the ticket; never hot keys."""
        self.now_ms = now_ms
        line = clean(text.strip())
        if self.ui.mode in _TYPING:
            for char in line[:80]:
                self._prompt_key("", char)
            return
        ticket = self.ui.ticket
        if self.ui.mode is UiMode.TICKET and ticket is not None and ticket.phase is tk.Phase.EDIT:
            number = line.replace(",", "")
            if number.replace(".", "", 1).isdigit() and number.isascii() and len(number) <= 12:
                for char in number:
                    self.operator.ticket_key("", char, now_ms)
                return
        self.say("paste ignored: keys here act at once", "WARNING")

    def _is_paste(self, now_ms: int) -> bool:
        """Whether printable keys come faster than fingers: then they are dropped until they stop."""
        if now_ms - self._dropping_ms < PASTE_MS:
            self._dropping_ms = now_ms
            return True
        self._burst.append(now_ms)
        if len(self._burst) > PASTE_KEYS and now_ms - self._burst[0] <= PASTE_MS:
            self._burst.clear()
            self._dropping_ms = now_ms
            self.say("a burst of keys was dropped: it looked like a paste", "WARNING")
            return True
        return False

    def _held(self, token: str, action: Action, now_ms: int) -> bool:
        """Whether a key with consequences was pressed less than 300 ms ago: a held key is a burst."""
        last = self._pressed.get(token)
        self._pressed[token] = now_ms
        # Opening tickets is harmless, and three tickets may come in one read; the ticket guards send itself.
        if action.danger is Danger.RISK:
            return False
        return last is not None and now_ms - last < QUIET_MS

    def act(self, action: Action, now_ms: int) -> None:
        """Do an action of the panes."""
        handler = self._trading.get(action.id) or self.nav.actions.get(action.id)
        if handler is not None:
            handler(now_ms)

    # --- typed lines ----------------------------------------------------------------------------------

    def _prompt(self, mode: UiMode, text: str = "") -> None:
        self.ui.mode = mode
        self.ui.prompt = Prompt(text)
        self.ui.history_at = len(self.ui.history)

    def _palette(self) -> None:
        self._prompt(UiMode.PALETTE)
        self._find()

    def _prompt_key(self, action: str, char: str) -> None:
        prompt = self.ui.prompt
        if action == "prompt.close":
            self.ui.mode = UiMode.NORMAL
            self.say("left, nothing done")
        elif action == "prompt.accept":
            self._accept()
        elif action in ("prompt.next", "prompt.previous"):
            self._step(1 if action == "prompt.next" else -1)
        elif action == "prompt.complete" and self.ui.mode is UiMode.COMMAND:
            names = [row.name for row in self.live.strategies]
            symbols = [name_of(self.live, self.ui, key) for key in self.ui.keys]
            prompt.text, prompt.message = complete(prompt.text, names, symbols)
        elif action == "prompt.erase":
            prompt.text = prompt.text[:-1]
            self._find()
        elif action == "prompt.clear":
            prompt.text = ""
            self._find()
        elif char and len(prompt.text) < 120:
            prompt.text += char
            prompt.message = prompt.message if self.ui.mode is UiMode.ARM else ""
            self._find()

    def _step(self, step: int) -> None:
        ui, prompt = self.ui, self.ui.prompt
        if ui.mode is UiMode.COMMAND:
            ui.history_at = min(max(0, ui.history_at + step), len(ui.history))
            prompt.text = ui.history[ui.history_at] if ui.history_at < len(ui.history) else ""
            return
        count = len(prompt.rows) or len(prompt.names)
        if count:
            prompt.index = (prompt.index + step) % count

    def _find(self) -> None:
        prompt = self.ui.prompt
        prompt.index = 0
        if self.ui.mode is UiMode.SEARCH:
            prompt.rows = tuple(self.desk.search(prompt.text, 20)) if prompt.text.strip() else ()
            prompt.message = "" if self.desk.handle is not None else "the engine is still starting"
        elif self.ui.mode is UiMode.PALETTE:
            words = prompt.text.lower().split()
            usable = [a for a in ACTIONS if a.context in (Context.NORMAL, Context.ANY) and a.id != "palette"]
            prompt.names = tuple(
                action.id
                for action in usable
                if all(word in f"{action.id} {action.words} {action.hint}".lower() for word in words)
            )

    def _accept(self) -> None:
        ui, prompt = self.ui, self.ui.prompt
        mode, text = ui.mode, prompt.text
        ui.mode = UiMode.NORMAL
        if mode is UiMode.SEARCH:
            if prompt.rows:
                row = prompt.rows[prompt.index]
                self.nav.add(row)
                ui.look_at(Pane.WATCH)
                self.say(f"{row.symbol} selected")
            else:
                self.say("nothing selected")
        elif mode is UiMode.PALETTE:
            chosen = prompt.names[prompt.index] if prompt.names else ""
            for action in ACTIONS:
                if action.id == chosen:
                    self.act(action, self.now_ms)
        elif mode is UiMode.ARM:
            self.operator.armed(self._arm_minutes, text.strip())
        else:
            self.run(text)

    def run(self, line: str) -> None:
        """Run a command line."""
        command = parse(line)
        if line.strip() and (not self.ui.history or self.ui.history[-1] != line.strip()):
            self.ui.history.append(line.strip())
        if isinstance(command, str):
            self.say(command, "WARNING")
            return
        self._run(command)

    def _run(self, command: Command) -> None:
        verb, rest = command.verb, command.rest
        if verb == "arm":
            self._arm_minutes = int(rest)
            self.operator.arm(self._arm_minutes)
        elif verb in ("disarm", "help", "quit", "kill"):
            handlers = {"disarm": self.operator.disarm, "help": self.help, "quit": self.quit}
            handlers.get(verb, lambda: self.operator.kill(self.now_ms, note=":kill"))()
        elif verb == "flatten":
            self.operator.flatten("typed FLATTEN")
        elif verb == "resume":
            self.operator.resume(rest)
        elif verb in MANAGED:
            self.manager.run(verb, rest, self.now_ms)
        elif verb == "replay":
            self.replayer.run(rest)
        elif verb in STRATEGY:
            self._strategy(STRATEGY[verb], rest)
        elif verb == "fault":
            told = self.desk.fault(rest, command.args)
            if rest == "list":
                self._read("Faults of the simulator", tuple(told.split("; ")))
            self.say(told)
        elif verb == "interval":
            self.nav.set_interval(rest)
        elif verb in ("theme", "screenshot"):
            self._effect(verb, rest)
        elif verb == "watch remove":
            self.nav.remove(self._key_of(rest) if rest else self.ui.selected, self.now_ms)
        else:
            self._select(rest)

    def _strategy(self, kind: str, name: str) -> None:
        names = {row.name.lower(): row.name for row in self.live.strategies}
        found = names.get(name.lower())
        if found is None:
            self.say(
                f"no strategy is called {name}; there are: {', '.join(names.values()) or 'none'}", "WARNING"
            )
        elif self.desk.submit(kind, name=found):
            self.say(f"{found}: {kind.lower().replace('_', ' ')}")

    def _key_of(self, symbol: str) -> str:
        for key in self.ui.keys:
            if name_of(self.live, self.ui, key).lower() == symbol.lower():
                return key
        return ""

    def _select(self, symbol: str) -> None:
        known = self._key_of(symbol)
        if known:
            self.nav.select(known)
            self.ui.look_at(Pane.WATCH)
            return
        hits = self.desk.search(symbol, 20)
        exact = [row for row in hits if row.symbol.lower() == symbol.lower()]
        if exact or len(hits) == 1:
            self.nav.add((exact or list(hits))[0])
            self.ui.look_at(Pane.WATCH)
        elif hits:
            self.say(
                f"{symbol} could be {', '.join(row.symbol for row in hits[:4])} ...; use / to choose",
                "WARNING",
            )
        else:
            self.say(f"no command and no instrument is called {symbol}", "WARNING")

    # --- texts, quitting ------------------------------------------------------------------------------

    def help(self) -> None:
        """Show help, made from the table of actions."""
        self._read("Help", help_lines(self.keymap, context_of(self.ui.mode), COMMANDS))

    def _read(self, title: str, lines: tuple[str, ...]) -> None:
        """Put a text over the panes."""
        self.ui.texts = (title, lines)
        self.ui.text_scroll = 0
        self.ui.mode = UiMode.TEXT

    def _text_key(self, action: str) -> None:
        steps = {"help.down": 1, "help.up": -1, "help.page.down": 15, "help.page.up": -15}
        if action in steps:
            # The overlay knows how many lines fit, and keeps the end in sight.
            self.ui.text_scroll = max(0, self.ui.text_scroll + steps[action])
        elif action == "help.close":
            self.ui.mode = UiMode.NORMAL
            if self.desk.error and self.ui.texts[0] in (STOPPED, NOT_STARTED):
                self._effect("quit", "")

    def quit(self) -> None:
        """Quit, after asking when something is open."""
        question = self.operator.quit_question()
        if not question:
            self._effect("quit", "")
            return
        self.ui.texts = ("Quit?", question)
        self.ui.text_scroll = 0
        self.ui.mode = UiMode.QUIT

    def _answer_quit(self, token: str) -> None:
        if token in ("y", "Y"):
            self._effect("quit", "")
        elif token in ("n", "N", "escape", "q"):
            self.ui.mode = UiMode.NORMAL

    def _interrupt(self, now_ms: int) -> None:
        if now_ms - self._interrupt_ms <= 3000:
            self._effect("quit", "")
        else:
            self._interrupt_ms = now_ms
            self.say("Ctrl+C again within 3 s quits; orders and positions stay as they are", "WARNING")

    def row_clicked(self, pane: Pane, row: int) -> None:
        """The mouse chose a row of a pane, counted from the pane's first shown row."""
        self.ui.look_at(pane)
        ids = ids_of(pane, self.shown(), self.ui, self.now_ms)
        at = self.ui.scroll.get(pane, 0) + row
        if 0 <= at < len(ids):
            if pane is Pane.WATCH:
                self.nav.select(ids[at])
            else:
                self.ui.cursors[pane] = ids[at]
