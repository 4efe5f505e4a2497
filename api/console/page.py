"""A page for whoever asks: who he is, in which language, and what of the interface he may use."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, get_args
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

from anyio import to_thread
from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from api.console import language
from api.console.interface import Interface, Reply
from api.console.language import Language, language_of
from api.console.rules import light
from api.paper import environment
from api.points.citing import cited
from api.points.citing import parts as parts_of_evidence
from api.rights.rules import ROLE_WORDS, Role, Without, rights
from api.station import Station

HERE: Final = Path(__file__).parent
STATIC: Final = HERE / "static"
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; media-src 'self'; manifest-src 'self'; worker-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Permissions-Policy": "camera=(self), geolocation=(self), microphone=()",
}
ISOLATED: Final = {"Cross-Origin-Opener-Policy": "same-origin"}
"""By HTTPS alone: by HTTP browsers ignore it, and call that an error on every page."""
WAYS: Final[tuple[tuple[str, ...], ...]] = (
    ("/desk", "alarm.acknowledge"),
    ("/phone/guard", "roll_call.answer"),
    ("/phone/field", "joining.settle", "errand.read"),
    ("/company", "guard.takeover.ask"),
    ("/patrol", "patrol.round.read"),
    ("/joint", "four_ones.read"),
    ("/points", "points.read"),
    ("/register", "register.read"),
    ("/affairs", "matter.handle"),
    ("/reports", "report.read"),
    ("/county", "alarm.urge"),
    ("/map", "colour.read"),
    ("/duty", "duty.read"),
    ("/health", "fault.read"),
    ("/admin", "account.open"),
    ("/audit", "audit.accounts"),
)
"""Where the head of a page leads, and the actions without which it is not offered. `base.html` has the names."""


HOMES: Final[Mapping[Role, str]] = {
    Role.DUTY_OFFICER: "/desk",
    Role.OFFICER: "/desk",
    Role.DUTY_LEADER: "/desk",
    Role.COMMAND_CENTRE: "/county",
    Role.TOWNSHIP: "/county",
    Role.COMMUNITY: "/affairs/today",
    Role.GRID_WORKER: "/phone/field",
    Role.GUARD_COMPANY: "/company",
    Role.GUARD: "/phone/guard",
    Role.INSTALLER: "/phone/install",
    Role.ADMINISTRATOR: "/admin",
    Role.AUDITOR: "/audit",
    Role.GROUP_LEADER: "/group",
    Role.HOUSEHOLD: "/phone/",
}
"""The page with which each role begins. Whoever has several begins with the first of them."""


class Elsewhere(Exception):
    """The reader has to go to another page first. Field: `where`, an address of ours."""

    def __init__(self, where: str) -> None:
        super().__init__(where)
        self.where = where


@dataclass(frozen=True, slots=True)
class Reader:
    """Whoever asked for a page, signed in or at a paired desk."""

    request: Request
    station: Station
    language: Language
    who: Mapping[str, Any]
    """`SessionAnswer`."""
    ask: Interface

    @property
    def zone(self) -> ZoneInfo:
        """The station's civil time."""
        return self.station.settings.zone

    def may(self, action: str) -> bool:
        """Whether one of his roles has an action over anything: for what is offered, never for what is allowed."""
        return may(self.who, action)

    @property
    def ways(self) -> list[str]:
        """Where the head of his pages leads."""
        found = [where for where, *actions in WAYS if all(map(self.may, actions))]
        return ["/group", *found] if self.has(Role.GROUP_LEADER) else found

    def has(self, role: Role) -> bool:
        """Whether he is that, anywhere."""
        return any(grant["role"] == role for grant in self.who["grants"])

    @property
    def home(self) -> str:
        """The page with which he begins."""
        return next((where for role, where in HOMES.items() if self.has(role)), "/me")

    async def page(self, template: str, *, status: int = HTTPStatus.OK, **values: object) -> HTMLResponse:
        """A whole page, or a piece of one, in his language."""
        return await _filled(
            self.request, self.language, template, status, {"reader": self, "ways": self.ways, **values}
        )


