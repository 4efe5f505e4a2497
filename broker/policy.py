"""Who may know what: the audience policy as data, and the one place that reads it.

`POLICY[kind][audience]` is the tuple of fields that this audience learns about an alarm of this kind, or None:
nothing at all, not even that there is something. Everything that leaves the system about an alarm (a message,
an update, a siren frame, a lamp) asks here.

Theory, in the order in which it is applied:

1. The row of the kind is taken. A kind that is missing from the table is a KeyError, not a default.
2. Conditions narrow it, and can do nothing else. An unknown group leaves the police only, whatever the kind;
   a test leaves what the row `test` allows. There is no condition that adds an audience or a field.
3. `kind` and its words, the mark, the event id and the age go with every message that is sent at all. The kind
   is the kind *as shown*: neighbours read help (求助) for medical unless the presser's household consented to
   more, in words that are the same for both, so that the difference is not to be seen.
4. Neighbours are the group's households without the presser and without those that the presser's household
   excluded. An excluded one gets no message and no siren frame. (It may hear next door.)
5. An officer may quiet the neighbours' sirens for one place. It takes sound away and nothing else: everybody is told
   by message as before, with the remark `quiet`. Fire sounds all the same, because it is the neighbours' own danger.

For duress the neighbour may be the danger: police only, no sound, no lamp, and no other topic carries a byte.
Names and phone numbers are in no row: messages do not have such fields.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from broker.ids import CommunityId, GatewayId, GridId, GroupId, HouseholdId, PressKey, StationId, UnitId
from broker.kinds import AUDIBLE, KIND_WORDS, NEIGHBOUR_HELP, Kind, Mark, Words
from broker.topics import Name, Role, build


class Audience(StrEnum):
    """Those who may learn of an alarm. `neighbour` is one household of the group."""

    POLICE = "police"
    COMMUNITY = "community"
    GRID = "grid"
    NEIGHBOUR = "neighbour"


Fields = tuple[str, ...]
Grants = Mapping[Audience, Fields | None]

_NEIGHBOUR: Final = ("door", "label", "quiet")
_GRID: Final = (*_NEIGHBOUR, "group", "place", "verified", "at_ms", "clock")
_COMMUNITY: Final = (*_GRID, "gateway")
_POLICE: Final = (*_COMMUNITY, "unit", "press", "reason")
_TAMPER: Final = (*_COMMUNITY, "unit")

_EVERYBODY: Final[Grants] = {
    Audience.POLICE: _POLICE,
    Audience.COMMUNITY: _COMMUNITY,
    Audience.GRID: _GRID,
    Audience.NEIGHBOUR: _NEIGHBOUR,
}
_POLICE_ONLY: Final[Grants] = {
    Audience.POLICE: _POLICE,
    Audience.COMMUNITY: None,
    Audience.GRID: None,
    Audience.NEIGHBOUR: None,
}
_COMMUNITY_ONLY: Final[Grants] = {
    Audience.POLICE: None,
    Audience.COMMUNITY: _TAMPER,
    Audience.GRID: None,
    Audience.NEIGHBOUR: None,
}

POLICY: Final[Mapping[Kind, Grants]] = {
    Kind.PANIC: _EVERYBODY,
    Kind.HELP: _EVERYBODY,
    Kind.MEDICAL: _EVERYBODY,
    Kind.FIRE: _EVERYBODY,
    Kind.INTRUSION: _EVERYBODY,
    Kind.DRILL: _EVERYBODY,
    Kind.DURESS: _POLICE_ONLY,
    Kind.UNVERIFIED: _POLICE_ONLY,
    Kind.TEST: _POLICE_ONLY,  # the way to the desk is what a test tests; nobody else is disturbed
    Kind.TAMPER: _COMMUNITY_ONLY,
}


QUIET: Final = "quiet"
"""In the detail of a press: its gateway sounded at no neighbour's, by an officer's order for that place."""
LONGEST_QUIET_MS: Final = 72 * 3_600_000
"""So long at most may an officer quiet the neighbours' sirens of one place."""

_MARKS: Final = {Kind.TEST: Mark.TEST, Kind.DRILL: Mark.DRILL}


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmFacts:
    """What is known about an alarm, before anybody's rights are looked at.

    `place` is the household of the pressed unit, `group` that household's group (None: not known, and then only
    the police learn of it). `at_ms` is wall time in Unix milliseconds, `clock` its quality. `medical_consent` is
    the presser's household's consent that neighbours read medical as medical. `quiet`: an officer quieted the
    neighbours' sirens for this place (`quieted` says when that counts); None: they sound.
    """

    kind: Kind
    group: GroupId | None
    place: HouseholdId | None = None
    door: int | None = None
    label: str | None = None
    gateway: GatewayId | None = None
    unit: UnitId | None = None
    press: PressKey | None = None
    verified: bool = True
    reason: str | None = None
    at_ms: int | None = None
    clock: str | None = None
    mark: Mark | None = None
    medical_consent: bool = False
    quiet: Literal[True] | None = None

    @property
    def marked(self) -> Mark | None:
        """The mark, which the kinds test and drill carry without being told."""
        return _MARKS.get(self.kind, self.mark)


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """Who belongs together at the place of an alarm, from the register.

    `households` are all of the group, the presser's own included; `excluded` those that the presser's household
    does not want told.
    """

    station: StationId
    group: GroupId | None = None
    households: frozenset[HouseholdId] = frozenset()
    excluded: frozenset[HouseholdId] = frozenset()
    community: CommunityId | None = None
    grid: GridId | None = None


