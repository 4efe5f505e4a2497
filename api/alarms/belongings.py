"""What belongs to an alarm, as far as whoever looks may read it."""

import json

from sqlmodel import Session

from api.access import Authority
from api.alarms import answering, repository
from api.alarms.models import StepRecord
from api.alarms.rules import Action, Part, State
from api.alarms.schemas import (
    AttachmentAnswer,
    Belongings,
    ContactAnswer,
    DispatchAnswer,
    EventAnswer,
    StepAnswer,
    TransferAnswer,
    action_words,
    at,
)
from api.alarms.service import Alarms
from api.alarms.sight import Seen
from api.clock import iso
from api.register import repository as register_rows
from api.register.models import Purpose
from api.register.service import Register
from api.shapes import words_answer
from broker.policy import Audience

OFFICIAL = (Audience.POLICE, Audience.COMMUNITY, Audience.GRID)


def belongings(session: Session, alarms: Alarms, by: Authority, seen: Seen) -> Belongings:
    """All that may be read: steps and names for officials, words and files for the police, counts for neighbours."""
    alarm, eyes = seen.alarm, seen.shown.eyes
    police, official = eyes is Audience.POLICE, eyes in OFFICIAL
    return Belongings(
        notes=alarms.notes(session, alarm) if police or seen.shown.dispatched else [],
        events=[
            EventAnswer(event=one.event, part=Part(one.part), gateway=one.gateway, received=iso(one.received_ms))
            for one in (repository.parts(session, alarm.id) if eyes in {Audience.POLICE, Audience.COMMUNITY} else [])
        ],
        steps=[
            _step(one, police=police, himself=seen.shown.himself)
            for one in (repository.steps(session, alarm.id) if official else [])
        ],
        dispatches=[
            DispatchAnswer(
                account=one.account,
                guard=one.guard if police else None,
                name=one.name,
                team=one.team,
                service=one.service,
                by=one.by,
                at=iso(one.at_ms),
                on_the_way=at(one.on_the_way_ms),
                on_scene=at(one.on_scene_ms),
                recalled=at(one.recalled_ms),
            )
            for one in (repository.dispatches(session, alarm.id) if official else [])
        ],
        transfers=[
            TransferAnswer(
                id=one.id,
                what=one.what,
                receiver=one.receiver,
                reason=one.reason,
                by=one.by,
                at=iso(one.at_ms),
                answer=one.answer,
                answered_by=one.answered_by,
                answered=at(one.answered_ms),
            )
            for one in (repository.transfers(session, alarm.id) if official else [])
        ],
        answers=answering.shown(session, alarms, by, seen),
        attachments=[
            AttachmentAnswer(
                id=one.id, type=one.type, size=one.size, sha256=one.sha256, name=one.name, by=one.by, at=iso(one.at_ms)
            )
            for one in (repository.attachments(session, alarm.id) if police else [])
        ],
    )


def contacts(session: Session, register: Register, seen: Seen) -> list[ContactAnswer]:
    """Whom to call, in calling order, as far as the household consented. For duress nobody (请勿回拨)."""
    place = register.place(seen.alarm.place)
    if seen.shown.do_not_call or place is None or place.occupant is None:
        return []
    if not register_rows.consented(session, register.station, place.id, place.occupant, Purpose.CONTACTS):
        return []
    rows = register_rows.contacts(session, register.station, place.occupant)
    return [
        ContactAnswer(rank=rank, name=row["name"], phone=row["phone"], relation=row["relation"])
        for rank, row in rows.items()
    ]


def _step(step: StepRecord, *, police: bool, himself: bool) -> StepAnswer:
    detail = json.loads(step.detail) if step.detail is not None and police else None
    return StepAnswer(
        action=Action(step.action),
        words=words_answer(action_words(Action(step.action), himself=himself)),
        state=State(step.state),
        officer=step.officer,
        behalf=step.behalf if police else None,
        event=step.event,
        reason=step.reason if police else None,
        detail=detail,
        at=iso(step.at_ms),
    )
