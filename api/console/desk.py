"""The live desk: open alarms in order of urgency, and one alarm with what can be done about it."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Path, Query, Request, Response

from api.access import anybody
from api.console.acts import offered
from api.console.interface import Interface
from api.console.known import every
from api.console.page import Reader, go, hand_on, reader
from api.console.rules import in_order, may_be_help
from api.orders.rules import STAGE_WORDS

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

Id = Annotated[str, Path(pattern=r"^[0-9a-f-]{1,64}$")]
Cursor = Annotated[str | None, Query(max_length=64)]
PAGE: Final = 200
PAGES: Final = 5
"""What is there when the desk is opened; of more than a thousand open alarms the rest comes piece by piece."""
Csrf = Annotated[str, Form(max_length=256)]


async def _open(one: Reader, after: str | None, *, pages: int) -> dict[str, Any]:
    """So many pages of the open alarms, and where the next one begins; None of them where that was not to be had."""
    found: list[Any] = []
    for _ in range(pages):
        reply = await one.ask.get("/alarms", open="true", limit=PAGE, after=after)
        if not reply.good:
            return await _listed(one, found, after, reply.status)
        found += reply.body["items"]
        after = reply.body["next"]
        if after is None:
            break
    return await _listed(one, found, after, HTTPStatus.OK)


async def _listed(one: Reader, alarms: Sequence[Mapping[str, Any]], after: str | None, status: int) -> dict[str, Any]:
    return {"alarms": in_order(alarms), "helps": await _helps(one, alarms), "next": after, "status": status}


@router.get("/desk")
async def live_desk(request: Request, after: Cursor = None) -> Response:
    """The open alarms within reach, as many as a page bears; its script has the others come after it."""
    return await _desk(await reader(request), after)


async def _helps(one: Reader, alarms: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Who on patrol called for help by which of these alarms, and where he was last; few of them are such calls."""
    some = {alarm["id"] for alarm in alarms if may_be_help(alarm)} if one.may("help.read") else set()
    calls = await every(one, "/help-calls", open="true") if some else []
    return {call["alarm"]: call for call in calls if call["alarm"] in some}


async def _desk(one: Reader, after: str | None = None, **more: object) -> Response:
    groups = await one.ask.get("/register/areas", meaning="group", limit=200) if one.may("register.read") else None
    named = groups.body["items"] if groups is not None and groups.good else []
    values: dict[str, Any] = await _open(one, after, pages=PAGES)
    return await one.page("desk.html", **(values | {"groups": named, "problem": None, "login": ""} | more))


@router.get("/desk/alarms")
async def cards(
    request: Request, id_: Annotated[list[Id] | None, Query(alias="id", max_length=PAGE)] = None, after: Cursor = None
) -> Response:
    """A page of the list alone; with ids the cards of those that are open and may be seen, and no others."""
    one = await reader(request)
    if id_ is None:
        return await one.page("desk_alarms.html", **await _open(one, after, pages=1))
    reply = await one.ask.get("/alarms", open="true", limit=PAGE, id=id_)
    values = await _listed(one, reply.body["items"] if reply.good else [], None, reply.status)
    return await one.page("desk_alarms.html", **values)


@router.get("/desk/alarms/{alarm}/more")
async def answers_and_guards(request: Request, alarm: Id) -> Response:
    """What a card shows once somebody opens it: of whom is near, every look is written down."""
    return await _near(await reader(request), alarm)


async def _near(one: Reader, alarm: str, *, problem: Any = None) -> Response:
    reply = await one.ask.get(f"/alarms/{alarm}")
    if not reply.good:
        return Response(status_code=HTTPStatus.NO_CONTENT)
    near = await one.ask.get(f"/alarms/{alarm}/nearest-guards") if one.may("order.give") else None
    return await one.page(
        "desk_more.html",
        alarm=reply.body,
        near=near.body if near is not None and near.good else None,
        ordered="order" in offered(reply.body, may=one.may),
        stage_words=STAGE_WORDS,
        problem=problem,
    )


@router.post("/desk/alarms/{alarm}/order")
async def order(
    request: Request, alarm: Id, csrf: Csrf = "", guard: Annotated[str, Form(max_length=64)] = ""
) -> Response:
    """Order a guard to it by one press, without leaving the desk."""
    one = await reader(request, csrf=csrf)
    reply = await one.ask.ask("POST", f"/alarms/{alarm}/orders", body={"guard": guard})
    if "hx-request" not in request.headers:
        return go(f"/alarms/{alarm}#guards")
    return await _near(one, alarm, problem=None if reply.good else reply.body)


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
    helps = await _helps(one, [again.body])
    problem = None if reply.good else reply.body
    return await one.page("desk_card.html", alarm=again.body, helps=helps, problem=problem)
