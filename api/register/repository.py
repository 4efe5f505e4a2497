"""Reading and writing the register. Never commits."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, RowMapping, Select, Table, and_, bindparam, delete, or_, select, update
from sqlmodel import Session, SQLModel, col
from sqlmodel import select as select_rows

from api.register import models
from api.register.models import (
    AreaKind,
    CameIn,
    ChangeState,
    Meaning,
    Note,
    PlaceKind,
    PlannedChange,
    Purpose,
    RegisterState,
    Tree,
    UnitSort,
    WentOut,
)
from api.register.snapshot import AreaNow, Contents, LevelNow, PlaceNow, UnitNow
from broker.ids import GatewayId, GroupId, HouseholdId, StationId, UnitId


def table(name: str) -> Table:
    """A table of the register."""
    return SQLModel.metadata.tables[name]


assert models is not None  # it fills the metadata

LEVEL: Final = table("area_level")
AREA: Final = table("area")
AREA_DETAIL: Final = table("area_detail")
AREA_PARENT: Final = table("area_parent")
GROUP_GATEWAY: Final = table("group_gateway")
PLACE: Final = table("place")
PLACE_DETAIL: Final = table("place_detail")
PLACE_GROUP: Final = table("place_group")
OCCUPANT: Final = table("occupant")
OCCUPANCY: Final = table("occupancy")
EXCLUSION: Final = table("exclusion")
CONSENT: Final = table("consent")
QUIETING: Final = table("quieting")
UNIT: Final = table("unit")
UNIT_PLACE: Final = table("unit_place")
UNIT_KEY: Final = table("unit_key")
GATEWAY_KEY: Final = table("gateway_key")


_VERSION: Final = select(table("register_state").c.version).where(table("register_state").c.station == bindparam("of"))
"""Made once: on PostgreSQL every transaction asks it."""


def version(session: Session, station: str) -> int | None:
    """The version of the tables; None: nothing has been put there yet."""
    return session.connection().execute(_VERSION, {"of": station}).scalar_one_or_none()


def rise(session: Session, station: str, *, at_ms: int) -> int:
    """Count a change, and return the version after it. Whoever changes anything holds this row until he commits."""
    row = session.get(RegisterState, station, with_for_update=True)
    if row is None:
        row = RegisterState(station=station, version=0, changed_ms=at_ms)
        session.add(row)
    else:
        row.version += 1
        row.changed_ms = at_ms
    session.flush()
    return row.version


def add(session: Session, name: str, rows: Iterable[Mapping[str, object]]) -> None:
    """Insert rows, all with the same columns."""
    if listed := [dict(row) for row in rows]:
        session.connection().execute(table(name).insert(), listed)


def change(session: Session, name: str, station: str, id_: str, values: Mapping[str, object]) -> None:
    """Change a row that has an id."""
    change_where(session, name, {"station": station, "id": id_}, values)


def change_where(session: Session, name: str, keys: Mapping[str, object], values: Mapping[str, object]) -> None:
    """Change the rows with these values."""
    one = table(name)
    session.connection().execute(update(one).where(*_with(one, keys)).values(**values))


def end(session: Session, name: str, keys: Mapping[str, object], /, *, at_ms: int, **values: object) -> None:
    """Let the rows with these values that still hold, hold until now."""
    one = table(name)
    ended = update(one).where(*_with(one, keys), one.c.to_ms.is_(None))
    session.connection().execute(ended.values(to_ms=at_ms, **values))


def row(session: Session, name: str, station: str, id_: str) -> RowMapping | None:
    """The row of this id."""
    one = table(name)
    found = select(one).where(one.c.station == station, one.c.id == id_)
    return session.connection().execute(found).mappings().one_or_none()


def was_there(session: Session, name: str, station: str, id_: str) -> bool:
    """Whether this id is used, or ever was."""
    return row(session, name, station, id_) is not None


def ids(session: Session, name: str, station: str) -> frozenset[str]:
    """Every id that is used, or ever was."""
    one = table(name)
    return frozenset(session.connection().execute(select(one.c.id).where(one.c.station == station)).scalars())


def still(session: Session, name: str, station: str, **keys: object) -> Sequence[RowMapping]:
    """The rows with these values that still hold."""
    one = table(name)
    return _all(session, _still(one, station).where(*_with(one, keys)).order_by(one.c.number))


def every(session: Session, name: str, station: str) -> Sequence[RowMapping]:
    """Every row that has an id, by id."""
    one = table(name)
    return _all(session, select(one).where(one.c.station == station).order_by(one.c.id))


def accounts(session: Session, ids: Collection[str]) -> frozenset[str]:
    """Those of these accounts that there are, and are not closed."""
    one = table("account")
    found = select(one.c.id).where(one.c.id.in_([*ids]), one.c.closed_ms.is_(None))
    return frozenset(session.connection().execute(found).scalars())


def occupant(session: Session, station: str, place: str) -> str | None:
    """Who lives in a place now."""
    rows = still(session, "occupancy", station, place=place)
    return str(rows[0]["occupant"]) if rows else None


def slices(session: Session, station: str) -> Sequence[RowMapping]:
    """The newest slice of every gateway."""
    one = table("gateway_slice")
    return _all(session, select(one).where(one.c.station == station).order_by(one.c.gateway))


def lender(session: Session, station: str, place: str) -> str | None:
    """Who has lent a place to the one who lives there now."""
    one = OCCUPANCY
    rows = select(one.c.occupant, one.c.began, one.c.ended).where(one.c.station == station, one.c.place == place)
    lent = False
    for occupancy in _all(session, rows.order_by(one.c.number.desc())):
        if occupancy["ended"] is None:
            lent = occupancy["began"] == CameIn.LENT
        elif occupancy["ended"] == WentOut.LENT:
            return str(occupancy["occupant"]) if lent else None
        if not lent:
            return None
    return None


def consented(session: Session, station: str, place: str, occupant: str, purpose: Purpose) -> bool:
    """Whether this occupant consents to `purpose` now."""
    rows = still(session, "consent", station, place=place, occupant=occupant, purpose=purpose.value)
    return any(row["given"] for row in rows)


def contacts(session: Session, station: str, occupant: str) -> dict[int, RowMapping]:
    """Whom to call for an occupant, by rank, in order."""
    return {row["rank"]: row for row in sorted(_contacts(session, station, occupant), key=lambda row: row["rank"])}


def _contacts(session: Session, station: str, occupant: str) -> Sequence[RowMapping]:
    return still(session, "contact", station, occupant=occupant)


def notes(session: Session, station: str, occupant: str) -> dict[Note, str]:
    """What responders should know of an occupant."""
    rows = still(session, "responder_note", station, occupant=occupant)
    return {Note(row["note"]): row["words"] or "" for row in rows}


def history(session: Session, name: str, station: str, **keys: object) -> Sequence[RowMapping]:
    """Every row with these values that ever held, oldest first."""
    one = table(name)
    found = select(one).where(one.c.station == station, *_with(one, keys))
    return _all(session, found.order_by(one.c.from_ms, one.c.number))


def at(session: Session, name: str, station: str, at_ms: int, **keys: object) -> Sequence[RowMapping]:
    """The rows with these values that held at a moment, the newest first."""
    one = table(name)
    held = (one.c.from_ms <= at_ms, or_(one.c.to_ms.is_(None), one.c.to_ms > at_ms))
    found = select(one).where(one.c.station == station, *held, *_with(one, keys))
    return _all(session, found.order_by(one.c.from_ms.desc()))


def page(session: Session, name: str, station: str, *, after: str | None, limit: int) -> Sequence[RowMapping]:
    """Rows that have an id, by id, after this one."""
    one = table(name)
    found = select(one).where(one.c.station == station).order_by(one.c.id).limit(limit)
    return _all(session, found if after is None else found.where(one.c.id > after))


def quietings(
    session: Session, station: str, *, place: str | None, still_only: bool, below: int | None, limit: int
) -> Sequence[RowMapping]:
    """Quietings of this place (None: of all), newest first."""
    found = _still(QUIETING, station) if still_only else select(QUIETING).where(QUIETING.c.station == station)
    if place is not None:
        found = found.where(QUIETING.c.place == place)
    if below is not None:
        found = found.where(QUIETING.c.number < below)
    return _all(session, found.order_by(QUIETING.c.number.desc()).limit(limit))


def quietings_over(session: Session, station: str, *, now_ms: int) -> list[str]:
    """The places whose quieting is past its end, and not closed yet."""
    found = _still(QUIETING, station).where(QUIETING.c.until_ms <= now_ms)
    return [row["place"] for row in _all(session, found)]


def seed(session: Session, contents: Contents, *, at_ms: int = 0) -> None:
    """Fill empty tables. What is there at the beginning has always been so, for every alarm that came before."""
    station, areas, places, units = contents.station, contents.areas, contents.places, contents.units
    base: dict[str, object] = {"station": station, "from_ms": at_ms}
    add(
        session,
        "area_level",
        (
            {
                "station": station, "id": level.id, "tree": level.tree.value, "rank": level.rank,
                "name_zh": level.name_zh, "name_en": level.name_en, "meaning": level.meaning.value,
            }
            for level in contents.levels
        ),
    )  # fmt: skip
    add(session, "area", ({**base, "id": area.id, "level": area.level, "version": 1} for area in areas))
    add(
        session,
        "area_detail",
        (
            {**base, "area": area.id, "name": area.name, "kind": area.kind.value, "code": area.code}
            for area in areas
        ),
    )  # fmt: skip
    for tree, parent in ((Tree.GOVERNMENT, "parent"), (Tree.POLICE, "police_parent")):
        add(
            session,
            "area_parent",
            (
                {**base, "area": area.id, "parent": getattr(area, parent), "tree": tree.value}
                for area in areas
                if getattr(area, parent) is not None
            ),
        )
    add(
        session,
        "group_gateway",
        ({**base, "group": area.id, "gateway": area.gateway} for area in areas if area.gateway is not None),
    )
    _seed_places(session, base, places)
    add(
        session,
        "unit",
        (
            {
                **base, "id": unit.id, "sort": unit.sort.value, "state": "installed", "gateway": unit.gateway,
                "line": unit.line, "address": unit.address, "serial": "", "silent": unit.silent,
                "volume": unit.volume, "night_volume": unit.night_volume, "strobe": unit.strobe, "version": 1,
            }
            for unit in units
        ),
    )  # fmt: skip
    add(
        session,
        "unit_place",
        ({**base, "unit": one.id, "place": one.place, "began": "installed", "handed_ms": at_ms} for one in units),
    )


def _seed_places(session: Session, base: Mapping[str, object], places: Sequence[PlaceNow]) -> None:
    station = base["station"]
    add(session, "place", ({**base, "id": place.id, "version": 1} for place in places))
    add(
        session,
        "place_detail",
        (
            {
                **base, "place": place.id, "kind": place.kind.value, "door": place.door, "label": place.label,
                "address": place.address, "way_in": place.way_in,
            }
            for place in places
        ),
    )  # fmt: skip
    add(
        session,
        "place_group",
        ({**base, "place": place.id, "group": place.group} for place in places if place.group is not None),
    )
    add(
        session,
        "occupant",
        ({"station": station, "id": place.occupant, "name": "", "since_ms": base["from_ms"]} for place in places),
    )
    add(
        session,
        "occupancy",
        ({**base, "place": place.id, "occupant": place.occupant, "began": "moved_in"} for place in places),
    )
    add(
        session,
        "exclusion",
        (
            {**base, "place": place.id, "occupant": place.occupant, "excluded": excluded}
            for place in places
            for excluded in sorted(place.excludes)
        ),
    )
    add(
        session,
        "consent",
        (
            {
                **base, "place": place.id, "occupant": place.occupant, "purpose": purpose.value, "version": 1,
                "given": True, "how": "paper",
            }
            for place in places
            for purpose, given in (
                (Purpose.MEDICAL_WORD, place.medical_consent), (Purpose.DURESS_KEY, place.duress)
            )
            if given
        ),
    )  # fmt: skip


def load(session: Session, station: StationId) -> Contents:
    """Everything as it is now."""
    levels = [
        LevelNow(
            id=row["id"],
            tree=Tree(row["tree"]),
            rank=row["rank"],
            name_zh=row["name_zh"],
            name_en=row["name_en"],
            meaning=Meaning(row["meaning"]),
        )
        for row in _all(session, select(LEVEL).where(LEVEL.c.station == station).order_by(LEVEL.c.rank, LEVEL.c.id))
    ]
    return Contents(
        station=station,
        version=version(session, station) or 0,
        levels=tuple(levels),
        areas=tuple(_areas(session, station, {level.id: level.meaning for level in levels})),
        places=tuple(_places(session, station)),
        units=tuple(_units(session, station)),
        gateway_keys={GatewayId(row["gateway"]): _still_believed(row) for row in gateway_keys(session, station)},
    )


def gateway_keys(session: Session, station: str) -> Sequence[RowMapping]:
    """Every key of a gateway that was ever put down, the newest of each gateway last."""
    return _all(session, select(GATEWAY_KEY).where(GATEWAY_KEY.c.station == station).order_by(GATEWAY_KEY.c.number))


def _still_believed(row: RowMapping) -> str | None:
    return row["public"] if row["to_ms"] is None else None


def unit_keys(session: Session, station: str) -> dict[str, str]:
    """The sealed key of every unit that has one here."""
    found = select(UNIT_KEY).where(UNIT_KEY.c.station == station)
    return {row["unit"]: row["sealed"] for row in _all(session, found)}


def put_unit_key(session: Session, row: Mapping[str, object]) -> None:
    """Write the key of a unit in the place of an earlier one."""
    keys = {"station": row["station"], "unit": row["unit"]}
    session.connection().execute(delete(UNIT_KEY).where(*_with(UNIT_KEY, keys)))
    add(session, "unit_key", [row])


def _areas(session: Session, station: str, meanings: Mapping[str, Meaning]) -> Iterable[AreaNow]:
    parents: dict[Tree, dict[str, str]] = {tree: {} for tree in Tree}
    for row in _all(session, _still(AREA_PARENT, station)):
        parents[Tree(row["tree"])][row["area"]] = row["parent"]
    homes = {row["group"]: row["gateway"] for row in _all(session, _still(GROUP_GATEWAY, station))}
    found = (
        select(AREA, *(AREA_DETAIL.c[name] for name in ("name", "kind", "code", "outline")))
        .join(AREA_DETAIL, _same(AREA_DETAIL.c.area, AREA))
        .where(AREA.c.station == station, AREA.c.to_ms.is_(None), AREA_DETAIL.c.to_ms.is_(None))
        .order_by(AREA.c.id)
    )
    for row in _all(session, found):
        home = homes.get(row["id"])
        yield AreaNow(
            id=row["id"],
            level=row["level"],
            meaning=meanings[row["level"]],
            name=row["name"],
            kind=AreaKind(row["kind"]),
            code=row["code"],
            outline=row["outline"],
            parent=parents[Tree.GOVERNMENT].get(row["id"]),
            police_parent=parents[Tree.POLICE].get(row["id"]),
            gateway=None if home is None else GatewayId(home),
            version=row["version"],
        )


def _places(session: Session, station: str) -> Iterable[PlaceNow]:
    groups = {row["place"]: row["group"] for row in _all(session, _still(PLACE_GROUP, station))}
    occupants = {row["place"]: row["occupant"] for row in _all(session, _still(OCCUPANCY, station))}
    excluded: defaultdict[str, set[HouseholdId]] = defaultdict(set)
    for row in _all(session, _still(EXCLUSION, station)):
        if occupants.get(row["place"]) == row["occupant"]:
            excluded[row["place"]].add(HouseholdId(row["excluded"]))
    consents: defaultdict[str, set[str]] = defaultdict(set)
    for row in _all(session, _still(CONSENT, station).where(CONSENT.c.given.is_(True))):
        if occupants.get(row["place"]) == row["occupant"]:
            consents[row["place"]].add(row["purpose"])
    quiet = {row["place"]: row["until_ms"] for row in _all(session, _still(QUIETING, station))}
    found = (
        select(
            PLACE.c.id,
            PLACE.c.version,
            *(
                PLACE_DETAIL.c[name]
                for name in ("kind", "door", "label", "address", "way_in", "code", "lat_e7", "lon_e7")
            ),
        )
        .join(PLACE_DETAIL, _same(PLACE_DETAIL.c.place, PLACE))
        .where(PLACE.c.station == station, PLACE.c.to_ms.is_(None), PLACE_DETAIL.c.to_ms.is_(None))
        .order_by(PLACE.c.id)
    )
    for row in _all(session, found):
        place, group = row["id"], groups.get(row["id"])
        yield PlaceNow(
            id=HouseholdId(place),
            group=None if group is None else GroupId(group),
            kind=PlaceKind(row["kind"]),
            door=row["door"],
            label=row["label"],
            address=row["address"],
            way_in=row["way_in"],
            code=row["code"],
            lat_e7=row["lat_e7"],
            lon_e7=row["lon_e7"],
            occupant=occupants.get(place),
            excludes=frozenset(excluded.get(place, ())),
            medical_consent=Purpose.MEDICAL_WORD in consents.get(place, ()),
            duress=Purpose.DURESS_KEY in consents.get(place, ()),
            quiet_until_ms=quiet.get(place),
            version=row["version"],
        )


def _units(session: Session, station: str) -> Iterable[UnitNow]:
    found = (
        select(UNIT, UNIT_PLACE.c.place, UNIT_PLACE.c.handed_ms, UNIT_PLACE.c.from_ms.label("hung_ms"))
        .join(UNIT_PLACE, _same(UNIT_PLACE.c.unit, UNIT))
        .where(UNIT.c.station == station, UNIT_PLACE.c.to_ms.is_(None))
        .order_by(UNIT.c.id)
    )
    for row in _all(session, found):
        yield UnitNow(
            id=UnitId(row["id"]),
            place=HouseholdId(row["place"]),
            sort=UnitSort(row["sort"]),
            gateway=None if row["gateway"] is None else GatewayId(row["gateway"]),
            line=row["line"],
            address=row["address"],
            silent=row["silent"],
            volume=row["volume"],
            night_volume=row["night_volume"],
            strobe=row["strobe"],
            handed=row["handed_ms"] is not None,
            since_ms=row["hung_ms"] if row["handed_ms"] is None else row["handed_ms"],
            version=row["version"],
        )


def _with(one: Table, keys: Mapping[str, object]) -> list[ColumnElement[bool]]:
    return [one.c[name].is_(None) if value is None else one.c[name] == value for name, value in keys.items()]


def _still(one: Table, station: str) -> Select[Any]:
    return select(one).where(one.c.station == station, one.c.to_ms.is_(None))


def _same(column: Column[Any], to: Table) -> ColumnElement[bool]:
    return and_(column.table.c.station == to.c.station, column == to.c.id)


def _all(session: Session, query: Select[Any]) -> Sequence[RowMapping]:
    return session.connection().execute(query).mappings().all()


def planned(session: Session, station: str, *, until_ms: int) -> Sequence[PlannedChange]:
    """What is planned until a moment, in the order in which it is to be made."""
    found = select_rows(PlannedChange).where(
        PlannedChange.station == station,
        PlannedChange.state == ChangeState.PLANNED.value,
        PlannedChange.at_ms <= until_ms,
    )
    return session.exec(found.order_by(col(PlannedChange.at_ms), col(PlannedChange.number))).all()


def plans(
    session: Session, station: str, *, state: ChangeState | None, below: int | None, limit: int
) -> Sequence[PlannedChange]:
    """Planned changes of this state (None: all), newest first."""
    found = select_rows(PlannedChange).where(PlannedChange.station == station)
    if state is not None:
        found = found.where(PlannedChange.state == state.value)
    if below is not None:
        found = found.where(col(PlannedChange.number) < below)
    return session.exec(found.order_by(col(PlannedChange.number).desc()).limit(limit)).all()
