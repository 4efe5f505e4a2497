"""What is left to do before a unit is in earnest: pure."""

from enum import StrEnum
from typing import Final

from broker.kinds import Words
from broker.messages import LONGEST_DRILL_MS

LONGEST_MS: Final = LONGEST_DRILL_MS
"""A window ends by itself after two hours: whoever needs longer opens another."""
LATE_MS: Final = 60_000
"""A chirp that comes so long after its window still belongs to it: it was on its way."""


class Left(StrEnum):
    """A step that is left, in the order in which they are done."""

    WIRE = "wire"
    PRESS = "press"
    READ_BACK = "read_back"
    HAND_OVER = "hand_over"


LEFT_WORDS: Final = {
    Left.WIRE: Words("登记网关、线路和地址", "enter its gateway, line and address"),
    Left.PRESS: Words("在安装时段内按一次键", "press it once within an installation window"),
    Left.READ_BACK: Words("当面核对地址并签字", "read the address back and sign"),
    Left.HAND_OVER: Words("移交使用", "hand it over"),
}

SIREN_WORDS: Final = {
    True: Words("警报器叫了", "the siren sounded"),
    False: Words("警报器没叫", "the siren did not sound"),
    None: Words("没人说警报器叫没叫", "nobody said whether the siren sounded"),
}
"""What whoever installed a unit heard of its siren."""


def left(*, wired: bool, chirped: bool, read_back: bool) -> tuple[Left, ...]:
    """What is left, the last step always among it: a unit that is handed over is on no list."""
    done = {Left.WIRE: wired, Left.PRESS: chirped, Left.READ_BACK: read_back, Left.HAND_OVER: False}
    return tuple(step for step, is_done in done.items() if not is_done)


def heard_ms(now_ms: int, *, at_ms: int | None, phone_now_ms: int | None) -> int:
    """When it was heard, of what a phone says about its own clock as it sends; now where it says nothing.

    Never later than now. What was kept for long without a network was heard then.
    """
    return now_ms if at_ms is None or phone_now_ms is None else now_ms - max(0, phone_now_ms - at_ms)


def same_address(read: str, known: str) -> bool:
    """Whether what was read out at the door is what stands in the register, whatever the spaces."""
    return "".join(read.split()).casefold() == "".join(known.split()).casefold()
