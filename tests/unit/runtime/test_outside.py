"""The kill file as the running engine sees it."""

from __future__ import annotations

from pathlib import Path

from tradetui.domain.events import Event, OperatorEvent, OperatorKind
from tradetui.domain.order import Product
from tradetui.runtime.outside import KillWatch
from tradetui.storage.kill_file import KILL_FILE, KillOrder, clear_kill_file, write_kill_file


class Watched:
    """A watch over a folder, and what it asked the engine."""

    def __init__(self, folder: Path | None) -> None:
        self.taken: list[OperatorEvent] = []
        self.watch = KillWatch(folder, self._take, lambda: 7)

    def _take(self, event: Event) -> None:
        assert isinstance(event, OperatorEvent)
        self.taken.append(event)

    @property
    def kinds(self) -> list[OperatorKind]:
        return [event.kind for event in self.taken]

    def look(self) -> None:
        for _ in range(4):
            self.watch.tick()


def test_no_folder_and_no_file_ask_for_nothing(tmp_path: Path) -> None:
    for folder in (None, tmp_path):
        watched = Watched(folder)
        watched.look()
        assert watched.taken == []


def test_a_file_is_obeyed_once_and_a_stronger_word_again(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    (tmp_path / KILL_FILE).touch()
    watched.look()
    watched.look()
    assert watched.kinds == [OperatorKind.KILL]
    write_kill_file(tmp_path, KillOrder(True, (Product.DELIVERY,)))
    watched.look()
    assert watched.kinds == [OperatorKind.KILL, OperatorKind.FLATTEN]
    assert watched.taken[-1].include == (Product.DELIVERY,)
    assert watched.taken[-1].t_ns == 7
    write_kill_file(tmp_path, KillOrder())
    watched.look()
    assert len(watched.taken) == 2, "a weaker word takes nothing back"


def test_resuming_while_the_file_stands_halts_again(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    write_kill_file(tmp_path, KillOrder(flatten=True))
    watched.look()
    watched.watch.heard(OperatorEvent(8, OperatorKind.RESUME))
    assert watched.kinds == [OperatorKind.FLATTEN, OperatorKind.KILL]
    assert "still stands" in watched.taken[-1].note
    assert "tradetui kill --clear" in watched.taken[-1].note
    clear_kill_file(tmp_path)
    watched.look()
    watched.watch.heard(OperatorEvent(9, OperatorKind.RESUME))
    watched.look()
    assert len(watched.taken) == 2
    (tmp_path / KILL_FILE).touch()
    watched.look()
    assert watched.kinds[-1] is OperatorKind.KILL, "a new file is a new kill"
