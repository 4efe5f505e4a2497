"""Photos of inspections: bare pictures kept as rows, as `api.tasks.photos` keeps those of hazards; its problems."""

from hashlib import sha256
from typing import Final

from sqlalchemy import select
from sqlmodel import Session

from api.database import table_of
from api.inspections.models import InspectionPhoto
from api.pictures import NotAPicture, bare
from api.problems import NotThere
from api.tasks.photos import MOST, MOST_PHOTOS, EnoughPhotos, NoPhoto

__all__ = ["MOST", "add", "listed", "one"]

_PHOTO: Final = table_of(InspectionPhoto)
_LISTED: Final = [column for column in _PHOTO.c if column.name != "content"]


def add(session: Session, inspection: int, content: bytes, *, id_: str, by: str, at_ms: int) -> InspectionPhoto:
    """Keep a photo without what it says beside the picture; the same again is no second one. Raises PhotoProblem."""
    try:
        kind, picture = bare(content)
    except NotAPicture:
        raise NoPhoto from None
    digest = sha256(picture).hexdigest()
    there = listed(session, inspection)
    for found in there:
        if found.sha256 == digest:
            return found
    if len(there) >= MOST_PHOTOS:
        raise EnoughPhotos
    photo = InspectionPhoto(
        id=id_, inspection=inspection, sha256=digest, type=kind, size=len(picture), content=picture, by=by, at_ms=at_ms
    )
    session.add(photo)
    session.flush()
    return photo


def listed(session: Session, inspection: int) -> list[InspectionPhoto]:
    """The photos of an inspection, oldest first, without what is on them."""
    found = select(*_LISTED).where(_PHOTO.c.inspection == inspection).order_by(_PHOTO.c.at_ms, _PHOTO.c.id)
    return [InspectionPhoto(**row, content=b"") for row in session.connection().execute(found).mappings()]


def one(session: Session, inspection: int, photo: str) -> InspectionPhoto:
    """One photo of an inspection. Raises NotThere."""
    found = session.get(InspectionPhoto, photo)
    if found is None or found.inspection != inspection:
        raise NotThere("no such photo here")
    return found
