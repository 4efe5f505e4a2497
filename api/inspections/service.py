"""Keeps inspections, training and joint meetings, and works the four ones out. Takes a session, never commits."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, func
from sqlmodel import Session, col, select

from api.albums import Album
from api.audit.service import record
from api.checkins.rules import CheckIn, Source
from api.clock import Clock
from api.colours.service import bands
from api.database import table_of
from api.guards import service as guards
from api.guards.guarding import Guards
from api.guards.rules import employer
from api.inspections.models import (
    Inspection,
    InspectionItem,
    InspectionPhoto,
    Meeting,
    MeetingTask,
    Training,
    TrainingGuest,
)
from api.inspections.problems import BadForm, NotNow
from api.inspections.rules import EARLY_MS, THING_WORDS, Checks, Item, One, SignedBy, Week, needs_witness, week
from api.pages import newest
from api.patrols import service as patrols
from api.points.facts import Fact, Happened, Happening
from api.points.standings import Standings
from api.problems import NotThere
from api.register import repository as companies
from api.register.service import Register
from api.reports.rules import Period, Span
from api.rights.rules import Authority, Over
from broker.ids import EVENT_ID_RANDOM_BYTES, event_id
from broker.kinds import Words

Note = Callable[[Session, Fact], None]
DAY_MS: Final = 86_400_000
_HAPPENED: Final = {
    Item.OFF_POST: Happened.OFF_POST,
    Item.ASLEEP_OR_DRUNK: Happened.ASLEEP,
    Item.DRESS: Happened.GEAR_MISSING,
    Item.GEAR: Happened.GEAR_MISSING,
    Item.CERTIFICATE: Happened.GEAR_MISSING,
    Item.GEAR_BROKEN: Happened.GEAR_BROKEN,
    Item.POINT_DAMAGED: Happened.DAMAGED,
}
_TRAINING: Final = table_of(Training)
_RUNNING: Final = (
    select(_TRAINING.c.number, _TRAINING.c.point)
    .where(
        _TRAINING.c.point.is_not(None),
        _TRAINING.c.from_ms <= bindparam("begins"),
        _TRAINING.c.to_ms > bindparam("ends"),
        _TRAINING.c.closed_ms.is_(None),
    )
    .order_by(_TRAINING.c.number)
)
TAGGED: Final = frozenset({Source.FIXED_READER, Source.NFC_PHONE, Source.WAND})

PHOTOS: Final = Album(InspectionPhoto, "inspection")


@dataclass(frozen=True, slots=True)
class Inspected:
    """An inspection with what was found, and its photos without what is on them."""

    inspection: Inspection
    items: tuple[Item, ...]
    photos: tuple[InspectionPhoto, ...]


@dataclass(frozen=True, slots=True)
class Taught:
    """A training with everybody who is expected or came."""

    training: Training
    guests: tuple[TrainingGuest, ...]


@dataclass(frozen=True, slots=True)
class Met:
    """A meeting with what it gave people to do."""

    meeting: Meeting
    tasks: tuple[MeetingTask, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToCheck:
    """A guard, a company or an area that is to be looked at so often a month: by which grade or colour."""

    id: str
    by: str
    checks: Checks
    company: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DueChecks:
    """What is to be looked at in an area this month: areas by id; companies and guards, the soonest due first."""

    from_ms: int
    to_ms: int
    areas: tuple[ToCheck, ...]
    companies: tuple[ToCheck, ...]
    guards: tuple[ToCheck, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """One of the four ones: how often it was done in the week. None: nothing tells the station of it."""

    one: One
    times: int | None


class Inspections:
    """What officers find, teach and agree with companies at one station. `note` hears what points are made of."""

    def __init__(
        self,
        register: Register,
        people: Guards,
        *,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        note: Note,
        standings: Standings,
        zone: ZoneInfo,
        comments: Callable[[Session, str, int, int], int | None] = lambda _session, _area, _from, _to: None,
    ) -> None:
        """`comments`: how many comments (点评) there are of an area and a time."""
        self._register = register
        self._guards = people
        self._clock = clock
        self._random_bytes = random_bytes
        self._note = note
        self._standings = standings
        self._zone = zone
        self._comments = comments

    # Inspections

    def inspect(
        self,
        session: Session,
        by: Authority,
        *,
        area: str,
        guard: str,
        point: str | None,
        items: Sequence[Item],
        witness: str | None,
        words: str | None,
    ) -> Inspected:
        """Keep what was found now. Raises NotThere or BadForm."""
        self._reached(by, area)
        self._guards.guard(session, by, guard)
        found = sorted(set(items))
        if needs_witness(found) and witness is None:
            raise BadForm("asleep or drunk is found by two: name a witness (须有见证人)")
        if witness == guard:
            raise BadForm("nobody is his own witness")
        if Item.POINT_DAMAGED in found and point is None:
            raise BadForm("name the checkpoint that is damaged (须写明巡查点)")
        now = self._clock()
        serving = guards.servings_of(session, guard, now, now + 1)
        row = Inspection(
            station=self._register.station,
            area=area,
            guard=guard,
            company=guards.employer_at(session, guard, now),
            duty=serving[0].duty if serving else None,
            point=point,
            witness=witness,
            words=words,
            by=by.principal.account,
            at_ms=now,
        )
        session.add(row)
        session.flush()
        assert row.number is not None
        session.add_all(InspectionItem(inspection=row.number, item=one.value) for one in found)
        session.flush()
        evidence = (f"inspection:{row.number}",)
        happened = [
            Happening(
                what=_HAPPENED[one],
                item=one.value,
                evidence=evidence,
                at_ms=now,
                called=_called(session, point) if one is Item.POINT_DAMAGED else THING_WORDS.get(one),
            )
            for one in found
        ]
        fact = Fact(
            key=evidence[0],
            guard=guard,
            company=row.company,
            area=area,
            occurred_ms=now,
            happenings=tuple(happened) or (Happening(what=Happened.INSPECTION_PASSED, evidence=evidence, at_ms=now),),
            active=Item.OFF_POST not in found,
        )
        self._note(session, fact)
        self._record(session, by, f"inspection:{row.number}", {"guard": guard, "items": [*map(str, found)]})
        return self._inspected(session, row)

    def inspection(self, session: Session, by: Authority, number: int) -> Inspected:
        """One in the account's area, or about somebody of its own. Raises NotThere."""
        row = session.get(Inspection, number)
        if row is None:
            raise NotThere(f"no inspection {number} of yours")
        if not by.reach.covers(self._register.subject_of_area(row.area)):
            self._guards.guard(session, by, row.guard)
        return self._inspected(session, row)

    def inspections(self, session: Session, by: Authority, *, below: int | None, limit: int) -> list[Inspected]:
        """Those, newest first."""

        def show(row: Inspection) -> Inspected:
            return self.inspection(session, by, row.number or 0)

        return newest(session, select(Inspection), col(Inspection.number), show, below=below, limit=limit)

    def attach(self, session: Session, by: Authority, number: int, content: bytes) -> InspectionPhoto:
        """Keep a photo; whoever inspected does it, within a day. Raises NotThere, NotNow or PhotoProblem."""
        row, now = self.inspection(session, by, number).inspection, self._clock()
        if row.by != by.principal.account or now - row.at_ms > DAY_MS:
            raise NotNow("photos are attached by whoever inspected, within a day")
        id_ = event_id(now, self._random_bytes(EVENT_ID_RANDOM_BYTES))
        photo = PHOTOS.add(session, number, content, id_=id_, by=row.by, at_ms=now)
        if photo.id == id_:
            self._record(session, by, f"inspection:{number}", {"photo": photo.id, "type": photo.type})
        return photo

    def photo(self, session: Session, by: Authority, number: int, photo: str) -> InspectionPhoto:
        """A photo of an inspection that the account reaches. Raises NotThere."""
        self.inspection(session, by, number)
        return PHOTOS.one(session, number, photo)

    # Training

    def teach(
        self,
        session: Session,
        by: Authority,
        *,
        area: str,
        subject: str,
        point: str | None,
        from_ms: int,
        to_ms: int,
        expected: Sequence[str],
    ) -> Taught:
        """Announce a training. Raises NotThere or BadForm."""
        self._reached(by, area)
        if not 0 < to_ms - from_ms <= DAY_MS:
            raise BadForm("a training begins before it ends, and takes a day at most")
        for one in expected:
            self._guards.guard(session, by, one)
        row = Training(
            station=self._register.station,
            area=area,
            subject=subject,
            point=point,
            from_ms=from_ms,
            to_ms=to_ms,
            by=by.principal.account,
            made_ms=self._clock(),
        )
        session.add(row)
        session.flush()
        assert row.number is not None
        for one in dict.fromkeys(expected):
            company = guards.employer_at(session, one, from_ms)
            session.add(TrainingGuest(training=row.number, guard=one, company=company))
        session.flush()
        self._record(session, by, f"training:{row.number}", {"expected": sorted(set(expected))})
        return self._taught(session, row)

    def training(self, session: Session, by: Authority, number: int) -> Taught:
        """One in the account's area, or with somebody of its own. Raises NotThere."""
        row = session.get(Training, number)
        if row is None:
            raise NotThere(f"no training {number} of yours")
        taught = self._taught(session, row)
        if not by.reach.covers(self._register.subject_of_area(row.area)) and not self._guards.sees(
            session, by, [one.guard for one in taught.guests]
        ):
            raise NotThere(f"no training {number} of yours")
        return taught

    def trainings(self, session: Session, by: Authority, *, below: int | None, limit: int) -> list[Taught]:
        """Those, newest first."""

        def show(row: Training) -> Taught:
            return self.training(session, by, row.number or 0)

        return newest(session, select(Training), col(Training.number), show, below=below, limit=limit)

    def sign_in(self, session: Session, by: Authority, number: int, guard: str) -> Taught:
        """Somebody came and has no tag with him; marked as signed by hand. Raises NotThere or NotNow."""
        row, now = self._open(session, by, number), self._clock()
        self._guards.guard(session, by, guard)
        if not row.from_ms - EARLY_MS <= now < row.to_ms:
            raise NotNow("one signs in while it goes on, or half an hour before")
        self._sign(session, row, guard, now, how=SignedBy.HAND, check_in=None)
        self._record(session, by, f"training:{number}", {"signed": guard})
        return self._taught(session, row)

    def heard(self, session: Session, check_ins: Sequence[CheckIn]) -> None:
        """A tag at the reader of a training signs in: a consequence of `checkins`."""
        tagged = [one for one in check_ins if one.guard and one.point and one.source in TAGGED]
        if not tagged:
            return
        points = {one.point for one in tagged}
        times = [one.at_ms for one in tagged]
        span = {"begins": max(times) + EARLY_MS, "ends": min(times)}
        running = session.connection().execute(_RUNNING, span).all()
        for number in (number for number, point in running if point in points):
            row = session.get_one(Training, number)
            for one in tagged:
                if one.point == row.point and row.from_ms - EARLY_MS <= one.at_ms < row.to_ms:
                    self._sign(session, row, one.guard or "", one.at_ms, how=SignedBy.TAG, check_in=one.id)

    def mark(self, session: Session, by: Authority, number: int, guard: str, mark: int) -> Taught:
        """Give a mark to somebody who came. Raises NotThere, NotNow or BadForm."""
        row = self._open(session, by, number)
        guest = session.get(TrainingGuest, (row.number, guard))
        if guest is None or guest.signed_ms is None:
            raise BadForm("only who came has a mark")
        guest.mark, guest.marked_by = mark, by.principal.account
        session.add(guest)
        session.flush()
        self._record(session, by, f"training:{number}", {"marked": guard, "mark": mark})
        return self._taught(session, row)

    def close(self, session: Session, by: Authority, number: int) -> Taught:
        """It is over: who came is told to the ledger, and who was expected and neither came nor was excused.

        Raises NotThere or NotNow.
        """
        row, now = self._open(session, by, number), self._clock()
        if now < row.to_ms:
            raise NotNow("it goes on")
        row.closed_ms = now
        session.add(row)
        session.flush()
        taught, evidence = self._taught(session, row), (f"training:{number}",)
        for one in taught.guests:
            if one.signed_ms is None and guards.excuses(session, one.guard, row.from_ms, row.to_ms):
                continue
            what = Happened.TRAINING_MISSED if one.signed_ms is None else Happened.TRAINED
            seen = evidence if one.check_in is None else (*evidence, one.check_in)
            fact = Fact(
                key=f"training:{number}:{one.guard}",
                guard=one.guard,
                company=one.company,
                area=row.area,
                occurred_ms=row.from_ms,
                happenings=(Happening(what=what, evidence=seen, at_ms=one.signed_ms or row.to_ms),),
                active=one.signed_ms is not None,
            )
            self._note(session, fact)
        self._record(session, by, f"training:{number}", {"closed": True})
        return taught

    # Joint meetings

    def meet(
        self,
        session: Session,
        by: Authority,
        *,
        area: str,
        subject: str,
        at_ms: int,
        present: Sequence[str],
        minutes: str,
        tasks: Sequence[tuple[str | None, str, int]],
    ) -> Met:
        """Keep the minutes of a meeting and what it gave companies (None: the station) to do until when.

        Raises NotThere or BadForm.
        """
        self._reached(by, area)
        now = self._clock()
        if at_ms > now:
            raise BadForm("minutes are of a meeting that was held")
        there = sorted(set(present))
        for named in {*there, *(one for one, _, _ in tasks if one is not None)}:
            if companies.row(session, "company", self._register.station, named) is None:
                raise BadForm(f"the register has no company {named!r}")
        row = Meeting(
            station=self._register.station,
            area=area,
            subject=subject,
            companies=",".join(there),
            minutes=minutes,
            at_ms=at_ms,
            by=by.principal.account,
            made_ms=now,
        )
        session.add(row)
        session.flush()
        assert row.number is not None
        for company, words, due_ms in tasks:
            session.add(MeetingTask(meeting=row.number, company=company, words=words, due_ms=due_ms))
            session.flush()
        self._record(session, by, f"meeting:{row.number}", {"companies": there, "tasks": len(tasks)})
        return self._met(session, by, row)

    def meeting(self, session: Session, by: Authority, number: int) -> Met:
        """One of the account's area, or at which its company was or got a task: of tasks, its own. Raises NotThere."""
        row = session.get(Meeting, number)
        if row is None:
            raise NotThere(f"no meeting {number} of yours")
        met, mine = self._met(session, by, row), by.reach.over(Over.COMPANY)
        if not by.reach.covers(self._register.subject_of_area(row.area)) and not (
            met.tasks or mine & set(row.companies.split(","))
        ):
            raise NotThere(f"no meeting {number} of yours")
        return met

    def meetings(self, session: Session, by: Authority, *, below: int | None, limit: int) -> list[Met]:
        """Those, newest first."""

        def show(row: Meeting) -> Met:
            return self.meeting(session, by, row.number or 0)

        return newest(session, select(Meeting), col(Meeting.number), show, below=below, limit=limit)

    def do(self, session: Session, by: Authority, number: int, task: int, found: str) -> Met:
        """Say what was done about a task. Raises NotThere or NotNow."""
        met = self.meeting(session, by, number)
        row = next((one for one in met.tasks if one.number == task), None)
        if row is None:
            raise NotThere(f"no task {task} of yours")
        if row.done_ms is not None:
            raise NotNow("this task is done")
        row.done_ms, row.done_by, row.found = self._clock(), by.principal.account, found
        session.add(row)
        session.flush()
        self._record(session, by, f"meeting:{number}", {"task": task, "done": True})
        return self._met(session, by, met.meeting)

    # The four ones

    def four_ones(self, session: Session, by: Authority, area: str, at_ms: int) -> tuple[Week, list[Done]]:
        """Which of the four ones were done in an area in the week of a moment. Raises NotThere."""
        self._reached(by, area)
        span, areas = week(at_ms, self._zone), self._register.within(area) | {area}

        def times(model: type[Inspection | Training | Meeting], when: str, *, until_ms: int = span.to_ms) -> int:
            moment = getattr(model, when)
            asked = select(func.count(col(model.number))).where(
                col(model.area).in_(areas), moment >= span.from_ms, moment < until_ms
            )
            return session.exec(asked).one()

        # A training counts once it has begun: announcing is not doing.
        begun_ms = min(span.to_ms, self._clock() + 1)
        return span, [
            Done(One.CHECK, times(Inspection, "at_ms")),
            Done(One.TRAINING, times(Training, "from_ms", until_ms=begun_ms)),
            Done(One.COMMENT, self._comments(session, area, span.from_ms, span.to_ms)),
            Done(One.MEETING, times(Meeting, "at_ms")),
        ]

    # What is to be looked at

    def due(self, session: Session, by: Authority, area: str, *, everybody: bool) -> DueChecks:
        """How often this month areas, companies and guards are to be looked at, and were: filled by inspections.

        `everybody`: also those of whom nothing is left to do. Raises NotThere.
        """
        self._reached(by, area)
        now, areas = self._clock(), self._register.within(area) | {area}
        day = datetime.fromtimestamp(now / 1_000, self._zone).date()
        month = self._standings.span(Period.MONTH, day)
        made = self._made(session, areas, month)

        def to_check(id_: str, by_: str, of: int, done: int, company: str | None = None) -> ToCheck:
            checks = Checks(of=of, done=done, from_ms=month.from_ms, to_ms=month.to_ms)
            return ToCheck(id=id_, by=by_, checks=checks, company=company)

        people = self._people(session, areas, month)
        grades = self._standings.grades(session, [*people])
        looked = Counter(guard for _, guard, _ in made)
        seen = [
            to_check(guard, grades[guard].grade, grades[guard].checks, looked[guard], company)
            for guard, company in people.items()
        ]
        of_companies = Counter(company for _, _, company in made)
        firms = []
        for company in sorted({one for one in people.values() if one is not None}):
            graded = self._standings.of_company(session, company, day).grade
            firms.append(to_check(company, graded.grade, graded.checks, of_companies[company]))
        return DueChecks(
            from_ms=month.from_ms,
            to_ms=month.to_ms,
            areas=tuple(self._of_areas(session, area, made, month, now)),
            companies=_soonest(firms, everybody=everybody),
            guards=_soonest(seen, everybody=everybody),
        )

    def of_area(self, session: Session, area: str, at_ms: int) -> ToCheck:
        """How often an area is to be looked at in the month of a moment, by its colour then, and was."""
        month = self._standings.span(Period.MONTH, datetime.fromtimestamp(at_ms / 1_000, self._zone).date())
        made = self._made(session, self._register.within(area) | {area}, month)
        found = self._of_areas(session, area, made, month, min(at_ms, self._clock()))
        return next(one for one in found if one.id == area)

    def _of_areas(
        self, session: Session, area: str, made: Sequence[tuple[str, str, str | None]], month: Span, now_ms: int
    ) -> list[ToCheck]:
        """The area, and those in it of whose colour somebody decided. What lies in an area counts for it."""
        bands_ = bands(session, sorted(self._register.within(area) | {area}), now_ms)
        found = []
        for one, band in sorted(bands_.items()):
            if one != area and not band.decided:
                continue
            inside = self._register.within(one) | {one}
            done = sum(where in inside for where, _, _ in made)
            checks = Checks(of=band.checks_month, done=done, from_ms=month.from_ms, to_ms=month.to_ms)
            found.append(ToCheck(id=one, by=band.colour.value, checks=checks))
        return found

    def _made(self, session: Session, areas: Collection[str], month: Span) -> list[tuple[str, str, str | None]]:
        """Inspections of a month: where, of whom, whose guard."""
        asked = select(Inspection.area, Inspection.guard, Inspection.company).where(
            col(Inspection.area).in_(areas), Inspection.at_ms >= month.from_ms, Inspection.at_ms < month.to_ms
        )
        return [*session.exec(asked)]

    def _people(self, session: Session, areas: Collection[str], month: Span) -> dict[str, str | None]:
        """Guards who belong there or serve there this month, each with who employs him now."""
        now = self._clock()
        there = {one.guard for one in guards.servings(session, month.from_ms, month.to_ms, areas=areas)}
        there |= guards.of_areas(session, areas)
        known = guards.named(session, there)
        employed = guards.employments(session, there)
        companies_ = {
            guard: employer(employed.get(guard, ()), now)
            for guard, person in known.items()
            if person.force is guards.Force.GUARD and not person.left
        }
        return {guard: company for guard, company in sorted(companies_.items()) if company is not None}

    # Inside

    def _reached(self, by: Authority, area: str) -> None:
        known = area == self._register.station or self._register.area(area) is not None
        if not known or not by.reach.covers(self._register.subject_of_area(area)):
            raise NotThere(f"no area {area!r} of yours")

    def _inspected(self, session: Session, row: Inspection) -> Inspected:
        assert row.number is not None
        asked = select(InspectionItem.item).where(InspectionItem.inspection == row.number)
        items = tuple(sorted(map(Item, session.exec(asked))))
        return Inspected(row, items, tuple(PHOTOS.listed(session, row.number)))

    def _taught(self, session: Session, row: Training) -> Taught:
        asked = select(TrainingGuest).where(TrainingGuest.training == row.number)
        return Taught(row, tuple(session.exec(asked.order_by(col(TrainingGuest.guard)))))

    def _open(self, session: Session, by: Authority, number: int) -> Training:
        row = self.training(session, by, number).training
        if row.closed_ms is not None:
            raise NotNow("this training is closed")
        return row

    def _sign(
        self, session: Session, row: Training, guard: str, at_ms: int, *, how: SignedBy, check_in: str | None
    ) -> None:
        assert row.number is not None
        guest = session.get(TrainingGuest, (row.number, guard))
        if guest is None:
            company = guards.employer_at(session, guard, at_ms)
            guest = TrainingGuest(training=row.number, guard=guard, company=company, expected=False)
        if guest.signed_ms is not None:
            return
        guest.signed_ms, guest.signed_by, guest.check_in = at_ms, how.value, check_in
        session.add(guest)
        session.flush()

    def _met(self, session: Session, by: Authority, row: Meeting) -> Met:
        """Whoever does not reach the area sees the tasks of his own company."""
        asked = select(MeetingTask).where(MeetingTask.meeting == row.number)
        if not by.reach.covers(self._register.subject_of_area(row.area)):
            asked = asked.where(col(MeetingTask.company).in_(by.reach.over(Over.COMPANY)))
        return Met(row, tuple(session.exec(asked.order_by(col(MeetingTask.number)))))

    def _record(self, session: Session, by: Authority, about: str, detail: dict[str, object]) -> None:
        account = by.principal.account
        record(session, at_ms=self._clock(), by=account, action=by.action, about=about, detail=detail)


def _soonest(found: Sequence[ToCheck], *, everybody: bool) -> tuple[ToCheck, ...]:
    """Whose next check is due first stands first, and last whoever had all of them."""
    due = [one for one in found if everybody or one.checks.left]
    return tuple(sorted(due, key=lambda one: (one.checks.next_ms or one.checks.to_ms + 1, one.id)))


def _called(session: Session, point: str | None) -> Words:
    """What people call a checkpoint; one that is not there by what was written."""
    row = patrols.points_named(session, {point}).get(point) if point else None
    name = (row.name if row is not None else "") or point or ""
    return Words(name, name)
