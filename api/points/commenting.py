"""A draft of the daily comment (点评): sentences that each cite the facts they are made of. Pure.

Nothing is said that cites nothing. Nobody is named: whoever reads it opens the citation, if he may.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from api.points.facts import MERITS, Fact, Happened
from api.reports.rules import Period
from broker.kinds import Words

_WHEN: Final = {Period.DAY: "当日", Period.WEEK: "本周", Period.MONTH: "本月", Period.YEAR: "本年"}
CITED: Final = 20
"""So many facts are cited for a sentence at most; the count is of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One sentence, and the facts that it rests on: their keys, oldest first."""

    words: Words
    cites: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Counted:
    """What is said of `{n}` things: Chinese counts alike; in English `{one|many}` is as it counts."""

    zh: str
    en: str

    def words(self, n: int) -> Words:
        return Words(self.zh.format(n=n), _ONE_OR_MANY.sub(r"\1" if n == 1 else r"\2", self.en).format(n=n))


_ONE_OR_MANY: Final = re.compile(r"\{([^|}]+)\|([^}]+)\}")
_DUE: Final = _Counted("应巡{n}人次", "{n} {round was|rounds were} due")
_SAID: Final[Sequence[tuple[frozenset[Happened], _Counted]]] = (
    (
        frozenset({Happened.COMPLETE}),
        _Counted("{n}人次全程按时到位", "{n} {round was|rounds were} walked whole and in time"),
    ),
    (MERITS, _Counted("加分事项{n}件，予以表扬", "{n} {merit|merits}, with thanks")),
    (frozenset({Happened.INSPECTION_PASSED}), _Counted("实地检查合格{n}次", "{n} {inspection|inspections} passed")),
    (frozenset({Happened.LATE, Happened.EARLY}), _Counted("迟到早到{n}处", "{n} {visit|visits} late or early")),
    (frozenset({Happened.MISSED}), _Counted("漏巡{n}处，须查明原因", "{n} {visit|visits} missed; to be looked into")),
    (frozenset({Happened.NOT_STARTED}), _Counted("{n}人次未开始巡逻", "{n} {round was|rounds were} not started")),
    (frozenset({Happened.WRONG_ORDER}), _Counted("错序{n}处", "{n} {visit|visits} out of order")),
    (frozenset({Happened.COVERAGE_GAP}), _Counted("红色区域巡逻间隔过长{n}次", "{n} {gap|gaps} in red areas")),
    (frozenset({Happened.NOT_ANSWERED}), _Counted("点名未应答{n}人次", "{n} {roll-call|roll-calls} not answered")),
    (
        frozenset({Happened.OFF_POST, Happened.ASLEEP, Happened.GEAR_MISSING, Happened.GEAR_BROKEN}),
        _Counted("检查发现问题{n}项", "{n} {finding|findings} on inspection"),
    ),
    (
        frozenset({Happened.EXCUSED}),
        _Counted("因设备或任务免扣{n}处", "{n} {visit|visits} excused by equipment or orders"),
    ),
    (frozenset({Happened.TRAINED}), _Counted("{n}人次参加培训", "{n} attended training")),
)  # fmt: skip


def draft(facts: Iterable[Fact], period: Period) -> tuple[Sentence, ...]:
    """The sentences for these facts; none where there is nothing to cite. `period`: of what they are."""
    ordered = sorted(facts, key=lambda one: (one.occurred_ms, one.key))
    found = []
    walked = [one.key for one in ordered if one.duty]
    if walked:
        due = _DUE.words(len(walked))
        words = Words(f"{_WHEN[period]}{due.zh}", due.en)
        found.append(Sentence(words=words, cites=tuple(walked[:CITED])))
    for what, said in _SAID:
        times = [one.key for one in ordered for happening in one.happenings if happening.what in what]
        if times:
            found.append(Sentence(words=said.words(len(times)), cites=tuple(dict.fromkeys(times))[:CITED]))
    return tuple(found)
