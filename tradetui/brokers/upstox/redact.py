"""Takes secrets and account ids out of what is logged or journaled, before it gets there.

`design.md` 10b: redaction happens at the source. Bearers, login and stream codes, keys, and the ids that name
the account's holder become stars.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from tradetui.domain.secret import STARS

_HIDDEN: Final = frozenset(
    {
        # secrets
        "access_token", "extended_token", "refresh_token", "token", "client_secret", "client_id", "code",
        "state", "authorization", "authorized_redirect_uri", "authorizedredirecturi", "notifier_url",
        # who the account belongs to
        "user_id", "userid", "user_name", "email", "placed_by", "guid", "primary_ip", "secondary_ip",
    }
)  # fmt: skip
_PATTERNS: Final = (
    re.compile(r"(?i)(bearer\s+)[^\s\"',;]+"),
    re.compile(
        r"(?i)((?:access_token|extended_token|refresh_token|client_secret|client_id|code|state|requestid)"
        r"(?:\"\s*:\s*\"|'\s*:\s*'|=))[^&\s\"']+"
    ),
    # A JSON web token, wherever it turns up.
    re.compile(r"()eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"),
)


def redact(value: Any) -> Any:
    """A copy of plain JSON data with stars in place of everything that must not be kept."""
    if isinstance(value, Mapping):
        return {
            str(key): STARS if str(key).lower() in _HIDDEN and item else redact(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact(item) for item in value]
    return redact_text(value) if isinstance(value, str) else value


def redact_text(text: str) -> str:
    """``text`` with bearers, codes and web tokens replaced by stars."""
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\1{STARS}", text)
    return text
