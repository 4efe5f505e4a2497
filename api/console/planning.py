"""What is laid down for patrols: plans, routes, checkpoints, shifts, legs, holidays, colours, staggered rounds."""

from datetime import date, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request, Response

from api.access import anybody
from api.console.known import Form, Typed, every, known, local, moment_of, now_of
from api.console.page import Reader, go, reader
from api.console.patrol import Text, patrol_page, status_of

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

KINDS: Final = ("plans", "routes", "checkpoints", "shifts", "legs")
PATHS: Final = {
    "plans": "/patrol-plans",
    "routes": "/patrol-routes",
    "checkpoints": "/checkpoints",
    "shifts": "/patrol-shifts",
    "legs": "/patrol-legs",
}
ROWS: Final = 12
"""Points of a route, or teams of a duty, that a form has room for."""
TEAMS: Final = 6
COLOURS: Final = ("red", "orange", "yellow", "blue")
WEEKDAYS: Final = range(1, 8)

Number = Annotated[int, Path(ge=1, le=(1 << 31) - 1)]
Year = Annotated[int | None, Query(ge=2000, le=2100)]
Segment = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,32}$")]


async def _plans(one: Reader, kind: str, *, typed: Typed | None = None, problem: Any = None) -> Response:
    return await patrol_page(
        one,
        "planning.html",
        status=status_of(problem),
        kind=kind,
        kinds=KINDS,
        rows=await every(one, PATHS[kind]),
        called=await known(one, "areas", "points", "routes", "shifts", "companies"),
        typed=typed or Typed(),
        places=range(ROWS),
        weekdays=WEEKDAYS,
        problem=problem,
    )


@router.get("/patrol/plans")
async def plans(request: Request, kind: Text = "plans") -> Response:
    """One sort of what is laid down, and the form for another."""
    return await _plans(await reader(request), kind if kind in KINDS else "plans")


@router.post("/patrol/plans/{kind}")
async def lay_down(request: Request, kind: str, typed: Form) -> Response:
    """One more of a sort."""
    one = await reader(request, csrf=typed.csrf)
    if kind not in KINDS:
        return Response(status_code=HTTPStatus.NOT_FOUND)
    reply = await one.ask.ask("PUT" if kind == "legs" else "POST", PATHS[kind], body=_new(kind, typed))
    return go(f"/patrol/plans?kind={kind}") if reply.good else await _plans(one, kind, typed=typed, problem=reply.body)


@router.post("/patrol/plans/{kind}/{id_}/end")
async def end(request: Request, kind: str, id_: Segment, typed: Form) -> Response:
    """It holds no more."""
    one = await reader(request, csrf=typed.csrf)
    if kind not in KINDS or kind == "legs":
        return Response(status_code=HTTPStatus.NOT_FOUND)
    reply = await one.ask.ask("POST", f"{PATHS[kind]}/{id_}/end")
    return go(f"/patrol/plans?kind={kind}") if reply.good else await _plans(one, kind, problem=reply.body)


def _minutes(text: str) -> int | str | None:
    """`22:30` as minutes of the day."""
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes) if hours.isdecimal() and minutes.isdecimal() else text or None


def _new(kind: str, typed: Typed) -> dict[str, Any]:
    named = {"id": typed.text("id"), "area": typed.text("area"), "name": typed.text("name")}
    if kind == "checkpoints":
        maybe = {name: typed.maybe(name) for name in ("place", "gateway", "reader")}
        return named | maybe | {"dwell_min": typed.number("dwell_min") or 0}
    if kind == "shifts":
        return named | {"starts_min": _minutes(typed.text("starts")), "lasts_min": typed.number("lasts_min")}
    if kind == "legs":
        two = {"from_point": typed.text("from_point"), "to_point": typed.text("to_point")}
        return two | {"least_s": typed.number("least_s"), "both_ways": typed.text("both_ways") == "1"}
    if kind == "routes":
        visits = [
            {
                "point": typed.text(f"point_{nth}"),
                "after_min": typed.number(f"after_{nth}"),
                "buffer_min": typed.number(f"buffer_{nth}") or 0,
                "extended_min": typed.number(f"extended_{nth}") or 0,
                "optional": typed.text(f"optional_{nth}") == "1",
            }
            for nth in range(ROWS)
            if typed.text(f"point_{nth}")
        ]
        return named | {"order": typed.text("order"), "visits": visits}
    begins = [int(word) if word.isdecimal() else word for word in typed.text("begins").replace("，", " ").split()]
    return {
        "route": typed.text("route"),
        "shift": typed.text("shift"),
        "company": typed.maybe("company"),
        "begins_min": begins,
        "lasts_min": typed.number("lasts_min"),
        "weekdays": [int(day) for day in typed.many("weekdays") if day.isdecimal()],
        "holidays": typed.text("holidays") or "also",
        "from_day": typed.maybe("from_day"),
        "to_day": typed.maybe("to_day"),
        "temporary": typed.text("temporary") == "1",
    }


