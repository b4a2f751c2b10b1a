"""The kill file: what it may say, and that anything at all in it stops trading."""

from __future__ import annotations

from pathlib import Path

import pytest

from tradetui.domain.errors import UsageError
from tradetui.domain.order import Product
from tradetui.storage.kill_file import (
    KILL_FILE,
    KillOrder,
    clear_kill_file,
    products_from,
    read_kill_file,
    write_kill_file,
)


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("", KillOrder()),
        ("kill\n", KillOrder()),
        ("flatten", KillOrder(flatten=True)),
        ("FLATTEN\n", KillOrder(flatten=True)),
        ("flatten delivery, mtf", KillOrder(True, (Product.DELIVERY, Product.MTF))),
        ("flatten everything", KillOrder(flatten=True)),
        ("please stop", KillOrder()),
        ("\x00\xff" * 5000, KillOrder()),
    ],
)
def test_what_it_says(tmp_path: Path, text: str, order: KillOrder) -> None:
    (tmp_path / KILL_FILE).write_bytes(text.encode("latin-1"))
    assert read_kill_file(tmp_path) == order


def test_no_file_asks_for_nothing_and_a_strange_one_for_stage_one(tmp_path: Path) -> None:
    assert read_kill_file(tmp_path) is None
    (tmp_path / KILL_FILE).mkdir()
    assert read_kill_file(tmp_path) == KillOrder()


@pytest.mark.parametrize(
    "order", [KillOrder(), KillOrder(flatten=True), KillOrder(True, (Product.DELIVERY, Product.MTF))]
)
def test_written_and_read_back(tmp_path: Path, order: KillOrder) -> None:
    assert write_kill_file(tmp_path / "data", order).name == KILL_FILE
    assert read_kill_file(tmp_path / "data") == order
    assert clear_kill_file(tmp_path / "data")
    assert not clear_kill_file(tmp_path / "data")


def test_only_delivery_and_mtf_can_be_named() -> None:
    assert products_from("") == ()
    assert products_from("MTF delivery,mtf") == (Product.MTF, Product.DELIVERY)
    with pytest.raises(UsageError, match="cannot include 'options'"):
        products_from("options")
