"""Reading and writing entries of the live feed. Never commits."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Final

from sqlalchemy import delete, func, select
from sqlmodel import Session, SQLModel

from api.database import Bulk
from api.feed import models  # noqa: F401 - it fills the metadata
from api.feed.rules import Entry, eyes_of
from api.rights.rules import Subject

_ENTRY: Final = SQLModel.metadata.tables["feed_entry"]
_NAMES: Final = ("number", "id", "topic", "about", "body", "subject", "eyes", "at_ms")
_ENTRIES: Final = select(*(_ENTRY.c[name] for name in _NAMES))
_ADD: Final = Bulk("feed_entry", _NAMES[1:])

Row = tuple[str, str, str, str, str, str, int]
"""id, topic, about, body, subject, eyes, at_ms."""


def add(session: Session, rows: Sequence[Row]) -> None:
    """Insert entries."""
    _ADD.insert(session, rows)


def after(session: Session, number: int, *, holes: Collection[int] = (), limit: int) -> list[Entry]:
    """Entries above `number` or numbered as one of `holes`, in order."""
    new = _ENTRY.c.number > number
    if holes:
        new |= _ENTRY.c.number.in_(holes)
    return _entries(session, _ENTRIES.where(new).order_by(_ENTRY.c.number).limit(limit))


def numbers_above(session: Session, number: int) -> set[int]:
    """The numbers of entries above `number`."""
    return set(session.connection().execute(select(_ENTRY.c.number).where(_ENTRY.c.number > number)).scalars())


def floor(session: Session, *, before_ms: int) -> int:
    """The highest number of what happened before then: nothing below it can appear any more."""
    found = select(func.max(_ENTRY.c.number)).where(_ENTRY.c.at_ms < before_ms)
    return int(session.connection().execute(found).scalar_one() or 0)


def happened(session: Session, id: str) -> int | None:  # noqa: A002 - an id is what it is
    """When an entry happened; None when there is none by that id."""
    at_ms = session.connection().execute(select(_ENTRY.c.at_ms).where(_ENTRY.c.id == id)).scalar()
    return None if at_ms is None else int(at_ms)


def since(session: Session, at_ms: int, *, number: int = 0, limit: int) -> list[Entry]:
    """Entries that happened from `at_ms` on, above `number`, in order."""
    found = _ENTRIES.where(_ENTRY.c.at_ms >= at_ms, _ENTRY.c.number > number)
    return _entries(session, found.order_by(_ENTRY.c.number).limit(limit))


def prune(session: Session, *, before_ms: int) -> int:
    """Take out what happened before then; return how many that were."""
    return session.connection().execute(delete(_ENTRY).where(_ENTRY.c.at_ms < before_ms)).rowcount


def subject_text(subject: Subject) -> str:
    """A subject as it stands in the table: what is not there is left out."""
    values = {name: sorted(one) if isinstance(one, frozenset) else one for name, one in asdict(subject).items()}
    return json.dumps({name: one for name, one in values.items() if one}, separators=(",", ":"))


def _entries(session: Session, found: object) -> list[Entry]:
    rows = session.connection().execute(found).mappings()  # type: ignore[call-overload] # a select of this table
    return [
        Entry(
            number=row["number"],
            id=row["id"],
            topic=row["topic"],
            about=row["about"],
            body=json.loads(row["body"]),
            subject=_subject(json.loads(row["subject"])),
            eyes=eyes_of(row["eyes"]),
            at_ms=row["at_ms"],
        )
        for row in rows
    ]


def _subject(values: Mapping[str, list[str] | str]) -> Subject:
    sets = {name: frozenset(one) for name, one in values.items() if isinstance(one, list)}
    words = {name: one for name, one in values.items() if isinstance(one, str)}
    return Subject(**sets, **words)  # type: ignore[arg-type] # as `subject_text` wrote them
