"""Points: the ledger and one entry explained, appeals, suspicions, rankings, grades, rules, months."""

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response

from api.access import anybody
from api.colours.rules import COLOUR_WORDS
from api.console.known import Form, Typed, known, now_of
from api.console.page import Reader, go, reader
from api.console.patrol import Text, status_of

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

WAYS: Final = (
    ("/points", "points.read"),
    ("/points/appeals", "points.decide"),
    ("/points/suspicions", "points.decide"),
    ("/points/ranking", "points.read"),
    ("/points/grades", "points.report"),
    ("/points/cards", "good_card.read"),
    ("/points/comments", "points.comment.read"),
    ("/points/rewards", "reward.read"),
    ("/points/rules", "points.rules"),
    ("/points/months", "points.months"),
)
"""Pages about points, each with the action without which it is not offered."""
MERITS: Final = ("information", "incident", "dispute", "arrest", "hazard", "first_on_scene")
PERIODS: Final = ("day", "week", "month", "year")

Id = Annotated[str, Path(pattern=r"^[0-9A-Za-z_:.-]{1,64}$")]
Yes = Annotated[bool, Query()]


async def points_page(one: Reader, template: str, *, status: int = HTTPStatus.OK, **values: object) -> Response:
    """A page about points, with the ways to the others."""
    ways = [where for where, action in WAYS if one.may(action)]
    return await one.page(template, status=status, points_ways=ways, colour_words=COLOUR_WORDS, **values)


async def nothing(one: Reader, reply: Any) -> Response:
    """What was asked for is not there, or not his to see."""
    return await points_page(one, "points_nothing.html", status=reply.status, problem=reply.body)


def today(one: Reader) -> str:
    """The civil day."""
    return now_of(one).astimezone(one.zone).date().isoformat()


# The ledger


async def _ledger(one: Reader, asked: Typed, *, typed: Typed | None = None, problem: Any = None) -> Response:
    guard, rule = asked.maybe("guard"), asked.maybe("rule")
    reply = await one.ask.get("/points/entries", guard=guard, rule=rule, limit=50, after=asked.maybe("after"))
    balance = await one.ask.get(f"/points/guards/{guard}") if guard else None
    rules = await one.ask.get("/points/rules")
    return await points_page(
        one,
        "points_ledger.html",
        status=status_of(problem) if reply.good else reply.status,
        problem=problem if reply.good else reply.body,
        entries=reply.body["items"] if reply.good else [],
        next=reply.body["next"] if reply.good else None,
        guard=guard or "",
        rule=rule or "",
        rules=rules.body["rules"] if rules.good else [],
        balance=balance.body if balance is not None and balance.good else None,
        called=await known(one, "guards", "companies"),
        merits=MERITS,
        typed=typed or Typed(),
    )


@router.get("/points")
async def ledger(request: Request) -> Response:
    """Entries, newest first."""
    return await _ledger(await reader(request), Typed(request.query_params))


@router.post("/points")
async def enter_merit(request: Request, typed: Form) -> Response:
    """A merit that was verified."""
    one = await reader(request, csrf=typed.csrf)
    body: dict[str, Any] = {
        "what": typed.text("what"),
        "guard": typed.text("guard"),
        "reference": typed.text("reference"),
        "occurred": typed.moment("occurred", one.zone),
    }
    if typed.text("points"):
        body["points_tenths"] = typed.tenths("points")
    reply = await one.ask.ask("POST", "/points/merits", body=body)
    if reply.good:
        return go(f"/points?guard={typed.text('guard')}")
    return await _ledger(one, Typed(), typed=typed, problem=reply.body)


async def _entry(one: Reader, id_: str, *, typed: Typed | None = None, problem: Any = None) -> Response:
    reply = await one.ask.get(f"/points/entries/{id_}")
    if not reply.good:
        return await nothing(one, reply)
    return await points_page(
        one,
        "points_entry.html",
        status=status_of(problem),
        explained=reply.body,
        entry=reply.body["entry"],
        called=await known(one, "guards", "companies", "areas"),
        typed=typed or Typed(),
        problem=problem,
    )


@router.get("/points/entries/{entry}")
async def entry(request: Request, entry: Id) -> Response:
    """One entry: its rule, its evidence, what would have changed it, what was done about it."""
    return await _entry(await reader(request), entry)


@router.post("/points/entries/{entry}/appeal")
async def appeal(request: Request, entry: Id, typed: Form) -> Response:
    """By the guard or his company."""
    one = await reader(request, csrf=typed.csrf)
    reply = await one.ask.ask("POST", f"/points/entries/{entry}/appeal", body={"words": typed.text("words")})
    return go(f"/points/entries/{entry}") if reply.good else await _entry(one, entry, typed=typed, problem=reply.body)


@router.post("/points/entries/{entry}/decision")
async def decide(request: Request, entry: Id, typed: Form) -> Response:
    """Uphold or reject an appeal."""
    one = await reader(request, csrf=typed.csrf)
    body = {"yes": typed.text("yes") == "1", "words": typed.text("words")}
    reply = await one.ask.ask("POST", f"/points/entries/{entry}/decision", body=body)
    return go(f"/points/entries/{entry}") if reply.good else await _entry(one, entry, typed=typed, problem=reply.body)


@router.get("/points/appeals")
async def appeals(request: Request, after: Text = "") -> Response:
    """Appeals that wait for a decision."""
    one = await reader(request)
    reply = await one.ask.get("/points/entries", appealed="true", limit=50, after=after or None)
    return await points_page(
        one,
        "points_appeals.html",
        status=reply.status,
        problem=None if reply.good else reply.body,
        entries=reply.body["items"] if reply.good else [],
        next=reply.body["next"] if reply.good else None,
        called=await known(one, "guards", "companies"),
    )


