"""Every class of refusal has its own words and its own remedy (case O20)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tradetui.brokers.upstox import endpoints as ep
from tradetui.brokers.upstox.errors import AuthRefused, advice, refusal, remedy_for
from tradetui.domain.errors import BrokerError, RateLimited, TradeTuiError

CODES = Path("../shared/reference/upstox.md")


def refused(endpoint: ep.Endpoint, code: str, status: int = 400, message: str = "no") -> TradeTuiError:
    body: dict[str, Any] = {"status": "error", "errors": [{"error_code": code, "message": message}]}
    return refusal(endpoint, status, body)


@pytest.mark.parametrize(
    ("endpoint", "code", "status", "kind", "remedy"),
    [
        (ep.PLACE, "UDAPI1154", 403, BrokerError, "static IP"),
        (ep.PLACE, "UDAPI100050", 401, AuthRefused, "Log in again"),
        (ep.PLACE, "UDAPI100074", 400, BrokerError, "05:30 to 24:00"),
        (ep.FUNDS, "UDAPI100072", 400, BrokerError, "05:30 to 24:00"),
        (ep.PLACE, "UDAPI10005", 429, RateLimited, "Wait a moment"),
        (ep.PLACE, "UDAPI1161", 400, BrokerError, "MCX"),
        (ep.PLACE, "UDAPI1158", 400, BrokerError, "protection"),
        (ep.PLACE, "UDAPI1176", 400, BrokerError, "protection"),
        (ep.PLACE, "UDAPI1113", 400, BrokerError, "closed"),
        (ep.PLACE, "UDAPI1118", 400, BrokerError, "smaller parts"),
        (ep.PLACE, "UDAPI100058", 400, BrokerError, "reactivate"),
        (ep.CANCEL, "UDAPI100040", 400, BrokerError, "finished already"),
        (ep.MODIFY, "UDAPI100041", 400, BrokerError, "finished already"),
        (ep.GTT_PLACE, "UDAPI1151", 400, BrokerError, "Widen the trailing gap"),
        (ep.GTT_MODIFY, "UDAPI1150", 400, BrokerError, "entry has triggered"),
        (ep.GTT_PLACE, "UDAPI1126", 400, BrokerError, "one ENTRY always"),
        (ep.CONVERT, "UDAPI1034", 400, BrokerError, "bought today"),
        (ep.MARGIN, "UDAPI1102", 400, BrokerError, "fewer instruments"),
    ],
)
def test_o20_each_refusal_has_its_own_words_and_remedy(
    endpoint: ep.Endpoint, code: str, status: int, kind: type[TradeTuiError], remedy: str
) -> None:
    error = refused(endpoint, code, status, "the broker's own words")
    assert type(error) is kind
    assert error.message == "the broker's own words"
    assert remedy in error.remedy


@pytest.mark.parametrize("code", ["UDAPI1181", "UDAPI1184", "UDAPI1185", "UDAPI1186"])
def test_o20_codes_that_mean_two_things_are_read_by_endpoint(code: str) -> None:
    address, switch = remedy_for(ep.USER_IP.path, code), remedy_for(ep.SET_KILL_SWITCH.path, code)
    assert address
    assert switch
    assert address != switch
    assert remedy_for(ep.PLACE.path, code) == "", "elsewhere nobody knows what it means"


def test_o20_the_classes_that_users_meet_never_share_a_remedy() -> None:
    codes = ["UDAPI1154", "UDAPI100050", "UDAPI100074", "UDAPI10005", "UDAPI1161", "UDAPI1158", "UDAPI1113"]
    assert len({remedy_for(ep.PLACE.path, code) for code in codes}) == len(codes)


def test_o20_every_documented_code_of_orders_has_a_remedy() -> None:
    if not CODES.is_file():
        pytest.skip("the reference of the broker's codes is not beside this checkout")
    table = CODES.read_text(encoding="utf-8").split("### 6.3")[1].split("Warning:")[0]
    # Of the table's rows: what is not about orders, accounts or reads that we send.
    silent = {"100036", "100038", "100060", "10000", "1023", "100059"}
    missing = []
    for line in table.splitlines():
        for cell in re.findall(
            r"`(?:UDAPI)?(\d{4,6}(?:\.\.\d+)?)`", line.split("|")[1] if "|" in line else ""
        ):
            first, _, last = cell.partition("..")
            for number in range(int(first), int(last or first) + 1):
                code = f"UDAPI{number}"
                by_endpoint = any(remedy_for(e.path, code) for e in (ep.USER_IP, ep.KILL_SWITCH))
                if not (remedy_for(ep.PLACE.path, code) or by_endpoint or str(number) in silent):
                    missing.append(code)
    assert missing == []


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("RMS:Margin Exceeds, Required:1200.00, Available:3.10 for entity account", "Add funds"),
        ("Insufficient funds in the account", "Add funds"),
        ("The price is outside the circuit limits of the day", "inside the day's band"),
        ("CDSL TPIN authorisation is needed to sell this holding", "Authorise the sale"),
        ("The quantity is above the freeze limit", "smaller parts"),
        ("Intraday is not allowed in T2T scrips", "Only delivery"),
        ("This stock is in ban period", "F&O ban"),
        ("Bank Nifty order placed", ""),
        ("something nobody has seen", ""),
    ],
)
def test_o20_rejections_by_the_risk_system_get_advice_after_their_own_words(words: str, hint: str) -> None:
    assert (hint in advice(words)) if hint else not advice(words)
