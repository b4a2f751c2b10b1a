"""`tradetui indicators`: what is listed, what is shown, what is refused."""

from __future__ import annotations

import json

import pytest

from tradetui.commands.indicators import run_list, run_show
from tradetui.domain.errors import UsageError
from tradetui.indicators import REGISTRY


def test_all_are_listed_with_their_warm_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_list((), "", on_price=False, as_json=True, as_csv=False) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    assert len(rows) == len(REGISTRY)
    assert rows["macd(12,26,9)"]["warmup"] == 33
    assert rows["stoch(14,3,3)"]["params"]["slowk_matype"] == 0
    assert rows["cpr"]["computed_by"] == "tradetui"


def test_the_list_can_be_narrowed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_list(("band",), "", on_price=True, as_json=False, as_csv=True) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("name,title,family")
    assert any(line.startswith('"bbands(20,2,2)"') for line in lines)
    assert run_list(("nothing like it",), "", on_price=False, as_json=False, as_csv=False) == 1
    with pytest.raises(UsageError, match="no family"):
        run_list((), "nope", on_price=False, as_json=False, as_csv=False)


def test_one_is_shown_with_the_parameters_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_show("supertrend(7)", as_json=True) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["params"] == {"timeperiod": 7, "multiplier": 3.0}
    assert (data["outputs"], data["on_price"], data["warmup"]) == (["value", "direction"], ["value"], 7)
    assert run_show("camarilla", as_json=False) == 0
    assert "r1, r2, r3, r4" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["rsii", "rsi(1)", "rsi(14,2)", "rsi("])
def test_what_does_not_exist_is_wrong_use(text: str) -> None:
    with pytest.raises(UsageError, match=r"\w"):
        run_show(text, as_json=False)