# What is suspected


async def _suspicions(
    one: Reader, *, after: str = "", about: str = "", typed: Typed | None = None, problem: Any = None
) -> Response:
    reply = await one.ask.get("/points/flags", limit=50, after=after or None)
    return await points_page(
        one,
        "points_suspicions.html",
        status=status_of(problem) if reply.good else reply.status,
        problem=problem if reply.good else reply.body,
        flags=sorted(reply.body["items"] if reply.good else [], key=lambda flag: flag["state"] != "open"),
        next=reply.body["next"] if reply.good else None,
        called=await known(one, "guards", "companies"),
        about=about,
        typed=typed or Typed(),
    )


@router.get("/points/suspicions")
async def suspicions(request: Request, after: Text = "") -> Response:
    """What the machine suspects and does not punish."""
    return await _suspicions(await reader(request), after=after)


@router.post("/points/suspicions/{flag}")
async def settle(request: Request, flag: Id, typed: Form) -> Response:
    """Confirm it, or dismiss it."""
    one = await reader(request, csrf=typed.csrf)
    body = {"yes": typed.text("yes") == "1", "words": typed.text("words")}
    reply = await one.ask.ask("POST", f"/points/flags/{flag}/decision", body=body)
    if reply.good:
        return go("/points/suspicions")
    return await _suspicions(one, about=flag, typed=typed, problem=reply.body)


# How guards and companies stand


@router.get("/points/ranking")
async def ranking(request: Request) -> Response:
    """Guards of a class, by rate."""
    one = await reader(request)
    asked = Typed(request.query_params)
    area, day = asked.text("area") or one.station.settings.station, asked.text("day") or today(one)
    period = asked.text("period") or "month"
    night = asked.text("night") == "1"
    reply = await one.ask.get(
        f"/points/ranking/{area}", day=day, period=period, colour=asked.maybe("colour"), night=str(night).lower()
    )
    return await points_page(
        one,
        "points_ranking.html",
        status=reply.status,
        problem=None if reply.good else reply.body,
        ranking=reply.body if reply.good else None,
        called=await known(one, "guards", "companies", "areas"),
        area=area,
        day=day,
        period=period,
        periods=PERIODS,
        colour=asked.text("colour"),
        night=night,
    )


@router.get("/points/grades")
async def grades(request: Request, day: Text = "") -> Response:
    """Each company on one row."""
    one = await reader(request)
    day = day or today(one)
    names = await known(one, "companies", "areas")
    ids = [row["id"] for row in names.rows("companies")] or [
        grant["scope"] for grant in one.who["grants"] if grant["role"] == "guard_company"
    ]
    found, problem = [], None
    for id_ in ids:
        reply = await one.ask.get(f"/points/companies/{id_}/grade", day=day)
        if reply.good:
            found.append(reply.body)
        elif reply.status == HTTPStatus.UNPROCESSABLE_ENTITY:
            problem = reply.body
    order = "ABCD"
    found.sort(key=lambda row: (order.find(row["grade"]), -row["left_tenths"]))
    return await points_page(
        one, "points_grades.html", status=status_of(problem), companies=found, day=day, called=names, problem=problem
    )


# Rules and months


async def _rules(one: Reader, *, typed: Typed | None = None, tried: Any = None, problem: Any = None) -> Response:
    reply = await one.ask.get("/points/rules")
    if not reply.good:
        return await nothing(one, reply)
    typed = typed or Typed()
    return await points_page(
        one,
        "points_rules.html",
        status=status_of(problem),
        rules=reply.body,
        etag=reply.etag,
        tried=tried,
        typed=typed,
        text=typed.text("text") or reply.body["text"],
        problem=problem,
        called=await known(one, "guards", "companies"),
    )


@router.get("/points/rules")
async def rules(request: Request) -> Response:
    """What is worth what."""
    return await _rules(await reader(request))


@router.post("/points/rules")
async def try_rules(request: Request, typed: Form) -> Response:
    """Try rules on the past; or switch on what was tried."""
    one = await reader(request, csrf=typed.csrf)
    text = typed.text("text").replace("\r\n", "\n") + "\n"
    if typed.text("do") == "switch":
        body = {"text": text, "month": typed.text("month"), "reason": typed.text("reason")}
        reply = await one.ask.ask("PUT", "/points/rules", body=body, headers={"If-Match": typed.text("etag")})
        return go("/points/rules") if reply.good else await _rules(one, typed=typed, problem=reply.body)
    reply = await one.ask.ask(
        "POST",
        "/points/rules/simulation",
        body={"text": text, "begins": typed.moment("begins", one.zone), "ends": typed.moment("ends", one.zone)},
    )
    if reply.good:
        return await _rules(one, typed=typed, tried=reply.body)
    return await _rules(one, typed=typed, problem=reply.body)


async def _months(one: Reader, *, month: str = "", problem: Any = None) -> Response:
    found = await one.ask.get("/points/months")
    return await points_page(
        one,
        "points_months.html",
        status=status_of(problem) if found.good else found.status,
        problem=problem if found.good else found.body,
        months=found.body["items"] if found.good else [],
        month=month,
        called=await known(one, "areas"),
        day=today(one),
    )


@router.get("/points/months")
async def months(request: Request) -> Response:
    """Closed months, each with its digest."""
    return await _months(await reader(request))


@router.post("/points/months")
async def close(request: Request, typed: Form) -> Response:
    """Close a month for good."""
    one = await reader(request, csrf=typed.csrf)
    month = typed.text("month")
    reply = await one.ask.ask("POST", f"/points/months/{month or '-'}/closing")
    return go("/points/months") if reply.good else await _months(one, month=month, problem=reply.body)
