"""The daily comment: begun from its draft, edited with the facts that it cites, published. And rewards, to payment."""

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request, Response

from api.access import anybody
from api.console.known import Form, Typed, known
from api.console.page import Reader, go, reader
from api.console.patrol import Text, status_of
from api.console.points import Id, nothing, points_page, today

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

SENTENCES_MOST: Final = 60
STEPS: Final = {"check": "reward.check", "approval": "reward.approve", "payment": "reward.pay"}
NEXT: Final = {"applied": "check", "checked": "approval", "approved": "payment"}

Number = Annotated[int, Path(ge=1, le=(1 << 31) - 1)]


async def _comments(one: Reader, asked: Typed, *, problem: Any = None) -> Response:
    area, day = asked.text("area") or one.station.settings.station, asked.text("day") or today(one)
    period = asked.text("period") or "day"
    kept = await one.ask.get("/points/kept-comments", limit=50, after=asked.maybe("after"))
    draft = None
    if one.may("points.comment") and asked.text("day") and problem is None:
        reply = await one.ask.get(f"/points/comments/{area}", day=day, period=period)
        draft, problem = (reply.body, None) if reply.good else (None, reply.body)
    return await points_page(
        one,
        "points_comments.html",
        status=status_of(problem) if kept.good else kept.status,
        problem=problem if kept.good else kept.body,
        comments=kept.body["items"] if kept.good else [],
        next=kept.body["next"] if kept.good else None,
        draft=draft,
        area=area,
        day=day,
        period=period,
        called=await known(one, "areas", "companies"),
    )


@router.get("/points/comments")
async def comments(request: Request) -> Response:
    """What was said, and a draft of what can be said of a day."""
    return await _comments(await reader(request), Typed(request.query_params))


@router.post("/points/comments")
async def begin(request: Request, typed: Form) -> Response:
    """Keep the draft, to be edited."""
    one = await reader(request, csrf=typed.csrf)
    body: dict[str, Any] = {"day": typed.text("day"), "period": typed.text("period") or "day"}
    if typed.text("corrects"):
        body["corrects"] = typed.text("corrects")
    reply = await one.ask.ask("POST", f"/points/comments/{typed.text('area') or '-'}", body=body)
    if reply.good:
        return go(f"/points/comments/{reply.body['id']}")
    if reply.body["type"] == "comment_there" and "id" in reply.body:
        return go(f"/points/comments/{reply.body['id']}")
    return await _comments(one, typed, problem=reply.body)


async def _comment(one: Reader, id_: str, *, said: list[dict[str, Any]] | None = None, problem: Any = None) -> Response:
    reply = await one.ask.get(f"/points/kept-comments/{id_}")
    if not reply.good:
        return await nothing(one, reply)
    found = reply.body
    return await points_page(
        one,
        "points_comment.html",
        status=status_of(problem),
        comment=found,
        etag=reply.etag,
        sentences=found["sentences"] if said is None else said,
        facts=sorted({key for sentence in found["sentences"] for key in sentence["cites"]}),
        editing=found["published"] is None and one.may("points.comment.edit"),
        called=await known(one, "areas", "companies"),
        day=found["begins"],
        problem=problem,
    )


@router.get("/points/comments/{comment}")
async def comment(request: Request, comment: Id) -> Response:
    """One comment, with the facts that each sentence cites."""
    return await _comment(await reader(request), comment)


@router.post("/points/comments/{comment}")
async def edit(request: Request, comment: Id, typed: Form) -> Response:
    """Say it otherwise, or publish it."""
    one = await reader(request, csrf=typed.csrf)
    path, version = f"/points/kept-comments/{comment}", {"If-Match": typed.text("etag")}
    said = list(_said(typed))
    reply = await one.ask.ask("PUT", path, body={"sentences": said}, headers=version)
    if reply.good and typed.text("do") == "publish":
        reply = await one.ask.ask(
            "POST", f"{path}/publication", headers={"If-Match": reply.etag or f'"{reply.body["version"]}"'}
        )
        said = reply.body["sentences"] if reply.good else said
    if reply.good:
        return go(f"/points/comments/{comment}")
    return await _comment(one, comment, said=said, problem=reply.body)


