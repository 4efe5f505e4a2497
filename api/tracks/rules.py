"""Who was, must have passed or could have been at a checkpoint: pure.

Theory:

1. A guard has a position only inside a shift. What was read outside of it says nothing, and nothing is said of then.
2. Between two check-ins that follow one another, at p and at q, he was at x at a moment t only if t is at least the
   least time from p to x after the first and at least the least time from x to q before the second (`ways`). Before the
   first check-in only the second bound holds and the shift's beginning, after the last only the first and its end.
   Least times keep the triangle inequality, so that check-ins farther away bound nothing more.
3. Three answers, the strongest first, and each guard has one of them:
   - was there: he checked in at x in the window;
   - must have passed: he walked a route in exact order, checked in before and after x on it, one after the other, both
     inside the window, and had the time to go by x;
   - could have been: some moment of the window keeps the bounds of 2.
   Where neither can be said nor be ruled out (no check-in in the shift, no least time known, two check-ins that nobody
   can have made), the guard is named as cannot say: whoever is left out was shown to be elsewhere.
4. An answer weighs what the weakest check-in that it needs weighs; being there weighs what its best check-in weighs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

from api.checkins.rules import CheckIn, Source
from api.tracks.ways import By, Ways
from broker.kinds import Words


class Answer(StrEnum):
    """What can be said of a guard, the strongest first."""

    WAS_THERE = "was_there"
    MUST_HAVE_PASSED = "must_have_passed"
    COULD_HAVE_BEEN = "could_have_been"
    CANNOT_SAY = "cannot_say"


ANSWER_WORDS: Final = {
    Answer.WAS_THERE: Words("确曾到位", "was there"),
    Answer.MUST_HAVE_PASSED: Words("必经此处", "must have passed"),
    Answer.COULD_HAVE_BEEN: Words("可能到过", "could have been there"),
    Answer.CANNOT_SAY: Words("无法判断", "cannot be said"),
}
STRONGEST: Final = tuple(Answer)
SOURCE_WORDS: Final = {
    Source.FIXED_READER: Words("固定读卡器", "fixed reader"),
    Source.WAND: Words("巡更棒", "wand"),
    Source.NFC_PHONE: Words("手机NFC", "phone, by NFC"),
    Source.QR_SCREEN: Words("动态二维码", "QR code that changes on a screen"),
    Source.QR: Words("二维码", "QR code"),
    Source.POSITION: Words("手机定位", "position of a phone"),
    Source.BUTTON: Words("有线按钮", "wired button"),
    Source.WITNESS: Words("同伴作证", "a partner's witness"),
    Source.RADIO: Words("电台报告", "said by radio"),
}


class Because(StrEnum):
    """Why an answer is what it is."""

    CHECKED_IN = "checked_in"
    ON_ROUTE = "on_route"
    BY_LEGS = "by_legs"
    BY_SPEED = "by_speed"
    NO_CHECK_IN = "no_check_in"
    NO_WAY_KNOWN = "no_way_known"
    IMPOSSIBLE = "impossible"


BECAUSE_WORDS: Final = {
    Because.CHECKED_IN: Words("该时段在该点有打卡", "checked in there in the window"),
    Because.ON_ROUTE: Words(
        "按序路线上前后两点均在该时段打卡", "checked in before and after it on a route in exact order, in the window"
    ),
    Because.BY_LEGS: Words("按路段最短步行时间可达", "within reach by the least walking times of the legs"),
    Because.BY_SPEED: Words("按限速直线可达", "within reach as the crow flies at the speed limit"),
    Because.NO_CHECK_IN: Words("该班次无打卡", "no check-in in the shift"),
    Because.NO_WAY_KNOWN: Words("无路段时间和坐标", "neither a least walking time nor positions are known"),
    Because.IMPOSSIBLE: Words("前后两次打卡相互矛盾", "the check-ins before and after contradict one another"),
}


@dataclass(frozen=True, slots=True, order=True)
class Shift:
    """A guard on duty from `from_ms` until before `to_ms`."""

    guard: str
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """A route in exact order that a guard was to walk from `from_ms` until before `to_ms`."""

    guard: str
    route: str
    points: tuple[str, ...]
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One answer about a guard. `from_ms` to `to_ms`, both included: when he was or may have been there."""

    guard: str
    answer: Answer
    because: Because
    from_ms: int
    to_ms: int
    evidence: tuple[CheckIn, ...]
    weight: int
    route: str | None = None


