"""One planted duress, and every exit of the station walked as each role without the police's eyes: nothing is there.

The test knows nothing of how answers are made. It asks every GET route twice, as each role, before and after somebody
presses in duress and the police handle it to the end; the clock stands still in between. Whatever differs is a leak.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from api.rights.rules import Role, Without, rights
from broker.kinds import EventType, Kind
from broker.messages import GatewayEvent
from broker.policy import Audience
from broker.topics import Name, build
from broker.topics import Role as TopicRole
from deploy.mosquitto import PrivateBroker
from tests.api.conftest import Serve, Served, only_sqlite
from tests.api.peers import COMMUNITY, GRID, HOUSEHOLDS, STATION, Gateway, Peer, eventually, principal
from tests.api.people import MOMENT, Hands, Somebody, somebody

SCOPES = {
    Role.HOUSEHOLD: "h02",
    Role.GROUP_LEADER: "gr1",
    Role.GRID_WORKER: "r1",
    Role.COMMUNITY: "c1",
    Role.TOWNSHIP: "c1",
    Role.INSTALLER: "gr1",
    Role.GUARD: "guards",
    Role.GUARD_COMPANY: "guards",
    Role.ADMINISTRATOR: "",
    Role.AUDITOR: "",
}
"""Every role without the police's eyes, each over what the duress comes from."""

CHAIN = frozenset({"/api/v1/audit/verify", "/api/v1/audit"})
"""The record of who did what: it grows with every deed of anybody; that it grew tells of no alarm."""
COUNTERS = frozenset({"/healthz", "/metrics"})
"""They count events of every sort together: check-ins, heartbeats, faults and presses."""
STREAMS = frozenset({"/api/v1/feed"})
"""Never ends; `test_feed` listens to it."""


@pytest.fixture
def station(serve: Serve, hands: Hands) -> Iterator[Served]:
    with serve(clock=hands) as one:
        yield one


@dataclass(frozen=True)
class Walk:
    """What every route answered."""

    answers: dict[str, tuple[int, str]]

    def differs(self, other: "Walk") -> dict[str, tuple[object, object]]:
        return {
            path: (self.answers.get(path), other.answers.get(path))
            for path in self.answers.keys() | other.answers.keys()
            if self.answers.get(path) != other.answers.get(path)
        }


def walk(who: Somebody, paths: list[str]) -> Walk:
    answers: dict[str, tuple[int, str]] = {}
    for path in paths:
        answer = who.served.client.get(path, headers={"Authorization": f"Bearer token-of-{who.id}"})
        answers[path] = (answer.status_code, answer.text)
    return Walk(answers)


def paths_of(station: Served, known: dict[str, str]) -> list[str]:
    """Every GET route with its parameters filled in, what a query must have included."""
    app: Any = station.client.app
    found = []
    for path, methods in app.openapi()["paths"].items():
        if "get" not in methods or path in CHAIN | COUNTERS | STREAMS:
            continue
        query = [
            f"{one['name']}={known[one['name']]}"
            for one in methods["get"].get("parameters", [])
            if one["in"] == "query" and (one.get("required") or one["name"] in {"over", "reason"})
        ]
        filled = re.sub(r"\{(\w+)\}", lambda name: known[name.group(1)], path)
        found.append("?".join([filled, "&".join(query)]) if query else filled)
        found += [f"{filled}?{'&'.join([*query, f'format={form}'])}" for form in ("csv", "html")
                  if any(one["name"] == "format" for one in methods["get"].get("parameters", []))]  # fmt: skip
    assert len(found) > 40
    return found


def press(gateway: Gateway, hands: Hands, event: EventType = EventType.PRESS, **more: Any) -> GatewayEvent:
    made = gateway.event(event, at_ms=hands.now_ms - 5, **more)
    gateway.send([made])
    gateway.receipted([made])
    return made


def handle(officer: Somebody, leader: Somebody, alarm: str) -> None:
    """From taking it to the archive."""
    path = f"/api/v1/alarms/{alarm}"
    officer.post(f"{path}/acknowledge")
    officer.post(f"{path}/notes", {"words": "便衣前往"})
    officer.post(f"{path}/dispatch", {"accounts": [officer.id]})
    officer.post(f"{path}/on-the-way", {})
    officer.post(f"{path}/on-scene", {})
    officer.post(f"{path}/call-back", {"result": "in_need", "in_person": True})
    officer.post(f"{path}/resolve", {"outcome": "real"})
    leader.post(f"{path}/follow-up", {"satisfaction": 5, "in_person": True})
    officer.post(f"{path}/archive")


