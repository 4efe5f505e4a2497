"""The alarms of a station: what becomes of events and of what people do, inside a transaction that the caller began."""

from collections.abc import Callable, Sequence

from sqlmodel import Session

from api.accounts import repository as accounts
from api.alarms import repository
from api.alarms.absorbing import Batch
from api.alarms.changes import Change, Consequence
from api.alarms.changing import Changing
from api.alarms.models import AlarmErrand, AlarmRecord
from api.alarms.rules import OPEN, Action, Source, State
from api.alarms.sight import Seen, excluded, look, ties
from api.alarms.telling import Telling
from api.clock import Clock
from api.outgoing import service as outgoing
from api.problems import NoSuchAlarm
from api.register import repository as register_rows
from api.register.models import Purpose
from api.register.service import Register
from api.register.sheets import NOTES
from api.rights.rules import Authority, Role, Without, rights
from broker.ids import EventId, GatewayId
from broker.kinds import Kind
from broker.messages import GatewayEvent
from broker.policy import Audience

LAMP_MS: int = 24 * 3_600_000
"""A gateway that comes back is told again what its lamps should show, for alarms of the last day."""


class Alarms:
    """The rules of `rules.py`, carried out on tables. `consequences` hear of every change in its transaction."""

    def __init__(
        self,
        register: Register,
        *,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        consequences: Sequence[Consequence] = (),
    ) -> None:
        self.register = register
        self.clock = clock
        self.telling = Telling(register, clock=clock, random_bytes=random_bytes)
        self.changing = Changing(self.telling, tuple(consequences))

    def absorb(self, session: Session, events: Sequence[GatewayEvent], *, received_ms: int) -> list[AlarmRecord]:
        """Let new events have their effect; they are in the inbox already. Returns the alarms that they opened."""
        batch = Batch(session, self.telling, self.changing, self.register, received_ms=received_ms)
        batch.load(events)
        for event in events:
            batch.take(event)
        batch.save()
        return batch.opened

    def unreadable(
        self, session: Session, gateway: str, *, reason: str, event: EventId | None, received_ms: int
    ) -> None:
        """Show the police that something came from `gateway` which cannot be believed or read, and may be a press.

        One alarm gathers them until somebody acknowledges it, so that a flood is one line and not a thousand.
        """
        key = f"unreadable:{gateway}"
        found = [alarm for alarm in repository.by_keys(session, [key]) if alarm.acknowledged_ms is None]
        if found:
            found[-1].presses += 1
            found[-1].version += 1
            repository.save_alarms(session, found[-1:])
            self.changing.hear(session, Change(alarm=found[-1], action=Action.RECEIVE, before=State(found[-1].state),
                                               at_ms=received_ms))  # fmt: skip
            return
        id_ = self.telling.new_id() if event is None or repository.find(session, event) is not None else event
        alarm = AlarmRecord(
            id=id_,
            key=key,
            kind=Kind.UNVERIFIED.value,
            state=State.RECEIVED.value,
            verified=False,
            reason=reason,
            late=False,
            gateway=gateway,
            at_ms=received_ms,
            clock="unsynced",
            age_ms=0,
            happened_ms=received_ms,
            received_ms=received_ms,
            source=Source.UNREADABLE.value,
        )
        repository.add_alarms(session, [alarm])
        self.changing.note(session, alarm, Action.RECEIVE, None, at_ms=received_ms, event=id_)

    def see(self, session: Session, by: Authority, alarm_id: str, *, lock: bool = False) -> Seen:
        """The alarm as this account sees it. Raises NoSuchAlarm where it sees none."""
        alarm = repository.find(session, alarm_id, lock=lock)
        seen = None if alarm is None else look(by, alarm, self.register, ties(session, [alarm.id]))
        if seen is None:
            raise NoSuchAlarm(alarm_id)
        return seen

    def notes(self, session: Session, alarm: AlarmRecord) -> list[str]:
        """How to get in and what to mind, as far as the household consented, while the alarm is open."""
        place = self.register.place(alarm.place)
        if place is None or not is_open(alarm):
            return []
        station = self.register.station
        told: list[str] = []
        if place.occupant is not None and register_rows.consented(
            session, station, place.id, place.occupant, Purpose.RESPONDER_NOTES
        ):
            notes = register_rows.notes(session, station, place.occupant)
            told = [f"{NOTES[note].zh} {NOTES[note].en}{': ' if words else ''}{words}" for note, words in notes.items()]
        return [text for text in (place.way_in, *told) if text]

    def may_be_sent(self, session: Session, account: str, alarm: AlarmRecord, at_ms: int) -> bool:
        """Whether there is such an account, and it may be sent to this alarm: it could not read where otherwise.

        To what is for the police alone only police go, and whom the presser's household leaves out goes nowhere.
        """
        police_only = Kind(alarm.kind) in {Kind.DURESS, Kind.UNVERIFIED}
        grants = accounts.grants(session, [account])
        roles = [Role(one.role) for one in grants if one.from_ms <= at_ms and (one.to_ms is None or at_ms < one.to_ms)]
        left_out = excluded(alarm, self.register)
        if any(one.role == Role.HOUSEHOLD and one.scope in left_out for one in grants):
            return False
        account_row = accounts.one(session, accounts.ACCOUNT, id=account)
        if account_row is None or account_row.state != "active":
            return False
        readers = rights().actions["alarm.read"]
        assert not isinstance(readers, Without), "it asks roles"
        return any(role in readers and (not police_only or rights().eyes[role] is Audience.POLICE) for role in roles)

    def members(self, session: Session, team: str) -> frozenset[str]:
        """The accounts of a team now."""
        rows = register_rows.still(session, "team_member", self.register.station, team=team)
        return frozenset(str(row["account"]) for row in rows)

    def open_errand(self, session: Session, alarm: AlarmRecord, what: str, words: str, *, at_ms: int) -> None:
        """Write down that something is left to do because of an alarm."""
        errand = AlarmErrand(
            id=self.telling.new_id(), alarm=alarm.id, what=what, place=alarm.place, words=words, opened_ms=at_ms
        )
        session.add(errand)
        session.flush()

    def show_again(self, session: Session, gateway: GatewayId) -> None:
        """Owe a gateway with a new session what its lamps should show."""
        now = self.clock()
        waiting = outgoing.alarms_commanded(session, gateway)
        for alarm, press in repository.acknowledged_presses(session, gateway, since_ms=now - LAMP_MS):
            if alarm.id not in waiting:
                self.telling.show(session, alarm, press, gateway, happened_ms=alarm.acknowledged_ms or now)


def is_open(alarm: AlarmRecord) -> bool:
    """Whether somebody still has to do something about it before it is resolved."""
    return State(alarm.state) in OPEN
