"""What a county centre and a wall look at: who waits now, how stations answer, what is lost."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response

from api.access import anybody
from api.console.known import Form, Known, Typed, every, known, local, now_of
from api.console.page import Reader, go, reader
from api.console.reports import CARDS, PERIODS, own_area
from api.console.rules import in_order, light, on_the_wall, rank_of
from api.reports.rules import MEASURE_WORDS
from broker.kinds import KIND_WORDS

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

LOST: Final = "gateway_offline"
COMMENTS_LOOKED_AT: Final = 100
URGED_MIN: Final = 30
WAITING_ROWS: Final = 100
"""Of a storm the most urgent; the desk has them all."""
WALL_PAGES: Final = 25
"""Of 200 alarms each: what a wall counts of a day."""
WALL_ROWS: Final = 8

Id = Annotated[str, Path(pattern=r"^[0-9a-f-]{1,64}$")]
Text = Annotated[str, Query(max_length=256)]


def lies_in(called: Known, group: str | None) -> str:
    """Where a group lies, from the outside in, as far as the reader may know its areas."""
    names: list[str] = []
    while group is not None and len(names) < 3:
        row = called.of["areas"].get(group)
        if row is None:
            break
        names.insert(0, str(row["name"] or row["id"]))
        group = row["parent"]
    return " · ".join(names)


def lasted(row: Mapping[str, Any], until: str) -> int | None:
    """Milliseconds from when an alarm was received."""
    if row[until] is None:
        return None
    spent = datetime.fromisoformat(row[until]) - datetime.fromisoformat(row["received"])
    return round(spent.total_seconds() * 1_000)


async def _lost(one: Reader) -> list[Any]:
    """Gateways that cannot be reached, as faults: those of one's own areas."""
    found: list[Any] = []
    cursor: str | None = None
    while len(found) < COMMENTS_LOOKED_AT:
        reply = await one.ask.get("/faults", limit=200, after=cursor)
        if not reply.good:
            return found
        found += [row for row in reply.body["faults"] if row["code"] == LOST and row["there"]]
        cursor = reply.body["next"]
        if cursor is None:
            break
    return found


async def _now(one: Reader, typed: Typed, problem: Any = None, about: str = "") -> dict[str, Any]:
    """What changes while somebody looks. `problem`: of a form about one alarm, with what was typed into it."""
    alarms = in_order(await every(one, "/alarms", open="true"))
    waiting = [row for row in alarms if light(row["state"]) == "sent" and row["mark"] is None]
    called = await known(one, "areas")
    return {
        "called": called,
        "waiting": waiting[:WAITING_ROWS],
        "many": len(waiting),
        "urged": sorted((row for row in alarms if row["due"] is not None), key=lambda row: str(row["due"])),
        "open": sum(row["mark"] is None for row in alarms),
        "lost": await _lost(one) if one.may("fault.read") else None,
        "lies_in": lambda group: lies_in(called, group),
        "now": now_of(one).isoformat(),
        "typed": {
            "due": typed.text("due") or local(now_of(one) + timedelta(minutes=URGED_MIN), one.zone),
            "reason": typed.text("reason"),
        },
        "problem": problem,
        "about": about,
    }


async def _comments(one: Reader) -> list[Any]:
    """The newest published weekly comment of each area."""
    if not one.may("points.comment.read"):
        return []
    reply = await one.ask.get("/points/kept-comments", limit=COMMENTS_LOOKED_AT)
    newest: dict[str, Any] = {}
    for row in reply.body["items"] if reply.good else ():
        if row["period"] == "week" and row["published"] and row["corrected_by"] is None:
            newest.setdefault(row["area"], row)
    return list(newest.values())


async def _county(
    one: Reader, typed: Typed, *, period: str = "", cards: str = "", problem: Any = None, about: str = ""
) -> Response:
    period = period if period in PERIODS else "week"
    area = own_area(one, "command_centre", "township")
    day = now_of(one).astimezone(one.zone).date().isoformat()
    cards = cards if cards in CARDS else "community"
    report = await one.ask.get(f"/reports/{area}/alarms", day=day, period=period)
    carded = await one.ask.get(f"/reports/{area}/cards", day=day, period=period, whose=cards)
    now = await _now(one, typed, problem, about)
    below = report.body["below"] if report.good else {}
    return await one.page(
        "county.html",
        status=int(problem["status"]) if problem else 200,
        area=area,
        period=period,
        periods=PERIODS,
        cards=cards,
        whose=CARDS,
        whole=report.body["figures"] if report.good else None,
        below=sorted(below.items(), key=lambda row: (-row[1]["alarms"], now["called"]("areas", row[0]))),
        carded=carded.body["cards"] if carded.good else [],
        comments=await _comments(one),
        measure_words=MEASURE_WORDS,
        **now,
    )


