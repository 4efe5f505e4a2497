"""Tracks, look-ups, nearest guards and coverage as HTTP takes and shows them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from api.checkins.rules import CheckIn, Source
from api.clock import iso
from api.guards.service import Person
from api.shapes import Answer, Asked, Moment, WordsAnswer, words_answer
from api.tracks.rules import ANSWER_WORDS, BECAUSE_WORDS, Because, Coverage, Finding, Near
from api.tracks.rules import Answer as Said
from broker.ids import SEGMENT

Reason = Annotated[str, StringConstraints(min_length=2, max_length=200)]


class LookUpAsked(Asked):
    """Who was at `point` from `begins` until before `ends`. `reason`: the number of a case, or why it is asked."""

    point: Annotated[str, StringConstraints(pattern=SEGMENT)]
    begins: Moment
    ends: Moment
    reason: Reason = Field(examples=["沭公(城)立字〔2026〕118号"])


class EvidenceAnswer(Answer):
    """A check-in that an answer rests on. `weight`: how much its source proves, 100 at most."""

    id: str
    at: datetime
    point: str | None
    point_name: str | None
    source: Source
    weight: int
    flags: tuple[str, ...]


class FindingAnswer(Answer):
    """One answer about a guard: when he was or may have been there, why, on what evidence, and its weight."""

    guard: str
    service_number: str | None
    name: str | None
    company: str | None
    answer: Said
    answer_words: WordsAnswer
    because: Because
    because_words: WordsAnswer
    earliest: datetime
    latest: datetime
    route: str | None
    weight: int
    evidence: tuple[EvidenceAnswer, ...]


class LookUpAnswer(Answer):
    """The strongest answers first. Who is not named was on no shift, or is shown to have been elsewhere.

    `outside_shifts`: check-ins there in the window that stand in no shift; they are not shown.
    """

    point: str
    point_name: str
    begins: datetime
    ends: datetime
    asked: datetime
    reason: str
    guards_on_duty: int
    outside_shifts: int
    findings: tuple[FindingAnswer, ...]


class StepAnswer(Answer):
    """One point of a track, in order of time. `latitude` and `longitude` in degrees, where they are known."""

    at: datetime
    id: str | None
    point: str | None
    point_name: str | None
    latitude: float | None
    longitude: float | None
    source: Source
    weight: int
    flags: tuple[str, ...]


class ShiftTrackAnswer(Answer):
    """What is known of one shift."""

    begins: datetime
    ends: datetime
    area: str
    steps: tuple[StepAnswer, ...]


class TrackAnswer(Answer):
    """A guard's track, shift by shift: outside of shifts nobody has a position."""

    guard: str
    shifts: tuple[ShiftTrackAnswer, ...]


class NearAnswer(Answer):
    """A guard on duty. `soonest_s`: from where he was seen last; `latest_s`: if he walked away ever since.

    None: no walking time and no position is known.
    """

    guard: str
    service_number: str | None
    name: str | None
    company: str | None
    seen: datetime
    point: str
    point_name: str | None
    weight: int
    soonest_s: int | None
    latest_s: int | None


class NearList(Answer):
    """The guards on duty, who is there soonest at the latest first."""

    place: str
    asked: datetime
    items: tuple[NearAnswer, ...]


class GapAnswer(Answer):
    """Nobody passed from `begins` to `ends`, `over_min` longer than the colour allowed."""

    colour: str
    limit_min: int
    begins: datetime
    ends: datetime
    over_min: float


class CoverageAnswer(Answer):
    """Of one area and what lies in it: the gaps, and for how much of the time the colour's limit was kept (0 to 1)."""

    area: str
    begins: datetime
    ends: datetime
    passes: int
    compliance: float | None
    gaps: tuple[GapAnswer, ...]


def evidence_answer(one: CheckIn, names: Mapping[str, str]) -> EvidenceAnswer:
    """A check-in as evidence."""
    return EvidenceAnswer(
        id=one.id,
        at=iso(one.at_ms),
        point=one.point,
        point_name=names.get(one.point or ""),
        source=one.source,
        weight=one.source.weight,
        flags=tuple(sorted(one.flags)),
    )


def finding_answer(one: Finding, person: Person | None, company: str | None, names: Mapping[str, str]) -> FindingAnswer:
    """A finding with whom it is about."""
    return FindingAnswer(
        guard=one.guard,
        service_number=None if person is None else person.service_number,
        name=None if person is None else person.name,
        company=company,
        answer=one.answer,
        answer_words=words_answer(ANSWER_WORDS[one.answer]),
        because=one.because,
        because_words=words_answer(BECAUSE_WORDS[one.because]),
        earliest=iso(one.from_ms),
        latest=iso(one.to_ms),
        route=one.route,
        weight=one.weight,
        evidence=tuple(evidence_answer(each, names) for each in one.evidence),
    )


def near_answer(one: Near, person: Person | None, company: str | None, names: Mapping[str, str]) -> NearAnswer:
    """A guard who is near, with who he is."""
    return NearAnswer(
        guard=one.guard,
        service_number=None if person is None else person.service_number,
        name=None if person is None else person.name,
        company=company,
        seen=iso(one.last.at_ms),
        point=one.last.point or "",
        point_name=names.get(one.last.point or ""),
        weight=one.last.source.weight,
        soonest_s=None if one.least_ms is None else one.least_ms // 1_000,
        latest_s=None if one.most_ms is None else one.most_ms // 1_000,
    )


def coverage_answer(area: str, from_ms: int, to_ms: int, passes: int, found: Coverage) -> CoverageAnswer:
    """Coverage as HTTP shows it."""
    return CoverageAnswer(
        area=area,
        begins=iso(from_ms),
        ends=iso(to_ms),
        passes=passes,
        compliance=None if not found.asked_ms else round(found.kept_ms / found.asked_ms, 4),
        gaps=tuple(
            GapAnswer(
                colour=gap.colour,
                limit_min=gap.limit_ms // 60_000,
                begins=iso(gap.from_ms),
                ends=iso(gap.to_ms),
                over_min=round(gap.over_ms / 60_000, 1),
            )
            for gap in found.gaps
        ),
    )
