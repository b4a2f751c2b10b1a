"""`tradetui charges`: of orders that filled, or of one that was not sent yet."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from tradetui import config
from tradetui.commands.output import form_of, show
from tradetui.commands.read import ReadOptions, run_read
from tradetui.control.client import ask
from tradetui.domain.errors import UsageError

_COLUMNS = ("symbol", "side", "qty", "price", "product", "charges", "brokers", "difference")


@dataclass(frozen=True, slots=True)
class ChargesOptions:
    """Flags of ``tradetui charges``; see `commands.table.charges`."""

    home: str | None = None
    account: str = ""
    words: tuple[str, ...] = ()
    preview: bool = False
    product: str = "I"
    as_json: bool = False
    as_csv: bool = False


def run_charges(options: ChargesOptions) -> int:
    """Print charges; returns the exit code.

    Raises:
        TradeTuiError: They cannot be told.
    """
    if not options.preview:
        args: dict[str, Any] = {"tags": list(options.words)} if options.words else {}
        return run_read(
            "charges",
            ReadOptions(options.home, options.account, options.as_json, options.as_csv, args, timeout_s=90.0),
        )
    form = form_of(as_json=options.as_json, as_csv=options.as_csv)
    if len(options.words) != 4:
        raise UsageError("--preview needs INSTRUMENT SIDE QTY PRICE", "such as: RELIANCE BUY 10 1405.50")
    instrument, side, qty, price = options.words
    try:
        terms = {"qty": int(qty), "price": float(price)}
    except ValueError:
        raise UsageError(f"not a quantity and a price: {qty!r} {price!r}") from None
    data = ask(
        config.home(options.home).data_dir,
        "charges-preview",
        {"instrument": instrument, "side": side, "product": options.product, **terms},
    )
    show(data, form, _COLUMNS)
    if form == "table":
        for name, amount in (data["broker_lines"] or {}).items():
            print(f"  the broker: {name:12} {amount:12,.2f}")
        if data["broker_words"]:
            print(data["broker_words"], file=sys.stderr)
    return 0
