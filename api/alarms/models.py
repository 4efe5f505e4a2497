"""Tables of alarms, and their rows in memory.

The table classes define columns and constraints. What works on many rows uses the records below them: making an
instance of a table class takes longer than everything else that is done for an event. A test holds the fields of
each record to the columns of its table.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint
from sqlmodel import BigInteger, Field, SQLModel

from api.alarms.rules import FRESH, Action, Cause, Outcome, Part, Ring, Source, State, Whereabouts, for_himself
from broker.kinds import Answer, Kind, Mark


def _in(column: str, words: Iterable[StrEnum]) -> str:
    return f"{column} IN ({', '.join(repr(word.value) for word in words)})"


def _null_or_in(column: str, words: Iterable[StrEnum]) -> str:
    return f"{column} IS NULL OR {_in(column, words)}"


class Alarm(SQLModel, table=True):
    """One alarm, however many gateways heard the press and however often.

    `id` is the event id of the press that opened it. `at_ms` and `clock` are the gateway's clock and how good it
    was, `received_ms` is the station's, and `happened_ms` the station's reckoning (received less age).
    `key` finds the alarm that another event belongs to (`rules.key_of`). `presses` counts events that merged.
    """

    __table_args__ = (
        CheckConstraint(_in("kind", Kind), name="kind"),
        CheckConstraint(_in("state", State), name="state"),
        CheckConstraint(f"mark IS NULL OR {_in('mark', Mark)}", name="mark"),
        CheckConstraint("clock IN ('synced', 'unsynced')", name="clock"),
        CheckConstraint("age_ms >= 0 AND presses > 0 AND version > 0", name="counts"),
        CheckConstraint("length(id) = 36", name="id"),
        CheckConstraint(
            "(acknowledged_ms IS NULL) = (acknowledged_by IS NULL)"
            f" AND ({_in('state', FRESH)}) = (acknowledged_ms IS NULL)",
            name="acknowledged",
        ),
        CheckConstraint(_in("source", Source), name="source"),
        CheckConstraint(_null_or_in("whereabouts", Whereabouts), name="whereabouts"),
        CheckConstraint(_null_or_in("ring", Ring), name="ring"),
        CheckConstraint(_null_or_in("outcome", Outcome), name="outcome"),
        CheckConstraint(_null_or_in("cause", Cause), name="cause"),
        CheckConstraint("satisfaction IS NULL OR satisfaction BETWEEN 1 AND 5", name="satisfaction"),
        CheckConstraint("kind != 'duress' OR incident IS NULL", name="duress_alone"),
        CheckConstraint("kind != 'duress' OR cancelled_ms IS NULL", name="duress_stays"),
        Index("ix_alarm_state", "state", "number"),
        Index("ix_alarm_group", "group", "number"),
        Index("ix_alarm_place", "place", "happened_ms", "incident"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    id: str = Field(unique=True)
    key: str = Field(index=True)
    kind: str
    state: str
    mark: str | None = None
    verified: bool
    reason: str | None = None
    late: bool
    place: str | None = None
    group: str | None = None
    door: int | None = None
    label: str | None = None
    unit: str | None = Field(default=None, index=True)
    gateway: str | None = None
    at_ms: int = Field(sa_type=BigInteger)
    clock: str
    age_ms: int = Field(sa_type=BigInteger)
    happened_ms: int = Field(sa_type=BigInteger)
    received_ms: int = Field(sa_type=BigInteger)
    presses: int = 1
    cancelled_ms: int | None = Field(sa_type=BigInteger, default=None)
    acknowledged_ms: int | None = Field(sa_type=BigInteger, default=None)
    acknowledged_by: str | None = None
    version: int = 1
    source: str = Source.UNIT.value
    group_known: bool = False
    """Whether the register had the place in this group when the alarm came; if not, it is for the police alone."""
    consent: bool = False
    """Whether neighbours may read medical as medical, by the consent of that moment."""
    excluded: str = ""
    """Places that shall not be told, by the register of that moment, with spaces between them."""
    incident: str | None = Field(default=None, index=True)
    """The first alarm of its incident."""
    first_kind: str | None = None
    """The kind as it came, where a handler has said another one."""
    raised_by: str | None = None
    words: str | None = None
    address: str | None = None
    whereabouts: str | None = None
    lat_e6: int | None = None
    lon_e6: int | None = None
    accuracy_m: int | None = None
    ring: str | None = None
    during_drill: bool = False
    """In earnest, while a drill of the group went on (演练期间)."""
    quiet: bool = False
    """No neighbour's siren sounded for it, by an officer's order for that place."""
    owner: str | None = None
    """Who is responsible now: whoever acknowledged, until somebody else has accepted it."""
    checked_ms: int | None = Field(sa_type=BigInteger, default=None)
    """When somebody first asked or saw what was the matter."""
    dispatched_ms: int | None = Field(sa_type=BigInteger, default=None)
    on_the_way_ms: int | None = Field(sa_type=BigInteger, default=None)
    on_scene_ms: int | None = Field(sa_type=BigInteger, default=None)
    stood_back_ms: int | None = Field(sa_type=BigInteger, default=None)
    """When neighbours were told not to come near."""
    due_ms: int | None = Field(sa_type=BigInteger, default=None)
    """The deadline of whoever urged last."""
    police_number: str | None = None
    resolved_ms: int | None = Field(sa_type=BigInteger, default=None)
    resolved_by: str | None = None
    outcome: str | None = None
    cause: str | None = None
    followed_up_ms: int | None = Field(sa_type=BigInteger, default=None)
    followed_up_by: str | None = None
    satisfaction: int | None = None
    archived_ms: int | None = Field(sa_type=BigInteger, default=None)


class AlarmEvent(SQLModel, table=True):
    """An event that belongs to an alarm, and as what. Without an alarm it waits for the press of its `key`."""

    __tablename__ = "alarm_event"
    __table_args__ = (
        CheckConstraint(_in("part", Part), name="part"),
        Index("ix_alarm_event_key", "key"),
    )

    event: str = Field(primary_key=True, foreign_key="inbox.id")
    alarm: str | None = Field(default=None, foreign_key="alarm.id", index=True)
    key: str
    part: str
    gateway: str
    received_ms: int = Field(sa_type=BigInteger)


class AlarmStep(SQLModel, table=True):
    """Something was done about an alarm: by an officer, or by the event that brought it."""

    __tablename__ = "alarm_step"
    __table_args__ = (
        CheckConstraint(_in("action", Action), name="action"),
        CheckConstraint(_in("state", State), name="state"),
        CheckConstraint("officer IS NULL OR event IS NULL", name="somebody"),
    )

    number: int | None = Field(primary_key=True, default=None)
    alarm: str = Field(foreign_key="alarm.id", index=True)
    action: str
    state: str
    """The state after it."""
    officer: str | None = None
    """The account that did it or entered it."""
    event: str | None = None
    at_ms: int = Field(sa_type=BigInteger)
    behalf: str | None = None
    """Who did it and reported by radio or phone, where `officer` entered it for somebody else (代录)."""
    reason: str | None = None
    detail: str | None = Field(sa_type=Text, default=None)
    """JSON of what else there is to this action."""


class AlarmDispatch(SQLModel, table=True):
    """Somebody was sent: an account, a guard (who may have one), or 119 or 120 whose person at the phone has a name."""

    __tablename__ = "alarm_dispatch"
    __table_args__ = (
        CheckConstraint("(service IS NULL) = (account IS NOT NULL OR guard IS NOT NULL)", name="one_of_both"),
        CheckConstraint("service IS NULL OR service IN ('119', '120')", name="service"),
        Index("ix_alarm_dispatch_account", "account", "recalled_ms"),
    )

    number: int | None = Field(primary_key=True, default=None)
    alarm: str = Field(foreign_key="alarm.id", index=True)
    account: str | None = None
    team: str | None = None
    service: str | None = None
    name: str | None = None
    """Who took the call at 119 or 120."""
    guard: str | None = None
    """Who was sent by order (`api.orders`). Without an account he is told by radio, and sees nothing here."""
    by: str
    at_ms: int = Field(sa_type=BigInteger)
    on_the_way_ms: int | None = Field(sa_type=BigInteger, default=None)
    on_scene_ms: int | None = Field(sa_type=BigInteger, default=None)
    recalled_ms: int | None = Field(sa_type=BigInteger, default=None)


class AlarmTransfer(SQLModel, table=True):
    """An alarm offered to others (转办), shared (协办) or reported upward (上报). `receiver`: an area of theirs."""

    __tablename__ = "alarm_transfer"
    __table_args__ = (
        CheckConstraint("what IN ('transfer', 'join', 'report_up')", name="what"),
        CheckConstraint("answer IS NULL OR answer IN ('accepted', 'refused', 'withdrawn')", name="answer"),
        CheckConstraint("(answer IS NULL) = (answered_ms IS NULL)", name="answered"),
        Index("ix_alarm_transfer_receiver", "receiver", "answer"),
    )

    id: str = Field(primary_key=True)
    alarm: str = Field(foreign_key="alarm.id", index=True)
    what: str
    receiver: str
    reason: str
    by: str
    at_ms: int = Field(sa_type=BigInteger)
    answer: str | None = None
    answered_by: str | None = None
    answered_ms: int | None = Field(sa_type=BigInteger, default=None)


class AlarmAnswer(SQLModel, table=True):
    """What a neighbour said, newest last; or that he is there."""

    __tablename__ = "alarm_answer"
    __table_args__ = (CheckConstraint(_null_or_in("answer", Answer), name="answer"),)

    number: int | None = Field(primary_key=True, default=None)
    alarm: str = Field(foreign_key="alarm.id", index=True)
    place: str | None = None
    """The neighbour's. None for somebody who is no neighbour and arrived."""
    answer: str | None = None
    """None: arrived."""
    account: str | None = None
    event: str | None = None
    at_ms: int = Field(sa_type=BigInteger)


