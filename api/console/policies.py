"""What holds here and who may change it: who learns what of an alarm, levels, workstations."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from api.access import anybody
from api.console.known import Form, known
from api.console.page import Reader, go, hand_on, reader
from api.console.sections import nothing, section
from broker.kinds import KIND_WORDS
from broker.policy import POLICY, Audience

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

CHANGED_AT: Final = (
    ("/admin/ladders", "ladder.edit"),
    ("/admin/channels", "notify.manage"),
    ("/points/rules", "points.rules.edit"),
    ("/patrol/plans", "patrol.plan"),
    ("/patrol/colours", "colour.decide"),
    ("/register/planned", "register.planned"),
    ("/affairs/admitted", "admitted.write"),
)
"""Pages on which other rules are changed, each with the action that it takes."""


async def _rules(one: Reader, **values: Any) -> Response:
    levels = await one.ask.get("/register/levels")
    if not levels.good:
        return await nothing(one, levels)
    return await section(
        one,
        "admin_rules.html",
        policy=[(kind.value, [POLICY[kind][audience] for audience in Audience]) for kind in POLICY],
        audiences=[audience.value for audience in Audience],
        kind_words=KIND_WORDS,
        levels=levels.body,
        elsewhere=[where for where, action in CHANGED_AT if one.may(action)],
        **values,
    )


@router.get("/admin/rules")
async def rules(request: Request) -> Response:
    """What holds here."""
    return await _rules(await reader(request))


@router.post("/admin/rules")
async def change_rules(request: Request, typed: Form) -> Response:
    """Name a level anew."""
    one = await reader(request, csrf=typed.csrf)
    names = ("tree", "name_zh", "name_en", "meaning")
    body = {name: typed.text(name) for name in names} | {"rank": typed.number("rank")}
    reply = await one.ask.ask("PUT", f"/register/levels/{typed.text('level') or '-'}", body=body)
    return go("/admin/rules") if reply.good else await _rules(one, typed=typed, problem=reply.body)


async def _desks(one: Reader, **values: Any) -> Response:
    reply = await one.ask.get("/desks")
    if not reply.good:
        return await nothing(one, reply)
    return await section(one, "admin_desks.html", desks=reply.body["items"], names=await known(one, "areas"), **values)


@router.get("/admin/desks")
async def desks(request: Request) -> Response:
    """Workstations that are paired with an area."""
    return await _desks(await reader(request))


@router.post("/admin/desks")
async def change_desks(request: Request, typed: Form) -> Response:
    """Pair the workstation at which this is sent, or take the pairing of any away."""
    one = await reader(request, csrf=typed.csrf)
    if typed.text("do") == "pair":
        body = {"name": typed.text("name"), "area": typed.text("area")}
        reply = await one.ask.ask("POST", "/desks", body=body)
    else:
        body = {"reason": typed.text("reason")}
        reply = await one.ask.ask("POST", f"/desks/{typed.text('desk')}/unpair", body=body)
    if reply.good:
        return hand_on(reply, go("/admin/desks"))
    return await _desks(one, typed=typed, problem=reply.body)
