"""Figures of a day, a week, a month and a year: plots, and beside each the same numbers as a table."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from api.access import anybody
from api.colours.rules import COLOUR_WORDS
from api.console.interface import Reply
from api.console.known import Form, every, known, now_of
from api.console.page import Reader, go, reader
from api.console.works import follow
from api.reports.rules import MEASURE_WORDS, Period
from api.reports.schemas import Whose
from broker.ids import EVENT_ID
from broker.kinds import KIND_WORDS

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

PERIODS: Final = tuple(one.value for one in Period)
CARDS: Final = (Whose.GRID.value, Whose.COMMUNITY.value, Whose.STATION.value)
"""Whose scorecards a page shows. Single officers' are in the files, for whoever leads."""
SHARES: Final = ("acknowledged_on_time", "closed", "closed_on_time", "valid_alarms", "false_alarms", "followed_up")
COVERAGE_MOST: Final = timedelta(days=31)
AREAS_MOST: Final = 60
PLACES_MOST: Final = 20

Text = Annotated[str, Query(max_length=256)]


def own_area(one: Reader, *roles: str) -> str:
    """The area over which he has his role; of several, the first."""
    scopes = [str(grant["scope"]) for grant in one.who["grants"] if grant["scope"]]
    preferred = [str(grant["scope"]) for grant in one.who["grants"] if grant["scope"] and grant["role"] in roles]
    return next(iter((*preferred, *scopes)), one.station.settings.station)


def days_of(period: str, begins: date, ends: date) -> list[tuple[date, str, str]]:
    """Into which pieces a time is cut to show how it went: a day of each, its period, and what it is called."""
    if period == Period.DAY:
        begins = ends - timedelta(days=7)
    days = [begins + timedelta(days=nth) for nth in range((ends - begins).days)]
    return [(day, Period.DAY.value, f"{day:%m-%d}") for day in days]


def plot(labels: Sequence[str], *series: tuple[str, Sequence[float | None]], unit: str = "") -> str:
    """What static/plots.js draws."""
    shown = [{"label": label, "values": list(values)} for label, values in series]
    return json.dumps({"labels": list(labels), "series": shown, "unit": unit}, ensure_ascii=False)


def seconds(milliseconds: int | None) -> float | None:
    """As a plot shows it."""
    return None if milliseconds is None else round(milliseconds / 1_000, 1)


