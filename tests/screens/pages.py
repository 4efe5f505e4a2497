"""Which pages there are, and who looks at them: what is walked through and what is pictured is one list."""

from typing import Final

from fastapi import APIRouter
from fastapi.routing import APIRoute
from playwright.sync_api import APIResponse

from api.console import phone
from api.console.routers import ROUTERS
from tests.screens.conftest import PEOPLE

ALARM: Final = "api.console.alarm"
PHONES: Final = {"guard": "gu", "field": "sun", "install": "xin"}
"""Who looks at a phone page; the others are a household's."""


def paths(router: APIRouter) -> list[str]:
    """Where its pages are, as far as an address says it without knowing what there is."""
    if router is phone.router:
        return [f"/phone/{name}" for name in sorted(phone.SHELLS)] + ["/phone/join"]
    found = [route for route in router.routes if isinstance(route, APIRoute) and "GET" in (route.methods or ())]
    return [route.path for route in found if "{" not in route.path and route.path not in {"/", "/login"}]


def module_of(router: APIRouter) -> str:
    """Which part of the console it is of."""
    return next(route.endpoint.__module__ for route in router.routes if isinstance(route, APIRoute))


WITH_PAGES: Final = [router for router in ROUTERS if paths(router) or module_of(router) == ALARM]


def is_page(answer: APIResponse) -> bool:
    return answer.ok and answer.text().lstrip().lower().startswith("<!doctype html")


FIRST: Final = {
    "/affairs/complaints": "sun", "/affairs/today": "sun", "/company": "bao", "/admin": "kai", "/admin/desks": "kai",
    "/audit": "lin", "/duty": "lin",
}  # fmt: skip
"""Whose page it is, where somebody else is let in as well and sees less of it."""


def askers(router: APIRouter, path: str) -> list[str]:
    """Who is let in first looks at it."""
    if router is phone.router:
        return [PHONES.get(path.rpartition("/")[2], "hu")]
    everybody = [who for who, *_ in PEOPLE]
    return [FIRST[path], *everybody] if path in FIRST else everybody
