"""Roll-call and spot call: a draw that shows its digest first, by hand, answers as they come."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request, Response

from api.access import anybody
from api.console.known import Form, Typed, every, known, now_of
from api.console.page import Reader, go, reader
from api.console.patrol import Text, patrol_page, status_of

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

Number = Annotated[int, Path(ge=1, le=(1 << 31) - 1)]
WAYS: Final = {"draw": "/roll-calls/draws", "hand": "/roll-calls", "spot": "/spot-calls"}


async def _on_duty(one: Reader) -> list[dict[str, Any]]:
    """Guards who are on a duty list now, each with its area, by area and name."""
    now = now_of(one)
    found: dict[str, dict[str, Any]] = {}
    for duty in await every(
        one, "/patrol-duties", begins=now.isoformat(), ends=(now + timedelta(minutes=1)).isoformat()
    ):
        if duty["called_off"] is not None:
            continue
        for member in duty["members"]:
            begins, ends = (datetime.fromisoformat(member[name]) for name in ("begins", "ends"))
            if member["guard"] is not None and begins <= now < ends:
                found[member["guard"]] = member | {"area": duty["area"]}
    return sorted(found.values(), key=lambda row: (row["area"], row["name"] or ""))


async def _calls(one: Reader, typed: Typed, *, problem: Any = None, after: str = "") -> Response:
    reply = await one.ask.get("/roll-calls", limit=20, after=after or None)
    return await patrol_page(
        one,
        "roll_calls.html",
        status=status_of(problem) if reply.good else reply.status,
        problem=problem if reply.good else reply.body,
        calls=reply.body["items"] if reply.good else [],
        next=reply.body["next"] if reply.good else None,
        called=await known(one, "areas"),
        people=await _on_duty(one),
        typed={name: typed.text(name) for name in ("way", "area", "many", "guard", "words", "minutes")},
        chosen=typed.many("guards"),
    )


@router.get("/patrol/roll-calls")
async def calls(request: Request, after: Text = "") -> Response:
    """Calls, newest first, and the three ways to make one."""
    return await _calls(await reader(request), Typed(), after=after)


@router.post("/patrol/roll-calls")
async def make(request: Request, typed: Form) -> Response:
    """Commit to a draw, call by hand, or call one away."""
    one = await reader(request, csrf=typed.csrf)
    way = typed.text("way")
    body: dict[str, Any] = {"area": typed.text("area")}
    if way == "draw":
        body |= {"many": typed.number("many")}
    elif way == "hand":
        body |= {"guards": typed.many("guards")}
    else:
        body |= {"guard": typed.text("guard"), "words": typed.text("words"), "minutes": typed.number("minutes")}
    reply = await one.ask.ask("POST", WAYS.get(way, "/spot-calls"), body=body)
    if reply.good:
        return go(f"/patrol/roll-calls/{reply.body['number']}")
    return await _calls(one, typed, problem=reply.body)


async def _call(one: Reader, number: int, template: str, *, problem: Any = None, about: str = "") -> Response:
    reply = await one.ask.get(f"/roll-calls/{number}")
    if not reply.good:
        return await patrol_page(one, "patrol_nothing.html", status=reply.status, problem=reply.body)
    names = await known(one, "areas", "points", "companies")
    return await patrol_page(
        one, template, status=status_of(problem), call=reply.body, called=names, problem=problem, about=about
    )


@router.get("/patrol/roll-calls/{number}")
async def call(request: Request, number: Number) -> Response:
    """One call with everybody's answer."""
    return await _call(await reader(request), number, "roll_call.html")


@router.get("/patrol/roll-calls/{number}/now")
async def call_again(request: Request, number: Number) -> Response:
    """Its answers alone."""
    return await _call(await reader(request), number, "roll_call_now.html")


@router.post("/patrol/roll-calls/{number}/{what}")
async def act(request: Request, number: Number, what: str, typed: Form) -> Response:
    """Draw and call; type in what came by radio; let somebody go on with his round."""
    one = await reader(request, csrf=typed.csrf)
    if what not in {"call", "radio", "done"}:
        return Response(status_code=HTTPStatus.NOT_FOUND)
    path = f"/spot-calls/{number}/done" if what == "done" else f"/roll-calls/{number}/{what}"
    body = {"guard": typed.text("guard"), "claimed": typed.maybe("claimed")} if what == "radio" else None
    reply = await one.ask.ask("POST", path, body=body)
    if reply.good:
        return go(f"/patrol/roll-calls/{number}")
    return await _call(one, number, "roll_call.html", problem=reply.body, about=typed.text("guard"))
