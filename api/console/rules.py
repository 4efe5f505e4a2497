"""What pages decide by themselves, which is only in what order and how something is shown: pure."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from api.alarms.rules import FRESH, HANDLED, Source
from broker.kinds import Kind

URGENT: Final[tuple[Kind, ...]] = (
    Kind.DURESS,
    Kind.FIRE,
    Kind.PANIC,
    Kind.INTRUSION,
    Kind.MEDICAL,
    Kind.UNVERIFIED,
    Kind.HELP,
)
"""What is looked at first among alarms that nobody has taken. What is not here comes after."""
SENT: Final = frozenset(state.value for state in FRESH)
SEEN: Final = frozenset(state.value for state in HANDLED)


def light(state: str) -> str:
    """The officers' own idiom: red sent, green seen, grey reported back."""
    if state in SENT:
        return "sent"
    return "seen" if state in SEEN else "back"


def in_order(alarms: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Open alarms as a desk looks at them: nobody's first, by kind, then by age; drills and tests last."""
    rank = {kind.value: place for place, kind in enumerate(URGENT)}

    def place(alarm: Mapping[str, Any]) -> tuple[bool, bool, int, str]:
        taken = light(alarm["state"]) != "sent"
        return alarm["mark"] is not None, taken, rank.get(alarm["kind"], len(rank)), alarm["received"]

    return sorted(alarms, key=place)


ON_THE_WALL: Final = frozenset({Kind.FIRE, Kind.PANIC, Kind.INTRUSION, Kind.MEDICAL, Kind.HELP})
"""Kinds that whoever walks past a wall display may read. Whatever else there is or will be stays off it."""
WALL_FIELDS: Final = ("kind", "words", "state", "group", "received")


def on_the_wall(alarms: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of alarms what a wall may show: no name, no door, no duress in any form, and none of drills and tests."""
    return [
        {name: alarm[name] for name in WALL_FIELDS}
        | {"acknowledged": alarm["acknowledged"] and alarm["acknowledged"]["at"], "on_scene": alarm["on_scene"]}
        for alarm in alarms
        if alarm["mark"] is None
        and not alarm["do_not_call"]
        and alarm["kind"] in ON_THE_WALL
        and (alarm["first_kind"] is None or alarm["first_kind"] in ON_THE_WALL)
        and alarm["verified"] is not False
    ]


def rank_of(values: Iterable[int], percent: int) -> int | None:
    """The nearest rank, as reports reckon it; None of nothing."""
    found = sorted(values)
    return found[max(0, -(-len(found) * percent // 100) - 1)] if found else None


def may_be_help(alarm: Mapping[str, Any]) -> bool:
    """Whether an alarm, as the interface answers it, may be somebody on patrol who called for help."""
    return alarm["source"] == Source.PHONE and alarm["place"] is None
