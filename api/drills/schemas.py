"""Drills and readiness as HTTP takes and shows them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from api.alarms.models import AlarmAnswer
from api.clock import iso
from api.drills.models import Away, Drill
from api.drills.rules import Readiness, UnitNow
from api.faults.words import WORDS
from api.shapes import Answer, Asked, Moment, WordsAnswer, words_answer
from broker.ids import SEGMENT
from broker.kinds import ANSWER_WORDS, Words
from broker.kinds import Answer as NeighbourAnswer

Segment = Annotated[str, StringConstraints(pattern=SEGMENT)]


class DrillState(StrEnum):
    """How far a drill is."""

    ANNOUNCED = "announced"
    RUNNING = "running"
    OVER = "over"
    CALLED_OFF = "called_off"


BATTERY: Final = "battery"

STATE_WORDS: Final = {
    DrillState.ANNOUNCED: Words("已预告", "announced"),
    DrillState.RUNNING: Words("演练中", "running"),
    DrillState.OVER: Words("已结束", "over"),
    DrillState.CALLED_OFF: Words("已取消", "called off"),
}

READY_WORDS: Final = {
    True: Words(
        "{neighbours}户邻居中{reached}户可达，派出所可达",
        "{reached} of {neighbours} neighbours and the station can be reached now",
    ),
    False: Words(
        "{neighbours}户邻居中{reached}户可达，派出所不可达",
        "{reached} of {neighbours} neighbours can be reached now, the station cannot",
    ),
}


class NewDrill(Asked):
    """A drill to announce. Presses of the named units, and of no others, are part of it."""

    group: Segment
    units: Annotated[tuple[Segment, ...], Field(min_length=1, max_length=30)]
    begins: Moment
    ends: Moment
    purpose: Annotated[str, StringConstraints(min_length=1, max_length=200)] = Field(examples=["每月一呼九应演练"])


class DrillAnswer(Answer):
    """One drill. `told`: when the group's gateway was told; sirens play the drill pattern from then on."""

    number: int
    group: str
    units: tuple[str, ...]
    purpose: str
    state: DrillState
    state_words: WordsAnswer
    announced: datetime
    begins: datetime
    ends: datetime
    told: datetime | None


class DrillPage(Answer):
    """A page, newest first. `next` is None on the last one."""

    items: tuple[DrillAnswer, ...]
    next: str | None


class DrillUnitAnswer(Answer):
    """A unit that a drill names, and when its press was heard as a part of it; None: not yet, or not at all."""

    unit: str
    place: str | None
    pressed: datetime | None


class DrillReplyAnswer(Answer):
    """What a household of the group answered first. Without `answer`: somebody came."""

    place: str
    answer: NeighbourAnswer | None
    answer_words: WordsAnswer | None
    at: datetime


class DrillResultAnswer(DrillAnswer):
    """A drill with what became of it."""

    presses: tuple[DrillUnitAnswer, ...]
    answers: tuple[DrillReplyAnswer, ...]


class ReadinessAnswer(Answer):
    """How ready a group is: "7 of 9 neighbours and the station can be reached now".

    `neighbours_reached` of `neighbours`: as seen from the asker's own place; without one, of all places of the group.
    The lists are for whoever looks after the group, and None for others.
    """

    group: str
    neighbours: int
    neighbours_reached: int
    station_reached: bool
    words: WordsAnswer
    away: tuple[str, ...] | None
    not_reached: tuple[str, ...] | None
    late_with_test: tuple[str, ...] | None


class AbsenceAsked(Asked):
    """From when until when nobody is at home. Without `until`: until it is taken back."""

    begins: Moment | None = None
    until: Moment | None = None


class AbsenceAnswer(Answer):
    """An absence that goes on or is to come."""

    place: str
    begins: datetime
    until: datetime | None


class OpenFaultAnswer(Answer):
    """Something that is wrong with a unit."""

    code: str
    words: WordsAnswer


class UnitConditionAnswer(Answer):
    """How one unit is. `reached`: it can hear and sound, for all that is known."""

    unit: str
    reached: bool
    battery_low: bool
    tested: datetime | None
    late_with_test: bool
    faults: tuple[OpenFaultAnswer, ...]


