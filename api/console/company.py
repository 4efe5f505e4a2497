"""The home of a guard company: its people, what went wrong, appeals, the monthly sheet, its grade."""

from datetime import timedelta
from typing import Final

from fastapi import APIRouter, Request, Response

from api.access import anybody
from api.console.known import every, known, now_of
from api.console.page import reader
from api.console.points import points_page, today

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

ROSTER_DAYS: Final = 2
SHOWN: Final = 20


@router.get("/company")
async def home(request: Request) -> Response:
    """Everything of today on one page."""
    one = await reader(request)
    mine = sorted({grant["scope"] for grant in one.who["grants"] if grant["role"] == "guard_company"})
    now = now_of(one)
    grades = [await one.ask.get(f"/points/companies/{id_}/grade", day=today(one)) for id_ in mine]
    exceptions = await one.ask.get("/patrol-exceptions", limit=SHOWN)
    entries = await one.ask.get("/points/entries", limit=200)
    rows = entries.body["items"] if entries.good else []
    duties = await every(
        one, "/patrol-duties", begins=now.isoformat(), ends=(now + timedelta(days=ROSTER_DAYS)).isoformat()
    )
    return await points_page(
        one,
        "company.html",
        companies=mine,
        grades=[reply.body for reply in grades if reply.good],
        exceptions=exceptions.body["items"] if exceptions.good else [],
        pending=[row for row in rows if row["state"] in {"pending", "appealed"}],
        duties=sorted((row for row in duties if row["called_off"] is None), key=lambda row: str(row["begins"])),
        called=await known(one, "guards", "companies"),
        day=today(one),
        now=now.isoformat(),
    )
