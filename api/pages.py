"""Cursors: where a page ended, as text that nobody needs to understand."""

from collections.abc import Callable
from typing import Annotated, Final, Protocol, TypeVar

from fastapi import Path, Query
from sqlalchemy.orm import Mapped
from sqlmodel import Session
from sqlmodel.sql.expression import SelectOfScalar

from api.problems import BadCursor, NotThere


class Numbered(Protocol):
    """A row of a table whose numbers only grow."""

    number: int | None


Row = TypeVar("Row", bound=Numbered)
Shown = TypeVar("Shown")

PAGE: Final = 50
PAGE_MOST: Final = 200
NUMBER_MOST: Final = (1 << 31) - 1
"""What a row's number can be at most: PostgreSQL refuses to compare it with more."""

Limit = Annotated[int, Query(ge=1, le=PAGE_MOST, description="How many at most")]
Cursor = Annotated[str | None, Query(max_length=32, description="`next` of the page before")]
Number = Annotated[int, Path(ge=1, le=NUMBER_MOST, description="The number of a row")]


def cursor(number: int) -> str:
    """The cursor of what comes after row `number`, which was the last one shown."""
    return f"n{number:x}"


def below(text: str | None) -> int | None:
    """The number that a cursor holds; None without one. Raises BadCursor."""
    if text is None:
        return None
    digits = text.removeprefix("n")
    if len(digits) == len(text) or not digits.isascii() or not digits.isalnum():
        raise BadCursor
    try:
        number = int(digits, 16)
    except ValueError:
        raise BadCursor from None
    if number > NUMBER_MOST:
        raise BadCursor
    return number


def newest(
    session: Session,
    asked: SelectOfScalar[Row],
    number: Mapped[int | None],
    show: Callable[[Row], Shown],
    *,
    below: int | None,
    limit: int,
) -> list[Shown]:
    """What `show` makes of rows below a number, the highest first; those are left out of which it says NotThere.

    Looks on until `limit` are found, so that whoever sees one row in a hundred gets a page as everybody else does.
    """
    found: list[Shown] = []
    while True:
        one_page = asked if below is None else asked.where(number < below)
        rows = session.exec(one_page.order_by(number.desc()).limit(limit)).all()
        for row in rows:
            try:
                found.append(show(row))
            except NotThere:
                continue
        if len(rows) < limit or len(found) >= limit:
            return found[:limit]
        below = rows[-1].number
