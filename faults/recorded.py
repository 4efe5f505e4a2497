"""What a journal writes and syncs, recorded below SQLite, and what a disk may have of it when the power goes.

The recording is a VFS of apsw, which brings an SQLite of its own; `Journal` writes through it as through Python's
sqlite3. What is made of it is opened with Python's sqlite3, as on the box. A disk that keeps its word has everything
before a file's last sync; of what came after it any part, in any order, the last write torn.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, Final

import apsw

from gateway import journal as journals

SECTORS: Final = (512, 4096)
VFS: Final = "recorder"


@dataclass(frozen=True, slots=True)
class Write:
    """Octets at a place of a file; None: the file ends there from now on."""

    file: str
    at: int
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Sync:
    """Everything that was written to this file before is to be kept."""

    file: str


@dataclass(frozen=True, slots=True)
class Said:
    """Something that the writer told: what it is about to append, or what is kept."""

    kept: bool
    keys: tuple[str, ...]


Step = Write | Sync | Said


class Recorder(apsw.VFS):
    """SQLite's usual VFS, and everything that goes through it in `steps`."""

    def __init__(self) -> None:
        super().__init__(VFS, base="")
        self.steps: list[Step] = []

    def xOpen(self, name: Any, flags: list[int]) -> "RecordedFile":  # noqa: N802 - as apsw has it
        """Open a file of which everything is recorded."""
        return RecordedFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: FBT001, N802 - as apsw has it
        """A deleted file is one of no length, for a journal."""
        self.steps += [Write(Path(filename).name, 0, None), Sync(Path(filename).name)]
        super().xDelete(filename, syncdir)


class RecordedFile(apsw.VFSFile):
    """A file of a recorder."""

    def __init__(self, recorder: Recorder, name: Any, flags: list[int]) -> None:
        super().__init__("", name, flags)
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._name = Path(path).name
        self._steps = recorder.steps

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802 - as apsw has it
        """Record and write."""
        self._steps.append(Write(self._name, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - as apsw has it
        """Record and cut."""
        self._steps.append(Write(self._name, newsize, None))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802 - as apsw has it
        """Record and sync."""
        self._steps.append(Sync(self._name))
        super().xSync(flags)


@contextmanager
def recording() -> Iterator[list[Step]]:
    """Within, journals that are opened write through a recorder; the steps that they take are in the list."""
    recorder = Recorder()
    through = {name: getattr(sqlite3, name) for name in dir(sqlite3) if not name.startswith("__")}
    through["connect"] = lambda path, **_: apsw.Connection(str(path), vfs=VFS)
    vars(journals)["sqlite3"] = SimpleNamespace(**through)
    try:
        yield recorder.steps
    finally:
        vars(journals)["sqlite3"] = sqlite3
        recorder.unregister()


def whatever_a_disk_may_have(
    steps: Sequence[Step], dice: Random, *, drawn: int, lying: int = 0
) -> Iterator[tuple[int, Mapping[str, bytes]]]:
    """For each step the contents of the files, in each way in which a power cut behind it may leave them.

    `drawn`: so many sets of what was not synced are drawn, besides none, all, each one missing and the last one torn.
    `lying`: so many syncs before the cut did nothing.
    """
    for end in range(1, len(steps) + 1):
        if isinstance(steps[end - 1], Said):
            continue
        syncs = [place for place, step in enumerate(steps[:end]) if isinstance(step, Sync)]
        believed = set(syncs[: len(syncs) - lying] if lying else syncs)
        last = {}
        for place in sorted(believed):
            step = steps[place]
            assert isinstance(step, Sync)
            last[step.file] = place
        sure = [
            one for place, one in enumerate(steps[:end]) if isinstance(one, Write) and place < last.get(one.file, -1)
        ]
        loose = [
            one for place, one in enumerate(steps[:end]) if isinstance(one, Write) and place >= last.get(one.file, -1)
        ]
        for some in _sets(loose, dice, drawn):
            yield end, _files([*sure, *some])


def _sets(loose: Sequence[Write], dice: Random, drawn: int) -> Iterator[Sequence[Write]]:
    yield []
    if not loose:
        return
    yield loose
    if loose[-1].data is not None:
        for sector in SECTORS:
            if len(loose[-1].data) > sector:
                cut = dice.randrange(len(loose[-1].data) // sector) * sector
                yield [*loose[:-1], Write(loose[-1].file, loose[-1].at, loose[-1].data[:cut])]
    for _ in range(drawn):
        missing = dice.randrange(len(loose))
        yield [*loose[:missing], *loose[missing + 1 :]]
        some = dice.sample(loose, dice.randint(1, len(loose)))
        yield some


def _files(writes: Sequence[Write]) -> Mapping[str, bytes]:
    files: dict[str, bytearray] = {}
    for one in writes:
        file = files.setdefault(one.file, bytearray())
        if one.data is None:
            del file[one.at :]
            continue
        if len(file) < one.at:
            file.extend(bytes(one.at - len(file)))
        file[one.at : one.at + len(one.data)] = one.data
    return {name: bytes(content) for name, content in files.items()}
