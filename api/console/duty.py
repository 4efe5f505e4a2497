"""Who is on duty, the roster, and the sheet by which one officer hands over to the next (交接班)."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from api.access import anybody
from api.console.known import Form, People, every, known, people_of
from api.console.page import Reader, go, reader
from api.console.sections import Number, Text, nothing, section
from api.duty.rules import may_roster
from api.faults.words import WORDS as FAULT_WORDS
from api.rights.rules import Role, Without, rights
from broker.kinds import KIND_WORDS

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

SHOWN: Final = 50
DUTIES: Final = (
    Role.OFFICER,
    Role.DUTY_OFFICER,
    Role.DUTY_LEADER,
    Role.COMMAND_CENTRE,
    Role.COMMUNITY,
    Role.TOWNSHIP,
    Role.GRID_WORKER,
)
"""Roles of which somebody is on duty."""
TAKERS: Final = "/duty/handovers/takers"


async def _duty(one: Reader, area: str = "", after: str = "", **values: Any) -> Response:
    area = area or one.station.settings.station
    on_duty = []
    for role in DUTIES:
        reply = await one.ask.get("/duty/now", role=role.value, area=area)
        if reply.good and reply.body["people"]:
            on_duty.append(reply.body)
    desks = await one.ask.get("/duty/desk")
    roster = await one.ask.get("/duty/roster", limit=SHOWN, after=after or None)
    if not roster.good:
        return await nothing(one, roster)
    return await section(
        one,
        "duty.html",
        on_duty=on_duty,
        desks=desks.body if desks.good else None,
        roster=roster.body["items"],
        next=roster.body["next"],
        leaves=await every(one, "/duty/leaves"),
        names=await known(one, "areas"),
        area=area,
        roles=_kept(one),
        people=await _people(one),
        **values,
    )


def _kept(one: Reader) -> list[str]:
    """The duties whose roster the reader keeps somewhere."""
    row = rights().actions["duty.edit"]
    mine = {Role(grant["role"]) for grant in one.who["grants"]}
    keepers = set[Role]() if isinstance(row, Without) else mine & {*row}
    return [role.value for role in DUTIES if may_roster(keepers, role)]


async def _people(one: Reader) -> People:
    return await people_of(one, "/duty/people", role=_kept(one)) if one.may("duty.edit") else People(())


@router.get("/duty")
async def now(request: Request, area: Text = "", after: Text = "") -> Response:
    """Who is on duty now, and the roster."""
    return await _duty(await reader(request), area, after)


def _minutes(text: str) -> int | str:
    """`22:30` as minutes after midnight; what is no time as it is."""
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes) if hours.isdecimal() and minutes.isdecimal() else text


@router.post("/duty")
async def plan(request: Request, typed: Form) -> Response:
    """Put somebody on duty, end a line, note that somebody is away."""
    one = await reader(request, csrf=typed.csrf)
    version = {"If-Match": f'"{typed.text("version")}"'}
    match typed.text("do"):
        case "shift":
            starts, ends = _minutes(typed.text("starts")), _minutes(typed.text("ends"))
            lasts: object = typed.text("ends")
            if isinstance(starts, int) and isinstance(ends, int):
                lasts = (ends - starts) % 1440 or 1440
            body: dict[str, Any] = {
                "account": (await _people(one)).meant(typed.text("account")),
                "role": typed.text("role"),
                "area": typed.text("area"),
                "starts_min": starts,
                "lasts_min": lasts,
                "weekdays": [int(day) for day in typed.many("weekday") if day.isdecimal()],
            }
            reply = await one.ask.ask("POST", "/duty/roster", body=body)
        case "end":
            reply = await one.ask.ask(
                "POST", f"/duty/roster/{typed.number('number') or 0}/end", body={}, headers=version
            )
        case "leave":
            people = await _people(one)
            body = {"account": people.meant(typed.text("account")), "ends": typed.moment("until", one.zone)}
            body |= {"stand_in": people.meant(typed.text("stand_in"))} if typed.text("stand_in") else {}
            reply = await one.ask.ask("POST", "/duty/leaves", body=body)
        case _:
            reply = await one.ask.ask("POST", f"/duty/leaves/{typed.number('number') or 0}/end", headers=version)
    if reply.good:
        return go("/duty")
    return await _duty(one, typed.text("area"), typed=typed, problem=reply.body)


async def _handovers(one: Reader, after: str = "", **values: Any) -> Response:
    reply = await one.ask.get("/duty/handovers", limit=SHOWN, after=after or None)
    if not reply.good:
        return await nothing(one, reply)
    return await section(
        one,
        "duty_handovers.html",
        rows=reply.body["items"],
        next=reply.body["next"],
        people=await people_of(one, TAKERS),
        **values,
    )


@router.get("/duty/handovers")
async def handovers(request: Request, after: Text = "") -> Response:
    """Sheets, newest first, and the beginning of a new one."""
    return await _handovers(await reader(request), after)


@router.post("/duty/handovers")
async def begin(request: Request, typed: Form) -> Response:
    """A sheet for the next officer: what is open now is written into it."""
    one = await reader(request, csrf=typed.csrf)
    taker = (await people_of(one, TAKERS)).meant(typed.text("taker"))
    reply = await one.ask.ask("POST", "/duty/handovers", body={"taker": taker, "note": typed.text("note")})
    if reply.good:
        return go(f"/duty/handovers/{reply.body['number']}")
    return await _handovers(one, typed=typed, problem=reply.body)


async def _handover(one: Reader, number: int, *, problem: Any = None) -> Response:
    reply = await one.ask.get(f"/duty/handovers/{number}")
    if not reply.good:
        return await nothing(one, reply)
    return await section(
        one,
        "duty_handover.html",
        sheet=reply.body,
        names=await known(one, "areas"),
        etag=reply.etag or f'"{reply.body["version"]}"',
        problem=problem,
        fault_words=FAULT_WORDS,
        kind_words=KIND_WORDS,
    )


@router.get("/duty/handovers/{number}")
async def handover(request: Request, number: Number) -> Response:
    """One sheet with what was open when it was made."""
    return await _handover(await reader(request), number)


@router.post("/duty/handovers/{number}")
async def sign(request: Request, number: Number, typed: Form) -> Response:
    """Giver and taker sign, each for himself."""
    one = await reader(request, csrf=typed.csrf)
    reply = await one.ask.ask("POST", f"/duty/handovers/{number}/sign", headers={"If-Match": typed.text("version")})
    return go(f"/duty/handovers/{number}") if reply.good else await _handover(one, number, problem=reply.body)