# Holidays, and days that count as others


async def _days(one: Reader, year: int | None, *, typed: Typed | None = None, problem: Any = None) -> Response:
    this = now_of(one).astimezone(one.zone).year
    year = year or this
    reply = await one.ask.get("/patrol-days", year=year)
    return await patrol_page(
        one,
        "patrol_days.html",
        status=status_of(problem) if reply.good else reply.status,
        rows=reply.body["items"] if reply.good else [],
        year=year,
        years=range(this - 1, this + 3),
        typed=typed or Typed(),
        weekdays=WEEKDAYS,
        problem=problem if reply.good else reply.body,
    )


@router.get("/patrol/days")
async def days(request: Request, year: Year = None) -> Response:
    """The holidays of a year, and the days that count as others."""
    return await _days(await reader(request), year)


@router.post("/patrol/days")
async def set_day(request: Request, typed: Form) -> Response:
    """Say what a day counts as; a later word about the same day holds instead of the one before."""
    one = await reader(request, csrf=typed.csrf)
    day = typed.text("day")
    try:
        year = date.fromisoformat(day).year
    except ValueError:
        fault = {"where": ["body", "day"], "why": "a day is year-month-day"}
        return await _days(one, None, typed=typed, problem={"type": "malformed", "status": 422, "faults": [fault]})
    body = {"counts_as": typed.number("counts_as"), "name": typed.text("name")}
    reply = await one.ask.ask("PUT", f"/patrol-days/{day}", body=body)
    return go(f"/patrol/days?year={year}") if reply.good else await _days(one, year, typed=typed, problem=reply.body)


# Colours


@router.get("/patrol/colours")
async def colours(request: Request) -> Response:
    """Every area's colour, and what the alarms suggest."""
    one = await reader(request)
    rows = await every(one, "/colours")
    called = await known(one, "areas")
    rows.sort(key=lambda row: (not row["expired"], COLOURS.index(row["colour"]), called("areas", row["area"])))
    return await patrol_page(one, "colours.html", rows=rows, called=called)


async def _colour(one: Reader, area: str, *, typed: Typed | None = None, problem: Any = None) -> Response:
    reply = await one.ask.get(f"/areas/{area}/colour")
    if not reply.good:
        return await patrol_page(one, "patrol_nothing.html", status=reply.status, problem=reply.body)
    history = await one.ask.get(f"/areas/{area}/colours", limit=20)
    return await patrol_page(
        one,
        "colour.html",
        status=status_of(problem),
        holds=reply.body,
        etag=reply.etag,
        history=history.body["items"] if history.good else [],
        called=await known(one, "areas"),
        choices=COLOURS,
        typed=typed or Typed(),
        week=local(now_of(one) + timedelta(days=7), one.zone),
        problem=problem,
    )


@router.get("/patrol/colours/{area}")
async def colour(request: Request, area: Segment) -> Response:
    """What holds in an area, who decided it and why."""
    return await _colour(await reader(request), area)


@router.post("/patrol/colours/{area}")
async def decide(request: Request, area: Segment, typed: Form) -> Response:
    """Another colour, with a reason, until a moment."""
    one = await reader(request, csrf=typed.csrf)
    body = {
        "colour": typed.text("colour"),
        "afterwards": typed.maybe("afterwards"),
        "every_min": typed.number("every_min"),
        "expires": typed.moment("expires", one.zone),
        "reason": typed.text("reason"),
    }
    headers = {"If-Match": typed.text("etag")}
    reply = await one.ask.ask("PUT", f"/areas/{area}/colour", body=body, headers=headers)
    return go(f"/patrol/colours/{area}") if reply.good else await _colour(one, area, typed=typed, problem=reply.body)


