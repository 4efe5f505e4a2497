"""How a reward goes from application to payment. Pure."""

from collections.abc import Collection
from enum import StrEnum
from typing import Final

from broker.kinds import Words


class RewardState(StrEnum):
    """How far a reward is."""

    APPLIED = "applied"
    CHECKED = "checked"
    APPROVED = "approved"
    PAID = "paid"
    REFUSED = "refused"


STATE_WORDS: Final = {
    RewardState.APPLIED: Words("已申报", "applied for"),
    RewardState.CHECKED: Words("已核实", "checked"),
    RewardState.APPROVED: Words("已审批", "approved"),
    RewardState.PAID: Words("已发放", "paid"),
    RewardState.REFUSED: Words("不予奖励", "refused"),
}
_AFTER: Final = {
    RewardState.CHECKED: RewardState.APPLIED,
    RewardState.APPROVED: RewardState.CHECKED,
    RewardState.PAID: RewardState.APPROVED,
}


def may_follow(state: RewardState, wanted: RewardState) -> bool:
    """Whether `wanted` can follow; refused can be what was not approved yet."""
    if wanted is RewardState.REFUSED:
        return state in {RewardState.APPLIED, RewardState.CHECKED}
    return _AFTER.get(wanted) is state


def somebody_else(by: str, before: Collection[str]) -> bool:
    """Each step is another person's."""
    return by not in before
