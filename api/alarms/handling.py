"""What is done about an alarm, from taking it to filing it: verbs on one alarm that was read under a lock."""

from collections.abc import Collection

from sqlmodel import Session

from api.alarms import repository, rules
from api.alarms.changing import Actor, Detail
from api.alarms.models import AlarmDispatch, AlarmRecord
from api.alarms.problems import CannotSend, DoNotCall, KindRefused, NotChecked, NotNow, SameHands
from api.alarms.requests import (
    FollowedUp,
    HandedOver,
    KindSet,
    Moved,
    Noted,
    Numbered,
    Reasoned,
    Recalled,
    Resolved,
    Result,
    Sent,
    Urged,
    Verified,
)
from api.alarms.rules import TABLE, Action, Outcome, State
from api.alarms.schemas import People
from api.alarms.service import Alarms
from api.problems import AlreadyAcknowledged
from broker.kinds import Kind, Mark, UpdateState
from broker.messages import Action as Order

HANDS = frozenset(
    {
        Action.ACKNOWLEDGE, Action.CALL_BACK, Action.VERIFY, Action.SET_KIND, Action.DISPATCH, Action.HAND_OVER,
        Action.ON_THE_WAY, Action.ON_SCENE, Action.TRANSFER, Action.ACCEPT, Action.RESOLVE, Action.REOPEN,
    }
)  # fmt: skip
"""Whoever did one of these has handled the alarm."""


def acknowledge(session: Session, alarms: Alarms, alarm: AlarmRecord, by: Actor, *, people: People) -> AlarmRecord:
    """Take an alarm (签收). Exactly one wins; raises AlreadyAcknowledged, which says who was first."""
    now = alarms.clock()
    free = TABLE[State(alarm.state), Action.ACKNOWLEDGE] is not None
    if not free or not repository.acknowledge(session, alarm.id, officer=by.account, at_ms=now):
        first = repository.find(session, alarm.id)
        assert first is not None
        assert first.acknowledged_by is not None
        assert first.acknowledged_ms is not None
        person = people(first.acknowledged_by)
        name = None if person is None else person.name
        raise AlreadyAcknowledged(alarm.id, by=first.acknowledged_by, name=name, at_ms=first.acknowledged_ms)
    taken = {"acknowledged_ms": now, "acknowledged_by": by.account, "owner": by.account}
    return alarms.changing.change(session, alarm, Action.ACKNOWLEDGE, at_ms=now, by=by, now=taken)


def verify(session: Session, alarms: Alarms, alarm: AlarmRecord, by: Actor, what: Verified) -> AlarmRecord:
    """回拨核实: what came of a call or of looking. Raises DoNotCall for duress, unless police were there in person."""
    if not rules.may_call(Kind(alarm.kind), in_person=what.in_person):
        raise DoNotCall
    now = alarms.clock()
    known = what.result in {Result.IN_NEED, Result.SAFE}
    detail = {"result": what.result.value, "contact": what.contact, "in_person": what.in_person, "words": what.words}
    return alarms.changing.change(
        session,
        alarm,
        Action.VERIFY if known else Action.CALL_BACK,
        at_ms=now,
        by=by,
        detail=detail,
        now={"checked_ms": alarm.checked_ms or now} if known else None,
    )


def set_kind(session: Session, alarms: Alarms, alarm: AlarmRecord, by: Actor, what: KindSet) -> AlarmRecord:
    """Say what kind of need it is, in earnest, with a reason. Raises KindRefused."""
    before = Kind(alarm.kind)
    if not rules.may_become(before, what.kind):
        raise KindRefused(before, what.kind)
    now = {
        "kind": what.kind.value,
        "first_kind": alarm.first_kind or before.value,
        "mark": None,
        "incident": alarm.incident or (None if alarm.place is None else alarm.id),
    }
    detail = {"before": before.value, "after": what.kind.value}
    return alarms.changing.change(
        session, alarm, Action.SET_KIND, at_ms=alarms.clock(), by=by, reason=what.reason, detail=detail, now=now
    )


