"""A checkpoint's code as an address that any scanner opens, and the form to type one: works without scripts and HTTPS.

The page for phones that keep what is not sent yet is static/phone/guard.html; without a network the service worker
gives that page for these addresses.
"""

import re
from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import uuid4

from fastapi import APIRouter, Form, Path, Request, Response

from api import paper
from api.access import anybody
from api.checkins.schemas import CODE_PAGE
from api.clock import iso
from api.console.page import Reader, reader
from broker import qr
from broker.ids import SEGMENT

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

CODE_CHARS: Final = 200
PREFIX: Final = CODE_PAGE
_CODE: Final = re.compile(r"P[TR]1:[a-z0-9:-]{1,80}")

Text = Annotated[str, Path(max_length=CODE_CHARS)]
Field = Annotated[str, Form(max_length=CODE_CHARS)]
Key = Annotated[str, Form(pattern=r"^([0-9a-f]{32})?$")]


def code_in(text: str) -> str | None:
    """The code in what was scanned or typed, which may be a whole address; None: there is none."""
    found = _CODE.search(text)
    return None if found is None or qr.parse(found[0]) is None else found[0]


async def _shown(
    one: Reader, written: str, *, status: int = HTTPStatus.OK, done: Any = None, problem: Any = None, wrong: str = ""
) -> Response:
    own = await one.ask.get("/patrol-rounds/own")
    code = code_in(written)
    payload = None if code is None else qr.parse(code)
    rounds = own.body["rounds"] if own.good else []
    names = {visit["point"]["id"]: visit["point"]["name"] for found in rounds for visit in found["visits"]}
    if own.good and own.body["last"] is not None:
        last = own.body["last"]["point"]
        names[last["id"]] = last["name"]
    return await one.page(
        "checking_in.html",
        status=status,
        written=written,
        code=code,
        point=None if payload is None else names.get(payload.point, payload.point),
        named=None if done is None or done["point"] is None else names.get(done["point"], done["point"]),
        rounds=rounds,
        mine=own.good,
        key=uuid4().hex,
        done=done,
        problem=problem,
        wrong=wrong,
    )


@router.get(PREFIX)
async def ask_for_one(request: Request) -> Response:
    """The form to type a tag or a code."""
    return await _shown(await reader(request), "")


@router.get(PREFIX + "{text}")
async def open_code(request: Request, text: Text) -> Response:
    """What a scanner opens. Opening it checks nobody in: previews and crawlers open addresses, too."""
    one = await reader(request)
    wrong = "" if code_in(text) is not None else "code"
    return await _shown(one, text, wrong=wrong)


@router.post(PREFIX)
async def check_in(request: Request, written: Field = "", key: Key = "", csrf: Field = "") -> Response:
    """Check in now, by the station's clock; sent twice, it is once."""
    one = await reader(request, csrf=csrf)
    text = written.strip()
    if not text:
        return await _shown(one, "", status=HTTPStatus.UNPROCESSABLE_ENTITY, wrong="empty")
    code = code_in(text)
    now = iso(one.station.clock()).isoformat()
    how = "typed" if code is None else "qr"
    item = {"key": key or uuid4().hex, "how": how, "written": code or text[: qr.MOST_CHARS], "at": now}
    reply = await one.ask.ask("POST", "/check-ins", body={"now": now, "items": [item]})
    if not reply.good:
        return await _shown(one, written, status=reply.status, problem=reply.body)
    return await _shown(one, "", done=reply.body["items"][0])


@router.get("/checkpoints/{point}/label")
async def print_label(request: Request, point: Annotated[str, Path(pattern=SEGMENT)]) -> Response:
    """A checkpoint's code to print and hang up: its picture is the address under which this station is asked now."""
    one = await reader(request)
    reply = await one.ask.get(f"/checkpoints/{point}/code")
    listed = await one.ask.get("/checkpoints")
    if not reply.good:
        return await one.page("checkpoint_label.html", status=reply.status, label=None, problem=reply.body, name=point)
    names = {found["id"]: found["name"] for found in listed.body["items"]} if listed.good else {}
    address = str(request.base_url).rstrip("/") + reply.body["page"]
    return await one.page(
        "checkpoint_label.html",
        label=reply.body,
        problem=None,
        name=names.get(point, point),
        address=address,
        picture=paper.picture(address, scale=7),
    )
