"""Actions on an alarm over HTTP. Each is one transaction; each answers what the alarm became."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter

from api.access import Authority, may
from api.alarms import answering, handling, incidents, raising, transferring
from api.alarms.belongings import contacts
from api.alarms.doing import AlarmId, On, people_of
from api.alarms.requests import (
    Answered,
    Entered,
    FollowedUp,
    Given,
    HandedOver,
    KindSet,
    Linked,
    Moved,
    Noted,
    Numbered,
    Reasoned,
    Recalled,
    Resolved,
    Sent,
    Spoken,
    Urged,
    Verified,
    Written,
)
from api.alarms.rules import Action
from api.alarms.schemas import AlarmAnswer, AlarmPage, ContactsAnswer, alarm_answer
from api.audit import service as audit
from api.problems import answers
from api.station import CurrentStation

router: Final = APIRouter(
    prefix="/api/v1/alarms/{alarm}",
    tags=["alarms"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.PRECONDITION_FAILED,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)

Handles = Annotated[Authority, may("alarm.handle")]
Reports = Annotated[Authority, may("alarm.report")]
Gives = Annotated[Authority, may("alarm.transfer")]


@router.post("/acknowledge", summary="Take an alarm (签收)")
def acknowledge_alarm(
    on: On, by: Annotated[Authority, may("alarm.acknowledge")], what: Entered | None = None
) -> AlarmAnswer:
    """Exactly one gets it; whoever comes second is answered 409 with who was first, and when."""
    return on.do(
        by,
        lambda s, seen, who: handling.acknowledge(s, on.alarms, seen.alarm, who, people=people_of(on.station, s)),
        what,
    )


@router.get("/contacts", summary="Whom to call, in calling order")
def list_contacts(station: CurrentStation, by: Handles, alarm: AlarmId) -> ContactsAnswer:
    """As far as the household consented. For duress nobody (请勿回拨). Every look is audited."""
    with station.database.write() as session:
        seen = station.alarms.see(session, by, alarm)
        audit.record(session, at_ms=station.clock(), by=by.principal.account, action="alarm.contacts",
                     about=f"alarm:{seen.alarm.id}")  # fmt: skip
        return ContactsAnswer(do_not_call=seen.shown.do_not_call, list=contacts(session, station.register, seen))


@router.post("/call-back", summary="Say what came of calling back, or of looking (回拨核实)")
def verify_alarm(on: On, by: Handles, what: Verified) -> AlarmAnswer:
    """`in_need` and `safe` verify it; `no_answer` and `unclear` leave it open. Duress: only by police in person."""
    return on.do(by, lambda s, seen, who: handling.verify(s, on.alarms, seen.alarm, who, what), what, name="verify")


@router.post("/kind", summary="Say of what kind it is, with a reason")
def set_kind(on: On, by: Handles, what: KindSet) -> AlarmAnswer:
    """Never from or to duress. A test or a drill that is one in earnest becomes one."""
    return on.do(by, lambda s, seen, who: handling.set_kind(s, on.alarms, seen.alarm, who, what), what, name="kind")


@router.post("/dispatch", summary="Send people or teams (派警)")
def dispatch(on: On, by: Handles, what: Sent) -> AlarmAnswer:
    """Whoever is sent sees place, kind and consented notes from now until it is closed. To duress only police go."""
    return on.do(by, lambda s, seen, who: handling.dispatch(s, on.alarms, seen.alarm, who, what), what, name="send")


@router.post("/recall", summary="Call somebody back")
def recall(on: On, by: Handles, what: Recalled) -> AlarmAnswer:
    """From then on he sees nothing of it."""
    return on.do(by, lambda s, seen, who: handling.recall(s, on.alarms, seen.alarm, who, what), what, name="recall")


@router.post("/hand-over", summary="Note that 119 or 120 have it")
def hand_over(on: On, by: Handles, what: HandedOver) -> AlarmAnswer:
    """With the name of whoever took the call there."""
    return on.do(by, lambda s, seen, who: handling.hand_over(s, on.alarms, seen.alarm, who, what), what, name="over")


@router.post("/number", summary="Enter the number of 110 (警单号)")
def set_number(on: On, by: Handles, what: Numbered) -> AlarmAnswer:
    """The number under which 110 has it."""
    return on.do(by, lambda s, seen, who: handling.number(s, on.alarms, seen.alarm, who, what), what, name="number")


@router.post("/on-the-way", summary="Somebody is on the way")
def on_the_way(on: On, by: Reports, what: Moved) -> AlarmAnswer:
    """The presser's lamp and page show that somebody is coming; for duress nothing shows."""
    of = what.account or by.principal.account
    go = Action.ON_THE_WAY
    return on.do(by, lambda s, seen, who: handling.move(s, on.alarms, seen.alarm, who, what, action=go, of=of), what,
                 name="way")  # fmt: skip


