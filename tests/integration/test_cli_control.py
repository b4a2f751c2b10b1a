"""Commands that ask a running engine, as processes: `run --headless` against a simulator, and a shell beside it."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.processes import Exchange, exchange, records, run, settings, until
from tests.fixtures.program import program, told

SCRIPTS = """
[watch]
symbols = ["RELIANCE"]
[scripts]
enabled = true
max_orders = 40
max_value = 40000
"""
PLAIN = '[watch]\nsymbols = ["RELIANCE"]\n'


class Desk:
    """A run, its exchange, and a shell."""

    def __init__(self, home: Path, sim: Exchange) -> None:
        self.home = home
        self.sim = sim
        self._rests_at = 0.0

    def tell(self, *words: str) -> tuple[int, Any, str]:
        """Exit code, the JSON object printed, and errors."""
        code, out, errors = told(self.home, *words, "--json")
        return code, json.loads(out) if out.strip() else None, errors

    def ok(self, *words: str) -> Any:
        code, data, errors = self.tell(*words)
        assert code == 0, (data, errors)
        return data

    def price(self, share: float = 1.0) -> str:
        """A price on the tick, some share of the last."""
        return f"{round(self.sim.ltp() * share):.2f}"

    def rest(self, *more: str) -> Any:
        """An order that rests far below the market; no two are equal, or the gate would call them duplicates."""
        self._rests_at = (self._rests_at or round(self.sim.ltp() * 0.95)) - 1
        price = f"{self._rests_at:.2f}"
        return self.ok("place", "RELIANCE", "BUY", "1", "--price", price, *more)


@pytest.fixture(scope="module")
def sim() -> Iterator[Exchange]:
    with exchange() as one:
        yield one


@pytest.fixture(scope="module")
def desk(sim: Exchange, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    home = tmp_path_factory.mktemp("control")
    settings(home, SCRIPTS)
    with run(home, sim):
        one = Desk(home, sim)
        priced(one)
        yield one


def priced(desk: Desk) -> None:
    """Wait until the engine streams."""
    until(lambda: desk.tell("status")[1]["feed"] == "up", "the feed is up")


def test_status_is_one_json_object_without_secrets(desk: Desk) -> None:
    code, out, errors = told(desk.home, "status", "--json")
    data = json.loads(out)
    assert (code, errors) == (0, "")
    assert (data["mode"], data["live"], data["scripts_armed"]) == ("sim", False, True)
    assert "token" not in out.lower()


def test_an_order_is_placed_changed_and_cancelled_and_each_reply_waits_for_evidence(desk: Desk) -> None:
    placed = desk.rest("--script", "mine", "--reason", "a test")
    tag = placed["tag"]
    assert (placed["done"], placed["settled"], placed["status"]) == (True, True, "open")
    (row,) = desk.ok("orders", "--open")["rows"]
    assert (row["tag"], row["source"], row["reason"]) == (tag, "script:mine", "a test")
    lower = desk.price(0.94)
    changed = desk.ok("modify", tag, "--price", lower, "--qty", "2")
    assert (changed["rows"][0]["price"], changed["rows"][0]["qty"]) == (float(lower), 2)
    theirs = next(one for one in desk.sim.orders() if one["order_id"] == row["broker_id"])
    assert (float(theirs["price"]), theirs["qty"]) == (float(lower), 2)
    gone = desk.ok("cancel", tag)
    assert gone["status"] == "cancelled"
    assert desk.sim.status(row["broker_id"]) == "cancelled"
    code, data, _ = desk.tell("cancel", tag)
    assert (code, data["done"]) == (1, False)
    assert "cancelled already" in data["words"]


def test_a_client_id_is_sent_once_however_often_it_is_asked(desk: Desk) -> None:
    first = desk.rest("--client-id", "twice-1")
    before = len(desk.sim.orders())
    again = desk.rest("--client-id", "twice-1")
    assert (again["repeated"], again["tag"]) == (True, first["tag"])
    assert len(desk.sim.orders()) == before
    code, data, _ = desk.tell(
        "place", "RELIANCE", "SELL", "1", "--price", desk.price(1.05), "--client-id", "twice-1"
    )
    assert code == 1
    assert "used for another order" in data["words"]
    assert desk.ok("cancel", "twice-1")["done"]


def test_a_position_is_opened_shown_everywhere_and_closed(desk: Desk) -> None:
    bought = desk.ok("place", "RELIANCE", "BUY", "4", "--wait", "20")
    assert bought["status"] == "filled"
    (position,) = desk.ok("positions", "--open")["rows"]
    assert (position["symbol"], position["qty"], position["naked"]) == ("RELIANCE", 4, True)
    (bare,) = desk.ok("naked")["rows"]
    assert bare["why"]
    assert sum(row["qty"] for row in desk.ok("trades")["rows"] if row["tag"] == bought["tag"]) == 4
    (cost,) = desk.ok("charges", bought["tag"])["rows"]
    assert cost["charges"] > 0
    assert cost["brokers"] is not None
    assert cost["difference"] == pytest.approx(cost["charges"] - cost["brokers"], abs=1e-4)
    closed = desk.ok("exit", "RELIANCE", "--wait", "30")
    assert closed["done"]
    assert desk.ok("positions", "--open")["rows"] == []
    assert desk.sim.held() == {}
    profit = desk.ok("pnl")
    (row,) = profit["rows"]
    assert row["net"] == pytest.approx(row["gross"] - row["charges"], abs=1e-4)
    (by_script,) = desk.ok("pnl", "--by", "strategy")["rows"]
    assert by_script["key"] == "script:cli"
    road = desk.ok("slippage")
    steps = next(row for row in road["rows"] if row["tag"] == bought["tag"])
    assert 0 <= steps["to_wire_ms"] <= steps["to_fill_ms"]
    assert steps["decided_mid"] > 0
    assert road["cost"] == pytest.approx(sum(row["cost"] for row in road["rows"]), abs=1e-4)
    assert desk.ok("funds")["known"]


def test_previewed_charges_stand_beside_the_brokers_own(desk: Desk) -> None:
    data = desk.ok("charges", "--preview", "RELIANCE", "BUY", "10", "1400", "--product", "D")
    (row,) = data["rows"]
    assert row["charges"] > 0
    assert data["broker_lines"]["total"] == row["brokers"]
    code, _, errors = desk.tell("charges", "--preview", "RELIANCE", "BUY")
    assert code == 2
    assert "INSTRUMENT SIDE QTY PRICE" in errors


def test_caps_and_the_gate_refuse_in_words_and_nothing_is_sent(desk: Desk) -> None:
    before = len(desk.sim.orders())
    code, data, _ = desk.tell("place", "RELIANCE", "BUY", "1000", "--price", desk.price(0.95))
    assert code == 1
    assert "more than the" in data["words"]
    code, data, _ = desk.tell("place", "RELIANCE", "BUY", "1", "--price", desk.price(1.5))
    assert (code, data["done"]) == (1, False)
    assert data["words"]
    assert len(desk.sim.orders()) == before


@pytest.mark.parametrize(
    "words",
    [
        ("place", "RELIANCE", "HOLD", "1"),
        ("place", "NOSUCHTHING", "BUY", "1"),
        ("place", "RELIANCE", "BUY", "1", "--price", "1.00001"),
        ("place", "RELIANCE", "BUY", "1", "--client-id", "has space"),
        ("modify", "x"),
        ("cancel",),
        ("cancel", "x", "--all"),
        ("pnl", "--by", "colour"),
        ("orders", "--json", "--csv"),
    ],
    ids=" ".join,
)
def test_wrong_use_is_exit_code_two(desk: Desk, words: tuple[str, ...]) -> None:
    if words[0] == "modify":
        assert desk.tell("modify", "x")[0] == 1, "no such order is not wrong use"
        return
    assert desk.tell(*words)[0] == 2


def test_cancel_all_leaves_nothing_working(desk: Desk) -> None:
    desk.rest()
    desk.rest("--client-id", "all-2", "--product", "D")
    assert len(desk.ok("orders", "--open")["rows"]) == 2
    assert desk.ok("cancel", "--all")["done"]
    assert desk.sim.working() == []


def test_an_order_from_the_phone_is_found_by_reconcile(desk: Desk) -> None:
    order_id = desk.sim.rest()
    data = desk.ok("reconcile")
    assert order_id in {row["broker_id"] for row in desk.ok("orders", "--open")["rows"]}
    assert data["source"] == "engine"
    assert desk.ok("cancel", order_id)["done"]


def test_every_table_can_be_had_as_csv(desk: Desk) -> None:
    for name in (
        "orders",
        "trades",
        "positions",
        "holdings",
        "gtts",
        "naked",
        "budget",
        "risk",
        "pnl",
        "slippage",
        "charges",
    ):
        code, out, errors = told(desk.home, name, "--csv")
        assert (code, errors) == (0, ""), name
        rows = list(csv.reader(io.StringIO(out)))
        assert len({len(row) for row in rows}) == 1, name


def test_the_journal_is_verified_and_exported_while_the_engine_writes_it(desk: Desk) -> None:
    found = desk.ok("audit", "verify")
    assert (found["ok"], found["damage"]) == (True, "")
    code, out, _ = told(desk.home, "audit", "export", "--kind", "intent")
    assert code == 0
    rows = [json.loads(line) for line in out.splitlines()]
    assert {row["kind"] for row in rows} == {"intent"}
    assert rows[0]["data"]["request"]["source"].startswith("script:")
    code, out, _ = told(desk.home, "audit", "export", "--format", "csv")
    assert code == 0
    secrets = [token for token in (desk.sim._token, desk.sim.told["api_secret"]) if token in out]
    assert secrets == []


def test_a_second_engine_is_refused_and_the_first_goes_on_answering(desk: Desk) -> None:
    code, _, errors = told(desk.home, "run", "--headless", "--for", "1s")
    assert code == 1
    assert "in use by" in errors
    assert desk.ok("status")["feed"] == "up"


# --- restarts, and no engine at all -------------------------------------------------------------------


def test_a_client_id_outlives_sigkill_and_files_answer_without_an_engine(
    sim: Exchange, tmp_path: Path
) -> None:
    settings(tmp_path, SCRIPTS)
    desk = Desk(tmp_path, sim)
    with run(tmp_path, sim) as first:
        priced(desk)
        tag = desk.rest("--client-id", "lasting")["tag"]
        first.kill()
    sent = len(sim.orders())

    code, data, _ = desk.tell("orders")
    assert (code, data["source"]) == (0, "files")
    code, data, _ = desk.tell(
        "place", "RELIANCE", "BUY", "1", "--price", desk.price(0.95), "--client-id", "lasting"
    )
    assert code == 1
    assert "nothing is sent without" in data["words"]
    code, _, errors = desk.tell("funds")
    assert code == 1
    assert "only a running engine knows" in errors
    assert desk.tell("pnl")[0] == 0
    assert desk.ok("audit", "verify")["ok"]

    with run(tmp_path, sim):
        priced(desk)
        again = desk.rest("--client-id", "lasting")
        assert (again["repeated"], again["tag"]) == (True, tag)
        assert len(sim.orders()) == sent
        assert desk.ok("cancel", "lasting")["done"]


def type_arm(home: Path, *words: str, answer: str) -> int:
    """Type `tradetui arm --scripts` on a terminal, and an answer; returns the exit code."""
    with program("arm", "--scripts", *words, environment={"TRADETUI_HOME": str(home)}) as terminal:
        terminal.until("to allow it")
        terminal.write(answer.encode() + b"\r")
        return terminal.ended()


def test_scripts_trade_only_after_a_person_has_armed_them_and_never_after_a_restart(
    sim: Exchange, tmp_path: Path
) -> None:
    settings(tmp_path, PLAIN)
    desk = Desk(tmp_path, sim)
    wish = ("place", "RELIANCE", "BUY", "1", "--price", desk.price(0.95))
    with run(tmp_path, sim) as first:
        priced(desk)
        assert "not armed" in desk.tell(*wish)[1]["words"]
        assert desk.tell("arm", "--scripts")[0] == 2, "a script cannot arm scripts"
        assert type_arm(tmp_path, "--max-orders", "1", answer="no") == 1
        assert not desk.ok("status")["scripts_armed"]
        assert type_arm(tmp_path, "--max-orders", "1", answer="SIM") == 0
        assert desk.ok("status")["scripts_armed"]
        assert desk.ok(*wish)["done"]
        assert "are used" in desk.tell(*wish)[1]["words"]
        assert desk.ok("cancel", "--all")["done"], "cancels need no arming"
        type_arm(tmp_path, answer="SIM")
        assert not desk.ok("disarm", "--scripts")["scripts_armed"]
        assert "not armed" in desk.tell(*wish)[1]["words"]
        type_arm(tmp_path, answer="SIM")
        first.kill()
    with run(tmp_path, sim):
        priced(desk)
        assert "not armed" in desk.tell(*wish)[1]["words"]
    noted = [one.data for one in records(tmp_path) if one.data.get("what") == "scripts armed"]
    assert [one["orders"] for one in noted] == [1, 20, 20]


def test_live_rules_need_the_engine_armed_as_well(sim: Exchange, tmp_path: Path) -> None:
    settings(tmp_path, SCRIPTS)
    desk = Desk(tmp_path, sim)
    with run(tmp_path, sim, "--live"):
        priced(desk)
        status = desk.ok("status")
        assert (status["live"], status["scripts_armed"]) == (True, False), "settings never arm for live"
        type_arm(tmp_path, answer="REHEARSAL")
        code, data, _ = desk.tell("place", "RELIANCE", "BUY", "1", "--price", desk.price(0.95))
        assert code == 1
        assert "disarmed" in data["words"]


def test_the_socket_goes_with_a_clean_stop_and_outlives_nobody(sim: Exchange, tmp_path: Path) -> None:
    import signal

    settings(tmp_path, PLAIN)
    with run(tmp_path, sim) as one:
        path = Path(json.loads((tmp_path / "control.json").read_text())["path"])
        assert path.exists()
        one.signal(signal.SIGTERM)
        assert one.wait() == 0
    assert not path.exists()
    assert sys.platform != "linux" or path.parent.stat().st_mode & 0o077 == 0


# --- the account's own kill switch ---------------------------------------------------------------------


def lockout(home: Path, *answers: str) -> tuple[int, str]:
    """Type `tradetui lockout NSE_EQ` and answers on a terminal; exit code and what was shown."""
    with program("lockout", "nse_eq", environment={"TRADETUI_HOME": str(home)}) as terminal:
        for answer, question in zip(answers, ("to go on:", "to do it:"), strict=False):
            terminal.until(question)
            terminal.write(answer.encode() + b"\r")
        code = terminal.ended()
        return code, terminal.plain()


def test_the_brokers_own_kill_switch_asks_twice_and_never_a_script(tmp_path: Path) -> None:
    settings(tmp_path, PLAIN)
    with exchange() as sim, run(tmp_path, sim):
        desk = Desk(tmp_path, sim)
        priced(desk)

        def closed() -> bool:
            return "NSE_EQ" in {row["segment"] for row in desk.ok("lockout")["rows"] if row["closed"]}

        assert not closed()
        assert desk.tell("lockout", "NSE_EQ")[0] == 2, "not without a terminal"
        assert lockout(tmp_path, "yes")[0] == 1
        code, shown = lockout(tmp_path, "NSE_EQ", "yes")
        assert code == 1
        assert "it closes no position" in shown
        assert not closed()
        assert lockout(tmp_path, "NSE_EQ", "CLOSE FOR THE DAY")[0] == 0
        assert closed()
        assert desk.tell("lockout", "--reopen", "NSE_EQ")[0] == 1, "it holds for twelve hours"


def test_a_new_login_can_be_taken_up_by_request(desk: Desk) -> None:
    from tradetui.control.client import ask
    from tradetui.control.protocol import ControlError

    try:
        words = ask(desk.home, "relogin")["words"]
    except ControlError as error:
        words = str(error)
    assert "login" in words
    assert desk.ok("status")["feed"] == "up"


def test_one_select_is_answered_by_the_engine(desk: Desk) -> None:
    from tradetui.control.client import ask

    answer = ask(desk.home, "sql", {"statement": "SELECT count(*) AS n, max(created) AS newest FROM orders"})
    assert answer["columns"] == ["n", "newest"]
    assert answer["rows"][0]["n"] == len(desk.ok("orders")["rows"])