@dataclass(frozen=True, slots=True)
class View:
    """One audience's share of an alarm: where it goes, and what it says beside kind, words, mark, id and age.

    `fields` holds granted fields that have a value, by name. `update_topic` is where the same audience learns
    what became of it. `addressee` is the audience as messages spell it: `police`, `household:h03`.
    """

    audience: Audience
    audience_id: str
    addressee: str
    topic: str
    update_topic: str
    kind: Kind
    words: Words
    mark: Mark | None
    fields: Mapping[str, str | int | bool]


_TOPICS: Final = {
    Audience.POLICE: (Role.POLICE, Name.POLICE_ALARM, Name.POLICE_UPDATE),
    Audience.COMMUNITY: (Role.COMMUNITY, Name.COMMUNITY_ALARM, Name.COMMUNITY_UPDATE),
    Audience.GRID: (Role.GRID, Name.GRID_ALARM, Name.GRID_UPDATE),
    Audience.NEIGHBOUR: (Role.HOUSEHOLD, Name.HOUSEHOLD_ALARM, Name.HOUSEHOLD_UPDATE),
}


def granted(facts: AlarmFacts, membership: Membership, audience: Audience) -> Fields | None:
    """The fields that `audience` may learn of this alarm, or None for nothing at all."""
    row = POLICY[facts.kind][audience]
    if row is None:
        return None
    if facts.group is None or facts.group != membership.group:
        return row if audience is Audience.POLICE else None
    if facts.marked is Mark.TEST and POLICY[Kind.TEST][audience] is None:
        return None
    return row


def shown(facts: AlarmFacts, audience: Audience) -> tuple[Kind, Words]:
    """The kind as `audience` may read it, with its words. Neighbours cannot tell medical from help."""
    if audience is not Audience.NEIGHBOUR:
        return facts.kind, KIND_WORDS[facts.kind]
    if facts.kind is Kind.HELP or (facts.kind is Kind.MEDICAL and not facts.medical_consent):
        return Kind.HELP, NEIGHBOUR_HELP
    return facts.kind, KIND_WORDS[facts.kind]


def neighbours(facts: AlarmFacts, membership: Membership) -> tuple[HouseholdId, ...]:
    """The households that may know, by message and by siren frame, sorted; the presser's own is not among them."""
    if granted(facts, membership, Audience.NEIGHBOUR) is None:
        return ()
    return tuple(sorted(membership.households - membership.excluded - {facts.place}))


def sounding(facts: AlarmFacts, membership: Membership) -> tuple[HouseholdId, ...]:
    """The neighbours whose sirens sound: all who may know, or none where an officer quieted them for this place."""
    return () if facts.quiet and facts.kind is not Kind.FIRE else neighbours(facts, membership)


def quieted(kind: Kind, until_ms: int | None, now_ms: int, *, clock: str) -> Literal[True] | None:
    """Whether a quieting until then counts for a press of this kind now. Whatever is not certain sounds.

    A clock that nothing keeps right ends it at once; so does an end further away than any officer may set.
    """
    if until_ms is None or clock != "synced" or kind not in AUDIBLE or kind is Kind.FIRE:
        return None
    return True if now_ms < until_ms <= now_ms + LONGEST_QUIET_MS else None


def siren(facts: AlarmFacts, membership: Membership) -> Kind | None:
    """The pattern that sirens of the neighbours and of the presser play; None when nothing may sound or flash.

    It is the kind as neighbours may read it, since a pattern is read by ear, and the drill's for every drill.
    """
    if granted(facts, membership, Audience.NEIGHBOUR) is None:
        return None
    kind = Kind.DRILL if facts.marked is Mark.DRILL else shown(facts, Audience.NEIGHBOUR)[0]
    return kind if kind in AUDIBLE else None


def views(facts: AlarmFacts, membership: Membership) -> list[View]:
    """Everybody who may know of an alarm, and what each may read: police, community, grid, then the neighbours."""
    ids: dict[Audience, tuple[str, ...]] = {
        Audience.POLICE: ("",),
        Audience.COMMUNITY: () if membership.community is None else (membership.community,),
        Audience.GRID: () if membership.grid is None else (membership.grid,),
        Audience.NEIGHBOUR: neighbours(facts, membership),
    }
    return [view for audience in Audience for view in _views_of(audience, ids[audience], facts, membership)]


def _views_of(audience: Audience, ids: tuple[str, ...], facts: AlarmFacts, membership: Membership) -> Iterator[View]:
    fields = granted(facts, membership, audience)
    if fields is None:
        return
    role, alarm, update = _TOPICS[audience]
    kind, words = shown(facts, audience)
    mark = facts.marked
    values = {name: value for name in fields if (value := getattr(facts, name)) is not None}
    for id_ in ids:
        yield View(
            audience=audience,
            audience_id=id_,
            addressee=f"{role}:{id_}" if id_ else str(role),
            topic=build(alarm, membership.station, id_),
            update_topic=build(update, membership.station, id_),
            kind=kind,
            words=words,
            mark=mark,
            fields=values,
        )