class ConditionAnswer(Answer):
    """How a place is: its units, and whether somebody said that nobody is at home."""

    place: str
    group: str | None
    absence: AbsenceAnswer | None
    units: tuple[UnitConditionAnswer, ...]


def unit_condition(unit: UnitNow, own: Collection[str], *, now_ms: int) -> UnitConditionAnswer:
    """A unit as the people of its place read it. `own`: the codes of what is wrong with itself."""
    return UnitConditionAnswer(
        unit=unit.unit,
        reached=unit.reached,
        battery_low=BATTERY in own,
        tested=None if unit.tested_ms is None else iso(unit.tested_ms),
        late_with_test=unit.late(now_ms),
        faults=tuple(
            OpenFaultAnswer(code=code, words=words_answer(WORDS[code])) for code in sorted(own) if code in WORDS
        ),
    )


def absence_answer(absence: Away) -> AbsenceAnswer:
    """A row as HTTP shows it."""
    until = None if absence.to_ms is None else iso(absence.to_ms)
    return AbsenceAnswer(place=absence.place, begins=iso(absence.from_ms), until=until)


def drill_answer(drill: Drill, units: frozenset[str], *, now_ms: int) -> DrillAnswer:
    """A row as HTTP shows it."""
    assert drill.number is not None
    state = DrillState.ANNOUNCED if now_ms < drill.begins_ms else DrillState.RUNNING
    if now_ms >= drill.ends_ms:
        state = DrillState.OVER
    if drill.called_off_ms is not None:
        state = DrillState.CALLED_OFF
    return DrillAnswer(
        number=drill.number,
        group=drill.group,
        units=tuple(sorted(units)),
        purpose=drill.purpose,
        state=state,
        state_words=words_answer(STATE_WORDS[state]),
        announced=iso(drill.announced_ms),
        begins=iso(drill.begins_ms),
        ends=iso(drill.ends_ms),
        told=None if drill.ordered_ms is None else iso(drill.ordered_ms),
    )


def drill_result(
    drill: DrillAnswer,
    pressed: Sequence[tuple[str, str | None, int]],
    answers: Sequence[AlarmAnswer],
    *,
    places: Mapping[str, str | None],
) -> DrillResultAnswer:
    """A drill with the first press of each unit and the first answer of each household. Both come oldest first."""
    first: dict[str | None, int] = {}
    for _, unit, at_ms in pressed:
        first.setdefault(unit, at_ms)
    said: dict[str, DrillReplyAnswer] = {}
    for row in answers:
        if row.place is not None and row.place not in said:
            answer = None if row.answer is None else NeighbourAnswer(row.answer)
            words = None if answer is None else words_answer(ANSWER_WORDS[answer])
            said[row.place] = DrillReplyAnswer(place=row.place, answer=answer, answer_words=words, at=iso(row.at_ms))
    return DrillResultAnswer(
        **drill.model_dump(),
        presses=tuple(
            DrillUnitAnswer(unit=unit, place=place, pressed=iso(first[unit]) if unit in first else None)
            for unit, place in sorted(places.items())
        ),
        answers=tuple(said.values()),
    )


def readiness_answer(
    group: str, ready: Readiness, *, own: str | None, keeper: bool, places: frozenset[str]
) -> ReadinessAnswer:
    """The figure, seen from the place `own` where there is one; with the lists for a `keeper` of the group."""
    reached, neighbours = (len(ready.reached), ready.places) if own is None else ready.seen_from(own)
    words = READY_WORDS[ready.station_reached]
    return ReadinessAnswer(
        group=group,
        neighbours=neighbours,
        neighbours_reached=reached,
        station_reached=ready.station_reached,
        words=WordsAnswer(
            zh=words.zh.format(reached=reached, neighbours=neighbours),
            en=words.en.format(reached=reached, neighbours=neighbours),
        ),
        away=tuple(sorted(ready.away)) if keeper else None,
        not_reached=tuple(sorted(places - ready.reached - ready.away)) if keeper else None,
        late_with_test=tuple(sorted(ready.late)) if keeper else None,
    )
