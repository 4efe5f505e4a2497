"""Good-person cards (好人卡) of guards: which level each has, how it was decided, and deciding another one."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from api.access import anybody
from api.colours.rules import CARD_WORDS, Card
from api.console.known import Form, Typed, known, now_of
from api.console.page import Reader, go, reader
from api.console.patrol import Text, status_of
from api.console.points import nothing, points_page
from api.shapes import words_answer

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

SHOWN: Final = 50
LEVELS: Final = [(one.value, words_answer(CARD_WORDS[one]).model_dump()) for one in Card]
QUARTER_MONTHS: Final = 3


def _quarter(one: Reader) -> str:
    today = now_of(one).astimezone(one.zone)
    return f"{today.year}Q{(today.month - 1) // QUARTER_MONTHS + 1}"


async def _cards(
    one: Reader, *, guard: str = "", after: str = "", typed: Typed | None = None, problem: Any = None
) -> Response:
    reply = await one.ask.get("/good-cards", limit=SHOWN, after=after or None)
    if not reply.good:
        return await nothing(one, reply)
    history = await one.ask.get(f"/guards/{guard}/good-cards") if guard else None
    if history is not None and not history.good:
        return await nothing(one, history)
    return await points_page(
        one,
        "good_cards.html",
        status=status_of(problem),
        rows=reply.body["items"],
        next=reply.body["next"],
        guard=guard,
        history=history.body["items"] if history is not None else [],
        called=await known(one, "guards"),
        levels=LEVELS,
        quarter=_quarter(one),
        typed=typed or Typed(),
        problem=problem,
    )


@router.get("/points/cards")
async def cards(request: Request, guard: Text = "", after: Text = "") -> Response:
    """The card that each guard has now, and every level that one of them had."""
    return await _cards(await reader(request), guard=guard, after=after)


@router.post("/points/cards")
async def give(request: Request, typed: Form) -> Response:
    """Decide a level for a quarter, with a reason."""
    one = await reader(request, csrf=typed.csrf)
    guard = typed.text("guard")
    body = {name: typed.text(name) for name in ("level", "quarter", "reason")}
    reply = await one.ask.ask("POST", f"/guards/{guard or '-'}/good-cards", body=body)
    if reply.good:
        return go(f"/points/cards?guard={guard}")
    return await _cards(one, guard=guard, typed=typed, problem=reply.body)