@router.get("/county")
async def county(request: Request, period: Text = "", cards: Text = "") -> Response:
    """Everything on one page."""
    return await _county(await reader(request), Typed(), period=period, cards=cards)


@router.get("/county/now")
async def county_again(request: Request) -> Response:
    """What waits now, alone."""
    one = await reader(request)
    return await one.page("county_now.html", **await _now(one, Typed()))


@router.post("/county/alarms/{alarm}/urge")
async def urge(request: Request, alarm: Id, typed: Form) -> Response:
    """督办: said with a deadline, and heard by whoever has the alarm."""
    one = await reader(request, csrf=typed.csrf)
    body = {"due": typed.moment("due", one.zone), "reason": typed.text("reason")}
    reply = await one.ask.ask("POST", f"/alarms/{alarm}/urge", body=body)
    return go("/county") if reply.good else await _county(one, typed, problem=reply.body, about=alarm)


async def _today(one: Reader) -> list[Any]:
    """Alarms of today as the reader sees them, and those that are open from before."""
    midnight = now_of(one).astimezone(one.zone).replace(hour=0, minute=0, second=0, microsecond=0)
    found = {row["id"]: row for row in await every(one, "/alarms", open="true")}
    cursor: str | None = None
    for _ in range(WALL_PAGES):
        reply = await one.ask.get("/alarms", limit=200, after=cursor)
        if not reply.good:
            break
        new = [row for row in reply.body["items"] if datetime.fromisoformat(row["received"]) >= midnight]
        found |= {row["id"]: row for row in new}
        cursor = reply.body["next"]
        if cursor is None or len(new) < len(reply.body["items"]):
            break
    return list(found.values())


async def _wall(one: Reader) -> dict[str, Any]:
    now = now_of(one)
    today: date = now.astimezone(one.zone).date()
    alarms = on_the_wall(await _today(one))
    called = await known(one, "areas") if one.may("register.read") else Known({"areas": {}})
    came = [row for row in alarms if datetime.fromisoformat(row["received"]).astimezone(one.zone).date() == today]
    waiting = sorted((row for row in alarms if light(row["state"]) == "sent"), key=lambda row: str(row["received"]))
    taken = [spent for row in came if (spent := lasted(row, "acknowledged")) is not None]
    there = [spent for row in came if (spent := lasted(row, "on_scene")) is not None]
    area = own_area(one)
    ready = await one.ask.get(f"/reports/{area}/installation") if one.may("report.read") else None
    kinds = [(kind, sum(row["kind"] == kind for row in came)) for kind in KIND_WORDS]
    return {
        "waiting": waiting[:WALL_ROWS],
        "more": max(0, len(waiting) - WALL_ROWS),
        "many": len(waiting),
        "handled": sum(light(row["state"]) == "seen" for row in alarms),
        "came": len(came),
        "closed": sum(light(row["state"]) == "back" for row in came),
        "kinds": [(kind.value, many) for kind, many in kinds if many],
        "kind_words": KIND_WORDS,
        "taken": (rank_of(taken, 50), rank_of(taken, 90)),
        "there": (rank_of(there, 50), rank_of(there, 90)),
        "lost": len(await _lost(one)) if one.may("fault.read") else None,
        "ready": ready.body if ready is not None and ready.good else None,
        "lies_in": lambda group: lies_in(Known({"areas": _above(called)}), _parent(called, group)),
        "station_name": called("areas", one.station.settings.station),
        "now": now.isoformat(),
    }


def _above(called: Known) -> dict[str, Mapping[str, Any]]:
    """Areas without groups: a group is a few doors."""
    return {id_: row for id_, row in called.of["areas"].items() if row["meaning"] != "group"}


def _parent(called: Known, group: str | None) -> str | None:
    row = called.of["areas"].get(group or "")
    return None if row is None else row["parent"]


@router.get("/wall")
async def wall(request: Request) -> Response:
    """Large figures for everybody in the room."""
    one = await reader(request)
    return await one.page("wall.html", **await _wall(one))


@router.get("/wall/now")
async def wall_again(request: Request) -> Response:
    """The figures alone."""
    one = await reader(request)
    return await one.page("wall_now.html", **await _wall(one))
