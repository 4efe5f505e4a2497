"""What happened to an alarm, in order, with the time of every hop: pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

_EMPTY: Final[Mapping[str, Any]] = {}
_SAID: Final = dict.fromkeys(
    (
        "account", "accounts", "after", "answer", "at", "before", "behalf", "cause", "contact", "gateway", "guard",
        "in_person", "late", "level", "name", "number", "outcome", "people", "reason", "receiver", "result",
        "satisfaction", "service", "teams", "tell", "words",
    )
)  # fmt: skip
"""Whatever a line may say."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One line. `what`: the name of its words in `alarm_story.html`; `since_s`: seconds since it happened."""

    at: str
    since_s: int
    what: str
    words: Mapping[str, str] | None = None
    who: str | None = None
    said: Mapping[str, Any] = field(default_factory=dict)


def story(
    alarm: Mapping[str, Any], orders: Sequence[Mapping[str, Any]], deadlines: Sequence[Mapping[str, Any]]
) -> list[Hop]:
    """Every hop of an alarm (`AlarmDetailAnswer`), of the orders to it and of its deadlines, oldest first."""
    begun = datetime.fromisoformat(alarm["happened"])

    def since(at: str) -> int:
        return round((datetime.fromisoformat(at) - begun).total_seconds())

    found = [
        Hop(at, since(at), what, words, who, _SAID | dict(said))
        for at, what, words, who, said in (
            *_arrival(alarm),
            *_steps(alarm["steps"]),
            *_orders(orders),
            *_levels(deadlines),
        )
    ]
    return sorted(found, key=lambda hop: datetime.fromisoformat(hop.at))  # what is equal stays as it was found


_Line = tuple[str, str, Mapping[str, str] | None, str | None, Mapping[str, Any]]


def _arrival(alarm: Mapping[str, Any]) -> Iterator[_Line]:
    yield alarm["happened"], "pressed", None, None, {"clock": alarm["clock"], "at": alarm["at"]}
    for one in alarm["events"]:
        yield one["received"], f"part_{one['part']}", None, None, {"gateway": one["gateway"]}
    if not alarm["events"]:
        yield alarm["received"], "stored", None, None, {}


def _steps(steps: Iterable[Mapping[str, Any]]) -> Iterator[_Line]:
    for one in steps:
        said = {**(one["detail"] or _EMPTY), "reason": one["reason"], "behalf": one["behalf"]}
        yield one["at"], "step", one["words"], one["officer"], said


def _orders(orders: Iterable[Mapping[str, Any]]) -> Iterator[_Line]:
    for one in orders:
        guard = {"guard": one["guard"]}
        if one["answered"] is not None:
            said = guard | {"words": one["declined_for"], "behalf": one["answered_behalf"]}
            yield one["answered"], f"order_{one['answer']}", None, one["answered_by"], said
        if one["unanswered"] is not None:
            yield one["unanswered"], "order_unanswered", None, None, guard


def _levels(deadlines: Iterable[Mapping[str, Any]]) -> Iterator[_Line]:
    for one in deadlines:
        if one["done"] is not None and one["outcome"] == "told":
            said = {"tell": one["tell"], "people": one["people"], "level": one["level"], "late": one["late"]}
            yield one["done"], "told", one["stage_words"], None, said


def results_of_calls(steps: Iterable[Mapping[str, Any]]) -> dict[int | None, Mapping[str, Any]]:
    """What came of calling each contact last, by rank; None: the place itself."""
    found: dict[int | None, Mapping[str, Any]] = {}
    for one in steps:
        said = one["detail"] or _EMPTY
        if one["action"] in {"call_back", "verify"} and not said.get("in_person"):
            found[said.get("contact")] = {"at": one["at"], "who": one["officer"], **said}
    return found


def since_then(steps: Sequence[Mapping[str, Any]], seen: int) -> Sequence[Mapping[str, Any]]:
    """The steps that came after somebody had seen `seen` of them."""
    return steps[seen:] if 0 <= seen <= len(steps) else steps
