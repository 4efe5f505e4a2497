"""The live desk: open alarms in order of urgency, and one alarm with what can be done about it."""

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Path, Request, Response

from api.access import anybody
from api.console.interface import Interface
from api.console.page import Reader, go, hand_on, reader
from api.console.rules import in_order

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

Id = Annotated[str, Path(pattern=r"^[0-9a-f-]{1,64}$")]
PAGE: Final = 200
Csrf = Annotated[str, Form(max_length=256)]


async def _open(one: Any) -> list[Any]:
    found: list[Any] = []
    cursor: str | None = None
    while True:
        reply = await one.ask.get("/alarms", open="true", limit=PAGE, after=cursor)
        if not reply.good:
            return in_order(found)
        found += reply.body["items"]
        cursor = reply.body["next"]
        if cursor is None:
            return in_order(found)


@router.get("/desk")
async def live_desk(request: Request) -> Response:
    """Every open alarm within reach."""
    return await _desk(await reader(request))


async def _desk(one: Reader, **more: object) -> Response:
    groups = await one.ask.get("/register/areas", meaning="group", limit=200) if one.may("register.read") else None
    named = groups.body["items"] if groups is not None and groups.good else []
    values: dict[str, Any] = {
        "alarms": await _open(one),
        "groups": named,
        "problem": None,
        "login": "",
        "status": HTTPStatus.OK,
    }
    return await one.page("desk.html", **(values | more))


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


@router.get("/desk/alarms/{alarm}/more")
async def answers_and_guards(request: Request, alarm: Id) -> Response:
    """What a card shows once somebody opens it: of whom is near, every look is written down."""
    one = await reader(request)
    reply = await one.ask.get(f"/alarms/{alarm}")
    if not reply.good:
        return Response(status_code=HTTPStatus.NO_CONTENT)
    near = await one.ask.get(f"/alarms/{alarm}/nearest-guards") if one.may("order.give") else None
    return await one.page(
        "desk_more.html", alarm=reply.body, near=near.body if near is not None and near.good else None
    )


@router.post("/desk/officer")
async def change_officer(
    request: Request, login: Annotated[str, Form(max_length=64)] = "", pin: Annotated[str, Form(max_length=6)] = ""
) -> Response:
    """Another officer at this paired desk, by his PIN."""
    reply = await Interface(request).ask("POST", "/session/pin", body={"login": login, "pin": pin})
    if reply.good:
        return hand_on(reply, go("/desk"))
    status = HTTPStatus.UNAUTHORIZED if reply.status < HTTPStatus.INTERNAL_SERVER_ERROR else reply.status
    return await _desk(await reader(request), status=status, problem=reply.body, login=login)


@router.post("/desk/duty")
async def set_duty(request: Request, csrf: Csrf = "", on: Annotated[str, Form(max_length=3)] = "") -> Response:
    """This desk goes on showing whoever's session ends, or not."""
    one = await reader(request, csrf=csrf)
    reply = await one.ask.ask("PUT", "/session/duty", body={"on_duty": on == "yes"})
    return go("/desk") if reply.good else await _desk(one, status=reply.status, problem=reply.body)


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
