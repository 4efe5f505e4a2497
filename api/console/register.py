"""The register: areas and groups, households with their people and devices, sheets, what is planned, boards."""

from collections import defaultdict
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from starlette.datastructures import UploadFile

from api.access import anybody
from api.bodies import holds
from api.console.interface import Reply
from api.console.known import Form, Typed, every, known, places_by_id
from api.console.page import Reader, go, reader
from api.console.sections import Id, Number, Text, nothing, section
from api.console.works import OPEN, follow, page_of, until_done
from api.register.files import BYTES_MOST

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

SHOWN: Final = 100
FOUND_MOST: Final = 200
FAULTS_MOST: Final = 200
PURPOSES: Final = ("contacts", "responder_notes", "medical_word", "duress_key", "position")
NOTES: Final = ("deaf", "oxygen", "dog", "alone", "other")
SHEETS: Final = ("levels", "areas", "places", "contacts", "notes", "companies", "teams", "units")
FORM_MOST: Final = BYTES_MOST + (64 << 10)
"""A file, and what a form puts around it."""
NAME_CHARS: Final = 120


# The tree, and what lies in an area


def _tree(areas: list[Any], chosen: str) -> list[dict[str, Any]]:
    """Areas under one another, those on the way to the chosen one open."""
    ids = {row["id"] for row in areas}
    below: defaultdict[str | None, list[Any]] = defaultdict(list)
    over: dict[str, str | None] = {}
    for row in sorted(areas, key=lambda row: (row["name"] or "", row["id"])):
        above = next((id_ for id_ in (row["parent"], row["police_parent"]) if id_ in ids), None)
        below[above].append(row)
        over[row["id"]] = above
    open_: set[str | None] = set()
    step: str | None = chosen
    while step is not None and step not in open_:
        open_.add(step)
        step = over.get(step)

    def under(id_: str | None) -> list[dict[str, Any]]:
        return [{"area": row, "open": row["id"] in open_, "below": under(row["id"])} for row in below[id_]]

    return under(None)


def _matches(place: Any, words: list[str]) -> bool:
    text = " ".join(
        [place["id"], place["label"], place["address"], str(place["door"] or ""), place["group"] or "", *place["units"]]
    ).casefold()
    return all(word in text for word in words)


@router.get("/register")
async def tree(request: Request, area: Text = "", q: Text = "", after: Text = "") -> Response:
    """The areas, and the places of one of them, or those that were looked for."""
    one = await reader(request)
    areas = await every(one, "/register/areas")
    by_id = {row["id"]: row for row in areas}
    words = q.casefold().split()
    found, next_, problem = [], None, None
    conditions: dict[str, Any] = {}
    readiness = None
    chosen = by_id.get(area)
    if words:
        places = await every(one, "/register/places")
        found = [place for place in places if _matches(place, words)]
    elif chosen is not None:
        reply = await one.ask.get("/register/places", within=area, limit=SHOWN, after=after or None)
        problem = None if reply.good else reply.body
        found, next_ = (reply.body["items"], reply.body["next"]) if reply.good else ([], None)
        if chosen["meaning"] == "group":
            for place in found:
                condition = await one.ask.get(f"/places/{place['id']}/condition")
                if condition.good:
                    conditions[place["id"]] = condition.body
            ready = await one.ask.get(f"/groups/{area}/readiness")
            readiness = ready.body if ready.good else None
    return await section(
        one,
        "register.html",
        problem=problem,
        tree=_tree(areas, area),
        chosen=chosen,
        area=area,
        q=q,
        places=found[:FOUND_MOST],
        many=len(found),
        next=next_,
        conditions=conditions,
        readiness=readiness,
        faults=await _faults(one),
        areas=by_id,
    )


# One household


async def _faults(one: Reader) -> dict[str, list[Any]]:
    """What is wrong now, by device; nothing for whoever may not read of faults."""
    reply = await one.ask.get("/faults", limit=FAULTS_MOST)
    found: dict[str, list[Any]] = {}
    for row in reply.body["faults"] if reply.good else []:
        if row["there"]:
            found.setdefault(row["about"], []).append(row)
    return found


