"""What came of a file, as HTTP shows it."""

from typing import Any

from api.register.importing import SHOWN, Plan
from api.register.schemas import ChangeAnswer, ProblemAnswer, ReportAnswer
from api.shapes import WordsAnswer, words_answer


def report(made: Plan, *, dry_run: bool, applied: bool, version: int) -> ReportAnswer:
    """The report. `version`: of the register."""
    added = sum(1 for change in made.changes if change.added)
    changed = len(made.changes) - added
    return ReportAnswer(
        dry_run=dry_run,
        applied=applied,
        added=added,
        changed=changed,
        unchanged=made.unchanged,
        wrong=len(made.problems),
        words=_summary(added, changed, made, applied=applied),
        problems=[
            ProblemAnswer(
                sheet=one.sheet,
                row=one.row,
                column=one.column,
                code=one.code,
                what=words_answer(one.what),
                do=words_answer(one.do),
            )
            for one in made.problems[:SHOWN]
        ],
        changes=[
            ChangeAnswer(sheet=one.sheet.value, row=one.row, id=one.id, added=one.added, columns=[*one.columns])
            for one in made.changes[:SHOWN]
        ],
        version=version,
    )


def _summary(added: int, changed: int, made: Plan, *, applied: bool) -> WordsAnswer:
    wrong: Any = len(made.problems)
    if wrong:
        return WordsAnswer(zh=f"有 {wrong} 处问题，没有导入任何内容", en=f"{wrong} problems; nothing was imported")
    if not made.changes:
        return WordsAnswer(zh="与现有登记一致，没有变化", en="the same as what is there: nothing changes")
    zh = "已导入" if applied else "可以导入"
    en = "imported" if applied else "can be imported"
    return WordsAnswer(zh=f"{zh}: 新增 {added}，更改 {changed}", en=f"{en}: {added} added, {changed} changed")