def dispatch(session: Session, alarms: Alarms, alarm: AlarmRecord, by: Actor, what: Sent) -> AlarmRecord:
    """派警: send accounts, or the members of teams. Raises CannotSend where one of them may not know of the alarm."""
    teams = {team: alarms.members(session, team) for team in what.teams}
    empty = sorted(team for team, members in teams.items() if not members)
    accounts: dict[str, str | None] = dict.fromkeys(what.accounts)
    for team, members in teams.items():
        for account in members:
            accounts[account] = accounts.get(account) or team
    now = alarms.clock()
    refused = sorted(one for one in accounts if not alarms.may_be_sent(session, one, alarm, now))
    if refused or empty:
        raise CannotSend(refused + empty)
    active = {one.account for one in repository.dispatches(session, alarm.id) if one.recalled_ms is None}
    for account, sent_with in accounts.items():
        if account not in active:
            session.add(AlarmDispatch(alarm=alarm.id, account=account, team=sent_with, by=by.account, at_ms=now))
    session.flush()
    detail = {"accounts": " ".join(sorted(accounts)), "teams": " ".join(sorted(teams)), "words": what.words}
    return alarms.changing.change(
        session, alarm, Action.DISPATCH, at_ms=now, by=by, detail=detail,
        now={"dispatched_ms": alarm.dispatched_ms or now},
    )  # fmt: skip


def order(
    session: Session,
    alarms: Alarms,
    alarm: AlarmRecord,
    by: Actor,
    *,
    guard: str,
    account: str | None,
    detail: Detail,
    reason: str | None = None,
) -> AlarmDispatch:
    """Send a guard; with an `account`, which `may_be_sent`, he sees where until it is closed. Raises NotNow."""
    now = alarms.clock()
    out = [one for one in repository.dispatches(session, alarm.id) if one.recalled_ms is None]
    row = next((one for one in out if account is not None and one.account == account), None)
    if row is None:
        row = AlarmDispatch(alarm=alarm.id, account=account, by=by.account, at_ms=now)
    row.guard = guard
    session.add(row)
    session.flush()
    alarms.changing.change(
        session, alarm, Action.DISPATCH, at_ms=now, by=by, reason=reason, detail={"guard": guard, **detail},
        now={"dispatched_ms": alarm.dispatched_ms or now},
    )  # fmt: skip
    return row


def recall(session: Session, alarms: Alarms, alarm: AlarmRecord, by: Actor, what: Recalled) -> AlarmRecord:
    """Call somebody back; from then on he sees nothing of the alarm. Raises NotNow."""
    out = [one for one in repository.dispatches(session, alarm.id) if one.account == what.account]
    detail = {"account": what.account}
    return call_back(session, alarms, alarm, by, out, reason=what.reason, detail=detail)


def call_back(
    session: Session,
    alarms: Alarms,
    alarm: AlarmRecord,
    by: Actor,
    rows: Collection[AlarmDispatch],
    *,
    reason: str,
    detail: Detail,
) -> AlarmRecord:
    """These are out no more. Raises NotNow where none of them was."""
    now = alarms.clock()
    out = [one for one in repository.dispatches(session, alarm.id) if one.recalled_ms is None and one.service is None]
    numbers = {one.number for one in rows}
    called = [one for one in out if one.number in numbers]
    if not called:
        raise NotNow(alarm.id, Action.RECALL, State(alarm.state))
    for one in called:
        one.recalled_ms = now
        session.add(one)
    session.flush()
    action = Action.RECALL if len(out) > len(called) else Action.RECALL_ALL
    return alarms.changing.change(session, alarm, action, at_ms=now, by=by, reason=reason, detail=detail)


def hand_over(session: Session, alarms: Alarms, alarm: AlarmRecord, by: Actor, what: HandedOver) -> AlarmRecord:
    """Note that 119 or 120 have it, with the name of whoever took the call."""
    now = alarms.clock()
    session.add(AlarmDispatch(alarm=alarm.id, service=what.service, name=what.name, by=by.account, at_ms=now))
    session.flush()
    detail = {"service": what.service, "name": what.name, "words": what.words}
    return alarms.changing.change(session, alarm, Action.HAND_OVER, at_ms=now, by=by, detail=detail)


