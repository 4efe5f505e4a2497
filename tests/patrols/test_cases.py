"""Rounds in words, as a station chief would tell them: tests/patrols/cases/*.toml."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from api.patrols.rules import (
    OUTCOME_WORDS,
    REASON_WORDS,
    Excuse,
    Expected,
    Judged,
    Order,
    RoundPlan,
    Span,
    answering,
    band_of,
    evaluate,
)

CASES = [
    (path.stem, case)
    for path in sorted((Path(__file__).parent / "cases").glob("*.toml"))
    for case in tomllib.loads(path.read_text(encoding="utf-8"))["case"]
]
ORDERS = {"按序定时": Order.TIMED, "按序不定时": Order.ORDERED, "任意顺序": Order.FREE}
REASONS = {words.zh: reason for reason, words in REASON_WORDS.items()}
MINUTE_MS = 60_000


@dataclass(frozen=True)
class Read:
    id: str
    point: str
    at_ms: int
    guard: str


def minutes(text: str) -> int:
    found = re.search(r"(\d+)分", text)
    assert found, text
    return int(found[1]) * MINUTE_MS


def clock(text: str) -> int:
    hours, _, rest = text.partition(":")
    return (int(hours) * 60 + int(rest)) * MINUTE_MS


def expected(line: str, buffer_ms: int, extended_ms: int) -> Expected:
    words = line.split()
    at_ms = clock(words.pop(0)) if re.match(r"\d", line) else None
    dwell = next((word for word in words if word.startswith("停留")), "停留0分")
    return Expected(
        point=words[0],
        at_ms=at_ms,
        buffer_ms=buffer_ms,
        extended_ms=extended_ms,
        optional="可选" in words,
        dwell_ms=minutes(dwell),
    )


def excuse(line: str) -> Excuse:
    span, reason, *where = line.split()
    from_, _, to = span.partition("-")
    points = frozenset(where[1:]) or None
    return Excuse(from_ms=clock(from_), to_ms=clock(to), reason=REASONS[reason], evidence="fault:1", points=points)


def read(line: str) -> Read:
    at, point, *guard = line.split()
    return Read(id=line, point=point, at_ms=clock(at), guard=guard[0] if guard else "甲")


def plan(case: dict[str, Any]) -> RoundPlan:
    starts, _, ends = case["round"].partition("-")
    buffer, extended = case["bands"].split()
    legs = {}
    for line in case.get("legs", ()):
        from_, _, to, least = line.split()
        legs[from_, to] = minutes(least)
    return RoundPlan(
        id="r1",
        order=ORDERS[case["order"]],
        expected=tuple(expected(line, minutes(buffer), minutes(extended)) for line in case["plan"]),
        starts_ms=clock(starts),
        ends_ms=clock(ends),
        legs=legs,
        excuses=tuple(excuse(line) for line in case.get("excuses", ())),
    )


def served(lines: list[str]) -> dict[str, list[Span]]:
    found: dict[str, list[Span]] = {}
    for line in lines:
        guard, span = line.split()
        from_, _, to = span.partition("-")
        found.setdefault(guard, []).append((clock(from_), clock(to)))
    return found


def told(visit: Judged) -> str:
    return f"{visit.point} {OUTCOME_WORDS[visit.outcome].zh}" + (" 停留不足" if visit.detail.dwell_short else "")


@pytest.mark.proves("P3")
@pytest.mark.parametrize("case", [case for _, case in CASES], ids=[f"{file}:{case['title']}" for file, case in CASES])
def test_a_round_is_judged_as_the_station_would_judge_it(case: dict[str, Any]) -> None:
    found = evaluate(plan(case), [read(line) for line in case["happened"]], clock(case["asked"]))
    assert [told(visit) for visit in found.visits] == case["result"]
    if "unused" in case:
        assert list(found.unused) == case["unused"]
    if "answers" in case:
        of = plan(case)
        answers = answering([band_of(of, one) for one in of.expected], served(case["served"]))
        blamed = [[guard for guard, places in answers.items() if nth in places] for nth in range(len(of.expected))]
        assert [" ".join([one.point, *who]) for one, who in zip(of.expected, blamed, strict=True)] == case["answers"]
