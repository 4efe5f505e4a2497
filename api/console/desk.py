"""The live desk: open alarms in order of urgency, and one alarm with what can be done about it."""

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Path, Request, Response

from api.access import anybody
from api.console.page import go, reader
from api.console.rules import in_order

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

Id = Annotated[str, Path(pattern=r"^[0-9a-f-]{1,64}$")]
Csrf = Annotated[str, Form(max_length=256)]


async def _open(one: Any) -> list[Any]:
    found: list[Any] = []
    cursor: str | None = None
    while True:
        reply = await one.ask.get("/alarms", open="true", limit=200, cursor=cursor)
        if not reply.good:
            return in_order(found)
        found += reply.body["items"]
        cursor = reply.body["next"]
        if cursor is None:
            return in_order(found)


@router.get("/desk")
async def live_desk(request: Request) -> Response:
    """Every open alarm within reach."""
    one = await reader(request)
    return await one.page("desk.html", alarms=await _open(one))


@router.get("/desk/alarms")
async def alarms_again(request: Request) -> Response:
    """The list alone."""
    one = await reader(request)
    return await one.page("desk_alarms.html", alarms=await _open(one))


@router.get("/desk/alarms/{alarm}")
async def card(request: Request, alarm: Id) -> Response:
    """One card; nothing where it is not open any more, or not to be seen."""
    one = await reader(request)
    reply = await one.ask.get(f"/alarms/{alarm}")
    if not reply.good:
        return Response(status_code=HTTPStatus.NO_CONTENT)
    return await one.page("desk_card.html", alarm=reply.body)


@router.post("/desk/alarms/{alarm}/acknowledge")
async def acknowledge(request: Request, alarm: Id, csrf: Csrf = "") -> Response:
    """Take it; whoever was second is told who was first."""
    one = await reader(request, csrf=csrf)
    reply = await one.ask.ask("POST", f"/alarms/{alarm}/acknowledge")
    again = await one.ask.get(f"/alarms/{alarm}")
    if "hx-request" not in request.headers:
        return go(f"/desk#alarm-{alarm}")
    if not again.good:
        return Response(status_code=HTTPStatus.NO_CONTENT)
    return await one.page("desk_card.html", alarm=again.body, problem=None if reply.good else reply.body)