def by_colour(areas: Iterable[tuple[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Coverage of areas, each with its colour, put together by colour: the mean of what is known."""
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for colour, covered in areas:
        found[colour].append(covered)
    rows = []
    for colour in COLOUR_WORDS:
        some = found.get(colour, [])
        known_ = [float(row["compliance"]) for row in some if row["compliance"] is not None]
        if some:
            rows.append(
                {
                    "colour": str(colour),
                    "areas": len(some),
                    "compliance": sum(known_) / len(known_) if known_ else None,
                    "passes": sum(row["passes"] for row in some),
                    "gaps": sum(len(row["gaps"]) for row in some),
                }
            )
    return rows


async def _coverage(one: Reader, begins: datetime, ends: datetime) -> list[dict[str, Any]]:
    """For how much of the time areas of each colour were passed as often as it asks."""
    if not one.may("track.coverage") or begins >= ends:
        return []
    found = []
    for row in [row for row in await every(one, "/colours") if row["decided"]][:AREAS_MOST]:
        reply = await one.ask.get(f"/areas/{row['area']}/coverage", begins=begins.isoformat(), ends=ends.isoformat())
        if reply.good:
            found.append((str(row["colour"]), reply.body))
    return by_colour(found)


async def _points(one: Reader, area: str, period: str, begins: date, ends: date) -> list[dict[str, Any]]:
    """Points earned and lost, piece by piece, up to now; in tenths."""
    if not one.may("points.report"):
        return []
    rows = []
    today = now_of(one).astimezone(one.zone).date()
    for day, piece, label in days_of(period, begins, ends):
        if day > today:
            break
        reply = await one.ask.get(f"/points/reports/{area}", day=day.isoformat(), period=piece)
        if not reply.good:
            return []
        sums = reply.body["guards"]
        row = {name: sum(each[name] for each in sums) for name in ("earned", "lost", "reversed", "total")}
        rows.append({"label": label, **row})
    return rows


async def _repeated(one: Reader, places: Mapping[str, int]) -> list[dict[str, Any]]:
    """Places that raised more than one alarm, as neighbours' screens call them."""
    rows = []
    for place, times in sorted(places.items(), key=lambda row: (-row[1], row[0]))[:PLACES_MOST]:
        reply = await one.ask.get(f"/register/places/{place}")
        rows.append({"place": place, "times": times, "of": reply.body if reply.good else None})
    return rows


async def _read(one: Reader, area: str, period: str, day: str, cards: str) -> tuple[Reply, list[Any]]:
    """Figures of a time, and scorecards."""
    reply = await one.ask.get(f"/reports/{area or '-'}/alarms", day=day, period=period)
    if not reply.good:
        return reply, []
    carded = await one.ask.get(f"/reports/{area}/cards", day=day, period=period, whose=cards)
    return reply, carded.body["cards"] if carded.good else []


@router.post("/reports")
async def choose(request: Request, typed: Form) -> Response:
    """Another area or time: a year is reckoned beside the request, all else when it is looked at."""
    one = await reader(request, csrf=typed.csrf)
    asked = {name: typed.text(name) for name in ("area", "period", "day", "cards")}
    if asked["period"] != Period.YEAR:
        return go(f"/reports?{urlencode(asked)}")
    begun = await one.ask.ask("POST", "/works/year-reports", body={"area": asked["area"], "day": asked["day"]})
    return await follow(one, begun) if begun.good else await _reports(one, **asked, problem=begun)


@router.get("/reports")
async def reports(  # noqa: PLR0917 - parameters of HTTP
    request: Request, area: Text = "", period: Text = "month", day: Text = "", cards: Text = "", work: Text = ""
) -> Response:
    """Figures of an area and a time; of a year (`work`) when they are reckoned."""
    one = await reader(request)
    if not work:
        return await _reports(one, area=area, period=period, day=day, cards=cards)
    reply = await one.ask.get(f"/works/{work}/file") if re.fullmatch(EVENT_ID, work) else None
    year = reply.body if reply is not None and reply.good else None
    if not isinstance(year, dict) or "alarms" not in year:  # kept no more, not his, or another sort of file
        gone = Reply(HTTPStatus.NOT_FOUND, {"status": HTTPStatus.NOT_FOUND, "type": "not_there", "detail": ""})
        return await _reports(one, area="", period=Period.YEAR.value, day="", cards=cards, problem=gone)
    day = datetime.fromisoformat(year["alarms"]["begins"]).astimezone(one.zone).date().isoformat()
    return await _reports(
        one, area=year["alarms"]["area"], period=Period.YEAR.value, day=day, cards=cards, year=year, work=work
    )  # fmt: skip


async def _reports(
    one: Reader,
    *,
    area: str,
    period: str,
    day: str,
    cards: str,
    year: Any = None,
    work: str = "",
    problem: Reply | None = None,
) -> Response:
    """`year`: what was reckoned of one, in a work; `problem`: what was wrong with the question."""
    names = await known(one, "areas")
    area = area or own_area(one)
    today = now_of(one).astimezone(one.zone).date().isoformat()
    day = day or today
    cards = cards if cards in CARDS else CARDS[0]
    carded: list[Any] = []
    if year is not None:
        reply, carded = Reply(HTTPStatus.OK, year["alarms"]), year["cards"][cards]
    elif period == Period.YEAR:
        reply = problem or Reply(HTTPStatus.OK, None)
    else:
        reply, carded = await _read(one, area, period, day, cards)
    choice = [row for row in names.rows("areas") if row["meaning"] != "group"]
    values: dict[str, Any] = {
        "called": names,
        "area": area,
        "choice": choice,
        "period": period,
        "periods": PERIODS,
        "day": day,
        "cards": cards,
        "whose": CARDS,
        "problem": None if reply.good else reply.body,
        "work": work,
    }
    if reply.body is None or not reply.good:
        return await one.page("reports.html", status=reply.status, found=None, **values)
    found = reply.body
    begins, ends = (datetime.fromisoformat(found[name]).astimezone(one.zone) for name in ("begins", "ends"))
    now = now_of(one)
    installed = await one.ask.get(f"/reports/{area}/installation")
    until = min(ends, now.astimezone(one.zone))
    covered = await _coverage(one, max(begins, until - COVERAGE_MOST), until)
    points = (
        [{**row, "label": row["month"][5:7]} for row in year["points"]]
        if year is not None
        else await _points(one, area, period, begins.date(), ends.date())
    )
    figures = found["figures"]
    below = sorted(found["below"].items(), key=lambda row: (-row[1]["alarms"], names("areas", row[0])))
    kinds = sorted(figures["by_kind"].items(), key=lambda row: (-row[1], row[0]))
    said = one.language
    return await one.page(
        "reports.html",
        found=found,
        figures=figures,
        begins=begins.date(),
        last=(ends - timedelta(days=1)).date(),
        below=below,
        kinds=kinds,
        kind_words=KIND_WORDS,
        colour_words=COLOUR_WORDS,
        measure_words=MEASURE_WORDS,
        shares=SHARES,
        installed=installed.body if installed.good else None,
        carded=carded,
        covered=covered,
        clipped=until - begins > COVERAGE_MOST,
        points=points,
        repeated=await _repeated(one, figures["repeated"]),
        hours_plot=lambda label: plot([f"{hour:02}" for hour in range(24)], (label, figures["by_hour"])),
        kinds_plot=lambda label: plot(
            [getattr(KIND_WORDS[kind], said) for kind, _ in kinds], (label, [many for _, many in kinds])
        ),
        times_plot=lambda half, most: plot(
            [names("areas", id_) for id_, _ in below],
            (half, [seconds(row["acknowledge"]["p50_ms"]) for _, row in below]),
            (most, [seconds(row["acknowledge"]["p90_ms"]) for _, row in below]),
            unit="s",
        ),
        colours_plot=lambda label: plot(
            [getattr(COLOUR_WORDS[row["colour"]], said) for row in covered],
            (label, [None if row["compliance"] is None else round(row["compliance"] * 100) for row in covered]),
            unit="%",
        ),
        points_plot=lambda earned, lost: plot(
            [row["label"] for row in points],
            (earned, [row["earned"] / 10 for row in points]),
            (lost, [row["lost"] / 10 for row in points]),
        ),
        **values,
    )
