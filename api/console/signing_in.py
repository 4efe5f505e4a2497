"""Signing in and out, and the language of this machine."""

from http import HTTPStatus
from typing import Annotated, Any, Final

from anyio import to_thread
from fastapi import APIRouter, Form, Request, Response

from api.access import anybody
from api.console.interface import Interface
from api.console.language import COOKIE
from api.console.page import Elsewhere, first_page, go, hand_on, plain, reader

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

YEAR_S: Final = 365 * 86_400
Words = Annotated[str, Form(max_length=256)]


@router.get("/")
async def home(request: Request) -> Response:
    """The page with which somebody of this role begins."""
    one = await reader(request)
    return go(one.home)


@router.get("/login")
async def ask_who(request: Request, to: str = "/") -> Response:
    """The form; whoever is signed in goes on."""
    try:
        await reader(request)
    except Elsewhere:
        return await plain(request, "login.html", to=to, login="", problem=None, needs_code=False)
    return go(to)


@router.post("/login")
async def sign_in(
    request: Request, login: Words = "", password: Words = "", code: Words = "", to: Words = "/"
) -> Response:
    """A session, or the form again with what was wrong beside it."""
    body: dict[str, Any] = {"login": login, "password": password} | ({"code": code} if code else {})
    reply = await Interface(request).ask("POST", "/session", body=body)
    if reply.good:
        return hand_on(reply, go(await to_thread.run_sync(first_page, reply.body, to)))
    needs_code = code != "" or reply.body.get("type") == "code_needed"
    return await plain(
        request,
        "login.html",
        status=HTTPStatus.UNAUTHORIZED if reply.status < HTTPStatus.INTERNAL_SERVER_ERROR else reply.status,
        to=to,
        login=login,
        problem=reply.body,
        needs_code=needs_code,
    )


@router.post("/logout")
async def sign_out(request: Request, csrf: Words = "") -> Response:
    """The session ends."""
    reply = await Interface(request, csrf=csrf).ask("DELETE", "/session")
    return hand_on(reply, go("/login"))


@router.get("/language/{language}")
async def choose_language(language: str, to: str = "/") -> Response:
    """Keep the choice on this machine."""
    response = go(to)
    if language in {"zh", "en"}:
        response.set_cookie(COOKIE, language, max_age=YEAR_S, samesite="lax", path="/")
    return response
