"""A journal is copied out while its gateway keeps presses: the copy is whole, and nobody waits for it."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.copying import copy_out, look
from gateway.journal import Damaged, Journal, JournalError
from tests.gateway.place import DICE, GATEWAY, STATION, Clock, press

CLOCK = Clock()


def opened(folder: Path) -> Journal:
    return Journal(folder / "journal.db", station=STATION, gateway=GATEWAY, random_bytes=DICE)


class Writer:
    """A gateway's one writer: it keeps presses, one commit each, and notes what was confirmed."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.confirmed: list[str] = []
        self.trouble: list[BaseException] = []
        self._go_on = threading.Event()
        self._more = threading.Condition()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        number = 0
        try:
            while not self._go_on.is_set():
                number += 1
                (entry,) = self.journal.append([press(CLOCK, number=number)])
                with self._more:
                    self.confirmed.append(entry.event.id)
                    self._more.notify_all()
        except BaseException as error:  # noqa: BLE001 - told to the test
            self.trouble.append(error)

    @contextmanager
    def writing(self) -> Iterator["Writer"]:
        self._thread.start()
        try:
            self.until(20)
            yield self
        finally:
            self._go_on.set()
            self._thread.join()
        assert not self.trouble

    def until(self, count: int) -> None:
        with self._more:
            assert self._more.wait_for(lambda: len(self.confirmed) >= count, 60), self.trouble


@contextmanager
def between(monkeypatch: pytest.MonkeyPatch, then: Callable[[Path], None]) -> Iterator[None]:
    """Do something after each file that a copy reads, while it is at it."""
    copyfile = shutil.copyfile

    def and_then(source: Any, to: Any, **more: Any) -> Any:
        done = copyfile(source, to, **more)
        then(Path(source))
        return done

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", and_then)
        yield


@pytest.mark.proves("N1", "N15", "F13")
def test_a_copy_made_while_presses_are_kept_holds_all_that_was_confirmed_and_its_chain_verifies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened(tmp_path)
    writer = Writer(journal)
    passed: list[int] = []

    def others_go_on(_source: Path) -> None:
        """The copy is in the middle of it: the writer gets on all the same, or this waits for ever."""
        before = len(writer.confirmed)
        writer.until(before + 10)
        passed.append(len(writer.confirmed) - before)

    with writer.writing():
        for number in range(5):
            confirmed = [*writer.confirmed]
            with between(monkeypatch, others_go_on):
                found = copy_out(journal.path, tmp_path / f"copy{number}.db")
            assert found.seq >= len(confirmed)
            assert found.events == found.seq
            assert found == look(tmp_path / f"copy{number}.db")
            copied = Journal(tmp_path / f"copy{number}.db", station=STATION, gateway=GATEWAY, random_bytes=DICE)
            assert copied.verify() is None
            assert {*confirmed} <= copied.ids()
            copied.close()
    assert len(passed) >= 10
    assert journal.verify() is None
    assert journal.head_seq == len(writer.confirmed)
    journal.close()


@pytest.mark.proves("N1", "F13")
def test_when_the_log_is_begun_anew_in_the_middle_it_is_copied_again_and_not_taken_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened(tmp_path)
    journal.append([press(CLOCK, number=number) for number in range(1, 9)])
    tries: list[str] = []

    def carried_over(source: Path) -> None:
        if source == journal.path:
            tries.append(source.name)
            if len(tries) <= 2:  # the log goes into the file that was just copied, and begins anew
                journal._checkpoint()
                journal.append([press(CLOCK, number=100 + len(tries))])

    with between(monkeypatch, carried_over):
        found = copy_out(journal.path, tmp_path / "copy.db")
    assert len(tries) == 3
    assert (found.seq, found.digest) == (journal.head_seq, journal.head.digest.hex())
    journal.close()


@pytest.mark.proves("F13")
def test_one_that_never_stands_still_is_no_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = opened(tmp_path)

    def always(source: Path) -> None:
        if source == journal.path:
            journal.append([press(CLOCK)])
            journal._checkpoint()
            journal.append([press(CLOCK)])

    with between(monkeypatch, always), pytest.raises(JournalError, match="changes too fast"):
        copy_out(journal.path, tmp_path / "copy.db")
    assert journal.verify() is None
    journal.close()


@pytest.mark.proves("N15")
def test_a_copy_of_which_a_row_is_not_as_it_was_written_is_refused(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append([press(CLOCK, number=number) for number in range(1, 4)])
    journal.close()
    path = tmp_path / "journal.db"
    octets = path.read_bytes()
    assert octets.count(b"u01:1:2") >= 1
    path.write_bytes(octets.replace(b"u01:1:2", b"u01:1:9"))
    with pytest.raises(Damaged):
        copy_out(path, tmp_path / "copy.db")
