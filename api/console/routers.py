"""Every page of the console."""

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any, Final

from anyio import to_thread
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import WebSocketRequestValidationError

from api.console import (
    admin,
    alarm,
    auditing,
    beginning,
    channels,
    checking_in,
    comments,
    company,
    complaints,
    county,
    desk,
    devices,
    drills,
    duty,
    enrolling,
    files,
    good_cards,
    health,
    joint,
    ladders,
    matters,
    own,
    patrol,
    phone,
    plan,
    planning,
    points,
    policies,
    register,
    reports,
    roll,
    signing_in,
    tips,
    tracks,
    trust,
    works,
)
from api.console.page import Elsewhere, go, plain

ROUTERS: Final[tuple[APIRouter, ...]] = (
    files.router,
    signing_in.router,
    desk.router,
    alarm.router,
    checking_in.router,
    phone.router,
    patrol.router,
    enrolling.router,
    tracks.router,
    roll.router,
    points.router,
    comments.router,
    good_cards.router,
    company.router,
    planning.router,
    beginning.router,
    auditing.router,
    matters.router,
    joint.router,
    drills.router,
    tips.router,
    complaints.router,
    devices.router,
    register.router,
    reports.router,
    county.router,
    plan.router,
    duty.router,
    health.router,
    admin.router,
    ladders.router,
    channels.router,
    policies.router,
    own.router,
    trust.router,
    works.router,
)


MACHINES: Final = ("/api/", "/static/", "/healthz", "/metrics")
"""Below these, nobody reads pages."""


def _as_page(handler: Callable[[Request, Any], Any]) -> Callable[[Request, Exception], Awaitable[Response]]:
    """What `handler` answers, in words of the reader and with a way on, where a browser waits for a page.

    The interface is not asked, since it may be the one that is out of order.
    """

    async def answer(request: Request, why: Exception) -> Response:
        reply: Response
        if iscoroutinefunction(handler):
            reply = await handler(request, why)
        else:
            reply = await to_thread.run_sync(handler, request, why)
        wanted = "text/html" in request.headers.get("accept", "") and "hx-request" not in request.headers
        if not wanted or request.url.path.startswith(MACHINES):
            return reply
        page = await plain(request, "error.html", status=reply.status_code, code=reply.status_code)
        page.headers.update({name: text for name, text in reply.headers.items() if name in {"retry-after", "allow"}})
        return page

    return answer


def install(app: FastAPI) -> None:
    """Send whoever has to go elsewhere first, and say to a browser as a page what went wrong.

    To be called after `api.problems.install`, whose answers they are.
    """
    for what, handler in list(app.exception_handlers.items()):
        if what is not WebSocketRequestValidationError:
            app.add_exception_handler(what, _as_page(handler))

    async def elsewhere(_request: Request, why: Exception) -> Response:
        assert isinstance(why, Elsewhere)
        return go(why.where)

    app.add_exception_handler(Elsewhere, elsewhere)
