"""The demo: a village of ten households on this machine, with real wires as far as software goes.

`run_once` plays a short evening and has it judged from outside: a panic, acknowledged; a duress; a check-in; the
panic taken back. Then it is night, and guards walk a round (`deploy.night`). `deploy.stage` shows the same village
live.
"""

import time
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, Final

from broker.acl import Principal, acl_file
from deploy import check, night, walker
from deploy.box import Box, BoxError, Village
from deploy.clock import Dial
from deploy.observers import Witnesses
from deploy.site import Site
from deploy.verdict import Evidence, Expected, Verdict, judge

HOUSEHOLDS: Final = tuple(f"h{number:02}" for number in range(1, 11))
UNITS: Final = tuple(f"u{number:02}" for number in range(1, 11))
TAG: Final = "0A00B1C2D3"
WAIT_S: Final = 10.0
QUIET_S: Final = 1.0
"""When nothing has reached any witness for so long, the evening is over."""

EVERYBODY_BUT_H03: Final = frozenset(
    {"police", "community:c1", "grid:w1", *(f"household:{household}" for household in HOUSEHOLDS if household != "h03")}
)

EVENING: Final = (
    Expected(
        key="panic",
        unit="u03",
        household="h03",
        door=503,
        label="3号楼503",
        told=EVERYBODY_BUT_H03,
        rings=frozenset(UNITS),
        updates=("acknowledged", "cancelled_by_household"),
        lamps=("kept", "police_have_it"),
    ),
    Expected(
        key="duress",
        unit="u07",
        household="h07",
        door=602,
        label="3号楼602",
        told=frozenset({"police"}),
        rings=frozenset(),
        updates=(),
        lamps=(),
    ),
)


class Act(Enum):
    """What the demo does one after another."""

    VILLAGE = "village"
    EVENING = "evening"
    NIGHT = "night"


class NotAVillage(ValueError):
    """The evening cannot be played at this site. Field: `lacks`."""

    def __init__(self, path: Path, lacks: tuple[str, ...]) -> None:
        self.lacks = lacks
        super().__init__(
            f"{path}: the demo presses keys of examples/village.toml, and here its first gateway has no "
            f"{', '.join(lacks)}"
        )


@contextmanager
def village(site_path: Path, directory: Path, *, render_acl: Callable[[Iterable[Principal]], str] = acl_file) -> Any:
    """The whole village, running: yields (box, units, witnesses, dial), the last those of the village's clock.

    Raises BoxError, BrokerError, SiteError, KeysError, NotAVillage.
    """
    site = check.load(site_path)
    lacks = _lacks(site)
    if lacks:
        raise NotAVillage(site_path, lacks)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    dial = Dial(directory / "clock", make=True)
    with Box(site, site_path, directory, render_acl=render_acl, gpio="mock", clock=directory / "clock") as box:
        box.broker.start()
        with Witnesses(box) as witnesses:
            box.start_station()
            units = box.start_village()
            box.start_gateway()
            wait_for_hellos(units, len(site.gateways[0].units))
            yield box, units, witnesses, dial


def run_once(
    site_path: Path,
    directory: Path,
    *,
    render_acl: Callable[[Iterable[Principal]], str] = acl_file,
    tell: Callable[[Act], object] = lambda _: None,
) -> Verdict:
    """Play evening and night, and judge them. `tell` hears of what is played when it begins."""
    tell(Act.VILLAGE)
    with village(site_path, directory, render_acl=render_acl) as (box, units, witnesses, dial):
        tell(Act.EVENING)
        play(box, units, witnesses)
        evidence = gather(box, units, witnesses)
        tell(Act.NIGHT)
        walked = night.walk(box, units, dial)
    verdict, judged = judge(evidence, EVENING, tag=TAG), walker.judge(walked, night.NIGHT)
    verdict.problems += judged.problems
    verdict.patrol = judged.report
    return verdict


