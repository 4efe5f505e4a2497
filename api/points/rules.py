"""The rules of points, pure: read and validated as a whole, and what facts are worth by them.

Theory:

1. Rules are data with a version. A fact is judged by the version in force when it happened; a new version begins with a
   civil month, so that no cap is ever split between two.
2. `judge` looks at all facts of a guard together and depends on nothing but them: not on the order in which they are
   handed over, not on what was booked before. The ledger follows it by reversal (`settle`), so that facts and ledger
   can be compared to the digit at any time.
3. Caps are filled in the order in which the station first heard of the facts. A fact that comes late takes what is
   left, and never moves what others have.
4. What a machine only suspects (`WEAK`) is a flag: worth nothing until an officer confirms it.
5. What an appeal or an excuse took back is not booked again, whatever late data say.
6. One arrival that was too fast is suspected once, by the fact of which the station heard first: a round and whoever
   looks for fraud both see it.
"""

import string
import tomllib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from api.points.facts import WEAK, Fact, Happened, Happening
from api.progress import Tell, told, untold
from broker.kinds import Words

DEFAULT: Final = Path(__file__).with_name("rules.toml")
MOST_TENTHS: Final = 1_000
MOST_RULES: Final = 200
APPEAL_UPHELD: Final = "A01"
EXCUSED: Final = "A02"
LATE_DATA: Final = "A03"
REVERSALS: Final = (APPEAL_UPHELD, EXCUSED, LATE_DATA)
DECIDED: Final = frozenset({APPEAL_UPHELD, EXCUSED})
"""What was taken back by these stays taken back, whatever is found later."""
FIELDS: Final = frozenset({"item", "value"})


class Per(StrEnum):
    """Over what a cap goes."""

    FACT = "fact"
    MONTH = "month"


