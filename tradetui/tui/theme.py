"""Colours by meaning, and the Rich styles made from them once per theme.

The default pair for gain and loss is blue and orange: it stays apart for every kind of colour blindness
(`tui.md` e10). Colour is never the only sign: sides are words, changes carry plus or minus.
"""

from __future__ import annotations

from rich.style import Style
from textual.theme import BUILTIN_THEMES, Theme

_DARK = {
    "background": "#101418",
    "text": "#d7dde4",
    "dim": "#8593a0",
    "faint": "#4a5763",
    "border": "#37434f",
    "focus": "#8fb8de",
    "title": "#b9c6d3",
    "gain": "#58a6ff",
    "loss": "#ff9e3d",
    "buy": "#58a6ff",
    "sell": "#ff9e3d",
    "good": "#6cc4a1",
    "warn": "#e8c547",
    "error": "#ff6b6b",
    "key": "#e8c547",
    "accent": "#c7a6ff",
    "cursor": "#25323f",
    "bar": "#2b4a6b",
    "bar2": "#6b4a24",
}
_LIGHT = {
    "background": "#fbfbf8",
    "text": "#1d252c",
    "dim": "#5a6672",
    "faint": "#a9b3bc",
    "border": "#b4bec8",
    "focus": "#0b5cad",
    "title": "#33404c",
    "gain": "#0b5cad",
    "loss": "#a84300",
    "buy": "#0b5cad",
    "sell": "#a84300",
    "good": "#1d6b4f",
    "warn": "#7a5b00",
    "error": "#b3202c",
    "key": "#7a4d00",
    "accent": "#6a3fb0",
    "cursor": "#dbe6f1",
    "bar": "#bcd4ee",
    "bar2": "#f0d3b3",
}
_CONTRAST = {
    **_DARK,
    "background": "#000000",
    "text": "#ffffff",
    "dim": "#d0d0d0",
    "faint": "#909090",
    "border": "#909090",
    "focus": "#ffff00",
    "title": "#ffffff",
    "gain": "#7cc0ff",
    "loss": "#ffb566",
    "buy": "#7cc0ff",
    "sell": "#ffb566",
    "good": "#7dffc8",
    "warn": "#ffff00",
    "error": "#ff8080",
    "key": "#ffff00",
    "cursor": "#303060",
}
_SIXTEEN = {
    "background": "default",
    "text": "default",
    "dim": "default",
    "faint": "bright_black",
    "border": "bright_black",
    "focus": "bright_cyan",
    "title": "default",
    "gain": "bright_blue",
    "loss": "yellow",
    "buy": "bright_blue",
    "sell": "yellow",
    "good": "green",
    "warn": "yellow",
    "error": "bright_red",
    "key": "cyan",
    "accent": "magenta",
    "cursor": "reverse",
    "bar": "blue",
    "bar2": "yellow",
}
_GREEN_RED = {
    True: {"gain": "#3ecf8e", "loss": "#ff6b6b", "buy": "#3ecf8e", "sell": "#ff6b6b"},
    False: {"gain": "#0f7a4a", "loss": "#b3202c", "buy": "#0f7a4a", "sell": "#b3202c"},
}
COLOURS = {"dark": _DARK, "light": _LIGHT, "contrast": _CONTRAST, "16": _SIXTEEN}
"""Theme name to its colours by meaning."""

_MODES = {
    "mode.sim": ("#06251b", "#6cc4a1", "green"),
    "mode.paper": ("#04182e", "#58a6ff", "blue"),
    "mode.replay": ("#1d0f35", "#c7a6ff", "magenta"),
    "mode.live": ("#e8c547", "", "yellow"),
    "mode.rehearsal": ("#06251b", "#9fd8a0", "green"),
    "mode.armed": ("#ffffff", "#c8102e", "red"),
    "paused": ("#1c1500", "#e8c547", "yellow"),
    "alarm": ("#ffffff", "#c8102e", "red"),
}
"""Solid badges: ink and ground; the last is the ground on a 16-colour terminal."""


class Palette:
    """Rich styles by name for one theme.

    Args:
        name: ``dark``, ``light``, ``contrast`` or ``16``.
        pair: ``blue-orange`` or ``green-red``.
    """

    def __init__(self, name: str = "dark", pair: str = "blue-orange") -> None:
        if name not in COLOURS:
            name = "dark"
        self.name = name
        self.pair = pair
        self.ansi = name == "16"
        self.colours = dict(COLOURS[name])
        if pair == "green-red":
            self.colours.update(
                {"gain": "green", "loss": "red", "buy": "green", "sell": "red"}
                if self.ansi
                else _GREEN_RED[name != "light"]
            )
        self._styles: dict[str, Style] = {}

    def style(self, name: str) -> Style:
        """The Rich style of a name such as ``gain+bold``; made once and kept."""
        found = self._styles.get(name)
        if found is None:
            found = self._styles[name] = self._make(name)
        return found

    def _make(self, name: str) -> Style:
        base, *modifiers = name.split("+")
        style = self._badge(base) if base in _MODES else self._colour(base)
        for modifier in modifiers:
            style += self._modifier(modifier)
        return style

    def _colour(self, base: str) -> Style:
        ink = self.colours.get(base, self.colours["text"])
        if self.ansi:
            return Style(color=None if ink == "default" else ink, dim=base == "dim")
        return Style(color=ink, bgcolor=self.colours["background"])

    def _badge(self, base: str) -> Style:
        ink, ground, sixteen = _MODES[base]
        if self.ansi:
            return Style(color=sixteen, reverse=bool(ground), bold=True)
        if not ground:
            return Style(color=self.colours["warn"], bgcolor=self.colours["background"], bold=True)
        return Style(color=ink, bgcolor=ground, bold=True)

    def _modifier(self, modifier: str) -> Style:
        if modifier == "bold":
            return Style(bold=True)
        if modifier == "underline":
            return Style(underline=True)
        if modifier == "reverse" or (modifier == "cursor" and self.ansi):
            return Style(reverse=True)
        if modifier in ("cursor", "bar", "bar2") and not self.ansi:
            return Style(bgcolor=self.colours[modifier])
        return Style(underline=True) if modifier in ("bar", "bar2") else Style()

    def textual_theme(self) -> Theme:
        """The Textual theme that goes with it, with our meanings as variables for style sheets."""
        get = self.colours.get
        if self.ansi:
            return Theme(
                name=f"tradetui-{self.name}",
                ansi=True,
                primary="ansi_blue",
                foreground="ansi_default",
                background="ansi_default",
                surface="ansi_default",
                panel="ansi_default",
                boost="ansi_default",
                variables=BUILTIN_THEMES["ansi-dark"].variables,
            )
        return Theme(
            name=f"tradetui-{self.name}-{self.pair}",
            primary=get("focus", ""),
            foreground=get("text"),
            background=get("background"),
            surface=get("background"),
            panel=get("background"),
            warning=get("warn"),
            error=get("error"),
            success=get("good"),
            accent=get("accent"),
            dark=self.name != "light",
            variables={name: colour for name, colour in self.colours.items() if name != "background"},
        )
