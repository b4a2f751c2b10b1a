"""After-market orders through the whole program: labelled and asked for in the evening, filled the next morning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.fixtures.processes import Exchange, exchange, records, run, settings, until
from tests.fixtures.program import told
from tradetui.domain.records import RecordKind

SETTINGS = """
[watch]
symbols = ["RELIANCE"]
[scripts]
enabled = true
"""


def tell(home: Path, *words: str) -> tuple[int, Any]:
    """Exit code and the JSON object printed."""
    code, out, _ = told(home, *words, "--json")
    return code, json.loads(out) if out.strip() else None


def jump(sim: Exchange, to: str) -> None:
    """Set the exchange's clock forward."""
    sim.call("POST", sim.told["control"] + "/clock", {"jump": to})


def test_an_order_of_the_evening_is_labelled_waits_and_fills_at_the_next_open(tmp_path: Path) -> None:
    with exchange("--date", "2026-11-19") as sim:
        settings(tmp_path, SETTINGS)
        jump(sim, "20:00")
        with run(tmp_path, sim):
            until(lambda: tell(tmp_path, "status")[1]["feed"] == "up", "the feed is up")
            # Well above the market, inside the fat finger's limit: it fills at whatever the open is.
            terms = ("RELIANCE", "BUY", "2", "--price", f"{sim.ltp() * 1.02:.0f}", "--product", "D")

            code, plain = tell(tmp_path, "place", *terms)
            assert code == 1
            assert "ask for an after-market order (AMO)" in plain["words"]
            assert sim.orders() == []

            code, asked = tell(tmp_path, "place", *terms, "--amo")
            assert code == 0, asked
            (row,) = sim.orders()
            assert row["status"] == "after market order req received"
            (sent,) = [r for r in records(tmp_path) if r.kind is RecordKind.INTENT]
            assert sent.data["request"]["amo"] is True

            jump(sim, "2026-11-20T09:15:05")
            until(lambda: sim.orders()[0]["status"] == "complete", "the order fills at the open")
            assert sim.orders()[0]["order_id"] == row["order_id"]

            def booked() -> bool:
                rows = tell(tmp_path, "positions")[1]["rows"]
                return [(one["symbol"], one["product"], one["qty"]) for one in rows] == [("RELIANCE", "D", 2)]

            until(booked, "the fill is booked here")
            (order,) = [one for one in tell(tmp_path, "orders")[1]["rows"] if one["status"] != "refused"]
            assert (order["status"], order["filled_qty"]) == ("filled", 2)
