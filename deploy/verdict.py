"""The demo's verdict: did everybody learn what they may, and nothing else? Judged from outside the product.

Evidence is what the witnesses at the broker wrote, what the units put in their own diaries, and what the station
answers over HTTP. What is right is written down here once more, as plain data about the demo village, and on purpose
not read from `broker.policy`: a policy that was widened by mistake must not be its own judge.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from deploy.observers import Arrival

ENVELOPE: Final = frozenset({"v", "type", "topic", "audience", "id", "age_ms"})
"""What every message has, whoever reads it."""

NEIGHBOUR: Final = frozenset({"kind", "word_zh", "word_en", "door", "label"})
GRID: Final = NEIGHBOUR | {"group", "place", "verified", "at_ms", "clock"}
COMMUNITY: Final = GRID | {"gateway"}
POLICE: Final = COMMUNITY | {"unit", "press"}
FIELDS: Final = {"police": POLICE, "community": COMMUNITY, "grid": GRID, "household": NEIGHBOUR}

UPDATE: Final = frozenset({"alarm", "state", "word_zh", "word_en", "by"})

WORDS: Final = {
    "panic": ("紧急报警", "panic"),
    "duress": ("胁迫报警(无声)", "duress"),
}


@dataclass(frozen=True, slots=True)
class Expected:
    """One press of the scenario: who pressed what, and who may know."""

    key: str
    unit: str
    household: str
    door: int
    label: str
    told: frozenset[str]
    """Audiences that learn of it."""
    rings: frozenset[str]
    """Units whose sounder plays."""
    updates: tuple[str, ...]
    """States of the updates that the same audiences get, in order."""
    lamps: tuple[str, ...]
    """What the lamp of the presser's unit shows, in order."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen from outside."""

    arrivals: Mapping[str, Sequence[Arrival]]
    diaries: Sequence[Mapping[str, Any]]
    alarms: Sequence[Mapping[str, Any]]
    """As the station answers over HTTP."""
    check_ins: Sequence[Mapping[str, Any]]
    """As the station answers over HTTP."""


@dataclass(slots=True)
class Verdict:
    """What the evidence comes to. `problems` is empty when everything was right."""

    problems: list[str] = field(default_factory=list)
    audiences: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    units: dict[str, dict[str, Any]] = field(default_factory=dict)
    patrol: dict[str, Any] = field(default_factory=dict)
    """What came of the night (`deploy.walker`)."""

    @property
    def ok(self) -> bool:
        """Whether everybody got exactly what they may."""
        return not self.problems

    def as_plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "ok": self.ok,
            "problems": self.problems,
            "audiences": self.audiences,
            "units": self.units,
            "patrol": self.patrol,
        }


def judge(evidence: Evidence, expected: Sequence[Expected], *, tag: str) -> Verdict:
    """Compare what was seen with what is right; every deviation is one problem, in words."""
    verdict = Verdict()
    ids = _press_ids(evidence, expected, verdict)
    _judge_messages(evidence, expected, ids, verdict)
    _judge_units(evidence, expected, verdict)
    _judge_station(evidence, expected, ids, tag, verdict)
    return verdict


def _press_ids(evidence: Evidence, expected: Iterable[Expected], verdict: Verdict) -> dict[str, Expected]:
    """The event id of each press, as the police were told it."""
    ids: dict[str, Expected] = {}
    for press in expected:
        found = {
            arrival.body["id"]
            for arrival in evidence.arrivals.get("police", ())
            if arrival.body.get("type") == "alarm" and arrival.body.get("unit") == press.unit
        }
        if len(found) == 1:
            ids[found.pop()] = press
        else:
            verdict.problems.append(f"police: {len(found)} alarms of {press.unit} ({press.key}), expected one")
    return ids


