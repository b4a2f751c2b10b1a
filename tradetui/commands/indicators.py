"""`tradetui indicators`: what the registry holds."""

from __future__ import annotations

from typing import Any

from tradetui.commands.output import form_of, show
from tradetui.domain.errors import DomainError, UsageError
from tradetui.domain.text import clean
from tradetui.indicators import REGISTRY, Indicator, Spec, parse_spec, spec

_COLUMNS = ("name", "title", "family", "outputs", "warmup")


def run_list(words: tuple[str, ...], family: str, *, on_price: bool, as_json: bool, as_csv: bool) -> int:
    """Print the indicators that fit; 1 if there are none.

    Raises:
        UsageError: There is no such family.
    """
    families = sorted({indicator.family for indicator in REGISTRY.values()})
    if family and family not in families:
        raise UsageError(f"no family {clean(family, 30)!r}", f"known: {', '.join(families)}")
    rows = [
        row_of(indicator)
        for _, indicator in sorted(REGISTRY.items())
        if (not family or indicator.family == family)
        and (not on_price or indicator.on_price)
        and all(word.lower() in f"{indicator.name} {indicator.title}".lower() for word in words)
    ]
    show(
        {"rows": rows, "source": f"{len(rows)} indicators"},
        form_of(as_json=as_json, as_csv=as_csv),
        _COLUMNS,
        "no indicator fits",
    )
    return 0 if rows else 1


def run_show(text: str, *, as_json: bool) -> int:
    """Print one indicator.

    Raises:
        UsageError: There is none of that name, or it does not take these parameters.
    """
    try:
        wanted = parse_spec(text)
    except DomainError as error:
        raise UsageError(error.message, error.remedy) from None
    data = about(wanted)
    if as_json:
        show(data, "json", ())
        return 0
    lines = {
        **data,
        "params": ", ".join(f"{name} {value:g}" for name, value in wanted.params.items()) or "none",
    }
    for name in ("inputs", "outputs", "on_price", "columns"):
        lines[name] = ", ".join(data[name]) or "none"
    for name, value in lines.items():
        print(f"{name:12} {value}".rstrip())
    return 0


def row_of(indicator: Indicator) -> dict[str, Any]:
    """One indicator in the list, with its usual parameters."""
    usual = spec(indicator.name)
    return {
        "name": str(usual),
        "title": indicator.title,
        "family": indicator.family,
        "params": dict(indicator.params),
        "outputs": ", ".join(indicator.outputs),
        "warmup": usual.warmup,
        "on_price": bool(indicator.on_price),
        "computed_by": indicator.source,
    }


def about(wanted: Spec) -> dict[str, Any]:
    """Everything about one indicator."""
    indicator = wanted.indicator
    return {
        "name": str(wanted),
        "title": indicator.title,
        "about": indicator.about,
        "family": indicator.family,
        "params": wanted.params,
        "inputs": list(indicator.inputs),
        "outputs": list(indicator.outputs),
        "columns": list(wanted.columns),
        "on_price": list(indicator.on_price),
        "warmup": wanted.warmup,
        "computed_by": indicator.source,
    }
