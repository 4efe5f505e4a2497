"""One attack from the first press to the verdict: `shouwang faults`.

A village in real processes is pressed in all its keys while nemeses hurt it. Then everything is healed, what is under
way arrives, and what was pressed, confirmed, journalled, stored, told and sounded is compared as sets (`faults.sets`).
The verdict comes from outside: units' own diaries, files copied from under the programs, a client at the broker for
each audience, and a table of who may know what that was written down by hand.

Exit code 0: nothing was lost, out of nowhere, leaked, rung twice or out of order, and in the peace afterwards
everybody learned again. 1: something was; everything is kept in a folder, with the seed.
"""

import json
import os
import platform
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Final

from deploy.box import BoxError
from faults.audiences import DOORS, SILENT, may_sound
from faults.disks import CuttableDisk, NoSuchDisk, SmallDisk
from faults.nemeses import GATEWAY, NEMESES, Field, Nemesis, called, shortened, within_reach
from faults.schedule import Blow, Struck, plan
from faults.sets import Evidence, Verdict, confirmed, given_up, pressed
from faults.town import Town, town

UNHURT, HURT = 0, 1

KEYS: Final = (*("panic",) * 6, *("help", "medical", "fire", "intrusion", "duress") * 2)
"""What is pressed, as often as it stands here."""
HOLD_MS: Final = 50
SETTLE_S: Final = 90.0
NOTED_EACH_S: Final = 10.0
"""A gateway on a full disk keeps the words of the last thousand events."""
SMOKE_S: Final = 40.0
"""With the start, the peace afterwards and the verdict a smoke takes a minute."""
SMOKE_MOST_S: Final = 4.0
"""How long one fault lasts at the most in a short attack, so that many come."""
SMOKE_AT_ONCE: Final = 3
AFTER_S: Final = 5.0
"""So long after whatever sounds sirens was dead it may still be catching up."""
SHOWN: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of an attack. Times in seconds from its beginning."""

    at: str
    machine: str
    seed: int
    length_s: float
    took_s: float
    planned: int
    """How many blows the schedule had."""
    struck: Sequence[Struck]
    """Those that were let loose, by when they began."""
    skipped: Mapping[str, str]
    counts: Mapping[str, int]
    found: Mapping[str, Sequence[str]]
    """By name what should not be; empty lists where nothing is."""
    sirens: Mapping[str, float]
    """Seconds from a press to the first siren that names its door, while nothing was dead that sounds it."""
    invariants: Mapping[str, str] = field(default_factory=dict)
    kept_in: str | None = None

    @property
    def unhurt(self) -> bool:
        """Whether nothing was found."""
        return not any(self.found.values())


@dataclass(slots=True)
class _Attack:
    """What goes on while it lasts."""

    field: Field
    locks: dict[str, threading.Lock]
    over: threading.Event
    began: float
    tell: Callable[[str], None]
    troubles: list[str]
    struck: list[Struck]
    local: list[tuple[float, float]]
    """Spans in which what sounds sirens was dead, by the clock of the diaries: unix nanoseconds."""

    def strike(self, blow: Blow, nemesis: Nemesis) -> None:
        """Let one nemesis loose at its time, for its time."""
        self.over.wait(max(0.0, self.began + blow.at_s - time.monotonic()))
        if self.over.is_set():
            return
        with ExitStack() as held:
            for what in sorted(nemesis.kind.hurts):
                held.enter_context(self.locks[what])
            if self.over.is_set():
                return  # whoever had it before had it to the end
            from_ns, begin_s = time.time_ns(), time.monotonic() - self.began
            self.tell(f"{begin_s:6.1f} s  {blow.name} for {blow.lasts_s:.1f} s: {nemesis.words}")
            try:
                with nemesis.harm(self.field, Random(blow.seed)):
                    self.over.wait(blow.lasts_s)
            except Exception as error:  # noqa: BLE001 - a program that does not come back is a finding
                self.troubles.append(f"{blow.name} at {begin_s:.1f} s: {error}")
                self.tell(self.troubles[-1])
            end_s = time.monotonic() - self.began
            self.struck.append(Struck(blow.name, round(begin_s, 2), round(end_s, 2)))
            if nemesis.local:
                self.local.append((from_ns, time.time_ns() + AFTER_S * 1e9))

    def press(self, dice: Random, each_s: float) -> None:
        """Press keys until it is over, each unit no faster than a finger can."""
        units = [*DOORS]
        while not self.over.wait(dice.uniform(0.5, 1.5) * each_s):
            unit = units.pop(dice.randrange(len(units) // 2 + 1))
            units.append(unit)
            self.field.town.village.do("press", unit=unit, key=dice.choice(KEYS), hold_ms=HOLD_MS)


def run(
    *,
    length_s: float = SMOKE_S,
    seed: int,
    only: Iterable[str] = (),
    each_s: float = 0.1,
    keep: Path | None = None,
    tell: Callable[[str], None] = lambda _line: None,
    mutations: Mapping[str, str] | None = None,
) -> Report:
    """Attack a village for `length_s`, pressing a key every `each_s`. Raises BoxError when it does not even start.

    `only`: these nemeses. `keep`: where everything goes when something was found. `mutations`: promises that programs
    break on purpose (`faults.launch`), to see that it is found.
    """
    dice = Random(seed)
    folder = Path(tempfile.mkdtemp(prefix="shouwang-faults-"))
    began = time.monotonic()
    with ExitStack() as stack:
        disk, broker_disk, skipped = _disks(stack, folder)
        reach = within_reach(root=disk is not None)
        wanted = {name for text in only for name in called(text)}
        chosen = {name: one for name, one in reach.items() if not wanted or name in wanted}
        kinds = [one.kind for one in chosen.values()]
        if length_s <= SMOKE_S:
            kinds = [shortened(kind, SMOKE_MOST_S) for kind in kinds]
        blows = plan(kinds, length_s=length_s, dice=dice, at_once=SMOKE_AT_ONCE if length_s <= SMOKE_S else 2)
        state = None
        if disk is not None:
            state = disk.mountpoint / "gateway"
            state.mkdir()
        running = stack.enter_context(
            town(
                folder / "town",
                gateway_state=state,
                broker_state=None if broker_disk is None else broker_disk.mountpoint,
                links=True,
                mutations=mutations,
            )
        )
        running.wait_greeted()
        tell(f"seed {seed}: {len(blows)} blows of {len(kinds)} kinds in {length_s:.0f} s")
        where = Field(running, disk, broker_disk)
        attack = _fight(where, blows, chosen, length_s=length_s, each_s=each_s, dice=dice, tell=tell)
        evidence, verdict, counts = _look(running, attack, tell)
        found = _found(attack, verdict)
        report = Report(
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            machine=f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()} {platform.release()}, "
            f"Python {platform.python_version()}",
            seed=seed,
            length_s=length_s,
            took_s=round(time.monotonic() - began, 1),
            planned=len(blows),
            struck=sorted(attack.struck, key=lambda one: one.begin_s),
            skipped=skipped,
            counts=counts,
            found=found,
            sirens=_sirens(evidence, attack.local),
            invariants=_invariants(found),
            kept_in=None if keep is None or not any(found.values()) else str(keep),
        )
        if report.kept_in is not None and keep is not None:
            _keep(folder, state, keep, report)
    shutil.rmtree(folder, ignore_errors=True)
    return report


def _disks(stack: ExitStack, folder: Path) -> tuple[CuttableDisk | None, SmallDisk | None, dict[str, str]]:
    try:
        disk = stack.enter_context(CuttableDisk(folder))
        return disk, stack.enter_context(SmallDisk(folder / "small")), {}
    except NoSuchDisk as error:
        return None, None, {name: str(error) for name, one in NEMESES.items() if one.root}


def _fight(
    where: Field,
    blows: Sequence[Blow],
    chosen: Mapping[str, Nemesis],
    *,
    length_s: float,
    each_s: float,
    dice: Random,
    tell: Callable[[str], None],
) -> _Attack:
    attack = _Attack(
        field=where,
        locks={what: threading.Lock() for one in chosen.values() for what in one.kind.hurts},
        over=threading.Event(),
        began=time.monotonic(),
        tell=tell,
        troubles=[],
        struck=[],
        local=[],
    )
    threads = [threading.Thread(target=attack.strike, args=(blow, chosen[blow.name])) for blow in blows]
    threads.append(threading.Thread(target=attack.press, args=(Random(dice.getrandbits(32)), each_s)))
    for thread in threads:
        thread.start()
    while (left_s := attack.began + length_s - time.monotonic()) > 0 and not attack.over.wait(
        min(left_s, NOTED_EACH_S)
    ):
        with attack.locks.get(GATEWAY, threading.Lock()):  # nobody looks at a disk that is being pulled out
            where.town.note_journal()
    attack.over.set()
    for thread in threads:
        thread.join()
    return attack


def _look(running: Town, attack: _Attack, tell: Callable[[str], None]) -> tuple[Evidence, Verdict, dict[str, int]]:
    """Wait for what is under way, judge it, and press once more in peace: then everybody has to learn."""
    tell("healed; what is under way arrives")
    _try(attack, "afterwards", lambda: running.settle(timeout_s=SETTLE_S))
    before = running.verdict(timeout_s=0)
    copies, untold = before.copies, len(before.untold)
    _try(attack, "in the peace afterwards", lambda: _in_peace(running))
    verdict = running.verdict(timeout_s=10)
    evidence = running.evidence()
    said, kept = pressed(evidence.events), confirmed(evidence.events)
    counts = {
        "pressed": sum(one.press is not None for one in said.values()),
        "confirmed": sum(said[key].press is not None for key in kept if key in said),
        "journalled": sum(row.type == "press" for row in evidence.journal),
        "stored": sum(row.type == "press" for row in evidence.inbox),
        "alarms": len(evidence.alarms),
        "no room for, at the unit": len(given_up(evidence.events)),
        "told": sum(map(len, evidence.delivered.values())),
        "sounded": sum(event["event"] in {"siren", "siren_changed"} for event in evidence.events),
        "copies": copies,
        "untold in the storm": untold,
    }
    return evidence, verdict, counts


def _in_peace(running: Town) -> None:
    for unit, key in (("u03", "panic"), ("u06", "medical"), ("u07", "duress")):
        running.press(unit, key)
    running.settle()


def _try(attack: _Attack, when: str, step: Callable[[], None]) -> None:
    try:
        step()
    except BoxError as error:
        notes = " ".join(getattr(error, "__notes__", ()))
        attack.troubles.append(f"{when}: {error} {notes}".strip())


def _found(attack: _Attack, verdict: Verdict) -> dict[str, list[str]]:
    return {
        "lost": verdict.lost,
        "phantom": verdict.phantom,
        "leaked": verdict.leaked,
        "rung_twice": verdict.rung_twice,
        "disordered": verdict.disordered,
        "not_well_afterwards": [*attack.troubles, *verdict.untold, *verdict.unrung],
    }


def _invariants(found: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Each invariant that an attack can break, and how many findings break it."""
    lost = Counter("N1" if line.endswith("journal") else "N2" for line in found["lost"])
    twice = sum("opened" in line or "times" in line for line in found["phantom"])
    broken = {
        "N1": lost["N1"],
        "N2": lost["N2"],
        "N3": twice,
        "N4": len(found["leaked"]),
        "N6": len(found["disordered"]),
        "N9": len(found["phantom"]) - twice,
        "N12": len(found["rung_twice"]),
        "N14": len(found["not_well_afterwards"]),
    }
    return {name: "kept" if not many else f"broken {many} times" for name, many in broken.items()}


