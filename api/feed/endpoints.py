"""The live feed over HTTP: server-sent events."""

from collections.abc import AsyncIterator
from functools import partial
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.access import Authority, may, still
from api.alarms.doing import people_of
from api.feed import rules
from api.feed.rules import Seat
from api.feed.service import Feed, Viewer
from api.problems import answers
from api.rights.rules import rights
from api.station import CurrentStation

router: Final = APIRouter(
    prefix="/api/v1",
    tags=["feed"],
    responses=answers(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE),
)

HEADERS: Final = {"X-Accel-Buffering": "no"}
EXAMPLE: Final = (
    'event: alarm\ndata: {"about":"alarm:01a20124-9d1e-7dd3-acdc-c9a14d326c69","at":"2026-11-22T06:00:00+00:00",'
    '"action":"acknowledge","state":"acknowledged"}\nid: 5f0c7a1fb8f84d0f9a3f3f1b1a2c3d4e\n\n'
)


class FeedResponse(StreamingResponse):
    """A stream for one viewer. A viewer that takes nothing any more does not hold it open."""

    media_type = "text/event-stream"

    def __init__(self, feed: Feed, viewer: Viewer, frames: AsyncIterator[bytes]) -> None:
        super().__init__(frames, headers=HEADERS)
        self._feed = feed
        self._viewer = viewer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until one of the two sides ends it."""
        try:
            with self._viewer.scope:
                await super().__call__(scope, receive, send)
        finally:
            self._feed.leave(self._viewer)


@router.get(
    "/feed",
    summary="What happens now, as server-sent events",
    response_class=FeedResponse,
    status_code=HTTPStatus.OK,
    responses={
        200: {
            "description": "`hello`, then events named by their topic, `heartbeat` at least every 10 s, `resync` when "
            "something was missed (read the lists again), `end` before the stream ends",
            "content": {"text/event-stream": {"schema": {"type": "string"}, "example": EXAMPLE}},
        },
        **answers(HTTPStatus.UNPROCESSABLE_ENTITY),
    },
)
async def listen(
    request: Request,
    station: CurrentStation,
    by: Annotated[Authority, may("feed.read")],
    last_event_id: Annotated[
        str | None, Header(max_length=64, description="`id` of the last event heard: what came after it is sent first")
    ] = None,
    after: Annotated[str | None, Query(max_length=64, description="The same, for whoever cannot set a header")] = None,
) -> FeedResponse:
    """Hear of everything within reach as it is committed, each event as its hearer's eyes may read it.

    An event may come twice, by one id: who goes on behind a heartbeat hears the last seconds before it again.
    """
    said = last_event_id or after
    place = rules.place(said)

    def again() -> Seat | None:
        principal = still(station, request)
        if principal is None:
            return None
        return rules.seat(principal, rights(), groups=station.register.groups_of_places)

    seat = rules.seat(by.principal, rights(), groups=station.register.groups_of_places)
    assert seat is not None  # `may` has asked the same
    viewer = Viewer(
        seat, again, people=partial(people_of, station), place=place, lost=said is not None and place is None
    )
    station.feed.join(viewer)
    return FeedResponse(station.feed, viewer, viewer.frames(station.clock))
