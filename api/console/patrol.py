"""The patrol board: rounds that go on, what went wrong on them, one round, coverage, and tags that nobody knew."""

from collections import Counter
from datetime import timedelta
from http import HTTPStatus
from itertools import groupby
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response

from api.access import anybody
from api.checkins.rules import FLAG_WORDS
from api.colours.rules import COLOUR_WORDS
from api.console.known import Form, every, known, local, moment_of, now_of
from api.console.page import Reader, go, reader
from api.patrols.rules import OUTCOME_WORDS
from api.tracks.rules import SOURCE_WORDS

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

WAYS: Final = (
    ("/patrol", "patrol.round.read"),
    ("/patrol/look-up", "track.look_up"),
    ("/patrol/track", "track.read"),
    ("/patrol/roll-calls", "roll_call.make"),
    ("/patrol/coverage", "track.coverage"),
    ("/patrol/plans", "patrol.read"),
    ("/patrol/days", "patrol.read"),
    ("/patrol/colours", "colour.read"),
    ("/patrol/staggered", "stagger.read"),
    ("/patrol/tags", "checkpoint_tag.read"),
    ("/patrol/cards", "guard.edit"),
    ("/patrol/unknown-tags", "checkpoint_tag.read"),
)
"""Pages of the patrol, each with the action without which it is not offered."""
COVERED_H: Final = 24
CHECK_INS_MOST: Final = 200

Number = Annotated[int, Path(ge=1, le=(1 << 31) - 1)]
Text = Annotated[str, Query(max_length=256)]


async def patrol_page(one: Reader, template: str, *, status: int = HTTPStatus.OK, **values: object) -> Response:
    """A page of the patrol, with the ways to the others and the words of what was read."""
    ways = [where for where, action in WAYS if one.may(action)]
    return await one.page(
        template,
        status=status,
        patrol_ways=ways,
        outcome_words=OUTCOME_WORDS,
        flag_words=FLAG_WORDS,
        source_words=SOURCE_WORDS,
        colour_words=COLOUR_WORDS,
        **values,
    )


def status_of(problem: Any) -> int:
    """With which status a form comes back."""
    return int(problem["status"]) if problem else HTTPStatus.OK


async def _now(one: Reader, area: str) -> dict[str, Any]:
    """Rounds that go on, by area, and the newest exceptions."""
    rounds = await every(one, "/patrol-rounds/now")
    raised = await one.ask.get("/patrol-exceptions", limit=100)
    exceptions = raised.body["items"] if raised.good else []
    names = await known(one, "areas", "companies")
    colours = {row["area"]: row for row in await every(one, "/colours")}
    areas = sorted({row["area"] for row in (*rounds, *exceptions)}, key=lambda id_: names("areas", id_))
    if area:
        rounds = [row for row in rounds if row["area"] == area]
        exceptions = [row for row in exceptions if row["area"] == area]
    rounds.sort(key=lambda row: (names("areas", row["area"]), row["begins"], row["number"]))
    return {
        "failed": not raised.good,
        "area": area,
        "areas": areas,
        "colours": colours,
        "called": names,
        "rounds": [(id_, list(some)) for id_, some in groupby(rounds, key=lambda row: row["area"])],
        "tallies": {row["number"]: Counter(map(_stands, row["visits"])) for row in rounds},
        "count": len(rounds),
        "exceptions": exceptions,
        "at": now_of(one).isoformat(),
    }


def _stands(visit: Any) -> str:
    """As what a visit is counted: one that was made and not judged yet is neither."""
    return "seen" if visit["outcome"] == "pending" and visit["seen"] else str(visit["outcome"])


@router.get("/patrol")
async def board(request: Request, area: Text = "") -> Response:
    """Rounds that go on with their visits, and what was not as planned."""
    one = await reader(request)
    return await patrol_page(one, "patrol.html", **await _now(one, area))


@router.get("/patrol/now")
async def board_again(request: Request, area: Text = "") -> Response:
    """The board alone."""
    one = await reader(request)
    return await patrol_page(one, "patrol_now.html", **await _now(one, area))


