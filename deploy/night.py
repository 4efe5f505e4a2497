"""The demo's night: two guards walk a round past three readers, a third keeps the gate, and the station judges it.

Everything takes the road that it takes in earnest: an officer lays company, guards, cards, checkpoints, routes, plans
and duty lists down over HTTP; cards are held to simulated readers on their serial ports; the gateway answers by tone
and lamp, keeps, and delivers. Only the clocks of gateway and station are put forward in between (`deploy.clock`).

张强 is late at the garage and never comes to the west gate. 李明 is at the east gate 20 s after the west gate, which is
a walk of four minutes. 王芳 keeps the east gate, on time.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.error import HTTPError
from zoneinfo import ZoneInfo

from deploy.box import Box, BoxError, Village
from deploy.clock import Dial
from deploy.ears import Ears
from deploy.site import Site
from deploy.walker import Evidence, Expected, Held, Stop

ZONE: Final = ZoneInfo("Asia/Shanghai")
"""The civil time of a station that is made of a site file (`api.settings`)."""
HOUR: Final = 23
AREA: Final = "w1"
COMPANY: Final = "anning"
SHIFT: Final = "night"
SHIFT_MIN: Final = 22 * 60 + 30, 90
"""When the shift begins, minutes of the day, and how long it lasts."""
ROUND_MIN: Final = 30, 30
"""When rounds begin, after the shift, and how long they last."""
BAND_MIN: Final = 5, 10
LEAST_S: Final = 240
"""Nobody walks from a checkpoint to another in less."""
REASON: Final = "演示: 反查西门 (demo)"

LAID_S: Final = -600
"""When the desk lays everything down, in seconds after the round begins; all times of the story count so."""
ON_DUTY_S: Final = -300
OFF_DUTY_S: Final = 3600
CLOSED_S: Final = 35 * 60
"""When the last visit closes."""
LOOKED_UP_S: Final = 0, 30 * 60
LOOKED_UP: Final = "west"

WAIT_S: Final = 10.0
HOLD_MS: Final = 200
WORDS_BYTES: Final = 512
"""As much is told of the words in which the station refuses something."""
TONES_S: Final = 0.55
"""How long an answer of three tones takes, and a little."""


@dataclass(frozen=True, slots=True)
class Point:
    """A checkpoint, and the reader that hangs there."""

    id: str
    name: str
    reader: str


@dataclass(frozen=True, slots=True)
class Guard:
    """A guard and his card, with all its 40 bits."""

    number: str
    name: str
    card: str


@dataclass(frozen=True, slots=True)
class Step:
    """A guard holds his card to a reader, or (guard None) nothing happens but that time passes."""

    at_s: int
    guard: str | None = None
    point: str | None = None


POINTS: Final = (Point("east", "东门岗亭", "r1"), Point("west", "西门", "r2"), Point("garage", "地下车库", "r3"))
GUARDS: Final = (
    Guard("G01", "张强", "0A00B1C2D3"),
    Guard("G02", "李明", "0A00B1C2D4"),
    Guard("G03", "王芳", "0A00B1C2D5"),
)
STEPS: Final = (
    Step(-120, "G03", "east"),
    Step(20, "G01", "east"),
    Step(60, "G02", "garage"),
    Step(890, "G02", "west"),
    Step(910, "G02", "east"),
    Step(25 * 60),  # the west gate's visit of G01 closes, and the station says so at once
    Step(28 * 60, "G01", "garage"),
)
NIGHT: Final = (
    Expected(
        guard="G01",
        route="north",
        stops=(Stop("east", 0, "on_time"), Stop("west", 600, "missed"), Stop("garage", 1_200, "late")),
        points=frozenset({("P02", -5), ("P04", -20)}),
        flags=frozenset(),
        answer="must_have_passed",
    ),
    Expected(
        guard="G02",
        route="south",
        stops=(Stop("garage", 0, "on_time"), Stop("west", 600, "on_time"), Stop("east", 1_200, "too_fast")),
        points=frozenset(),
        flags=frozenset({"P07"}),
        answer="was_there",
    ),
    Expected(
        guard="G03",
        route="gate",
        stops=(Stop("east", 0, "on_time"),),
        points=frozenset({("P01", 10)}),
        flags=frozenset(),
        answer="could_have_been",
    ),
)
ROUTES: Final = {"north": "北线", "south": "南线", "gate": "东门岗"}

Tell = Callable[[Step, Held | None], object]


def lacks(site: Site) -> list[str]:
    """What the night needs and the site has not."""
    gateway = site.gateways[0] if site.gateways else None
    answering = {one.id for one in (gateway.readers if gateway else ()) if None not in (one.line, one.buzzer, one.lamp)}
    needed = [f"reader {one.reader} on a line, with buzzer and lamp" for one in POINTS if one.reader not in answering]
    known = {tag.tag for tag in site.tags}
    needed += [f"tag {guard.card}" for guard in GUARDS if guard.card not in known]
    return needed + ([] if AREA in {grid.id for grid in site.grids} else [f"grid {AREA}"])


def walk(box: Box, units: Village, dial: Dial, *, tell: Tell = lambda _step, _held: None) -> Evidence:
    """Lay the night down, walk it, and ask the station about it. `tell` hears of each step.

    What does not come in time is no error here: the verdict sees that it is missing. Raises BoxError, OSError.
    """
    begins_ms = _next_night(dial.now_ms() - LAID_S * 1_000)
    dial.put_to(begins_ms + LAID_S * 1_000)
    try:
        people = _lay_down(box, begins_ms)
    except HTTPError as error:
        raise BoxError("station", f"{error.url}: {error.read(WORDS_BYTES).decode(errors='replace')}") from error
    with Ears(box.gateway_state() / "gpio.sock") as ears:
        held = []
        for step in STEPS:
            dial.put_to(begins_ms + step.at_s * 1_000)
            found = _hold(box, units, ears, step, dial)
            if found is None:
                _in_time(
                    box, lambda: bool(_of(box, "/api/v1/patrol-exceptions")), "somebody is told of what was missed"
                )
            else:
                held.append(found)
            tell(step, found)
    dial.put_to(begins_ms + CLOSED_S * 1_000)
    _in_time(box, lambda: all(one["judged"] for one in _rounds(box, begins_ms)), "every round is judged")
    return _gather(box, begins_ms, people, held)


def _next_night(now_ms: int) -> int:
    """The next time that it is 23:00 there, Unix ms."""
    now = datetime.fromtimestamp(now_ms / 1_000, ZONE)
    begins = now.replace(hour=HOUR, minute=0, second=0, microsecond=0)
    return round((begins if begins >= now else begins + timedelta(days=1)).timestamp() * 1_000)


def _lay_down(box: Box, begins_ms: int) -> dict[str, tuple[str, str]]:
    """What an officer lays down before the first night; returns number and name of each guard by his id."""
    gateway = box.site.gateways[0].id
    box.put(f"/api/v1/register/companies/{COMPANY}", {"name": "安宁保安服务公司"})
    people = {}
    for guard in GUARDS:
        new = {"service_number": guard.number, "name": guard.name, "company": COMPANY, "area": AREA}
        id_ = str(box.post("/api/v1/guards", new)["id"])
        box.post(f"/api/v1/guards/{id_}/cards", {"tag": f"0x{guard.card}"})
        people[id_] = guard.number, guard.name
    for point in POINTS:
        hangs = {"gateway": gateway, "reader": point.reader}
        box.post("/api/v1/checkpoints", {"id": point.id, "area": AREA, "name": point.name, **hangs})
    for one, other in (("east", "west"), ("west", "garage"), ("east", "garage")):
        box.put("/api/v1/patrol-legs", {"from_point": one, "to_point": other, "least_s": LEAST_S})
    starts_min, lasts_min = SHIFT_MIN
    shift = {"id": SHIFT, "area": AREA, "name": "夜班", "starts_min": starts_min, "lasts_min": lasts_min}
    box.post("/api/v1/patrol-shifts", shift)
    ids = {number: id_ for id_, (number, _) in people.items()}
    buffer_min, extended_min = BAND_MIN
    for expected in NIGHT:
        visits = [
            {
                "point": stop.point,
                "after_min": stop.planned_s // 60,
                "buffer_min": buffer_min,
                "extended_min": extended_min,
            }
            for stop in expected.stops
        ]
        route = {"id": expected.route, "area": AREA, "name": ROUTES[expected.route], "order": "timed", "visits": visits}
        box.post("/api/v1/patrol-routes", route)
        after_min, long_min = ROUND_MIN
        plan = {"route": expected.route, "shift": SHIFT, "company": COMPANY, "begins_min": [after_min]}
        box.post("/api/v1/patrol-plans", plan | {"lasts_min": long_min})
        on_duty = {
            "begins": _at(begins_ms, ON_DUTY_S),
            "ends": _at(begins_ms, OFF_DUTY_S),
            "guards": [ids[expected.guard]],
        }
        box.post("/api/v1/patrol-duties", {"area": AREA, "route": expected.route, "shift": "夜班", **on_duty})
    return people


def _hold(box: Box, units: Village, ears: Ears, step: Step, dial: Dial) -> Held | None:
    """Hold a card to a reader, and wait until it has answered and the station has the check-in."""
    if step.guard is None or step.point is None:
        return None
    card = next(guard.card for guard in GUARDS if guard.number == step.guard)
    gateway = box.site.gateways[0]
    hangs = next(point.reader for point in POINTS if point.id == step.point)
    reader = next(reader for reader in gateway.readers if reader.id == hangs)
    line = next(line for line in gateway.lines if line.name == reader.line)
    assert reader.buzzer is not None
    assert reader.lamp is not None
    before, since_ns, at_ms = len(_check_ins(box)), time.time_ns(), dial.now_ms()
    units.do("tag", unit=line.name, tag=_as_read(card, line.kind, reader.form), hold_ms=HOLD_MS)
    _in_time(box, lambda: len(_check_ins(box)) > before, "the station has the check-in")
    _in_time(box, lambda: bool(ears.rises(reader.buzzer or 0, since_ns)), "the reader answers")
    first_ns = next(iter(ears.rises(reader.buzzer, since_ns)), None)
    if first_ns is not None:  # three tones are told from one when there was time for three
        time.sleep(max(0.0, TONES_S - (time.time_ns() - first_ns) / 1e9))
    return Held(
        guard=step.guard,
        point=step.point,
        at_ms=at_ms,
        answered_ms=None if first_ns is None else (first_ns - since_ns) // 1_000_000,
        tones=len(ears.rises(reader.buzzer, since_ns)),
        lamp=ears.was_high(reader.lamp, since_ns),
    )


def _as_read(card: str, kind: str, form: str | None) -> str:
    """The face of a card that such a reader sends: a Wiegand reader cuts bits off."""
    if kind != "wiegand":
        return card
    return card[-6:] if form == "w26" else card[-8:]


def _gather(box: Box, begins_ms: int, people: Mapping[str, tuple[str, str]], held: list[Held]) -> Evidence:
    """What the station answers, as the desk asks it."""
    rounds = [box.get(f"/api/v1/patrol-rounds/{one['number']}") for one in _rounds(box, begins_ms)]
    numbers = {one["number"] for one in rounds}
    begins, ends = (_at(begins_ms, at_s) for at_s in LOOKED_UP_S)
    asked = {"point": LOOKED_UP, "begins": begins, "ends": ends, "reason": REASON}
    laid = _at(begins_ms, LAID_S)
    return Evidence(
        begins_ms=begins_ms,
        people=people,
        points={one["id"]: one["name"] for one in _of(box, "/api/v1/checkpoints")},
        held=held,
        check_ins=[one for one in _check_ins(box) if one["at"] >= laid],
        rounds=rounds,
        exceptions=[one for one in _of(box, "/api/v1/patrol-exceptions") if one["round"] in numbers],
        entries=_of(box, "/api/v1/points/entries"),
        flags=_of(box, "/api/v1/points/flags"),
        look_up=box.post("/api/v1/track-look-ups", asked),
    )


def _rounds(box: Box, begins_ms: int) -> list[dict[str, Any]]:
    day = datetime.fromtimestamp(begins_ms / 1_000, ZONE).date().isoformat()
    return _of(box, f"/api/v1/patrol-rounds?day={day}")


def _check_ins(box: Box) -> list[dict[str, Any]]:
    return _of(box, "/api/v1/check-ins")


def _of(box: Box, path: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = box.get(path)["items"]
    return items


def _at(begins_ms: int, at_s: int) -> str:
    """A moment of the story as HTTP writes it."""
    return datetime.fromtimestamp(begins_ms / 1_000 + at_s, ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%M:%SZ")


def _in_time(box: Box, holds: Callable[[], bool], what: str) -> None:
    try:
        box.wait_until(holds, what, timeout_s=WAIT_S)
    except BoxError:
        return
