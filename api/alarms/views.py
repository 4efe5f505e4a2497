"""What leaves the station about an alarm: the one place that decides who learns of it, and what (N4).

Whoever shows, counts, sends, prints or exports anything that is made from alarms asks here:

    may_know(kind, mark, group_known, eyes)     whether these eyes may know that there is an alarm at all
    visible(eyes)                               the same, as a condition on the alarm table
    show(alarm, eyes)                           what they may read of it, or None

Theory:

1. `broker.policy` speaks first: its row for the kind and the eyes. None there is None here, for every field and count.
2. What the station adds to an alarm (its state, who has it, when somebody came) is given by `LIFE`, one row an
   audience. What stands in neither is not shown. A new column is invisible until somebody writes it into a row.
3. Two ways of seeing lie beside the audiences. `own`: the household that pressed reads on its page how far its alarm
   got. `dispatched`: whoever was sent reads where to go, and only while he is sent. Neither ever opens duress or what
   is not verified, since a page can be read over a shoulder and a guard may be a neighbour.
4. Neighbours read states coarsely: that somebody is coming, not who checked what.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from sqlalchemy import ColumnElement, Table, and_, false, or_, true
from sqlmodel import SQLModel

from api.alarms.models import AlarmRecord
from api.alarms.rules import COARSE, Outcome, State
from broker.ids import GroupId, HouseholdId, StationId
from broker.kinds import KIND_WORDS, Kind, Mark, Words
from broker.policy import POLICY, AlarmFacts, Audience, Fields, Membership, granted, shown

ALARM: Final[Table] = SQLModel.metadata.tables["alarm"]

_NEIGHBOUR: Final = (
    "state",
    "received_ms",
    "happened_ms",
    "late",
    "cancelled_ms",
    "stood_back_ms",
    "outcome",
    "whereabouts",
)
_GRID: Final = (
    *_NEIGHBOUR,
    "age_ms",
    "presses",
    "incident",
    "source",
    "address",
    "ring",
    "during_drill",
    "acknowledged_ms",
    "acknowledged_by",
    "owner",
    "dispatched_ms",
    "on_the_way_ms",
    "on_scene_ms",
    "resolved_ms",
    "followed_up_ms",
    "archived_ms",
    "due_ms",
    "version",
)
_COMMUNITY: Final = (*_GRID, "cause", "satisfaction")
_POLICE: Final = (
    *_COMMUNITY,
    "number",
    "words",
    "raised_by",
    "lat_e6",
    "lon_e6",
    "accuracy_m",
    "first_kind",
    "checked_ms",
    "resolved_by",
    "followed_up_by",
    "police_number",
)

LIFE: Final[Mapping[Audience, Fields]] = {
    Audience.POLICE: _POLICE,
    Audience.COMMUNITY: _COMMUNITY,
    Audience.GRID: _GRID,
    Audience.NEIGHBOUR: _NEIGHBOUR,
}
"""Columns beside the policy's that an audience reads."""

OWN: Final[Fields] = (*_NEIGHBOUR, "door", "label", "quiet", "place", "group", "unit", "ring", "source")
"""What the household that pressed reads on its page. It knows the kind that it pressed."""

DISPATCHED: Final[Fields] = (
    *_NEIGHBOUR, "door", "label", "place", "group", "address", "lat_e6", "lon_e6", "accuracy_m",
)  # fmt: skip
"""What whoever was sent reads, while he is sent."""

POLICY_FIELDS: Final[Fields] = (
    "door", "label", "quiet", "group", "place", "verified", "at_ms", "clock", "gateway", "unit", "reason",
)  # fmt: skip
"""Columns of which the policy of `broker` decides; `press` is no column."""

_HIDDEN: Final = frozenset({Kind.DURESS, Kind.UNVERIFIED, Kind.TAMPER})
"""Kinds that nobody learns of by a way beside the audiences."""