class AlarmAttachment(SQLModel, table=True):
    """A file that belongs to an alarm; it lies in a folder under its digest."""

    __tablename__ = "alarm_attachment"
    __table_args__ = (
        CheckConstraint("length(sha256) = 64 AND size > 0", name="file"),
        UniqueConstraint("alarm", "sha256", name="uq_alarm_attachment_file"),
    )

    id: str = Field(primary_key=True)
    alarm: str = Field(foreign_key="alarm.id", index=True)
    sha256: str
    type: str
    size: int
    name: str
    by: str
    at_ms: int = Field(sa_type=BigInteger)


class AlarmErrand(SQLModel, table=True):
    """Something to be looked after because of an alarm: a visit after false alarms, an address to be corrected."""

    __tablename__ = "alarm_errand"
    __table_args__ = (
        CheckConstraint("what IN ('visit', 'address')", name="what"),
        CheckConstraint("(done_ms IS NULL) = (done_by IS NULL)", name="done"),
        Index("ix_alarm_errand_open", "done_ms", "number"),
        {"sqlite_autoincrement": True},
    )

    number: int | None = Field(primary_key=True, default=None)
    id: str = Field(unique=True)
    alarm: str = Field(foreign_key="alarm.id", index=True)
    what: str
    place: str | None = None
    words: str
    opened_ms: int = Field(sa_type=BigInteger)
    done_ms: int | None = Field(sa_type=BigInteger, default=None)
    done_by: str | None = None
    found: str | None = None