def _said(typed: Typed) -> Any:
    for nth in range(SENTENCES_MOST):
        words = typed.text(f"zh_{nth}")
        if words and typed.text(f"drop_{nth}") != "1":
            yield {
                "company": typed.maybe(f"company_{nth}"),
                "zh": words,
                "en": typed.maybe(f"en_{nth}"),
                "cites": typed.many(f"cites_{nth}"),
            }


# Rewards


async def _rewards(one: Reader, *, typed: Typed | None = None, after: str = "", problem: Any = None) -> Response:
    reply = await one.ask.get("/rewards", limit=50, after=after or None)
    fund = await one.ask.get("/reward-fund") if one.may("reward.fund") else None
    return await points_page(
        one,
        "rewards.html",
        status=status_of(problem) if reply.good else reply.status,
        problem=problem if reply.good else reply.body,
        rewards=reply.body["items"] if reply.good else [],
        next=reply.body["next"] if reply.good else None,
        fund=fund.body["balance_fen"] if fund is not None and fund.good else None,
        called=await known(one, "guards", "companies"),
        typed=typed or Typed(),
    )


@router.get("/points/rewards")
async def rewards(request: Request, after: Text = "") -> Response:
    """Rewards, newest first, and what the fund holds."""
    return await _rewards(await reader(request), after=after)


@router.post("/points/rewards")
async def apply(request: Request, typed: Form) -> Response:
    """Apply for a reward, or put money into the fund."""
    one = await reader(request, csrf=typed.csrf)
    body: dict[str, Any]
    if typed.text("do") == "fill":
        body = {"amount_fen": typed.fen("amount"), "reference": typed.text("reference")}
        reply = await one.ask.ask("POST", "/reward-fund", body=body)
        return go("/points/rewards") if reply.good else await _rewards(one, typed=typed, problem=reply.body)
    body = {
        "event": typed.text("event"),
        "guard": typed.text("guard"),
        "amount_fen": typed.fen("amount"),
        "occurred": typed.moment("occurred", one.zone),
        "words": typed.text("words"),
    }
    reply = await one.ask.ask("POST", "/rewards", body=body)
    if reply.good:
        return go(f"/points/rewards/{reply.body['number']}")
    return await _rewards(one, typed=typed, problem=reply.body)


async def _reward(one: Reader, number: int, *, typed: Typed | None = None, problem: Any = None) -> Response:
    reply = await one.ask.get(f"/rewards/{number}")
    if not reply.good:
        return await nothing(one, reply)
    step = NEXT.get(reply.body["state"])
    return await points_page(
        one,
        "reward.html",
        status=status_of(problem),
        reward=reply.body,
        step=step if step is not None and one.may(STEPS[step]) else None,
        called=await known(one, "guards", "companies"),
        typed=typed or Typed(),
        problem=problem,
    )


@router.get("/points/rewards/{number}")
async def reward(request: Request, number: Number) -> Response:
    """One reward with its steps."""
    return await _reward(await reader(request), number)


@router.post("/points/rewards/{number}/{step}")
async def move(request: Request, number: Number, step: str, typed: Form) -> Response:
    """Check, approve or pay it."""
    one = await reader(request, csrf=typed.csrf)
    if step not in STEPS:
        return Response(status_code=HTTPStatus.NOT_FOUND)
    body: dict[str, Any] = {"words": typed.text("words")}
    if step != "payment":
        body["yes"] = typed.text("yes") == "1"
    reply = await one.ask.ask("POST", f"/rewards/{number}/{step}", body=body)
    return (
        go(f"/points/rewards/{number}") if reply.good else await _reward(one, number, typed=typed, problem=reply.body)
    )
