"""One's own page: password, PIN, second factor with recovery codes, language."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from api.access import anybody
from api.console.interface import Reply
from api.console.known import Form, known
from api.console.page import Reader, go, hand_on, reader
from api.paper import picture

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])


async def _own(one: Reader, *, did: str = "", problem: Any = None, **values: Any) -> Response:
    account = await one.ask.get("/account")
    blank: dict[str, Any] = {"qr": None, "secret": "", "codes": ()}
    return await one.page(
        "me.html",
        status=int(problem["status"]) if problem else 200,
        account=account.body if account.good else None,
        names=await known(one, "areas", "companies"),
        did=did,
        problem=problem,
        **(blank | values),
    )


async def _afterwards(request: Request, reply: Reply, *, did: str, **values: Any) -> Response:
    """His page again, by the session that the step left him: a new one, with a new token."""
    for cookie in reply.cookies:
        name, _, rest = cookie.partition("=")
        request.cookies[name] = rest.partition(";")[0]
    kept = [(name, value) for name, value in request.scope["headers"] if name != b"cookie"]
    together = "; ".join(f"{name}={value}" for name, value in request.cookies.items())
    request.scope["headers"] = [*kept, (b"cookie", together.encode("latin-1"))]
    again = await reader(Request(request.scope))
    return hand_on(reply, await _own(again, did=did, **values))


@router.get("/me")
async def own(request: Request) -> Response:
    """Who is signed in here, as what, and what he may change of it."""
    return await _own(await reader(request))


@router.post("/me/password")
async def set_password(request: Request, typed: Form) -> Response:
    """A password of one's own; typed twice, because nobody sees it."""
    one = await reader(request, csrf=typed.csrf)
    if typed.text("new") != typed.text("again"):
        return await _own(one, did="password", problem={"type": "not_the_same", "status": 422})
    body = {"password": typed.text("password"), "new_password": typed.text("new")}
    reply = await one.ask.ask("POST", "/account/password", body=body)
    if not reply.good:
        return await _own(one, did="password", problem=reply.body)
    return hand_on(reply, go("/me"))


@router.post("/me/pin")
async def set_pin(request: Request, typed: Form) -> Response:
    """Six digits for a paired desk."""
    one = await reader(request, csrf=typed.csrf)
    reply = await one.ask.ask(
        "PUT", "/account/pin", body={"password": typed.text("password"), "pin": typed.text("pin")}
    )
    return go("/me") if reply.good else await _own(one, did="pin", problem=reply.body)


@router.post("/me/factor")
async def begin_factor(request: Request, typed: Form) -> Response:
    """The secret for an authenticator app: shown on this page alone."""
    one = await reader(request, csrf=typed.csrf)
    reply = await one.ask.ask("POST", "/account/totp", body={"password": typed.text("password")})
    if not reply.good:
        return await _own(one, did="factor", problem=reply.body)
    return await _own(one, did="confirm", secret=reply.body["secret"], qr=picture(reply.body["address"]))


@router.post("/me/factor/confirm")
async def confirm_factor(request: Request, typed: Form) -> Response:
    """Take it into use; the recovery codes are told once."""
    one = await reader(request, csrf=typed.csrf)
    reply = await one.ask.ask("POST", "/account/totp/confirm", body={"code": typed.text("code")})
    if reply.good:
        return await _afterwards(request, reply, did="codes", codes=reply.body["recovery_codes"])
    return await _own(one, did="confirm", problem=reply.body)
