"""Rounds of one area and one duty, laid where police and other teams are thin: pure.

Theory:

1. An area is seen when somebody passes: police and other teams at the times that are given, our teams at the times that
   are to be found. Between two passes that follow one another, and from the beginning of the duty to the first and from
   the last to its end, never lies more than the limit of the area's colour.
2. One of our passes keeps `apart_ms` from every other pass, so that no two teams go in step and nobody follows the
   police. `apart_ms` is at most half of the limit: any stretch longer than the limit can then be filled, since the
   fewest passes that cut it into parts of at most the limit leave parts of at least half of it.
3. A team starts a round only inside its shift, is back before the shift ends, and starts the next one `round_ms` later
   at the earliest. It goes at most `most` rounds.
4. Passes are laid from the beginning to the end of the duty. Where the next given pass is within the limit nothing is
   laid; else the pass is drawn from the later half of what the limit allows, then from the rest. What turns out to have
   no continuation is remembered and never tried again, so that the search is complete: it finds a plan where there is
   one on the grid of minutes, or has looked at everything, or says that it gave up after `TRIES`. The bounds
   therefore hold for every seed; the seed only says which of the plans it is.
5. Teams of areas beside this one are kept apart where that can be: first it is looked for a plan none of whose passes
   begins within `apart_ms` of a round of theirs; where none is found in `TRIES_APART`, such minutes come last, and how
   many passes are in step with theirs is said. It is no bound, since twenty areas around a red one would leave no
   minute free. Without such rounds a seed draws as ever.
6. What cannot be is named and not bent: every `Refusal` says which bound, who and when.

Why no solver: one area has some two to six teams and a night some twenty passes, which this search lays in
milliseconds and repeats from a published seed; CP-SAT (OR-Tools, a wheel of 28 MB beside numpy and pandas) does not
promise the same plan from the same seed in its next version. docs/patrol.md has the figures.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations, pairwise
from typing import Final

from api.planner.draws import Draws
from broker.kinds import Words

MINUTE_MS: Final = 60_000
LONGEST_MS: Final = 36 * 60 * MINUTE_MS
"""A duty that is planned in one go."""
TRIES: Final = 150_000
"""Minutes that are tried, each for each team, before the search gives up: some two seconds. A night needs some 40."""

TRIES_APART: Final = 20_000
AHEAD: Final = 4
"""So many given passes ahead it is asked whether there are rounds enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A team on duty: from when until before when, how long a round keeps it busy (rest included), how many it goes."""

    team: str
    starts_ms: int
    ends_ms: int
    round_ms: int
    most: int

    @property
    def last_ms(self) -> int:
        """The last moment at which it may start a round."""
        return self.ends_ms - self.round_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """What is to be planned. `others_ms`: when police and other teams pass; those outside it are not looked at.

    `beside_ms`: when teams of areas beside this one begin their rounds; they fill no gap here.
    """

    starts_ms: int
    ends_ms: int
    limit_ms: int
    apart_ms: int
    others_ms: tuple[int, ...]
    shifts: tuple[Shift, ...]
    beside_ms: tuple[int, ...] = ()

    def in_step(self, at_ms: int) -> bool:
        """Whether a round that begins then goes in step with one of an area beside this one."""
        return any(abs(at_ms - one) < self.apart_ms for one in self.beside_ms)

    @property
    def given_ms(self) -> tuple[int, ...]:
        """The passes of others inside the duty, in order, each once."""
        return tuple(sorted({at_ms for at_ms in self.others_ms if self.starts_ms <= at_ms < self.ends_ms}))


@dataclass(frozen=True, slots=True, order=True)
class Pass:
    """A round of one of our teams."""

    at_ms: int
    team: str


class Why(StrEnum):
    """Why there is no plan."""

    BAD_SPAN = "bad_span"
    BAD_LIMIT = "bad_limit"
    BAD_SHIFT = "bad_shift"
    OVERLAPPING_SHIFTS = "overlapping_shifts"
    NOBODY = "nobody"
    TOO_FEW = "too_few"
    NO_FIT = "no_fit"
    GAVE_UP = "gave_up"


WHY_WORDS: Final = {
    Why.BAD_SPAN: Words("时段不成立或超过36小时", "the duty ends before it begins, or takes more than 36 hours"),
    Why.BAD_LIMIT: Words(
        "错开时间须至少1分钟且不超过间隔上限的一半",
        "apart must be a minute at least and half of the limit at most",
    ),
    Why.BAD_SHIFT: Words("班次不足以走完一轮", "the shift is too short for one round, or has none"),
    Why.OVERLAPPING_SHIFTS: Words("同一队伍的班次重叠", "two shifts of one team overlap"),
    Why.NOBODY: Words("此段时间无人可巡且超过间隔上限", "nobody can pass for longer than the limit"),
    Why.TOO_FEW: Words("轮次不足", "there are fewer rounds than the limit asks for"),
    Why.NO_FIT: Words("各队时间无法排开", "the teams' times cannot be laid so that every bound holds"),
    Why.GAVE_UP: Words("未能排出，不能断定不可行", "no plan was found, and it is not shown that there is none"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One reason why there is no plan. `from_ms` and `to_ms`: the stretch it is about; `needed` and `there`: rounds."""

    why: Why
    team: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    needed: int | None = None
    there: int | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A plan that keeps every bound. `widest_ms`: the longest that nobody passes.

    `in_step`: how many passes could not be kept apart from rounds of areas beside this one.
    """

    passes: tuple[Pass, ...]
    widest_ms: int
    in_step: int = 0


def draft(duty: Duty, seed: bytes) -> Draft | tuple[Refusal, ...]:
    """The plan of this seed, or every reason why there is none; the same for the same arguments, always."""
    if refusals := tuple(_refusals(duty)):
        return refusals
    found: tuple[Pass, ...] | Refusal | None = None
    if duty.beside_ms:
        found = _Search(duty, Draws(seed), apart=True, tries=TRIES_APART).run()
    if found is None or isinstance(found, Refusal):
        found = _Search(duty, Draws(seed)).run()
    if isinstance(found, Refusal):
        return (found,)
    in_step = sum(duty.in_step(one.at_ms) for one in found)
    return Draft(found, max(_gaps(duty, [one.at_ms for one in found]), default=0), in_step)


def broken(duty: Duty, passes: Collection[Pass]) -> tuple[str, ...]:
    """Which bounds these passes break, in words; nothing for a good plan. Shares no code with the search."""
    found = []
    ours = sorted(passes)
    shifts = duty.shifts
    every = sorted([*duty.given_ms, *(one.at_ms for one in ours)])
    edges = [duty.starts_ms, *every, duty.ends_ms]
    found += [f"nobody passes from {a} to {b}" for a, b in pairwise(edges) if b - a > duty.limit_ms]
    for one in ours:
        if not duty.starts_ms <= one.at_ms < duty.ends_ms:
            found.append(f"{one.team} starts outside the duty at {one.at_ms}")
        if not any(s.team == one.team and s.starts_ms <= one.at_ms <= s.ends_ms - s.round_ms for s in shifts):
            found.append(f"{one.team} starts outside its shift at {one.at_ms}")
        near = [at_ms for at_ms in every if abs(at_ms - one.at_ms) < duty.apart_ms]
        if len(near) > 1:
            found.append(f"{one.team} goes in step with another at {one.at_ms}")
    for shift in shifts:
        own = [p.at_ms for p in ours if p.team == shift.team and shift.starts_ms <= p.at_ms < shift.ends_ms]
        if len(own) > shift.most:
            found.append(f"{shift.team} goes {len(own)} rounds of {shift.most}")
        found += [f"{shift.team} has not come back at {b}" for a, b in pairwise(own) if b - a < shift.round_ms]
    return tuple(found)


def _gaps(duty: Duty, ours_ms: Collection[int]) -> list[int]:
    return [b - a for a, b in pairwise([duty.starts_ms, *sorted([*duty.given_ms, *ours_ms]), duty.ends_ms])]


def _refusals(duty: Duty) -> Iterator[Refusal]:
    """What can be said without a search; what the shifts cannot do is only asked when the rest makes sense."""
    good = True
    if not 0 < duty.ends_ms - duty.starts_ms <= LONGEST_MS:
        yield Refusal(why=Why.BAD_SPAN, from_ms=duty.starts_ms, to_ms=duty.ends_ms)
        good = False
    if not MINUTE_MS <= duty.apart_ms <= duty.limit_ms // 2:
        yield Refusal(why=Why.BAD_LIMIT)
        good = False
    for shift in duty.shifts:
        if shift.round_ms < MINUTE_MS or shift.last_ms < shift.starts_ms or shift.most < 1:
            yield Refusal(why=Why.BAD_SHIFT, team=shift.team, from_ms=shift.starts_ms, to_ms=shift.ends_ms)
            good = False
    for one, other in pairwise(sorted(duty.shifts, key=lambda shift: (shift.team, shift.starts_ms, shift.ends_ms))):
        if one.team == other.team and other.starts_ms < one.ends_ms:
            why = Why.OVERLAPPING_SHIFTS
            yield Refusal(why=why, team=one.team, from_ms=other.starts_ms, to_ms=min(one.ends_ms, other.ends_ms))
            good = False
    if good:
        yield from _short(duty)


def _short(duty: Duty) -> Iterator[Refusal]:
    """Stretches in which nobody can pass, and rounds that are missing in all."""
    can = [(at_ms, at_ms) for at_ms in duty.given_ms]
    can += [(max(shift.starts_ms, duty.starts_ms), min(shift.last_ms, duty.ends_ms - 1)) for shift in duty.shifts]
    seen_ms = duty.starts_ms
    found: list[Refusal] = []
    for from_ms, to_ms in [*sorted(one for one in can if one[0] <= one[1]), (duty.ends_ms, duty.ends_ms)]:
        if from_ms - seen_ms > duty.limit_ms:
            found.append(Refusal(why=Why.NOBODY, from_ms=seen_ms, to_ms=from_ms))
        seen_ms = max(seen_ms, to_ms)
    yield from found or _too_few(duty)


def _too_few(duty: Duty) -> Iterator[Refusal]:
    """Stretches that need more rounds than can be started in them, of several that hold one another the shortest."""
    inside = range(duty.starts_ms, duty.ends_ms + 1)
    edges = {duty.starts_ms, duty.ends_ms, *duty.given_ms}
    edges |= {edge for shift in duty.shifts for edge in (shift.starts_ms, shift.last_ms) if edge in inside}
    stretches = sorted(combinations(sorted(edges), 2), key=lambda one: (one[1] - one[0], one))
    short: list[tuple[int, int]] = []
    for from_ms, to_ms in stretches:
        if any(from_ms <= a and b <= to_ms for a, b in short):
            continue
        marks = [from_ms, *(at_ms for at_ms in duty.given_ms if from_ms < at_ms < to_ms), to_ms]
        needed = sum(_needed(b - a, duty.limit_ms) for a, b in pairwise(marks))
        there = 0
        for shift in duty.shifts:
            room_ms = min(shift.last_ms, to_ms) - max(shift.starts_ms, from_ms)
            there += min(shift.most, room_ms // shift.round_ms + 1) if room_ms >= 0 else 0
        if needed > there:
            short.append((from_ms, to_ms))
            yield Refusal(why=Why.TOO_FEW, from_ms=from_ms, to_ms=to_ms, needed=needed, there=there)


def _needed(stretch_ms: int, limit_ms: int) -> int:
    """How many passes a stretch needs at least."""
    return max(0, -(-stretch_ms // limit_ms) - 1)


@dataclass(frozen=True, slots=True)
class _At:
    """How far the plan is: the last pass, how many of the given ones lie behind, when each shift is free, rounds left.

    `free_ms` is not smaller than `seen_ms` where that makes no difference, so that equal futures are equal states.
    """

    seen_ms: int
    behind: int
    free_ms: tuple[int, ...]
    left: tuple[int, ...]


@dataclass(slots=True)
class _Level:
    """A state on the way, and what is still to be tried from it: None for "wait for the next given pass"."""

    at: _At
    laid: Pass | None
    untried: Iterator[tuple[int, int] | None]


class _Search:
    """Depth first, in the order of time, never twice into a state that has no continuation."""

    def __init__(self, duty: Duty, draws: Draws, *, apart: bool = False, tries: int = TRIES) -> None:
        """`apart`: no pass may be in step with rounds beside the area; else it may, last of all."""
        self._apart = apart
        self._most = tries
        self._duty = duty
        self._draws = draws
        self._marks = (*duty.given_ms, duty.ends_ms)
        self._leaving = sorted({shift.last_ms for shift in duty.shifts})
        self._dead: set[_At] = set()
        self._tries = 0

    def run(self) -> tuple[Pass, ...] | Refusal:
        shifts = self._duty.shifts
        first = _At(self._duty.starts_ms, 0, tuple(s.starts_ms for s in shifts), tuple(shift.most for shift in shifts))
        if self._marks[0] == self._duty.starts_ms:
            first = _At(first.seen_ms, 1, first.free_ms, first.left)
        way = [_Level(first, None, self._choices(first))]
        farthest_ms = first.seen_ms
        while way:
            level = way[-1]
            choice = next(level.untried, -1)
            if choice == -1:
                self._dead.add(level.at)
                way.pop()
                continue
            assert not isinstance(choice, int)
            at, laid = self._after(level.at, choice)
            if at.behind == len(self._marks):
                return tuple(one.laid for one in way if one.laid is not None)
            if self._tries > self._most:
                return Refusal(why=Why.GAVE_UP, from_ms=farthest_ms, to_ms=self._duty.ends_ms)
            farthest_ms = max(farthest_ms, at.seen_ms)
            if at in self._dead or self._wanting(at):
                continue
            way.append(_Level(at, laid, self._choices(at)))
        return Refusal(why=Why.NO_FIT, from_ms=farthest_ms, to_ms=min(self._next(farthest_ms), self._duty.ends_ms))

    def _next(self, after_ms: int) -> int:
        return next((mark for mark in self._marks if mark > after_ms), self._duty.ends_ms)

    def _wanting(self, at: _At) -> bool:
        """Whether the teams can go fewer rounds, until some moment from here on, than the limit asks for until then."""
        duty, seen_ms, asked = self._duty, at.seen_ms, 0
        for mark_ms in self._marks[at.behind : at.behind + AHEAD]:
            for end_ms in self._leaving:
                if seen_ms < end_ms < mark_ms:
                    by_then = asked + (end_ms - seen_ms) // duty.limit_ms
                    if by_then > self._able_until(at, end_ms):
                        return True
            asked += _needed(mark_ms - seen_ms, duty.limit_ms)
            if asked > self._able_until(at, mark_ms - 1):
                return True
            seen_ms = mark_ms
        return False

    def _able_until(self, at: _At, end_ms: int) -> int:
        """How many rounds could be started by then at most, if nobody had to keep apart."""
        rounds = 0
        for shift, free_ms, left in zip(self._duty.shifts, at.free_ms, at.left, strict=True):
            room_ms = min(shift.last_ms, end_ms) - free_ms
            rounds += min(left, room_ms // shift.round_ms + 1) if room_ms >= 0 else 0
        return rounds

    def _choices(self, at: _At) -> Iterator[tuple[int, int] | None]:
        """What may come next: nothing of ours until the next given pass, or a minute and the index of a shift."""
        duty, mark_ms = self._duty, self._marks[at.behind]
        if mark_ms - at.seen_ms <= duty.limit_ms:
            yield None
        lowest = at.seen_ms if self._fresh(at) else at.seen_ms + duty.apart_ms
        highest = min(at.seen_ms + duty.limit_ms, mark_ms - (1 if mark_ms == duty.ends_ms else duty.apart_ms))
        first = -(-(lowest - duty.starts_ms) // MINUTE_MS)
        minutes = range(first, (highest - duty.starts_ms) // MINUTE_MS + 1)
        half = next((n for n, m in enumerate(minutes) if self._ms(m) * 2 >= at.seen_ms * 2 + duty.limit_ms), 0)
        halves = minutes[half:], minutes[:half]
        alone = [[minute for minute in some if not duty.in_step(self._ms(minute))] for some in halves]
        beside = [[minute for minute in some if duty.in_step(self._ms(minute))] for some in halves]
        for some in alone if self._apart else (*alone, *beside):
            for minute in self._draws.shuffled(some):
                self._tries += len(duty.shifts)
                for index in self._draws.shuffled(range(len(duty.shifts))):
                    if self._able(at, index, self._ms(minute)):
                        yield self._ms(minute), index

    def _fresh(self, at: _At) -> bool:
        """Whether nobody has passed yet: from the beginning of the duty nothing keeps apart."""
        return (
            at.seen_ms == self._duty.starts_ms
            and at.behind == 0
            and at.left == tuple(shift.most for shift in self._duty.shifts)
        )

    def _ms(self, minute: int) -> int:
        return self._duty.starts_ms + minute * MINUTE_MS

    def _able(self, at: _At, index: int, at_ms: int) -> bool:
        return at.left[index] > 0 and at.free_ms[index] <= at_ms <= self._duty.shifts[index].last_ms

    def _after(self, at: _At, choice: tuple[int, int] | None) -> tuple[_At, Pass | None]:
        free, left, behind, laid = [*at.free_ms], [*at.left], at.behind, None
        if choice is None:
            seen_ms, behind = self._marks[at.behind], at.behind + 1
        else:
            seen_ms, index = choice
            shift = self._duty.shifts[index]
            free[index], left[index] = seen_ms + shift.round_ms, left[index] - 1
            laid = Pass(seen_ms, shift.team)
        return _At(seen_ms, behind, tuple(max(one, seen_ms) for one in free), tuple(left)), laid
