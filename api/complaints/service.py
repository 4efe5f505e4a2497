"""Takes complaints in, lets the right people look into them, answers. Takes a session, never commits.

ComplaintProblem
+-- NotNow                  409: it is taken or answered already. .stage
+-- TooMany                 429: .wait_s; the board of this grid was used too often just now
"""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Final

from sqlalchemy import ColumnElement, and_, true
from sqlmodel import Session, col

from api.audit.service import record
from api.clock import Clock
from api.complaints import repository
from api.complaints.models import Complaint
from api.complaints.rules import (
    ANSWER_WITHIN_MS,
    CODE_CHARS,
    CONCERNED,
    HOUR_MS,
    MOST_AN_HOUR,
    RUNGS,
    About,
    Finding,
    Handled,
    Stage,
    Told,
    Way,
    climbs_ms,
    code,
    handled,
    stage,
    whom,
    why,
)
from api.complaints.schemas import BoardComplaint, NewComplaint
from api.database import Database
from api.faults.service import clear_fault, raise_fault
from api.notify.rules import Notice
from api.notify.service import notify
from api.problems import NotThere, Problem
from api.register.models import Meaning
from api.register.service import Register
from api.rights.rules import Authority, Over

LOOK_S: Final = 60.0
NOBODY: Final = "complaint_nobody"


class NotNow(Problem):
    """Somebody took or answered it already. Field: `stage`."""

    status = HTTPStatus.CONFLICT
    type = "not_now"
    title = "Not at this stage"

    def __init__(self, now: Stage) -> None:
        self.stage = now
        super().__init__(f"the complaint is {now} already", stage=now)


