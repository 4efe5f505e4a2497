"""Import and export: what a file would change, everything that is wrong with it, and the change itself, all or nothing.

Importing the same file twice changes nothing the second time, and the report says so.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from typing import Any, Final

from sqlmodel import Session

from api.audit.service import record
from api.problems import Problem as HttpProblem
from api.progress import Tell, told, untold
from api.register import repository, rules
from api.register.files import Table
from api.register.models import AreaKind, Meaning, Note, PlaceKind, Tree, UnitSort, UnitState
from api.register.registrar import AreaFields, Edit, Person, PlaceFields, UnitFields
from api.register.sheets import COLUMNS, CONSENTS, Key, Problem, Read, Rows, Sheet, Wrong, problem, read, sheet_of
from api.register.snapshot import AreaNow, Contents, LevelNow, PlaceNow, Snapshot, UnitNow
from broker.ids import GatewayId, GroupId, HouseholdId, UnitId

SHOWN: Final = 500
"""Problems and changes that a report lists; it counts all of them."""


@dataclass(frozen=True, slots=True)
class Change:
    """What would become of a row. `columns`: what changes; empty for a row that is added."""

    sheet: Sheet
    row: int
    id: str
    added: bool
    columns: tuple[str, ...] = ()


@dataclass(slots=True)
class Plan:
    """What a file says, compared with what is there."""

    problems: list[Problem] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    rows: dict[Sheet, Rows] = field(default_factory=dict)
    """What is there, and would be there after it."""
    unchanged: int = 0


class ImportRefused(HttpProblem):
    """A file with anything wrong in it changes nothing. Field: `problems`."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "import_refused"
    title = "Nothing was imported"

    def __init__(self, count: int, report: Mapping[str, Any]) -> None:
        super().__init__(f"{count} problems; the report names each", report=report)


def book(session: Session, now: Snapshot, station: str) -> dict[Sheet, Rows]:
    """Everything that sheets can say, as it is now."""
    return {
        Sheet.LEVELS: {(level.id,): _of(level, Sheet.LEVELS) for level in now.contents.levels},
        Sheet.AREAS: {(area.id,): _of(area, Sheet.AREAS) for area in now.contents.areas},
        Sheet.PLACES: _places(session, now, station),
        Sheet.CONTACTS: _joined(session, now, station, "contact", key="rank", columns=("name", "phone", "relation")),
        Sheet.NOTES: _joined(session, now, station, "responder_note", key="note", columns=("words",)),
        Sheet.UNITS: _units(session, now, station),
        Sheet.COMPANIES: {(row["id"],): _of_row(row, Sheet.COMPANIES) for row in _still(session, "company", station)},
        Sheet.TEAMS: _teams(session, station),
    }


def _of(thing: Any, sheet: Sheet) -> dict[str, Any]:
    return {column.name: getattr(thing, column.name) for column in COLUMNS[sheet]}


def _of_row(row: Mapping[str, Any], sheet: Sheet) -> dict[str, Any]:
    return {column.name: row[column.name] for column in COLUMNS[sheet] if column.name in row}


def _still(session: Session, name: str, station: str) -> list[Mapping[str, Any]]:
    return [dict(row) for row in repository.every(session, name, station) if row["to_ms"] is None]


def _teams(session: Session, station: str) -> Rows:
    members: dict[str, list[str]] = {}
    for one in repository.still(session, "team_member", station):
        members.setdefault(one["team"], []).append(one["account"])
    return {
        (row["id"],): _of_row(row, Sheet.TEAMS) | {"members": tuple(sorted(members.get(row["id"], ())))}
        for row in _still(session, "team", station)
    }


def _places(session: Session, now: Snapshot, station: str) -> Rows:
    names = {row["id"]: row["name"] for row in repository.every(session, "occupant", station)}
    given: dict[tuple[str, str], dict[str, bool]] = {}
    for row in repository.still(session, "consent", station):
        given.setdefault((row["place"], row["occupant"]), {})[row["purpose"]] = row["given"]
    found: Rows = {}
    plain = ("id", "group", "kind", "door", "label", "address", "way_in", "code")
    for place in now.contents.places:
        consents = given.get((place.id, place.occupant or ""), {})
        found[place.id,] = (
            {name: getattr(place, name) for name in plain}
            | {
                "longitude": place.lon_e7,
                "latitude": place.lat_e7,
                "occupant": None if place.occupant is None else names.get(place.occupant) or "",
                "excludes": tuple(sorted(place.excludes)),
            }
            | {
                name: None if place.occupant is None else consents.get(purpose.value, False)
                for name, purpose in CONSENTS.items()
            }
        )
    return found


