"""When a warning or tip is shown, and what may be written in one: pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from broker.kinds import Words

DAY_MS: Final = 86_400_000
LONGEST_MS: Final = 90 * DAY_MS
"""A warning that stands for ever is read by nobody."""


class TipKind(StrEnum):
    """A warning is about something that goes on; a tip is good at any time."""

    WARNING = "warning"
    TIP = "tip"


class TipState(StrEnum):
    """Whether it is shown."""

    COMING = "coming"
    SHOWN = "shown"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


TIP_WORDS: Final = {
    TipKind.WARNING: Words("治安预警", "warning"),
    TipKind.TIP: Words("防范提示", "prevention tip"),
}
STATE_WORDS: Final = {
    TipState.COMING: Words("未到发布时间", "not shown yet"),
    TipState.SHOWN: Words("发布中", "shown"),
    TipState.EXPIRED: Words("已到期", "expired"),
    TipState.WITHDRAWN: Words("已撤回", "withdrawn"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From when until before when it is shown, and since when it is withdrawn."""

    from_ms: int
    expires_ms: int
    withdrawn_ms: int | None = None

    def state(self, now_ms: int) -> TipState:
        """How it stands at a moment."""
        if self.withdrawn_ms is not None:
            return TipState.WITHDRAWN
        if now_ms >= self.expires_ms:
            return TipState.EXPIRED
        return TipState.SHOWN if now_ms >= self.from_ms else TipState.COMING


def bad_span(from_ms: int, expires_ms: int, *, now_ms: int) -> str | None:
    """Why this cannot be published, in words; None when it can."""
    if expires_ms <= from_ms:
        return "it would end before it begins"
    if expires_ms <= now_ms:
        return "it would be over already"
    if expires_ms - from_ms > LONGEST_MS:
        return f"it would stand for more than {LONGEST_MS // DAY_MS} days"
    return None
