"""Announces drills, tells the gateway when one begins, and says how ready a group is. Takes a session, never commits.

DrillProblem
+-- BadTimes                422: too soon, too long, too far ahead
+-- ForeignUnits            422: .units that are not in the group
"""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus

from sqlmodel import Session

from api.audit.service import record
from api.clock import Clock, iso
from api.database import Database
from api.drills import repository
from api.drills.models import Away, Drill
from api.drills.rules import Readiness, UnitNow, bad_times, readiness
from api.drills.schemas import (
    AbsenceAnswer,
    AbsenceAsked,
    ConditionAnswer,
    DrillAnswer,
    DrillResultAnswer,
    NewDrill,
    ReadinessAnswer,
    absence_answer,
    drill_answer,
    drill_result,
    readiness_answer,
    unit_condition,
)
from api.outgoing import service as outgoing
from api.problems import NotThere, Problem
from api.register.service import Register
from api.rights.rules import Authority, Over, Role
from broker.ids import EVENT_ID_RANDOM_BYTES, event_id
from broker.messages import Action


class BadTimes(Problem):
    """A drill that cannot be announced for these times, or an absence that would be over."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "bad_times"
    title = "Not at these times"


class ForeignUnits(Problem):
    """Units that are not in the group of the drill. Field: `units`."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "foreign_units"
    title = "These units are not in this group"

    def __init__(self, units: Sequence[str]) -> None:
        self.units = tuple(units)
        super().__init__(f"not in this group: {', '.join(units)}", units=[*units])


