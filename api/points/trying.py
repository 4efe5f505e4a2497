"""What other rules would have made of the past, before they are switched on. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from api.points.facts import Fact
from api.points.rules import Judged, RuleSet, judge


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Of one guard, company or rule: tenths and lines before and after."""

    name: str
    before_tenths: int
    after_tenths: int
    before_lines: int
    after_lines: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A simulation: the facts that were looked at, and what changes. Only those who would have other points are listed.

    `flags_before` and `flags_after`: how many times an officer would have been asked.
    """

    facts: int
    by_rule: tuple[Change, ...]
    by_guard: tuple[Change, ...]
    by_company: tuple[Change, ...]
    flags_before: int
    flags_after: int


def simulate(sets: Sequence[RuleSet], new: RuleSet, facts: Iterable[Fact], *, zone: ZoneInfo) -> Trial:
    """Judge the same facts by the rules as they were and by `new` alone."""
    given = [*facts]
    before, after = judge(sets, given, zone=zone), judge((new,), given, zone=zone)
    rules = _changes(_by(before, "rule"), _by(after, "rule"), every=True)
    return Trial(
        facts=len(given),
        by_rule=rules,
        by_guard=_changes(_by(before, "guard"), _by(after, "guard")),
        by_company=_changes(_by(before, "company"), _by(after, "company")),
        flags_before=sum(one.flag for one in before),
        flags_after=sum(one.flag for one in after),
    )


def _by(judged: Sequence[Judged], field: str) -> Mapping[str, tuple[int, int]]:
    tenths: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    for one in judged:
        name = getattr(one, field)
        if name is not None and not one.flag:
            tenths[name] += one.points_tenths
            lines[name] += 1
    return {name: (tenths[name], lines[name]) for name in lines}


def _changes(
    before: Mapping[str, tuple[int, int]], after: Mapping[str, tuple[int, int]], *, every: bool = False
) -> tuple[Change, ...]:
    nothing = (0, 0)
    return tuple(
        Change(
            name=name,
            before_tenths=before.get(name, nothing)[0],
            after_tenths=after.get(name, nothing)[0],
            before_lines=before.get(name, nothing)[1],
            after_lines=after.get(name, nothing)[1],
        )
        for name in sorted(before.keys() | after.keys())
        if every or before.get(name, nothing) != after.get(name, nothing)
    )
