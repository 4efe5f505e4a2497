"""One alarm: what is known of it, what was done and when, and what whoever reads it may do about it."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final

from anyio import create_task_group
from fastapi import APIRouter, Path, Query, Request, Response
from starlette.datastructures import FormData, UploadFile

from api.access import anybody
from api.alarms.attaching import MOST
from api.alarms.schemas import HIMSELF_WORDS, OUTCOME_WORDS
from api.bodies import JSON_MOST, holds
from api.console import acts
from api.console.interface import Reply
from api.console.known import every, known
from api.console.page import Reader, go, reader
from api.console.rules import may_be_help
from api.console.story import results_of_calls, since_then, story
from broker.kinds import ANSWER_WORDS, KIND_WORDS, Words

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

Id = Annotated[str, Path(pattern=r"^[0-9a-f-]{1,64}$")]
Name = Annotated[str, Path(pattern=r"^[a-z-]{1,24}$")]
EARLIER: Final = 6
OUTLINES: Final = 3
"""Areas around a place, from its group outward."""
NEAR: Final = 5
AUDIT: Final = 100
RECEIVERS: Final = ("community", "township", "station", "command", "county")
"""What an alarm is given to, of the areas that the reader reaches; any other is typed."""
ON_DUTY: Final = ("duty_officer", "officer", "duty_leader", "grid_worker")


class _Asking:
    """Questions that are asked at the same time; what could not be answered is left out."""

    def __init__(self, one: Reader) -> None:
        self._one = one
        self._asked: dict[str, tuple[str, dict[str, object]]] = {}

    def add(self, name: str, path: str, right: str, **query: object) -> None:
        """Ask, if the reader may."""
        if self._one.may(right):
            self._asked[name] = (path, query)

    async def answered(self) -> dict[str, Any]:
        """The bodies of what was answered well."""
        found: dict[str, Any] = {}

        async def ask(name: str, path: str, query: Mapping[str, object]) -> None:
            reply = await self._one.ask.get(path, **query)
            if reply.good:
                found[name] = reply.body

        async with create_task_group() as together:
            for name, (path, query) in self._asked.items():
                together.start_soon(ask, name, path, query)
        return found


async def _known(one: Reader, alarm: Mapping[str, Any], *, acting: bool) -> dict[str, Any]:
    """All that a page of this alarm shows. `acting`: with whom to call and whom to send, which is written down."""
    path = f"/alarms/{alarm['id']}"
    forms = acts.offered(alarm, may=one.may)
    asking = _Asking(one)
    asking.add("deadlines", f"{path}/deadlines", "escalation.read")
    asking.add("orders", f"{path}/orders", "order.give")
    if may_be_help(alarm):
        asking.add("help", f"/help-calls/{alarm['id']}", "help.read")
    if alarm["place"] is not None:
        asking.add("place", f"/register/places/{alarm['place']}", "register.read")
        asking.add("earlier", "/alarms", "alarm.read", place=alarm["place"], limit=EARLIER + 1)
    if alarm["incident"] is not None:
        asking.add("incident", f"{path}/incident", "alarm.read")
    if acting:
        if not alarm["do_not_call"]:
            asking.add("contacts", f"{path}/contacts", "alarm.handle")
        if "order" in forms:
            asking.add("near", f"{path}/nearest-guards", "order.give")
        if "link" in forms:
            asking.add("nearby", f"{path}/nearby", "alarm.handle")
        if "dispatch" in forms:
            asking.add("teams", "/register/teams", "register.team.read", limit=200)
            for role in ON_DUTY:
                area = alarm["group"] or one.station.settings.station
                asking.add(f"duty_{role}", "/duty/now", "duty.read", role=role, area=area)
        if forms & {"transfer", "joint", "report-up"}:
            for meaning in RECEIVERS:
                asking.add(f"areas_{meaning}", "/register/areas", "register.read", meaning=meaning, limit=200)
    found = await asking.answered()
    orders = found.get("orders", {"items": []})["items"]
    near = found.get("near")
    areas = [area for meaning in RECEIVERS for area in found.get(f"areas_{meaning}", {"items": []})["items"]]
    duty = {person["by"]: person for role in ON_DUTY for person in found.get(f"duty_{role}", {"people": []})["people"]}
    return {
        "alarm": alarm,
        "forms": forms,
        "more": forms & acts.SELDOM,
        "open_form": acts.next_of(alarm, forms),
        "acting": acting,
        "place": found.get("place"),
        "help": found.get("help"),
        "contacts": found.get("contacts"),
        "calls": results_of_calls(alarm["steps"]),
        "orders": orders,
        "near": near,
        "earlier": [other for other in found.get("earlier", {"items": []})["items"] if other["id"] != alarm["id"]],
        "incident": [other for other in found.get("incident", {"alarms": []})["alarms"] if other["id"] != alarm["id"]],
        "nearby": found.get("nearby", {"items": []})["items"],
        "teams": found.get("teams", {"items": []})["items"],
        "duty": [*duty.values()],
        "areas": areas,
        "deadlines": found.get("deadlines", {"items": []})["items"],
        "hops": story(alarm, orders, found.get("deadlines", {"items": []})["items"]),
        "named": {person["by"]: person["name"] or person["by"] for person in alarm["people"]}
        | {person["by"]: person["name"] or person["by"] for person in duty.values()},
        "guards": _guards(orders, near),
        "area_names": {area["id"]: area["name"] or area["id"] for area in areas},
        "outcomes": acts.outcomes(alarm),
        "kinds": [kind.value for kind in acts.KINDS if kind.value != alarm["kind"]],
        "outcome_choices": _choices(one, {outcome.value: OUTCOME_WORDS[outcome] for outcome in acts.outcomes(alarm)}),
        "kind_words": {kind.value: _both(words) for kind, words in KIND_WORDS.items()},
        "outcome_words": {outcome.value: _both(words) for outcome, words in OUTCOME_WORDS.items()},
        "answer_words": {answer.value: _both(words) for answer, words in ANSWER_WORDS.items()},
        "most": MOST,
        "problem": None,
        "did": None,
        "typed": {},
        "meanwhile": (),
    }


def _both(words: Words) -> dict[str, str]:
    return {"zh": words.zh, "en": words.en}


def _choices(one: Reader, options: Mapping[str, Words]) -> list[tuple[str, str]]:
    return [(value, _both(words)[one.language]) for value, words in options.items()]


def _guards(orders: list[Any], near: Any) -> dict[str, str]:
    known = [*orders, *(one["near"] for one in ([] if near is None else near["items"]))]
    return {
        one["guard"]: " ".join(part for part in (one["service_number"], one["name"]) if part) or one["guard"]
        for one in known
    }


async def _show(one: Reader, alarm: str, *, status: int = HTTPStatus.OK, **more: object) -> Response:
    """The whole page, or what of it changes where a script asks."""
    reply = await one.ask.get(f"/alarms/{alarm}")
    piece = "hx-request" in one.request.headers
    if not reply.good:
        gone = HTTPStatus.OK if piece else HTTPStatus.NOT_FOUND
        return await one.page("alarm_gone_piece.html" if piece else "alarm_gone.html", status=gone)
    values = await _known(one, reply.body, acting=True)
    template = "alarm_piece.html" if piece else "alarm.html"
    around = {} if piece else await _around(one, values)
    return await one.page(template, status=HTTPStatus.OK if piece else status, **{**values, **around, **more})


async def _around(one: Reader, values: Mapping[str, Any]) -> dict[str, Any]:
    """What the small plan shows: the place, the areas in which it lies, and where the nearest guards were seen last."""
    alarm, place = values["alarm"], values["place"]
    spot = None
    if alarm["position"] is not None:
        spot = [alarm["position"]["lat"], alarm["position"]["lon"]]
    elif place is not None and place["latitude"] is not None:
        spot = [place["latitude"], place["longitude"]]
    areas, within = await known(one, "areas"), []
    inner = areas.of["areas"].get(alarm["group"] or "")
    while inner is not None and inner not in within:
        within.append(inner)
        inner = areas.of["areas"].get(inner["parent"] or inner["police_parent"] or "")
    outlines = [
        {"name": area["name"] or area["id"], "outline": [[north, east] for east, north in area["outline"]]}
        for area in within[:OUTLINES]
        if area["outline"]
    ]
    return {
        "spot": spot,
        "outlines": json.dumps(outlines, ensure_ascii=False),
        "seen_at": [] if spot is None or values["near"] is None else await _seen(one, values["near"]["items"]),
    }


async def _seen(one: Reader, near: list[Any]) -> list[dict[str, Any]]:
    """Where guards were seen last, as far as the register has a position: point, time and place of it."""
    points = {row["id"]: row for row in await every(one, "/checkpoints")}
    found = []
    for guard in near[:NEAR]:
        row = points.get(guard["near"]["point"])
        reply = await one.ask.get(f"/register/places/{row['place']}") if row is not None and row["place"] else None
        if reply is not None and reply.good and reply.body["latitude"] is not None:
            spot = [reply.body["latitude"], reply.body["longitude"]]
            found.append({"guard": guard["near"]["guard"], "at": guard["near"]["seen"], "spot": spot})
    return found


@router.get("/alarms/{alarm}/audit")
async def audit(request: Request, alarm: Id, after: Annotated[str, Query(max_length=64)] = "") -> Response:
    """Who looked at it and who did what, newest first."""
    one = await reader(request)
    found = await one.ask.get(f"/alarms/{alarm}")
    if not found.good:
        return await one.page("alarm_gone.html", status=HTTPStatus.NOT_FOUND)
    id_ = found.body["id"]
    reply = await one.ask.get("/audit", about=f"alarm:{id_}", limit=AUDIT, after=after or None)
    himself = {f"alarm.{action}": {"words": {"zh": said.zh, "en": said.en}} for action, said in HIMSELF_WORDS.items()}
    if not may_be_help(found.body):
        himself = {}
    return await one.page(
        "alarm_audit.html",
        status=reply.status,
        alarm=found.body,
        rows=[row | himself.get(row["action"], {}) for row in reply.body["items"]] if reply.good else [],
        next=reply.body["next"] if reply.good else None,
        problem=None if reply.good else reply.body,
    )


@router.get("/alarms/{alarm}")
async def alarm_page(request: Request, alarm: Id) -> Response:
    """What is known of it, and what may be done."""
    return await _show(await reader(request), alarm)


@router.get("/alarms/{alarm}/now")
async def alarm_now(request: Request, alarm: Id) -> Response:
    """What changes by itself: without telephones and guards, of which every look is written down."""
    one = await reader(request)
    reply = await one.ask.get(f"/alarms/{alarm}")
    if not reply.good:
        return await one.page("alarm_gone_piece.html")
    return await one.page("alarm_now.html", **await _known(one, reply.body, acting=False))


def _strings(form: FormData) -> dict[str, list[str]]:
    return {name: [value for value in form.getlist(name) if isinstance(value, str)] for name in form}


def _first(form: Mapping[str, list[str]], name: str) -> str:
    return next(iter(form.get(name, [])), "")


@router.post("/alarms/{alarm}/do/{name}")
async def act_on(request: Request, alarm: Id, name: Name) -> Response:
    """Send one form on; what was wrong stands beside it, with what was typed."""
    form = _strings(await request.form(max_fields=200))
    one = await reader(request, csrf=_first(form, "csrf"))
    act = acts.ACTS.get(name)
    if act is None:
        return await one.page("alarm_gone.html", status=HTTPStatus.NOT_FOUND)
    before = await one.ask.get(f"/alarms/{alarm}")
    if not before.good:
        return await _show(one, alarm)
    reply, meanwhile = await _send(one, act, before, form)
    if reply.good and "hx-request" not in request.headers:
        return go(f"/alarms/{alarm}")
    if reply.good:
        return await _show(one, alarm, did=name)
    typed = {field: values for field, values in form.items() if field != "csrf"}
    return await _show(
        one, alarm, status=reply.status, problem=_with_status(reply), did=name, typed=typed, open_form=name,
        meanwhile=meanwhile,
    )  # fmt: skip


async def _send(
    one: Reader, act: acts.Act, before: Reply, form: Mapping[str, list[str]]
) -> tuple[Reply, tuple[Mapping[str, Any], ...]]:
    """Send it. Where others did something meanwhile that takes nothing away from it, it is done all the same."""
    alarm = before.body
    number = _first(form, "order")
    path = act.path.format(alarm=alarm["id"], place=alarm["place"], number=number if number.isdigit() else 0)
    body = acts.body_of(act, form, one.zone)
    version = _first(form, "version") if act.versioned else ""
    seen = _first(form, "seen")
    meanwhile = since_then(alarm["steps"], int(seen) if seen.isdigit() else len(alarm["steps"]))
    if version and before.etag is not None and all(step["action"] in acts.HARMLESS for step in meanwhile):
        version = before.etag.strip('"')
    headers = {"If-Match": f'"{version}"'} if version.isdigit() else {}
    return await one.ask.ask("POST", path, body=body, headers=headers), tuple(meanwhile)


def _with_status(reply: Reply) -> dict[str, Any]:
    said = reply.body if isinstance(reply.body, dict) else {}
    return {"status": reply.status, "type": "", "title": "", "detail": ""} | said


@router.post("/alarms/{alarm}/attach", openapi_extra=holds(MOST + JSON_MOST))
async def attach(request: Request, alarm: Id) -> Response:
    """A file that belongs to it."""
    async with request.form(max_files=1, max_fields=10) as form:
        csrf, file = _first(_strings(form), "csrf"), form.get("file")
        content, name = (b"", "") if not isinstance(file, UploadFile) else (await file.read(), file.filename or "")
    one = await reader(request, csrf=csrf)
    reply = await one.ask.ask("POST", f"/alarms/{alarm}/attachments", query={"name": name[:200]}, content=content)
    if reply.good and "hx-request" not in request.headers:
        return go(f"/alarms/{alarm}")
    problem = None if reply.good else _with_status(reply)
    return await _show(one, alarm, status=reply.status if problem else HTTPStatus.OK, problem=problem, did="attach")