class Drills:
    """The drills of one station."""

    def __init__(self, register: Register, *, clock: Clock, random_bytes: Callable[[int], bytes]) -> None:
        self._register = register
        self._clock = clock
        self._random_bytes = random_bytes

    def announce(self, session: Session, by: Authority, new: NewDrill) -> DrillAnswer:
        """Announce a drill of a group that the account reaches. Raises NotThere, ForeignUnits or BadTimes."""
        now = self._clock()
        self._reached(by, new.group)
        begins_ms, ends_ms = round(new.begins.timestamp() * 1_000), round(new.ends.timestamp() * 1_000)
        if foreign := sorted(frozenset(new.units) - self._units_in(new.group).keys()):
            raise ForeignUnits(foreign)
        if why := bad_times(now_ms=now, begins_ms=begins_ms, ends_ms=ends_ms):
            raise BadTimes(why)
        drill = repository.add(
            session,
            Drill(
                station=self._register.station,
                group=new.group,
                purpose=new.purpose,
                by=by.principal.account,
                announced_ms=now,
                begins_ms=begins_ms,
                ends_ms=ends_ms,
            ),
            new.units,
        )
        detail = {"group": new.group, "units": sorted(new.units), "begins_ms": begins_ms, "ends_ms": ends_ms}
        record(session, at_ms=now, by=drill.by, action=by.action, about=f"drill:{drill.number}", detail=detail)
        return self._show(session, [drill])[0]

    def call_off(self, session: Session, by: Authority, number: int) -> DrillAnswer:
        """End it now, or before it has begun: from now on every press is real. Raises NotThere. Twice is once."""
        now = self._clock()
        drill = repository.find(session, number)
        if drill is None:
            raise NotThere(f"no drill {number} of yours")
        self._reached(by, drill.group)
        if drill.called_off_ms is None and now < drill.ends_ms:
            drill.called_off_ms, drill.called_off_by = now, by.principal.account
            if drill.ordered_ms is not None:
                self._order(session, drill, frozenset(), lasts_ms=0)
            session.flush()
            detail = {"called_off": True}
            record(
                session, at_ms=now, by=by.principal.account, action=by.action, about=f"drill:{number}", detail=detail
            )
        return self._show(session, [drill])[0]

    def listed(
        self, session: Session, by: Authority, *, over: bool, below: int | None, limit: int
    ) -> list[DrillAnswer]:
        """Drills of the groups that the account reaches; with `over` those that are over as well."""
        after_ms = None if over else self._clock()
        found = repository.page(session, groups=self._groups(by), after_ms=after_ms, below=below, limit=limit)
        return self._show(session, found)

    def result(self, session: Session, by: Authority, number: int) -> DrillResultAnswer:
        """What became of a drill of a group that the account reaches: presses and answers. Raises NotThere."""
        drill = repository.find(session, number)
        if drill is None:
            raise NotThere(f"no drill {number} of yours")
        self._reached(by, drill.group)
        shown = self._show(session, [drill])[0]
        to_ms = drill.ends_ms if drill.called_off_ms is None else min(drill.ends_ms, drill.called_off_ms)
        pressed = repository.presses(session, drill.group, shown.units, from_ms=drill.begins_ms, to_ms=to_ms)
        answers = repository.answers(session, [alarm for alarm, _, _ in pressed])
        return drill_result(
            shown, pressed, answers, places={unit: self._register.place_of_unit(unit) for unit in shown.units}
        )

    def order(self, database: Database, now_ms: int, *, wake: Callable[[], None]) -> None:
        """Tell the gateways of drills that have begun. A job of the rounds."""
        with database.read() as session:
            if not repository.to_order(session, now_ms=now_ms):
                return
        with database.write(patient=True) as session:
            drills = repository.to_order(session, now_ms=now_ms)
            named = repository.units(session, [drill.number for drill in drills if drill.number is not None])
            for drill in drills:
                drill.ordered_ms = now_ms
                self._order(session, drill, named[drill.number or 0], lasts_ms=drill.ends_ms - now_ms)
        wake()

    def ready(self, session: Session, by: Authority, group: str) -> ReadinessAnswer:
        """How ready a group that the account reaches is, as seen from the account's own place. Raises NotThere."""
        self._reached(by, group)
        own = next(
            (place for place in by.reach.over(Over.GROUP) if self._register.groups_of_places.get(place) == group), None
        )
        keeper = own is None or by.principal.has(Role.GROUP_LEADER)
        places = self._register.places_in(group)
        return readiness_answer(group, self.readiness(session, group), own=own, keeper=keeper, places=places)

    def readiness(self, session: Session, group: str) -> Readiness:
        """How ready a group is now."""
        now = self._clock()
        places = self._register.places_in(group)
        units, there = self._units_now(session, group, self._units_in(group))
        away = repository.away(session, places, at_ms=now)
        return readiness(places, units, away=away, station_reached=there, now_ms=now)

    def condition(self, session: Session, by: Authority, place: str) -> ConditionAnswer:
        """How the units of a place are, and whether nobody is at home. Raises NotThere."""
        self._own(by, place)
        now = self._clock()
        group = self._register.groups_of_places.get(place)
        units, _ = self._units_now(session, group, dict.fromkeys(self._register.units_of(place), place))
        absence = repository.absence(session, place, at_ms=now)
        gateway = self._register.gateway_of(group)
        own: dict[str, set[str]] = {unit.unit: set() for unit in units}
        for _, code, about in repository.faults(session, frozenset({gateway} if gateway else ())):
            if about in own:
                own[about].add(code)
        return ConditionAnswer(
            place=place,
            group=group,
            absence=None if absence is None else absence_answer(absence),
            units=tuple(
                unit_condition(unit, own[unit.unit], now_ms=now) for unit in sorted(units, key=lambda one: one.unit)
            ),
        )

    def _units_now(self, session: Session, group: str | None, units: Mapping[str, str]) -> tuple[list[UnitNow], bool]:
        """What is known of these units of a group, by their places; and whether its gateway is there."""
        gateway = self._register.gateway_of(group)
        gateways = frozenset({gateway} if gateway else ())
        there = bool(repository.online(session, gateways))
        tests = repository.last_tests(session, [*units])
        faults: dict[str, set[str]] = {}
        for _, code, about in repository.faults(session, gateways):
            of = units if self._register.unit(about) is None else {about} & units.keys()
            for unit in of:  # what is about the gateway or a line is about every unit there
                faults.setdefault(unit, set()).add(code)
        found = [
            UnitNow(
                unit=unit,
                place=place,
                gateway_there=there,
                faults=frozenset(faults.get(unit, ())),
                tested_ms=tests.get(unit),
                since_ms=self._register.unit_since(unit),
            )
            for unit, place in units.items()
        ]
        return found, there

    def leave(self, session: Session, by: Authority, place: str, asked: AbsenceAsked) -> AbsenceAnswer:
        """Say that nobody is at a place; one that goes on is replaced. Raises NotThere or BadTimes."""
        now = self._clock()
        self._own(by, place)
        from_ms = now if asked.begins is None else max(now, round(asked.begins.timestamp() * 1_000))
        to_ms = None if asked.until is None else round(asked.until.timestamp() * 1_000)
        if to_ms is not None and to_ms <= from_ms:
            raise BadTimes("it would be over before it begins")
        self._return(session, place, now)
        session.add(Away(place=place, from_ms=from_ms, to_ms=to_ms, by=by.principal.account))
        session.flush()
        record(session, at_ms=now, by=by.principal.account, action=by.action, about=f"place:{place}")
        return AbsenceAnswer(place=place, begins=iso(from_ms), until=None if to_ms is None else iso(to_ms))

    def come_back(self, session: Session, by: Authority, place: str) -> None:
        """Somebody is at home again. Raises NotThere. Twice is once."""
        self._own(by, place)
        if self._return(session, place, self._clock()):
            record(session, at_ms=self._clock(), by=by.principal.account, action=by.action, about=f"place:{place}")

    def _return(self, session: Session, place: str, now_ms: int) -> bool:
        absence = repository.absence(session, place, at_ms=now_ms)
        if absence is None:
            return False
        if absence.from_ms >= now_ms:
            session.delete(absence)
        else:
            absence.to_ms = now_ms
        session.flush()
        return True

    def _order(self, session: Session, drill: Drill, units: frozenset[str], *, lasts_ms: int) -> None:
        gateway = self._register.gateway_of(drill.group)
        if gateway is None:
            return
        now = self._clock()
        outgoing.order(
            session,
            gateway,
            Action.DRILL,
            station=self._register.station,
            id=event_id(now, self._random_bytes(EVENT_ID_RANDOM_BYTES)),
            happened_ms=now,
            group=drill.group,
            units=tuple(sorted(units)),
            lasts_ms=lasts_ms,
        )

    def _show(self, session: Session, drills: Sequence[Drill]) -> list[DrillAnswer]:
        units = repository.units(session, [drill.number for drill in drills if drill.number is not None])
        now = self._clock()
        return [drill_answer(drill, units[drill.number or 0], now_ms=now) for drill in drills]

    def _units_in(self, group: str) -> dict[str, str]:
        """The units that hang in a group, with their places."""
        register = self._register
        return {unit: place for place in register.places_in(group) for unit in register.units_of(place)}

    def _groups(self, by: Authority) -> frozenset[str]:
        """Every group that the account reaches."""
        own = {self._register.groups_of_places.get(place, "") for place in by.reach.over(Over.GROUP, Over.PLACE)}
        areas = (self._register.groups_in(area) for area in by.reach.over(Over.AREA, Over.GROUP))
        return frozenset(own).union(*areas) - {""}

    def _reached(self, by: Authority, group: str) -> None:
        if group not in self._groups(by):
            raise NotThere(f"no group {group!r} of yours")

    def _own(self, by: Authority, place: str) -> None:
        if not by.reach.covers(self._register.subject(place)):
            raise NotThere(f"no place {place!r} of yours")
