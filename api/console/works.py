"""Long works: begun from other pages, watched, left and come back to, and what came of them.

Whoever asks for something small gets it at once: only what is not done within WAIT_S has a page of its own.
"""

import asyncio
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from api.access import anybody
from api.console.interface import Reply
from api.console.known import Form, known
from api.console.page import Elsewhere, Reader, go, reader
from api.console.sections import Id, Text, nothing, section
from api.rights.rules import Role
from api.works.rules import KEPT_MS, Kind

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

LOOKS_S: Final = (0.02, 0.03, 0.05, 0.1, 0.15, 0.2, 0.2, 0.25)
"""After such waits it is looked whether a work is done."""
WAIT_S: Final = [*accumulate(LOOKS_S)][-1]
OPEN: Final = ("waiting", "running")
BACK: Final = {
    Kind.IMPORT_TRIAL.value: "/register/sheets",
    Kind.IMPORT.value: "/register/sheets",
    Kind.POINTS.value: "/points/months",
    Kind.REPORT_ALARMS.value: "/reports",
    Kind.REPORT_CARDS.value: "/reports",
    Kind.REPORT_POINTS.value: "/reports",
    Kind.REPORT_YEAR.value: "/reports?period=year",
    Kind.EXPORT.value: "/register/sheets",
}
"""From where each is asked for."""


async def until_done(one: Reader, begun: Reply) -> Any:
    """A work as it is when it has ended, or after WAIT_S."""
    work = begun.body
    for look_s in LOOKS_S:
        if work["state"] not in OPEN:
            break
        await asyncio.sleep(look_s)
        reply = await one.ask.get(f"/works/{work['id']}")
        if not reply.good:
            break
        work = reply.body
    return work


def page_of(work: Any) -> str:
    """Where a work is watched."""
    return f"/works/{work['id']}"


def result_of(work: Any) -> str | None:
    """Where what came of it is shown, where that is a page of its own."""
    return f"/reports?work={work['id']}" if work["file"] and work["kind"] == Kind.REPORT_YEAR else None


async def follow(one: Reader, begun: Reply) -> Response:
    """What came of it where that is there already; else the page of the work. What could not be begun says why."""
    if not begun.good:
        return await _list(one, problem=begun.body)
    work = await until_done(one, begun)
    return go(result_of(work) or (f"/api/v1/works/{work['id']}/file" if work["file"] else page_of(work)))


async def _shown(one: Reader, work: Any) -> dict[str, Any]:
    """What templates need to show a work."""
    ended = work["ended"] and datetime.fromisoformat(work["ended"])
    return {
        "work": work,
        "open": work["state"] in OPEN,
        "kept": (ended + timedelta(milliseconds=KEPT_MS)).isoformat() if ended else None,
        "names": await known(one, "areas") if work["area"] else None,
        "back": BACK[work["kind"]],
        "page": result_of(work),
    }


async def _work(one: Reader, id_: str, *, problem: Any = None) -> Response:
    reply = await one.ask.get(f"/works/{id_}")
    if not reply.good:
        return await nothing(one, reply)
    return await section(one, "work.html", problem=problem, **await _shown(one, reply.body))


async def _list(one: Reader, *, everybody: bool = False, after: str = "", problem: Any = None) -> Response:
    reply = await one.ask.get("/works", everybody="true" if everybody else None, after=after or None)
    if not reply.good:
        return await nothing(one, reply)
    items = reply.body["items"]
    return await section(
        one,
        "works.html",
        problem=problem,
        works=items,
        next=reply.body["next"],
        everybody=everybody,
        administers=one.has(Role.ADMINISTRATOR),
        names=await known(one, "areas") if any(row["area"] for row in items) else None,
    )


@router.get("/works")
async def works(request: Request, everybody: Text = "", after: Text = "") -> Response:
    """His long works of the last day; for administrators everybody's."""
    return await _list(await reader(request), everybody=bool(everybody), after=after)


@router.post("/works/points")
async def recompute(request: Request, typed: Form) -> Response:
    """Recompute all points from the facts."""
    one = await reader(request, csrf=typed.csrf)
    return await follow(one, await one.ask.ask("POST", "/works/points"))


@router.post("/works/reports")
async def report(request: Request, typed: Form) -> Response:
    """A report of alarms as a file."""
    one = await reader(request, csrf=typed.csrf)
    body = {name: typed.text(name) for name in ("report", "area", "day", "period", "format")}
    body |= {"whose": typed.text("whose")} if typed.text("whose") else {}
    return await follow(one, await one.ask.ask("POST", "/works/reports", body=body))


@router.post("/works/points-reports")
async def report_points(request: Request, typed: Form) -> Response:
    """A report of points as a file."""
    one = await reader(request, csrf=typed.csrf)
    body = {name: typed.text(name) for name in ("area", "day", "period", "format")}
    return await follow(one, await one.ask.ask("POST", "/works/points-reports", body=body))


@router.get("/works/{work}")
async def work(request: Request, work: Id) -> Response:
    """How far it is, or what came of it."""
    return await _work(await reader(request), work)


@router.get("/works/{work}/now")
async def work_now(request: Request, work: Id) -> Response:
    """How far it is, as a piece; when it has ended, the page is to be had anew."""
    again = Response(status_code=204, headers={"HX-Refresh": "true", "Cache-Control": "no-store"})
    try:
        one = await reader(request)
    except Elsewhere:  # the whole page leads to where he signs in; a piece of it cannot
        return again
    reply = await one.ask.get(f"/works/{work}")
    if not reply.good or reply.body["state"] not in OPEN:
        return again
    return await one.page("work_now.html", **await _shown(one, reply.body))


@router.post("/works/{work}/give-up")
async def give_up(request: Request, work: Id, typed: Form) -> Response:
    """Let it not be done."""
    one = await reader(request, csrf=typed.csrf)
    reply = await one.ask.ask("POST", f"/works/{work}/give-up")
    return go(page_of(await until_done(one, reply))) if reply.good else await _work(one, work, problem=reply.body)


@router.post("/works/{work}/take")
async def take(request: Request, work: Id, typed: Form) -> Response:
    """Import what the trial said."""
    one = await reader(request, csrf=typed.csrf)
    reply = await one.ask.ask("POST", f"/works/{work}/take")
    return go(page_of(await until_done(one, reply))) if reply.good else await _work(one, work, problem=reply.body)


@router.post("/works/{work}/again")
async def again(request: Request, work: Id, typed: Form) -> Response:
    """Begin it anew."""
    one = await reader(request, csrf=typed.csrf)
    reply = await one.ask.ask("POST", f"/works/{work}/again")
    return go(page_of(await until_done(one, reply))) if reply.good else await _work(one, work, problem=reply.body)
