"""Phone pages: files that a phone keeps, which ask `/api/v1` themselves (static/phone). No personal data is in them."""

import json
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from api.access import anybody
from api.console.interface import Interface
from api.console.page import STATIC, go, headers
from api.paper import environment

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

PHONE: Final = STATIC / "phone"


@dataclass(frozen=True, slots=True)
class Shell:
    """What a page's head says; its script and its manifest are called as the page is."""

    called: tuple[str, str]
    """Its name once it is installed, in Chinese and in English; the first is its title."""
    short: tuple[str, str]
    """The same below an icon."""
    style: str = "guard"
    zh: str = ""
    """What whoever has no scripts does instead: HTML of ours."""
    en: str = ""


SHELLS: Final = {
    "household": Shell(
        ("守望 · 一键报警", "Shouwang · one-key alarm"),
        ("守望", "Shouwang"),
        "household",
        zh='请打 <a href="tel:110">110</a> 报警。',
        en='Phone <a href="tel:110">110</a>.',
    ),
    "guard": Shell(
        ("守望 · 保安", "Shouwang · guard"),
        ("守望保安", "Guard"),
        zh='没有脚本时请用 <a href="/phone/c/">打卡表单</a>。',
        en='Without them, use the <a href="/phone/c/">form to check in</a>.',
    ),
    "field": Shell(("守望 · 网格与社区", "Shouwang · grid and community"), ("守望网格", "Grid")),
    "install": Shell(
        ("守望 · 安装", "Shouwang · installing"),
        ("守望安装", "Installing"),
        zh='没有脚本时请用 <a href="/register/installations">安装页面</a>。',
        en='Without them, use the <a href="/register/installations">page of installations</a>.',
    ),
}
"""The pages by their names."""
PAGES: Final = {"": "household", "join": "household"}
"""Addresses whose page is called otherwise than they are."""
WORKER: Final = "worker.js"
SHARED: Final = ("base.css", "feed.js", "kinds.svg", "mark.svg")
"""Of the other pages' files, what phone pages load."""

LANGUAGES: Final = {"zh": "zh-Hans", "en": "en"}
ICONS: Final = (("icon-192.png", 192, "any"), ("icon-512.png", 512, "any"), ("icon-maskable-512.png", 512, "maskable"))
"""Of `static/mark.svg`, drawn by a browser. The last one reaches to the edges; what must be seen is in its middle."""


@router.get("/phone/worker.js")
def get_worker(request: Request) -> Response:
    """The service worker with the list of what it keeps, which changes with every file.

    What it may fetch is said here, by the policy of the pages.
    """
    found = shell()
    version = sha256(json.dumps(found).encode()).hexdigest()[:16]
    text = f"const SHELL = {json.dumps(found)};\nconst VERSION = {json.dumps(version)};\n"
    kept = headers(request) | {"Cache-Control": "no-cache"}
    return Response(text + (PHONE / WORKER).read_text("utf-8"), media_type="text/javascript", headers=kept)


@router.get("/phone/who")
async def get_who(request: Request) -> Response:
    """`GET /api/v1/session`, where nobody is an answer like any other: a page that begins asks before it can know."""
    reply = await Interface(request).get("/session")
    if not reply.good and reply.status not in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return JSONResponse(reply.body, reply.status)
    without = reply.status == HTTPStatus.FORBIDDEN  # an account to which no role was given yet
    return JSONResponse({"who": reply.body if reply.good else None, "without_role": without})


@router.get("/phone/{name}.{language}.webmanifest")
def get_manifest(name: str, language: str) -> Response:
    """What a phone needs to know to keep a page among its programs, in the language that was read there."""
    if name not in SHELLS or language not in LANGUAGES:
        return Response(status_code=HTTPStatus.NOT_FOUND)
    start = "/phone/" + next((address for address, page in PAGES.items() if page == name), name)
    shell, place = SHELLS[name], list(LANGUAGES).index(language)
    icons: list[dict[str, str]] = [
        {"src": f"/static/phone/{file}", "sizes": f"{size}x{size}", "type": "image/png", "purpose": purpose}
        for file, size, purpose in ICONS
    ]
    icons.append({"src": "/static/mark.svg", "sizes": "any", "type": "image/svg+xml", "purpose": "any"})
    manifest = {
        "id": start,
        "name": shell.called[place],
        "short_name": shell.short[place],
        "lang": LANGUAGES[language],
        "start_url": start,
        "scope": "/phone/",
        "display": "standalone",
        "background_color": "#f4f5f7",
        "theme_color": "#0b3a66",
        "icons": icons,
    }
    kept = {"Cache-Control": "no-cache"}
    return Response(json.dumps(manifest, ensure_ascii=False), media_type="application/manifest+json", headers=kept)


@router.get("/phone/{name}")
def get_page(request: Request, name: str) -> Response:
    """A page's shell: who is signed in, it finds out by itself."""
    page = PAGES.get(name, name)
    if page not in SHELLS:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return HTMLResponse(text_of(page), headers=headers(request) | {"Cache-Control": "no-cache"})


@router.get("/phone/")
def get_first_page(request: Request) -> Response:
    """The household's page."""
    return get_page(request, "")


@router.get("/phone")
def get_folder() -> Response:
    """The household's page, under the address that the worker keeps."""
    return go("/phone/")


@cache
def text_of(page: str) -> str:
    """A page's shell, filled in from the one source of all of them."""
    return environment("api.console").get_template("phone.html").render(name=page, shell=SHELLS[page])


@cache
def shell() -> list[tuple[str, str]]:
    """Each address of the shell, and the same with the version of what is there."""
    addresses = {name: name for name in SHELLS} | PAGES
    found = {f"/phone/{address}": text_of(page).encode() for address, page in addresses.items()}
    found |= {f"/static/phone/{path.name}": path.read_bytes() for path in PHONE.iterdir() if path.name != WORKER}
    found |= {f"/static/{name}": (STATIC / name).read_bytes() for name in SHARED}
    return [(address, f"{address}?v={sha256(body).hexdigest()[:12]}") for address, body in sorted(found.items())]