class Scope(StrEnum):
    """Whose points they are."""

    GUARD = "guard"
    COMPANY = "company"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. `least` and `most` in tenths: equal, unless an officer sets the number in between."""

    id: str
    when: Happened
    least: int
    most: int
    from_s: int | None
    to_s: int | None
    flag: bool
    over: Scope
    text: Words
    why: Words
    but: Words

    def fits(self, happening: Happening) -> bool:
        """Whether it is about this."""
        if happening.what is not self.when:
            return False
        return (self.from_s is None or self.from_s <= happening.value) and (
            self.to_s is None or happening.value <= self.to_s
        )

    def worth(self, happening: Happening) -> int:
        """Tenths, before caps."""
        return self.least if self.least == self.most else max(self.least, min(self.most, happening.value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """No more than `tenths` together."""

    id: str
    rules: frozenset[str]
    per: Per
    tenths: int


@dataclass(frozen=True, slots=True)
class Band:
    """A grade for whoever has at least so many tenths left, and how often he is then checked in a month."""

    grade: str
    least: int
    checks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Grading:
    """`of`: tenths that everybody begins with. `share` and `upheld` in percent."""

    of: int
    share: int
    upheld: int
    bands: tuple[Band, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """A whole table in one version. `from_ms`: since when it is in force."""

    version: int
    appeal_ms: int
    rules: Mapping[str, Rule]
    caps: tuple[Cap, ...]
    reversals: Mapping[str, tuple[Words, Words]]
    """The rule's text and the reason."""
    grading: Grading
    from_ms: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a table, and where."""

    where: str
    why: str


class BadRules(Exception):
    """A table that cannot be. Field: `faults`, every one of them."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{one.where}: {one.why}" for one in faults))


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a happening is worth: a line for the ledger, or (`flag`) for an officer to look at."""

    fact: str
    item: str
    rule: str
    version: int
    guard: str | None
    company: str | None
    points_tenths: int
    occurred_ms: int
    evidence: tuple[str, ...]
    reason: Words
    flag: bool
    area: str
    colour: str | None
    night: bool

    @property
    def about(self) -> tuple[str, str, str]:
        """What it is about: the same again is the same line."""
        return (self.fact, self.rule, self.item)


@cache
def default() -> RuleSet:
    """The table of this release."""
    return read(DEFAULT.read_text(encoding="utf-8"))


def read(text: str, *, from_ms: int = 0) -> RuleSet:
    """Read a table. Raises BadRules with every fault at once."""
    try:
        table = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise BadRules([Fault("table", str(error))]) from None
    return _Reader(table).whole(from_ms)


class _Reader:
    """Reads a table and collects what is wrong with it."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._table = table
        self._faults: list[Fault] = []

    def whole(self, from_ms: int) -> RuleSet:
        """The set. Raises BadRules."""
        self._only("table", self._table, {"set", "rule", "reversal", "cap", "grade"})
        head = self._part("set")
        self._only("set", head, {"version", "appeal_h"})
        version = self._int("set", head, "version", 1, 1_000_000)
        appeal_h = self._int("set", head, "appeal_h", 24, 24 * 60)
        rules = {id_: self._rule(id_, row) for id_, row in self._rows("rule")}
        if not rules or len(rules) > MOST_RULES:
            self._bad("rule", f"there are 1 to {MOST_RULES} rules")
        caps = tuple(self._cap(id_, row, rules) for id_, row in self._rows("cap"))
        given = dict(self._rows("reversal"))
        if {*given} != {*REVERSALS}:
            self._bad("reversal", f"there are exactly {', '.join(REVERSALS)}")
        reversals = {id_: self._reversal(id_, row) for id_, row in given.items()}
        if clash := rules.keys() & given.keys():
            self._bad("reversal", f"{', '.join(sorted(clash))} is a rule as well")
        self._overlaps(rules)
        grading = self._grading()
        if self._faults:
            raise BadRules(self._faults)
        return RuleSet(
            version=version,
            appeal_ms=appeal_h * 3_600_000,
            rules=rules,
            caps=caps,
            reversals=reversals,
            grading=grading,
            from_ms=from_ms,
        )

    def _rule(self, id_: str, row: Mapping[str, Any]) -> Rule:
        where = f"rule.{id_}"
        words = {f"{name}_{tongue}" for name in ("rule", "why", "but") for tongue in ("zh", "en")}
        self._only(where, row, {"when", "points", "from_s", "to_s", "flag", "over", *words})
        when = Happened.EXCUSED
        try:
            when = Happened(row.get("when", ""))
            if when is Happened.EXCUSED:
                self._bad(f"{where}.when", "what is excused is worth nothing")
        except ValueError:
            self._bad(f"{where}.when", f"{row.get('when')!r} is nothing that can happen")
        points = row.get("points")
        pair = points if isinstance(points, list) and len(points) == 2 else [points, points]
        least, most = (self._tenths(f"{where}.points", one) for one in pair)
        if least > most or (least < 0 < most):
            self._bad(f"{where}.points", "from the least to the most, and all of one sign")
        if least != most and when is not Happened.ARREST:
            self._bad(f"{where}.points", "only for an arrest an officer sets the number")
        flag = row.get("flag", False)
        if not isinstance(flag, bool):
            self._bad(f"{where}.flag", "true or false")
        if when in WEAK and flag is not True:
            self._bad(f"{where}.flag", "what a machine only suspects must be a flag")
        if flag is True and most > 0:
            self._bad(f"{where}.points", "a flag cannot give points")
        bounds = [self._bound(where, row, name) for name in ("from_s", "to_s")]
        if any(bound is not None for bound in bounds) and when is not Happened.ANSWERED:
            self._bad(where, "only answers have from_s and to_s")
        if None not in bounds and bounds[0] > bounds[1]:  # type: ignore[operator] # neither is None here
            self._bad(where, "from_s is after to_s")
        over = Scope.GUARD
        if (given := row.get("over", "guard")) in {*Scope}:
            over = Scope(given)
        else:
            self._bad(f"{where}.over", f"{given!r} is not guard or company")
        if (over is Scope.COMPANY) is not (when is Happened.COVERAGE_GAP):
            self._bad(f"{where}.over", "a gap in coverage is the company's, and nothing else is")
        return Rule(
            id=id_,
            when=when,
            least=least,
            most=most,
            from_s=bounds[0],
            to_s=bounds[1],
            flag=flag is True,
            over=over,
            text=self._words(where, row, "rule"),
            why=self._words(where, row, "why", FIELDS),
            but=self._words(where, row, "but"),
        )

    def _cap(self, id_: str, row: Mapping[str, Any], rules: Mapping[str, Rule]) -> Cap:
        where = f"cap.{id_}"
        self._only(where, row, {"rules", "per", "points"})
        tenths = self._tenths(f"{where}.points", row.get("points"))
        named = row.get("rules")
        if not isinstance(named, list) or not named or not all(isinstance(one, str) for one in named):
            self._bad(f"{where}.rules", "a list of rules")
            named = []
        for one in named:
            if one not in rules:
                self._bad(f"{where}.rules", f"there is no rule {one!r}")
            elif tenths == 0 or any(points * tenths < 0 for points in (rules[one].least, rules[one].most)):
                self._bad(f"{where}.points", f"not of the sign of {one}")
        per = Per.FACT
        if row.get("per") in {*Per}:
            per = Per(row["per"])
        else:
            self._bad(f"{where}.per", "fact or month")
        return Cap(id=id_, rules=frozenset(named), per=per, tenths=tenths)

    def _reversal(self, id_: str, row: Mapping[str, Any]) -> tuple[Words, Words]:
        where = f"reversal.{id_}"
        self._only(where, row, {"rule_zh", "rule_en", "why_zh", "why_en"})
        return self._words(where, row, "rule"), self._words(where, row, "why")

    def _grading(self) -> Grading:
        row = self._part("grade")
        self._only("grade", row, {"of", "share", "upheld", "bands"})
        of = self._tenths("grade.of", row.get("of"))
        bands: list[Band] = []
        given = row.get("bands")
        for number, one in enumerate(given if isinstance(given, list) else []):
            where = f"grade.bands[{number}]"
            if not isinstance(one, dict) or not isinstance(one.get("grade"), str) or not 1 <= len(one["grade"]) <= 8:
                self._bad(where, "a grade with a name, the least that is left, and checks a month")
                continue
            self._only(where, one, {"grade", "least", "checks"})
            least = self._tenths(f"{where}.least", one.get("least"))
            bands.append(Band(one["grade"], least, self._int(where, one, "checks", 0, 31)))
        if not bands or [band.least for band in bands] != sorted({band.least for band in bands}, reverse=True):
            self._bad("grade.bands", "from the best down, each with less than the one before")
        elif bands[0].least > of or bands[-1].least != 0:
            self._bad("grade.bands", "the best can be reached, and the last begins at 0")
        if len({band.grade for band in bands}) != len(bands):
            self._bad("grade.bands", "two of one name")
        return Grading(
            of=of,
            share=self._int("grade", row, "share", 0, 100),
            upheld=self._int("grade", row, "upheld", 0, 100),
            bands=tuple(bands),
        )

    def _overlaps(self, rules: Mapping[str, Rule]) -> None:
        by_when: dict[Happened, list[Rule]] = defaultdict(list)
        for rule in rules.values():
            by_when[rule.when].append(rule)
        for when, same in by_when.items():
            spans = sorted((-1 if one.from_s is None else one.from_s, one.to_s, one.id) for one in same)
            for (_, to_s, id_), (next_from, _, next_id) in pairwise(spans):
                if to_s is None or next_from <= to_s:
                    self._bad(f"rule.{next_id}", f"{when} is paid by {id_} already: nothing counts twice")

    def _part(self, name: str) -> Mapping[str, Any]:
        part = self._table.get(name)
        if not isinstance(part, dict):
            self._bad(name, "is missing")
            return {}
        return part

    def _rows(self, name: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
        for id_, row in self._part(name).items():
            if not isinstance(row, dict) or not id_.isascii() or not id_.isalnum() or len(id_) > 16:
                self._bad(f"{name}.{id_}", "a table under a code of letters and digits")
                continue
            yield id_, row

    def _words(self, where: str, row: Mapping[str, Any], name: str, fields: Collection[str] = ()) -> Words:
        found = []
        for tongue in ("zh", "en"):
            text = row.get(f"{name}_{tongue}")
            if not isinstance(text, str) or not 0 < len(text) <= 200:
                self._bad(f"{where}.{name}_{tongue}", "one sentence of at most 200 characters")
                text = ""
            try:
                named = [
                    (field, form, how) for _, field, form, how in string.Formatter().parse(text) if field is not None
                ]
            except ValueError as error:
                self._bad(f"{where}.{name}_{tongue}", str(error))
                named = []
            for field, form, how in named:
                if field not in fields or form or how:
                    self._bad(f"{where}.{name}_{tongue}", f"{{{field}}} cannot stand here")
            found.append(text)
        return Words(*found)

    def _tenths(self, where: str, given: object) -> int:
        if isinstance(given, bool) or not isinstance(given, int | Decimal) or not Decimal(given).is_finite():
            self._bad(where, "a number")
            return 0
        tenths = Decimal(given) * 10
        if tenths != int(tenths) or abs(tenths) > MOST_TENTHS:
            self._bad(where, f"at most one digit after the point, and at most {MOST_TENTHS // 10}")
            return 0
        return int(tenths)

    def _int(self, where: str, row: Mapping[str, Any], name: str, least: int, most: int) -> int:
        given = row.get(name)
        if isinstance(given, bool) or not isinstance(given, int) or not least <= given <= most:
            self._bad(f"{where}.{name}", f"a whole number from {least} to {most}")
            return least
        return given

    def _bound(self, where: str, row: Mapping[str, Any], name: str) -> int | None:
        return self._int(where, row, name, 0, 86_400) if name in row else None

    def _only(self, where: str, row: Mapping[str, Any], names: Collection[str]) -> None:
        for stranger in sorted(row.keys() - {*names}):
            self._bad(f"{where}.{stranger}"[:80], "is not known here")

    def _bad(self, where: str, why: str) -> None:
        self._faults.append(Fault(where, why))


def in_force(sets: Sequence[RuleSet], at_ms: int) -> RuleSet:
    """Of several versions the one that holds then."""
    held = [one for one in sets if one.from_ms <= at_ms]
    return max(held, key=lambda one: (one.from_ms, one.version)) if held else min(sets, key=lambda one: one.version)


def month_of(at_ms: int, zone: ZoneInfo) -> str:
    """The civil month, such as 2027-01."""
    return datetime.fromtimestamp(at_ms / 1_000, UTC).astimezone(zone).strftime("%Y-%m")


def judge(
    sets: Sequence[RuleSet], facts: Iterable[Fact], *, zone: ZoneInfo, tell: Tell = untold
) -> list[Judged]:  # fmt: skip
    """What these facts are worth: entries and flags. `sets`: every version; `facts`: all of a guard's month or more."""
    found: list[Judged] = []
    filled: dict[tuple[str, ...], int] = defaultdict(int)
    hurried: set[tuple[str | None, str]] = set()
    in_line = sorted(facts, key=lambda one: (one.order, one.key))
    for fact in told(in_line, tell, "judging", of=len(in_line)):
        rules = in_force(sets, fact.occurred_ms)
        month = month_of(fact.occurred_ms, zone)
        for happening in fact.happenings:
            rule = next((one for one in rules.rules.values() if one.fits(happening)), None)
            owner = fact.guard if rule is not None and rule.over is Scope.GUARD else fact.company
            if rule is None or owner is None:
                continue
            if happening.what is Happened.TOO_FAST and happening.evidence:
                arrival = fact.guard, happening.evidence[-1]
                if arrival in hurried:
                    continue
                hurried.add(arrival)
            tenths = rule.worth(happening)
            keys = [(cap, _filled_by(cap, fact, rule, owner, month)) for cap in rules.caps if rule.id in cap.rules]
            if not rule.flag:
                for cap, key in keys:
                    left = cap.tenths - filled[key]
                    tenths = min(tenths, max(left, 0)) if cap.tenths > 0 else max(tenths, min(left, 0))
                for _, key in keys:
                    filled[key] += tenths
            if tenths:
                found.append(_judged(fact, happening, rule, rules.version, tenths))
    return found


def _filled_by(cap: Cap, fact: Fact, rule: Rule, owner: str, month: str) -> tuple[str, ...]:
    return (cap.id, rule.over.value, owner, fact.key if cap.per is Per.FACT else month)


def _judged(fact: Fact, happening: Happening, rule: Rule, version: int, tenths: int) -> Judged:
    called = happening.called or Words(shown(happening.item), shown(happening.item))
    value = str(happening.value)
    return Judged(
        fact=fact.key,
        item=happening.item,
        rule=rule.id,
        version=version,
        guard=fact.guard if rule.over is Scope.GUARD else None,
        company=fact.company,
        points_tenths=tenths,
        occurred_ms=fact.occurred_ms,
        evidence=happening.evidence,
        reason=Words(rule.why.zh.format(item=called.zh, value=value), rule.why.en.format(item=called.en, value=value)),
        flag=rule.flag,
        area=fact.area,
        colour=fact.colour,
        night=fact.night,
    )


def shown(item: str) -> str:
    """An item as a sentence names it: of "3:gate" the gate."""
    number, _, rest = item.partition(":")
    return rest if rest and number.isdecimal() else item


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """A line of the ledger as `settle` needs it. `reversed_by`: the rule by which it was taken back."""

    id: str
    about: tuple[str, str, str]
    guard: str | None
    company: str | None
    points_tenths: int
    reversed_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What brings the ledger to where the facts are: reverse these, book those."""

    reverse: tuple[Booked, ...]
    book: tuple[Judged, ...]


def settle(judged: Iterable[Judged], booked: Iterable[Booked]) -> Settlement:
    """Compare what facts are worth with what was booked for them. What a decision took back is not booked again."""
    live: dict[tuple[str, str, str], Booked] = {}
    decided: set[tuple[str, str, str]] = set()
    for line in booked:
        if line.reversed_by is None:
            live[line.about] = line
        elif line.reversed_by in DECIDED:
            decided.add(line.about)
    wanted = {one.about: one for one in judged if not one.flag and one.about not in decided}
    kept = {about for about, line in live.items() if about in wanted and _same(line, wanted[about])}
    return Settlement(
        reverse=tuple(line for about, line in live.items() if about not in kept),
        book=tuple(one for about, one in wanted.items() if about not in kept),
    )


def _same(line: Booked, one: Judged) -> bool:
    return (line.guard, line.company, line.points_tenths) == (one.guard, one.company, one.points_tenths)