_NOBODY: Final = Membership(station=StationId("nobody"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One alarm as somebody may read it. None: there is nothing, or it is not for these eyes; the two look alike."""

    id: str
    eyes: Audience | None
    own: bool
    dispatched: bool
    kind: Kind
    kind_words: Words
    mark: Mark | None
    state: State
    received_ms: int
    happened_ms: int
    late: bool
    do_not_call: bool = False
    """请勿回拨: calling back may endanger whoever pressed. Only police read it."""
    himself: bool = False
    """Somebody on patrol called for help for himself: it is no household's."""
    number: int | None = None
    place: str | None = None
    group: str | None = None
    door: int | None = None
    label: str | None = None
    unit: str | None = None
    gateway: str | None = None
    verified: bool | None = None
    reason: str | None = None
    at_ms: int | None = None
    clock: str | None = None
    age_ms: int | None = None
    presses: int | None = None
    incident: str | None = None
    source: str | None = None
    whereabouts: str | None = None
    address: str | None = None
    words: str | None = None
    raised_by: str | None = None
    lat_e6: int | None = None
    lon_e6: int | None = None
    accuracy_m: int | None = None
    ring: str | None = None
    during_drill: bool | None = None
    quiet: bool | None = None
    first_kind: str | None = None
    cancelled_ms: int | None = None
    stood_back_ms: int | None = None
    acknowledged_ms: int | None = None
    acknowledged_by: str | None = None
    owner: str | None = None
    checked_ms: int | None = None
    dispatched_ms: int | None = None
    on_the_way_ms: int | None = None
    on_scene_ms: int | None = None
    resolved_ms: int | None = None
    resolved_by: str | None = None
    outcome: Outcome | None = None
    cause: str | None = None
    followed_up_ms: int | None = None
    followed_up_by: str | None = None
    satisfaction: int | None = None
    archived_ms: int | None = None
    police_number: str | None = None
    due_ms: int | None = None
    version: int | None = None


@cache
def may_know(
    kind: str,
    mark: str | None,
    group_known: bool,  # noqa: FBT001 - a column, given as it stands
    eyes: Audience | None,
    *,
    own: bool = False,
    dispatched: bool = False,
) -> bool:
    """Whether these eyes may know that such an alarm exists."""
    facts = _facts(Kind(kind), mark, GroupId("known") if group_known else None)
    if eyes is not None and granted(facts, _membership(facts), eyes) is not None:
        return True
    return (own or dispatched) and Kind(kind) not in _HIDDEN


def visible(eyes: Audience | None, *, own: bool = False) -> ColumnElement[bool]:
    """`may_know` as a condition on the alarm table."""
    ways: list[ColumnElement[bool]] = []
    if own:
        ways.append(ALARM.c.kind.not_in([kind.value for kind in sorted(_HIDDEN)]))
    if eyes is not None:
        here = [kind.value for kind in Kind if POLICY[kind][eyes] is not None]
        known = true() if eyes is Audience.POLICE else ALARM.c.group_known.is_(True)
        tests = POLICY[Kind.TEST][eyes] is not None
        earnest = (
            true()
            if tests
            else or_(ALARM.c.mark.is_(None), ALARM.c.mark != Mark.TEST.value, ALARM.c.kind == Kind.DRILL.value)
        )
        ways.append(and_(ALARM.c.kind.in_(here), known, earnest))
    return or_(*ways) if ways else false()


def show(alarm: AlarmRecord, eyes: Audience | None, *, own: bool = False, dispatched: bool = False) -> Shown | None:
    """What these eyes may read of an alarm; None: for them there is none."""
    if not may_know(alarm.kind, alarm.mark, alarm.group_known, eyes, own=own, dispatched=dispatched):
        return None
    fields = fields_for(alarm, eyes, own=own, dispatched=dispatched)
    kind, words = _kind(alarm, eyes, own=own or dispatched)
    values = {name: getattr(alarm, name) for name in fields}
    state = State(alarm.state)
    outcome = None if alarm.outcome is None or "outcome" not in fields else Outcome(alarm.outcome)
    if eyes in {None, Audience.NEIGHBOUR}:
        state = COARSE[state]
        outcome = outcome if outcome is Outcome.FALSE else None
    return Shown(
        **values
        | {
            "id": alarm.id,
            "eyes": eyes,
            "own": own,
            "dispatched": dispatched,
            "kind": kind,
            "kind_words": words,
            "mark": None if alarm.mark is None else Mark(alarm.mark),
            "state": state,
            "outcome": outcome,
            "himself": alarm.himself,
            "do_not_call": eyes is Audience.POLICE and alarm.kind == Kind.DURESS,
        }
    )


def fields_for(alarm: AlarmRecord, eyes: Audience | None, *, own: bool, dispatched: bool) -> frozenset[str]:
    """The columns that may be read, once it is settled that the alarm may be known."""
    return _fields(alarm.kind, alarm.mark, _group(alarm) is not None, eyes, own=own, dispatched=dispatched)


@cache
def _fields(
    kind: str,
    mark: str | None,
    group_known: bool,  # noqa: FBT001 - as above
    eyes: Audience | None,
    *,
    own: bool,
    dispatched: bool,
) -> frozenset[str]:
    """The policy is asked once for each sort of alarm: its answer hangs on nothing else."""
    facts = _facts(Kind(kind), mark, GroupId("known") if group_known else None)
    fields: set[str] = set()
    if eyes is not None and (row := granted(facts, _membership(facts), eyes)) is not None:
        fields.update(name for name in row if name in POLICY_FIELDS)
        fields.update(LIFE[eyes])
    if own and Kind(kind) not in _HIDDEN:
        fields.update(OWN)
    if dispatched and Kind(kind) not in _HIDDEN:
        fields.update(DISPATCHED)
    return frozenset(fields)


def _kind(alarm: AlarmRecord, eyes: Audience | None, *, own: bool) -> tuple[Kind, Words]:
    """The kind as it may be read: the household knows what it pressed, and whoever is sent must know what for."""
    kind = Kind(alarm.kind)
    if own or eyes is None:
        return kind, KIND_WORDS[kind]
    return shown(_facts(kind, alarm.mark, _group(alarm), consent=alarm.consent), eyes)


def _group(alarm: AlarmRecord) -> GroupId | None:
    """The group, if the register knew it when the alarm came: an unknown one leaves the police alone."""
    return GroupId(alarm.group) if alarm.group is not None and alarm.group_known else None


def _facts(kind: Kind, mark: str | None, group: GroupId | None, *, consent: bool = False) -> AlarmFacts:
    return AlarmFacts(kind=kind, group=group, mark=None if mark is None else Mark(mark), medical_consent=consent)


def _membership(facts: AlarmFacts) -> Membership:
    return Membership(station=_NOBODY.station, group=facts.group, households=frozenset({HouseholdId("somebody")}))
