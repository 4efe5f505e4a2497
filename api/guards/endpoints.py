"""Guards, duty lists and orders to suspend over HTTP."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Response
from sqlmodel import Session

from api.access import Authority, may
from api.audit.service import record
from api.etags import IfMatch, etag
from api.guards import repository
from api.guards.guarding import Listed
from api.guards.models import Guard
from api.guards.rules import Force, belongs_to
from api.guards.schemas import (
    CardAnswer,
    CardEnding,
    DutyAnswer,
    DutyPage,
    GuardAnswer,
    GuardAsked,
    GuardDetailAnswer,
    GuardPage,
    Joining,
    LeaveAnswer,
    NewCard,
    NewDuty,
    NewEmployment,
    NewGuard,
    NewLeave,
    NewPhoneOut,
    NewSuspension,
    NewTakeover,
    PhoneOutAnswer,
    Relief,
    ReliefList,
    StandIn,
    SuspensionAnswer,
    SuspensionPage,
    Swap,
    TakeoverAnswer,
    TakeoverDecision,
    TakeoverPage,
    card_answer,
    duty_answer,
    guard_answer,
    guard_detail,
    leave_answer,
    ms,
    phone_out_answer,
    relief_answer,
    suspension_answer,
    takeover_answer,
)
from api.pages import PAGE, Cursor, Limit, Number, below, cursor
from api.patrols import service as patrols
from api.problems import answers
from api.register.problems import NeedsReason
from api.shapes import Moment
from api.station import CurrentStation, Station
from broker.ids import EVENT_ID
from broker.tags import Tag, parse

router: Final = APIRouter(
    prefix="/api/v1",
    tags=["guards"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)

DAY_MS: Final = 86_400_000
REASON_CHARS: Final = 2

Id = Annotated[str, Path(pattern=EVENT_ID)]
After = Annotated[str | None, Query(pattern=EVENT_ID, description="`next` of the page before")]
Reason = Annotated[str | None, Query(max_length=200, description="Why he is looked up; it is recorded")]
EDITED: Final = answers(HTTPStatus.PRECONDITION_FAILED)


def _answers(station: Station, session: Session, rows: Sequence[Guard]) -> list[GuardAnswer]:
    employed = repository.employments(session, [row.id for row in rows])
    now = station.clock()
    return [guard_answer(row, belongs_to(employed.get(row.id, ()), now)) for row in rows]


def _duties(station: Station, session: Session, by: Authority, found: Sequence[Listed]) -> list[DutyAnswer]:
    ids = sorted({row.guard for listed in found for row in listed.members})
    seen, employed = station.guards.sees(session, by, ids), repository.employments(session, ids)
    forces = {row.id: Force(row.force) for row in repository.guards(session, ids)}
    routes = patrols.route_names(session, {listed.duty.route for listed in found if listed.duty.route is not None})
    return [duty_answer(listed, seen=seen, forces=forces, employed=employed, routes=routes) for listed in found]


@router.get("/guards", summary="Guards and who goes with them")
def list_guards(
    station: CurrentStation, by: Annotated[Authority, may("guard.read")], limit: Limit = PAGE, after: After = None
) -> GuardPage:
    """Those whom you reach and who have not left: a company its own people, a guard himself."""
    with station.database.read() as session:
        rows = station.guards.guards(session, by, after=after, limit=limit + 1)
        items = _answers(station, session, rows[:limit])
    return GuardPage(items=tuple(items), next=items[-1].id if len(rows) > limit else None)


@router.post("/guards", summary="Take a guard on", status_code=HTTPStatus.CREATED)
def add_guard(station: CurrentStation, by: Annotated[Authority, may("guard.edit")], new: NewGuard) -> GuardAnswer:
    """No file on him: service number, name, and whose he is from now on."""
    with station.database.write() as session:
        guard = station.guards.add(
            session,
            by,
            force=new.force,
            service_number=new.service_number,
            name=new.name,
            area=new.area,
            account=new.account,
            company=new.company,
        )
        return _answers(station, session, [guard])[0]


@router.get("/guards/{guard}", summary="One guard with employers, cards and leave")
def get_guard(
    station: CurrentStation,
    by: Annotated[Authority, may("guard.read")],
    guard: Id,
    response: Response,
    reason: Reason = None,
) -> GuardDetailAnswer:
    """With a reason, which is recorded; his own company and he himself need none."""
    with station.database.write() as session:
        row = station.guards.guard(session, by, guard)
        if not station.guards.own(session, by, row):
            if len((reason or "").strip()) < REASON_CHARS:
                raise NeedsReason
            account = by.principal.account
            record(session, at_ms=station.clock(), by=account, action=by.action, about=f"guard:{guard}", reason=reason)
        response.headers["ETag"] = etag(row.version)
        employed = repository.employments(session, (guard,)).get(guard, ())
        return guard_detail(
            row,
            belongs_to(employed, station.clock()),
            employments=station.guards.employments(session, guard),
            cards=station.guards.cards(session, guard),
            leaves=station.guards.leaves(session, guard),
        )


@router.put("/guards/{guard}", summary="Say anew what a guard is known by", responses=EDITED)
def put_guard(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("guard.edit")],
    guard: Id,
    asked: GuardAsked,
    if_match: IfMatch,
    response: Response,
) -> GuardAnswer:
    """Of two who do it at once, one is told."""
    with station.database.write() as session:
        row = station.guards.change(
            session,
            by,
            guard,
            service_number=asked.service_number,
            name=asked.name,
            area=asked.area,
            account=asked.account,
            if_match=if_match,
        )
        response.headers["ETag"] = etag(row.version)
        return _answers(station, session, [row])[0]


@router.post("/guards/{guard}/leaving", summary="A guard leaves for good")
def close_guard(station: CurrentStation, by: Annotated[Authority, may("guard.edit")], guard: Id) -> GuardAnswer:
    """Employment, cards and duties end now; number and name go when their period is over."""
    with station.database.write() as session:
        return _answers(station, session, [station.guards.close(session, by, guard)])[0]


@router.post("/guards/{guard}/employments", summary="A company employs him", status_code=HTTPStatus.CREATED)
def employ_guard(
    station: CurrentStation, by: Annotated[Authority, may("guard.edit")], guard: Id, new: NewEmployment
) -> GuardAnswer:
    """From now on; his ledger comes with him, and the figures of each day stay with the employer of that day."""
    with station.database.write() as session:
        return _answers(station, session, [station.guards.employ(session, by, guard, new.company)])[0]


@router.post("/guards/{guard}/employments/end", summary="His employment ends")
def dismiss_guard(station: CurrentStation, by: Annotated[Authority, may("guard.edit")], guard: Id) -> GuardAnswer:
    """Now, and with it his duties that are still to come."""
    with station.database.write() as session:
        return _answers(station, session, [station.guards.dismiss(session, by, guard)])[0]


@router.post("/guard-takeovers", summary="Ask for a guard of another company", status_code=HTTPStatus.CREATED)
def ask_for_guard(
    station: CurrentStation, by: Annotated[Authority, may("guard.takeover.ask")], new: NewTakeover
) -> TakeoverAnswer:
    """By his service number. Whether there is such a guard, nobody learns by asking; the police decide."""
    with station.database.write() as session:
        return takeover_answer(station.takeovers.ask(session, by, **new.model_dump()))


@router.get("/guard-takeovers", summary="Guards whom companies asked for")
def list_takeovers(
    station: CurrentStation,
    by: Annotated[Authority, may("guard.takeover.read")],
    limit: Limit = PAGE,
    after: Cursor = None,
) -> TakeoverPage:
    """Newest first: a company its own, the police those about whom they may decide."""
    with station.database.read() as session:
        found = station.takeovers.listed(session, by, below=below(after), limit=limit + 1)
        items = tuple(takeover_answer(one) for one in found[:limit])
    return TakeoverPage(items=items, next=cursor(items[-1].number) if len(found) > limit else None)


@router.post("/guard-takeovers/{number}/decision", summary="Confirm or refuse that a company takes a guard over")
def decide_takeover(
    station: CurrentStation,
    by: Annotated[Authority, may("guard.takeover.decide")],
    number: Number,
    decided: TakeoverDecision,
) -> TakeoverAnswer:
    """Confirmed: he is that company's from now on, and his duties for the other one end. His ledger goes with him."""
    with station.database.write() as session:
        return takeover_answer(station.takeovers.decide(session, by, number, **decided.model_dump()))