def _joined(
    session: Session, now: Snapshot, station: str, name: str, *, key: str, columns: Iterable[str]
) -> Rows:  # fmt: skip
    places = {place.occupant: place.id for place in now.contents.places if place.occupant is not None}
    rows = [row for row in repository.still(session, name, station) if row["occupant"] in places]
    return {
        (places[row["occupant"]], row[key]): {"place": places[row["occupant"]], key: row[key]}
        | {column: row[column] or "" for column in columns}
        for row in rows
    }


def _units(session: Session, now: Snapshot, station: str) -> Rows:
    found: Rows = {}
    for row in repository.every(session, "unit", station):
        if row["state"] in {UnitState.STORED, UnitState.INSTALLED}:
            hung = now.units.get(row["id"])
            values = {column.name: row[column.name] for column in COLUMNS[Sheet.UNITS] if column.name != "place"}
            found[row["id"],] = values | {"place": None if hung is None else hung.place}
    return found


def plan(
    session: Session,
    now: Snapshot,
    station: str,
    tables: Iterable[Table],
    gateways: frozenset[str],
    *,
    tell: Tell = untold,
) -> Plan:
    """What the tables of a file would change, and everything that is wrong with them."""
    made = Plan()
    there = book(session, now, station)
    made.rows = {sheet: dict(rows) for sheet, rows in there.items()}
    reads: list[Read] = []
    for name, heads, raws in tables:
        sheet = sheet_of(name)
        if sheet is None:
            made.problems.append(problem(name[:64], 0, "", Wrong("unknown_sheet", name[:64])))
        else:
            reads.append(read(sheet, heads, raws, made.problems))
    rows = [
        (one, key, values)
        for one in sorted(reads, key=lambda one: [*Sheet].index(one.sheet))
        for key, values in one.rows.items()
    ]
    for one, key, values in told(rows, tell, "comparing", of=len(rows)):
        _compare(made, one, key, values)
    _judge(made, now, session, station, gateways, tell=tell)
    return made


def _compare(made: Plan, one: Read, key: Key, values: dict[str, Any]) -> None:
    sheet, before = one.sheet, made.rows[one.sheet].get(key)
    number, id_ = one.numbers[key], "/".join(str(part) for part in key)
    complete = dict(before) if before is not None else dict(_blank(sheet))
    named = {name: value for name, value in values.items() if not (value is None and name in _UNSAID)}
    after = complete | named
    if sheet is Sheet.PLACES:
        _occupied(before, named, after)
    changed = tuple(name for name in after if before is None or after[name] != before[name])
    made.rows[sheet][key] = after
    if before is not None and not changed:
        made.unchanged += 1
        return
    made.changes.append(Change(sheet, number, id_, added=before is None, columns=() if before is None else changed))
    if before is not None:
        _fixed(made, one, key, before, after)
    if sheet is Sheet.PLACES and (after["longitude"] is None) != (after["latitude"] is None):
        made.problems.append(problem(sheet.value, number, "longitude", Wrong("position")))


def _occupied(before: Mapping[str, Any] | None, named: Mapping[str, Any], after: dict[str, Any]) -> None:
    """Whether somebody lives in a place: an empty cell unnames nobody, and lets nobody into a place that is vacant.

    A new place of a sheet without that column has an occupant without a name, as one of the site file has.
    """
    if before is not None and named.get("occupant", "") == "":
        after["occupant"] = before["occupant"]
    elif before is None:
        after["occupant"] = named.get("occupant", "") if "occupant" not in named else named["occupant"] or None
    for name in CONSENTS:
        after[name] = (after[name] or None) if after["occupant"] is None else bool(after[name])


_UNSAID: Final = {*CONSENTS, "silent", "strobe", "volume", "night_volume", "members"}
"""Columns in which an empty cell says nothing."""


@cache
def _blank(sheet: Sheet) -> Mapping[str, Any]:
    blank: dict[str, Any] = {}
    for column in COLUMNS[sheet]:
        try:
            blank[column.name] = column.parse("")
        except Wrong:
            blank[column.name] = None
    defaults = {"silent": False, "strobe": False, "volume": 3, "night_volume": 3, "occupant": None, "members": ()}
    return blank | {name: value for name, value in defaults.items() if name in blank}