@router.post("/on-scene", summary="Somebody is on scene (到场)")
def on_scene(on: On, by: Reports, what: Moved) -> AlarmAnswer:
    """Somebody is at the door, which verifies it."""
    of = what.account or by.principal.account
    go = Action.ON_SCENE
    return on.do(by, lambda s, seen, who: handling.move(s, on.alarms, seen.alarm, who, what, action=go, of=of), what,
                 name="scene")  # fmt: skip


@router.post("/notes", summary="Write something down (备注)")
def write_note(on: On, by: Reports, what: Written) -> AlarmAnswer:
    """Police read it; nobody else does."""
    return on.do(by, lambda s, seen, who: handling.note(s, on.alarms, seen.alarm, who, Noted(words=what.words)), what,
                 name="note")  # fmt: skip


@router.post("/stand-back", summary="Tell neighbours not to come near (不要靠近)")
def stand_back(on: On, by: Handles, what: Noted) -> AlarmAnswer:
    """Everybody who knows of it is told, by message, on their pages and by the sirens."""
    return on.do(by, lambda s, seen, who: handling.stand_back(s, on.alarms, seen.alarm, who, what), what, name="back")


@router.post("/resolve", summary="Close it with an outcome (办结)")
def resolve(on: On, by: Handles, what: Resolved) -> AlarmAnswer:
    """Only after somebody has verified it. The third false alarm of a place in 30 days opens a visit."""
    return on.do(by, lambda s, seen, who: handling.resolve(s, on.alarms, seen.alarm, who, what), what, name="resolve")


@router.post("/wrong-address", summary="The address is wrong (地址有误)")
def wrong_address(on: On, by: Reports, what: Noted) -> AlarmAnswer:
    """Opens an errand to correct it."""
    return on.do(by, lambda s, seen, who: handling.wrong_address(s, on.alarms, seen.alarm, who, what), what,
                 name="address")  # fmt: skip


@router.post("/transfer", summary="Offer it to another station or unit (转办)")
def offer(on: On, by: Handles, what: Given) -> AlarmAnswer:
    """Whoever offers it stays responsible until it is accepted."""
    act = Action.TRANSFER
    return on.do(by, lambda s, seen, who: transferring.give(s, on.alarms, seen.alarm, who, what, action=act), what,
                 name="transfer")  # fmt: skip


@router.post("/transfer/answer", summary="Accept or refuse what was offered")
def answer_offer(on: On, by: Gives, what: Answered) -> AlarmAnswer:
    """Whoever accepts is responsible from now on; a refusal has a reason."""
    return on.do(by, lambda s, seen, who: transferring.answer(s, on.alarms, seen.alarm, who, what, authority=by), what,
                 name="answer")  # fmt: skip


@router.post("/transfer/withdraw", summary="Take an offer back")
def withdraw_offer(on: On, by: Handles, what: Reasoned) -> AlarmAnswer:
    """While nobody has answered it."""
    return on.do(by, lambda s, seen, who: transferring.withdraw(s, on.alarms, seen.alarm, who, what), what,
                 name="withdraw")  # fmt: skip


@router.post("/joint", summary="Handle it jointly with others (协办)")
def join(on: On, by: Handles, what: Given) -> AlarmAnswer:
    """They see it from now on, as far as their eyes may."""
    act = Action.JOIN
    return on.do(by, lambda s, seen, who: transferring.give(s, on.alarms, seen.alarm, who, what, action=act), what,
                 name="join")  # fmt: skip


