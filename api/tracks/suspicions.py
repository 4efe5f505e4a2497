"""What in check-ins looks like fraud: pure. A suspicion takes no points and tells nobody; an officer decides.

Theory:

1. Impossible speed: one guard at two points in less than the least walking time between them. Someone gave him a lift,
   or somebody else carried his card.
2. One tag in two places: one tag at two points in less than anybody needs who drives at the limit: it was copied, or
   a tag was taken off the wall. Each pair of readings is one of the two and never both.
3. Burst: `BURST_POINTS` points within `BURST_MS`, however near one another: tags lie together in a guardroom.
4. Always together (替打卡): at least `TOGETHER_LEAST` times on `TOGETHER_DAYS` days two guards who were not on the same
   team came within `TOGETHER_MS` of one another to one point, and that is `TOGETHER_SHARE` of what either of them did
   while they were on no common team. Two who meet now and then are not meant, nor is who rides along once.
5. Clock: the clock of a guard's phone was put off by `JUMP_MS` between two uploads and put back again, `JUMPS` leaps
   or more. One leap is somebody who sets his clock right.
6. Not looked at: times that are only estimated (UNSET_CLOCK); for 1 to 4 what people say (radio, witness) and
   positions. Clocks of two readers may differ by `SLACK_MS`, which is the guard's.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

from api.checkins.rules import CheckIn, Flag, Source
from api.tracks.ways import Ways
from broker.kinds import Words

SLACK_MS: Final = 4_000
"""Two gateways, each at most 2 s off before it is flagged."""
BURST_POINTS: Final = 4
BURST_MS: Final = 60_000
TOGETHER_MS: Final = 60_000
TOGETHER_LEAST: Final = 10
TOGETHER_DAYS: Final = 3
TOGETHER_SHARE: Final = 0.8
JUMP_MS: Final = 120_000
JUMPS: Final = 2
DAY_MS: Final = 86_400_000
EVIDENCE_MOST: Final = 40
"""So many check-ins at most stand under one suspicion; how many there are stands in `times`."""

READ: Final = frozenset({Source.FIXED_READER, Source.WAND, Source.NFC_PHONE, Source.QR_SCREEN, Source.QR})
"""Sources by which something was read at the point."""
PHONE: Final = frozenset({Source.NFC_PHONE, Source.QR_SCREEN, Source.QR, Source.POSITION})

Mates = Callable[[str, str, int], bool]
"""Whether two guards were on one team then, by the roster."""


class Kind(StrEnum):
    """What looks odd."""

    IMPOSSIBLE_SPEED = "impossible_speed"
    TWO_PLACES = "two_places"
    BURST = "burst"
    ALWAYS_TOGETHER = "always_together"
    CLOCK = "clock"


KIND_WORDS: Final = {
    Kind.IMPOSSIBLE_SPEED: Words("移动过快", "impossible speed"),
    Kind.TWO_PLACES: Words("一卡两地", "one tag in two places"),
    Kind.BURST: Words("短时连刷多点", "many points at once"),
    Kind.ALWAYS_TOGETHER: Words("疑似替打卡:两卡总是同时出现", "two cards that always come together"),
    Kind.CLOCK: Words("疑似改时", "a clock that was put off and back"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """Something for an officer to look at. `took_ms` and `least_ms`: how long, and how long it takes at least.

    `times`: how often, of `of`; both 1 for what is one occurrence.
    """

    kind: Kind
    guards: tuple[str, ...]
    evidence: tuple[str, ...]
    from_ms: int
    to_ms: int
    took_ms: int | None = None
    least_ms: int | None = None
    times: int = 1
    of: int = 1

    @property
    def id(self) -> str:
        """The same for the same readings, so that looking again finds nothing new."""
        said = "\n".join([self.kind.value, *self.guards, *(self.evidence[:2])])
        return hashlib.sha256(said.encode()).hexdigest()[:32]


def suspicions(check_ins: Iterable[CheckIn], *, ways: Ways, mates: Mates) -> tuple[Suspicion, ...]:
    """Everything odd in these check-ins, in any order of them; by time, kind and guards."""
    known = {one.id: one for one in check_ins}.values()
    found = [*alone(known, ways=ways), *together(known, mates=mates)]
    return tuple(sorted(found, key=lambda one: (one.from_ms, one.kind, one.guards, one.evidence)))


def alone(check_ins: Iterable[CheckIn], *, ways: Ways) -> tuple[Suspicion, ...]:
    """All but 4, which is about two guards and much time."""
    known = _ordered(check_ins)
    read = reads(known)
    return (*_hurried(read, ways), *_bursts(read), *_clocks(known))


def together(check_ins: Iterable[CheckIn], *, mates: Mates) -> tuple[Suspicion, ...]:
    """Only 4, in all that is given."""
    return (*_together(reads(_ordered(check_ins)), mates),)


def reads(check_ins: Iterable[CheckIn]) -> list[CheckIn]:
    """What 1 to 4 look at: read at a known point at a known time."""
    return [
        one for one in check_ins if one.source in READ and one.point is not None and Flag.UNSET_CLOCK not in one.flags
    ]


def _ordered(check_ins: Iterable[CheckIn]) -> list[CheckIn]:
    return sorted({one.id: one for one in check_ins}.values(), key=lambda one: (one.at_ms, one.id))


def _split(check_ins: Iterable[CheckIn], by: Callable[[CheckIn], str | None]) -> Mapping[str, list[CheckIn]]:
    found: dict[str, list[CheckIn]] = {}
    for one in check_ins:
        if (key := by(one)) is not None:
            found.setdefault(key, []).append(one)
    return found


def _hurried(read: Sequence[CheckIn], ways: Ways) -> Iterator[Suspicion]:
    """Pairs that follow one another, of a tag or of a guard, and are too near in time."""
    told = set()
    for mine in _split(read, lambda one: one.tag).values():
        for one, other in pairwise(mine):
            fastest = _under(one, other, ways.fastest(one.point or "", other.point or ""))
            if fastest is not None:
                told.add((one.id, other.id))
                yield _pair(Kind.TWO_PLACES, one, other, fastest)
    for mine in _split(read, lambda one: one.guard).values():
        for one, other in pairwise(mine):
            way = ways.least(one.point or "", other.point or "")
            least = _under(one, other, None if way is None else way.ms)
            if least is not None and (one.id, other.id) not in told:
                yield _pair(Kind.IMPOSSIBLE_SPEED, one, other, least)


def _under(one: CheckIn, other: CheckIn, least_ms: int | None) -> int | None:
    """The least time, where these two are at different points and took less."""
    short = least_ms is not None and one.point != other.point and other.at_ms - one.at_ms + SLACK_MS < least_ms
    return least_ms if short else None


def _pair(kind: Kind, one: CheckIn, other: CheckIn, least_ms: int) -> Suspicion:
    return Suspicion(
        kind=kind,
        guards=tuple(sorted({guard for guard in (one.guard, other.guard) if guard is not None})),
        evidence=(one.id, other.id),
        from_ms=one.at_ms,
        to_ms=other.at_ms,
        took_ms=other.at_ms - one.at_ms,
        least_ms=least_ms,
    )


def _bursts(read: Sequence[CheckIn]) -> Iterator[Suspicion]:
    """From the left, the longest stretch that begins with each reading and was not told yet."""
    for guard, mine in _split(read, lambda one: one.guard).items():
        first = 0
        while first < len(mine):
            last = first
            while last + 1 < len(mine) and mine[last + 1].at_ms - mine[first].at_ms <= BURST_MS:
                last += 1
            some = mine[first : last + 1]
            points = {one.point for one in some}
            if len(points) < BURST_POINTS:
                first += 1
                continue
            yield Suspicion(
                kind=Kind.BURST,
                guards=(guard,),
                evidence=tuple(one.id for one in some[:EVIDENCE_MOST]),
                from_ms=some[0].at_ms,
                to_ms=some[-1].at_ms,
                took_ms=some[-1].at_ms - some[0].at_ms,
                least_ms=BURST_MS,
                times=len(points),
                of=len(some),
            )
            first = last + 1


def _together(read: Sequence[CheckIn], mates: Mates) -> Iterator[Suspicion]:
    """Pairs of guards who keep coming to the same points at the same time though no roster puts them together."""
    joint: dict[tuple[str, str], list[tuple[CheckIn, CheckIn]]] = {}
    for mine in _split(read, lambda one: one.point).values():
        for index, one in enumerate(mine):
            for other in mine[index + 1 :]:
                if other.at_ms - one.at_ms > TOGETHER_MS:
                    break
                if one.guard is not None and other.guard is not None and one.guard != other.guard:
                    pair = min(one.guard, other.guard), max(one.guard, other.guard)
                    if not mates(*pair, one.at_ms):
                        joint.setdefault(pair, []).append((one, other))
    by_guard = _split(read, lambda one: one.guard)
    for pair, met in sorted(joint.items()):
        met.sort(key=lambda both: (both[0].at_ms, both[0].id, both[1].id))
        shared = {one.id for both in met for one in both}
        alone = [[one for one in by_guard[guard] if not mates(*pair, one.at_ms)] for guard in pair]
        times = min(sum(one.id in shared for one in mine) for mine in alone)
        of = min(len(mine) for mine in alone)
        days = {both[0].at_ms // DAY_MS for both in met}
        if times >= TOGETHER_LEAST and len(days) >= TOGETHER_DAYS and times >= TOGETHER_SHARE * of:
            yield Suspicion(
                kind=Kind.ALWAYS_TOGETHER,
                guards=pair,
                evidence=tuple(one.id for both in met for one in both)[:EVIDENCE_MOST],
                from_ms=met[0][0].at_ms,
                to_ms=met[-1][1].at_ms,
                times=times,
                of=of,
            )


def _clocks(known: Sequence[CheckIn]) -> Iterator[Suspicion]:
    """Leaps of a phone's clock from one upload to the next."""
    phone = (one for one in known if one.source in PHONE and one.skew_ms is not None)
    for guard, mine in _split(phone, lambda one: one.guard).items():
        mine.sort(key=lambda one: (one.server_ms, one.id))
        leaps = [
            (one, other) for one, other in pairwise(mine) if abs((other.skew_ms or 0) - (one.skew_ms or 0)) >= JUMP_MS
        ]
        signs = {(other.skew_ms or 0) > (one.skew_ms or 0) for one, other in leaps}
        if len(leaps) >= JUMPS and len(signs) == 2:
            yield Suspicion(
                kind=Kind.CLOCK,
                guards=(guard,),
                evidence=tuple(dict.fromkeys(one.id for both in leaps for one in both))[:EVIDENCE_MOST],
                from_ms=min(one.at_ms for both in leaps for one in both),
                to_ms=max(one.at_ms for both in leaps for one in both),
                times=len(leaps),
                of=max(1, len(mine) - 1),
            )