def _fixed(made: Plan, one: Read, key: Key, before: dict[str, Any], after: dict[str, Any]) -> None:
    """What an import may not change, because it has verbs of its own."""
    sheet, number, shown = one.sheet, one.numbers[key], str(key[0])
    fixed = {Sheet.LEVELS: ("tree", "meaning"), Sheet.AREAS: ("level",)}.get(sheet, ())
    for name in fixed:
        if before[name] != after[name]:
            made.problems.append(problem(sheet.value, number, name, Wrong("fixed", shown)))
    if sheet is Sheet.PLACES and before["occupant"] and before["occupant"] != after["occupant"]:
        made.problems.append(problem(sheet.value, number, "occupant", Wrong("other_occupant", shown)))
    if sheet is Sheet.UNITS and before["place"] is not None and before["place"] != after["place"]:
        made.problems.append(problem(sheet.value, number, "place", Wrong("unhangs", shown)))


def _judge(
    made: Plan, now: Snapshot, session: Session, station: str, gateways: frozenset[str], *, tell: Tell
) -> None:  # fmt: skip
    """Ask the rules of what would come of it; only what this file brought about counts."""
    for sheet, name in ((Sheet.AREAS, "area"), (Sheet.PLACES, "place"), (Sheet.UNITS, "unit")):
        added = [one for one in made.changes if one.sheet is sheet and one.added]
        used = repository.ids(session, name, station) if added else frozenset[str]()
        for change in added:
            if change.id in used:
                _rule(made, change.sheet, change.row, "id", rules.Fault("taken", change.id))
    by_id = _by_id(made)
    members = {one for change in made.changes if change.sheet is Sheet.TEAMS
               for one in by_id[Sheet.TEAMS][change.id]["members"]}  # fmt: skip
    known = repository.accounts(session, members) if members else frozenset[str]()
    for change in told(made.changes, tell, "judging", of=len(made.changes)):
        row = by_id[change.sheet][change.id]
        _references(made, change.sheet, change.row, row, gateways)
        if change.sheet is Sheet.TEAMS:
            for unknown in sorted({*row["members"]} - known):
                _rule(made, change.sheet, change.row, "members", rules.Fault("account_unknown", unknown))
    after = contents(made.rows, now)
    if any(level not in {one.id for one in after.levels} for level in {area.level for area in after.areas}):
        return  # told already; nothing can be said of such a tree
    before = {*rules.faults(now.contents), *rules.empty(now)}
    snapshot = Snapshot(after)
    lines: dict[str, tuple[Sheet, int]] = {}
    for change in made.changes:
        lines.setdefault(change.id, (change.sheet, change.row))
    for fault in dict.fromkeys((*rules.faults(after), *rules.empty(snapshot))):
        if fault not in before:
            sheet, number = lines.get(fault.about, (Sheet.AREAS, 0))
            _rule(made, sheet, number, "", fault)


def _by_id(made: Plan) -> dict[Sheet, dict[str, dict[str, Any]]]:
    """What is there afterwards, by what a change calls it."""
    return {
        sheet: {"/".join(str(part) for part in key): values for key, values in rows.items()}
        for sheet, rows in made.rows.items()
    }


def _rule(made: Plan, sheet: Sheet, number: int, column: str, fault: rules.Fault) -> None:
    words = fault.words
    made.problems.append(problem(sheet.value, number, column, Wrong("rule", words.zh, words.en)))


