"""The verbs of the register: what people do to it, each with its history.

An edit is one transaction. It sees the tables as they are (whoever writes is alone), asks the rules, closes rows and
opens others, and records who did it. After the commit the snapshot is made anew, and gateways are told what changed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import RowMapping
from sqlmodel import Session

from api.audit.service import record
from api.clock import Clock
from api.database import Database
from api.etags import etag, expect
from api.problems import NotThere
from api.register import repository, rules
from api.register.models import (
    AreaKind,
    CameDown,
    CameIn,
    CameUp,
    How,
    Meaning,
    Note,
    PlaceKind,
    Purpose,
    TeamSort,
    Tree,
    UnitSort,
    UnitState,
    WentOut,
)
from api.register.problems import Impossible
from api.register.rules import Fault
from api.register.service import Register
from api.register.snapshot import AreaNow, PlaceNow, Snapshot, UnitNow
from api.register.writing import AtOnce, Together, Told, Writing
from broker.ids import GatewayId
from broker.signing import gateway_kid, gateway_of_kid

ID_BYTES: Final = 8

PARENT: Final = {Tree.GOVERNMENT: "parent", Tree.POLICE: "police_parent"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaFields:
    """What can be said of an area. None: nothing."""

    name: str = ""
    kind: AreaKind = AreaKind.ORDINARY
    code: str | None = None
    outline: str | None = None
    parent: str | None = None
    police_parent: str | None = None
    gateway: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceFields:
    """What can be said of a place."""

    group: str | None = None
    kind: PlaceKind = PlaceKind.HOUSEHOLD
    door: int | None = None
    label: str = ""
    address: str = ""
    way_in: str = ""
    code: str | None = None
    lat_e7: int | None = None
    lon_e7: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitFields:
    """What can be said of a unit."""

    sort: UnitSort = UnitSort.NATIVE
    serial: str = ""
    gateway: str | None = None
    line: str | None = None
    address: int | None = None
    silent: bool = False
    volume: int = 3
    night_volume: int = 3
    strobe: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody to call."""

    name: str
    phone: str
    relation: str = ""


