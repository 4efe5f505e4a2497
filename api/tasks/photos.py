"""Photos of hazards and incidents: bare pictures, a few for each matter, kept as rows.

They stand in the database and in no folder, because then a photo is committed, backed up and erased together with what
it belongs to, and every process of the station has it, wherever it runs.

PhotoProblem
+-- NoPhoto                 415: neither JPEG nor PNG nor WebP, or broken
+-- EnoughPhotos            409: there are .most already
"""

from hashlib import sha256
from http import HTTPStatus
from typing import Final

from sqlalchemy import select
from sqlmodel import Session

from api.database import table_of
from api.pictures import NotAPicture, bare
from api.problems import NotThere, Problem
from api.tasks.models import MatterPhoto

MOST: Final = 8 << 20
"""Octets of one photo; its route takes no more."""
MOST_PHOTOS: Final = 6
"""Of one matter."""

_PHOTO: Final = table_of(MatterPhoto)
_LISTED: Final = [column for column in _PHOTO.c if column.name != "content"]


class NoPhoto(Problem):
    """What it is, by its content, is not kept."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    type = "no_photo"
    title = "This is no picture that is kept"

    def __init__(self) -> None:
        super().__init__("whole pictures (JPEG, PNG, WebP) are kept; 只接受完整的 JPEG、PNG、WebP 图片")


class EnoughPhotos(Problem):
    """A matter has so many photos already. Field: `most`."""

    status = HTTPStatus.CONFLICT
    type = "enough_photos"
    title = "There are photos enough"

    def __init__(self) -> None:
        self.most = MOST_PHOTOS
        super().__init__(f"a matter has at most {MOST_PHOTOS} photos", most=MOST_PHOTOS)


def add(session: Session, matter: int, content: bytes, *, id_: str, by: str, at_ms: int) -> MatterPhoto:
    """Keep a photo without what it says beside the picture; the same again is no second one. Raises PhotoProblem."""
    try:
        kind, picture = bare(content)
    except NotAPicture:
        raise NoPhoto from None
    digest = sha256(picture).hexdigest()
    there = listed(session, matter)
    for one in there:
        if one.sha256 == digest:
            return one
    if len(there) >= MOST_PHOTOS:
        raise EnoughPhotos
    photo = MatterPhoto(
        id=id_, matter=matter, sha256=digest, type=kind, size=len(picture), content=picture, by=by, at_ms=at_ms
    )
    session.add(photo)
    session.flush()
    return photo


def listed(session: Session, matter: int) -> list[MatterPhoto]:
    """The photos of a matter, oldest first, without what is on them."""
    found = select(*_LISTED).where(_PHOTO.c.matter == matter).order_by(_PHOTO.c.at_ms, _PHOTO.c.id)
    return [MatterPhoto(**row, content=b"") for row in session.connection().execute(found).mappings()]


def one(session: Session, matter: int, photo: str) -> MatterPhoto:
    """One photo of a matter. Raises NotThere."""
    found = session.get(MatterPhoto, photo)
    if found is None or found.matter != matter:
        raise NotThere("no such photo here")
    return found