def _references(made: Plan, sheet: Sheet, number: int, row: Mapping[str, Any], gateways: frozenset[str]) -> None:
    """Ids of other sheets, and what needs an occupant or his consent."""
    to = {
        Sheet.AREAS: {"level": Sheet.LEVELS, "parent": Sheet.AREAS, "police_parent": Sheet.AREAS},
        Sheet.PLACES: {"group": Sheet.AREAS},
        Sheet.CONTACTS: {"place": Sheet.PLACES},
        Sheet.NOTES: {"place": Sheet.PLACES},
        Sheet.UNITS: {"place": Sheet.PLACES},
        Sheet.TEAMS: {"area": Sheet.AREAS, "company": Sheet.COMPANIES},
    }
    codes = {
        Sheet.LEVELS: "level_unknown",
        Sheet.AREAS: "area_unknown",
        Sheet.PLACES: "place_unknown",
        Sheet.COMPANIES: "company_unknown",
    }
    for name, target in to.get(sheet, {}).items():
        if row[name] is not None and (row[name],) not in made.rows[target]:
            _rule(made, sheet, number, name, rules.Fault(codes[target], row[name]))
    if row.get("gateway") is not None and row["gateway"] not in gateways:
        _rule(made, sheet, number, "gateway", rules.Fault("gateway_unknown", row["gateway"]))
    if sheet is Sheet.PLACES:
        if row["group"] is None:
            _rule(made, sheet, number, "group", rules.Fault("no_group", row["id"]))
        for excluded in row["excludes"]:
            if (excluded,) not in made.rows[Sheet.PLACES]:
                _rule(made, sheet, number, "excludes", rules.Fault("place_unknown", excluded))
            elif excluded == row["id"]:
                _rule(made, sheet, number, "excludes", rules.Fault("itself", excluded))
        said = row["excludes"] or any(row[name] for name in CONSENTS)
        if said and row["occupant"] is None:
            made.problems.append(problem(sheet.value, number, "occupant", Wrong("vacant", row["id"])))
    if sheet in {Sheet.CONTACTS, Sheet.NOTES}:
        place = made.rows[Sheet.PLACES].get((row["place"],))
        column = "consent_contacts" if sheet is Sheet.CONTACTS else "consent_responder_notes"
        if place is not None and place["occupant"] is None:
            made.problems.append(problem(sheet.value, number, "place", Wrong("vacant", row["place"])))
        elif place is not None and not place[column]:
            _rule(made, sheet, number, "place", rules.Fault("needs_consent", CONSENTS[column].value))
    if sheet is Sheet.UNITS:
        wired = (row["line"], row["address"])
        if any(part is not None for part in wired) and (None in wired or row["gateway"] is None):
            _rule(made, sheet, number, "line", rules.Fault("needs_line", row["id"]))


def contents(rows: Mapping[Sheet, Rows], now: Snapshot) -> Contents:
    """The register that these rows describe."""
    levels = tuple(
        LevelNow(**{**values, "tree": Tree(values["tree"]), "meaning": Meaning(values["meaning"])})
        for values in rows[Sheet.LEVELS].values()
    )
    meanings = {level.id: level.meaning for level in levels}
    areas = tuple(
        AreaNow(
            **{**values, "kind": AreaKind(values["kind"])},
            meaning=meanings.get(values["level"], Meaning.OTHER),
        )
        for values in rows[Sheet.AREAS].values()
    )
    places = tuple(
        PlaceNow(
            id=HouseholdId(values["id"]),
            group=None if values["group"] is None else GroupId(values["group"]),
            kind=PlaceKind(values["kind"]),
            excludes=frozenset(HouseholdId(one) for one in values["excludes"]),
        )
        for values in rows[Sheet.PLACES].values()
    )
    units = tuple(
        UnitNow(
            id=UnitId(values["id"]),
            place=HouseholdId(values["place"]),
            gateway=None if values["gateway"] is None else GatewayId(values["gateway"]),
            line=values["line"],
            address=values["address"],
        )
        for values in rows[Sheet.UNITS].values()
        if values["place"] is not None
    )
    return Contents(station=now.contents.station, levels=levels, areas=areas, places=places, units=units)


def apply(edit: Edit, made: Plan, tell: Tell = untold) -> None:
    """Write everything that a plan without problems changes: a few statements, since nobody writes meanwhile."""
    touched: dict[Sheet, list[tuple[Change, dict[str, Any]]]] = {sheet: [] for sheet in Sheet}
    by_id = _by_id(made)
    for change in made.changes:
        touched[change.sheet].append((change, by_id[change.sheet][change.id]))
    for _, row in touched[Sheet.LEVELS]:
        tree, meaning = Tree(row["tree"]), Meaning(row["meaning"])
        edit.create_level(
            row["id"], tree=tree, rank=row["rank"], name_zh=row["name_zh"], name_en=row["name_en"], meaning=meaning
        )
    with edit.together(lambda done, of: tell("writing", done, of)):
        _apply_areas(edit, touched[Sheet.AREAS], by_id[Sheet.LEVELS])
        entered: dict[str, str] = {}
        for change, row in touched[Sheet.PLACES]:
            _apply_place(edit, change, row, entered)
        _apply_people(edit, made, touched, entered)
        _apply_units(edit, touched[Sheet.UNITS])
    for _, row in touched[Sheet.COMPANIES]:
        edit.keep_company(row["id"], name=row["name"], code=row["code"])
    for change, row in touched[Sheet.TEAMS]:
        edit.keep_team(row["id"], name=row["name"], sort=row["sort"], area=row["area"], company=row["company"])
        if change.added or "members" in change.columns:
            edit.keep_members(row["id"], row["members"])
    record(
        edit.session,
        at_ms=edit.at_ms,
        by=edit.by,
        action="register.import",
        about="register",
        detail={"changes": len(made.changes)},
    )


