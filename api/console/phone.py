"""Phone pages: files that a phone keeps, which ask `/api/v1` themselves (static/phone). No personal data is in them."""

import json
import re
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, JSONResponse

from api.access import anybody
from api.console.interface import Interface
from api.console.page import STATIC, go, headers

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

PHONE: Final = STATIC / "phone"
PAGES: Final = {"": "household", "join": "household"}
"""Addresses whose page is called otherwise than they are."""
WORKER: Final = "worker.js"
SHARED: Final = ("base.css", "feed.js", "kinds.svg", "mark.svg")
"""Of the other pages' files, what phone pages load."""

NEVER: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
NAME: Final = re.compile("[a-z_]{0,32}")


@router.get("/phone/worker.js")
def get_worker() -> Response:
    """The service worker with the list of what it keeps, which changes with every file."""
    found = shell()
    version = sha256(json.dumps(found).encode()).hexdigest()[:16]
    text = f"const SHELL = {json.dumps(found)};\nconst VERSION = {json.dumps(version)};\n"
    kept = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
    return Response(text + (PHONE / WORKER).read_text("utf-8"), media_type="text/javascript", headers=kept)


@router.get("/phone/who")
async def get_who(request: Request) -> Response:
    """`GET /api/v1/session`, where nobody is an answer like any other: a page that begins asks before it can know."""
    reply = await Interface(request).get("/session")
    if not reply.good and reply.status not in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return JSONResponse(reply.body, reply.status, headers=NEVER)
    without = reply.status == HTTPStatus.FORBIDDEN  # an account to which no role was given yet
    return JSONResponse({"who": reply.body if reply.good else None, "without_role": without}, headers=NEVER)


@router.get("/phone/{name}")
def get_page(request: Request, name: str) -> Response:
    """A page's shell: who is signed in, it finds out by itself."""
    path = PHONE / f"{PAGES.get(name, name)}.html"
    if NAME.fullmatch(name) is None or not path.is_file():
        return Response(status_code=HTTPStatus.NOT_FOUND)
    return FileResponse(
        path, media_type="text/html; charset=utf-8", headers=headers(request) | {"Cache-Control": "no-cache"}
    )


@router.get("/phone/")
def get_first_page(request: Request) -> Response:
    """The household's page."""
    return get_page(request, "")


@router.get("/phone")
def get_folder() -> Response:
    """The household's page, under the address that the worker keeps."""
    return go("/phone/")


@cache
def shell() -> list[tuple[str, str]]:
    """Each address of the shell, and the same with the version of what is there."""
    pages = {f"/phone/{path.stem}": path for path in PHONE.glob("*.html")}
    pages |= {f"/phone/{name}": PHONE / f"{page}.html" for name, page in PAGES.items()}
    files = {f"/static/phone/{path.name}": path for path in PHONE.iterdir() if path.suffix != ".html"}
    files.pop(f"/static/phone/{WORKER}")
    shared = {f"/static/{name}": STATIC / name for name in SHARED}
    return [
        (address, f"{address}?v={sha256(path.read_bytes()).hexdigest()[:12]}")
        for address, path in sorted((pages | files | shared).items())
    ]