def may(who: Mapping[str, Any], action: str) -> bool:
    """Whether one of the roles of an account (`SessionAnswer`) has an action over anything."""
    row = rights().actions[action]
    return not isinstance(row, Without) and any(Role(grant["role"]) in row for grant in who["grants"])


def first_page(who: Mapping[str, Any], asked: str) -> str:
    """Where somebody who has just signed in goes: to the page that was asked for, unless its part is not for him.

    The address may be a colleague's, who worked here before him; a page that says no is no beginning.
    """
    path = urlsplit(asked).path
    part = next((actions for where, *actions in WAYS if path == where or path.startswith(f"{where}/")), [])
    return asked if all(may(who, action) for action in part) else "/"


async def reader(request: Request, *, csrf: str | None = None) -> Reader:
    """Who asks. Raises Elsewhere for whoever is not signed in, or has something to do first."""
    asked = Interface(request, csrf=csrf)
    found = await asked.get("/session")
    if not found.good:
        raise Elsewhere(f"/login?to={quote(request.url.path)}")
    return Reader(request, request.app.state.station, language_of(request), found.body, asked)


async def plain(request: Request, template: str, *, status: int = HTTPStatus.OK, **values: object) -> HTMLResponse:
    """A page for whoever is not signed in."""
    return await _filled(request, language_of(request), template, status, {"reader": None, "ways": (), **values})


async def _filled(
    request: Request, chosen: Language, template: str, status: int, values: Mapping[str, object]
) -> HTMLResponse:
    """A template filled in by a thread: a storm's thousand cards would hold everybody up."""
    station: Station = request.app.state.station
    tls = station.settings.http.tls
    always: dict[str, object] = {
        "own_root": tls is not None and tls.root is not None,
        "lang": chosen,
        "zone": station.settings.zone,
        "station": station.settings.station,
        "here": _here(request),
    }

    def fill() -> str:
        text: str = _pages(chosen).get_template(template).render(always | dict(values))
        return text

    return HTMLResponse(await to_thread.run_sync(fill), status, headers=headers(request))


def _here(request: Request) -> str:
    """Where the same page is had again: the answer to a form is no page by itself, and its address may have none."""
    if request.method in {"GET", "HEAD"}:
        return request.url.path
    came = urlsplit(request.headers.get("referer", ""))
    return came.path if came.netloc == request.url.netloc and came.path else "/"


def headers(request: Request) -> dict[str, str]:
    """What every page says to the browser."""
    return HEADERS | (ISOLATED if request.url.scheme == "https" else {})


def go(where: str) -> RedirectResponse:
    """See another page of ours, after something was done."""
    safe = where if where.startswith("/") and not where.startswith(("//", "/\\")) else "/"
    return RedirectResponse(safe, HTTPStatus.SEE_OTHER, headers={"Cache-Control": "no-store"})


def hand_on(reply: Reply, response: Response) -> Response:
    """Give the reader the cookies that the interface set for him."""
    for cookie in reply.cookies:
        response.raw_headers.append((b"set-cookie", cookie.encode("latin-1")))
    return response


@cache
def address_of(name: str) -> str:
    """Where a file of ours is had. It changes with the file, so that browsers may keep it for ever."""
    return f"/static/{name}?v={sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


def _when(shape: language.Shape, chosen: Language, text: str | None, zone: ZoneInfo) -> str:
    """The filters by their shapes, with what a template gives them behind."""
    return language.when(text, zone, shape, chosen)


@cache
def _pages(chosen: Language) -> Any:
    made = environment("api.console", messages=language.translations(chosen))
    made.globals |= {
        "static": address_of,
        "light": light,
        "parts_of_evidence": parts_of_evidence,
        "role_words": lambda role: getattr(ROLE_WORDS[Role(role)], chosen),
    }
    made.filters |= {
        "words": lambda said: "" if said is None else said[chosen],
        "cited": lambda id_: "" if (said := cited(id_)) is None else getattr(said, chosen),
        "stamp": language.stamp,
        **{shape: partial(_when, shape, chosen) for shape in get_args(language.Shape)},
        "civil": lambda text: language.civil(text, chosen),
        "number": lambda value, digits=0, sign=False: language.number(value, chosen, digits, sign=sign),
        "day": lambda text, zone: language.day(text, zone, chosen),
    }
    return made