def _judge_messages(
    evidence: Evidence, expected: Sequence[Expected], ids: Mapping[str, Expected], verdict: Verdict
) -> None:
    for audience, arrivals in evidence.arrivals.items():
        rows = verdict.audiences.setdefault(audience, [])
        alarms: list[str] = []
        updates: dict[str, list[str]] = {}
        for arrival in arrivals:
            body = arrival.body
            about = body.get("id") if body.get("type") == "alarm" else body.get("alarm")
            press = ids.get(str(about))
            if arrival.retained:
                verdict.problems.append(f"{audience}: a retained message on {arrival.topic}")
            if press is None or audience not in press.told:
                what = "something unknown" if press is None else f"the {press.key} of {press.household}"
                verdict.problems.append(f"{audience}: learned of {what} on {arrival.topic}, and must not")
                continue
            if body["type"] == "alarm":
                alarms.append(str(about))
                verdict.problems += _wrong_fields(audience, arrival, press)
                pressed = _pressed_s(evidence, press)
                rows.append(
                    {"alarm": press.key, "ms": round((arrival.at_s - pressed) * 1_000), "door": body.get("door")}
                )
            else:
                updates.setdefault(str(about), []).append(str(body.get("state")))
                if set(body) - ENVELOPE - UPDATE:
                    extra = sorted(set(body) - ENVELOPE - UPDATE)
                    verdict.problems.append(f"{audience}: an update says too much: {', '.join(extra)}")
                rows.append({"update": body.get("state"), "of": press.key})
        for id_, press in ids.items():
            wanted = 1 if audience in press.told else 0
            if alarms.count(id_) != wanted:
                verdict.problems.append(
                    f"{audience}: got the {press.key} of {press.household} {alarms.count(id_)} times, expected {wanted}"
                )
            states = tuple(updates.get(id_, ()))
            if wanted and states != press.updates:
                verdict.problems.append(
                    f"{audience}: updates of the {press.key} were {states}, expected {press.updates}"
                )
    for audience in {audience for press in expected for audience in press.told} - set(evidence.arrivals):
        verdict.problems.append(f"{audience}: had no witness")


def _wrong_fields(audience: str, arrival: Arrival, press: Expected) -> list[str]:
    """Everything that this audience was told too much, too little or wrongly about an alarm."""
    body = arrival.body
    wanted = FIELDS[audience.partition(":")[0]]
    told = frozenset(body) - ENVELOPE
    problems = []
    if told - wanted:
        problems.append(f"{audience}: was told too much about the {press.key}: {', '.join(sorted(told - wanted))}")
    if wanted - told:
        problems.append(f"{audience}: was not told {', '.join(sorted(wanted - told))} of the {press.key}")
    zh, en = WORDS[press.key]
    right = {"kind": press.key, "word_zh": zh, "word_en": en, "door": press.door, "label": press.label}
    right |= {"audience": audience, "topic": arrival.topic}
    for name, value in right.items():
        if body.get(name) != value:
            problems.append(f"{audience}: {name} of the {press.key} is {body.get(name)!r}, expected {value!r}")
    return problems


def _judge_units(evidence: Evidence, expected: Sequence[Expected], verdict: Verdict) -> None:
    seen = {str(entry["unit"]) for entry in evidence.diaries if entry.get("event") == "powered_up"}
    for unit in sorted(seen.union(*(press.rings for press in expected), (press.unit for press in expected))):
        diary = [entry for entry in evidence.diaries if entry.get("unit") == unit]
        lamps = tuple(str(entry["lamp"]) for entry in diary if entry["event"] == "lamp")
        sirens = [entry for entry in diary if entry["event"] in {"siren", "siren_changed"}]
        starts = [entry for entry in diary if entry["event"] == "siren"]
        stopped = any(entry["event"] == "siren_stopped" for entry in diary)
        rung = [press for press in expected if unit in press.rings]
        own = next((press for press in expected if press.unit == unit), None)
        if unit not in seen:
            verdict.problems.append(f"{unit}: kept no diary")
            continue
        wrong = _wrong_siren(sirens, rung, starts=len(starts), own=own in rung, stopped=stopped)
        if wrong is not None:
            verdict.problems.append(f"{unit}: {wrong}")
        wanted_lamps = () if own is None else own.lamps
        if lamps != wanted_lamps:
            verdict.problems.append(f"{unit}: its lamp showed {lamps}, expected {wanted_lamps}")
        if own is not None and not any(entry["event"] == "confirmed" and entry.get("key") for entry in diary):
            verdict.problems.append(f"{unit}: its press was never confirmed")
        verdict.units[unit] = {
            "lamps": list(lamps),
            "siren": sorted({str(entry["pattern"]) for entry in sirens}),
            "doors": _doors(sirens),
            "ms": _siren_ms(evidence, starts, rung),
            "stopped": stopped,
        }


