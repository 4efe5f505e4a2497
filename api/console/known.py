"""What pages of patrol and points call things by, and what was typed into their forms."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from fastapi import Depends, Request
from starlette.datastructures import FormData, QueryParams

from api.console.page import Reader

SHEETS_MOST: Final = 40
"""Pages of one list that are asked for at most: 8,000 rows."""
LISTED: Final = 60
"""People that a list which opens holds at most."""
PLACES_AT_ONCE: Final = 100
"""Places that are asked for in one request: an address has an end."""
LISTS: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "areas": ("/register/areas", {}),
    "companies": ("/register/companies", {}),
    "guards": ("/guards", {}),
    "points": ("/checkpoints", {"ended": "true"}),
    "routes": ("/patrol-routes", {"ended": "true"}),
    "shifts": ("/patrol-shifts", {"ended": "true"}),
}
"""Where the things of each sort are listed. What a role may not read is called by its id."""


async def every(one: Reader, path: str, **query: object) -> list[Any]:
    """All rows of a list that comes in pages; none where the reader may not have it."""
    found: list[Any] = []
    cursor: str | None = None
    for _ in range(SHEETS_MOST):
        reply = await one.ask.get(path, limit=200, after=cursor, **query)
        if not reply.good:
            break
        found += reply.body["items"]
        cursor = reply.body.get("next")
        if cursor is None:
            break
    return found


@dataclass(frozen=True, slots=True)
class Known:
    """Things by their ids, sort by sort."""

    of: Mapping[str, Mapping[str, Mapping[str, Any]]]

    def __call__(self, sort: str, id_: str | None) -> str:
        """What something is called: its name as far as the reader may know it, else its id."""
        if id_ is None:
            return ""
        row = self.of.get(sort, {}).get(id_)
        if row is None:
            return id_[:8] if sort == "guards" else id_
        name = row.get("name") or row.get("service_number") or id_
        return f"{name} {row['service_number']}" if sort == "guards" and row.get("name") else str(name)

    def rows(self, sort: str) -> list[Mapping[str, Any]]:
        """All of a sort that are there still, by name."""
        there = [row for row in self.of.get(sort, {}).values() if row.get("until") is None]
        return sorted(there, key=lambda row: (str(row.get("name") or ""), str(row["id"])))


async def known(one: Reader, *sorts: str) -> Known:
    """What the reader may know of these sorts."""
    return Known(
        {sort: {row["id"]: row for row in await every(one, LISTS[sort][0], **LISTS[sort][1])} for sort in sorts}
    )


async def places_by_id(one: Reader, ids: Iterable[str | None]) -> Mapping[str, Mapping[str, Any]]:
    """What the reader may know of these places: `PlaceAnswer` by id, without those he may not see and closed ones."""
    asked = sorted({id_ for id_ in ids if id_})
    found: dict[str, Mapping[str, Any]] = {}
    for nth in range(0, len(asked), PLACES_AT_ONCE):
        some = asked[nth : nth + PLACES_AT_ONCE]
        reply = await one.ask.get("/register/places", id=some, limit=len(some))
        found |= {row["id"]: row for row in reply.body["items"]} if reply.good else {}
    return found


@dataclass(frozen=True, slots=True)
class People:
    """Those whom a form lets its reader choose (`ServingAnswer`), by name."""

    rows: Sequence[Mapping[str, Any]]

    @property
    def few(self) -> bool:
        """Whether a list that opens holds them; else one types the beginning of a name."""
        return len(self.rows) <= LISTED

    def said(self, account: str) -> str:
        """How somebody stands in the list that is searched by typing: two may have one name."""
        return next((f"{row['name']} ({account})" for row in self.rows if row["account"] == account), account)

    def meant(self, text: str) -> str:
        """The account that was chosen: as the list says it, or by a name that only one has; else what was typed."""
        for row in self.rows:
            if text in (row["account"], self.said(row["account"])):
                return str(row["account"])
        same = [str(row["account"]) for row in self.rows if row["name"] == text]
        return same[0] if len(same) == 1 else text


async def people_of(one: Reader, path: str, **query: object) -> People:
    """Whom the reader may choose there; nobody where he may not ask."""
    return People(sorted(await every(one, path, **query), key=lambda row: (row["name"], row["account"])))


@dataclass(frozen=True, slots=True)
class Typed:
    """A form as it was sent. What is empty counts as not said."""

    form: FormData | QueryParams = field(default_factory=FormData)

    @property
    def csrf(self) -> str:
        """The token of the page on which the form stood."""
        return self.text("csrf")

    def text(self, name: str) -> str:
        """A field without the space around it."""
        found = self.form.get(name)
        return found.strip() if isinstance(found, str) else ""

    def maybe(self, name: str) -> str | None:
        """A field, None where it is empty."""
        return self.text(name) or None

    def many(self, name: str) -> list[str]:
        """Every value of a field that may come several times."""
        return [value.strip() for value in self.form.getlist(name) if isinstance(value, str) and value.strip()]

    def number(self, name: str) -> int | str | None:
        """A whole number; what is none is handed on, for the interface to say so."""
        text = self.text(name)
        return int(text) if text.lstrip("-").isdecimal() and len(text) < 10 else text or None

    def tenths(self, name: str) -> int | str | None:
        """Points or yuan with a decimal, in tenths."""
        return _times(self.text(name), 10)

    def fen(self, name: str) -> int | str | None:
        """Yuan, in fen."""
        return _times(self.text(name), 100)

    def moment(self, name: str, zone: ZoneInfo) -> str | None:
        """A civil time of the station as the interface takes it."""
        return moment_of(self.text(name), zone)


def _times(text: str, by: int) -> int | str | None:
    try:
        return round(float(text) * by) if text else None
    except (ValueError, OverflowError):
        return text


def moment_of(text: str, zone: ZoneInfo) -> str | None:
    """`2027-01-15T22:30` in civil time as the interface takes it; None for nothing; what is no time as it is."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone).isoformat() if text else None
    except ValueError:
        return text


def now_of(one: Reader) -> datetime:
    """What time it is at the station."""
    return datetime.fromtimestamp(one.station.clock() / 1_000, UTC)


def local(moment: datetime, zone: ZoneInfo) -> str:
    """A time as a field of a form shows it."""
    return moment.astimezone(zone).strftime("%Y-%m-%dT%H:%M")


async def _typed(request: Request) -> Typed:
    return Typed(await request.form(max_files=0, max_fields=400))


Form = Annotated[Typed, Depends(_typed)]