def play(box: Box, units: Village, witnesses: Witnesses) -> None:
    """One panic, acknowledged by the desk; one duress; one check-in; the panic taken back.

    What does not come in time is no error here: the verdict sees that it is missing.
    """
    panic, duress = EVENING
    _press(units, panic)
    for audience in sorted(panic.told):
        witnesses.wait(audience, lambda arrival: arrival.body.get("type") == "alarm", timeout_s=WAIT_S)
    _in_time(lambda: box.wait_until(lambda: bool(_alarms(box)), "the station has the panic", timeout_s=WAIT_S))
    for alarm in _alarms(box):
        box.post(f"/api/v1/alarms/{alarm['id']}/acknowledge")
    _in_time(lambda: units.wait(_lamp(panic.unit, "police_have_it"), timeout_s=WAIT_S))
    _press(units, duress)
    _in_time(lambda: box.wait_until(lambda: len(_alarms(box)) > 1, "the station has the duress", timeout_s=WAIT_S))
    units.do("tag", unit="gate", tag=TAG)
    _in_time(lambda: box.wait_until(lambda: bool(check_ins(box)), "the station has the check-in", timeout_s=WAIT_S))
    units.do("cancel", unit=panic.unit)
    for unit in sorted(panic.rings):
        _in_time(partial(units.wait, _event("siren_stopped", unit), timeout_s=WAIT_S))
    for audience in sorted(panic.told):
        witnesses.wait(
            audience, lambda arrival: arrival.body.get("state") == "cancelled_by_household", timeout_s=WAIT_S
        )
    _wait_for_quiet(witnesses)


def gather(box: Box, units: Village, witnesses: Witnesses) -> Evidence:
    """What was seen, from outside."""
    return Evidence(
        arrivals=witnesses.everything(),
        diaries=tuple(units.events),
        alarms=_alarms(box),
        check_ins=check_ins(box),
    )


def _lacks(site: Site) -> tuple[str, ...]:
    """What the evening needs and the site has not."""
    gateway = site.gateways[0] if site.gateways else None
    there = {f"unit {unit.id} of {unit.household}" for unit in gateway.units} if gateway else set()
    there |= {f"tag reader {line.name}" for line in gateway.lines if line.kind == "rdm6300"} if gateway else set()
    there |= {f"tag {tag.tag}" for tag in site.tags}
    needed = [f"unit {unit} of {household}" for unit, household in zip(UNITS, HOUSEHOLDS, strict=True)]
    needed += ["tag reader gate", f"tag {TAG}"]
    return (*(one for one in needed if one not in there), *(one for one in night.lacks(site) if one not in needed))


def _press(units: Village, press: Expected) -> None:
    units.do("press", unit=press.unit, key=press.key, hold_ms=300)
    _in_time(
        lambda: units.wait(
            lambda event: event.get("event") == "confirmed" and event.get("key") == press.key, timeout_s=WAIT_S
        )
    )


def _in_time(wait: Callable[[], object]) -> None:
    try:
        wait()
    except BoxError:
        return


def _alarms(box: Box) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = box.get("/api/v1/alarms")["items"]
    return items


def check_ins(box: Box) -> list[dict[str, Any]]:
    """The check-ins that the station has."""
    items: list[dict[str, Any]] = box.get("/api/v1/events?type=check_in")["items"]
    return items


def _event(name: str, unit: str) -> Callable[[dict[str, Any]], bool]:
    return lambda event: event.get("event") == name and event.get("unit") == unit


def _lamp(unit: str, lamp: str) -> Callable[[dict[str, Any]], bool]:
    return lambda event: _event("lamp", unit)(event) and event.get("lamp") == lamp


def wait_for_hellos(units: Village, count: int) -> None:
    """A unit that powers up says hello; when all are answered, the line is quiet."""
    greeted: set[str] = set()

    def all_greeted(event: dict[str, Any]) -> bool:
        if event.get("event") == "confirmed":
            greeted.add(str(event["unit"]))
        return len(greeted) >= count

    units.wait(all_greeted, timeout_s=30)


def _wait_for_quiet(witnesses: Witnesses) -> None:
    """Until nothing has come for QUIET_S: what should not come has had its time."""
    count, since = -1, time.monotonic()
    while time.monotonic() - since < QUIET_S:
        now = sum(len(arrivals) for arrivals in witnesses.everything().values())
        if now != count:
            count, since = now, time.monotonic()
        time.sleep(0.05)
