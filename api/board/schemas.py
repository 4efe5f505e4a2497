"""Boards as HTTP takes and shows them."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from api.register.schemas import Line, Name, Phone
from api.shapes import Answer, Asked


class EntryAsked(Asked):
    """Somebody who works for the grid, as the public shall know him."""

    name: Annotated[Name, Field(min_length=1)]
    duty: Annotated[Name, Field(min_length=1)]
    contact: Phone


class BoardAsked(Asked):
    """The whole board."""

    supervision_phone: Phone
    """监督电话: where a resident complains."""
    note: Line = ""
    entries: Annotated[list[EntryAsked], Field(min_length=1, max_length=20)]


class BoardAnswer(Answer):
    """A board as it hangs now: all of it is public."""

    grid: str
    name: str
    community: str
    station: str
    supervision_phone: str
    note: str
    entries: list[EntryAsked]
    parts: list[str]
    """The nested grids that lie in it, by name."""
    since: datetime
    version: int


class BoardListAnswer(Answer):
    """A board that hangs."""

    grid: str
    name: str
