"""The list of households that were erased: kept with the tables, and beside them in a file that a backup leaves alone.

A restored backup is older than some erasures. Whoever restores it gives the list along (`owe_again`); the station then
erases again what of it is in its tables, before anybody can look. The list holds ids and times and nothing else.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import update
from sqlmodel import Session, col, select

from api.privacy.models import Erasure

FILE: Final = "erasures"


@dataclass(frozen=True, slots=True, order=True)
class Erased:
    """One line of the list."""

    erased_ms: int
    place: str
    occupant: str


def file_beside(attachments: Path) -> Path:
    """Where the list lies, by the folder of attachments: not in it, since that is restored with the tables."""
    return attachments.parent / FILE


def listed(session: Session) -> list[Erased]:
    """Everything in the table, the oldest first."""
    return sorted(Erased(row.erased_ms, row.place, row.occupant) for row in session.exec(select(Erasure)))


def note(session: Session, place: str, occupant: str, *, now_ms: int) -> None:
    """A household was erased now, and is to be erased again by nobody any more."""
    session.merge(Erasure(place=place, occupant=occupant, erased_ms=now_ms, again=False))
    session.flush()


def owe_again(session: Session, list_: Iterable[Erased]) -> int:
    """All of these, and all that the table names, are to be erased again. Returns how many they are."""
    for one in {*list_, *listed(session)}:
        there = session.get(Erasure, (one.place, one.occupant))
        erased_ms = one.erased_ms if there is None else max(one.erased_ms, there.erased_ms)
        session.merge(Erasure(place=one.place, occupant=one.occupant, erased_ms=erased_ms, again=True))
    session.flush()
    return len(listed(session))


def waiting(session: Session) -> list[Erased]:
    """What is to be erased again."""
    found = session.exec(select(Erasure).where(col(Erasure.again)))
    return sorted(Erased(row.erased_ms, row.place, row.occupant) for row in found)


def is_done(session: Session, one: Erased) -> None:
    """It is in no table any more, or never was."""
    done = update(Erasure).where(col(Erasure.place) == one.place, col(Erasure.occupant) == one.occupant)
    session.connection().execute(done.values(again=False))


def write(path: Path, list_: Iterable[Erased]) -> None:
    """Put the list into its file, whole. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.writelines(f"{one.erased_ms} {one.place} {one.occupant}\n" for one in sorted(list_))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def read(path: Path) -> list[Erased]:
    """What is in a file of the list; nothing where there is none. Raises ValueError for what is none of ours."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return []
    found: list[Erased] = []
    for number, line in enumerate(lines, 1):
        match line.split():
            case [erased_ms, place, occupant] if erased_ms.isdecimal():
                found.append(Erased(int(erased_ms), place, occupant))
            case _:
                raise ValueError(f"{path}:{number}: a line is a time, a place and an occupant")
    return found