# Staggered rounds


async def _staggered(one: Reader, area: str, *, typed: Typed | None = None, problem: Any = None) -> Response:
    called = await known(one, "areas")
    area = area or next((row["id"] for row in called.rows("areas") if row["meaning"] == "community"), "")
    reply = await one.ask.get(f"/areas/{area or '-'}/staggered-plans", limit=20)
    return await patrol_page(
        one,
        "staggered.html",
        status=status_of(problem),
        area=area,
        drafts=reply.body["items"] if reply.good else [],
        called=called,
        typed=typed or Typed(),
        places=range(TEAMS),
        problem=problem if problem is not None or reply.good else reply.body,
    )


@router.get("/patrol/staggered")
async def staggered(request: Request, area: Text = "") -> Response:
    """Drafts of an area, and the form for another."""
    return await _staggered(await reader(request), area)


@router.post("/patrol/staggered")
async def draft(request: Request, typed: Form) -> Response:
    """Draw rounds that fill the gaps of others and cannot be guessed."""
    one = await reader(request, csrf=typed.csrf)
    others = typed.text("others").replace("，", " ").replace(",", " ").split()
    body = {
        "begins": typed.moment("begins", one.zone),
        "ends": typed.moment("ends", one.zone),
        "apart_min": typed.number("apart_min"),
        "limit_min": typed.number("limit_min"),
        "others": [moment_of(text, one.zone) for text in others],
        "teams": [
            {
                "team": typed.text(f"team_{nth}"),
                "begins": typed.moment(f"begins_{nth}", one.zone) or typed.moment("begins", one.zone),
                "ends": typed.moment(f"ends_{nth}", one.zone) or typed.moment("ends", one.zone),
                "round_min": typed.number(f"round_{nth}"),
            }
            for nth in range(TEAMS)
            if typed.text(f"team_{nth}")
        ],
    }
    area = typed.text("area")
    reply = await one.ask.ask("POST", f"/areas/{quote(area) or '-'}/staggered-plans", body=body)
    if reply.good:
        return go(f"/patrol/staggered/{reply.body['number']}")
    return await _staggered(one, area, typed=typed, problem=reply.body)


async def _draft(one: Reader, number: int, *, typed: Typed | None = None, problem: Any = None) -> Response:
    reply = await one.ask.get(f"/staggered-plans/{number}")
    if not reply.good:
        return await patrol_page(one, "patrol_nothing.html", status=reply.status, problem=reply.body)
    return await patrol_page(
        one,
        "stagger.html",
        status=status_of(problem),
        draft=reply.body,
        teams=sorted({row["team"] for row in reply.body["passes"]}),
        passes=sorted(
            [(row["at"], row["team"]) for row in reply.body["passes"]] + [(at, "") for at in reply.body["others"]]
        ),
        called=await known(one, "areas", "routes", "shifts", "companies"),
        typed=typed or Typed(),
        problem=problem,
    )


@router.get("/patrol/staggered/{number}")
async def one_draft(request: Request, number: Number) -> Response:
    """A draft with its times, and the form to let it be walked."""
    return await _draft(await reader(request), number)


@router.post("/patrol/staggered/{number}")
async def take_over(request: Request, number: Number, typed: Form) -> Response:
    """Let it be walked: temporary plans."""
    one = await reader(request, csrf=typed.csrf)
    teams = [
        {
            "team": team,
            "route": typed.text(f"route_{team}"),
            "shift": typed.text(f"shift_{team}"),
            "company": typed.maybe(f"company_{team}"),
        }
        for team in typed.many("teams")
    ]
    reply = await one.ask.ask("POST", f"/staggered-plans/{number}/plans", body={"teams": teams})
    return (
        go(f"/patrol/staggered/{number}") if reply.good else await _draft(one, number, typed=typed, problem=reply.body)
    )
