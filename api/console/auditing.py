"""Who did what: the audit searched, where its chain ends, and what gateways say of it."""

from datetime import datetime
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from api.access import anybody
from api.audit.rules import AUDIT_CHANGED
from api.audit.words import LOOKS, PARTS, WORDS
from api.console.known import Form
from api.console.page import Reader, go, reader
from api.console.recorded import things
from api.console.sections import Text, nothing, section

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

SHOWN: Final = 50


@router.get("/audit")
async def entries(
    request: Request,
    *,
    action: Text = "",
    account: Text = "",
    about: Text = "",
    after: Text = "",
    before: Text = "",
) -> Response:
    """The whole chain for whoever may know of every alarm; for others what was done about accounts and people."""
    one = await reader(request)
    whole = one.may("audit.read")
    if whole:
        asked = {"action": action, "account": account, "about": about, "after": after}
        reply = await one.ask.get("/audit", limit=SHOWN, **{name: text or None for name, text in asked.items()})
    else:
        reply = await one.ask.get("/audit/accounts", limit=SHOWN, before=before if before.isdecimal() else None)
    if not reply.good:
        return await nothing(one, reply)
    rows = reply.body["items"] if whole else reply.body
    more: int | None = None
    if not whole and len(rows) == SHOWN:
        more = round(datetime.fromisoformat(rows[-1]["at"]).timestamp() * 1_000)
    return await section(
        one,
        "audit.html",
        rows=rows,
        whole=whole,
        next=reply.body["next"] if whole else None,
        before=more,
        action=action,
        account=account,
        about=about,
        parts=PARTS,
        known=action in WORDS,
        look_ups=LOOKS,
        acted={row["by"]: row["by_name"] for row in rows if row["by_name"]},
        things=await things(one, rows),
        broken=await _broken(one),
    )


async def _broken(one: Reader) -> bool | None:
    """Whether gateways were told another chain than this one holds; None: not his to know."""
    if not one.may("fault.read"):
        return None
    cursor: str | None = None
    while True:
        reply = await one.ask.get("/faults", limit=200, after=cursor)
        if not reply.good:
            return None
        if any(row["code"] == AUDIT_CHANGED and row["there"] for row in reply.body["faults"]):
            return True
        cursor = reply.body["next"]
        if cursor is None:
            return False


async def _chain(one: Reader, **values: Any) -> Response:
    head = await one.ask.get("/audit/head")
    if not head.good:
        return await nothing(one, head)
    witnesses = await one.ask.get("/audit/witnesses")
    rows = witnesses.body if witnesses.good else []
    disputed = [row["gateway"] for row in rows if row["wrong"] is not None and row["explained_at"] is None]
    return await section(one, "audit_chain.html", head=head.body, rows=rows, disputed=disputed, **values)


@router.get("/audit/chain")
async def chain(request: Request) -> Response:
    """Where the chain ends, and whether it holds what gateways were told."""
    return await _chain(await reader(request))


@router.post("/audit/chain")
async def explain(request: Request, typed: Form) -> Response:
    """Answer for a chain that does not hold what gateways were told."""
    one = await reader(request, csrf=typed.csrf)
    body = {"gateways": typed.many("gateways"), "reason": typed.text("reason")}
    reply = await one.ask.ask("POST", "/audit/witnesses/explain", body=body)
    return go("/audit/chain") if reply.good else await _chain(one, typed=typed, problem=reply.body)