def _wrong_siren(
    sirens: Sequence[Mapping[str, Any]], rung: Sequence[Expected], *, starts: int, own: bool, stopped: bool
) -> str | None:
    """What a unit's siren did wrongly, the worst first; None when it did what it should."""
    doors, patterns = _doors(sirens), {str(entry["pattern"]) for entry in sirens}
    wanted = sorted(press.door for press in rung)
    if sirens and not rung:
        return f"its siren sounded and named doors {doors}, and must be silent"
    if starts != len(rung):
        return f"its siren started {starts} times, expected {len(rung)}"
    if doors != wanted:
        return f"its siren named doors {doors}, expected {wanted}"
    if patterns != {press.key for press in rung}:
        return f"its siren played {', '.join(sorted(patterns))}, expected {', '.join(press.key for press in rung)}"
    if any(bool(entry["own"]) != own for entry in sirens):
        return "its siren says wrongly whether the press was its own"
    if rung and not stopped:
        return "its siren went on after the household's cancel"
    return None


def _doors(sirens: Sequence[Mapping[str, Any]]) -> list[int]:
    return sorted({int(door) for entry in sirens for door in entry["doors"]})


def _siren_ms(evidence: Evidence, starts: Sequence[Mapping[str, Any]], rung: Sequence[Expected]) -> int | None:
    if not starts or not rung:
        return None
    return round(float(starts[0]["at_ns"]) / 1e6 - _pressed_s(evidence, rung[0]) * 1_000)


def _pressed_s(evidence: Evidence, press: Expected) -> float:
    """When the finger touched the key, unix seconds, by the unit's own diary."""
    for entry in evidence.diaries:
        if entry.get("event") == "pressed" and entry.get("unit") == press.unit:
            return float(entry["at_ns"]) / 1e9
    return 0.0


def _judge_station(
    evidence: Evidence, expected: Sequence[Expected], ids: Mapping[str, Expected], tag: str, verdict: Verdict
) -> None:
    stored = {str(alarm["id"]): alarm for alarm in evidence.alarms}
    if set(stored) != set(ids):
        verdict.problems.append(f"station: has {len(stored)} alarms, expected {len(expected)}")
    for id_, press in ids.items():
        alarm = stored.get(id_)
        if alarm is None:
            continue
        if (alarm["kind"], alarm["place"], alarm["door"]) != (press.key, press.household, press.door):
            verdict.problems.append(f"station: the {press.key} of {press.household} is stored as {alarm['kind']}")
        taken_back = "cancelled_by_household" in press.updates
        if taken_back and alarm["cancelled"] is None:
            verdict.problems.append(f"station: does not know that {press.household} took the {press.key} back")
        if not taken_back and alarm["cancelled"] is not None:
            verdict.problems.append(f"station: believes that {press.household} took the {press.key} back")
        if alarm["state"] in {"closed", "archived"}:
            verdict.problems.append(f"station: the {press.key} is {alarm['state']}, and nobody closed it")
    tags = [check_in.get("detail", {}).get("tag") for check_in in evidence.check_ins]
    if tags != [tag]:
        verdict.problems.append(f"station: has check-ins {tags}, expected [{tag!r}]")
