"""Answers as JSON, CSV and tables."""

from __future__ import annotations

import csv
import io
import json

import pytest

from tradetui.commands.output import form_of, indian, safe_cell, show
from tradetui.domain.errors import UsageError

ROWS = [
    {"symbol": "=HYPERLINK(1)", "qty": -10, "price": 1234567.05, "note": None, "open": True},
    {"symbol": "M&M", "qty": 5, "price": 0.0, "note": "@cmd", "open": False},
]


def test_both_forms_at_once_are_wrong_use() -> None:
    with pytest.raises(UsageError):
        form_of(as_json=True, as_csv=True)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_a_text_never_starts_a_formula(text: str) -> None:
    assert safe_cell(text) == "'" + text
    assert safe_cell(-1.5) == -1.5


def test_csv_can_be_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    show({"rows": ROWS}, "csv", ("symbol",))
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["symbol"] for row in rows] == ["'=HYPERLINK(1)", "M&M"]
    assert [row["qty"] for row in rows] == ["-10", "5"]
    assert rows[1]["note"] == "'@cmd"


def test_json_is_one_object_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    show({"source": "engine", "rows": ROWS}, "json", ("symbol",))
    out = capsys.readouterr()
    assert json.loads(out.out)["rows"] == ROWS
    assert out.err == ""


def test_a_table_is_aligned_and_has_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    show(
        {"rows": [*ROWS, {"symbol": "a\x1b[31mb\u202e", "qty": 1, "price": 1.0}]},
        "table",
        ("symbol", "qty", "price"),
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["symbol", "qty", "price"]
    assert lines[1].endswith("12,34,567.05")
    assert "\x1b" not in lines[3]
    assert "\u202e" not in lines[3]


def test_no_rows_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    show({"rows": []}, "table", ("symbol",), "no orders")
    assert capsys.readouterr().out == "no orders\n"
    show({"rows": []}, "csv", ("symbol",))
    assert capsys.readouterr().out == "symbol\n"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0.00"),
        (999.5, "999.50"),
        (1e5, "1,00,000.00"),
        (-1234567.1, "-12,34,567.10"),
        (0.0025, "0.0025"),
        (-0.00001, "0.00"),
    ],
)
def test_indian_digits(value: float, shown: str) -> None:
    assert indian(value) == shown
