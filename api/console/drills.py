"""Drills: announced, called off, what became of them; and how ready each group is."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from api.access import anybody
from api.console.known import Form, every, known
from api.console.page import Reader, go, reader
from api.console.sections import Number, Text, nothing, section

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

SHOWN: Final = 50
MOST_GROUPS: Final = 30
"""Groups whose readiness is asked for on one page."""


async def places_of(one: Reader, group: str) -> Mapping[str, Mapping[str, Any]]:
    """The places of a group by id, as far as the reader may know them."""
    return {row["id"]: row for row in await every(one, "/register/places", within=group)}


async def _drills(one: Reader, *, group: str = "", over: str = "", after: str = "", **values: Any) -> Response:
    reply = await one.ask.get("/drills", over="true" if over else None, limit=SHOWN, after=after or None)
    if not reply.good:
        return await nothing(one, reply)
    names = await known(one, "areas")
    groups = [row for row in names.rows("areas") if row["meaning"] == "group"]
    group = group or (groups[0]["id"] if groups else "")
    ready = await one.ask.get(f"/groups/{group}/readiness") if group else None
    others = []
    if len(groups) <= MOST_GROUPS:
        found = [await one.ask.get(f"/groups/{row['id']}/readiness") for row in groups]
        others = [answer.body for answer in found if answer.good]
    return await section(
        one,
        "drills.html",
        rows=reply.body["items"],
        next=reply.body["next"],
        names=names,
        groups=groups,
        group=group,
        over=over,
        ready=ready.body if ready is not None and ready.good else None,
        others=sorted(others, key=lambda row: (row["station_reached"], row["neighbours_reached"] - row["neighbours"])),
        places=await places_of(one, group) if group else {},
        **values,
    )


@router.get("/affairs/drills")
async def drills(request: Request, group: Text = "", over: Text = "", after: Text = "") -> Response:
    """Drills, how ready groups are, and the form for another drill."""
    return await _drills(await reader(request), group=group, over=over, after=after)


@router.post("/affairs/drills")
async def announce(request: Request, typed: Form) -> Response:
    """One more drill of a group."""
    one = await reader(request, csrf=typed.csrf)
    body = {
        "group": typed.text("group"),
        "units": typed.many("units"),
        "begins": typed.moment("begins", one.zone) or "",
        "ends": typed.moment("ends", one.zone) or "",
        "purpose": typed.text("purpose"),
    }
    reply = await one.ask.ask("POST", "/drills", body=body)
    if reply.good:
        return go(f"/affairs/drills/{reply.body['number']}")
    return await _drills(one, group=typed.text("group"), typed=typed, problem=reply.body)


async def _drill(one: Reader, number: int, *, problem: Any = None) -> Response:
    reply = await one.ask.get(f"/drills/{number}")
    if not reply.good:
        return await nothing(one, reply)
    ready = await one.ask.get(f"/groups/{reply.body['group']}/readiness")
    return await section(
        one,
        "drill.html",
        drill=reply.body,
        ready=ready.body if ready.good else None,
        places=await places_of(one, reply.body["group"]),
        answered={row["place"]: row for row in reply.body["answers"]},
        pressed={row["place"] for row in reply.body["presses"] if row["pressed"] is not None},
        names=await known(one, "areas"),
        problem=problem,
    )


@router.get("/affairs/drills/{number}")
async def drill(request: Request, number: Number) -> Response:
    """One with its presses and answers, household by household."""
    return await _drill(await reader(request), number)


@router.post("/affairs/drills/{number}")
async def call_off(request: Request, number: Number, typed: Form) -> Response:
    """End it now: every press is real again."""
    one = await reader(request, csrf=typed.csrf)
    reply = await one.ask.ask("POST", f"/drills/{number}/call-off")
    return go(f"/affairs/drills/{number}") if reply.good else await _drill(one, number, problem=reply.body)
