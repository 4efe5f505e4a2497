"""Warnings and prevention tips to households: written, to which areas, until when, and who has read them."""

from datetime import timedelta
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from api.access import anybody
from api.console.known import Form, known, local, now_of
from api.console.page import Reader, go, reader
from api.console.sections import Text, nothing, section
from api.shapes import words_answer
from api.tips.rules import TIP_WORDS, TipKind

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

SHOWN: Final = 30
USUAL_DAYS: Final = 7
ORDER: Final = ("county", "township", "station", "community", "police_grid", "grid", "group")
"""Areas that something can be published to, the largest first."""


async def _tips(one: Reader, *, after: str = "", **values: Any) -> Response:
    reply = await one.ask.get("/tips/published", limit=SHOWN, after=after or None)
    if not reply.good:
        return await nothing(one, reply)
    names = await known(one, "areas")
    areas = [row for row in names.rows("areas") if row["meaning"] in ORDER]
    return await section(
        one,
        "tips.html",
        rows=reply.body["items"],
        next=reply.body["next"],
        names=names,
        areas=sorted(areas, key=lambda row: ORDER.index(row["meaning"])),
        kinds=[(kind.value, words_answer(TIP_WORDS[kind]).model_dump()) for kind in TipKind],
        usual=local(now_of(one) + timedelta(days=USUAL_DAYS), one.zone),
        **values,
    )


@router.get("/affairs/tips")
async def tips(request: Request, after: Text = "") -> Response:
    """What was published, newest first, and the form for another."""
    return await _tips(await reader(request), after=after)


@router.post("/affairs/tips")
async def publish(request: Request, typed: Form) -> Response:
    """Publish something, or take it back."""
    one = await reader(request, csrf=typed.csrf)
    if typed.text("do") == "withdraw":
        reply = await one.ask.ask("POST", f"/tips/{typed.number('number') or 0}/withdraw")
    else:
        body = {name: typed.text(name) for name in ("kind", "title", "text")}
        times = {name: typed.moment(name, one.zone) for name in ("begins", "expires")}
        areas = {"areas": typed.many("areas")}
        reply = await one.ask.ask("POST", "/tips", body=body | areas | times | {"expires": times["expires"] or ""})
    return go("/affairs/tips") if reply.good else await _tips(one, typed=typed, problem=reply.body)
