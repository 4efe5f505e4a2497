"""Ladders and deadlines as HTTP takes and shows them."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from api.clock import iso
from api.escalation.models import DeadlineRow, LadderRow
from api.escalation.repository import rungs
from api.escalation.rules import LEVELS_MOST, STAGE_WORDS, Cause, Ladder, Outcome, Rung, Sound, Stage, Target
from api.shapes import Answer, Asked, WordsAnswer, words_answer


class RungShape(Asked):
    """Whom a level tells, and when. `share` only in the stage of answers."""

    after_s: Annotated[int, Field(ge=0, le=604_800, description="Seconds after the stage began")]
    tell: Annotated[tuple[Target, ...], Field(min_length=1, max_length=10)]
    sound: Sound | None = None
    share: Annotated[float | None, Field(gt=0, le=1)] = None


class NewLadder(Asked):
    """A ladder, lowest level first."""

    rungs: Annotated[tuple[RungShape, ...], Field(min_length=1, max_length=LEVELS_MOST)] = Field(
        examples=[[{"after_s": 0, "tell": ["desk"], "sound": "alarm"}, {"after_s": 45, "tell": ["duty_leader"]}]]
    )

    def ladder(self) -> Ladder:
        """As rules take it."""
        return tuple(Rung(after_s=one.after_s, tell=one.tell, sound=one.sound, share=one.share) for one in self.rungs)


class LadderAnswer(Answer):
    """A ladder. `kind` and `area` are `any` where it is for any; `version` 0 is a default of this release."""

    stage: Stage
    stage_words: WordsAnswer
    kind: str
    area: str
    rungs: tuple[RungShape, ...]
    since: datetime | None
    version: int


class LaddersAnswer(Answer):
    """The defaults, then those that somebody set."""

    items: tuple[LadderAnswer, ...]


class DeadlineAnswer(Answer):
    """One level of what is waited for. `people`: how many it told."""

    stage: Stage
    stage_words: WordsAnswer
    round: int
    level: int
    tell: tuple[Target, ...]
    due: datetime
    outcome: Outcome
    cause: Cause
    late: bool
    people: int
    done: datetime | None


class DeadlinesAnswer(Answer):
    """The deadlines of one alarm, in the order in which they were set."""

    items: tuple[DeadlineAnswer, ...]


def default_answer(kind: str, stage: Stage, ladder: Ladder) -> LadderAnswer:
    """A default as HTTP shows it."""
    return LadderAnswer(
        stage=stage,
        stage_words=words_answer(STAGE_WORDS[stage]),
        kind=kind,
        area="any",
        rungs=_shapes(ladder),
        since=None,
        version=0,
    )


def ladder_answer(row: LadderRow) -> LadderAnswer:
    """A row as HTTP shows it."""
    stage = Stage(row.stage)
    return LadderAnswer(
        stage=stage,
        stage_words=words_answer(STAGE_WORDS[stage]),
        kind=row.kind or "any",
        area=row.area or "any",
        rungs=_shapes(rungs(row.rungs)),
        since=iso(row.from_ms),
        version=row.version,
    )


def deadline_answer(row: DeadlineRow) -> DeadlineAnswer:
    """A row as HTTP shows it."""
    stage = Stage(row.stage)
    return DeadlineAnswer(
        stage=stage,
        stage_words=words_answer(STAGE_WORDS[stage]),
        round=row.round,
        level=row.level,
        tell=rungs(f"[{row.rung}]")[0].tell,
        due=iso(row.due_ms),
        outcome=Outcome(row.outcome),
        cause=Cause(row.cause),
        late=row.late,
        people=row.people,
        done=None if row.done_ms is None else iso(row.done_ms),
    )


def _shapes(ladder: Ladder) -> tuple[RungShape, ...]:
    return tuple(RungShape(after_s=one.after_s, tell=one.tell, sound=one.sound, share=one.share) for one in ladder)