class AlarmRequest(SQLModel, table=True):
    """A request that carried an Idempotency-Key, and the alarm that it was about: it is not carried out again."""

    __tablename__ = "alarm_request"
    __table_args__ = (CheckConstraint("length(digest) = 64", name="digest"),)

    account: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    digest: str
    alarm: str
    at_ms: int = Field(sa_type=BigInteger, index=True)


@dataclass(slots=True, kw_only=True)
class AlarmRecord:
    """A row of `alarm`. `number` is None until the database has given one."""

    id: str
    key: str
    kind: str
    state: str
    verified: bool
    late: bool
    gateway: str | None
    at_ms: int
    clock: str
    age_ms: int
    happened_ms: int
    received_ms: int
    number: int | None = None
    mark: str | None = None
    reason: str | None = None
    place: str | None = None
    group: str | None = None
    door: int | None = None
    label: str | None = None
    unit: str | None = None
    presses: int = 1
    cancelled_ms: int | None = None
    acknowledged_ms: int | None = None
    acknowledged_by: str | None = None
    version: int = 1
    source: str = Source.UNIT.value
    group_known: bool = False
    consent: bool = False
    excluded: str = ""
    incident: str | None = None
    first_kind: str | None = None
    raised_by: str | None = None
    words: str | None = None
    address: str | None = None
    whereabouts: str | None = None
    lat_e6: int | None = None
    lon_e6: int | None = None
    accuracy_m: int | None = None
    ring: str | None = None
    during_drill: bool = False
    quiet: bool = False
    owner: str | None = None
    checked_ms: int | None = None
    dispatched_ms: int | None = None
    on_the_way_ms: int | None = None
    on_scene_ms: int | None = None
    stood_back_ms: int | None = None
    due_ms: int | None = None
    police_number: str | None = None
    resolved_ms: int | None = None
    resolved_by: str | None = None
    outcome: str | None = None
    cause: str | None = None
    followed_up_ms: int | None = None
    followed_up_by: str | None = None
    satisfaction: int | None = None
    archived_ms: int | None = None

    @property
    def himself(self) -> bool:
        """Whether whoever raised it called for himself, and not for a household."""
        return for_himself(self.source, self.place)


@dataclass(slots=True, kw_only=True)
class PartRecord:
    """A row of `alarm_event`."""

    event: str
    alarm: str | None
    key: str
    part: str
    gateway: str
    received_ms: int


@dataclass(slots=True, kw_only=True, frozen=True)
class StepRecord:
    """A row of `alarm_step`, without the number that the database gives."""

    alarm: str
    action: str
    state: str
    officer: str | None
    event: str | None
    at_ms: int
    behalf: str | None = None
    reason: str | None = None
    detail: str | None = None
