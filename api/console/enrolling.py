"""Tags of checkpoints and guards' cards: enrolling, losing (挂失), issuing anew."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from api.access import anybody
from api.checkins.rules import Ended
from api.console.known import Form, Typed, known
from api.console.page import Reader, go, reader
from api.console.patrol import Number, Text, patrol_page, status_of
from api.console.sections import Id
from api.guards.rules import CardEnd

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

SHOWN: Final = 100


def _since(typed: Typed, one: Reader) -> dict[str, Any]:
    return {"since": typed.moment("since", one.zone)} if typed.text("since") else {}


async def _tags(one: Reader, *, point: str = "", gone: bool = False, after: str = "", **values: Any) -> Response:
    reply = await one.ask.get(
        "/checkpoint-tags", point=point or None, still="false" if gone else "true", limit=SHOWN, after=after or None
    )
    problem = values.pop("problem", None) or (None if reply.good else reply.body)
    return await patrol_page(
        one,
        "patrol_tags.html",
        status=status_of(problem),
        tags=reply.body["items"] if reply.good else [],
        next=reply.body["next"] if reply.good else None,
        point=point,
        gone=gone,
        ends=[how.value for how in Ended],
        called=await known(one, "points"),
        problem=problem,
        **({"about": None} | values),
    )


@router.get("/patrol/tags")
async def tags(request: Request, point: Text = "", gone: Text = "", after: Text = "") -> Response:
    """Tags that hang at checkpoints, and the form to hang up one more. An unknown tag brings `tag` and `since`."""
    one = await reader(request)
    return await _tags(one, point=point, gone=bool(gone), after=after, typed=Typed(request.query_params))


@router.post("/patrol/tags")
async def hang_up(request: Request, typed: Form) -> Response:
    """This tag hangs at this checkpoint."""
    one = await reader(request, csrf=typed.csrf)
    body = {"tag": typed.text("tag"), "point": typed.text("point")} | _since(typed, one)
    reply = await one.ask.ask("POST", "/checkpoint-tags", body=body)
    if reply.good:
        return go(f"/patrol/tags?point={reply.body['point']}")
    return await _tags(one, typed=typed, problem=reply.body)


@router.post("/patrol/tags/{number}/end")
async def take_down(request: Request, number: Number, typed: Form) -> Response:
    """It was lost, moved or broken."""
    one = await reader(request, csrf=typed.csrf)
    at = {"at": typed.moment("at", one.zone)} if typed.text("at") else {}
    reply = await one.ask.ask("POST", f"/checkpoint-tags/{number}/end", body={"how": typed.text("how")} | at)
    if reply.good:
        return go(f"/patrol/tags?point={reply.body['point']}&gone=1")
    return await _tags(one, typed=typed, problem=reply.body, about=number)


async def _cards(one: Reader, *, guard: str = "", reason: str = "", **values: Any) -> Response:
    """Cards of a guard are shown for a reason, which is recorded; his own company needs none."""
    of: Any = None
    problem = values.pop("problem", None)
    if guard and (reason or one.may("guard.takeover.ask")):
        reply = await one.ask.get(f"/guards/{guard}", reason=reason or None)
        of = reply.body if reply.good else None
        problem = problem or (None if reply.good else reply.body)
    return await patrol_page(
        one,
        "patrol_cards.html",
        status=status_of(problem),
        guard=guard,
        of=of,
        reason=reason,
        ends=[how.value for how in CardEnd],
        called=await known(one, "guards"),
        problem=problem,
        **({"typed": Typed(), "issued": None, "about": None} | values),
    )


@router.get("/patrol/cards")
async def cards(request: Request, guard: Text = "") -> Response:
    """Whose card, and a new one. An unknown tag brings `tag` and `since`."""
    return await _cards(await reader(request), guard=guard, typed=Typed(request.query_params))


@router.post("/patrol/cards")
async def see_or_issue(request: Request, typed: Form) -> Response:
    """Show a guard's cards, or issue one: the first, or another after a loss."""
    one = await reader(request, csrf=typed.csrf)
    guard, reason = typed.text("guard"), typed.text("reason")
    if typed.text("do") != "issue":
        return await _cards(one, guard=guard, reason=reason, typed=typed)
    body = {"tag": typed.text("tag")} | _since(typed, one)
    reply = await one.ask.ask("POST", f"/guards/{guard or '-'}/cards", body=body)
    return await _cards(
        one,
        guard=guard,
        reason=reason,
        typed=Typed() if reply.good else typed,
        issued=reply.body if reply.good else None,
        problem=None if reply.good else reply.body,
    )


@router.post("/patrol/cards/{guard}/{number}/end")
async def end_card(request: Request, guard: Id, number: Number, typed: Form) -> Response:
    """Lost or given back; then another can be issued on the same page."""
    one = await reader(request, csrf=typed.csrf)
    at = {"at": typed.moment("at", one.zone)} if typed.text("at") else {}
    reply = await one.ask.ask("POST", f"/guards/{guard}/cards/{number}/end", body={"how": typed.text("how")} | at)
    return await _cards(
        one,
        guard=guard,
        reason=typed.text("reason"),
        typed=typed,
        about=number,
        problem=None if reply.good else reply.body,
    )