def number(session: Session, alarms: Alarms, alarm: AlarmRecord, by: Actor, what: Numbered) -> AlarmRecord:
    """Enter the number that 110 gave it (警单号)."""
    return alarms.changing.change(
        session, alarm, Action.NUMBER, at_ms=alarms.clock(), by=by, detail={"number": what.number},
        now={"police_number": what.number},
    )  # fmt: skip


def move(
    session: Session, alarms: Alarms, alarm: AlarmRecord, by: Actor, what: Moved, *, action: Action, of: str
) -> AlarmRecord:
    """Somebody is on the way or on scene (`action`); `of`: the account that moved, or entered it."""
    rows = [one for one in repository.dispatches(session, alarm.id) if one.account == of]
    detail = {"account": of, "words": what.words}
    return go(session, alarms, alarm, by, rows, action=action, at_ms=alarms.clock(), detail=detail)


def go(
    session: Session,
    alarms: Alarms,
    alarm: AlarmRecord,
    by: Actor | None,
    rows: Collection[AlarmDispatch],
    *,
    action: Action,
    at_ms: int,
    detail: Detail,
) -> AlarmRecord:
    """These of whoever was sent are on the way or on scene (`action`) since `at_ms`. Raises NotNow.

    Where only police may know of it, whoever else comes has come, and nothing is verified by that (ARRIVE).
    """
    column = "on_the_way_ms" if action is Action.ON_THE_WAY else "on_scene_ms"
    for one in rows:
        if one.recalled_ms is None and getattr(one, column) is None:
            setattr(one, column, at_ms)
            session.add(one)
    session.flush()
    columns: dict[str, object] = {} if action is Action.ARRIVE else {column: getattr(alarm, column) or at_ms}
    if action is Action.ON_SCENE:
        columns["checked_ms"] = alarm.checked_ms or at_ms
    return alarms.changing.change(session, alarm, action, at_ms=alarms.clock(), by=by, detail=detail, now=columns)


def stand_back(session: Session, alarms: Alarms, alarm: AlarmRecord, by: Actor, what: Noted) -> AlarmRecord:
    """不要靠近: tell everybody who knows of it not to come near, by message and on the sirens."""
    now = alarms.clock()
    alarms.changing.change(
        session, alarm, Action.STAND_BACK, at_ms=now, by=by, detail={"words": what.words},
        now={"stood_back_ms": alarm.stood_back_ms or now},
    )  # fmt: skip
    for press, gateway in alarms.telling.presses(session, alarm):
        alarms.telling.tell(session, alarm, press, UpdateState.STAND_BACK, happened_ms=now, by=by.role)
        alarms.telling.order(session, alarm, gateway, Order.STAND_BACK, happened_ms=now, alarm=press)
    return alarm


def resolve(session: Session, alarms: Alarms, alarm: AlarmRecord, by: Actor, what: Resolved) -> AlarmRecord:
    """办结. Raises NotChecked; the third false alarm of a place within 30 days opens a visit."""
    now = alarms.clock()
    kind = Kind(alarm.kind)
    mark = None if alarm.mark is None else Mark(alarm.mark)
    if TABLE[State(alarm.state), Action.RESOLVE] is not None and not rules.may_resolve(
        kind, mark, checked=alarm.checked_ms is not None, outcome=what.outcome
    ):
        raise NotChecked(kind)
    cause = None if what.cause is None else what.cause.value
    alarms.changing.change(
        session,
        alarm,
        Action.RESOLVE,
        at_ms=now,
        by=by,
        detail={"outcome": what.outcome.value, "cause": cause, "words": what.words},
        now={"outcome": what.outcome.value, "cause": cause, "resolved_ms": now, "resolved_by": by.account},
    )
    for one in repository.dispatches(session, alarm.id):  # nobody is out any more, and nobody who was sees it again
        if one.recalled_ms is None and one.service is None:
            one.recalled_ms = now
            session.add(one)
    session.flush()
    if what.outcome is Outcome.FALSE and alarm.place is not None and kind is not Kind.DURESS:
        before = repository.false_alarms(session, alarm.place, but=alarm.id, since_ms=now - rules.FALSE_WITHIN_MS)
        if rules.needs_visit(before, now_ms=now) and not repository.has_open_errand(session, alarm.place, "visit"):
            alarms.open_errand(session, alarm, "visit", cause or "", at_ms=now)
    return alarm


