"""Pure rules for help calls of people on patrol: where he was last, what is one call, who is told, who sees what.

Theory:

1. Whoever goes on patrol may call for help for himself, on duty or not: nobody in danger is asked for his roster.
2. His place is his last check-in. His phone may know of a newer one than the station, which was not sent yet: the newer
   one counts (`place`). A phone whose clock is fast was there now, not later.
3. Presses of one kind within 10 minutes are one alarm while it is open; help that becomes danger is another alarm, and
   so is a press after he took one back: nobody's need is lost in what was taken back.
4. It is no household's: its group is not known, so that by the policy it is for the police alone. No siren sounds, and
   no neighbour reads it, since whom he is afraid of may live there. Beside the audiences learn of it, while it is open:
   the nearest on duty (`told`), his company, and he himself how far it got; READS says what each reads. What has become
   duress is read by police alone.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from api.alarms.rules import INCIDENT_MS, OPEN, State
from broker.kinds import Kind

LOOKED_BACK_MS: Final = 12 * 3_600_000
"""A check-in of yesterday says nothing of where somebody is."""
TOLD_MOST: Final = 3


class Eyes(StrEnum):
    """How somebody comes to read of a help call."""

    POLICE = "police"
    OWN = "own"
    COMPANY = "company"
    TOLD = "told"


READS: Final[Mapping[Eyes, frozenset[str]]] = {
    Eyes.POLICE: frozenset({"guard", "name", "service_number", "company", "role", "seen", "told", "on_duty"}),
    Eyes.COMPANY: frozenset({"guard", "name", "service_number", "company", "seen", "on_duty"}),
    Eyes.TOLD: frozenset({"service_number", "company", "seen"}),
    Eyes.OWN: frozenset({"seen", "told"}),
}
"""What each reads beside kind, times and how far it got. `seen`: where and when he was last; `told`: how many were.

Names are for the police and for his own company; a colleague of another company finds him by his number.
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """Somebody was at a checkpoint at a moment."""

    point: str
    at_ms: int


def place(station: Iterable[Seen], phone: Seen | None, *, now_ms: int) -> Seen | None:
    """Where he was last, of what the station has and of what his phone says; None: nobody knows.

    What is older than LOOKED_BACK_MS does not count; what is said to be later than now is now.
    """
    said = [*station, *(() if phone is None else (phone,))]
    near = [Seen(one.point, min(one.at_ms, now_ms)) for one in said if now_ms - one.at_ms <= LOOKED_BACK_MS]
    return max(near, key=lambda one: one.at_ms, default=None)


def joins(kind: Kind, *, before: Kind, state: State, cancelled: bool, last_ms: int, now_ms: int) -> bool:
    """Whether a press belongs to his earlier alarm, whose last press was at `last_ms`. `cancelled`: he took it back."""
    return kind is before and state in OPEN and not cancelled and now_ms - last_ms < INCIDENT_MS


def takes_back(known_ms: int, last_ms: int) -> bool:
    """Whether what he takes back is all that he pressed: a press later than the one that he knew of stands."""
    return last_ms <= known_ms


def told(near: Iterable[str], *, caller: str | None, accounts: Mapping[str, str | None]) -> list[str]:
    """Who of those near, the nearest first, is told: at most TOLD_MOST who have an account, and never himself."""
    return [one for one in near if one != caller and accounts.get(one) is not None][:TOLD_MOST]


def eyes(*, police: bool, own: bool, company: bool, told: bool, hidden: bool, is_open: bool) -> Eyes | None:
    """By what right somebody reads a help call; None: for him there is none. `hidden`: it is for the police alone."""
    if police:
        return Eyes.POLICE
    if hidden:
        return None
    if own:
        return Eyes.OWN
    if company:
        return Eyes.COMPANY
    return Eyes.TOLD if told and is_open else None


def minutes_ago(seen_ms: int, now_ms: int) -> int:
    """Whole minutes since then, as a card shows them."""
    return max(0, now_ms - seen_ms) // 60_000


def only(fields: Mapping[str, object], reads: Collection[str], among: Collection[str]) -> dict[str, object]:
    """`fields`, with None for those of `among` that are not read."""
    return {name: value if name not in among or name in reads else None for name, value in fields.items()}
