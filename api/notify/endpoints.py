"""Channels and deliveries over HTTP."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Response

from api.access import Authority, may
from api.etags import IfMatch, etag
from api.notify import repository
from api.notify.models import Delivery
from api.notify.schemas import (
    ChannelAnswer,
    ChannelsAnswer,
    DeliveryPage,
    Host,
    HostAnswer,
    HostsAnswer,
    NewChannel,
    NewHost,
    PoliceMark,
    channel_answer,
    delivery_answer,
    host_answer,
)
from api.pages import PAGE, Limit
from api.problems import BadCursor, NotThere, answers
from api.station import CurrentStation, Station

router: Final = APIRouter(
    prefix="/api/v1/notify",
    tags=["notify"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE
    ),
)

ChannelId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
After = Annotated[str | None, Query(pattern=r"^[0-9a-f]{1,13}-[0-9a-f]{32}$", description="`next` of the page before")]


def _before(after: str | None) -> tuple[int, str] | None:
    """Where a page ended. Opaque and told by time, so that no number that is missing tells of others' deliveries."""
    if after is None:
        return None
    at, _, id_ = after.partition("-")
    try:
        return int(at, 16), id_
    except ValueError:
        raise BadCursor from None


def _page(rows: list[Delivery], limit: int) -> DeliveryPage:
    items = tuple(delivery_answer(row) for row in rows[:limit])
    last = rows[limit - 1] if len(rows) > limit else None
    return DeliveryPage(items=items, next=None if last is None else f"{last.made_ms:x}-{last.id}")


@router.get("/channels", summary="Your channels")
def list_channels(station: CurrentStation, by: Annotated[Authority, may("notify.own")]) -> ChannelsAnswer:
    """Without their addresses, which are never shown."""
    with station.database.read() as session:
        rows = station.channels.of(session, by.principal.account)
        return ChannelsAnswer(items=tuple(channel_answer(row) for row in rows))


@router.post(
    "/channels", summary="Add a channel", status_code=HTTPStatus.CREATED, responses=answers(HTTPStatus.CONFLICT)
)
def add_channel(
    station: CurrentStation, by: Annotated[Authority, may("notify.own")], new: NewChannel, response: Response
) -> ChannelAnswer:
    """The answer holds a webhook's secret, this once. Duress goes to it only after a duty leader marked it."""
    with station.database.write() as session:
        row, secret = station.channels.add(session, by, new, account=by.principal.account, police=False)
        made = channel_answer(row, secret)
    response.headers["ETag"] = etag(made.version)
    return made


@router.post(
    "/channels/{channel}/end",
    summary="End a channel of yours",
    responses=answers(HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED),
)
def end_channel(
    station: CurrentStation, by: Annotated[Authority, may("notify.own")], channel: ChannelId, if_match: IfMatch
) -> ChannelAnswer:
    """Its address is forgotten."""
    with station.database.write() as session:
        row = station.channels.find(session, channel)
        if row.account != by.principal.account:
            raise NotThere("no such channel of yours")
        return channel_answer(station.channels.end(session, by, row, if_match=if_match))


@router.post(
    "/channels/{channel}/test",
    summary="Send a test message",
    status_code=HTTPStatus.ACCEPTED,
    responses=answers(HTTPStatus.NOT_FOUND),
)
def try_channel(station: CurrentStation, by: Annotated[Authority, may("notify.own")], channel: ChannelId) -> None:
    """It says that it is a test. What became of it stands among your deliveries."""
    with station.database.write() as session:
        row = station.channels.find(session, channel)
        if row.account != by.principal.account:
            raise NotThere("no such channel of yours")
        station.channels.trial(session, row, link=station.link_to(""))
    station.notifier.wake()


@router.get("/deliveries", summary="What was sent to you, and what became of it")
def list_deliveries(
    station: CurrentStation, by: Annotated[Authority, may("notify.own")], limit: Limit = PAGE, after: After = None
) -> DeliveryPage:
    """Newest first."""
    return _deliveries(station, by.principal.account, limit=limit, after=after)


@router.get("/station/deliveries", summary="What was sent to anybody, and what became of it")
def list_all_deliveries(
    station: CurrentStation,
    _by: Annotated[Authority, may("notify.deliveries")],
    limit: Limit = PAGE,
    after: After = None,
) -> DeliveryPage:
    """For police only: it holds every alarm that was told."""
    return _deliveries(station, None, limit=limit, after=after)


