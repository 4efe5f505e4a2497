"""Complaints: looked into by those who lead the duty complained of; and boards and the form, open to anybody."""

from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from api.access import anybody
from api.complaints.rules import ABOUT_WORDS, CODE_CHARS, FINDING_WORDS, About, Finding
from api.console.interface import Interface
from api.console.known import Form, Typed, every, known
from api.console.page import Reader, go, plain, reader
from api.console.sections import Id, Text, nothing, section
from api.shapes import words_answer

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

SHOWN: Final = 30
ABOUT: Final = [(one.value, words_answer(ABOUT_WORDS[one]).model_dump()) for one in About]
FINDINGS: Final = [(one.value, words_answer(FINDING_WORDS[one]).model_dump()) for one in Finding]


async def _complaints(one: Reader, *, every_: str = "", after: str = "", **values: Any) -> Response:
    reply = await one.ask.get("/complaints", still=None if every_ else "true", limit=SHOWN, after=after or None)
    if not reply.good:
        return await nothing(one, reply)
    return await section(
        one,
        "complaints.html",
        rows=reply.body["items"],
        next=reply.body["next"],
        names=await known(one, "areas"),
        every_=every_,
        abouts=ABOUT,
        findings=FINDINGS,
        **({"made": None, "about_number": 0} | values),
    )


@router.get("/affairs/complaints")
async def complaints(request: Request, every_: Text = "", after: Text = "") -> Response:
    """Those that the reader looks into, newest first; without an answer, unless he asks for all."""
    return await _complaints(await reader(request), every_=every_, after=after)


@router.post("/affairs/complaints")
async def act(request: Request, typed: Form) -> Response:
    """Take one, answer it, or type in what a caller says."""
    one = await reader(request, csrf=typed.csrf)
    number = typed.number("number") or 0
    match typed.text("do"):
        case "enter":
            reply = await one.ask.ask("POST", "/complaints", body=_said(typed) | {"grid": typed.maybe("grid")})
            if reply.good:
                return await _complaints(one, made=reply.body)
        case "take":
            reply = await one.ask.ask("POST", f"/complaints/{number}/take")
        case _:
            body = {"finding": typed.text("finding"), "words": typed.text("words")}
            reply = await one.ask.ask("POST", f"/complaints/{number}/answer", body=body)
    if reply.good:
        return go("/affairs/complaints")
    return await _complaints(one, typed=typed, problem=reply.body, about_number=number)


def _said(typed: Typed) -> dict[str, Any]:
    return {"about": typed.text("about"), "words": typed.text("words"), "phone": typed.maybe("phone")}


# Open to anybody, without an account: nobody is asked who he is, and nothing here says who is signed in


@router.get("/boards")
async def boards(request: Request) -> Response:
    """The grids that have a board, and the look-up of a complaint."""
    return await _boards(request)


async def _boards(request: Request, *, status: int = HTTPStatus.OK, **values: Any) -> Response:
    reply = await Interface(request).get("/boards")
    rows = sorted(reply.body, key=lambda row: (row["name"], row["grid"])) if reply.good else []
    blank: dict[str, Any] = {"found": None, "problem": None, "code": "", "chars": CODE_CHARS}
    return await plain(request, "boards.html", status=status, rows=rows, **(blank | values))


@router.post("/boards")
async def look_up(request: Request, typed: Form) -> Response:
    """How far a complaint is, by its code: sent in a body, so that no log of addresses has it."""
    code = "".join(typed.text("code").split())
    reply = await Interface(request).ask("POST", "/complaints/look-up", body={"code": code})
    if reply.good:
        return await _boards(request, found=reply.body, code=code)
    return await _boards(request, status=reply.status, problem=reply.body, code=code)


async def _board(
    request: Request, grid: str, *, typed: Typed | None = None, problem: Any = None, made: Any = None
) -> Response:
    asked = Interface(request)
    reply = await asked.get(f"/boards/{grid}")
    if not reply.good:
        return await _boards(request, status=reply.status, problem=reply.body)
    return await plain(
        request,
        "board.html",
        status=int(problem["status"]) if problem else HTTPStatus.OK,
        board=reply.body,
        abouts=ABOUT,
        typed=typed or Typed(),
        problem=problem,
        made=made,
    )


@router.get("/boards/{grid}")
async def board(request: Request, grid: Id) -> Response:
    """A grid's board, and the form to complain over it."""
    return await _board(request, grid)


@router.post("/boards/{grid}")
async def complain(request: Request, grid: Id, typed: Form) -> Response:
    """Take it in; the code is shown once."""
    reply = await Interface(request).ask("POST", f"/boards/{grid}/complaints", body=_said(typed))
    if reply.good:
        return await _board(request, grid, made=reply.body)
    return await _board(request, grid, typed=typed, problem=reply.body)


async def waiting(one: Reader) -> list[Any]:
    """Complaints without an answer that the reader looks into: for the pages with which roles begin."""
    return await every(one, "/complaints", still="true") if one.may("complaint.handle") else []
