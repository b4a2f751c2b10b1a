"""The command line: text to a command, pure. Running them is the controller's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tradetui.domain.intervals import INTERVALS

COMMANDS: tuple[tuple[str, str], ...] = (
    ("arm MINUTES", "allow live orders for 1 to 60 minutes; asks for the last four of the account"),
    ("disarm", "stop live orders at once"),
    ("kill", "same as the kill key: block new orders, cancel open ones"),
    ("FLATTEN", "in capitals: second stage of kill, closes all positions"),
    (
        "stop P | target P | trail T | leave HH:MM",
        "exit plan of the position: T is 2.5 points, 1%, 2atr, 3ch",
    ),
    ("plan off | stop P target P ...", "take the exit plan away, or set several parts at once"),
    ("exit all [delivery] [mtf]", "close every position, asked twice; delivery and MTF only when named"),
    ("cancel all [with stops]", "cancel every order of the account, asked twice"),
    ("convert I|D|MTF [QTY]", "move a position to another product"),
    (
        "gtt SIDE QTY above|below|now P ...",
        "an order that rests at the broker for days; reviewed before it goes",
    ),
    ("basket LEG; LEG ...", "several orders as one group, such as: basket buy 1l A @10; sell 1l B @5"),
    ("gtt cancel [ID]", "cancel a GTT; the end of its number is enough"),
    ("limit NAME VALUE REASON", "change a risk limit while running; the reason is written down"),
    ("square-off ok", "you have looked up the broker's cut-off for intraday positions"),
    ("resume [REASON]", "take new orders again after a kill; a reached loss limit needs a reason"),
    ("strategy run NAME", "let a strategy make signals"),
    ("strategy pause NAME", "stop a strategy making signals"),
    ("auto on NAME", "let the signals of a strategy become orders"),
    ("auto off NAME", "signals stay suggestions"),
    ("watch add SYMBOL", "put an instrument on the watchlist"),
    ("watch remove [SYMBOL]", "take an instrument off the watchlist"),
    ("interval 1m|5m|1h|1d|1w|1M", "interval of the chart; also 3m, 15m, 30m"),
    ("fault NAME [KEY=VALUE ...]", "simulator: rehearse a bad day, such as fault drop, fault reject every=5"),
    ("fault list|none", "simulator: name the faults there are, or lift all that are on"),
    (
        "replay pause|resume|step|jump|speed",
        "replay: step frame, second or minute; jump HH:MM; speed 10 or max; faster, slower",
    ),
    ("theme dark|light|contrast|16", "colours"),
    ("screenshot PATH", "write the screen as an SVG picture"),
    ("help", "keys and commands"),
    ("quit", "same as the quit key"),
    ("SYMBOL", "select an instrument, adding it to the watchlist"),
)
"""Usage and meaning of every command."""

THEMES = ("dark", "light", "contrast", "16")
_VERBS = tuple(dict.fromkeys(usage.split(" ")[0] for usage, _ in COMMANDS if usage != "SYMBOL"))
_SECOND = {
    "strategy": ("run", "pause"),
    "auto": ("on", "off"),
    "watch": ("add", "remove"),
    "interval": tuple(INTERVALS),
    "theme": THEMES,
    "exit": ("all",),
    "cancel": ("all",),
    "gtt": ("buy", "sell", "cancel"),
    "convert": ("I", "D", "MTF"),
    "square-off": ("ok",),
    "replay": ("pause", "resume", "step", "jump", "speed", "faster", "slower"),
}


STRATEGY = {
    "strategy run": "STRATEGY_RUN",
    "strategy pause": "STRATEGY_PAUSE",
    "auto on": "AUTO_ON",
    "auto off": "AUTO_OFF",
}
"""Command to the operator event that it asks for."""


@dataclass(frozen=True, slots=True)
class Command:
    """A line understood.

    Attributes:
        verb: Name of the command with its second word, such as ``watch add``; ``select`` for a symbol.
        rest: What follows.
        args: Key and value pairs of ``fault``.
    """

    verb: str
    rest: str = ""
    args: dict[str, object] = field(default_factory=dict)


_PLAN_WORDS = ("stop", "target", "trail", "leave", "overnight", "plan")
_Parser = Callable[[list[str]], "Command | str"]


def parse(line: str) -> Command | str:
    """Understand a line, or say in words what is wrong with it."""
    text = line.strip()
    if not text:
        return "nothing typed"
    words = text.split()
    verb, rest = words[0].lower(), words[1:]
    if words[0] == "FLATTEN" and not rest:
        return Command("flatten")
    if verb == "flatten":
        return "type FLATTEN in capitals, alone, to close all positions"
    if verb == "resume":
        return Command("resume", " ".join(rest))
    if verb in ("disarm", "kill", "help", "quit", "q"):
        if rest:
            return f"{verb} takes no further words"
        return Command("quit" if verb == "q" else verb)
    if verb in _PARSERS:
        return _PARSERS[verb](rest)
    return Command("select", text)


def _all_of(verb: str, rest: list[str]) -> Command | str:
    more = {
        "exit": ({"delivery", "mtf"}, "exit all [delivery] [mtf]"),
        "cancel": ({"with", "stops"}, "cancel all [with stops]"),
    }
    allowed, usage = more[verb]
    if rest[:1] != ["all"] or not {word.lower() for word in rest[1:]} <= allowed:
        return f"{usage}; one position or order: mark it and press {'z' if verb == 'exit' else 'x'}"
    return Command(f"{verb} all", " ".join(rest[1:]).lower())


def _arm(rest: list[str]) -> Command | str:
    if len(rest) == 1 and rest[0].isdigit() and 1 <= int(rest[0]) <= 60:
        return Command("arm", rest[0])
    return "arm MINUTES, from 1 to 60"


def _pair(verb: str, what: str, *, optional: tuple[str, ...] = ()) -> _Parser:
    def run(rest: list[str]) -> Command | str:
        choices = _SECOND[verb]
        second = rest[0].lower() if rest else ""
        if second not in choices:
            return f"{verb} {' or '.join(choices)}, then {what}"
        if len(rest) < 2 and second not in optional:
            return f"{verb} {second} {what}"
        return Command(f"{verb} {second}", " ".join(rest[1:]))

    return run


def _choice(verb: str) -> _Parser:
    def run(rest: list[str]) -> Command | str:
        for word in (rest[0], rest[0].lower()) if len(rest) == 1 else ():
            if word in _SECOND[verb]:  # as typed first: 1M is not 1m
                return Command(verb, word)
        return f"{verb} is one of {', '.join(_SECOND[verb])}"

    return run


def _fault(rest: list[str]) -> Command | str:
    if not rest:
        return "fault NAME, then KEY=VALUE pairs; fault list names them, fault none lifts all"
    args: dict[str, object] = {}
    for word in rest[1:]:
        key, sign, value = word.partition("=")
        if not sign or not key:
            return f"{word} is not KEY=VALUE"
        args[key] = _value(value)
    return Command("fault", rest[0], args)


def _value(text: str) -> object:
    if text.lower() in ("true", "on", "yes"):
        return True
    if text.lower() in ("false", "off", "no"):
        return False
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return text


def _screenshot(rest: list[str]) -> Command | str:
    return Command("screenshot", " ".join(rest)) if rest else "screenshot PATH"


def _plan(verb: str) -> _Parser:
    """`stop 95` is short for `plan stop 95`."""
    return lambda rest: Command("plan", " ".join(rest if verb == "plan" else [verb, *rest]))


def _whole(verb: str) -> _Parser:
    return lambda rest: Command(verb, " ".join(rest))


def _square_off(rest: list[str]) -> Command | str:
    if rest == ["ok"]:
        return Command("square-off")
    return "square-off ok, once you have looked up the broker's cut-off"


_PARSERS: dict[str, _Parser] = {
    **{verb: _plan(verb) for verb in _PLAN_WORDS},
    "exit": lambda rest: _all_of("exit", rest),
    "cancel": lambda rest: _all_of("cancel", rest),
    "convert": _whole("convert"),
    "gtt": _whole("gtt"),
    "basket": _whole("basket"),
    "limit": _whole("limit"),
    "replay": _whole("replay"),
    "square-off": _square_off,
    "arm": _arm,
    "strategy": _pair("strategy", "NAME"),
    "auto": _pair("auto", "NAME"),
    "watch": _pair("watch", "SYMBOL", optional=("remove",)),
    "interval": _choice("interval"),
    "theme": _choice("theme"),
    "fault": _fault,
    "screenshot": _screenshot,
}


def complete(line: str, strategies: Iterable[str], symbols: Iterable[str]) -> tuple[str, str]:
    """Complete the last word.

    Returns:
        The line after completion, and the candidates when there is more than one.
    """
    words = line.split(" ")
    last = words[-1]
    candidates = _candidates(words[:-1], strategies, symbols)
    fitting = [word for word in candidates if word.lower().startswith(last.lower())]
    if not fitting:
        return line, ""
    if len(fitting) == 1:
        return " ".join([*words[:-1], fitting[0]]) + " ", ""
    shared = _shared(fitting)
    grown = shared if len(shared) > len(last) else last
    return " ".join([*words[:-1], grown]), "  ".join(fitting[:8])


def _candidates(before: list[str], strategies: Iterable[str], symbols: Iterable[str]) -> list[str]:
    if not before:
        return [*_VERBS, *symbols]
    verb = before[0].lower()
    if len(before) == 1:
        return list(_SECOND.get(verb, ()))
    if len(before) == 2 and verb in ("strategy", "auto"):
        return list(strategies)
    if len(before) == 2 and verb == "watch":
        return list(symbols)
    return []


def _shared(words: list[str]) -> str:
    first, last = min(words), max(words)
    n = 0
    while n < min(len(first), len(last)) and first[n] == last[n]:
        n += 1
    return first[:n]