async def _place(
    one: Reader, id_: str, *, typed: Typed | None = None, people: Any = None, problem: Any = None
) -> Response:
    reply = await one.ask.get(f"/register/places/{id_}")
    if not reply.good:
        return await nothing(one, reply)
    units = [await one.ask.get(f"/register/units/{unit}") for unit in reply.body["units"]]
    condition = await one.ask.get(f"/places/{id_}/condition")
    history = await one.ask.get(f"/register/places/{id_}/history")
    quieted = await one.ask.get("/register/quietings", place=id_, still="true")
    state = {unit["unit"]: unit for unit in condition.body["units"]} if condition.good else {}
    return await section(
        one,
        "register_place.html",
        problem=problem,
        place=reply.body,
        units=[unit.body for unit in units if unit.good],
        condition=condition.body if condition.good else None,
        states=state,
        faults=await _faults(one),
        history=history.body if history.good else None,
        quieted=next(iter(quieted.body["items"]), None) if quieted.good else None,
        people=people,
        typed=typed or Typed(),
        names=await known(one, "areas"),
        purposes=PURPOSES,
        notes=NOTES,
    )


@router.get("/register/places/{place}")
async def place(request: Request, place: Id) -> Response:
    """A household with its devices, and what can be done about it."""
    return await _place(await reader(request), place)


def _people_typed(typed: Typed) -> list[dict[str, Any]]:
    """Contacts in calling order: one line each of name, phone and relation."""
    rows = zip(*(typed.form.getlist(name) for name in ("name", "phone", "relation")), strict=False)
    said = [tuple(str(value).strip() for value in row) for row in rows]
    return [{"name": name, "phone": phone, "relation": relation} for name, phone, relation in said if name or phone]


async def _on_place(one: Reader, id_: str, do: str, typed: Typed) -> Reply:
    """One step about a household."""
    path, version = f"/register/places/{id_}", {"If-Match": typed.text("version")}

    async def ask(method: str, path: str, body: object = None) -> Reply:
        return await one.ask.ask(method, path, body=body, headers=version)

    match do:
        case "move-in" | "lend":
            return await ask("POST", f"{path}/{do}", {"name": typed.text("name")})
        case "move-out" | "give-back":
            return await ask("POST", f"{path}/{do}")
        case "swap":
            return await ask("POST", f"{path}/swap", {"other": typed.text("other")})
        case "occupant":
            return await ask("PUT", f"{path}/occupant", {"name": typed.text("name")})
        case "consent":
            return await ask(
                "POST",
                f"{path}/consents",
                {
                    "purpose": typed.text("purpose"),
                    "version": typed.number("wording"),
                    "given": typed.text("given") == "1",
                    "how": "paper",
                },
            )
        case "contacts":
            return await ask("PUT", f"{path}/contacts", {"contacts": _people_typed(typed)})
        case "notes":
            said = {note: typed.text(f"note-{note}") for note in typed.many("note")}
            return await ask("PUT", f"{path}/notes", {"notes": said})
        case "quiet":
            return await one.ask.ask(
                "POST", f"{path}/quiet", body={"minutes": typed.number("minutes"), "reason": typed.text("reason")}
            )
        case "lift":
            return await one.ask.ask("POST", f"{path}/quiet/lift", body={"reason": typed.text("reason")})
        case "install":
            path = f"/register/units/{typed.text('unit') or '-'}"
            unit = await one.ask.get(path)
            return await one.ask.ask(
                "POST", f"{path}/install", body={"place": id_}, headers={"If-Match": unit.etag or '"0"'}
            )
        case "unit-swap" | "unit-replace":
            path = f"/register/units/{typed.text('unit') or '-'}/{do.removeprefix('unit-')}"
            return await ask("POST", path, {"other": typed.text("other")})
        case "unit-removed" | "unit-lost" | "unit-scrapped":
            return await ask("POST", f"/register/units/{typed.text('unit') or '-'}/{do.removeprefix('unit-')}")
        case "away":
            until = typed.moment("until", one.zone)
            return await one.ask.ask("PUT", f"/places/{id_}/absence", body={"until": until} if until else {})
        case _:
            return await one.ask.ask("DELETE", f"/places/{id_}/absence")


@router.post("/register/places/{place}")
async def do_about_place(request: Request, place: Id, typed: Form) -> Response:
    """Look up its people with a reason, or change something."""
    one = await reader(request, csrf=typed.csrf)
    do = typed.text("do")
    if do == "people":
        found = await one.ask.get(f"/register/places/{place}/people", reason=typed.text("reason"))
        if found.good:
            return await _place(one, place, typed=typed, people=found.body)
        return await _place(one, place, typed=typed, problem=found.body)
    reply = await _on_place(one, place, do, typed)
    return go(f"/register/places/{place}") if reply.good else await _place(one, place, typed=typed, problem=reply.body)


