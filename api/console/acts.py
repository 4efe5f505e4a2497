"""What a reader may do about an alarm as it stands, and what its form sends: pure.

Which action is possible in which state is read from `api.alarms.rules.TABLE`; the interface decides all the same.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from api.alarms.rules import CLOSED, FRESH, TABLE, Action, Outcome, State, joins_incidents, may_become
from broker.kinds import SIREN_PRIORITY, Kind, Mark

Take = Literal["text", "number", "many", "flag", "yes", "moment"]
MOST: Final = 1_000
"""Characters of one field that are handed on; the interface takes no more anywhere."""


@dataclass(frozen=True, slots=True)
class Act:
    """One form: the right that offers it, where it goes, the steps of which one must be possible, and its fields."""

    right: str
    path: str
    steps: tuple[Action, ...] = ()
    takes: Mapping[str, Take] = field(default_factory=dict)
    versioned: bool = False
    """Whether it names the version that its sender looked at."""


VERSIONED: Final = frozenset(
    {
        Action.VERIFY, Action.SET_KIND, Action.DISPATCH, Action.RECALL, Action.TRANSFER, Action.JOIN, Action.REPORT_UP,
        Action.RESOLVE, Action.FOLLOW_UP, Action.WAIVE, Action.ARCHIVE, Action.REOPEN,
    }
)  # fmt: skip
"""Who does one of these has to know what stands there now. Acknowledging tells who was first."""

_WORDS: Final[Mapping[str, Take]] = {"words": "text", "behalf": "text"}
_REASON: Final[Mapping[str, Take]] = {"reason": "text", "behalf": "text"}
_GIVEN: Final[Mapping[str, Take]] = {"receiver": "text", **_REASON}
_MOVED: Final[Mapping[str, Take]] = {"account": "text", **_WORDS}
_BEHALF: Final[Mapping[str, Take]] = {"behalf": "text"}


HARMLESS: Final = frozenset(
    {Action.ANSWER, Action.ARRIVE, Action.RUNG, Action.NOTE, Action.ATTACH, Action.NUMBER, Action.WRONG_ADDRESS}
)
"""Steps by others that take nothing away from what somebody was about to do."""


def _on(path: str, right: str, *steps: Action, **takes: Take) -> Act:
    return Act(right, f"/alarms/{{alarm}}/{path}", steps, takes, versioned=bool(VERSIONED & {*steps}))


ACTS: Final[Mapping[str, Act]] = {
    "acknowledge": _on("acknowledge", "alarm.acknowledge", Action.ACKNOWLEDGE, **_BEHALF),
    "call-back": _on(
        "call-back", "alarm.handle", Action.CALL_BACK, result="text", contact="number", in_person="flag", **_WORDS
    ),
    "dispatch": _on("dispatch", "alarm.handle", Action.DISPATCH, accounts="many", teams="many", **_WORDS),
    "on-the-way": _on("on-the-way", "alarm.report", Action.ON_THE_WAY, **_MOVED),
    "on-scene": _on("on-scene", "alarm.report", Action.ON_SCENE, **_MOVED),
    "resolve": _on("resolve", "alarm.handle", Action.RESOLVE, outcome="text", cause="text", **_WORDS),
    "follow-up": _on(
        "follow-up", "alarm.follow_up", Action.FOLLOW_UP, satisfaction="number", in_person="flag", **_WORDS
    ),
    "archive": _on("archive", "alarm.handle", Action.ARCHIVE, Action.FILE, **_BEHALF),
    "waive": _on("waive", "alarm.waive", Action.WAIVE, **_REASON),
    "notes": _on("notes", "alarm.report", Action.NOTE, **_WORDS),
    "kind": _on("kind", "alarm.handle", Action.SET_KIND, kind="text", **_REASON),
    "recall": _on("recall", "alarm.handle", Action.RECALL, Action.RECALL_ALL, account="text", **_REASON),
    "hand-over": _on("hand-over", "alarm.handle", Action.HAND_OVER, service="text", name="text", **_WORDS),
    "number": _on("number", "alarm.handle", Action.NUMBER, number="text", **_BEHALF),
    "stand-back": _on("stand-back", "alarm.handle", Action.STAND_BACK, **_WORDS),
    "transfer": _on("transfer", "alarm.handle", Action.TRANSFER, **_GIVEN),
    "answer-transfer": _on("transfer/answer", "alarm.transfer", Action.ACCEPT, accept="yes", **_REASON),
    "withdraw-transfer": _on("transfer/withdraw", "alarm.handle", Action.WITHDRAW, **_REASON),
    "joint": _on("joint", "alarm.handle", Action.JOIN, **_GIVEN),
    "report-up": _on("report-up", "alarm.transfer", Action.REPORT_UP, **_GIVEN),
    "urge": _on("urge", "alarm.urge", Action.URGE, due="moment", **_REASON),
    "wrong-address": _on("wrong-address", "alarm.report", Action.WRONG_ADDRESS, **_WORDS),
    "link": _on("link", "alarm.handle", Action.LINK, to="text", **_REASON),
    "reopen": _on("reopen", "alarm.handle", Action.REOPEN, **_REASON),
    "order": Act(
        "order.give",
        "/alarms/{alarm}/orders",
        (Action.DISPATCH,),
        {"guard": "text", "instead_of": "number", **_WORDS, **_REASON},
    ),
    "order-accept": Act("order.answer", "/orders/{number}/accept", (), _BEHALF),
    "order-decline": Act("order.answer", "/orders/{number}/decline", (), _WORDS),
    "order-on-the-way": Act("order.answer", "/orders/{number}/on-the-way", (), _BEHALF),
    "order-arrived": Act("order.give", "/orders/{number}/arrived", (), _BEHALF),
    "order-call-back": Act("order.give", "/orders/{number}/call-back", (), _REASON),
    "quiet": Act(
        "quieting.order",
        "/register/places/{place}/quiet",
        (),
        {"minutes": "number", "reason": "text"},
    ),
    "lift": Act("quieting.order", "/register/places/{place}/quiet/lift", (), {"reason": "text"}),
}
"""By the name of the form. The attachment is none of these: its body is the file."""

SELDOM: Final = frozenset(
    {
        "kind", "recall", "hand-over", "number", "stand-back", "transfer", "answer-transfer", "withdraw-transfer",
        "joint", "report-up", "urge", "wrong-address", "link", "waive", "reopen",
    }
)  # fmt: skip
"""Forms that stand behind another click."""
KINDS: Final = tuple(kind for kind in SIREN_PRIORITY if kind is not Kind.DRILL)


def body_of(act: Act, form: Mapping[str, list[str]], zone: ZoneInfo) -> dict[str, Any]:
    """What a form says, as the interface takes it. Empty fields are left out; no number goes as typed."""
    said: dict[str, Any] = {}
    for name, take in act.takes.items():
        values = [value.replace("\r\n", "\n").strip()[: MOST + 1] for value in form.get(name, [])]
        given = [value for value in values if value]
        if take == "flag":
            said[name] = bool(given)
        elif take == "yes":
            said[name] = given == ["yes"]
        elif take == "many":
            said[name] = given
        elif given:
            said[name] = _taken(given[0], take, zone)
    return said


def _taken(text: str, take: Take, zone: ZoneInfo) -> object:
    if take == "number" and text.isascii() and text.isdigit():
        return int(text)
    if take == "moment":
        try:
            return datetime.fromisoformat(text).replace(tzinfo=zone).isoformat()
        except ValueError:
            return text
    return text


def offered(alarm: Mapping[str, Any], *, may: Callable[[str], bool]) -> frozenset[str]:
    """The forms that are offered for an alarm as `AlarmDetailAnswer` shows it to somebody with these rights."""
    state = State(alarm["state"])
    found = {
        name
        for name, act in ACTS.items()
        if act.steps and may(act.right) and any(TABLE[state, step] is not None for step in act.steps)
    }
    if may("alarm.report") and TABLE[state, Action.ATTACH] is not None:
        found.add("attach")
    return frozenset(found - _beside_the_point(alarm, state))


def _beside_the_point(alarm: Mapping[str, Any], state: State) -> set[str]:
    """What the state allows and what there is no occasion for."""
    kind, mark = Kind(alarm["kind"]), None if alarm["mark"] is None else Mark(alarm["mark"])
    waiting = any(one["what"] == "transfer" and one["answer"] is None for one in alarm["transfers"])
    out = any(one["account"] and not one["guard"] and one["recalled"] is None for one in alarm["dispatches"])
    without: set[str] = set()
    without |= {"transfer"} if waiting else {"answer-transfer", "withdraw-transfer"}
    without |= set() if out else {"recall"}
    without |= set() if any(may_become(kind, other) for other in KINDS) else {"kind"}
    without |= set() if joins_incidents(kind, mark) else {"link"}
    without |= {"waive", "follow-up"} if mark is not None and state is State.RESOLVED else set()
    without |= {"archive"} if mark is None and state is State.RESOLVED else set()
    without |= {"stand-back"} if alarm["stand_back"] else set()
    return without


def next_of(alarm: Mapping[str, Any], forms: frozenset[str]) -> str | None:
    """The form that stands open: what is mostly done next."""
    state = State(alarm["state"])
    order: tuple[str, ...]
    if state in FRESH:
        order = ("acknowledge",)
    elif state in {State.DISPATCHED, State.ON_THE_WAY}:
        order = ("on-scene",)
    elif state in CLOSED:
        order = ("archive", "follow-up")
    elif alarm["checked"] is None and not alarm["do_not_call"]:
        order = ("call-back",)
    elif alarm["do_not_call"] and state is State.ACKNOWLEDGED:
        order = ("dispatch",)
    else:
        order = ("resolve",) if state is State.ON_SCENE else ("dispatch", "resolve")
    return next((one for one in order if one in forms), None)


def outcomes(alarm: Mapping[str, Any]) -> list[Outcome]:
    """With which outcomes it may be resolved as it stands; none before somebody has called back or been there."""
    marked = alarm["mark"] is not None and alarm["kind"] != Kind.DURESS
    if alarm["checked"] is not None:
        return [*Outcome]
    return [Outcome.TEST, Outcome.DRILL] if marked else []