def look_up(
    point: str,
    from_ms: int,
    to_ms: int,
    *,
    check_ins: Iterable[CheckIn],
    shifts: Iterable[Shift],
    walks: Iterable[Walk] = (),
    ways: Ways,
) -> tuple[Finding, ...]:
    """Who was at `point` from `from_ms` until before `to_ms`: by answer, weight and guard.

    `check_ins`: of these guards, at least those in their shifts; in any order.
    """
    made: dict[str, list[CheckIn]] = {}
    for one in sorted(check_ins, key=lambda one: (one.at_ms, one.id)):
        if one.guard is not None and one.point is not None:
            made.setdefault(one.guard, []).append(one)
    walked: dict[str, list[Walk]] = {}
    for walk in walks:
        walked.setdefault(walk.guard, []).append(walk)
    found: dict[str, list[Finding]] = {}
    for shift in sorted(set(shifts)):
        inside = [one for one in made.get(shift.guard, ()) if shift.from_ms <= one.at_ms < shift.to_ms]
        window = max(from_ms, shift.from_ms), min(to_ms, shift.to_ms)
        if window[0] < window[1]:
            asked = _Asked(point, *window, ways)
            found.setdefault(shift.guard, []).extend(_findings(asked, shift, inside, walked.get(shift.guard, ())))
    return tuple(
        sorted(
            (one for mine in found.values() for one in _strongest(mine)),
            key=lambda one: (STRONGEST.index(one.answer), -one.weight, one.guard, one.from_ms),
        )
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    point: str
    from_ms: int
    to_ms: int
    ways: Ways

    def holds(self, at_ms: int) -> bool:
        return self.from_ms <= at_ms < self.to_ms


def _strongest(findings: Sequence[Finding]) -> list[Finding]:
    best = min((STRONGEST.index(one.answer) for one in findings), default=0)
    return [one for one in findings if STRONGEST.index(one.answer) == best]


def _findings(asked: _Asked, shift: Shift, made: Sequence[CheckIn], walks: Sequence[Walk]) -> Iterator[Finding]:
    there = tuple(one for one in made if one.point == asked.point and asked.holds(one.at_ms))
    if there:
        yield Finding(
            guard=shift.guard,
            answer=Answer.WAS_THERE,
            because=Because.CHECKED_IN,
            from_ms=there[0].at_ms,
            to_ms=there[-1].at_ms,
            evidence=there,
            weight=max(one.source.weight for one in there),
        )
    if not made:
        yield _unsaid(asked, shift, Because.NO_CHECK_IN, ())
    for before, after in pairwise([None, *made, None]):
        pair = tuple(one for one in (before, after) if one is not None)
        if pair:
            yield from _must(asked, pair, walks)
            yield from _could(asked, shift, before, after, pair)


def _must(asked: _Asked, pair: Sequence[CheckIn], walks: Sequence[Walk]) -> Iterator[Finding]:
    """Both neighbours on a route in exact order inside the window."""
    if len(pair) != 2 or not all(asked.holds(one.at_ms) for one in pair):
        return
    before, after = pair
    span = _span(asked, before, after)
    if span[0] > span[1]:
        return
    for walk in walks:
        if walk.from_ms <= before.at_ms and after.at_ms < walk.to_ms and _passes(walk.points, asked.point, pair):
            yield Finding(
                guard=walk.guard,
                answer=Answer.MUST_HAVE_PASSED,
                because=Because.ON_ROUTE,
                from_ms=span[0],
                to_ms=span[1],
                evidence=tuple(pair),
                weight=min(one.source.weight for one in pair),
                route=walk.route,
            )
            return


def _passes(points: Sequence[str], point: str, pair: Sequence[CheckIn]) -> bool:
    """Whether every way along the route from the one to the other goes by the point."""
    before, after = pair
    between = [
        points[first + 1 : last]
        for first, one in enumerate(points)
        for last, other in enumerate(points)
        if first < last and one == before.point and other == after.point
    ]
    return bool(between) and all(point in some for some in between)


def _span(asked: _Asked, before: CheckIn | None, after: CheckIn | None) -> tuple[int, int]:
    """The first and the last moment at the point, none where the first is later; an unknown way bounds nothing."""
    first, last = asked.from_ms, asked.to_ms - 1
    if before is not None and before.point is not None:
        least = asked.ways.least(before.point, asked.point)
        first = max(first, before.at_ms + (0 if least is None else least.ms))
    if after is not None and after.point is not None:
        least = asked.ways.least(asked.point, after.point)
        last = min(last, after.at_ms - (0 if least is None else least.ms))
    return first, last


def _could(
    asked: _Asked, shift: Shift, before: CheckIn | None, after: CheckIn | None, pair: tuple[CheckIn, ...]
) -> Iterator[Finding]:
    """Within reach between the two, or not to be said."""
    begins = shift.from_ms if before is None else before.at_ms
    ends = shift.to_ms - 1 if after is None else after.at_ms
    if begins >= asked.to_ms or ends < asked.from_ms:
        return
    if len(pair) == 2 and _impossible(asked.ways, *pair):
        yield _unsaid(asked, shift, Because.IMPOSSIBLE, pair)
        return
    ways = [asked.ways.least(one.point or "", asked.point) for one in (before,) if one is not None]
    ways += [asked.ways.least(asked.point, one.point or "") for one in (after,) if one is not None]
    span = _span(asked, before, after)
    if span[0] > span[1]:
        return
    if None in ways:
        yield _unsaid(asked, shift, Because.NO_WAY_KNOWN, pair)
        return
    by_speed = any(way is not None and way.by is By.SPEED for way in ways)
    yield Finding(
        guard=shift.guard,
        answer=Answer.COULD_HAVE_BEEN,
        because=Because.BY_SPEED if by_speed else Because.BY_LEGS,
        from_ms=span[0],
        to_ms=span[1],
        evidence=pair,
        weight=min(one.source.weight for one in pair),
    )


def _impossible(ways: Ways, before: CheckIn, after: CheckIn) -> bool:
    least = ways.least(before.point or "", after.point or "")
    return least is not None and after.at_ms - before.at_ms < least.ms


def _unsaid(asked: _Asked, shift: Shift, because: Because, pair: tuple[CheckIn, ...]) -> Finding:
    return Finding(
        guard=shift.guard,
        answer=Answer.CANNOT_SAY,
        because=because,
        from_ms=asked.from_ms,
        to_ms=asked.to_ms - 1,
        evidence=pair,
        weight=0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """A guard on duty and how far he is: `least_ms` from where he was last, at most `most_ms` from wherever he is now.

    Both None: no way is known. `most_ms`: he may have walked away ever since `last`.
    """

    guard: str
    last: CheckIn
    least_ms: int | None
    most_ms: int | None


def nearest(point: str, now_ms: int, *, last: Iterable[CheckIn], shifts: Iterable[Shift], ways: Ways) -> list[Near]:
    """The guards on duty now by how soon they can be there at the latest; who is not known to be anywhere comes last.

    Only what was read in the shift that goes on counts.
    """
    began = {shift.guard: shift.from_ms for shift in shifts if shift.from_ms <= now_ms < shift.to_ms}
    newest: dict[str, CheckIn] = {}
    for one in sorted(last, key=lambda one: (one.at_ms, one.id)):
        if one.guard in began and one.point is not None and began[one.guard] <= one.at_ms <= now_ms:
            newest[one.guard] = one
    found = []
    for guard, one in newest.items():
        way = ways.least(one.point or "", point)
        least_ms = None if way is None else way.ms
        most_ms = None if way is None else way.ms + now_ms - one.at_ms
        found.append(Near(guard=guard, last=one, least_ms=least_ms, most_ms=most_ms))
    return sorted(found, key=lambda near: (near.most_ms is None, near.most_ms or 0, -near.last.at_ms, near.guard))


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """An area had this limit from `from_ms` until before `to_ms`: its colour's interval."""

    colour: str
    limit_ms: int
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Nobody passed from `from_ms` to `to_ms`, which was longer than the colour then allowed by `over_ms`."""

    colour: str
    limit_ms: int
    from_ms: int
    to_ms: int
    over_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Of one area: the gaps, and how much of the time that any limit held it was kept (`kept_ms` of `asked_ms`)."""

    gaps: tuple[Gap, ...]
    kept_ms: int
    asked_ms: int


def coverage(passed_ms: Iterable[int], bands: Sequence[Band], from_ms: int, to_ms: int) -> Coverage:
    """A moment is kept when the last pass, or the beginning, lies within the limit of that moment."""
    edges = [from_ms, *sorted(at_ms for at_ms in passed_ms if from_ms <= at_ms < to_ms), to_ms]
    asked_ms = sum(max(0, min(band.to_ms, to_ms) - max(band.from_ms, from_ms)) for band in bands)
    gaps: list[Gap] = []
    for begins, ends in pairwise(edges):
        for band in sorted(bands, key=lambda band: band.from_ms):
            over_ms = min(ends, band.to_ms) - max(begins + band.limit_ms, band.from_ms)
            if over_ms > 0:
                gaps.append(
                    Gap(colour=band.colour, limit_ms=band.limit_ms, from_ms=begins, to_ms=ends, over_ms=over_ms)
                )
    return Coverage(gaps=tuple(gaps), kept_ms=asked_ms - sum(gap.over_ms for gap in gaps), asked_ms=asked_ms)


def by_guard(check_ins: Iterable[CheckIn]) -> Mapping[str, list[CheckIn]]:
    """Each guard's check-ins by time."""
    found: dict[str, list[CheckIn]] = {}
    for one in sorted(check_ins, key=lambda one: (one.at_ms, one.id)):
        if one.guard is not None:
            found.setdefault(one.guard, []).append(one)
    return found
