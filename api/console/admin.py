"""Administration: accounts with their rights, and what was done about them."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from api.access import anybody
from api.console.known import Form, Typed, every, known
from api.console.page import Reader, go, reader
from api.console.recorded import things
from api.console.sections import Id, Text, nothing, section
from api.rights.rules import Role

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

SHOWN: Final = 100
ROLES: Final = tuple(role.value for role in Role)


async def _accounts(one: Reader, *, q: str = "", after: str = "", **values: Any) -> Response:
    """Those within reach, and the form by which another one is opened."""
    reply = await one.ask.get("/accounts", limit=SHOWN, after=after or None)
    if not reply.good:  # whoever may read no account may open none
        return await nothing(one, reply)
    rows, next_ = reply.body["items"], reply.body["next"]
    if q:
        found = await every(one, "/accounts")
        rows = [row for row in found if q.casefold() in f"{row['name']} {row['login'] or ''} {row['id']}".casefold()]
        next_ = None
    names = await known(one, "areas", "companies")
    return await section(one, "admin.html", accounts=rows, next=next_ or None, q=q, names=names, **values)


@router.get("/admin")
async def accounts(request: Request, q: Text = "", after: Text = "") -> Response:
    """Accounts, and how to open one."""
    return await _accounts(await reader(request), q=q, after=after)


@router.post("/admin")
async def open_account(request: Request, typed: Form) -> Response:
    """Take somebody on: his one-time password is shown on the answer alone."""
    one = await reader(request, csrf=typed.csrf)
    body: dict[str, Any] = {"name": typed.text("name"), "login": typed.maybe("login")}
    body |= {"phone": typed.text("phone")} if typed.text("phone") else {}
    reply = await one.ask.ask("POST", "/accounts", body=body)
    if not reply.good:
        return await _accounts(one, typed=typed, problem=reply.body)
    return await _shown(one, reply.body["account"], secret=reply.body["one_time_password"])


async def _account(one: Reader, id_: str, **values: Any) -> Response:
    reply = await one.ask.get(f"/accounts/{id_}")
    return await _shown(one, reply.body, **values) if reply.good else await nothing(one, reply)


async def _shown(
    one: Reader, account: Any, *, secret: str | None = None, typed: Typed | None = None, problem: Any = None
) -> Response:
    return await section(
        one,
        "admin_account.html",
        account=account,
        roles=ROLES,
        names=await known(one, "areas", "companies"),
        secret=secret,
        typed=typed or Typed(),
        problem=problem,
    )


@router.get("/admin/accounts/{account}")
async def account(request: Request, account: Id) -> Response:
    """One account with its rights."""
    return await _account(await reader(request), account)


@router.post("/admin/accounts/{account}")
async def change_account(request: Request, account: Id, typed: Form) -> Response:
    """Give or take rights, put right what he is called, help him in, let him go."""
    one = await reader(request, csrf=typed.csrf)
    path = f"/accounts/{account}"
    match typed.text("do"):
        case "grant":
            body = {"role": typed.text("role"), "scope": typed.text("scope")}
            body |= {"to": str(typed.moment("to", one.zone))} if typed.text("to") else {}
            reply = await one.ask.ask("POST", f"{path}/grants", body=body)
            if not one.may("account.manage") and not reply.good:  # one that he opened has no role of his area yet
                return await _accounts(one, problem=reply.body)
        case "end":
            number = typed.number("number") or 0
            reply = await one.ask.ask("POST", f"/grants/{number}/end", body={"reason": typed.text("reason")})
        case "change":
            reply = await one.ask.ask(
                "PATCH",
                path,
                body={"name": typed.text("name"), "phone": typed.maybe("phone")},
                headers={"If-Match": f'"{typed.text("version")}"'},
            )
        case "reset":
            reply = await one.ask.ask("POST", f"{path}/reset", body={"second_factor": typed.text("factor") == "1"})
            if reply.good:
                return await _account(one, account, secret=reply.body["one_time_password"])
        case _:
            reply = await one.ask.ask("POST", f"{path}/close", body={"reason": typed.text("reason")})
    return (
        go(f"/admin/accounts/{account}")
        if reply.good
        else await _account(one, account, typed=typed, problem=reply.body)
    )


@router.get("/admin/audit")
async def audit(request: Request) -> Response:
    """What was done about accounts, rights and people, newest first."""
    one = await reader(request)
    reply = await one.ask.get("/audit/accounts", limit=SHOWN)
    if not reply.good:
        return await nothing(one, reply)
    return await section(one, "admin_audit.html", rows=reply.body, about=await things(one, reply.body))