@only_sqlite
@pytest.mark.timeout(240)  # every route as every role, twice: it grows with both
@pytest.mark.proves("N4", "G5")
def test_nobody_without_the_polices_eyes_can_tell_that_there_was_duress(
    station: Served, broker: PrivateBroker, hands: Hands, capfd: pytest.CaptureFixture[str]
) -> None:
    assert {role for role, eyes in rights().eyes.items() if eyes is not Audience.POLICE} == SCOPES.keys()
    people = {
        role: somebody(station, f"as-{role.value.replace('_', '-')}", role, scope) for role, scope in SCOPES.items()
    }
    officer = somebody(station, "xu", Role.DUTY_OFFICER, "north")
    leader = somebody(station, "tang", Role.DUTY_LEADER, "north")
    listeners = [
        Peer(
            broker,
            principal(TopicRole.COMMUNITY, COMMUNITY),
            *_topics(Name.COMMUNITY_ALARM, Name.COMMUNITY_UPDATE, COMMUNITY),
        ),
        Peer(broker, principal(TopicRole.GRID, GRID), *_topics(Name.GRID_ALARM, Name.GRID_UPDATE, GRID)),
        *(
            Peer(
                broker, principal(TopicRole.HOUSEHOLD, one), *_topics(Name.HOUSEHOLD_ALARM, Name.HOUSEHOLD_UPDATE, one)
            )
            for one in HOUSEHOLDS
        ),
    ]
    with Gateway(broker) as gateway:
        seen = press(gateway, hands).id
        press(gateway, hands, EventType.CHECK_IN)
        told = "SELECT 1 FROM deadline WHERE stage = 'acknowledge' AND level = 0 AND outcome != 'running'"
        eventually(lambda: station.rows(told) != [], "told whoever is told at once")
        # What counts the machine's seconds stands still like the clock: a walk may take more than the minute after
        # which the next level is told, and after which a desk is unattended.
        station.station.ladder_clock.stop()
        station.station.rounds.stop()
        silent = gateway.event(at_ms=hands.now_ms - 5, kind=Kind.DURESS, press="u1:1:90")
        values = {
            "alarm": seen, "group": "gr1", "area": "c1", "place": "h01", "unit": "u1", "gateway": "g1", "number": "1",
            "id": "x", "day": MOMENT.date().isoformat(), "reason": "test", "grid": "r1", "account": "xu",
            "over": "true", "begins": MOMENT.isoformat(), "ends": MOMENT.isoformat(),
        }  # fmt: skip
        known = _Known(values)
        both = paths_of(station, known) + paths_of(station, _Known(known | {"alarm": silent.id}))
        paths = [*dict.fromkeys(both)]  # most name no alarm
        everything = walk(officer, paths)
        walk(leader, paths[:1])  # whose tokens are used is no secret from administrators
        before = {role: walk(who, paths) for role, who in people.items()}

        for peer in listeners:
            peer.__enter__()
        capfd.readouterr()
        gateway.send([silent])
        gateway.receipted([silent])
        handle(officer, leader, silent.id)
        logged = capfd.readouterr()

        after = {role: walk(who, paths) for role, who in people.items()}
        for role in SCOPES:
            for path, (was, now) in before[role].differs(after[role]).items():
                assert was == now, f"{role} {path}"
        assert everything.differs(walk(officer, paths)), "the walk sees nothing at all"
        for peer in listeners:
            assert peer.heard == []
            peer.__exit__()
    for secret in ("duress", "胁迫", silent.id, "h01"):
        assert secret not in logged.out + logged.err, secret


class _Known(dict[str, str]):
    """Values for parameters; one that nobody foresaw gets a word that is no id of anything."""

    def __missing__(self, name: str) -> str:
        return "nothing"


def _topics(alarm: Name, update: Name, id_: str) -> tuple[str, str]:
    return build(alarm, STATION, id_), build(update, STATION, id_)


def test_routes_that_ask_nobody_are_few_and_known() -> None:
    asked = {action for action, row in rights().actions.items() if row is Without.ANYBODY}
    assert asked <= {
        "console.read",
        "health.read",
        "docs.read",
        "board.read",
        "complaint.make",
        "session.begin",
        "joining.use",
        "metrics.read",
        "privacy.fields",
    }