def _apply_areas(
    edit: Edit, changes: Iterable[tuple[Change, dict[str, Any]]], levels: Mapping[str, Mapping[str, Any]]
) -> None:
    """Every new area first, then what each lies in: a parent may stand below its child."""
    listed = [*changes]
    names = ("name", "kind", "code", "outline", "parent", "police_parent", "gateway")
    for change, row in listed:
        if change.added:
            bare = AreaFields(name=row["name"], kind=AreaKind(row["kind"]), code=row["code"], outline=row["outline"])
            edit.add_area(row["id"], row["level"], bare, meaning=Meaning(levels[row["level"]]["meaning"]))
    for change, row in listed:
        fields = AreaFields(**{name: row[name] for name in names})
        there = edit.now.areas.get(row["id"])
        if change.added:
            bare_now = {name: row[name] for name in ("name", "kind", "code", "outline")}
            there = AreaNow(id=row["id"], level=row["level"], meaning=Meaning.OTHER, version=0, **bare_now)
        assert there is not None
        edit.put_area(there, fields)


def _apply_place(edit: Edit, change: Change, row: dict[str, Any], entered: dict[str, str]) -> None:
    """`entered`: who came to live where, by place."""
    names = ("group", "kind", "door", "label", "address", "way_in", "code")
    fields = PlaceFields(**{name: row[name] for name in names}, lat_e7=row["latitude"], lon_e7=row["longitude"])
    if change.added:
        edit.add_place(row["id"], fields)
    there = edit.now.places.get(row["id"]) or PlaceNow(id=row["id"], version=1)
    if not change.added:
        edit.put_place(there, fields)
    occupant = there.occupant
    if occupant is None and row["occupant"] is not None:
        occupant = entered[row["id"]] = edit.enter(row["id"], row["occupant"])
    elif "occupant" in change.columns and occupant is not None:
        edit.rename(occupant, row["occupant"])
    if occupant is None:
        return
    there = PlaceNow(id=there.id, occupant=occupant, excludes=there.excludes, version=there.version)
    edit.put_exclusions(there, row["excludes"])
    for name, purpose in CONSENTS.items():
        if name in change.columns or (change.added and row[name]):
            edit.put_consent(row["id"], occupant, purpose, given=bool(row[name]))
            if not row[name]:
                edit.forget(occupant, purpose)


def _apply_people(
    edit: Edit,
    made: Plan,
    touched: Mapping[Sheet, list[tuple[Change, dict[str, Any]]]],
    entered: Mapping[str, str],
) -> None:
    """Contacts and notes of every place of which a row changed, whole."""
    for sheet in (Sheet.CONTACTS, Sheet.NOTES):
        places: dict[str, list[dict[str, Any]]] = {row["place"]: [] for _, row in touched[sheet]}
        for row in made.rows[sheet].values():
            if row["place"] in places:
                places[row["place"]].append(row)
        for place, rows in places.items():
            known = edit.now.places.get(place)
            there = PlaceNow(
                id=HouseholdId(place), occupant=entered.get(place) or (None if known is None else known.occupant)
            )
            if sheet is Sheet.CONTACTS:
                people = {
                    row["rank"]: Person(name=row["name"], phone=row["phone"], relation=row["relation"]) for row in rows
                }
                edit.put_contacts(there, people, first=place in entered)
            else:
                edit.put_notes(there, {Note(row["note"]): row["words"] for row in rows}, first=place in entered)


def _apply_units(edit: Edit, units: Iterable[tuple[Change, dict[str, Any]]]) -> None:
    listed = [*units]
    station = str(edit.now.contents.station)
    names = ("serial", "gateway", "line", "address", "silent", "volume", "night_volume", "strobe")
    versions: dict[str, int] = {}
    if any(not change.added for change, _ in listed):
        versions = {row["id"]: row["version"] for row in repository.every(edit.session, "unit", station)}
    for change, row in listed:
        fields = UnitFields(sort=UnitSort(row["sort"]), **{name: row[name] for name in names})
        if change.added:
            edit.add_unit(row["id"], fields, UnitState.STORED if row["place"] is None else UnitState.INSTALLED)
        else:
            edit.put_unit(row["id"], versions[row["id"]], fields)
        if row["place"] is not None and row["id"] not in edit.now.units:
            edit.installed(row["id"])
            edit.hang(row["id"], row["place"], handed=True)