def _deliveries(station: Station, account: str | None, *, limit: int, after: str | None) -> DeliveryPage:
    with station.database.read() as session:
        rows = repository.page(
            session, station.settings.station, account=account, before=_before(after), limit=limit + 1
        )
        return _page([*rows], limit)


@router.get("/station/channels", summary="The station's own channels, or an account's")
def list_station_channels(
    station: CurrentStation,
    _by: Annotated[Authority, may("notify.manage")],
    account: Annotated[str | None, Query(max_length=64)] = None,
) -> ChannelsAnswer:
    """Without their addresses."""
    with station.database.read() as session:
        rows = station.channels.of(session, account)
        return ChannelsAnswer(items=tuple(channel_answer(row) for row in rows))


@router.post(
    "/station/channels",
    summary="Add a channel of the station",
    status_code=HTTPStatus.CREATED,
    responses=answers(HTTPStatus.CONFLICT),
)
def add_station_channel(
    station: CurrentStation, by: Annotated[Authority, may("notify.manage")], new: NewChannel, response: Response
) -> ChannelAnswer:
    """It gets what the desk gets: all of it when it is marked police, otherwise what a community may read."""
    with station.database.write() as session:
        row, secret = station.channels.add(session, by, new, account=None, police=new.police)
        made = channel_answer(row, secret)
    response.headers["ETag"] = etag(made.version)
    return made


@router.put(
    "/station/channels/{channel}/police",
    summary="Say whether only police read a channel",
    responses=answers(HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED),
)
def mark_channel(
    station: CurrentStation,
    by: Annotated[Authority, may("notify.manage")],
    *,
    channel: ChannelId,
    mark: PoliceMark,
    if_match: IfMatch,
    response: Response,
) -> ChannelAnswer:
    """Duress leaves by such channels alone."""
    with station.database.write() as session:
        row = station.channels.find(session, channel)
        marked = channel_answer(station.channels.mark(session, by, row, police=mark.police, if_match=if_match))
    response.headers["ETag"] = etag(marked.version)
    return marked


@router.post(
    "/station/channels/{channel}/end",
    summary="End any channel",
    responses=answers(HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED),
)
def end_station_channel(
    station: CurrentStation, by: Annotated[Authority, may("notify.manage")], channel: ChannelId, if_match: IfMatch
) -> ChannelAnswer:
    """Its address is forgotten."""
    with station.database.write() as session:
        row = station.channels.find(session, channel)
        return channel_answer(station.channels.end(session, by, row, if_match=if_match))


@router.post(
    "/station/channels/{channel}/test",
    summary="Send a test message by any channel",
    status_code=HTTPStatus.ACCEPTED,
    responses=answers(HTTPStatus.NOT_FOUND),
)
def try_station_channel(
    station: CurrentStation, _by: Annotated[Authority, may("notify.manage")], channel: ChannelId
) -> None:
    """It says that it is a test and nothing else. What became of it stands among the deliveries."""
    with station.database.write() as session:
        row = station.channels.find(session, channel)
        station.channels.trial(session, row, link=station.link_to(""))
    station.notifier.wake()


@router.get("/hosts", summary="Hosts that channels may use")
def list_hosts(station: CurrentStation, _by: Annotated[Authority, may("notify.hosts")]) -> HostsAnswer:
    """By name."""
    with station.database.read() as session:
        return HostsAnswer(items=tuple(host_answer(row) for row in station.channels.hosts(session)))


@router.post("/hosts", summary="Let channels use a host", status_code=HTTPStatus.CREATED)
def allow_host(station: CurrentStation, by: Annotated[Authority, may("notify.hosts")], new: NewHost) -> HostAnswer:
    """Its addresses must lie outside our own walls; that is looked at each time something is sent."""
    with station.database.write() as session:
        return host_answer(station.channels.allow(session, by, new.host))


@router.delete(
    "/hosts/{host}",
    summary="Let channels use a host no more",
    status_code=HTTPStatus.NO_CONTENT,
    responses=answers(HTTPStatus.NOT_FOUND),
)
def forbid_host(station: CurrentStation, by: Annotated[Authority, may("notify.hosts")], host: Host) -> None:
    """Channels that use it fail from now on."""
    with station.database.write() as session:
        station.channels.forbid(session, by, host)
