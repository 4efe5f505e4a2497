"""Roll-calls and spot calls as HTTP takes and shows them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from api.clock import iso
from api.guards.models import Guard
from api.guards.schemas import GuardId, Segment
from api.rollcalls.models import RollCall, RollCalled
from api.rollcalls.rules import DRAWN_MOST, SPOT_MOST_MIN, WAY_WORDS, CalledState, Over, Way, rank
from api.rollcalls.service import Called
from api.shapes import Answer, Asked, WordsAnswer, words_answer

Point = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class NewDraw(Asked):
    """How many are to be drawn from those on duty in an area. The answer has the digest of the seed."""

    area: Segment
    many: Annotated[int, Field(ge=1, le=DRAWN_MOST)]


class NewCall(Asked):
    """Whom to call, by hand."""

    area: Segment
    guards: Annotated[tuple[GuardId, ...], Field(min_length=1, max_length=DRAWN_MOST)]


class NewSpotCall(Asked):
    """Whom to call away from his round, for what, and for how long at most (点调)."""

    area: Segment
    guard: GuardId
    words: Annotated[str, StringConstraints(min_length=1, max_length=500)] = Field(examples=["到东门协助疏导"])
    minutes: Annotated[int, Field(ge=1, le=SPOT_MOST_MIN)]


class RadioAnswer(Asked):
    """Who answered on the radio, and at which checkpoint he says he is."""

    guard: GuardId
    claimed: Point | None = None


class OwnAnswer(Asked):
    """At which checkpoint he says he is."""

    claimed: Point | None = None


class CalledAnswer(Answer):
    """Somebody who was called. Who he is, is null for whoever does not reach him.

    `seconds`: from the first call to the answer. `on_roster`: he was on duty. `last_point`, `last`: where he checked in
    before. `contradicts`: he cannot be where he says he is; a person looks at that. `missed`: when it was due.
    """

    guard: str | None
    service_number: str | None
    name: str | None
    company: str | None
    state: CalledState
    on_roster: bool
    first_call: datetime
    second_call: datetime | None
    second_due: datetime | None
    due: datetime | None
    answered: datetime | None
    seconds: int | None
    over: Over | None
    missed: datetime | None
    claimed: str | None
    last_point: str | None
    last: datetime | None
    contradicts: bool


class RollCallAnswer(Answer):
    """A call. Of a draw, `seed` is null until it is over.

    Then `ranks` are SHA-256 of the seed's octets, "|" and each candidate's id, in order: the first `many` of them were
    called, and everybody finds his own.
    """

    number: int
    area: str
    way: Way
    way_words: WordsAnswer
    words: str | None
    by: str
    committed: datetime
    seed_digest: str | None
    seed: str | None
    many: int
    candidates: int
    ranks: tuple[str, ...]
    called: datetime | None
    until: datetime | None
    done: datetime | None
    ended: datetime | None
    people: tuple[CalledAnswer, ...]


class RollCallPage(Answer):
    """A page, newest first."""

    items: tuple[RollCallAnswer, ...]
    next: str | None


class WaitingCall(Answer):
    """A call that waits for oneself: answer before `due`, or it is called again, or missed."""

    number: int
    way: Way
    way_words: WordsAnswer
    words: str | None
    called: datetime
    due: datetime


class WaitingCalls(Answer):
    """In the order in which they came."""

    items: tuple[WaitingCall, ...]


def _when(unix_ms: int | None) -> datetime | None:
    return None if unix_ms is None else iso(unix_ms)


def called_answer(row: RollCalled, who: Guard | None) -> CalledAnswer:
    """A row as whoever reaches `who` may read it; others learn his company and nothing of where he was."""
    seen = who is not None
    return CalledAnswer(
        guard=None if who is None else who.id,
        service_number=None if who is None else who.service_number,
        name=None if who is None else who.name,
        company=row.company,
        state=CalledState(row.state),
        on_roster=row.duty is not None,
        first_call=iso(row.first_ms),
        second_call=_when(row.second_ms),
        second_due=_when(row.second_due_ms),
        due=_when(row.due_ms),
        answered=_when(row.answered_ms),
        seconds=None if row.answered_ms is None else (row.answered_ms - row.first_ms) // 1_000,
        over=None if row.over is None else Over(row.over),
        missed=_when(row.missed_ms),
        claimed=row.claimed if seen else None,
        last_point=row.last_point if seen else None,
        last=_when(row.last_ms) if seen else None,
        contradicts=row.contradicts and seen,
    )


def roll_call_answer(found: Called, seen: Mapping[str, Guard]) -> RollCallAnswer:
    """A call as HTTP shows it."""
    call = found.call
    assert call.number is not None
    way, over = Way(call.way), call.ends_ms is not None
    seed = call.seed if over else None
    return RollCallAnswer(
        number=call.number,
        area=call.area,
        way=way,
        way_words=words_answer(WAY_WORDS[way]),
        words=call.words,
        by=call.by,
        committed=iso(call.committed_ms),
        seed_digest=call.seed_digest,
        seed=seed,
        many=call.many,
        candidates=len(found.candidates),
        ranks=() if seed is None else tuple(sorted(rank(seed, one) for one in found.candidates)),
        called=_when(call.called_ms),
        until=_when(call.until_ms),
        done=_when(call.done_ms),
        ended=_when(call.ends_ms),
        people=tuple(called_answer(row, seen.get(row.guard)) for row in found.people),
    )


def waiting_call(call: RollCall, row: RollCalled) -> WaitingCall:
    """A call as its own guard sees it."""
    assert call.number is not None
    assert row.due_ms is not None
    way = Way(call.way)
    return WaitingCall(
        number=call.number,
        way=way,
        way_words=words_answer(WAY_WORDS[way]),
        words=call.words,
        called=iso(row.first_ms),
        due=iso(row.due_ms),
    )