def _sirens(evidence: Evidence, local: Sequence[tuple[float, float]]) -> dict[str, float]:
    """How soon a door was named by a siren, for each press that may be heard."""
    sounds: list[tuple[int, frozenset[int]]] = []
    playing: dict[str, frozenset[int]] = {}
    for event in sorted(evidence.events, key=lambda one: one.get("at_ns", 0)):
        match event["event"]:
            case "siren" | "siren_changed":
                playing[event["unit"]] = frozenset(event["doors"])
            case "siren_stopped" | "power_lost":
                playing[event["unit"]] = frozenset()
            case _:
                continue
        sounds.append((event["at_ns"], frozenset[int]().union(*playing.values())))
    took = sorted(
        _soonest(sounds, DOORS[one.unit], one.at_ns)
        for one in pressed(evidence.events).values()
        if one.press is not None
        and one.press not in SILENT
        and may_sound(one.unit, one.press)
        and not any(from_ns - 1e9 <= one.at_ns <= to_ns for from_ns, to_ns in local)
    )
    if not took:
        return {}
    at = {"p50": 0.5, "p99": 0.99, "slowest": 1.0}
    return {name: round(took[min(len(took) - 1, int(len(took) * share))], 3) for name, share in at.items()}


def _soonest(sounds: Sequence[tuple[int, frozenset[int]]], door: int, at_ns: int) -> float:
    """Seconds until `door` is named by any siren; 0 when one names it already."""
    named = False
    for when, doors in sounds:
        if when > at_ns:
            if named:
                return 0.0
            if door in doors:
                return (when - at_ns) / 1e9
        named = door in doors
    return 0.0 if named else float("inf")