# Sheets


async def _sheets(one: Reader, **values: Any) -> Response:
    blank: dict[str, Any] = {"work": None, "sheet": ""}
    return await section(one, "register_sheets.html", sheets=SHEETS, **(blank | values))


@router.get("/register/sheets")
async def sheets(request: Request) -> Response:
    """Import and export."""
    return await _sheets(await reader(request))


def _format_of(name: str, data: bytes) -> str:
    if data.startswith(b"PK"):
        return "xlsx"
    return "toml" if name.casefold().endswith(".toml") else "csv" if name.casefold().endswith(".csv") else "xlsx"


@router.post("/register/sheets/import", openapi_extra=holds(FORM_MOST))
async def import_sheets(request: Request) -> Response:
    """What a file would do, row by row: here where it is known at once, else on the page of the work."""
    async with request.form(max_files=1, max_fields=12, max_part_size=FORM_MOST) as form:
        typed, file = Typed(form), form.get("file")
        name, sheet, data = "", typed.text("sheet"), b""
        if isinstance(file, UploadFile) and file.filename:
            data, name = await file.read(), file.filename
    one = await reader(request, csrf=typed.csrf)
    format_ = _format_of(name, data)
    query = {"format": format_, "sheet": sheet if format_ == "csv" and sheet else None, "name": name[-NAME_CHARS:]}
    begun = await one.ask.ask("POST", "/works/imports", query=query, content=data)
    if not begun.good:
        return await _sheets(one, problem=begun.body, sheet=sheet)
    work = await until_done(one, begun)
    if work["state"] in OPEN:
        return go(page_of(work))
    problem = None
    if work["why"]:
        problem = {"type": "file_refused", "status": HTTPStatus.UNPROCESSABLE_ENTITY, "detail": "", **work["why"]}
    return await _sheets(one, problem=problem, work=work, sheet=sheet)


@router.post("/register/sheets/export")
async def export_sheets(request: Request, typed: Form) -> Response:
    """The register as a file, with a reason: at once where it is made at once, else on the page of the work."""
    one = await reader(request, csrf=typed.csrf)
    format_, sheet = typed.text("format") or "xlsx", typed.maybe("sheet") if typed.text("format") == "csv" else None
    body = {"format": format_, "sheet": sheet, "reason": typed.text("reason")}
    begun = await one.ask.ask("POST", "/works/exports", body=body)
    return await follow(one, begun) if begun.good else await _sheets(one, typed=typed, problem=begun.body)


# Planned ahead


async def _planned(one: Reader, *, state: str = "", after: str = "", **values: Any) -> Response:
    reply = await one.ask.get("/register/planned", state=state or None, limit=50, after=after or None)
    if not reply.good:
        return await nothing(one, reply)
    return await section(
        one,
        "register_planned.html",
        rows=reply.body["items"],
        next=reply.body["next"],
        state=state,
        names=await known(one, "areas"),
        places=await places_by_id(one, (row["about"] for row in reply.body["items"] if row["sort"] != "area")),
        **values,
    )


@router.get("/register/planned")
async def planned(request: Request, state: Text = "", after: Text = "") -> Response:
    """Changes that come, and what became of those before."""
    one = await reader(request)
    return await _planned(one, state=state, after=after, tried=None)


@router.post("/register/planned")
async def plan(request: Request, typed: Form) -> Response:
    """Try who will live where; or plan it."""
    one = await reader(request, csrf=typed.csrf)
    body = {"at": typed.moment("at", one.zone), "place": typed.text("place"), "step": typed.text("step")}
    body |= {name: typed.text(name) for name in ("name", "other") if typed.text(name)}
    trying = typed.text("do") == "try"
    reply = await one.ask.ask(
        "POST", "/register/planned/occupancies", query={"dry_run": "true" if trying else "false"}, body=body
    )
    if reply.good and not trying:
        return go("/register/planned")
    found = {"tried": reply.body} if reply.good else {"tried": None, "problem": reply.body}
    return await _planned(one, typed=typed, **found)


@router.post("/register/planned/{number}/cancel")
async def cancel(request: Request, number: Number, typed: Form) -> Response:
    """Let it not be made."""
    one = await reader(request, csrf=typed.csrf)
    reply = await one.ask.ask(
        "POST", f"/register/planned/{number}/cancel", headers={"If-Match": f'"{typed.text("version")}"'}
    )
    return go("/register/planned") if reply.good else await _planned(one, tried=None, problem=reply.body)


