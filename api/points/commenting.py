"""A draft of the daily comment (点评): sentences that each cite the facts they are made of. Pure.

Nothing is said that cites nothing. Nobody is named: whoever reads it opens the citation, if he may.
"""

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


_SAID: Final[Sequence[tuple[frozenset[Happened], Words]]] = (
    (frozenset({Happened.COMPLETE}), Words("{n}人次全程按时到位", "{n} rounds were walked whole and in time")),
    (MERITS, Words("加分事项{n}件，予以表扬", "{n} merits, with thanks")),
    (frozenset({Happened.INSPECTION_PASSED}), Words("实地检查合格{n}次", "{n} inspections passed")),
    (frozenset({Happened.LATE, Happened.EARLY}), Words("迟到早到{n}处", "{n} visits late or early")),
    (frozenset({Happened.MISSED}), Words("漏巡{n}处，须查明原因", "{n} visits missed; to be looked into")),
    (frozenset({Happened.NOT_STARTED}), Words("{n}人次未开始巡逻", "{n} rounds were not started")),
    (frozenset({Happened.WRONG_ORDER}), Words("错序{n}处", "{n} visits out of order")),
    (frozenset({Happened.COVERAGE_GAP}), Words("红色区域巡逻间隔过长{n}次", "{n} gaps in red areas")),
    (frozenset({Happened.NOT_ANSWERED}), Words("点名未应答{n}人次", "{n} roll-calls not answered")),
    (
        frozenset({Happened.OFF_POST, Happened.ASLEEP, Happened.GEAR_MISSING, Happened.GEAR_BROKEN}),
        Words("检查发现问题{n}项", "{n} findings on inspection"),
    ),
    (frozenset({Happened.EXCUSED}), Words("因设备或任务免扣{n}处", "{n} visits excused by equipment or orders")),
    (frozenset({Happened.TRAINED}), Words("{n}人次参加培训", "{n} attended training")),
)  # fmt: skip


def draft(facts: Iterable[Fact], period: Period) -> tuple[Sentence, ...]:
    """The sentences for these facts; none where there is nothing to cite. `period`: of what they are."""
    ordered = sorted(facts, key=lambda one: (one.occurred_ms, one.key))
    found = []
    walked = [one.key for one in ordered if one.duty]
    if walked:
        words = Words(f"{_WHEN[period]}应巡{len(walked)}人次", f"{len(walked)} rounds were due")
        found.append(Sentence(words=words, cites=tuple(walked[:CITED])))
    for what, said in _SAID:
        times = [one.key for one in ordered for happening in one.happenings if happening.what in what]
        if times:
            words = Words(said.zh.format(n=len(times)), said.en.format(n=len(times)))
            found.append(Sentence(words=words, cites=tuple(dict.fromkeys(times))[:CITED]))
    return tuple(found)
