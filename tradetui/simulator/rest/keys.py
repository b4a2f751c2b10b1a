"""Instrument keys in queries: parsing, limits, and the rule that one bad key fails the whole batch."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from tradetui.domain.errors import UnknownInstrument
from tradetui.domain.instrument import Instrument, split_key
from tradetui.simulator.rest.envelope import ApiError


def well_formed(key: str) -> bool:
    """Whether the text is shaped like an instrument key."""
    try:
        split_key(key)
    except UnknownInstrument:
        return False
    return True


def keys_of(
    request: web.Request, listed: Mapping[str, Instrument], *, limit: int, too_many: str
) -> list[Instrument]:
    """The instruments a quote request names, each once, in order.

    Args:
        request: With ``instrument_key``, or the older ``symbol`` that the SDK still sends.
        listed: Every instrument by key.
        limit: Most keys in one request.
        too_many: Error code above that.

    Raises:
        ApiError: No key, too many, or any key that is malformed or unknown.
    """
    text = request.query.get("instrument_key") or request.query.get("symbol") or ""
    keys = [key.strip() for key in text.split(",") if key.strip()]
    if not keys:
        raise ApiError("UDAPI1026", property_path="instrument_key")
    if len(keys) > limit:
        raise ApiError(too_many, message=f"At most {limit} instrument keys are allowed")
    found = []
    for key in dict.fromkeys(keys):
        if not well_formed(key):
            raise ApiError("UDAPI1087", property_path="instrument_key", invalid_value=key)
        instrument = listed.get(key)
        if instrument is None:
            raise ApiError(
                "UDAPI100095", message="Invalid instrument key", property_path="instrument_key",
                invalid_value=key,
            )  # fmt: skip
        found.append(instrument)
    return found


def one_key(
    text: str, listed: Mapping[str, Instrument], *, malformed: str, unknown: str = "UDAPI100011"
) -> Instrument:
    """The instrument a path or a body names.

    Raises:
        ApiError: Malformed (``malformed``) or unknown (``unknown``).
    """
    if not well_formed(text):
        raise ApiError(malformed, property_path="instrument_key", invalid_value=text)
    if text not in listed:
        raise ApiError(unknown, property_path="instrument_key", invalid_value=text)
    return listed[text]
