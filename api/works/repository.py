"""Reading and writing long works. Never commits."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import delete, func, update
from sqlalchemy import select as plain
from sqlmodel import Session, col, select

from api.database import table_of
from api.works.models import LongWork, LongWorkFile
from api.works.rules import OPEN, State

WORK: Final = table_of(LongWork)
FILE: Final = table_of(LongWorkFile)
_OPEN: Final = tuple(sorted(one.value for one in OPEN))


def add(session: Session, row: LongWork | LongWorkFile) -> None:
    """Insert one."""
    session.add(row)
    session.flush()


def find(session: Session, station: str, id_: str) -> LongWork | None:
    """The work of this id, as it is now."""
    asked = select(LongWork).where(LongWork.station == station, LongWork.id == id_)
    return session.exec(asked.execution_options(populate_existing=True)).first()


def open_of(session: Session, station: str, by: str) -> Sequence[LongWork]:
    """What somebody waits for."""
    asked = select(LongWork).where(LongWork.station == station, LongWork.by == by, col(LongWork.state).in_(_OPEN))
    return session.exec(asked).all()


def page(session: Session, station: str, *, by: str | None, below: int | None, limit: int) -> Sequence[LongWork]:
    """Newest first, of this account or of all."""
    asked = select(LongWork).where(LongWork.station == station)
    if by is not None:
        asked = asked.where(LongWork.by == by)
    if below is not None:
        asked = asked.where(col(LongWork.number) < below)
    return session.exec(asked.order_by(col(LongWork.number).desc()).limit(limit)).all()


def waiting(session: Session, station: str, *, heavy: bool) -> int | None:
    """The number of whatever has waited longest."""
    asked = select(LongWork.number).where(
        LongWork.station == station, LongWork.state == State.WAITING.value, LongWork.heavy == heavy
    )
    return session.exec(asked.order_by(col(LongWork.number)).limit(1)).first()


def before(session: Session, row: LongWork) -> int:
    """How many of its kind come before one that waits, whatever is under way included."""
    asked = select(func.count()).where(
        LongWork.station == row.station,
        LongWork.heavy == row.heavy,
        col(LongWork.state).in_(_OPEN),
        col(LongWork.number) < row.number,
    )
    return session.exec(asked).one()


def running(session: Session, station: str) -> Sequence[LongWork]:
    """What is under way."""
    asked = select(LongWork).where(LongWork.station == station, LongWork.state == State.RUNNING.value)
    return session.exec(asked).all()


def by_number(session: Session, number: int) -> LongWork | None:
    """The work of this number, as it is now."""
    return session.get(LongWork, number, populate_existing=True)


def goes_on(session: Session, number: int, holder: str) -> bool | None:
    """Whether a work in the hands of this process is still wanted; None: it is in its hands no more."""
    asked = plain(WORK.c.stop).where(
        WORK.c.number == number, WORK.c.state == State.RUNNING.value, WORK.c.holder == holder
    )
    stop = session.connection().execute(asked).scalar_one_or_none()
    return None if stop is None else not stop


def change(session: Session, number: int, state: State, holder: str | None, /, **values: Any) -> bool:
    """Change a work in this state and in the hands of this process (None: of any). Returns whether it was."""
    where = [WORK.c.number == number, WORK.c.state == state.value]
    if holder is not None:
        where.append(WORK.c.holder == holder)
    return session.connection().execute(update(WORK).where(*where).values(**values)).rowcount == 1


def file(session: Session, work: int, role: str) -> LongWorkFile | None:
    """The file of a work."""
    return session.exec(select(LongWorkFile).where(LongWorkFile.work == work, LongWorkFile.role == role)).first()


def files(session: Session, works: Collection[int]) -> dict[tuple[int, str], tuple[str, str, int]]:
    """Name, media type and octets of the files of these works, without the files."""
    names = (FILE.c.work, FILE.c.role, FILE.c.name, FILE.c.media, FILE.c.octets)
    rows = session.connection().execute(plain(*names).where(FILE.c.work.in_([*works])))
    return {(work, role): (name, media, octets) for work, role, name, media, octets in rows}


def move_file(session: Session, work: int, to: int, *, kept_ms: int) -> bool:
    """Let what was sent for a work be another's. Returns whether there is such a file."""
    moved = update(FILE).where(FILE.c.work == work, FILE.c.role == "asked").values(work=to, kept_ms=kept_ms)
    return session.connection().execute(moved).rowcount == 1


def drop_file(session: Session, work: int) -> None:
    """What was sent for a work is needed no more."""
    session.connection().execute(delete(FILE).where(FILE.c.work == work, FILE.c.role == "asked"))
