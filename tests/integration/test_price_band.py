"""The day's price band, read at the broker and kept by the gate, through the whole program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.fixtures.processes import SHARE, exchange, run, settings, until
from tests.fixtures.program import told

SETTINGS = """
[watch]
symbols = ["RELIANCE"]
[scripts]
enabled = true
[risk]
max_ltp_distance = 100.0
"""


def test_a_price_outside_the_day_s_band_is_refused_here_and_never_sent(tmp_path: Path) -> None:
    def tell(*words: str) -> tuple[int, Any]:
        code, out, _ = told(tmp_path, *words, "--json")
        return code, json.loads(out) if out.strip() else None

    with exchange() as sim:
        settings(tmp_path, SETTINGS)
        with run(tmp_path, sim):
            until(lambda: tell("status")[1]["feed"] == "up", "the feed is up")
            until(lambda: sim.asked("/market-quote/quotes"), "the bands are asked for")
            query = f"{sim.main}/v2/market-quote/quotes?instrument_key={SHARE.replace('|', '%7C')}"
            (quote,) = sim.call("GET", query)["data"].values()
            high = quote["upper_circuit_limit"]

            def refused() -> str:
                code, told_us = tell("place", "RELIANCE", "BUY", "1", "--price", f"{high + 1:.2f}")
                assert code == 1
                return str(told_us["words"])

            until(lambda: "lies outside the day's band" in refused(), "the gate knows the band")
            assert sim.orders() == []
            code, resting = tell("place", "RELIANCE", "SELL", "1", "--price", f"{high:.2f}")
            assert code == 0, resting