@router.post("/guards/{guard}/cards", summary="Issue a card", status_code=HTTPStatus.CREATED)
def issue_card(
    station: CurrentStation, by: Annotated[Authority, may("guard.edit")], guard: Id, new: NewCard
) -> CardAnswer:
    """The first one, or another after a loss. Refused where a short reader could not tell it from somebody's."""
    tag = parse(new.tag)
    assert tag is not None
    with station.database.write() as session:
        card = station.guards.issue(session, by, guard, tag, since_ms=None if new.since is None else ms(new.since))
        station.checkins.look_again(session, tag, from_ms=card.from_ms)
        return card_answer(card)


@router.post("/guards/{guard}/cards/{number}/end", summary="A card is lost (挂失) or given back")
def end_card(
    station: CurrentStation, by: Annotated[Authority, may("guard.edit")], guard: Id, number: Number, how: CardEnding
) -> CardAnswer:
    """From then on it is nobody's, and check-ins by it are flagged; what was read before stays his."""
    with station.database.write() as session:
        at_ms = None if how.at is None else ms(how.at)
        card = station.guards.end_card(session, by, guard, number, how.how, at_ms=at_ms)
        assert card.to_ms is not None
        station.checkins.look_again(session, Tag(card.tag), from_ms=card.to_ms)
        return card_answer(card)


