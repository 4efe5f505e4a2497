"""What the register answers to whom: rows and snapshots as schemas."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import RowMapping
from sqlmodel import Session

from api.clock import iso
from api.register import repository
from api.register.models import (
    ChangeSort,
    ChangeState,
    ChangeStep,
    How,
    Meaning,
    PlannedChange,
    Purpose,
    TeamSort,
    Tree,
    UnitSort,
    UnitState,
)
from api.register.registrar import AreaFields, PlaceFields, UnitFields
from api.register.rules import Fault
from api.register.schemas import (
    AreaAnswer,
    AreaAsked,
    AssignmentAnswer,
    CompanyAnswer,
    ConsentAnswer,
    GatewaySliceAnswer,
    HistoryAnswer,
    PeopleAnswer,
    PeriodAnswer,
    PersonAnswer,
    PlaceAnswer,
    PlaceAsked,
    PlannedAnswer,
    QuietingAnswer,
    RefusedAnswer,
    TeamAnswer,
    UnitAnswer,
    UnitAsked,
)
from api.register.snapshot import AreaNow, Contents, PlaceNow, Snapshot
from api.shapes import words_answer
from broker.ids import StationId

E7 = 10_000_000


def area_answer(area: AreaNow) -> AreaAnswer:
    """An area."""
    outline = None if area.outline is None else json.loads(area.outline)
    fields = {name: getattr(area, name) for name in AreaAnswer.model_fields if name != "outline"}
    return AreaAnswer.model_validate(fields | {"outline": outline})


def area_fields(asked: AreaAsked) -> AreaFields:
    """What was asked for an area."""
    corners = [[round(lon * E7) / E7, round(lat * E7) / E7] for lon, lat in asked.outline or ()]
    outline = None if asked.outline is None else json.dumps(corners, separators=(",", ":"))
    values = {name: getattr(asked, name) for name in AreaAsked.model_fields if name != "outline"}
    return AreaFields(**values, outline=outline)


def place_answer(place: PlaceNow, now: Snapshot) -> PlaceAnswer:
    """A place without its people."""
    names = ("id", "group", "kind", "door", "label", "address", "code", "version")
    return PlaceAnswer(
        **{name: getattr(place, name) for name in names},
        longitude=None if place.lon_e7 is None else place.lon_e7 / E7,
        latitude=None if place.lat_e7 is None else place.lat_e7 / E7,
        occupied=place.occupant is not None,
        units=[unit.id for unit in now.units_at.get(place.id, ())],
        quiet_until=None if place.quiet_until_ms is None else iso(place.quiet_until_ms),
    )


def quieting_answer(row: RowMapping, *, now_ms: int) -> QuietingAnswer:
    """An order to quiet sirens. One that is past its end has ended, whether its row was closed or not."""
    over = row["until_ms"] if row["until_ms"] <= now_ms else None
    ended = over if row["to_ms"] is None else row["to_ms"]
    return QuietingAnswer(
        **{name: row[name] for name in ("number", "place", "reason", "by", "lifted_by")},
        since=iso(row["from_ms"]),
        until=iso(row["until_ms"]),
        ended=None if ended is None else iso(ended),
    )


def place_fields(asked: PlaceAsked, *, way_in: str = "") -> PlaceFields:
    """What was asked for a place; `way_in` where nothing was asked of it."""
    names = ("group", "kind", "door", "label", "address", "code")
    return PlaceFields(
        **{name: getattr(asked, name) for name in names},
        way_in=way_in if asked.way_in is None else asked.way_in,
        lat_e7=None if asked.latitude is None else round(asked.latitude * E7),
        lon_e7=None if asked.longitude is None else round(asked.longitude * E7),
    )


def people_answer(session: Session, station: str, place: PlaceNow, *, police: bool) -> PeopleAnswer:
    """The people of a place. Whoever calls this has recorded why. Of a silent key only the police may know."""
    occupant = place.occupant
    named = None if occupant is None else repository.row(session, "occupant", station, occupant)
    consents = [] if occupant is None else repository.still(session, "consent", station, occupant=occupant)
    contacts = {} if occupant is None else repository.contacts(session, station, occupant)
    return PeopleAnswer(
        place=place.id,
        occupant=occupant,
        name=None if named is None else named["name"],
        way_in=place.way_in,
        contacts=[
            PersonAnswer(name=row["name"] or "", phone=row["phone"] or "", relation=row["relation"])
            for row in contacts.values()
        ],
        notes={} if occupant is None else repository.notes(session, station, occupant),
        excludes=sorted(place.excludes),
        consents=[
            ConsentAnswer(
                purpose=Purpose(row["purpose"]),
                version=row["version"],
                given=row["given"],
                how=How(row["how"]),
                by=row["by"],
                since=iso(row["from_ms"]),
            )
            for row in consents
            if row["place"] == place.id and (police or row["purpose"] != Purpose.DURESS_KEY)
        ],
        version=place.version,
    )


def history_answer(session: Session, station: str, place: str) -> HistoryAnswer:
    """What belonged to a place."""

    def periods(name: str, what: str) -> list[PeriodAnswer]:
        return [_period(row, what) for row in repository.history(session, name, station, place=place)]

    return HistoryAnswer(
        place=place,
        groups=periods("place_group", "group"),
        occupants=periods("occupancy", "occupant"),
        units=periods("unit_place", "unit"),
    )


def _period(row: RowMapping, what: str) -> PeriodAnswer:
    until = row["to_ms"]
    return PeriodAnswer(
        what=row[what],
        began=row.get("began"),
        ended=row.get("ended"),
        since=iso(row["from_ms"]),
        until=None if until is None else iso(until),
    )


def unit_fields(asked: UnitAsked, *, silent: bool) -> UnitFields:
    """What was asked for a unit; `silent` where the asker may not say it, or did not."""
    values = {name: getattr(asked, name) for name in UnitAsked.model_fields}
    return UnitFields(**values | {"silent": silent if asked.silent is None else asked.silent})


def unit_answer(row: Mapping[str, Any] | RowMapping, now: Snapshot, *, silent_shown: bool) -> UnitAnswer:
    """A unit, with what hangs together with it now."""
    hung = now.units.get(row["id"])
    names = ("id", "serial", "gateway", "line", "address", "volume", "night_volume", "strobe", "version")
    return UnitAnswer(
        **{name: row[name] for name in names},
        sort=UnitSort(row["sort"]),
        state=UnitState(row["state"]),
        silent=row["silent"] if silent_shown else None,
        place=None if hung is None else hung.place,
        handed=hung is not None and hung.handed,
    )


def slices_answer(session: Session, station: str) -> list[GatewaySliceAnswer]:
    """Every gateway's slice."""
    rows = repository.slices(session, station)
    return [
        GatewaySliceAnswer(
            gateway=row["gateway"],
            version=row["version"],
            made=iso(row["made_ms"]),
            runs=row["runs"],
            reported=None if row["runs_ms"] is None else iso(row["runs_ms"]),
            drift=row["drift"],
        )
        for row in rows
    ]


