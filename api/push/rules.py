"""Whom an alarm is pushed to: pure.

Theory:

1. A push is one more exit of the alarm: an account hears by it only of what its pages show it, as its eyes read it
   (`api.alarms.sight`). Police are told by their own channels and are not pushed to.
2. Duress, what is not verified, and whatever could be taken back for one are pushed to nobody. Nor is a test, nor an
   alarm that happened more than PUSH_MS ago, nor one's own.
"""

from collections.abc import Mapping
from typing import Final

from api.notify.rules import NEVER_PUSHED, PUSH_MS, Pushed
from broker.kinds import Kind, Mark
from broker.policy import Audience

BY_EYES: Final[Mapping[Audience, Pushed]] = {
    Audience.COMMUNITY: Pushed.AREA,
    Audience.GRID: Pushed.AREA,
    Audience.NEIGHBOUR: Pushed.NEIGHBOUR,
}
"""Under which words, by the eyes that read an alarm. Whoever has others is not pushed to."""


def worth(kind: Kind, mark: Mark | None, *, happened_ms: int, now_ms: int) -> bool:
    """Whether an alarm is pushed to anybody at all. `kind` is the true one, whatever is shown of it."""
    return kind not in NEVER_PUSHED and mark is not Mark.TEST and now_ms - happened_ms < PUSH_MS


def why(eyes: Audience | None, *, own: bool, dispatched: bool) -> Pushed | None:
    """Under which words somebody is told; None: he is not."""
    return None if eyes is None or own or dispatched else BY_EYES.get(eyes)
