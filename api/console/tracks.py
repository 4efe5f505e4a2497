"""Reverse look-up with its three answers, and a guard's track to replay. Both are asked with a reason, and audited."""

import json
from datetime import timedelta
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from api.access import anybody
from api.console.known import Form, Typed, every, known, local, now_of
from api.console.page import Reader, reader
from api.console.patrol import patrol_page, status_of
from api.paper import MEDIA_TYPE

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

WINDOW_MIN: Final = 30
TRACK_H: Final = 24


async def _asked(one: Reader, typed: Typed, *, found: Any = None, problem: Any = None) -> Response:
    now = now_of(one)
    names = await known(one, "areas", "points", "companies", "routes")
    places: dict[str, str] = {}
    for row in names.rows("points"):
        if row["place"]:
            places[row["id"]] = row["place"]
    return await patrol_page(
        one,
        "patrol_look_up.html",
        status=status_of(problem),
        called=names,
        places=places,
        typed={
            "point": typed.text("point"),
            "begins": typed.text("begins") or local(now - timedelta(minutes=WINDOW_MIN), one.zone),
            "ends": typed.text("ends") or local(now, one.zone),
            "reason": typed.text("reason"),
        },
        found=found,
        problem=problem,
    )


@router.get("/patrol/look-up")
async def ask(request: Request) -> Response:
    """The form."""
    return await _asked(await reader(request), Typed(request.query_params))


@router.post("/patrol/look-up")
async def look_up(request: Request, typed: Form) -> Response:
    """Who was there, must have passed, could have been there."""
    one = await reader(request, csrf=typed.csrf)
    sheet = typed.text("as") == "sheet"
    reply = await one.ask.ask(
        "POST",
        "/track-look-ups/sheet" if sheet else "/track-look-ups",
        body={
            "point": typed.text("point"),
            "begins": typed.moment("begins", one.zone),
            "ends": typed.moment("ends", one.zone),
            "reason": typed.text("reason"),
        },
    )
    if not reply.good:
        return await _asked(one, typed, problem=reply.body)
    if sheet:
        return Response(reply.raw, media_type=MEDIA_TYPE)
    return await _asked(one, typed, found=reply.body)


async def _track(one: Reader, typed: Typed, *, found: Any = None, problem: Any = None) -> Response:
    now = now_of(one)
    names = await known(one, "areas", "points", "guards")
    points = {row["id"]: row for row in names.rows("points")}
    where = await _where(one, {step["point"] for shift in found["shifts"] for step in shift["steps"]}) if found else {}
    steps = [
        {
            "at": step["at"],
            "point": step["point"],
            "name": step["point_name"] or step["point"] or "",
            "spot": [step["latitude"], step["longitude"]] if step["latitude"] is not None else where.get(step["point"]),
            "source": step["source"],
            "shift": nth,
        }
        for nth, shift in enumerate(found["shifts"] if found else ())
        for step in shift["steps"]
    ]
    return await patrol_page(
        one,
        "patrol_track.html",
        status=status_of(problem),
        called=names,
        points=points,
        typed={
            "guard": typed.text("guard"),
            "begins": typed.text("begins") or local(now - timedelta(hours=TRACK_H), one.zone),
            "ends": typed.text("ends") or local(now, one.zone),
            "reason": typed.text("reason"),
        },
        found=found,
        replay=json.dumps(steps, ensure_ascii=False),
        problem=problem,
    )


async def _where(one: Reader, points: set[str | None]) -> dict[str | None, list[float]]:
    """Where checkpoints are, as far as the places at which they hang have positions."""
    found: dict[str | None, list[float]] = {}
    for row in await every(one, "/checkpoints", ended="true"):
        if row["id"] in points and row["place"]:
            reply = await one.ask.get(f"/register/places/{row['place']}")
            if reply.good and reply.body.get("latitude") is not None:
                found[row["id"]] = [reply.body["latitude"], reply.body["longitude"]]
    return found


@router.get("/patrol/track")
async def ask_track(request: Request) -> Response:
    """Whose track, when, and why: asked before anything is shown."""
    return await _track(await reader(request), Typed(request.query_params))


@router.post("/patrol/track")
async def track(request: Request, typed: Form) -> Response:
    """A guard's shifts with every check-in and position."""
    one = await reader(request, csrf=typed.csrf)
    guard = typed.text("guard")
    reply = await one.ask.get(
        f"/guards/{guard or '-'}/track",
        begins=typed.moment("begins", one.zone),
        ends=typed.moment("ends", one.zone),
        reason=typed.text("reason"),
    )
    return await _track(one, typed, **({"found": reply.body} if reply.good else {"problem": reply.body}))