@router.get("/patrol/rounds")
async def rounds_of_day(request: Request, day: Text = "", after: Text = "") -> Response:
    """The rounds of a duty day."""
    one = await reader(request)
    day = day or now_of(one).astimezone(one.zone).date().isoformat()
    reply = await one.ask.get("/patrol-rounds", day=day, limit=100, after=after or None)
    names = await known(one, "areas", "companies")
    return await patrol_page(
        one,
        "patrol_rounds.html",
        status=reply.status,
        day=day,
        called=names,
        rounds=reply.body["items"] if reply.good else [],
        next=reply.body["next"] if reply.good else None,
        problem=None if reply.good else reply.body,
    )


@router.get("/patrol/rounds/{number}")
async def one_round(request: Request, number: Number) -> Response:
    """A round with every visit, what was read, and what late data changed."""
    one = await reader(request)
    reply = await one.ask.get(f"/patrol-rounds/{number}")
    if not reply.good:
        return await patrol_page(one, "patrol_nothing.html", status=reply.status, problem=reply.body)
    ids = sorted({visit["check_in"] for visit in reply.body["visits"] if visit["check_in"]})[:CHECK_INS_MOST]
    read = await one.ask.get("/check-ins", id=ids, limit=CHECK_INS_MOST) if ids else None
    return await patrol_page(
        one,
        "patrol_round.html",
        round=reply.body,
        called=await known(one, "areas", "companies", "guards"),
        check_ins={row["id"]: row for row in read.body["items"]} if read is not None and read.good else {},
        unread=read is not None and not read.good,
    )


@router.get("/patrol/coverage")
async def coverage(request: Request, area: Text = "", begins: Text = "", ends: Text = "") -> Response:
    """For how long nobody passed an area, beside what its colour allows."""
    one = await reader(request)
    now = now_of(one)
    begins = begins or local(now - timedelta(hours=COVERED_H), one.zone)
    ends = ends or local(now, one.zone)
    names = await known(one, "areas")
    colours = await every(one, "/colours")
    chosen = (
        [area]
        if area
        else [row["area"] for row in colours if row["decided"]]
        or [row["id"] for row in names.rows("areas") if row["meaning"] == "community"]
    )
    found, problem = [], None
    for each in chosen[:60]:
        reply = await one.ask.get(
            f"/areas/{each}/coverage", begins=moment_of(begins, one.zone), ends=moment_of(ends, one.zone)
        )
        if reply.good:
            found.append(reply.body)
        elif area or status_of(reply.body) == HTTPStatus.UNPROCESSABLE_ENTITY:
            problem = reply.body
    return await patrol_page(
        one,
        "patrol_coverage.html",
        status=status_of(problem),
        problem=problem,
        area=area,
        begins=begins,
        ends=ends,
        called=names,
        found=found,
    )


async def _unknown(one: Reader, *, still: bool, after: str, problem: Any = None, about: int = 0) -> Response:
    reply = await one.ask.get("/unknown-tags", still=str(still).lower(), limit=50, after=after or None)
    return await patrol_page(
        one,
        "patrol_unknown.html",
        status=status_of(problem) if reply.good else reply.status,
        tags=reply.body["items"] if reply.good else [],
        next=reply.body["next"] if reply.good else None,
        still=still,
        problem=problem if reply.good else reply.body,
        about=about,
    )


@router.get("/patrol/unknown-tags")
async def unknown_tags(request: Request, all: Text = "", after: Text = "") -> Response:  # noqa: A002 - of an address
    """Tags by which nobody could be found."""
    return await _unknown(await reader(request), still=not all, after=after)


@router.post("/patrol/unknown-tags/{number}")
async def settle_tag(request: Request, number: Number, typed: Form) -> Response:
    """Look again, or let it be."""
    one = await reader(request, csrf=typed.csrf)
    reply = await one.ask.ask("POST", f"/unknown-tags/{number}/settle", body={"how": typed.text("how")})
    if reply.good:
        return go("/patrol/unknown-tags")
    return await _unknown(one, still=True, after="", problem=reply.body, about=number)
