"""Working together (联勤): the weekly four ones, who is to be looked at, inspections on site, trainings, meetings."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from api.access import anybody
from api.bodies import holds
from api.console import photo
from api.console.known import Form, Known, known, now_of
from api.console.page import Reader, go, reader
from api.console.sections import Number, Text, nothing, section
from api.inspections.rules import ITEM_WORDS, MARK_MOST, Item
from api.shapes import words_answer

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

SHOWN: Final = 50
ITEMS: Final = [(one.value, words_answer(ITEM_WORDS[one]).model_dump()) for one in Item]
TASKS: Final = 4
"""Tasks of a meeting that its form has room for."""


def _own_area(one: Reader, names: Known) -> str:
    """The first area that the reader looks after; the station where he has none of his own."""
    known_areas = {row["id"] for row in names.rows("areas")}
    mine = [grant["scope"] for grant in one.who["grants"] if grant["scope"] in known_areas]
    return next(iter(mine), one.station.settings.station)


# The four ones, and what is due


@router.get("/joint")
async def four_ones(request: Request, area: Text = "", after: Text = "") -> Response:
    """Which of this week's four ones are done, and who is to be looked at on site this month."""
    one = await reader(request)
    names = await known(one, "areas", "companies")
    area = area or _own_area(one, names)
    reply = await one.ask.get(f"/areas/{area}/four-ones")
    if not reply.good:
        return await nothing(one, reply)
    due = None
    if one.may("inspection.due"):
        due = await one.ask.get(f"/areas/{area}/due-inspections", limit=SHOWN, after=after or None)
    return await section(
        one,
        "joint.html",
        names=names,
        area=area,
        week=reply.body,
        due=due.body if due is not None and due.good else None,
        now=now_of(one).isoformat(),
    )


# Inspections on site


async def _inspections(one: Reader, *, after: str = "", **values: Any) -> Response:
    reply = await one.ask.get("/inspections", limit=SHOWN, after=after or None)
    if not reply.good:
        return await nothing(one, reply)
    names = await known(one, "areas", "companies", "points", "guards")
    return await section(
        one,
        "inspections.html",
        rows=reply.body["items"],
        next=reply.body["next"],
        names=names,
        area=_own_area(one, names),
        items=ITEMS,
        **values,
    )


@router.get("/joint/inspections")
async def inspections(request: Request, after: Text = "") -> Response:
    """Inspections, newest first, and the form for another."""
    return await _inspections(await reader(request), after=after)


@router.post("/joint/inspections")
async def inspect(request: Request, typed: Form) -> Response:
    """Whom, where, and what was found; nothing found is passed."""
    one = await reader(request, csrf=typed.csrf)
    body = {
        "area": typed.text("area"),
        "guard": typed.text("guard"),
        "point": typed.maybe("point"),
        "items": typed.many("items"),
        "witness": typed.maybe("witness"),
        "words": typed.maybe("words"),
    }
    reply = await one.ask.ask("POST", "/inspections", body=body)
    if reply.good:
        return go(f"/joint/inspections/{reply.body['number']}")
    return await _inspections(one, typed=typed, problem=reply.body)


async def _inspection(one: Reader, number: int, *, problem: Any = None) -> Response:
    reply = await one.ask.get(f"/inspections/{number}")
    if not reply.good:
        return await nothing(one, reply)
    names = await known(one, "areas", "companies", "points")
    mine = one.may("inspection.make") and reply.body["by"] == one.who["account"]
    return await section(one, "inspection.html", found=reply.body, names=names, mine=mine, problem=problem)


@router.get("/joint/inspections/{number}")
async def inspection(request: Request, number: Number) -> Response:
    """One, with its photos."""
    return await _inspection(await reader(request), number)


@router.post("/joint/inspections/{number}/photos", openapi_extra=holds(photo.DRAINED))
async def attach(request: Request, number: Number) -> Response:
    """A photo, by whoever inspected, within a day."""
    typed, content = await photo.sent(request)
    one = await reader(request, csrf=typed.csrf)
    if content is None:
        return await _inspection(one, number, problem=photo.TOO_LARGE)
    reply = await one.ask.ask("POST", f"/inspections/{number}/photos", content=content)
    if reply.good:
        return go(f"/joint/inspections/{number}")
    return await _inspection(one, number, problem=reply.body)


# Trainings


async def _trainings(one: Reader, *, after: str = "", **values: Any) -> Response:
    reply = await one.ask.get("/trainings", limit=SHOWN, after=after or None)
    if not reply.good:
        return await nothing(one, reply)
    names = await known(one, "areas", "companies", "points", "guards")
    return await section(
        one,
        "trainings.html",
        rows=reply.body["items"],
        next=reply.body["next"],
        names=names,
        area=_own_area(one, names),
        **values,
    )


@router.get("/joint/trainings")
async def trainings(request: Request, after: Text = "") -> Response:
    """Trainings, newest first, and the form to announce one."""
    return await _trainings(await reader(request), after=after)


