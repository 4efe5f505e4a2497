"""What points, flags and comments rest on, in words: pure.

Evidence is kept as ids ("inspection:1", "round:12:<guard>"), which never change; people read what it is and its number.
A record of a check-in, or an entry of the ledger, is an id without a sort: it has no words of its own.
"""

from collections.abc import Mapping
from typing import Final

from broker.kinds import Words

SORTS: Final[Mapping[str, Words]] = {
    "account": Words("经办人", "entered by"),
    "call": Words("呼叫点名", "roll-call"),
    "coverage": Words("巡逻覆盖，班次", "coverage, duty"),
    "duty": Words("班次", "duty"),
    "fault": Words("故障", "fault"),
    "inspection": Words("实地检查", "inspection"),
    "leave": Words("请假", "leave"),
    "order": Words("派遣", "order"),
    "round": Words("巡逻轮次", "round"),
    "spot_call": Words("点调", "spot call"),
    "suspension": Words("巡逻暂停", "suspension"),
    "suspicion": Words("疑点", "suspicion"),
    "training": Words("培训", "training"),
}


def parts(id_: str) -> tuple[str, str]:
    """The sort and the number of a piece of evidence; each empty where it has none."""
    sort, colon, rest = id_.partition(":")
    number = rest.partition(":")[0]
    return (sort, number if number.isdecimal() else "") if colon and sort in SORTS else ("", "")


def cited(id_: str) -> Words | None:
    """A piece of evidence in words: "实地检查 1", "inspection 1". None for a record that is nothing but an id."""
    sort, number = parts(id_)
    if sort == "account":  # it has no number, and evidence says whose word it was
        number = id_.partition(":")[2]
    words = SORTS.get(sort)
    return words and Words(f"{words.zh} {number}".rstrip(), f"{words.en} {number}".rstrip())
