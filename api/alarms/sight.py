"""With which eyes an account looks at an alarm, if with any.

Rights say what an account reaches, `views` says what eyes may know; both must agree before anything is shown. What lies
between them stands here:

1. A household that the presser's household leaves out has no eyes there, by whatever grant of a neighbour it looks.
2. A household's grant reaches alarms of its own time only: who moves in later reads nothing of who lived there before.
3. Whoever was sent sees from the dispatch until the alarm is closed or he is called back, wherever his own area lies:
   outside it with nobody's eyes, inside it with his own and what the sent are told. What is for the police alone is
   shown to police alone, sent or not.
4. Whom an alarm was offered to, shared with or reported to reaches it as if it lay in his area.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import BindParameter, ColumnElement, and_, bindparam, false, or_, select, true
from sqlmodel import Session, SQLModel

from api.alarms.models import AlarmRecord
from api.alarms.rules import OPEN
from api.alarms.views import ALARM, Shown, show, visible
from api.register.service import Register
from api.rights.rules import SHARPEST, Authority, Held, Over, Role, Subject
from broker.policy import Audience

DISPATCH = SQLModel.metadata.tables["alarm_dispatch"]
TRANSFER = SQLModel.metadata.tables["alarm_transfer"]

_OPEN: Final = [state.value for state in OPEN]
_STANDING: Final = or_(TRANSFER.c.answer.is_(None), TRANSFER.c.answer == "accepted")
_THESE: Final[BindParameter[list[str]]] = bindparam("alarms", expanding=True)
_GIVEN: Final = select(TRANSFER.c.alarm, TRANSFER.c.receiver).where(TRANSFER.c.alarm.in_(_THESE), _STANDING)
_SENT: Final = select(DISPATCH.c.alarm, DISPATCH.c.account).where(
    DISPATCH.c.alarm.in_(_THESE), DISPATCH.c.account.is_not(None), DISPATCH.c.recalled_ms.is_(None)
)


@dataclass(frozen=True, slots=True)
class Ties:
    """Whom else alarms concern: areas that they were given to, accounts that were sent; by alarm."""

    receivers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    sent: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """An alarm with what is shown of it, and the grant that shows it."""

    alarm: AlarmRecord
    shown: Shown
    held: Held


def ties(session: Session, alarms: Collection[str]) -> Ties:
    """Whom else these alarms concern now."""
    if not alarms:
        return Ties()
    receivers: dict[str, set[str]] = {}
    sent: dict[str, set[str]] = {}
    asked = {"alarms": [*alarms]}
    for alarm, receiver in session.connection().execute(_GIVEN, asked):
        receivers.setdefault(alarm, set()).add(receiver)
    for alarm, account in session.connection().execute(_SENT, asked):
        sent.setdefault(alarm, set()).add(account)
    return Ties(
        {alarm: frozenset(areas) for alarm, areas in receivers.items()},
        {alarm: frozenset(accounts) for alarm, accounts in sent.items()},
    )


def subject_of(alarm: AlarmRecord, register: Register, tied: Ties | None = None) -> Subject:
    """What rights need to know of an alarm: the assignment of its moment, and whom it was given to since."""
    tied = tied or Ties()
    group = alarm.group if alarm.group_known else None
    areas = register.areas_of(group)
    for receiver in tied.receivers.get(alarm.id, ()):
        areas |= register.lies_in(receiver)
    return Subject(areas=areas, group=group, place=alarm.place, dispatched=tied.sent.get(alarm.id, frozenset()))


def look(by: Authority, alarm: AlarmRecord, register: Register, tied: Ties) -> Seen | None:
    """The alarm as this account sees it with this action; None: for it there is none."""
    subject = subject_of(alarm, register, tied)
    left_out = excluded(alarm, register)
    sent = by.principal.account in subject.dispatched and alarm.state in _OPEN
    found: list[Seen] = []
    for held in by.reach.covers(subject):
        if held.eyes is Audience.NEIGHBOUR and not _neighbour(by, held, alarm, left_out):
            continue
        if held.over is Over.DISPATCHED and not sent:
            continue
        own = held.role is Role.HOUSEHOLD and held.scope == alarm.place
        shown = show(alarm, held.eyes, own=own, dispatched=sent)
        if shown is not None:
            found.append(Seen(alarm, shown, held))
    return min(found, key=_nearness, default=None)


def within(by: Authority, register: Register) -> ColumnElement[bool]:
    """What this account may see at most, as a condition on the alarm table; `look` judges what it lets through."""
    whole = register.areas_of(None)
    everything = any(held.over is Over.AREA and held.scope in whole for held in by.reach.held if _police(held))
    ways = [
        and_(_covered(held, by.principal.account, register), _visible(held))
        for held in by.reach.held
        if not (everything and held.over is Over.DISPATCHED)  # it would add nothing
    ]
    return or_(*ways) if ways else false()


def _police(held: Held) -> bool:
    return held.eyes is Audience.POLICE


def _nearness(seen: Seen) -> tuple[int, bool]:
    """Officials first, then whoever was sent, then the household itself, then neighbours."""
    eyes = seen.shown.eyes
    return (SHARPEST.index(Audience.NEIGHBOUR if eyes is None else eyes), not (seen.shown.dispatched or seen.shown.own))


def _neighbour(by: Authority, held: Held, alarm: AlarmRecord, left_out: frozenset[str]) -> bool:
    """Whether a grant with a neighbour's eyes sees this alarm."""
    homes = {grant.scope for grant in by.principal.grants if grant.role is Role.HOUSEHOLD}
    if homes & left_out:
        return False
    return any(
        grant.role is held.role and grant.scope == held.scope and grant.holds(alarm.received_ms)
        for grant in by.principal.grants
    )


def excluded(alarm: AlarmRecord, register: Register) -> frozenset[str]:
    """Whoever was left out then, or is now."""
    return frozenset(alarm.excluded.split()) | register.membership(alarm.place).excluded


def _visible(held: Held) -> ColumnElement[bool]:
    if held.over is Over.DISPATCHED:
        return visible(held.eyes, own=True)
    ways = [visible(held.eyes)]
    if held.role is Role.HOUSEHOLD:
        ways.append(and_(visible(None, own=True), ALARM.c.place == held.scope))
    return or_(*ways)


def _covered(held: Held, account: str, register: Register) -> ColumnElement[bool]:
    match held.over:
        case Over.ALL:
            return true()
        case Over.AREA:
            return _in_area(held.scope, register)
        case Over.PLACE:
            return ALARM.c.place == held.scope
        case Over.GROUP:
            in_group = false() if held.group is None else and_(ALARM.c.group == held.group, ALARM.c.group_known)
            return or_(_in_area(held.scope, register), in_group, ALARM.c.place == held.scope)
        case Over.DISPATCHED:
            sent = select(DISPATCH.c.alarm).where(DISPATCH.c.account == account, DISPATCH.c.recalled_ms.is_(None))
            return and_(ALARM.c.id.in_(sent), ALARM.c.state.in_(_OPEN))
        case _:
            return false()


def _in_area(scope: str, register: Register) -> ColumnElement[bool]:
    if scope in register.areas_of(None):
        return true()
    given = select(TRANSFER.c.alarm).where(TRANSFER.c.receiver.in_({scope, *register.within(scope)}), _STANDING)
    return or_(and_(ALARM.c.group.in_(register.groups_in(scope)), ALARM.c.group_known), ALARM.c.id.in_(given))
