"""Text from outside, made harmless.

Instrument names, order tags and broker messages come from machines we do not control. Before they reach
a terminal they lose control characters (a terminal would act on them) and bidirectional overrides (they
make text read as something else). `design.md` 10b.
"""

from __future__ import annotations

import unicodedata

_DROP = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def clean(text: object, limit: int = 500) -> str:
    """Return ``text`` as one printable line of at most ``limit`` characters; ``None`` becomes empty."""
    if text is None:
        return ""
    raw = str(text)
    if raw.isascii() and raw.isprintable():
        return raw[:limit]
    spaced = "".join(" " if ch in "\t\r\n" else ch for ch in raw)
    return "".join(ch for ch in spaced if unicodedata.category(ch) not in _DROP)[:limit]
