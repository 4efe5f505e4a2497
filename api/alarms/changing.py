"""The one way in which an alarm changes by what somebody does: by the table, with step, audit and whoever hears of it.

Everything that follows from a change is a row in the same transaction: the step, the entry in the audit, what audiences
and lamps are owed, and what the consequences write (`changes`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlmodel import Session

from api.alarms import repository
from api.alarms.changes import Change, Consequence
from api.alarms.models import AlarmRecord, StepRecord
from api.alarms.problems import NotNow
from api.alarms.rules import CLIMBS, TABLE, Action, Outcome, State, told
from api.alarms.telling import Telling
from api.audit import service as audit
from broker.kinds import UpdateState

Detail = Mapping[str, str | int | bool | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who does something: an account, in one of its roles. `behalf`: whoever did it and told him so (代录)."""

    account: str
    role: str
    behalf: str | None = None


class Changing:
    """Carries changes out. `consequences` hear of each in its transaction."""

    def __init__(self, telling: Telling, consequences: tuple[Consequence, ...]) -> None:
        self._telling = telling
        self._consequences = consequences

    def change(
        self,
        session: Session,
        alarm: AlarmRecord,
        action: Action,
        *,
        at_ms: int,
        by: Actor | None = None,
        event: str | None = None,
        reason: str | None = None,
        detail: Detail | None = None,
        now: Mapping[str, object] | None = None,
    ) -> AlarmRecord:
        """Do `action`, setting the columns `now`; `alarm` is changed in place. Raises NotNow."""
        before = State(alarm.state)
        after = TABLE[before, action]
        if after is None:
            raise NotNow(alarm.id, action, before)
        heard = _told(alarm)
        columns = {"state": after.value, "version": alarm.version + 1, **(now or {})}
        for name, value in columns.items():
            setattr(alarm, name, value)
        repository.update_alarm(session, alarm.id, columns)
        self.note(session, alarm, action, before, at_ms=at_ms, by=by, event=event, reason=reason, detail=detail)
        self._say(session, alarm, before, heard, at_ms=at_ms, by=None if by is None else by.role)
        return alarm

    def note(
        self,
        session: Session,
        alarm: AlarmRecord,
        action: Action,
        before: State | None,
        *,
        at_ms: int,
        by: Actor | None = None,
        event: str | None = None,
        reason: str | None = None,
        detail: Detail | None = None,
    ) -> None:
        """Write down what was done to an alarm whose row is written, and let everybody hear who listens."""
        step = StepRecord(
            alarm=alarm.id,
            action=action.value,
            state=alarm.state,
            officer=None if by is None else by.account,
            event=event,
            at_ms=at_ms,
            behalf=None if by is None else by.behalf,
            reason=reason,
            detail=None if detail is None else json.dumps(dict(detail), ensure_ascii=False),
        )
        repository.add_steps(session, [step])
        if by is not None:
            words = {**(detail or {}), **({} if by.behalf is None else {"behalf": by.behalf})}
            audit.record(session, at_ms=at_ms, by=by.account, action=f"alarm.{action}", about=f"alarm:{alarm.id}",
                         detail=words or None, reason=reason)  # fmt: skip
        self.hear(session, Change(alarm=alarm, action=action, before=before, at_ms=at_ms,
                                  by=None if by is None else by.account))  # fmt: skip

    def hear(self, session: Session, *changes: Change) -> None:
        """Hand changes to every consequence."""
        for consequence in self._consequences:
            consequence(session, changes)

    def _say(
        self,
        session: Session,
        alarm: AlarmRecord,
        before: State,
        heard: UpdateState | None,
        *,
        at_ms: int,
        by: str | None,
    ) -> None:
        """Tell audiences and lamps what they do not know yet."""
        state = State(alarm.state)
        news, climbs = _told(alarm), CLIMBS.get(state) is not CLIMBS.get(before)
        if (news is heard or news is None) and not climbs:
            return
        for press, gateway in self._telling.presses(session, alarm):
            if news is not heard and news is not None:
                self._telling.tell(session, alarm, press, news, happened_ms=at_ms, by=by)
            if climbs:
                self._telling.show(session, alarm, press, gateway, happened_ms=at_ms)


def _told(alarm: AlarmRecord) -> UpdateState | None:
    return told(State(alarm.state), None if alarm.outcome is None else Outcome(alarm.outcome))
