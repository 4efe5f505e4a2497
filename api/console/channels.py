"""Channels by which people are told beyond the screen: one's own, and those of the station."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from api.access import anybody
from api.console.interface import Reply
from api.console.known import Form, Typed
from api.console.page import Reader, go, reader
from api.console.sections import Text, nothing, section

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

SHOWN: Final = 50
HOUR_MIN: Final = 60


def minutes_of(text: str) -> int | str | None:
    """`22:30` as minutes after midnight; None for nothing; what is no time as it is."""
    hours, _, minutes = text.partition(":")
    if hours.isdecimal() and minutes.isdecimal():
        return int(hours) * HOUR_MIN + int(minutes)
    return text or None


def _new(typed: Typed, *, police: bool) -> dict[str, Any]:
    body: dict[str, Any] = {
        "sort": typed.text("sort"),
        "url": typed.text("url"),
        "label": typed.text("label"),
        "quiet_from_min": minutes_of(typed.text("quiet_from")),
        "quiet_to_min": minutes_of(typed.text("quiet_to")),
    }
    return body | ({"police": typed.text("police") == "1"} if police else {})


async def _own(one: Reader, *, after: str = "", **values: Any) -> Response:
    channels = await one.ask.get("/notify/channels")
    sent = await one.ask.get("/notify/deliveries", limit=SHOWN, after=after or None)
    if not channels.good or not sent.good:
        return await nothing(one, sent if channels.good else channels)
    return await _page(one, "me_channels.html", channels, sent, hosts=None, account="", **values)


async def _page(one: Reader, template: str, channels: Reply, sent: Reply | None, **values: Any) -> Response:
    """`sent` None: the reader may not know what was sent."""
    rows = [] if sent is None else sent.body["items"]
    newest: dict[str, Any] = {}
    for row in rows:
        newest.setdefault(row["channel"], row)
    return await section(
        one,
        template,
        channels=channels.body["items"],
        newest=newest,
        rows=rows,
        reads=sent is not None,
        next=None if sent is None else sent.body["next"],
        **({"secret": None, "tried": ""} | values),
    )


@router.get("/me/channels")
async def own_channels(request: Request, after: Text = "", tried: Text = "") -> Response:
    """One's own channels and what went out by them."""
    return await _own(await reader(request), after=after, tried=tried)


@router.post("/me/channels")
async def change_own(request: Request, typed: Form) -> Response:
    """Add one, try one, end one. A webhook's secret is shown on the answer alone."""
    one = await reader(request, csrf=typed.csrf)
    path = f"/notify/channels/{typed.text('channel')}"
    match typed.text("do"):
        case "add":
            reply = await one.ask.ask("POST", "/notify/channels", body=_new(typed, police=False))
            if reply.good and reply.body["secret"]:
                return await _own(one, secret=reply.body["secret"])
        case "test":
            reply = await one.ask.ask("POST", f"{path}/test")
        case _:
            reply = await one.ask.ask("POST", f"{path}/end", headers={"If-Match": f'"{typed.text("version")}"'})
    if reply.good:
        return go(f"/me/channels{'?tried=1' if typed.text('do') == 'test' else ''}")
    return await _own(one, typed=typed, problem=reply.body)


async def _station(one: Reader, *, account: str = "", after: str = "", **values: Any) -> Response:
    channels = await one.ask.get("/notify/station/channels", account=account or None)
    if not channels.good:
        return await nothing(one, channels)
    hosts = await one.ask.get("/notify/hosts")
    sent = await one.ask.get("/notify/station/deliveries", limit=SHOWN, after=after or None)
    return await _page(
        one,
        "admin_channels.html",
        channels,
        sent if sent.good else None,
        hosts=hosts.body["items"] if hosts.good else None,
        account=account,
        **values,
    )


@router.get("/admin/channels")
async def station_channels(request: Request, account: Text = "", after: Text = "", tried: Text = "") -> Response:
    """The station's channels or an account's, hosts that they may use, and what failed."""
    return await _station(await reader(request), account=account, after=after, tried=tried)


@router.post("/admin/channels")
async def change_station(request: Request, typed: Form) -> Response:
    """Add one of the station, try, mark or end any, allow hosts and forbid them."""
    one = await reader(request, csrf=typed.csrf)
    path, match = f"/notify/station/channels/{typed.text('channel')}", {"If-Match": f'"{typed.text("version")}"'}
    account = typed.text("account")
    match typed.text("do"):
        case "add":
            reply = await one.ask.ask("POST", "/notify/station/channels", body=_new(typed, police=True))
            if reply.good and reply.body["secret"]:
                return await _station(one, secret=reply.body["secret"])
        case "test":
            reply = await one.ask.ask("POST", f"{path}/test")
        case "police":
            reply = await one.ask.ask("PUT", f"{path}/police", body={"police": typed.text("to") == "1"}, headers=match)
        case "allow":
            reply = await one.ask.ask("POST", "/notify/hosts", body={"host": typed.text("host")})
        case "forbid":
            reply = await one.ask.ask("DELETE", f"/notify/hosts/{typed.text('host')}")
        case _:
            reply = await one.ask.ask("POST", f"{path}/end", headers=match)
    if reply.good:
        kept = {"account": account, "tried": "1" if typed.text("do") == "test" else ""}
        said = "&".join(f"{name}={value}" for name, value in kept.items() if value)
        return go(f"/admin/channels{'?' if said else ''}{said}")
    return await _station(one, account=account, typed=typed, problem=reply.body)
