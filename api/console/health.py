"""What is wrong: faults by area with working off, the gateways, the station itself, places that are quieted."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from api.access import anybody
from api.console.known import Form, People, Typed, every, known, now_of, people_of, places_by_id
from api.console.page import Reader, go, reader
from api.console.sections import Number, Text, nothing, section

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

SHOWN: Final = 100


@router.get("/health")
async def faults(request: Request, state: Text = "", gateway: Text = "", after: Text = "") -> Response:
    """Faults that are there or in somebody's hands, by the gateway at which they are."""
    one = await reader(request)
    state = "all" if state == "all" else "open"
    reply = await one.ask.get("/faults", state=state, limit=SHOWN, after=after or None)
    if not reply.good:
        return await nothing(one, reply)
    there = sorted({row["gateway"] for row in reply.body["faults"]})
    rows = [row for row in reply.body["faults"] if not gateway or row["gateway"] == gateway]
    groups: dict[str, list[Any]] = {}
    for row in rows:
        groups.setdefault(row["gateway"], []).append(row)
    return await section(
        one,
        "health.html",
        names=await known(one, "areas"),
        groups=sorted(groups.items()),
        gaps=reply.body["gaps"],
        next=reply.body["next"],
        state=state,
        gateway=gateway,
        gateways=there,
        many=len(rows),
    )


async def _people(one: Reader, number: int) -> People:
    return await people_of(one, f"/faults/{number}/people") if one.may("fault.work") else People(())


async def _fault(one: Reader, number: int, *, typed: Typed | None = None, problem: Any = None) -> Response:
    reply = await one.ask.get(f"/faults/{number}")
    if not reply.good:
        return await nothing(one, reply)
    return await section(
        one,
        "health_fault.html",
        fault_=reply.body,
        etag=reply.etag or "",
        names=await known(one, "areas"),
        people=await _people(one, number),
        problem=problem,
        typed=typed or Typed(),
    )


@router.get("/health/faults/{number}")
async def fault(request: Request, number: Number) -> Response:
    """One fault with what was done about it."""
    return await _fault(await reader(request), number)


@router.post("/health/faults/{number}")
async def work_off(request: Request, number: Number, typed: Form) -> Response:
    """Take it, give it to somebody, write something beside it, or be done with it."""
    one = await reader(request, csrf=typed.csrf)
    path, version = f"/faults/{number}", {"If-Match": typed.text("version")}
    match typed.text("do"):
        case "acknowledge":
            reply = await one.ask.ask("POST", f"{path}/acknowledge")
        case "assign":
            account = (await _people(one, number)).meant(typed.text("account"))
            reply = await one.ask.ask("POST", f"{path}/assign", body={"account": account}, headers=version)
        case "note":
            reply = await one.ask.ask("POST", f"{path}/notes", body={"words": typed.text("words")})
        case _:
            body = {"reason": typed.text("reason")} if typed.text("reason") else {}
            reply = await one.ask.ask("POST", f"{path}/done", body=body, headers=version)
    return go(f"/health/faults/{number}") if reply.good else await _fault(one, number, typed=typed, problem=reply.body)


@router.get("/health/gateways")
async def gateways(request: Request) -> Response:
    """Gateways by their last status and the slice that each runs; and the station itself."""
    one = await reader(request)
    known = await one.ask.get("/gateways")
    slices = await one.ask.get("/register/slices")
    accounts = await every(one, "/broker/accounts")
    # `/healthz` stands beside the interface, open to anybody.
    station = await one.ask.ask("GET", "/healthz", prefix="")
    pushed = await one.ask.get("/push/station")
    return await section(
        one,
        "health_gateways.html",
        pushed=pushed.body if pushed.good else None,
        gateways=known.body["gateways"] if known.good else None,
        slices={row["gateway"]: row for row in slices.body} if slices.good else {},
        accounts=accounts,
        station_health=station.body if isinstance(station.body, dict) and "jobs" in station.body else None,
        now=now_of(one).isoformat(),
    )


@router.get("/health/quieted")
async def quieted(request: Request, still: Text = "1", after: Text = "") -> Response:
    """Places whose neighbours' sirens are quieted."""
    one = await reader(request)
    still = "1" if still == "1" else ""
    reply = await one.ask.get("/register/quietings", still="true" if still else None, limit=SHOWN, after=after or None)
    if not reply.good:
        return await nothing(one, reply)
    return await section(
        one,
        "health_quieted.html",
        rows=reply.body["items"],
        places=await places_by_id(one, (row["place"] for row in reply.body["items"])),
        next=reply.body["next"],
        still=still,
    )
