"""Photos of a hazard or an inspection: bare pictures, a few for each, kept as rows.

They stand in the database and in no folder, because then a photo is committed, backed up and erased together with what
it belongs to, and every process of the station has it, wherever it runs.

PhotoProblem
+-- NoPhoto                 415: neither JPEG nor PNG nor WebP, or broken
+-- EnoughPhotos            409: there are .most already
"""

from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import BigInteger, CheckConstraint, Constraint, LargeBinary, UniqueConstraint, select
from sqlmodel import Field, Session, SQLModel

from api.database import table_of
from api.pictures import NotAPicture, bare
from api.problems import NotThere, Problem

MOST: Final = 8 << 20
"""Octets of one photo; its route takes no more."""
MOST_PHOTOS: Final = 6
"""Of one thing."""


class PhotoProblem(Problem):
    """A photo that is not kept."""


class NoPhoto(PhotoProblem):
    """What it is, by its content, is not kept."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    type = "no_photo"
    title = "This is no picture that is kept"

    def __init__(self) -> None:
        super().__init__("whole pictures (JPEG, PNG, WebP) are kept; 只接受完整的 JPEG、PNG、WebP 图片")


class EnoughPhotos(PhotoProblem):
    """There are so many photos of it already. Field: `most`."""

    status = HTTPStatus.CONFLICT
    type = "enough_photos"
    title = "There are photos enough"

    def __init__(self) -> None:
        self.most = MOST_PHOTOS
        super().__init__(f"at most {MOST_PHOTOS} photos are kept of one thing", most=MOST_PHOTOS)


class Photo(SQLModel):
    """The columns of a photo: the picture alone, without what a phone writes into it. A table says what it is of."""

    id: str = Field(primary_key=True)
    sha256: str
    type: str
    size: int
    content: bytes = Field(sa_type=LargeBinary)
    by: str
    at_ms: int = Field(sa_type=BigInteger)


P = TypeVar("P", bound=Photo)


def of_one(table: str, column: str) -> tuple[Constraint, ...]:
    """What holds of every photo in such a table, whose `column` says what it is of."""
    return (
        CheckConstraint("length(sha256) = 64 AND size > 0", name="file"),
        CheckConstraint("type IN ('image/jpeg', 'image/png', 'image/webp')", name="type"),
        UniqueConstraint(column, "sha256", name=f"uq_{table}_file"),
    )


class Album(Generic[P]):
    """The photos of one kind of thing: rows of `model`, whose column `of` has the thing's number."""

    def __init__(self, model: type[P], of: str) -> None:
        self._model = model
        self._of = of
        self._table = table_of(model)

    def add(self, session: Session, thing: int, content: bytes, *, id_: str, by: str, at_ms: int) -> P:
        """Keep a photo without what it says beside the picture; the same again is no second one.

        Raises PhotoProblem.
        """
        try:
            kind, picture = bare(content)
        except NotAPicture:
            raise NoPhoto from None
        digest = sha256(picture).hexdigest()
        there = self.listed(session, thing)
        for found in there:
            if found.sha256 == digest:
                return found
        if len(there) >= MOST_PHOTOS:
            raise EnoughPhotos
        whose: dict[str, Any] = {self._of: thing}
        photo = self._model(
            id=id_, sha256=digest, type=kind, size=len(picture), content=picture, by=by, at_ms=at_ms, **whose
        )
        session.add(photo)
        session.flush()
        return photo

    def listed(self, session: Session, thing: int) -> list[P]:
        """Those of one thing, oldest first, without what is on them."""
        columns = self._table.c
        found = select(*(column for column in columns if column.name != "content")).where(columns[self._of] == thing)
        rows = session.connection().execute(found.order_by(columns.at_ms, columns.id)).mappings()
        return [self._model(**row, content=b"") for row in rows]

    def one(self, session: Session, thing: int, photo: str) -> P:
        """One photo of one thing. Raises NotThere."""
        found = session.get(self._model, photo)
        if found is None or getattr(found, self._of) != thing:
            raise NotThere("no such photo here")
        return found
