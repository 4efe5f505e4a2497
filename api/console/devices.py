"""Units and gateways before and while they hang: adding, keys, labels with QR codes, accounts at the broker."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from api import paper
from api.access import anybody
from api.console.known import Form, Typed, every, known, places_by_id
from api.console.page import Reader, go, reader
from api.console.sections import Id, Text, nothing, section
from api.register.models import UnitSort

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

SHOWN: Final = 100
LABELS_MOST: Final = 200
SORTS: Final = tuple(sort.value for sort in UnitSort)

Many = Annotated[list[Annotated[str, Query(pattern=r"^[0-9A-Za-z_.-]{1,64}$")]], Query(max_length=LABELS_MOST)]


def _said(typed: Typed) -> dict[str, Any]:
    """What a form says of a unit; what is empty is nothing."""
    said: dict[str, Any] = {"sort": typed.text("sort") or UnitSort.NATIVE, "serial": typed.text("serial")}
    return said | {
        "gateway": typed.maybe("gateway"),
        "line": typed.maybe("line"),
        "address": typed.number("address"),
    }


async def _devices(one: Reader, *, within: str = "", after: str = "", **values: Any) -> Response:
    reply = await one.ask.get("/register/units", within=within or None, limit=SHOWN, after=after or None)
    if not reply.good:
        return await nothing(one, reply)
    return await section(
        one,
        "devices.html",
        units=reply.body["items"],
        next=reply.body["next"],
        within=within,
        sorts=SORTS,
        gateways=await _gateways(one),
        names=await known(one, "areas"),
        places=await places_by_id(one, (row["place"] for row in reply.body["items"])),
        **values,
    )


async def _gateways(one: Reader) -> list[Any]:
    reply = await one.ask.get("/register/gateways")
    return reply.body if reply.good else []


@router.get("/register/devices")
async def devices(request: Request, within: Text = "", after: Text = "") -> Response:
    """Units that hang, a form for one that is new, and the way to labels."""
    return await _devices(await reader(request), within=within, after=after)


@router.post("/register/devices")
async def add(request: Request, typed: Form) -> Response:
    """Put a unit into the store, with its key where it has one."""
    one = await reader(request, csrf=typed.csrf)
    reply = await one.ask.ask("POST", "/register/units", body={"id": typed.text("id")} | _said(typed))
    if not reply.good:
        return await _devices(one, typed=typed, problem=reply.body)
    if typed.text("key"):
        put = await one.ask.ask("PUT", f"/register/units/{reply.body['id']}/key", body={"key": _key(typed)})
        if not put.good:
            return await _device(one, reply.body["id"], typed=typed, problem=put.body)
    return go(f"/register/devices/{reply.body['id']}")


def _key(typed: Typed) -> str:
    """As labels print it, in groups and capitals or not."""
    return "".join(typed.text("key").lower().split()).replace("-", "").replace(":", "")


@router.get("/register/devices/labels")
async def labels(request: Request, unit: Many = [], gateway: Many = [], within: Text = "") -> Response:  # noqa: B006 - of an address
    """A sheet of labels: each with a picture of the address of its page. `within`: of every unit that hangs there."""
    one = await reader(request)
    ids = [row["id"] for row in await every(one, "/register/units", within=within)][:LABELS_MOST] if within else unit
    base = str(request.base_url).rstrip("/")
    found = []
    for id_ in ids:
        reply = await one.ask.get(f"/register/units/{id_}")
        if reply.good:
            address = f"{base}/register/devices/{id_}"
            found.append({"id": id_, "serial": reply.body["serial"], "picture": paper.picture(address, scale=3)})
    believed = {row["id"] for row in await _gateways(one)} if gateway else set()
    for id_ in believed & {*gateway}:
        address = f"{base}/register/gateways#gateway-{id_}"
        found.append({"id": id_, "serial": "", "picture": paper.picture(address, scale=3)})
    return await section(one, "devices_labels.html", labels=found, base=base)


async def _device(one: Reader, id_: str, **values: Any) -> Response:
    reply = await one.ask.get(f"/register/units/{id_}")
    if not reply.good:
        return await nothing(one, reply)
    records = await one.ask.get(f"/installations/{id_}") if one.may("install.read") else None
    done = records.body if records is not None and records.good else []
    return await section(
        one,
        "device.html",
        unit=reply.body,
        records=done,
        places=await places_by_id(one, [reply.body["place"], *(row["place"] for row in done)]),
        sorts=SORTS,
        gateways=await _gateways(one),
        picture=paper.picture(f"{str(one.request.base_url).rstrip('/')}/register/devices/{id_}", scale=4),
        **values,
    )


@router.get("/register/devices/{unit}")
async def device(request: Request, unit: Id) -> Response:
    """One unit: what its label leads to."""
    return await _device(await reader(request), unit)


@router.post("/register/devices/{unit}")
async def change(request: Request, unit: Id, typed: Form) -> Response:
    """Say anew on what it hangs, hang it in a place, or put its key down."""
    one = await reader(request, csrf=typed.csrf)
    path, match = f"/register/units/{unit}", {"If-Match": f'"{typed.text("version")}"'}
    match typed.text("do"):
        case "key":
            reply = await one.ask.ask("PUT", f"{path}/key", body={"key": _key(typed)})
        case "install":
            reply = await one.ask.ask("POST", f"{path}/install", body={"place": typed.text("place")}, headers=match)
        case _:
            before = await one.ask.get(path)
            kept = {name: before.body[name] for name in ("volume", "night_volume", "strobe")} if before.good else {}
            reply = await one.ask.ask("PUT", path, body=kept | _said(typed), headers=match)
    return go(f"/register/devices/{unit}") if reply.good else await _device(one, unit, typed=typed, problem=reply.body)


async def _boxes(one: Reader, **values: Any) -> Response:
    believed = await one.ask.get("/register/gateways")
    if not believed.good and not one.may("broker.account"):
        return await nothing(one, believed)
    given = await every(one, "/broker/accounts") if one.may("broker.account") else []
    shown = believed.body if believed.good else None
    return await section(one, "devices_gateways.html", gateways=shown, accounts=given, **values)


@router.get("/register/gateways")
async def boxes(request: Request) -> Response:
    """Gateways that are believed, and accounts at the broker."""
    return await _boxes(await reader(request))


@router.post("/register/gateways")
async def change_box(request: Request, typed: Form) -> Response:
    """Believe a gateway by its key, or no more; give out an account on a sheet, or take it back."""
    one = await reader(request, csrf=typed.csrf)
    gateway = typed.text("gateway") or "-"
    match typed.text("do"):
        case "believe":
            reply = await one.ask.ask("PUT", f"/register/gateways/{gateway}", body={"public_key": _key(typed)})
        case "revoke":
            reply = await one.ask.ask("POST", f"/register/gateways/{gateway}/revoke")
        case "sheet":
            body = {"role": typed.text("role"), "id": typed.maybe("id"), "renew": typed.text("renew") == "1"}
            reply = await one.ask.ask("POST", "/broker/accounts/sheet", body=body)
            if reply.good:
                return Response(reply.raw, media_type=paper.MEDIA_TYPE)
        case _:
            reply = await one.ask.ask("DELETE", f"/broker/accounts/{typed.text('user')}")
    return go("/register/gateways") if reply.good else await _boxes(one, typed=typed, problem=reply.body)