class TooMany(Problem):
    """The board of this grid was used too often. Field: `wait_s`."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    type = "too_many_complaints"
    title = "Too many complaints at once"

    def __init__(self, wait_s: int) -> None:
        self.wait_s = wait_s
        self.headers: Mapping[str, str] | None = {"Retry-After": str(wait_s)}
        super().__init__("call the supervision phone, or come again later; 请拨打监督电话或稍后再试", wait_s=wait_s)


class Complaints:
    """The complaints of one station."""

    def __init__(
        self, register: Register, *, clock: Clock, random_bytes: Callable[[int], bytes], link: str = ""
    ) -> None:
        """`link` is where whoever is told goes."""
        self._register = register
        self._link = link
        self._clock = clock
        self._random_bytes = random_bytes

    def over_board(self, session: Session, grid: str, new: BoardComplaint) -> Complaint:
        """Take in what anybody says over a grid's board. Raises NotThere or TooMany."""
        if not self._is_grid(grid):
            raise NotThere(f"no grid {grid[:32]!r} here")
        if repository.lately(session, grid, since_ms=self._clock() - HOUR_MS) >= MOST_AN_HOUR:
            raise TooMany(HOUR_MS // 1_000)
        return self._add(session, grid, new, way=Way.BOARD)

    def enter(self, session: Session, by: Authority, new: NewComplaint) -> Complaint:
        """Take in what a household says, or what somebody said on the telephone. Raises NotThere."""
        own = sorted(by.reach.over(Over.PLACE))
        place = own[0] if own else None
        grid = new.grid or self._register.grid_of(self._register.groups_of_places.get(place or ""))
        if grid is None or not self._is_grid(grid):
            raise NotThere("no such grid here")
        around = {self._register.grid_of(self._register.groups_of_places.get(one)) for one in own}
        if by.reach.covers(self._register.subject_of_area(grid)):
            return self._add(session, grid, new, way=Way.PHONE, by=by)
        if grid not in around:
            raise NotThere(f"no grid {grid!r} of yours")
        return self._add(session, grid, new, way=Way.ACCOUNT, by=by, place=place)

    def look_up(self, session: Session, asked: str) -> Complaint:
        """The complaint of a code. Raises NotThere."""
        found = repository.by_code(session, asked.lower())
        if found is None:
            raise NotThere("no complaint of this code here")
        return found

    def page(
        self, session: Session, by: Authority, *, still: bool, below: int | None, limit: int
    ) -> Sequence[Complaint]:
        """Those that the account looks into, and those that it made, newest first."""
        where = [self._condition(one) for one in self._handled(by)]
        if any(held.over is Over.SELF for held in by.reach.held):
            where.append(
                and_(col(Complaint.by) == by.principal.account, col(Complaint.way) == Way.ACCOUNT.value)
            )  # fmt: skip
        return repository.page(session, where=where, still=still, below=below, limit=limit) if where else []

    def take(self, session: Session, by: Authority, number: int) -> Complaint:
        """Look into a complaint from now on. Raises NotThere or NotNow."""
        row = self._one(session, by, number)
        told = row.told or Told.RECEIVED.value  # he knows
        values: dict[str, object] = {"taken_ms": self._clock(), "taken_by": by.principal.account, "told": told}
        return self._move(session, by, row, "take", values, after=Stage.RECEIVED)

    def answer(self, session: Session, by: Authority, number: int, *, finding: Finding, words: str) -> Complaint:
        """Say what was found. Raises NotThere or NotNow."""
        row = self._one(session, by, number)
        values: dict[str, object] = {
            "answered_ms": self._clock(),
            "answered_by": by.principal.account,
            "finding": finding.value,
            "answer": words,
            "climbs_ms": None,
        }
        return self._move(session, by, row, "answer", values, after=Stage.TAKEN)

    def _add(
        self,
        session: Session,
        grid: str,
        new: BoardComplaint,
        *,
        way: Way,
        by: Authority | None = None,
        place: str | None = None,
    ) -> Complaint:
        now, account = self._clock(), None if by is None else by.principal.account
        row = Complaint(
            code=code(self._random_bytes(CODE_CHARS)),
            station=self._register.station,
            area=grid,
            about=new.about.value,
            way=way.value,
            words=new.words,
            phone=new.phone,
            place=place,
            by=account,
            made_ms=now,
            due_ms=now + ANSWER_WITHIN_MS,
        )
        repository.add(session, row)
        record(
            session, at_ms=now, by=account, action="complaint.make", about=f"complaint:{row.number}",
            detail={"area": grid, "about": row.about, "way": row.way},
        )  # fmt: skip
        self._tell(session, row, now_ms=now)
        return row

    def climb(self, database: Database, now_ms: int) -> None:
        """Tell of what nobody has taken, of what is overdue, and of what there was nobody to tell of."""
        station = self._register.station
        with database.read() as session:
            due = [row.number for row in repository.due(session, station, now_ms=now_ms)]
        if due:
            with database.write(patient=True) as session:
                for row in repository.due(session, station, now_ms=now_ms):
                    self._tell(session, row, now_ms=now_ms)

    def _tell(self, session: Session, row: Complaint, *, now_ms: int) -> None:
        """Owe a notice to those who are to look into it now, and say when the clock looks again."""
        now = None if row.told is None else Told(row.told)
        told = why(
            made_ms=row.made_ms, due_ms=row.due_ms, taken=row.taken_ms is not None, told=now, now_ms=now_ms
        )  # fmt: skip
        row.climbs_ms = climbs_ms(made_ms=row.made_ms, due_ms=row.due_ms, now_ms=now_ms)
        if told is not None:
            accounts = whom(self._rungs(session, row, now_ms=now_ms), told)
            if accounts:
                notice = Notice(
                    kind_shown=None, grid=row.area, number=row.number, link=self._link, police_only=False,
                    urgent=False, complaint=told,
                )  # fmt: skip
                notify(session, accounts=accounts, notice=notice, now_ms=now_ms)
                row.told = told.value
            else:
                row.climbs_ms = now_ms + HOUR_MS
        session.flush()
        self._note_unheard(session, heard=told is None or bool(row.told), now_ms=now_ms)

    def _note_unheard(self, session: Session, *, heard: bool, now_ms: int) -> None:
        station = self._register.station
        if not heard:
            raise_fault(session, NOBODY, about=station, now_ms=now_ms, areas=self._register.lies_in(station))
        elif not repository.is_anyone_unheard(session, station):
            clear_fault(session, NOBODY, about=station, now_ms=now_ms)

    def _rungs(self, session: Session, row: Complaint, *, now_ms: int) -> list[frozenset[str]]:
        """Who may look into it, from the nearest rung up."""
        about, areas = About(row.about), self._register.lies_in(row.area)
        concerned = {who for _, who in repository.holding(session, CONCERNED[about], areas, at_ms=now_ms)}
        return [
            frozenset(who for _, who in repository.holding(session, rung, areas, at_ms=now_ms)) - concerned
            for rung in RUNGS[about]
        ]

    def _move(
        self, session: Session, by: Authority, row: Complaint, step: str, values: dict[str, object], *, after: Stage
    ) -> Complaint:
        if stage(row.taken_ms, row.answered_ms) is not after or not repository.move(session, row, values):
            raise NotNow(stage(row.taken_ms, row.answered_ms))
        record(
            session, at_ms=self._clock(), by=by.principal.account, action=by.action, about=f"complaint:{row.number}",
            detail={"step": step},
        )  # fmt: skip
        return row

    def _one(self, session: Session, by: Authority, number: int) -> Complaint:
        row = repository.find(session, number)
        if row is None or not any(
            one.about == row.about and self._lies(row.area, one.scopes) and not self._lies(row.area, one.never)
            for one in self._handled(by)
        ):
            raise NotThere(f"no complaint {number} of yours")
        return row

    def _handled(self, by: Authority) -> list[Handled]:
        held = ((one.role, one.scope) for one in by.reach.held if one.over is Over.AREA)
        return handled(held, by.principal.grants)

    def _lies(self, area: str, scopes: frozenset[str]) -> bool:
        return bool(self._register.lies_in(area) & scopes)

    def _condition(self, one: Handled) -> ColumnElement[bool]:
        area = col(Complaint.area)
        return and_(
            col(Complaint.about) == one.about.value,
            true() if self._register.station in one.scopes else area.in_(self._within(one.scopes)),
            area.not_in(self._within(one.never)),
        )

    def _within(self, scopes: frozenset[str]) -> list[str]:
        return sorted(frozenset[str]().union(*(self._register.within(scope) for scope in scopes)))

    def _is_grid(self, area: str) -> bool:
        found = self._register.area(area)
        return found is not None and found.meaning is Meaning.GRID
