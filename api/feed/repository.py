"""Reading and writing entries of the live feed. Never commits."""

import json
from collections.abc import Mapping, Sequence
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
    """Insert entries before the commit: nobody reads them until then."""
    _ADD.later(session, rows)


def after(session: Session, number: int, *, until: int | None = None, limit: int) -> list[Entry]:
    """Entries above `number`, up to `until`, in order."""
    found = _ENTRIES.where(_ENTRY.c.number > number)
    if until is not None:
        found = found.where(_ENTRY.c.number <= until)
    return _entries(session, found.order_by(_ENTRY.c.number).limit(limit))


def top(session: Session) -> int:
    """The highest number."""
    return int(session.connection().execute(select(func.max(_ENTRY.c.number))).scalar() or 0)


def before(session: Session, at_ms: int) -> int:
    """The highest number of what happened before then."""
    found = select(func.max(_ENTRY.c.number)).where(_ENTRY.c.at_ms < at_ms)
    return int(session.connection().execute(found).scalar() or 0)


def number(session: Session, id: str) -> int | None:  # noqa: A002 - an id is what it is
    """The number of an entry; None when there is none by that id."""
    found = session.connection().execute(select(_ENTRY.c.number).where(_ENTRY.c.id == id)).scalar()
    return None if found is None else int(found)


def prune(session: Session, *, before_ms: int) -> int:
    """Take out what happened before then; return how many that were."""
    return session.connection().execute(delete(_ENTRY).where(_ENTRY.c.at_ms < before_ms)).rowcount


def subject_text(subject: Subject) -> str:
    """A subject as it stands in the table: what is not there is left out."""
    values: dict[str, object] = {}
    for name in ("areas", "accounts", "dispatched"):
        if several := getattr(subject, name):
            values[name] = sorted(several)
    for name in ("group", "place", "company"):
        if (one := getattr(subject, name)) is not None:
            values[name] = one
    return json.dumps(values, separators=(",", ":")) if values else "{}"


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
