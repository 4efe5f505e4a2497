"""Pages with which roles begin: what there is to do today, and a group leader's group."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from api.access import anybody
from api.alarms.rules import State
from api.console.complaints import waiting
from api.console.drills import places_of
from api.console.interface import Reply
from api.console.known import Form, Typed, every, known
from api.console.matters import to_do
from api.console.page import Elsewhere, Reader, go, reader
from api.console.rules import in_order, light
from api.console.sections import section
from api.rights.rules import Role

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

SHOWN: Final = 6
"""Lines of one list; the number beside its name is of all, and its own page has them."""
LATELY: Final = 5
"""Alarms of a group whose answers are shown."""


async def _items(one: Reader, action: str, path: str, **query: object) -> list[Any]:
    """What a list holds, for whoever may read it; nothing for others."""
    if not one.may(action):
        return []
    reply = await one.ask.get(path, **query)
    return list(reply.body["items"]) if reply.good else []


@router.get("/affairs/today")
async def today(request: Request) -> Response:
    """Everything that waits for somebody in the reader's areas, on one page."""
    one = await reader(request)
    return await _today(one)


async def _today(one: Reader, *, problem: Any = None) -> Response:
    alarms = in_order(await every(one, "/alarms", open="true")) if one.may("alarm.acknowledge") else []
    resolved = await every(one, "/alarms", state=State.RESOLVED) if one.may("alarm.follow_up") else []
    return await section(
        one,
        "today.html",
        problem=problem,
        shown=SHOWN,
        names=await known(one, "areas"),
        alarms=[row for row in alarms if row["mark"] is None],
        untaken=sum(light(row["state"]) == "sent" and row["mark"] is None for row in alarms),
        to_follow=[row for row in resolved if row["mark"] is None],
        errands=await _items(one, "errand.read", "/errands"),
        complaints=await waiting(one),
        joiners=await _items(one, "joining.settle", "/joinings"),
        drills=await _items(one, "drill.read", "/drills", limit=SHOWN),
        **await to_do(one),
    )


@router.post("/affairs/today")
async def settle_there(request: Request, typed: Form) -> Response:
    """Confirm a household that joined, or refuse it."""
    one = await reader(request, csrf=typed.csrf)
    reply = await _settled(one, typed)
    return go("/affairs/today") if reply.good else await _today(one, problem=reply.body)


async def _settled(one: Reader, typed: Typed) -> Reply:
    body = {"confirmed": typed.text("do") == "confirm", "reason": typed.maybe("reason")}
    return await one.ask.ask("POST", f"/joinings/{typed.text('joining') or '-'}/settle", body=body)


async def _answered(one: Reader) -> dict[str, Any]:
    """What changes while an alarm goes on: how ready the groups are, and who answered."""
    mine = sorted({grant["scope"] for grant in one.who["grants"] if grant["role"] == Role.GROUP_LEADER})
    if not mine:
        raise Elsewhere(one.home)
    groups = []
    for id_ in mine:
        ready = await one.ask.get(f"/groups/{id_}/readiness")
        groups.append({"id": id_, "ready": ready.body if ready.good else None, "places": await places_of(one, id_)})
    alarms = []
    for row in await _items(one, "alarm.read", "/alarms", limit=LATELY):
        whole = await one.ask.get(f"/alarms/{row['id']}")
        alarms.append(whole.body if whole.good else row)
    return {"groups": groups, "names": await known(one, "areas"), "alarms": alarms}


async def _group(one: Reader, *, problem: Any = None) -> Response:
    return await section(
        one,
        "group.html",
        problem=problem,
        joiners=await _items(one, "joining.settle", "/joinings"),
        drills=await _items(one, "drill.read", "/drills", limit=SHOWN),
        tips=await _items(one, "tip.read", "/tips", limit=SHOWN),
        **await _answered(one),
    )


@router.get("/group")
async def group(request: Request) -> Response:
    """Who answered, how ready the group is, who tests late, who joined."""
    return await _group(await reader(request))


@router.get("/group/now")
async def group_now(request: Request) -> Response:
    """Readiness and answers alone."""
    one = await reader(request)
    return await one.page("group_now.html", **await _answered(one))


@router.post("/group")
async def settle(request: Request, typed: Form) -> Response:
    """Confirm a household that joined, or refuse it."""
    one = await reader(request, csrf=typed.csrf)
    reply = await _settled(one, typed)
    return go("/group") if reply.good else await _group(one, problem=reply.body)