def company_answer(row: RowMapping) -> CompanyAnswer:
    """A company."""
    return CompanyAnswer(**{name: row[name] for name in CompanyAnswer.model_fields})


def team_answer(session: Session, station: str, row: RowMapping) -> TeamAnswer:
    """A team."""
    members = repository.still(session, "team_member", station, team=row["id"])
    return TeamAnswer(
        id=row["id"],
        name=row["name"],
        sort=TeamSort(row["sort"]),
        area=row["area"],
        company=row["company"],
        members=sorted(one["account"] for one in members),
        version=row["version"],
    )


def assignment(session: Session, station: str, unit: str, at_ms: int) -> AssignmentAnswer:
    """What a unit belonged to at a moment: its place, who lived there, its group, and what that lay in then."""

    def one(name: str, column: str, **keys: object) -> Any:
        rows = repository.at(session, name, station, at_ms, **keys)
        return rows[0][column] if rows else None

    place = one("unit_place", "place", unit=unit)
    group = None if place is None else one("place_group", "group", place=place)
    details: Sequence[RowMapping] = () if place is None else repository.at(
        session, "place_detail", station, at_ms, place=place
    )  # fmt: skip
    return AssignmentAnswer(
        unit=unit,
        at=iso(at_ms),
        place=place,
        occupant=None if place is None else one("occupancy", "occupant", place=place),
        group=group,
        areas=[] if group is None else [*_then(session, station, at_ms).ancestors(group)],
        door=details[0]["door"] if details else None,
        label=details[0]["label"] if details else "",
        address=details[0]["address"] if details else "",
    )


def _then(session: Session, station: str, at_ms: int) -> Snapshot:
    """The two trees as they were at a moment."""
    parents: dict[str, dict[str, str]] = {tree.value: {} for tree in Tree}
    for row in repository.at(session, "area_parent", station, at_ms):
        parents[row["tree"]].setdefault(row["area"], row["parent"])
    names = {*parents[Tree.GOVERNMENT], *parents[Tree.POLICE]}
    areas = tuple(
        AreaNow(
            id=name,
            level="",
            meaning=Meaning.OTHER,
            parent=parents[Tree.GOVERNMENT].get(name),
            police_parent=parents[Tree.POLICE].get(name),
        )
        for name in sorted(names)
    )
    return Snapshot(Contents(station=StationId(station), areas=areas))


def planned_answer(row: PlannedChange) -> PlannedAnswer:
    """A planned change. Its body goes when it is made, and the names in it are nobody's to read here."""
    body = json.loads(row.body or "{}")
    refused = [Fault(code, about) for code, about in json.loads(row.refused or "[]")]
    assert row.number is not None
    return PlannedAnswer(
        number=row.number,
        sort=ChangeSort(row.sort),
        about=row.about,
        step=None if "step" not in body else ChangeStep(body["step"]),
        changes=sorted(body.get("differs", ())),
        at=iso(row.at_ms),
        by=row.by,
        made=iso(row.made_ms),
        state=ChangeState(row.state),
        refused=[RefusedAnswer(code=one.code, about=one.about, words=words_answer(one.words)) for one in refused],
        ended=None if row.ended_ms is None else iso(row.ended_ms),
        ended_by=row.ended_by,
        version=row.version,
    )
