"""Settings from TOML: frozen, checked, every one documented where it is declared.

A setting is a dataclass field made by `setting()`: its default, unit, range and meaning are what the loader
checks and what `config.toml.example` is written from, so the three cannot differ. Unknown keys are refused
naming the nearest known one. Secrets are never settings: they live in the keyring.

| file | what is in it |
|---|---|
| `sections.py`, `risk.py`, `calendar.py` | the settings |
| `about.py` | how one is declared |
| `load.py` | reading and checking the file |
| `words.py` | the example file and the reference |
| `home.py` | directories |
"""

from tradetui.config.about import About, range_words, setting
from tradetui.config.calendar import OWN_FILE, OwnCalendar
from tradetui.config.home import Home, home
from tradetui.config.load import clock_seconds, load, parse
from tradetui.config.risk import Risk
from tradetui.config.sections import (
    Account,
    Config,
    Feed,
    History,
    Logs,
    OpeningRange,
    Screen,
    Simulator,
    Storage,
    Strategies,
    Urls,
    Vote,
    Watch,
    Watchdog,
)
from tradetui.config.words import example, walk

__all__ = [
    "OWN_FILE",
    "About",
    "Account",
    "Config",
    "Feed",
    "History",
    "Home",
    "Logs",
    "OpeningRange",
    "OwnCalendar",
    "Risk",
    "Screen",
    "Simulator",
    "Storage",
    "Strategies",
    "Urls",
    "Vote",
    "Watch",
    "Watchdog",
    "clock_seconds",
    "example",
    "home",
    "load",
    "parse",
    "range_words",
    "setting",
    "walk",
]
