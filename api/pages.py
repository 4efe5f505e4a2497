"""Cursors: where a page ended, as text that nobody needs to understand."""

from typing import Annotated, Final

from fastapi import Path, Query

from api.problems import BadCursor

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
