"""The map: areas, open alarms, gateways, checkpoints and where rounds were last, and the same as a list."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from api.access import anybody
from api.colours.rules import COLOUR_WORDS
from api.console.known import every, known
from api.console.page import Reader, reader
from api.console.rules import in_order

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

ALARMS_MOST: Final = 200
"""Of a storm the most urgent; the desk has them all."""

Spot = tuple[float, float]
"""Latitude and longitude, WGS-84."""


def middle(outline: Sequence[Sequence[float]] | None) -> Spot | None:
    """The middle of an outline's box; its corners are longitude and latitude."""
    if not outline:
        return None
    east, north = [corner[0] for corner in outline], [corner[1] for corner in outline]
    return (min(north) + max(north)) / 2, (min(east) + max(east)) / 2


def between(spots: Sequence[Spot]) -> Spot | None:
    """The mean of some positions."""
    if not spots:
        return None
    return sum(spot[0] for spot in spots) / len(spots), sum(spot[1] for spot in spots) / len(spots)


def last_places(rounds: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of each round that goes on the newest check-in: a point and a time, and nobody's name."""
    found = []
    for row in rounds:
        made = [visit for visit in row["visits"] if visit["at"] is not None]
        if made:
            last = max(made, key=lambda visit: str(visit["at"]))
            found.append({"route": row["route"], "area": row["area"], "point": last["point"], "at": last["at"]})
    return found


async def _where(one: Reader, places: set[str]) -> dict[str, Spot]:
    """Where places are, as far as the reader may know and the register has it."""
    if not places:
        return {}
    rows = await every(one, "/register/places")
    return {
        row["id"]: (row["latitude"], row["longitude"])
        for row in rows
        if row["id"] in places and row["latitude"] is not None
    }


async def _now(one: Reader) -> dict[str, Any]:
    alarms = in_order(await every(one, "/alarms", open="true"))
    called = await known(one, "areas", "points", "routes")
    points = called.rows("points")
    shown = alarms[:ALARMS_MOST]
    spots = await _where(one, {row["place"] for row in (*shown, *points) if row["place"]})
    of_alarms = {
        row["id"]: (row["position"]["lat"], row["position"]["lon"]) if row["position"] else spots.get(row["place"])
        for row in shown
    }
    served: dict[str, list[Spot]] = {}
    for area in called.of["areas"].values():
        if area["gateway"] and (spot := middle(area["outline"])) is not None:
            served.setdefault(area["gateway"], []).append(spot)
    told = await one.ask.get("/gateways") if one.may("ingest.read") else None
    gateways = told.body["gateways"] if told is not None and told.good else []
    rounds = await every(one, "/patrol-rounds/now") if one.may("patrol.round.read") else []
    return {
        "called": called,
        "alarms": shown,
        "more": len(alarms) - len(shown),
        "spots": of_alarms,
        "points": [(row, spots.get(row["place"])) for row in points],
        "gateways": [(row, between(served.get(row["id"], []))) for row in gateways],
        "lasts": [
            (row, spots.get(str((called.of["points"].get(row["point"]) or {}).get("place"))))
            for row in last_places(rounds)
        ],
    }


@router.get("/map")
async def plan(request: Request) -> Response:
    """The plan and its list."""
    one = await reader(request)
    now = await _now(one)
    colours = {row["area"]: row for row in await every(one, "/colours")} if one.may("colour.read") else {}
    decided = {id_: row["colour"] for id_, row in colours.items() if row["decided"]}
    outlines = [
        {
            "name": row["name"] or row["id"],
            "meaning": row["meaning"],
            "outline": [[north, east] for east, north in row["outline"]],
            "colour": decided.get(row["id"]),
            "said": getattr(COLOUR_WORDS[decided[row["id"]]], one.language) if row["id"] in decided else "",
        }
        for row in now["called"].of["areas"].values()
        if row["outline"]
    ]
    return await one.page("map.html", outlines=json.dumps(outlines, ensure_ascii=False), **now)


@router.get("/map/now")
async def plan_again(request: Request) -> Response:
    """The list alone, from which the plan is drawn."""
    one = await reader(request)
    return await one.page("map_now.html", **await _now(one))