@router.post("/guards/{guard}/leaves", summary="A guard goes on leave (请假)", status_code=HTTPStatus.CREATED)
def take_leave(
    station: CurrentStation, by: Annotated[Authority, may("guard.edit")], guard: Id, new: NewLeave
) -> LeaveAnswer:
    """His duties of that time go to whoever stands in; without one, they are named as uncovered."""
    with station.database.write() as session:
        row, uncovered = station.guards.leave(
            session, by, guard, from_ms=ms(new.begins), to_ms=ms(new.ends), stand_in=new.stand_in
        )
        return leave_answer(row, tuple(uncovered))


@router.post("/guards/{guard}/leaves/{number}/end", summary="A guard is back early")
def end_leave(
    station: CurrentStation, by: Annotated[Authority, may("guard.edit")], guard: Id, number: Number
) -> LeaveAnswer:
    """On lists that he was taken off he is put again by hand."""
    with station.database.write() as session:
        return leave_answer(station.guards.end_leave(session, by, guard, number))


@router.post("/guards/{guard}/phone-outs", summary="A guard's phone is dead", status_code=HTTPStatus.CREATED)
def tell_phone_out(
    station: CurrentStation, by: Annotated[Authority, may("guard.phone")], guard: Id, new: NewPhoneOut
) -> PhoneOutAnswer:
    """Reader, radio or a partner's witness shows his visits meanwhile; they are marked with it."""
    with station.database.write() as session:
        row = station.guards.phone_dead(
            session,
            by,
            guard,
            from_ms=ms(new.begins),
            to_ms=ms(new.ends),
            instead=new.instead,
            witness=new.witness,
        )
        station.checkins.phone_told(session, guard, row.from_ms, row.to_ms)
        return phone_out_answer(row)


@router.get("/patrol-duties", summary="Duty lists (值班表)")
def list_duties(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("patrol_duty.read")],
    begins: Annotated[Moment | None, Query(description="A day ago")] = None,
    ends: Annotated[Moment | None, Query(description="In a week")] = None,
    limit: Limit = PAGE,
    after: Cursor = None,
) -> DutyPage:
    """Newest first: those of your area, or on which somebody of yours is. Of others' people only force and company."""
    now = station.clock()
    from_ms = now - DAY_MS if begins is None else ms(begins)
    to_ms = now + 7 * DAY_MS if ends is None else ms(ends)
    with station.database.read() as session:
        found = station.guards.duties(session, by, from_ms=from_ms, to_ms=to_ms, below=below(after), limit=limit + 1)
        items = _duties(station, session, by, found[:limit])
    return DutyPage(items=tuple(items), next=cursor(items[-1].number) if len(found) > limit else None)


@router.post("/patrol-duties", summary="Make a duty list", status_code=HTTPStatus.CREATED)
def add_duty(station: CurrentStation, by: Annotated[Authority, may("patrol_duty.edit")], new: NewDuty) -> DutyAnswer:
    """Whoever would be in two places at once, is on leave, or is nobody's employee is refused by name."""
    with station.database.write() as session:
        found = station.guards.list_duty(
            session,
            by,
            area=new.area,
            route=new.route,
            shift=new.shift,
            from_ms=ms(new.begins),
            to_ms=ms(new.ends),
            guards=new.guards,
        )
        return _duties(station, session, by, [found])[0]


@router.get("/patrol-duties/{number}", summary="One duty list")
def get_duty(station: CurrentStation, by: Annotated[Authority, may("patrol_duty.read")], number: Number) -> DutyAnswer:
    """With everybody who is or was on it."""
    with station.database.read() as session:
        return _duties(station, session, by, [station.guards.duty(session, by, number)])[0]


