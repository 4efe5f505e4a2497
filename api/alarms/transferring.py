"""Whom else an alarm is given to: offered (转办), shared (协办), reported upward (上报)."""

from sqlmodel import Session

from api.access import Authority
from api.alarms import repository
from api.alarms.changing import Actor
from api.alarms.models import AlarmRecord, AlarmTransfer
from api.alarms.problems import NotARealPlace, NotOffered
from api.alarms.requests import Answered, Given, Reasoned
from api.alarms.rules import TABLE, Action, State
from api.alarms.service import Alarms

WHAT = {Action.TRANSFER: "transfer", Action.JOIN: "join", Action.REPORT_UP: "report_up"}


def give(
    session: Session, alarms: Alarms, alarm: AlarmRecord, by: Actor, what: Given, *, action: Action
) -> AlarmRecord:
    """Offer, share or report. One offer waits at a time. Raises NotARealPlace, NotOffered."""
    if alarms.register.area(what.receiver) is None and what.receiver != alarms.register.station:
        raise NotARealPlace(what.receiver)
    now = alarms.clock()
    if TABLE[State(alarm.state), action] is not None:
        if action is Action.TRANSFER and _waiting(session, alarm) is not None:
            raise NotOffered
        given = AlarmTransfer(
            id=alarms.telling.new_id(),
            alarm=alarm.id,
            what=WHAT[action],
            receiver=what.receiver,
            reason=what.reason,
            by=by.account,
            at_ms=now,
        )
        session.add(given)
        session.flush()
    return alarms.changing.change(
        session, alarm, action, at_ms=now, by=by, reason=what.reason, detail={"receiver": what.receiver}
    )


def answer(
    session: Session, alarms: Alarms, alarm: AlarmRecord, by: Actor, what: Answered, *, authority: Authority
) -> AlarmRecord:
    """Accept or refuse an offer to one's own area; whoever accepts is responsible from then on. Raises NotOffered."""
    offer = _waiting(session, alarm)
    if offer is None or offer.by == by.account:
        raise NotOffered
    if not authority.reach.covers(alarms.register.subject_of_area(offer.receiver)):
        raise NotOffered
    now = alarms.clock()
    offer.answer = "accepted" if what.accept else "refused"
    offer.answered_by, offer.answered_ms = by.account, now
    session.add(offer)
    session.flush()
    return alarms.changing.change(
        session,
        alarm,
        Action.ACCEPT if what.accept else Action.REFUSE,
        at_ms=now,
        by=by,
        reason=what.reason or None,
        detail={"receiver": offer.receiver},
        now={"owner": by.account} if what.accept else None,
    )


def withdraw(session: Session, alarms: Alarms, alarm: AlarmRecord, by: Actor, what: Reasoned) -> AlarmRecord:
    """Take an offer back that nobody has answered. Raises NotOffered."""
    offer = _waiting(session, alarm)
    if offer is None:
        raise NotOffered
    now = alarms.clock()
    offer.answer, offer.answered_by, offer.answered_ms = "withdrawn", by.account, now
    session.add(offer)
    session.flush()
    return alarms.changing.change(
        session, alarm, Action.WITHDRAW, at_ms=now, by=by, reason=what.reason, detail={"receiver": offer.receiver}
    )


def _waiting(session: Session, alarm: AlarmRecord) -> AlarmTransfer | None:
    """The offer that waits for an answer."""
    offers = [one for one in repository.transfers(session, alarm.id) if one.what == "transfer" and one.answer is None]
    return offers[0] if offers else None