class Registrar:
    """Lets edits be made, and lets everybody know of them."""

    def __init__(
        self,
        register: Register,
        database: Database,
        *,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`changed` is called after each commit, when the snapshot is new."""
        self._register = register
        self._database = database
        self._clock = clock
        self._random_bytes = random_bytes
        self._changed = changed

    @contextmanager
    def edit(self, by: str | None) -> Iterator["Edit"]:
        """One transaction in the name of `by`: all of it, or nothing."""
        with self._database.write() as session:
            yield self.within(session, by)
        self.done()

    def within(self, session: Session, by: str | None, *, at_ms: int | None = None) -> "Edit":
        """An edit inside a transaction that is the caller's. He calls `done` after his commit.

        `at_ms`: as if it were then, for a trial that is rolled back.
        """
        register = self._register
        now = register.now
        if repository.version(session, register.station) != register.version:
            now = Snapshot(repository.load(session, register.station))
        at_ms = self._clock() if at_ms is None else at_ms
        repository.rise(session, register.station, at_ms=at_ms)
        return Edit(session, register, now, by=by, at_ms=at_ms, random_bytes=self._random_bytes)

    def end_quietings(self, now_ms: int) -> None:
        """Close the rows of quietings that are over. Gateways and alarms go by the end that was set, not by this."""
        with self._database.read() as session:
            over = repository.quietings_over(session, self._register.station, now_ms=now_ms)
        if over:
            with self.edit(None) as edit:
                for place in over:
                    edit.end_quieting(place)

    def done(self) -> None:
        """An edit was committed."""
        self._register.refresh(self._database)
        self._changed()


class Edit:
    """One edit, while its transaction lasts. `now` is the register as it was before."""

    def __init__(
        self,
        session: Session,
        register: Register,
        now: Snapshot,
        *,
        by: str | None,
        at_ms: int,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self.session = session
        self.now = now
        self.at_ms = at_ms
        self.by = by
        self._register = register
        self._station = str(register.station)
        self._random_bytes = random_bytes
        self.write: Writing = AtOnce(session)

    @contextmanager
    def together(self, told: Told = lambda _done, _whole: None) -> Iterator[None]:
        """Write what is done inside the block at its end, in few statements. Nothing of it is read before."""
        kept = Together(self.session)
        before, self.write = self.write, kept
        try:
            yield
        finally:
            self.write = before
        kept.write(told)

    # Areas

    def create_level(self, id_: str, *, tree: Tree, rank: int, name_zh: str, name_en: str, meaning: Meaning) -> None:
        """Add a level, or say anew what people call it; tree and meaning of one that is there stay."""
        values = {"rank": rank, "name_zh": name_zh, "name_en": name_en}
        there = self.now.levels.get(id_)
        if there is None:
            row = {"station": self._station, "id": id_, "tree": tree.value, "meaning": meaning.value}
            self.write.add("area_level", [row | values])
        elif (there.tree, there.meaning) != (tree, meaning):
            raise Impossible([Fault("taken", id_)])
        else:
            self.write.change("area_level", self._station, id_, values)
        self._record("register.level", f"level:{id_}")

    def create_area(self, id_: str, level: str, fields: AreaFields) -> None:
        """Add an area. Raises Impossible."""
        self._refuse(self._area_faults(id_, level, fields, new=True))
        self.add_area(id_, level, fields, meaning=self.now.levels[level].meaning)
        self._record("register.area.create", f"area:{id_}")

    def change_area(self, id_: str, fields: AreaFields, *, if_match: str) -> None:
        """Say anew what an area is and what it lies in. Raises NotThere, StaleVersion or Impossible."""
        area = self._area(id_)
        expect(if_match, area.version)
        self._refuse(self._area_faults(id_, area.level, fields, new=False))
        self.put_area(area, fields)
        self._record("register.area.change", f"area:{id_}")

    def close_area(self, id_: str, *, if_match: str) -> None:
        """Let an area end, in which nothing lies any more. Raises NotThere, StaleVersion or Impossible."""
        area = self._area(id_)
        expect(if_match, area.version)
        if id_ == self._station:
            raise Impossible([Fault("station_stays", id_)])
        if self.now.children.get(id_) or any(place.group == id_ for place in self.now.places.values()):
            raise Impossible([Fault("area_in_use", id_)])
        for name, column in (("area_detail", "area"), ("area_parent", "area"), ("group_gateway", "group")):
            self.write.end(name, {"station": self._station, column: id_}, at_ms=self.at_ms)
        self.write.change(
            "area", self._station, id_, {"to_ms": self.at_ms, "version": area.version + 1}
        )  # fmt: skip
        self._record("register.area.close", f"area:{id_}")

    def _area_faults(self, id_: str, level: str, fields: AreaFields, *, new: bool) -> Iterator[Fault]:
        known = self.now.levels.get(level)
        if known is None:
            yield Fault("level_unknown", level)
            return
        if new and repository.was_there(self.session, "area", self._station, id_):
            yield Fault("taken", id_)
        yield from rules.parents(self.now, id_, level, fields.parent, Tree.GOVERNMENT)
        yield from rules.parents(self.now, id_, level, fields.police_parent, Tree.POLICE)
        if known.meaning is Meaning.GRID and (
            fields.parent is None or self.now.nearest(fields.parent, Meaning.COMMUNITY) is None
        ):
            yield Fault("grid_without_community", id_)
        if fields.gateway is not None and fields.gateway not in self._register.gateways:
            yield Fault("gateway_unknown", fields.gateway)
        if fields.gateway is not None and known.meaning is not Meaning.GROUP:
            yield Fault("not_a_group", id_)

    # Places

    def create_place(self, id_: str, fields: PlaceFields, *, occupant: str | None = None) -> None:
        """Add a place, with somebody in it (named `occupant`) or vacant. Raises Impossible."""
        found: list[Fault] = []
        if repository.was_there(self.session, "place", self._station, id_):
            found.append(Fault("taken", id_))
        found += self._group_faults(id_, fields.group, before=None)
        self._refuse(found)
        self.add_place(id_, fields)
        if occupant is not None:
            self._enter(id_, self._new_occupant(occupant), CameIn.MOVED_IN)
        self._record("register.place.create", f"place:{id_}")

    def change_place(self, id_: str, fields: PlaceFields, *, if_match: str) -> None:
        """Say anew what a place is and which group it belongs to. Raises NotThere, StaleVersion or Impossible."""
        place = self._place(id_)
        expect(if_match, place.version)
        if fields.group is None and place.group is not None:
            raise Impossible([Fault("no_group", id_)])
        if fields.group is not None:
            self._refuse(self._group_faults(id_, fields.group, before=place.group))
        self.put_place(place, fields)
        self._record("register.place.change", f"place:{id_}")

    def close_place(self, id_: str, *, if_match: str) -> None:
        """Let a place end that is vacant and has no unit. Raises NotThere, StaleVersion or Impossible."""
        place = self._place(id_)
        expect(if_match, place.version)
        if place.occupant is not None or self.now.units_at.get(id_):
            raise Impossible([Fault("place_in_use", id_)])
        for name in ("place_detail", "place_group"):
            self.write.end(name, {"station": self._station, "place": id_}, at_ms=self.at_ms)
        self.end_quieting(id_, lifted=True)
        self.write.end("exclusion", {"station": self._station, "excluded": id_}, at_ms=self.at_ms)
        self.write.change(
            "place", self._station, id_, {"to_ms": self.at_ms, "version": place.version + 1}
        )  # fmt: skip
        self._record("register.place.close", f"place:{id_}")

    def quiet(self, place: str, *, minutes: int, reason: str) -> None:
        """Quiet the neighbours' sirens of a place from now on, instead of what was ordered before. Raises NotThere."""
        there = self._place(place)
        self.end_quieting(place, lifted=True)
        until_ms = self.at_ms + minutes * 60_000
        row = {"place": place, "reason": reason, "by": self.by, "until_ms": until_ms}
        self.write.add("quieting", [self._from_now(row)])
        self._touch(there)
        self._record("quieting.order", f"place:{place}", {"until_ms": until_ms}, reason=reason)

    def lift_quieting(self, place: str, *, reason: str) -> None:
        """Let the neighbours' sirens of a place sound again. Raises NotThere, also where they do sound."""
        there = self._place(place)
        if not self.end_quieting(place, lifted=True):
            raise NotThere(f"no quieted sirens at {place!r}")
        self._touch(there)
        self._record("quieting.lift", f"place:{place}", reason=reason)

    def end_quieting(self, place: str, *, lifted: bool = False) -> bool:
        """End what was ordered for a place, if anything. Returns whether it still held."""
        held = False
        for row in repository.still(self.session, "quieting", self._station, place=place):
            held = self.at_ms < row["until_ms"]
            to_ms = max(row["from_ms"], min(self.at_ms, row["until_ms"]))
            by = self.by if lifted and held else None
            keys = {"number": row["number"]}
            self.write.change_where("quieting", keys, {"to_ms": to_ms, "lifted_by": by})
        return held

    def _group_faults(self, place: str, group: str | None, *, before: str | None) -> Iterator[Fault]:
        if group is None:
            yield Fault("no_group", place)
        elif self.now.areas.get(group) is None:
            yield Fault("area_unknown", group)
        elif self.now.areas[group].meaning is not Meaning.GROUP:
            yield Fault("not_a_group", group)
        elif group != before:
            members = sum(1 for one in self.now.places.values() if one.group == group)
            if members >= rules.GROUP_MOST:
                yield Fault("group_is_full", group)

    # Occupants

    def move_in(self, place: str, name: str, *, if_match: str) -> str:
        """Let somebody else live there from now on, with nobody's consents and exclusions. Returns the occupant."""
        there = self._place(place)
        expect(if_match, there.version)
        self._leave(there, WentOut.MOVED_OUT)
        occupant = self._new_occupant(name)
        self._enter(place, occupant, CameIn.MOVED_IN)
        self._touch(there)
        self._record("register.move_in", f"place:{place}", {"occupant": occupant})
        return occupant

    def move_out(self, place: str, *, if_match: str) -> None:
        """Leave a place vacant. Raises NotThere, StaleVersion or Impossible."""
        there = self._occupied(place)
        expect(if_match, there.version)
        self._leave(there, WentOut.MOVED_OUT)
        self._touch(there)
        self._record("register.move_out", f"place:{place}", {"occupant": there.occupant})

    def lend(self, place: str, name: str, *, if_match: str) -> str:
        """Let somebody else live there for a time: who lends it comes back as he was. Returns the occupant."""
        there = self._occupied(place)
        expect(if_match, there.version)
        self._leave(there, WentOut.LENT)
        occupant = self._new_occupant(name)
        self._enter(place, occupant, CameIn.LENT)
        self._touch(there)
        self._record("register.lend", f"place:{place}", {"occupant": occupant})
        return occupant

    def give_back(self, place: str, *, if_match: str) -> None:
        """Let whoever lent a place live there again. Raises NotThere, StaleVersion or Impossible."""
        there = self._occupied(place)
        expect(if_match, there.version)
        lender = repository.lender(self.session, self._station, place)
        if lender is None:
            raise Impossible([Fault("not_lent", place)])
        self._leave(there, WentOut.RETURNED)
        self._enter(place, lender, CameIn.RETURNED)
        self._touch(there)
        self._record("register.give_back", f"place:{place}", {"occupant": lender})

    def swap(self, place: str, other: str, *, if_match: str) -> None:
        """Let the occupants of two places change places. Raises NotThere, StaleVersion or Impossible."""
        one, two = self._occupied(place), self._occupied(other)
        expect(if_match, one.version)
        if place == other:
            raise Impossible([Fault("itself", place)])
        for there in (one, two):
            self._leave(there, WentOut.SWAPPED)
        for there, come in ((one, two), (two, one)):
            assert come.occupant is not None
            self._enter(there.id, come.occupant, CameIn.SWAPPED)
            self._touch(there)
            self._record("register.swap", f"place:{there.id}", {"occupant": come.occupant})

    def name_occupant(self, place: str, name: str, *, if_match: str) -> None:
        """Put right how the occupant is called: the same people. Raises NotThere, StaleVersion or Impossible."""
        there = self._occupied(place)
        expect(if_match, there.version)
        assert there.occupant is not None
        self.write.change("occupant", self._station, there.occupant, {"name": name})
        self._touch(there)
        self._record("register.name", f"place:{place}", {"occupant": there.occupant})

    def consent(
        self, place: str, purpose: Purpose, *, version: int, given: bool, how: How, if_match: str
    ) -> None:  # fmt: skip
        """Write down that the occupant consents, or takes it back: what was kept by it is then erased."""
        there = self._occupied(place)
        expect(if_match, there.version)
        row = {"place": place, "occupant": there.occupant, "purpose": purpose.value}
        self._put("consent", row, {"version": version, "given": given, "how": how.value, "by": self.by})
        if not given:
            self.forget(str(there.occupant), purpose)
        self._touch(there)
        detail = {"purpose": purpose.value, "version": version, "given": given, "how": how.value}
        self._record("register.consent", f"place:{place}", detail)

    def exclude(self, place: str, excluded: Iterable[str], *, if_match: str) -> None:
        """Say which neighbours shall not be told of what happens here. Raises NotThere, StaleVersion, Impossible."""
        there = self._occupied(place)
        expect(if_match, there.version)
        wanted = {*excluded}
        found = [Fault("place_unknown", one) for one in sorted(wanted - {*self.now.places} - there.excludes)]
        if place in wanted:
            found.append(Fault("itself", place))
        self._refuse(found)
        self.put_exclusions(there, wanted)
        self._touch(there)
        self._record("register.exclude", f"place:{place}", {"count": len(wanted)})

    def contacts(self, place: str, people: Sequence[Person], *, if_match: str) -> None:
        """Say whom to call, in this order; needs the occupant's consent. Raises as the others do."""
        there = self._occupied(place)
        expect(if_match, there.version)
        if people:
            self._needs(there, Purpose.CONTACTS)
        self.put_contacts(there, dict(enumerate(people, 1)))
        self._touch(there)
        self._record("register.contacts", f"place:{place}", {"count": len(people)})

    def notes(self, place: str, notes: Mapping[Note, str], *, if_match: str) -> None:
        """Say what responders should know; needs the occupant's consent. Raises as the others do."""
        there = self._occupied(place)
        expect(if_match, there.version)
        if notes:
            self._needs(there, Purpose.RESPONDER_NOTES)
        self.put_notes(there, notes)
        self._touch(there)
        self._record("register.notes", f"place:{place}", {"notes": sorted(note.value for note in notes)})

    # Units

    def create_unit(self, id_: str, fields: UnitFields) -> None:
        """Add a unit, which hangs nowhere yet. Raises Impossible."""
        found = [Fault("taken", id_)] if repository.was_there(self.session, "unit", self._station, id_) else []
        found += self._wiring_faults(id_, fields)
        self._refuse(found)
        self.add_unit(id_, fields, UnitState.STORED)
        self._record("register.unit.create", f"unit:{id_}")

    def change_unit(self, id_: str, fields: UnitFields, *, if_match: str) -> None:
        """Say anew what a unit is and what it hangs on. Raises NotThere, StaleVersion or Impossible."""
        row = self._unit_row(id_)
        expect(if_match, row["version"])
        self._refuse(self._wiring_faults(id_, fields))
        self.put_unit(id_, row["version"], fields)
        self._record("register.unit.change", f"unit:{id_}")

    def install(self, unit: str, place: str, *, if_match: str) -> None:
        """Hang a unit on a wall. It is in earnest once it is handed over. Raises as the others do."""
        row, there = self._unit_row(unit), self._place(place)
        expect(if_match, row["version"])
        found = [Fault("hangs", unit)] if unit in self.now.units else []
        if row["state"] in {UnitState.LOST, UnitState.SCRAPPED}:
            found.append(Fault("out_of_use", unit))
        self._refuse(found)
        self._hang(unit, place, CameUp.INSTALLED)
        self._state(row, UnitState.INSTALLED)
        self._touch(there)
        self._record("register.unit.install", f"unit:{unit}", {"place": place})

    def swap_units(self, unit: str, other: str, *, if_match: str) -> None:
        """Let two units change walls: both stay in earnest. Raises as the others do."""
        one, two = self._hanging(unit), self._hanging(other)
        expect(if_match, one.version)
        if unit == other:
            raise Impossible([Fault("itself", unit)])
        for hung in (one, two):
            self._take_down(hung.id, CameDown.SWAPPED)
        for hung, wall in ((one, two), (two, one)):
            self._hang(hung.id, wall.place, CameUp.SWAPPED, handed_ms=self.at_ms if wall.handed else None)
            self.write.change("unit", self._station, hung.id, {"version": hung.version + 1})
            self._touch(self._place(hung.place))
            self._record("register.unit.swap", f"unit:{hung.id}", {"place": wall.place})

    def replace_unit(self, unit: str, by: str, *, if_match: str) -> None:
        """Hang another unit where this one hung; it goes back into store. Raises as the others do."""
        old, new = self._hanging(unit), self._unit_row(by)
        expect(if_match, old.version)
        found = [Fault("hangs", by)] if by in self.now.units else []
        if new["state"] in {UnitState.LOST, UnitState.SCRAPPED}:
            found.append(Fault("out_of_use", by))
        self._refuse(found)
        self._take_down(unit, CameDown.REPLACED)
        self._state(self._unit_row(unit), UnitState.STORED)
        self._hang(by, old.place, CameUp.REPLACED)
        self._state(new, UnitState.INSTALLED)
        self._touch(self._place(old.place))
        self._record("register.unit.replace", f"unit:{unit}", {"by": by, "place": old.place})

    def take_down(self, unit: str, how: CameDown, *, if_match: str) -> None:
        """Let a unit hang nowhere any more: removed, lost or scrapped. Raises as the others do."""
        row = self._unit_row(unit)
        expect(if_match, row["version"])
        hung = self.now.units.get(unit)
        if hung is None and how is CameDown.REMOVED:
            raise Impossible([Fault("hangs_nowhere", unit)])
        if hung is not None:
            self._take_down(unit, how)
            self._touch(self._place(hung.place))
        states = {CameDown.LOST: UnitState.LOST, CameDown.SCRAPPED: UnitState.SCRAPPED}
        self._state(row, states.get(how, UnitState.STORED))
        self._record(f"register.unit.{how.value}", f"unit:{unit}")

    def hand_over(self, unit: str) -> None:
        """From now on the unit is in earnest. Raises NotThere or Impossible."""
        hung = self._hanging(unit)
        self.write.change_where(
            "unit_place", {"station": self._station, "unit": unit, "to_ms": None},
            {"handed_ms": self.at_ms, "handed_by": self.by},
        )  # fmt: skip
        self.write.change("unit", self._station, unit, {"version": hung.version + 1})
        self._touch(self._place(hung.place))
        self._record("register.unit.hand_over", f"unit:{unit}", {"place": hung.place})

    def _wiring_faults(self, unit: str, fields: UnitFields) -> Iterator[Fault]:
        wired = (fields.line, fields.address)
        if fields.gateway is not None and fields.gateway not in self._register.gateways:
            yield Fault("gateway_unknown", fields.gateway)
        if any(part is not None for part in wired) and (None in wired or fields.gateway is None):
            yield Fault("needs_line", unit)
        for other in self.now.units.values():
            same = (other.gateway, other.line, other.address) == (fields.gateway, *wired)
            if same and fields.address is not None and other.id != unit:
                yield Fault("address_taken", f"{fields.gateway}/{fields.line}/{fields.address}")

    # Companies and teams

    def put_company(self, id_: str, *, name: str, code: str | None, if_match: str | None) -> None:
        """Add a company, or say anew what it is called. Raises NotThere, StaleVersion or Impossible."""
        self._put_named("company", id_, {"name": name, "code": code}, if_match=if_match)

    def put_team(
        self, id_: str, *, name: str, sort: TeamSort, area: str | None, company: str | None, if_match: str | None
    ) -> None:
        """Add a team, or say anew what it is. Raises NotThere, StaleVersion or Impossible."""
        found = [Fault("area_unknown", area)] if area is not None and area not in self.now.areas else []
        if company is not None and not repository.was_there(self.session, "company", self._station, company):
            found.append(Fault("company_unknown", company))
        self._refuse(found)
        values = {"name": name, "sort": sort.value, "area": area, "company": company}
        self._put_named("team", id_, values, if_match=if_match)

    def team_members(self, team: str, accounts: Iterable[str], *, if_match: str) -> None:
        """Say who is in a team from now on. Raises NotThere or StaleVersion."""
        row = repository.row(self.session, "team", self._station, team)
        if row is None or row["to_ms"] is not None:
            raise NotThere(f"no team {team!r} here")
        expect(if_match, row["version"])
        wanted = {*accounts}
        members = {one["account"] for one in repository.still(self.session, "team_member", self._station, team=team)}
        for account in sorted(members - wanted):
            keys = {"station": self._station, "team": team, "account": account}
            self.write.end("team_member", keys, at_ms=self.at_ms)
        rows = [self._from_now({"team": team, "account": account}) for account in sorted(wanted - members)]
        self.write.add("team_member", rows)
        self.write.change("team", self._station, team, {"version": row["version"] + 1})
        self._record("register.team.members", f"team:{team}", {"accounts": sorted(wanted)})

    def _put_named(self, name: str, id_: str, values: dict[str, Any], *, if_match: str | None) -> None:
        row = repository.row(self.session, name, self._station, id_)
        if row is None and if_match is None:
            self.write.add(name, [{**self._from_now(values), "id": id_, "version": 1}])
        elif row is None:
            raise NotThere(f"no {name} {id_!r} here")
        elif if_match is None:
            raise Impossible([Fault("taken", id_)])
        else:
            expect(if_match, row["version"])
            self.write.change(name, self._station, id_, values | {"version": row["version"] + 1})
        self._record(f"register.{name}", f"{name}:{id_}")

    # Rows, without asking the rules: an import has asked them of the whole

    def keep_company(self, id_: str, *, name: str, code: str | None) -> None:
        """Write a company as it is now called."""
        self._keep_named("company", id_, {"name": name, "code": code})

    def keep_team(self, id_: str, *, name: str, sort: TeamSort, area: str | None, company: str | None) -> None:
        """Write a team as it is now."""
        self._keep_named("team", id_, {"name": name, "sort": TeamSort(sort).value, "area": area, "company": company})

    def keep_members(self, team: str, accounts: Iterable[str]) -> None:
        """Write who is in a team from now on."""
        self.team_members(team, accounts, if_match=self._etag("team", team) or "")

    def _keep_named(self, name: str, id_: str, values: dict[str, Any]) -> None:
        self._put_named(name, id_, values, if_match=self._etag(name, id_))

    def _etag(self, name: str, id_: str) -> str | None:
        row = repository.row(self.session, name, self._station, id_)
        return None if row is None else etag(row["version"])

    def add_area(self, id_: str, level: str, fields: AreaFields, *, meaning: Meaning) -> None:
        """Write a new area, whose level means that."""
        row = {"id": id_, "level": level, "version": 1}
        self.write.add("area", [self._from_now(row)])
        self.put_area(AreaNow(id=id_, level=level, meaning=meaning, version=0), fields, new=True)

    def put_area(self, area: AreaNow, fields: AreaFields, *, new: bool = False) -> None:
        """Write what differs, and keep what was."""
        detail = ("name", "kind", "code", "outline")
        if new or any(getattr(area, name) != getattr(fields, name) for name in detail):
            values = {name: getattr(fields, name) for name in detail} | {"kind": fields.kind.value}
            self._put("area_detail", {"area": area.id}, values)
        for tree, name in PARENT.items():
            if getattr(area, name) != (parent := getattr(fields, name)):
                self._put("area_parent", {"area": area.id, "tree": tree.value}, _some(parent=parent))
        if area.gateway != fields.gateway:
            self._put("group_gateway", {"group": area.id}, _some(gateway=fields.gateway))
        self.write.change("area", self._station, area.id, {"version": area.version + 1})

    def add_place(self, id_: str, fields: PlaceFields) -> None:
        """Write a new place."""
        self.write.add("place", [self._from_now({"id": id_, "version": 1})])
        self.put_place(PlaceNow(id=id_, version=0), fields, new=True)  # type: ignore[arg-type] # an id is a text

    def put_place(self, place: PlaceNow, fields: PlaceFields, *, new: bool = False) -> None:
        """Write what differs, and keep what was."""
        detail = ("kind", "door", "label", "address", "way_in", "code", "lat_e7", "lon_e7")
        if new or any(getattr(place, name) != getattr(fields, name) for name in detail):
            values = {name: getattr(fields, name) for name in detail} | {"kind": fields.kind.value}
            self._put("place_detail", {"place": place.id}, values)
        if place.group != fields.group:
            self._put("place_group", {"place": place.id}, _some(group=fields.group))
        self._touch(place)

    def put_exclusions(self, place: PlaceNow, wanted: Iterable[str]) -> None:
        """Write what differs, and keep what was."""
        wanted = {*wanted}
        base = {"place": str(place.id), "occupant": place.occupant}
        for gone in sorted(place.excludes - wanted):
            keys = {"station": self._station, **base, "excluded": gone}
            self.write.end("exclusion", keys, at_ms=self.at_ms)
        rows = [self._from_now({**base, "excluded": one}) for one in sorted(wanted - place.excludes)]
        self.write.add("exclusion", rows)

    def put_contacts(self, place: PlaceNow, people: Mapping[int, Person], *, first: bool = False) -> None:
        """Write the list anew where it differs; who is on it no more is erased. `first`: there are none yet."""
        assert place.occupant is not None
        there = {} if first else repository.contacts(self.session, self._station, place.occupant)
        for rank in sorted({*there, *people}):
            new, old = people.get(rank), there.get(rank)
            if old is not None and new is not None and (old["name"], old["phone"], old["relation"]) == (
                new.name, new.phone, new.relation,
            ):  # fmt: skip
                continue
            keys = {"occupant": place.occupant, "rank": rank}
            if old is not None:
                closed = {"station": self._station, **keys}
                self.write.end("contact", closed, at_ms=self.at_ms, name=None, phone=None)
            if new is not None:
                values = {"name": new.name, "phone": new.phone, "relation": new.relation}
                self.write.add("contact", [self._from_now(keys | values)])

    def put_notes(self, place: PlaceNow, notes: Mapping[Note, str], *, first: bool = False) -> None:
        """Write what differs; what is not there any more is erased. `first`: there are none yet."""
        assert place.occupant is not None
        there = {} if first else repository.notes(self.session, self._station, place.occupant)
        for note in sorted({*there, *notes}):
            if note in there and there[note] == notes.get(note):
                continue
            keys = {"occupant": place.occupant, "note": note.value}
            if note in there:
                closed = {"station": self._station, **keys}
                self.write.end("responder_note", closed, at_ms=self.at_ms, words=None)
            if note in notes:
                self.write.add("responder_note", [self._from_now(keys | {"words": notes[note]})])

    def give_key(self, unit: str, sealed: str) -> None:
        """Put down the key of a unit, sealed. Raises NotThere or Impossible."""
        if self._unit_row(unit)["sort"] != UnitSort.NATIVE:
            raise Impossible([Fault("not_native", unit)])
        row = {"station": self._station, "unit": unit, "sealed": sealed, "by": self.by, "from_ms": self.at_ms}
        repository.put_unit_key(self.session, row)
        self._record("register.unit.key", f"unit:{unit}")

    def believe(self, gateway: str, public: str) -> None:
        """Believe a gateway by this key from now on, and by no other. Raises Impossible."""
        known = self._register.gateway_keys
        self._refuse(
            Fault("key_is_another", other)
            for kid, key in known.items()
            if key == public and (other := gateway_of_kid(kid)) != gateway
        )
        self._end_key(gateway)
        row = {"gateway": gateway, "public": public, "by": self.by}
        self.write.add("gateway_key", [self._from_now(row)])
        self._record("register.gateway.key", f"gateway:{gateway}", {"public": public})

    def revoke(self, gateway: str) -> None:
        """Believe a gateway no more, whatever the settings say. Raises NotThere."""
        key = self._register.gateway_keys.get(gateway_kid(GatewayId(gateway)))
        if gateway not in self._register.gateways:
            raise NotThere(f"no gateway {gateway!r} here")
        if not self._end_key(gateway) and key is not None:  # it is the settings' own
            row = {"gateway": gateway, "public": key, "by": self.by, "to_ms": self.at_ms}
            self.write.add("gateway_key", [self._from_now(row)])
        self._record("register.gateway.revoke", f"gateway:{gateway}")

    def _end_key(self, gateway: str) -> bool:
        there = repository.still(self.session, "gateway_key", self._station, gateway=gateway)
        self.write.end("gateway_key", {"station": self._station, "gateway": gateway}, at_ms=self.at_ms)
        return bool(there)

    def add_unit(self, id_: str, fields: UnitFields, state: UnitState) -> None:
        """Write a new unit."""
        row = {"station": self._station, "id": id_, "state": state.value, "from_ms": self.at_ms, "version": 1}
        self.write.add("unit", [row | _unit_values(fields)])

    def put_unit(self, id_: str, version: int, fields: UnitFields) -> None:
        """Write what a unit is now."""
        self.write.change("unit", self._station, id_, _unit_values(fields) | {"version": version + 1})

    def enter(self, place: str, name: str) -> str:
        """Let somebody live in a place that is vacant. Returns the occupant."""
        occupant = self._new_occupant(name)
        self._enter(place, occupant, CameIn.MOVED_IN)
        return occupant

    def hang(self, unit: str, place: str, *, handed: bool) -> None:
        """Let a unit that hangs nowhere hang there."""
        self._hang(unit, place, CameUp.INSTALLED, handed_ms=self.at_ms if handed else None)

    def unhang(self, unit: str) -> None:
        """Let a unit hang nowhere."""
        self._take_down(unit, CameDown.REMOVED)

    def installed(self, unit: str) -> None:
        """Say that a unit is in use."""
        self.write.change("unit", self._station, unit, {"state": UnitState.INSTALLED.value})

    def rename(self, occupant: str, name: str) -> None:
        """Say what the same people are called."""
        self.write.change("occupant", self._station, occupant, {"name": name})

    def forget(self, occupant: str, purpose: Purpose) -> None:
        """Erase what hung on a consent that was taken back."""
        if purpose is Purpose.RESPONDER_NOTES:
            self._forget("responder_note", occupant, {"words": None})
        if purpose is Purpose.CONTACTS:
            self._forget("contact", occupant, {"name": None, "phone": None})

    def put_consent(self, place: str, occupant: str, purpose: Purpose, *, given: bool) -> None:
        """Write a consent on paper, or that it was taken back."""
        keys = {"place": place, "occupant": occupant, "purpose": purpose.value}
        self._put("consent", keys, {"version": 1, "given": given, "how": How.PAPER.value, "by": self.by})

    # Below everything

    def _refuse(self, found: Iterable[Fault]) -> None:
        if listed := list(dict.fromkeys(found)):
            raise Impossible(listed)

    def _area(self, id_: str) -> AreaNow:
        found = self.now.areas.get(id_)
        if found is None:
            raise NotThere(f"no area {id_!r} here")
        return found

    def _place(self, id_: str) -> PlaceNow:
        found = self.now.places.get(id_)
        if found is None:
            raise NotThere(f"no place {id_!r} here")
        return found

    def _occupied(self, id_: str) -> PlaceNow:
        found = self._place(id_)
        if found.occupant is None:
            raise Impossible([Fault("vacant", id_)])
        return found

    def _unit_row(self, id_: str) -> RowMapping:
        found = repository.row(self.session, "unit", self._station, id_)
        if found is None:
            raise NotThere(f"no unit {id_!r} here")
        return found

    def _hanging(self, id_: str) -> UnitNow:
        self._unit_row(id_)
        found = self.now.units.get(id_)
        if found is None:
            raise Impossible([Fault("hangs_nowhere", id_)])
        return found

    def _needs(self, place: PlaceNow, purpose: Purpose) -> None:
        assert place.occupant is not None
        if not repository.consented(self.session, self._station, place.id, place.occupant, purpose):
            raise Impossible([Fault("needs_consent", purpose.value)])

    def _new_occupant(self, name: str) -> str:
        occupant = f"o-{self._random_bytes(ID_BYTES).hex()}"
        row = {"station": self._station, "id": occupant, "name": name, "since_ms": self.at_ms}
        self.write.add("occupant", [row])
        return occupant

    def _enter(self, place: str, occupant: str, how: CameIn) -> None:
        row = self._from_now({"place": place, "occupant": occupant, "began": how.value})
        self.write.add("occupancy", [row])

    def _leave(self, place: PlaceNow, how: WentOut) -> None:
        """End who lives there. What he said of this place ends with him, unless he has only lent it."""
        if place.occupant is None:
            return
        lender = repository.lender(self.session, self._station, place.id)
        base = {"station": self._station, "place": str(place.id), "occupant": place.occupant}
        self.end_quieting(place.id, lifted=True)
        self.write.end("occupancy", base, at_ms=self.at_ms, ended=how.value)
        if how is WentOut.LENT:
            return
        gone = [place.occupant] if lender is None or how is WentOut.RETURNED else [place.occupant, lender]
        for occupant in gone:
            for name in ("exclusion", "consent"):
                self.write.end(name, base | {"occupant": occupant}, at_ms=self.at_ms)
            self._forget("responder_note", occupant, {"words": None})
            self._forget("contact", occupant, {"name": None, "phone": None})

    def _forget(self, name: str, occupant: str, erased: Mapping[str, None]) -> None:
        keys = {"station": self._station, "occupant": occupant}
        self.write.end(name, keys, at_ms=self.at_ms)
        self.write.change_where(name, keys, erased)

    def _hang(self, unit: str, place: str, how: CameUp, *, handed_ms: int | None = None) -> None:
        handed_by = None if handed_ms is None else self.by
        row = {"unit": unit, "place": place, "began": how.value, "handed_ms": handed_ms, "handed_by": handed_by}
        self.write.add("unit_place", [self._from_now(row)])

    def _take_down(self, unit: str, how: CameDown) -> None:
        keys = {"station": self._station, "unit": unit}
        self.write.end("unit_place", keys, at_ms=self.at_ms, ended=how.value)

    def _state(self, row: RowMapping, state: UnitState) -> None:
        values = {"state": state.value, "version": row["version"] + 1}
        self.write.change("unit", self._station, row["id"], values)

    def _touch(self, place: PlaceNow) -> None:
        """Whoever read this place has read something old."""
        touched = replace(place, version=place.version + 1)
        self.write.change("place", self._station, place.id, {"version": touched.version})

    def _put(self, name: str, keys: Mapping[str, object], values: Mapping[str, object] | None) -> None:
        """End the row of these keys that still holds, and let another hold from now on (None: none)."""
        self.write.end(name, {"station": self._station, **keys}, at_ms=self.at_ms)
        if values is not None:
            self.write.add(name, [self._from_now({**keys, **values})])

    def _from_now(self, row: Mapping[str, object]) -> dict[str, object]:
        return {"station": self._station, "from_ms": self.at_ms, **row}

    def _record(
        self, action: str, about: str, detail: Mapping[str, object] | None = None, *, reason: str | None = None
    ) -> None:
        record(
            self.session, at_ms=self.at_ms, by=self.by, action=action, about=about, detail=detail, reason=reason
        )  # fmt: skip


def _some(**values: object) -> dict[str, object] | None:
    return None if None in values.values() else values


def _unit_values(fields: UnitFields) -> dict[str, object]:
    names = ("serial", "gateway", "line", "address", "silent", "volume", "night_volume", "strobe")
    return {"sort": fields.sort.value} | {name: getattr(fields, name) for name in names}