@router.post("/patrol-duties/{number}/members", summary="Put one more on a list")
def join_duty(
    station: CurrentStation, by: Annotated[Authority, may("patrol_duty.edit")], number: Number, new: Joining
) -> DutyAnswer:
    """From now, or its beginning on."""
    with station.database.write() as session:
        return _duties(station, session, by, [station.guards.join(session, by, number, new.guard)])[0]


@router.post("/patrol-duties/{number}/stand-ins", summary="Another one serves for him (顶班)")
def stand_in(
    station: CurrentStation, by: Annotated[Authority, may("patrol_duty.edit")], number: Number, new: StandIn
) -> DutyAnswer:
    """From now, or the list's beginning on."""
    with station.database.write() as session:
        found = station.guards.stand_in(session, by, number, new.guard, new.stand_in)
        return _duties(station, session, by, [found])[0]


@router.post("/patrol-duties/{number}/swaps", summary="Two change places (换班)")
def swap(
    station: CurrentStation, by: Annotated[Authority, may("patrol_duty.edit")], number: Number, new: Swap
) -> DutyAnswer:
    """Each serves what is still to come of the other's list."""
    with station.database.write() as session:
        found = station.guards.swap(session, by, number, new.guard, other=new.other_duty, with_guard=new.with_guard)
        return _duties(station, session, by, [found])[0]


@router.post("/patrol-duties/{number}/reliefs", summary="Hand over to the next (交接)")
def relieve(
    station: CurrentStation, by: Annotated[Authority, may("patrol_duty.edit")], number: Number, new: Relief
) -> DutyAnswer:
    """Where time is left, the next one serves it, until a list of his own begins."""
    with station.database.write() as session:
        found = station.guards.relieve(session, by, number, giver=new.giver, taker=new.taker, words=new.words)
        return _duties(station, session, by, [found])[0]


@router.get("/patrol-duties/{number}/reliefs", summary="What was handed over on a list")
def list_reliefs(
    station: CurrentStation, by: Annotated[Authority, may("patrol_duty.read")], number: Number
) -> ReliefList:
    """Between people whom you reach."""
    with station.database.read() as session:
        station.guards.duty(session, by, number)
        rows = station.guards.reliefs(session, number)
        seen = station.guards.sees(session, by, [one for row in rows for one in (row.giver, row.taker)])
        return ReliefList(items=tuple(relief_answer(row) for row in rows if {row.giver, row.taker} <= seen.keys()))


@router.post("/patrol-duties/{number}/call-off", summary="Call a duty off")
def call_off_duty(
    station: CurrentStation, by: Annotated[Authority, may("patrol_duty.edit")], number: Number
) -> DutyAnswer:
    """By whoever reaches everybody who serves."""
    with station.database.write() as session:
        return _duties(station, session, by, [station.guards.call_off(session, by, number)])[0]


@router.get("/patrol-suspensions", summary="Orders to suspend patrols")
def list_suspensions(
    station: CurrentStation,
    _by: Annotated[Authority, may("suspension.read")],
    over: bool = False,  # noqa: FBT001, FBT002 - a query parameter
    limit: Limit = PAGE,
    after: Cursor = None,
) -> SuspensionPage:
    """Newest first; with `over=true` also those that are over."""
    with station.database.read() as session:
        rows = station.guards.suspensions(session, running=not over, below=below(after), limit=limit + 1)
        items = tuple(suspension_answer(row) for row in rows[:limit])
    return SuspensionPage(items=items, next=cursor(items[-1].number) if len(rows) > limit else None)


@router.post("/patrol-suspensions", summary="Suspend patrols of an area", status_code=HTTPStatus.CREATED)
def suspend(
    station: CurrentStation, by: Annotated[Authority, may("suspension.order")], new: NewSuspension
) -> SuspensionAnswer:
    """Weather or an emergency; whoever would have gone is excused for that time."""
    with station.database.write() as session:
        row = station.guards.suspend(
            session, by, area=new.area, cause=new.cause, words=new.words, from_ms=ms(new.begins), to_ms=ms(new.ends)
        )
        return suspension_answer(row)


@router.post("/patrol-suspensions/{number}/lift", summary="Let patrols go on")
def lift(
    station: CurrentStation, by: Annotated[Authority, may("suspension.order")], number: Number
) -> SuspensionAnswer:
    """From now on."""
    with station.database.write() as session:
        return suspension_answer(station.guards.lift(session, by, number))