def follow_up(session: Session, alarms: Alarms, alarm: AlarmRecord, by: Actor, what: FollowedUp) -> AlarmRecord:
    """回访, by somebody who had no hand in it; duress in person only. Raises SameHands, DoNotCall."""
    now = alarms.clock()
    if TABLE[State(alarm.state), Action.FOLLOW_UP] is not None:
        if not rules.may_call(Kind(alarm.kind), in_person=what.in_person):
            raise DoNotCall
        if not rules.may_follow_up(by.account, handlers(session, alarm)):
            raise SameHands
    detail: Detail = {"satisfaction": what.satisfaction, "words": what.words, "in_person": what.in_person}
    columns = {"followed_up_ms": now, "followed_up_by": by.account, "satisfaction": what.satisfaction}
    return alarms.changing.change(session, alarm, Action.FOLLOW_UP, at_ms=now, by=by, detail=detail, now=columns)


def waive(session: Session, alarms: Alarms, alarm: AlarmRecord, by: Actor, what: Reasoned) -> AlarmRecord:
    """Let an alarm go without a follow-up, with a reason."""
    return alarms.changing.change(session, alarm, Action.WAIVE, at_ms=alarms.clock(), by=by, reason=what.reason)


def archive(session: Session, alarms: Alarms, alarm: AlarmRecord, by: Actor) -> AlarmRecord:
    """归档; a test or a drill straight after it was resolved."""
    now = alarms.clock()
    filed = alarm.mark is not None and State(alarm.state) is State.RESOLVED
    action = Action.FILE if filed else Action.ARCHIVE
    return alarms.changing.change(session, alarm, action, at_ms=now, by=by, now={"archived_ms": now})


def reopen(session: Session, alarms: Alarms, alarm: AlarmRecord, by: Actor, what: Reasoned) -> AlarmRecord:
    """重开: whoever reopens it has it. What was found before stays in the steps."""
    columns: dict[str, object] = dict.fromkeys(
        ("outcome", "cause", "resolved_ms", "resolved_by", "followed_up_ms", "followed_up_by", "satisfaction",
         "archived_ms", "checked_ms", "due_ms")
    )  # fmt: skip
    columns["owner"] = by.account
    return alarms.changing.change(
        session, alarm, Action.REOPEN, at_ms=alarms.clock(), by=by, reason=what.reason, now=columns
    )


def urge(session: Session, alarms: Alarms, alarm: AlarmRecord, by: Actor, what: Urged) -> AlarmRecord:
    """督办: a superior's order with a deadline."""
    due_ms = int(what.due.timestamp() * 1000)
    return alarms.changing.change(
        session, alarm, Action.URGE, at_ms=alarms.clock(), by=by, reason=what.reason, detail={"due_ms": due_ms},
        now={"due_ms": due_ms},
    )  # fmt: skip


def wrong_address(session: Session, alarms: Alarms, alarm: AlarmRecord, by: Actor, what: Noted) -> AlarmRecord:
    """地址有误: opens an errand to correct it."""
    now = alarms.clock()
    alarms.changing.change(session, alarm, Action.WRONG_ADDRESS, at_ms=now, by=by, detail={"words": what.words})
    alarms.open_errand(session, alarm, "address", what.words or "", at_ms=now)
    return alarm


def note(session: Session, alarms: Alarms, alarm: AlarmRecord, by: Actor, what: Noted) -> AlarmRecord:
    """Write something down beside it."""
    return alarms.changing.change(
        session, alarm, Action.NOTE, at_ms=alarms.clock(), by=by, detail={"words": what.words}
    )


def handlers(session: Session, alarm: AlarmRecord) -> Collection[str | None]:
    """Everybody who had a hand in it."""
    did = {step.officer for step in repository.steps(session, alarm.id) if Action(step.action) in HANDS}
    sent = {one.account for one in repository.dispatches(session, alarm.id)}
    return did | sent | {alarm.acknowledged_by, alarm.owner, alarm.resolved_by}
