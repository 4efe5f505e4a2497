"""What HTTP takes and gives about points. Points are shown in tenths, as whole numbers: -5 is half a point less."""

import json
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from api.clock import iso
from api.points.citing import cited
from api.points.facts import Happened
from api.points.ledger import Balance, Explained, Shown
from api.points.models import PointsFlag, PointsMonth, PointsRules
from api.points.rules import RuleSet
from api.points.states import ENTRY_WORDS, FLAG_WORDS, EntryState, FlagState
from api.points.trying import Change, Trial
from api.shapes import Answer, Asked, Moment, WordsAnswer, words_answer
from broker.ids import EVENT_ID
from broker.kinds import Words

GuardId = Annotated[str, StringConstraints(pattern=EVENT_ID)]
Said = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
Reference = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\w.:/-]+$")]
MONTH: Final = r"^2[01][0-9]{2}-(0[1-9]|1[0-2])$"
Month = Annotated[str, StringConstraints(pattern=MONTH)]
TEXT_MOST: Final = 65_536
Merit = Literal[
    Happened.INFORMATION,
    Happened.INCIDENT,
    Happened.DISPUTE,
    Happened.ARREST,
    Happened.HAZARD,
    Happened.FIRST_ON_SCENE,
]


class EntryAnswer(Answer):
    """One line of the ledger. `appeal_until`: until when an appeal can be made; None: it cannot."""

    number: int
    id: str
    rule: str
    version: int
    guard: str | None
    company: str | None
    points_tenths: int
    occurred: datetime
    booked: datetime
    month: str
    reason: WordsAnswer
    made_by: str
    reverses: str | None
    reversed_by: str | None
    state: EntryState
    state_words: WordsAnswer
    appeal_until: datetime | None


class EntryPage(Answer):
    """A page, newest first. `next` is None on the last one."""

    items: tuple[EntryAnswer, ...]
    next: str | None


class StepAnswer(Answer):
    """What was done about an entry."""

    action: str
    by: str
    at: datetime
    words: str | None


class ExplanationAnswer(Answer):
    """An entry opened: the rule as it was then, the evidence, and what would have changed it.

    `evidence_words`: each in words; None for a record that is nothing but an id.
    """

    entry: EntryAnswer
    rule: WordsAnswer
    but: WordsAnswer | None
    evidence: tuple[str, ...]
    evidence_words: tuple[WordsAnswer | None, ...]
    area: str | None
    colour: str | None
    night: bool
    steps: tuple[StepAnswer, ...]
    reversal: EntryAnswer | None


class MonthSum(Answer):
    """A guard's account of one month."""

    month: str
    points_tenths: int
    entries: int


class BalanceAnswer(Answer):
    """Everything that was ever booked for a guard; `pending_tenths` of it can still be appealed or is under appeal."""

    guard: str
    points_tenths: int
    pending_tenths: int
    months: tuple[MonthSum, ...]


class AppealAsked(Asked):
    """Why the entry is wrong."""

    words: Said


class Decision(Asked):
    """`yes`: the appeal is upheld, the flag is confirmed. The reason is shown to whoever it is about."""

    yes: bool
    words: Said


class FlagAnswer(Answer):
    """Something suspected. It is worth `points_tenths` only if an officer confirms it.

    `fact`: where it comes from, a round or a rule about fraud; `item`: the checkpoint, or what looks odd.
    """

    number: int
    id: str
    rule: str
    guard: str | None
    company: str | None
    points_tenths: int
    occurred: datetime
    raised: datetime
    evidence: tuple[str, ...]
    fact: str
    item: str
    reason: WordsAnswer
    state: FlagState
    state_words: WordsAnswer


class FlagPage(Answer):
    """A page, newest first."""

    items: tuple[FlagAnswer, ...]
    next: str | None


class NewMerit(Asked):
    """Something good that a guard did. `reference`: the number of the incident, mediation, case or report.

    `points_tenths`: for an arrest only, what the officer sets.
    """

    what: Merit
    guard: GuardId
    reference: Reference
    occurred: Moment
    points_tenths: Annotated[int, Field(ge=0, le=1_000)] = 0


class EntriesAnswer(Answer):
    """Entries that were booked; none where a cap is full."""

    items: tuple[EntryAnswer, ...]


class RuleAnswer(Answer):
    """One rule as people read it; `least_tenths` and `most_tenths` differ where an officer sets the number."""

    id: str
    least_tenths: int
    most_tenths: int
    flag: bool
    over: str
    rule: WordsAnswer
    but: WordsAnswer


class RulesAnswer(Answer):
    """A version of the rules, with the text that it was read from."""

    version: int
    begins: datetime | None
    reason: str
    appeal_h: int
    rules: tuple[RuleAnswer, ...]
    text: str