@router.post("/report-up", summary="Report it upward by hand (上报)")
def report_up(on: On, by: Gives, what: Given) -> AlarmAnswer:
    """They see it from now on, as far as their eyes may."""
    act = Action.REPORT_UP
    return on.do(by, lambda s, seen, who: transferring.give(s, on.alarms, seen.alarm, who, what, action=act), what,
                 name="up")  # fmt: skip


@router.post("/urge", summary="Urge it, with a deadline (督办)")
def urge(on: On, by: Annotated[Authority, may("alarm.urge")], what: Urged) -> AlarmAnswer:
    """A superior's order."""
    return on.do(by, lambda s, seen, who: handling.urge(s, on.alarms, seen.alarm, who, what), what)


@router.post("/follow-up", summary="Ask the household afterwards (回访)")
def follow_up(on: On, by: Annotated[Authority, may("alarm.follow_up")], what: FollowedUp) -> AlarmAnswer:
    """By another person than those who handled it. Duress: by police in person."""
    return on.do(by, lambda s, seen, who: handling.follow_up(s, on.alarms, seen.alarm, who, what), what)


@router.post("/waive", summary="Let it go without a follow-up (免回访)")
def waive(on: On, by: Annotated[Authority, may("alarm.waive")], what: Reasoned) -> AlarmAnswer:
    """By the duty leader, with a reason."""
    return on.do(by, lambda s, seen, who: handling.waive(s, on.alarms, seen.alarm, who, what), what)


@router.post("/archive", summary="File it (归档)")
def archive(on: On, by: Handles, what: Entered | None = None) -> AlarmAnswer:
    """After the follow-up; a test or a drill straight after it was resolved."""
    return on.do(by, lambda s, seen, who: handling.archive(s, on.alarms, seen.alarm, who), what, name="archive")


@router.post("/reopen", summary="Open it again (重开)")
def reopen(on: On, by: Handles, what: Reasoned) -> AlarmAnswer:
    """Whoever opens it again has it. What was found before stays in its steps."""
    return on.do(by, lambda s, seen, who: handling.reopen(s, on.alarms, seen.alarm, who, what), what, name="reopen")


@router.get("/nearby", summary="Alarms nearby that may be the same incident")
def list_nearby(station: CurrentStation, by: Handles, alarm: AlarmId) -> AlarmPage:
    """Open ones of the same group or grid within 10 minutes; they are joined by hand only."""
    with station.database.read() as session:
        people = people_of(station, session)
        near = incidents.nearby(session, station.alarms, by, station.alarms.see(session, by, alarm))
        return AlarmPage(items=[alarm_answer(one.shown, people) for one in near], next=None)


@router.post("/link", summary="Make one incident of two (关联)")
def link(on: On, by: Handles, what: Linked) -> AlarmAnswer:
    """Duress and what is not verified are never part of a visible incident."""
    return on.do(
        by,
        lambda s, seen, who: incidents.link(
            s, on.alarms, seen, who, to=on.alarms.see(s, by, what.to, lock=True), what=what
        ),
        what,
        name="link",
    )


@router.post("/cancel", summary="The household takes it back (住户撤销)")
def cancel(on: On, by: Annotated[Authority, may("alarm.cancel")]) -> AlarmAnswer:
    """Sirens stop. It closes nothing: it stays open until an officer or somebody at the door has verified it."""
    return on.do(by, lambda s, seen, who: raising.cancel(s, on.alarms, seen.alarm, who))


@router.post("/answer", summary="A neighbour answers (马上去, 看着呢, 去不了)")
def answer(on: On, by: Annotated[Authority, may("alarm.answer")], what: Spoken) -> AlarmAnswer:
    """The last answer of a household counts."""
    return on.do(
        by,
        lambda s, seen, who: answering.say(
            s, on.alarms, seen, who, place=answering.neighbour(by, on.alarms, seen), answer=what.answer
        ),
        what,
        name="answer",
    )


@router.post("/arrive", summary="A neighbour is there (邻户到场)")
def arrive(on: On, by: Annotated[Authority, may("alarm.answer")]) -> AlarmAnswer:
    """Police's own arrival is `on-scene`."""
    return on.do(
        by,
        lambda s, seen, who: answering.arrive(s, on.alarms, seen, who, place=answering.neighbour(by, on.alarms, seen)),
        name="arrive",
    )