def _spans(struck: Sequence[Struck]) -> dict[str, list[str]]:
    """From when to when each fault was let loose, by name."""
    spans: dict[str, list[str]] = {}
    for one in struck:
        spans.setdefault(one.name, []).append(f"{one.begin_s:.1f}-{one.end_s:.1f}")
    return dict(sorted(spans.items()))


def _keep(folder: Path, state: Path | None, keep: Path, report: Report) -> None:
    """All that happened, for whoever looks for the reason: logs, journal, tables, the broker's store, diaries."""
    keep.mkdir(parents=True, exist_ok=True)
    shutil.copytree(folder / "town", keep / "town", symlinks=True, dirs_exist_ok=True, ignore=_no_sockets)
    if state is not None:
        shutil.copytree(state, keep / "gateway", dirs_exist_ok=True, ignore=_no_sockets)
    (keep / "report.json").write_text(as_json(report) + "\n")


def _no_sockets(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if not (Path(folder) / name).is_file() and not (Path(folder) / name).is_dir()}


def as_json(report: Report) -> str:
    """For machines."""
    told: dict[str, Any] = asdict(report)
    told["found"] = {name: {"count": len(lines), "first": lines[:SHOWN]} for name, lines in report.found.items()}
    return json.dumps({**told, "unhurt": report.unhurt}, ensure_ascii=False, indent=2)


def as_text(report: Report) -> str:
    """For people: what was done, what was counted, what was found."""
    lines = [
        f"{report.at}  {report.machine}",
        (
            f"seed {report.seed}, {report.length_s:.0f} s, {len(report.struck)} of {report.planned} blows struck, "
            f"{report.took_s:.0f} s in all"
        ),
        *(f"  {name} {len(spans)} times: {', '.join(spans)}" for name, spans in _spans(report.struck).items()),
        "  ".join(f"{name} {many}" for name, many in report.counts.items()),
        "siren after a press: " + (", ".join(f"{name} {s:.3f} s" for name, s in report.sirens.items()) or "none"),
        "  ".join(f"{name} {len(lines)}" for name, lines in report.found.items()),
        "  ".join(f"{name} {how}" for name, how in report.invariants.items()),
    ]
    lines += [f"not tried: {name}: {why}" for name, why in report.skipped.items()]
    lines += [f"{name}: {line}" for name, found in report.found.items() for line in found[:SHOWN]]
    if report.kept_in is not None:
        lines.append(f"everything is kept in {report.kept_in}")
    return "\n".join(lines)
