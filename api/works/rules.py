"""What a long work is, how far it is, and how long it will take: pure."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from broker.kinds import Words

ESTIMATE_AFTER_MS: Final = 1_000
ESTIMATE_FROM: Final = 30
"""From so many thousandths on, how long it took says how long it will take."""
WHOLE: Final = 1_000
KEPT_MS: Final = 86_400_000
"""So long a work, what was sent for it and what came of it are kept after it has ended: as `fields.toml` says."""


class Kind(StrEnum):
    """What is done."""

    IMPORT_TRIAL = "import_trial"
    IMPORT = "import"
    POINTS = "points"
    REPORT_ALARMS = "report_alarms"
    REPORT_CARDS = "report_cards"
    REPORT_POINTS = "report_points"
    REPORT_YEAR = "report_year"
    EXPORT = "export"


class State(StrEnum):
    """How a work stands. Broken off: the station was started again, or the process that did it is gone."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    GIVEN_UP = "given_up"
    BROKEN = "broken"


OPEN: Final = frozenset({State.WAITING, State.RUNNING})
NOTHING_CAME: Final = frozenset({State.FAILED, State.GIVEN_UP, State.BROKEN})

ACTIONS: Final[Mapping[Kind, str]] = {
    Kind.IMPORT_TRIAL: "register.import",
    Kind.IMPORT: "register.import",
    Kind.POINTS: "points.recompute",
    Kind.REPORT_ALARMS: "report.read",
    Kind.REPORT_CARDS: "report.read",
    Kind.REPORT_POINTS: "points.report",
    Kind.REPORT_YEAR: "report.read",
    Kind.EXPORT: "register.export",
}
"""What whoever asks must be allowed to do: when he asks, when it is done, and when he reads what came of it."""

ALSO: Final[Mapping[Kind, tuple[str, ...]]] = {Kind.REPORT_YEAR: ("points.report",)}
"""What more of what he may do has made the result what it is: without it the result is another one."""

KIND_WORDS: Final[Mapping[Kind, Words]] = {
    Kind.IMPORT_TRIAL: Words("导入试算", "Trial of an import"),
    Kind.IMPORT: Words("导入登记", "Import into the register"),
    Kind.POINTS: Words("积分复算", "Recomputation of points"),
    Kind.REPORT_ALARMS: Words("警情统计", "Alarm report"),
    Kind.REPORT_CARDS: Words("考核评分", "Scorecards"),
    Kind.REPORT_POINTS: Words("积分统计", "Points report"),
    Kind.REPORT_YEAR: Words("年度报表", "Report of a year"),
    Kind.EXPORT: Words("导出登记", "Export of the register"),
}

STATE_WORDS: Final[Mapping[State, Words]] = {
    State.WAITING: Words("等待中", "waiting"),
    State.RUNNING: Words("进行中", "under way"),
    State.DONE: Words("已完成", "done"),
    State.FAILED: Words("未完成", "failed"),
    State.GIVEN_UP: Words("已放弃", "given up"),
    State.BROKEN: Words("已中断", "broken off"),
}

_REPORT: Final = (("reading", 400), ("reckoning", 400), ("filing", 200))
PHASES: Final[Mapping[Kind, tuple[tuple[str, int], ...]]] = {
    Kind.IMPORT_TRIAL: (("reading", 700), ("comparing", 150), ("judging", 150)),
    Kind.IMPORT: (("reading", 500), ("comparing", 150), ("judging", 100), ("writing", 250)),
    Kind.POINTS: (("reading", 400), ("judging", 550), ("months", 50)),
    Kind.REPORT_ALARMS: _REPORT,
    Kind.REPORT_CARDS: _REPORT,
    Kind.REPORT_POINTS: _REPORT,
    Kind.REPORT_YEAR: (("reading", 400), ("reckoning", 400), ("points", 200)),
    Kind.EXPORT: (("reading", 400), ("filing", 600)),
}
"""What each consists of, and how many thousandths of the time each part takes, as measured roughly."""

PHASE_WORDS: Final[Mapping[str, Words]] = {
    "reading": Words("读取", "Reading"),
    "comparing": Words("与现有登记比较", "Comparing with what is there"),
    "judging": Words("核对规则", "Asking the rules"),
    "writing": Words("写入", "Writing"),
    "months": Words("核对月份", "Checking months"),
    "reckoning": Words("计算", "Reckoning"),
    "filing": Words("生成文件", "Making the file"),
    "points": Words("汇总积分", "Adding points up"),
}

WHY_WORDS: Final[Mapping[str, Words]] = {
    "restarted": Words(
        "本站重新启动，任务中断，做了一半的内容没有保留。可以重新开始。",
        "the station was started again and broke this off; nothing half done was kept. It may be started again.",
    ),
    "may_not": Words("您已没有做这件事的权限。", "you may do that no more."),
    "not_there": Words("没有这个区域，或不在您的范围内。", "there is no such area of yours."),
    "stale": Words(
        "试算之后登记有了变化，没有导入任何内容。请重新试算。",
        "the register changed after the trial, and nothing was imported. Try the file again.",
    ),
    "wrong": Words(
        "现在有了问题，没有导入任何内容。请重新试算。",
        "there are problems now, and nothing was imported. Try it again.",
    ),
    "file_gone": Words("文件已不再保留，请重新上传。", "the file is kept no more; send it again."),
    "database": Words(
        "数据库暂时不能使用，没有改变任何内容。请稍后重试。",
        "the database could not be used; nothing was changed. Try again later.",
    ),
    "mistake": Words(
        "本站出错，没有改变任何内容，已记入日志。", "this was our mistake; nothing was changed, and it is in the log."
    ),
}


def thousandths(kind: Kind, phase: str, done: int, of: int) -> int:
    """How far a work is as a whole, when it is so far in one of its parts."""
    before = 0
    for name, weight in PHASES[kind]:
        if name == phase:
            return before + weight * min(done, of) // max(of, 1)
        before += weight
    return 0


def left_s(begun_ms: int, now_ms: int, part: int) -> int | None:
    """How many seconds it will probably take yet; None while nothing can be said."""
    took_ms = now_ms - begun_ms
    if took_ms < ESTIMATE_AFTER_MS or part < ESTIMATE_FROM:
        return None
    return -(-took_ms * (WHOLE - part) // (part * 1_000))
