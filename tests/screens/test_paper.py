"""The sheet that a patrol takes along (派警单) is one A4, however much stands on it: a second page gets lost."""

import re
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from playwright.sync_api import Browser

from api import paper
from api.alarms.rules import State
from api.alarms.schemas import STATE_WORDS
from broker.kinds import KIND_WORDS, Kind
from tests.screens.seeing import Screen

A4_PT = (595, 842)
ADDRESS = "北关街道胜利社区人民中路一百二十八号院（原纺织厂家属区）甲区第十七号楼三单元十二层一二零四室，"
"""What people write into the register; it takes 200 characters."""


def sheet(kind: Kind, *, contacts: int, notes: Sequence[str], said: str) -> str:
    shown = SimpleNamespace(
        kind=kind, kind_words=KIND_WORDS[kind], do_not_call=kind is Kind.DURESS, during_drill=True, quiet=True,
        number=20_481, police_number="1102026112200000123", verified=True, happened_ms=1_800_000_000_000,
        received_ms=1_800_000_001_000, shown="", label="李建国、王秀英一家", door=1204, words=said,
        acknowledged_by="a", acknowledged_ms=1_800_000_002_000, owner="b",
    )  # fmt: skip
    people = [
        SimpleNamespace(rank=nth, name=f"欧阳建国{nth}", relation="儿子（在外地工作）", phone=f"+86 138 0000 000{nth}")
        for nth in range(1, contacts + 1)
    ]
    text: str = paper.page(
        "api.alarms", "sheet.html", shown=shown, mark=None, state=STATE_WORDS[State.ACKNOWLEDGED],
        address=(ADDRESS * 4)[:200], contacts=people, notes=notes, name=lambda _: "欧阳建国（北关派出所值班民警）",
        at=lambda _: "2027-01-15 16:00", printed="2027-01-15 16:01", printed_by="欧阳建国", station="north",
    )  # fmt: skip
    return text


NOTES = (
    ("单元门禁先按 1204 再按井号，电梯夜里停用，走东侧楼梯到十二层，门口有鞋柜挡着要侧身。" * 5)[:200],
    "行动不便 moves with difficulty: 轮椅，双腿不能站立，需要两个人抬，电梯里放得下担架",
    "听力障碍 hard of hearing: 敲门听不见，请按闪光门铃，或者发短信给她儿子",
    "需用氧气 needs oxygen: 卧室床头有氧气瓶两只，禁止明火，撤离时请一起带走",
    "家有大狗 a large dog: 平时拴在阳台，来人会叫，不咬人，名叫黑子",
    "独居老人 an old person alone: 备用钥匙在对门 1203 室王阿姨处",
)


@pytest.mark.parametrize(
    ("kind", "contacts", "notes", "said"),
    [
        (Kind.FIRE, 9, NOTES, "厨房着火了，老人还在屋里出不来，烟很大，楼道里也有烟，快来人。" * 30),
        (Kind.DURESS, 0, NOTES, "家里有人，不方便说话。" * 90),
        (Kind.HELP, 0, (), ""),
    ],
    ids=["everything", "duress", "little"],
)
def test_the_sheet_to_take_along_is_one_page(
    browser: Browser, kind: Kind, contacts: int, notes: Sequence[str], said: str
) -> None:
    one = Screen(browser, "http://127.0.0.1:9")
    one.page.set_content(sheet(kind, contacts=contacts, notes=notes, said=said[:1_000]))
    found: Any = one.page.pdf(prefer_css_page_size=True)
    one.close()
    boxes = re.findall(rb"/MediaBox ?\[0 0 ([0-9.]+) ([0-9.]+)\]", found)
    assert {(round(float(width)), round(float(height))) for width, height in boxes} == {A4_PT}
    assert len(re.findall(rb"/Type ?/Page\b(?!s)", found)) == 1