class SimulationAsked(Asked):
    """A table of rules, and the past on which it is tried: a year at most."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=TEXT_MOST, strip_whitespace=False)]
    begins: Moment
    ends: Moment


class ChangeAnswer(Answer):
    """Before and after."""

    name: str
    before_tenths: int
    after_tenths: int
    before_lines: int
    after_lines: int


class SimulationAnswer(Answer):
    """What the rules would have changed. `by_rule` has every rule; the others those whose points differ."""

    digest: str
    facts: int
    by_rule: tuple[ChangeAnswer, ...]
    by_guard: tuple[ChangeAnswer, ...]
    by_company: tuple[ChangeAnswer, ...]
    flags_before: int
    flags_after: int


class NewRules(Asked):
    """Rules to switch on from the beginning of a month; exactly this text must have been simulated."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=TEXT_MOST, strip_whitespace=False)]
    month: Month
    reason: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class MonthAnswer(Answer):
    """A closed month. `digest` is over the month before it and every entry of this one."""

    month: str
    entries: int
    points_tenths: int
    previous: str
    digest: str
    closed: datetime
    closed_by: str


class MonthList(Answer):
    """Closed months, the first one first."""

    items: tuple[MonthAnswer, ...]


def entry_answer(shown: Shown) -> EntryAnswer:
    """An entry as HTTP shows it."""
    row = shown.row
    assert row.number is not None
    return EntryAnswer(
        number=row.number,
        id=row.id,
        rule=row.rule,
        version=row.version,
        guard=row.guard,
        company=row.company,
        points_tenths=row.points_tenths,
        occurred=iso(row.occurred_ms),
        booked=iso(row.booked_ms),
        month=row.month,
        reason=WordsAnswer(zh=row.reason_zh, en=row.reason_en),
        made_by=row.made_by,
        reverses=row.reverses,
        reversed_by=shown.reversed_by,
        state=shown.state,
        state_words=words_answer(ENTRY_WORDS[shown.state]),
        appeal_until=None if shown.appeal_until_ms is None else iso(shown.appeal_until_ms),
    )


def explanation_answer(found: Explained) -> ExplanationAnswer:
    """An entry opened."""
    row = found.shown.row
    reversal = found.reversal
    evidence: tuple[str, ...] = tuple(json.loads(row.evidence))
    return ExplanationAnswer(
        entry=entry_answer(found.shown),
        rule=words_answer(found.rule),
        but=_maybe(found.but),
        evidence=evidence,
        evidence_words=tuple(_maybe(cited(one)) for one in evidence),
        area=row.area,
        colour=row.colour,
        night=row.night,
        steps=tuple(
            StepAnswer(action=step.action, by=step.by, at=iso(step.at_ms), words=step.words) for step in found.steps
        ),
        reversal=None
        if reversal is None
        else entry_answer(Shown(row=reversal, state=EntryState.FINAL, reversed_by=None, appeal_until_ms=None)),
    )


def balance_answer(found: Balance) -> BalanceAnswer:
    """A guard's account."""
    return BalanceAnswer(
        guard=found.guard,
        points_tenths=found.points_tenths,
        pending_tenths=found.pending_tenths,
        months=tuple(MonthSum(month=month, points_tenths=sum_, entries=count) for month, sum_, count in found.months),
    )


def flag_answer(row: PointsFlag, state: FlagState) -> FlagAnswer:
    """A flag as HTTP shows it."""
    assert row.number is not None
    return FlagAnswer(
        number=row.number,
        id=row.id,
        rule=row.rule,
        guard=row.guard,
        company=row.company,
        points_tenths=row.points_tenths,
        occurred=iso(row.occurred_ms),
        raised=iso(row.raised_ms),
        evidence=tuple(json.loads(row.evidence)),
        fact=row.fact,
        item=row.item,
        reason=WordsAnswer(zh=row.reason_zh, en=row.reason_en),
        state=state,
        state_words=words_answer(FLAG_WORDS[state]),
    )


def rules_answer(row: PointsRules, read: RuleSet) -> RulesAnswer:
    """A version of the rules."""
    return RulesAnswer(
        version=row.version,
        begins=iso(row.from_ms) if row.from_ms else None,
        reason=row.reason,
        appeal_h=read.appeal_ms // 3_600_000,
        rules=tuple(
            RuleAnswer(
                id=one.id,
                least_tenths=one.least,
                most_tenths=one.most,
                flag=one.flag,
                over=one.over.value,
                rule=words_answer(one.text),
                but=words_answer(one.but),
            )
            for one in read.rules.values()
        ),
        text=row.text,
    )


def simulation_answer(digest: str, trial: Trial) -> SimulationAnswer:
    """A simulation."""

    def shown(changes: tuple[Change, ...]) -> tuple[ChangeAnswer, ...]:
        return tuple(
            ChangeAnswer(
                name=one.name,
                before_tenths=one.before_tenths,
                after_tenths=one.after_tenths,
                before_lines=one.before_lines,
                after_lines=one.after_lines,
            )
            for one in changes
        )

    return SimulationAnswer(
        digest=digest,
        facts=trial.facts,
        by_rule=shown(trial.by_rule),
        by_guard=shown(trial.by_guard),
        by_company=shown(trial.by_company),
        flags_before=trial.flags_before,
        flags_after=trial.flags_after,
    )


def month_answer(row: PointsMonth) -> MonthAnswer:
    """A closed month."""
    return MonthAnswer(
        month=row.month,
        entries=row.entries,
        points_tenths=row.points_tenths,
        previous=row.previous,
        digest=row.digest,
        closed=iso(row.closed_ms),
        closed_by=row.closed_by,
    )


def _maybe(words: Words | None) -> WordsAnswer | None:
    return None if words is None else words_answer(words)
