"""Neighbours' answers: what each said last, who is there, and how many could have answered."""

from dataclasses import dataclass

from sqlmodel import Session

from api.alarms import repository
from api.alarms.changing import Actor
from api.alarms.models import AlarmRecord
from api.alarms.rules import Action
from api.alarms.schemas import AnswersAnswer, NeighbourAnswerAnswer, answer_words
from api.alarms.service import Alarms
from api.alarms.sight import Seen
from api.clock import iso
from api.drills import repository as drills
from api.problems import NoSuchAlarm
from api.rights.rules import Authority, Role
from broker.kinds import Answer
from broker.policy import Audience

ORDER = {Answer.COMING: 0, Answer.WATCHING: 1, Answer.CANNOT: 2}
"""Whoever is coming first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What one neighbour said last, and when somebody from there arrived."""

    place: str | None
    answer: Answer | None
    arrived_ms: int | None
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """An alarm's answers so far. `reachable`: neighbours who may know and can be rung now, without those away."""

    reachable: int
    said: tuple[Said, ...]

    def count(self, answer: Answer) -> int:
        """How many said that last."""
        return sum(one.answer is answer for one in self.said)

    @property
    def arrived(self) -> int:
        """From how many places somebody is there."""
        return sum(one.arrived_ms is not None for one in self.said)

    @property
    def answered(self) -> int:
        """How many neighbours said that they are coming or watching, or are there."""
        return sum(one.answer in {Answer.COMING, Answer.WATCHING} or one.arrived_ms is not None for one in self.said)


def answers(session: Session, alarms: Alarms, alarm: AlarmRecord) -> Answers:
    """What neighbours said of an alarm so far, and how many of them can be reached now."""
    latest: dict[str | None, Said] = {}
    for row in repository.answers(session, alarm.id):
        before = latest.pop(row.place, None)  # the newest stands last
        latest[row.place] = Said(
            place=row.place,
            answer=Answer(row.answer) if row.answer is not None else None if before is None else before.answer,
            arrived_ms=row.at_ms if row.answer is None else None if before is None else before.arrived_ms,
            at_ms=row.at_ms,
        )
    said = sorted(latest.values(), key=lambda one: (one.arrived_ms is None, _order(one), one.at_ms))
    return Answers(reachable=len(reachable(session, alarms, alarm)), said=tuple(said))


def reachable(session: Session, alarms: Alarms, alarm: AlarmRecord) -> frozenset[str]:
    """The neighbours who may know of an alarm and whose group's gateway is there, without those who are away."""
    gateway = alarms.register.gateway_of(alarm.group)
    if gateway is not None and not repository.is_online(session, gateway):
        return frozenset()
    near = frozenset[str](alarms.telling.neighbours(alarm))
    return near - drills.away(session, near, at_ms=alarms.clock())


def say(session: Session, alarms: Alarms, seen: Seen, by: Actor, *, place: str, answer: Answer) -> AlarmRecord:
    """A neighbour answers on his page: 马上去, 看着呢 or 去不了. Raises NotNow."""
    now = alarms.clock()
    detail = {"place": place, "answer": answer.value}
    alarms.changing.change(session, seen.alarm, Action.ANSWER, at_ms=now, by=by, detail=detail)
    repository.add_answer(session, seen.alarm.id, place=place, answer=answer.value, account=by.account, at_ms=now)
    return seen.alarm


def arrive(session: Session, alarms: Alarms, seen: Seen, by: Actor, *, place: str) -> AlarmRecord:
    """A neighbour is there. Raises NotNow."""
    now = alarms.clock()
    alarms.changing.change(session, seen.alarm, Action.ARRIVE, at_ms=now, by=by, detail={"place": place})
    repository.add_answer(session, seen.alarm.id, place=place, answer=None, account=by.account, at_ms=now)
    return seen.alarm


def neighbour(by: Authority, alarms: Alarms, seen: Seen) -> str:
    """The place from which this account answers. Raises NoSuchAlarm where it is no neighbour there."""
    homes = {grant.scope for grant in by.principal.grants if grant.role is Role.HOUSEHOLD}
    near = sorted(homes & {*alarms.telling.neighbours(seen.alarm)})
    if not near or seen.shown.own:
        raise NoSuchAlarm(seen.alarm.id)
    return near[0]


def shown(session: Session, alarms: Alarms, by: Authority, seen: Seen) -> AnswersAnswer | None:
    """Counts for everybody who knows of the alarm; who it was for officials, the household in need, the leader."""
    if not alarms.telling.neighbours(seen.alarm):
        return None
    now = answers(session, alarms, seen.alarm)
    homes = {grant.scope for grant in by.principal.grants if grant.role is Role.HOUSEHOLD}
    own = next((one.answer for one in now.said if one.place in homes), None)
    leads = any(grant.role is Role.GROUP_LEADER and grant.scope == seen.alarm.group for grant in by.principal.grants)
    named = leads or seen.shown.own or seen.shown.eyes in {Audience.POLICE, Audience.COMMUNITY, Audience.GRID}
    return AnswersAnswer(
        reachable=now.reachable,
        coming=now.count(Answer.COMING),
        watching=now.count(Answer.WATCHING),
        cannot=now.count(Answer.CANNOT),
        arrived=now.arrived,
        own=own,
        list=[_named(one, alarms) for one in now.said] if named else [],
    )


def _order(said: Said) -> int:
    return len(ORDER) if said.answer is None else ORDER[said.answer]


def _named(said: Said, alarms: Alarms) -> NeighbourAnswerAnswer:
    place = alarms.register.place(said.place)
    return NeighbourAnswerAnswer(
        place=said.place,
        door=None if place is None else place.door,
        label=None if place is None else place.label,
        answer=said.answer,
        words=None if said.answer is None else answer_words(said.answer),
        arrived=None if said.arrived_ms is None else iso(said.arrived_ms),
        at=iso(said.at_ms),
    )