@router.post("/joint/trainings")
async def announce(request: Request, typed: Form) -> Response:
    """When, about what, at which reader, and who is expected."""
    one = await reader(request, csrf=typed.csrf)
    body = {
        "area": typed.text("area"),
        "subject": typed.text("subject"),
        "point": typed.maybe("point"),
        "begins": typed.moment("begins", one.zone) or "",
        "ends": typed.moment("ends", one.zone) or "",
        "expected": typed.many("expected"),
    }
    reply = await one.ask.ask("POST", "/trainings", body=body)
    if reply.good:
        return go(f"/joint/trainings/{reply.body['number']}")
    return await _trainings(one, typed=typed, problem=reply.body)


async def _training(one: Reader, number: int, **values: Any) -> Response:
    reply = await one.ask.get(f"/trainings/{number}")
    if not reply.good:
        return await nothing(one, reply)
    names = await known(one, "areas", "companies", "points", "guards")
    editing = one.may("training.edit") and reply.body["closed"] is None
    return await section(
        one, "training.html", training=reply.body, names=names, editing=editing, most=MARK_MOST, **values
    )


@router.get("/joint/trainings/{number}")
async def training(request: Request, number: Number) -> Response:
    """One, with everybody who is expected or came."""
    return await _training(await reader(request), number)


@router.post("/joint/trainings/{number}")
async def teach(request: Request, number: Number, typed: Form) -> Response:
    """Somebody came without a tag; a mark; the end."""
    one = await reader(request, csrf=typed.csrf)
    who: dict[str, Any] = {"guard": typed.text("guard")}
    path = f"/trainings/{number}"
    match typed.text("do"):
        case "sign-in":
            reply = await one.ask.ask("POST", f"{path}/sign-ins", body=who)
        case "mark":
            reply = await one.ask.ask("POST", f"{path}/marks", body=who | {"mark": typed.number("mark")})
        case _:
            reply = await one.ask.ask("POST", f"{path}/close")
    return (
        go(f"/joint/trainings/{number}")
        if reply.good
        else await _training(one, number, typed=typed, problem=reply.body)
    )


# Joint meetings


async def _meetings(one: Reader, *, after: str = "", **values: Any) -> Response:
    reply = await one.ask.get("/meetings", limit=SHOWN, after=after or None)
    if not reply.good:
        return await nothing(one, reply)
    names = await known(one, "areas", "companies")
    return await section(
        one,
        "meetings.html",
        rows=reply.body["items"],
        next=reply.body["next"],
        names=names,
        area=_own_area(one, names),
        places=range(TASKS),
        **values,
    )


@router.get("/joint/meetings")
async def meetings(request: Request, after: Text = "") -> Response:
    """Meetings, newest first, and the form for the minutes of one."""
    return await _meetings(await reader(request), after=after)


@router.post("/joint/meetings")
async def keep_minutes(request: Request, typed: Form) -> Response:
    """The minutes, who was there, and what is to be done until when."""
    one = await reader(request, csrf=typed.csrf)
    tasks = [
        {
            "company": typed.maybe(f"company_{nth}"),
            "words": typed.text(f"words_{nth}"),
            "due": typed.moment(f"due_{nth}", one.zone) or "",
        }
        for nth in range(TASKS)
        if typed.text(f"words_{nth}")
    ]
    body = {
        "area": typed.text("area"),
        "subject": typed.text("subject"),
        "at": typed.moment("at", one.zone) or "",
        "companies": typed.many("companies"),
        "minutes": typed.text("minutes"),
        "tasks": tasks,
    }
    reply = await one.ask.ask("POST", "/meetings", body=body)
    if reply.good:
        return go(f"/joint/meetings/{reply.body['number']}")
    return await _meetings(one, typed=typed, problem=reply.body)


async def _meeting(one: Reader, number: int, **values: Any) -> Response:
    reply = await one.ask.get(f"/meetings/{number}")
    if not reply.good:
        return await nothing(one, reply)
    return await section(
        one,
        "meeting.html",
        meeting=reply.body,
        names=await known(one, "areas", "companies"),
        **({"about": 0} | values),
    )


@router.get("/joint/meetings/{number}")
async def meeting(request: Request, number: Number) -> Response:
    """One, with its tasks."""
    return await _meeting(await reader(request), number)


@router.post("/joint/meetings/{number}")
async def do_task(request: Request, number: Number, typed: Form) -> Response:
    """What was done about a task of it."""
    one = await reader(request, csrf=typed.csrf)
    task = typed.number("task") or 0
    reply = await one.ask.ask("POST", f"/meetings/{number}/tasks/{task}/done", body={"words": typed.text("words")})
    if reply.good:
        return go(f"/joint/meetings/{number}")
    return await _meeting(one, number, typed=typed, about=task, problem=reply.body)