# Installations


async def _installations(one: Reader, *, after: str = "", **values: Any) -> Response:
    reply = await one.ask.get("/installations", limit=SHOWN, after=after or None)
    if not reply.good:
        return await nothing(one, reply)
    windows = await one.ask.get("/installations/windows")
    gateways = await one.ask.get("/gateways")
    opened = windows.body if windows.good else []
    return await section(
        one,
        "register_installations.html",
        rows=reply.body["items"],
        next=reply.body["next"],
        windows=opened,
        places=await places_by_id(one, (row["place"] for row in [*reply.body["items"], *opened])),
        gateways=[row["id"] for row in gateways.body["gateways"]]
        if gateways.good
        else sorted({row["gateway"] for row in reply.body["items"] if row["gateway"]}),
        **values,
    )


@router.get("/register/installations")
async def installations(request: Request, after: Text = "") -> Response:
    """Devices that are not handed over, and what is left to do."""
    return await _installations(await reader(request), after=after)


@router.post("/register/installations")
async def install(request: Request, typed: Form) -> Response:
    """A window, an address read back, a device handed over."""
    one = await reader(request, csrf=typed.csrf)
    unit = typed.text("unit") or "-"
    match typed.text("do"):
        case "window":
            body = {"gateway": typed.text("gateway"), "minutes": typed.number("minutes")}
            body |= {"place": typed.text("place")} if typed.text("place") else {}
            reply = await one.ask.ask("POST", "/installations/windows", body=body)
        case "close":
            reply = await one.ask.ask("POST", f"/installations/windows/{typed.number('number') or 0}/close")
        case "read-back":
            reply = await one.ask.ask(
                "POST", f"/installations/{unit}/read-back", body={"address": typed.text("address")}
            )
        case _:
            reply = await one.ask.ask("POST", f"/installations/{unit}/hand-over")
    return go("/register/installations") if reply.good else await _installations(one, typed=typed, problem=reply.body)


# Public boards, as the community keeps them


async def _boards(one: Reader, **values: Any) -> Response:
    names = await known(one, "areas")
    hung = await one.ask.get("/boards")
    there = {row["grid"] for row in hung.body} if hung.good else set()
    grids = [row for row in names.rows("areas") if row["meaning"] == "grid"]
    return await section(one, "register_boards.html", grids=grids, there=there, names=names, **values)


@router.get("/register/boards")
async def boards(request: Request) -> Response:
    """Which grids have a board."""
    return await _boards(await reader(request))


async def _board(one: Reader, grid: str, *, typed: Typed | None = None, problem: Any = None) -> Response:
    reply = await one.ask.get(f"/boards/{grid}")
    board = reply.body if reply.good else None
    kept: list[tuple[str, ...]] = (
        [(row["name"], row["duty"], row["contact"]) for row in board["entries"]] if board else []
    )
    if typed is not None:
        kept = [tuple(map(str, row)) for row in zip(*(typed.form.getlist(f) for f in _ENTRY), strict=False)]
    return await section(
        one,
        "register_board.html",
        problem=problem,
        grid=grid,
        board=board,
        etag=typed.text("version") if typed else reply.etag or "",
        phone=typed.text("phone") if typed else board["supervision_phone"] if board else "",
        note=typed.text("note") if typed else board["note"] if board else "",
        entries=[*kept, *[("", "", "")] * max(2, 4 - len(kept))],
        names=await known(one, "areas"),
    )


_ENTRY: Final = ("name", "duty", "contact")


@router.get("/register/boards/{grid}")
async def board(request: Request, grid: Id) -> Response:
    """What the board of a grid says."""
    return await _board(await reader(request), grid)


@router.post("/register/boards/{grid}")
async def hang(request: Request, grid: Id, typed: Form) -> Response:
    """Hang it, or change it."""
    one = await reader(request, csrf=typed.csrf)
    rows = [[str(v).strip() for v in row] for row in zip(*(typed.form.getlist(f) for f in _ENTRY), strict=False)]
    body = {
        "supervision_phone": typed.text("phone"),
        "note": typed.text("note"),
        "entries": [dict(zip(_ENTRY, row, strict=True)) for row in rows if any(row)],
    }
    headers = {"If-Match": typed.text("version")} if typed.text("version") else {}
    reply = await one.ask.ask("PUT", f"/boards/{grid}", body=body, headers=headers)
    return go(f"/register/boards/{grid}") if reply.good else await _board(one, grid, typed=typed, problem=reply.body)
