"""Whoever listens hears what HTTP shows him, and nothing else: each role here and elsewhere, judged by what arrives.

Things happen in two communities while everybody listens. After each of them whatever arrived at a screen is held
against the interface, asked with the same proof: an alarm as it stands in that account's list, a step as it stands in
that account's history, a fault as it stands in its list. Every topic that is not judged here is red.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import httpx2
import pytest

from api.accounts import repository
from api.clock import wall_ms
from api.faults.service import raise_fault
from api.feed.service import put
from api.register.registrar import AreaFields, PlaceFields
from api.rights.rules import Role, Subject, rights
from api.settings import StationSettings
from broker.kinds import EventType, Kind
from tests.api.conftest import TOKENS, only_sqlite
from tests.api.peers import Maker, eventually
from tests.api.people import COMPANIES, add_account, add_grant
from tests.api.signing_in import PASSWORD, account, scope_of
from tests.api.streams import Event, Live, Screen, live

NEAR: Final = {"area": "c1", "place": "h01", "company": "beiguan"}
FAR: Final = {"area": "c2", "place": "h-far", "company": "dongmen"}
HOUR_MS: Final = 3_600_000
ALL: Final = ("north", "c1", "r1", "gr1", "c2", "r2", "gr2")
STREAMS: Final = {"/api/v1/feed"}
POLICE: Final = (Role.OFFICER, Role.DUTY_OFFICER, Role.DUTY_LEADER, Role.COMMAND_CENTRE)

pytestmark = [only_sqlite, pytest.mark.timeout(180)]


class Dial:
    """The clock of the machine, put forward by the test."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def __call__(self) -> int:
        return wall_ms() + self.ahead_ms


@dataclass
class Ear:
    """One account that listens, and what it has heard since somebody looked."""

    id: str
    role: Role
    screen: Screen
    judged: int = 0

    def fresh(self) -> list[Any]:
        """What came since the last time; without the words of the stream itself."""
        heard = [one for one in [*self.screen.events][self.judged :] if one.name not in {"hello", "heartbeat"}]
        self.judged = len(self.screen.events)
        return [one for one in heard if one.name != "fence"]


@dataclass
class Village:
    """Two communities, everybody in them, and a gateway that says what happens."""

    live: Live
    http: httpx2.Client
    dial: Dial
    gateway: Maker = field(default_factory=lambda: Maker("g1"))
    fences: Iterator[int] = field(default_factory=count)

    def person(self, id_: str, role: Role, scope: str) -> str:
        with self.live.station.database.write() as session:
            add_account(session, id_)
            add_grant(session, id_, role, scope)
        return id_

    def ask(self, who: str, method: str, path: str, body: object = None) -> httpx2.Response:
        return self.http.request(method, f"/api/v1{path}", json=body, headers=bearer(who))

    def do(self, who: str, path: str, body: object = None) -> Any:
        answer = self.ask(who, "POST", path, body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def event(self, event: EventType = EventType.PRESS, **fields: Any) -> str:
        made = self.gateway.event(event, **fields)
        self.live.station.ingest.take(self.gateway.name, [self.gateway.signer.envelope(made)])
        return made.id

    def fault(self, about: str, *areas: str) -> None:
        with self.live.station.database.write() as session:
            raise_fault(session, "battery", about=about, now_ms=self.live.station.clock(), areas={*areas}, gateway="g1")

    def fence(self, ears: list[Ear]) -> None:
        """Wait until everybody has heard whatever came before: the feed keeps its order."""
        number, everybody = next(self.fences), frozenset(one.id for one in ears)
        with self.live.station.database.write() as session:
            for where, group in ((NEAR, "gr1"), (FAR, "gr2")):
                subject = Subject(
                    areas=frozenset(ALL), group=group, place=where["place"], company=where["company"],
                    accounts=everybody, dispatched=everybody,
                )  # fmt: skip
                put(session, topic="fence", about=f"{where['area']}:{number}", body={"number": number},
                    subject=subject, eyes=EVERYBODYS, at_ms=self.live.station.clock())  # fmt: skip
        for one in ears:
            one.screen.hear("fence", lambda event: event.data["number"] == number)


EVERYBODYS: Final = frozenset({*rights().eyes.values()})


def bearer(who: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token_of(who)}"}


def token_of(who: str) -> str:
    return TOKENS.get(who, f"token-of-{who}")


@pytest.fixture
def village(settings: StationSettings) -> Iterator[Village]:
    dial = Dial()
    with live(settings, clock=dial) as one, httpx2.Client(base_url=f"http://127.0.0.1:{one.port}", timeout=60) as http:
        registrar = one.station.registrar
        areas = {"c2": "community", "r2": "grid", "gr2": "group"}
        for (id_, level), above in zip(areas.items(), ("north", "c2", "r2"), strict=True):
            police = above == "north"
            with registrar.edit("li") as edit:
                edit.create_area(id_, level, AreaFields(name="别处", parent=None if police else above,
                                                        police_parent=above if police else None))  # fmt: skip
        with registrar.edit("li") as edit:
            edit.create_place("h-far", PlaceFields(group="gr2", door=1, label="远处"))
            for company, name in COMPANIES.items():
                edit.put_company(company, name=name, code=None, if_match=None)
        yield Village(one, http, dial)


def of(alarm: str) -> Callable[[Event], bool]:
    return lambda event: bool(event.data["alarm"]["id"] == alarm)


def judge(village: Village, ear: Ear) -> set[str]:
    """Hold what arrived against what HTTP shows the same account now; returns what it was about."""
    heard = ear.fresh()
    if not heard:
        return set()
    names = {event.name for event in heard}
    shown = {
        one["id"]: clean(one)
        for one in (listed(village, ear, "/alarms?limit=200", "items") if "alarm" in names else [])
    }
    faults = {
        f"fault:{one['number']}": one
        for one in (listed(village, ear, "/faults?state=all", "faults") if "fault" in names else [])
    }
    for event in heard:
        about = event.data["about"]
        if event.name == "alarm":
            alarm = event.data["alarm"]["id"]
            assert about == f"alarm:{alarm}"
            assert shown.get(alarm) == event.data["alarm"], (ear.id, event)
            more = event.data.keys() - {"about", "at", "alarm"}
            if event.data.get("action") == "escalate":
                assert more <= {"action", "stage", "level", "late", "sound", "nobody"}, event
                climbed = village.ask(ear.id, "GET", f"/alarms/{alarm}/deadlines")
                assert climbed.status_code == 200, (ear.id, event)
                told = {(one["stage"], one["level"]) for one in climbed.json()["items"]}
                assert event.data.get("nobody") or (event.data["stage"], event.data["level"]) in told, (ear.id, event)
            elif more:
                steps = village.ask(ear.id, "GET", f"/alarms/{alarm}").json()["steps"]
                assert more == {"action", "before", "state"}, event
                assert event.data["action"] in {one["action"] for one in steps}, (ear.id, event)
        elif event.name == "fault":
            assert about in faults, (ear.id, event)
            assert event.data["code"] == faults[about]["code"]
        else:
            raise AssertionError(f"who may hear of {event.name!r}? say it here: {event}")
    return {event.data["about"] for event in heard}


def listed(village: Village, ear: Ear, path: str, items: str) -> list[dict[str, Any]]:
    answer = village.ask(ear.id, "GET", path)
    assert answer.status_code in {200, 403}, answer.text
    return answer.json()[items] if answer.status_code == 200 else []


def clean(value: Any) -> Any:
    """Without what is null, as the feed leaves it out."""
    if isinstance(value, dict):
        return {name: clean(one) for name, one in value.items() if one is not None}
    return [clean(one) for one in value] if isinstance(value, list) else value


def everybody(village: Village, stack: ExitStack) -> list[Ear]:
    """Each role, here and elsewhere, and a guard who will be sent; the police of the whole station among them."""
    people = [("li", Role.OFFICER)]
    for role in Role:
        for side, where in (("near", NEAR), ("far", FAR)):
            people.append((village.person(f"{role}-{side}", role, scope_of(role, **where)), role))
    people.append((village.person("next-door", Role.HOUSEHOLD, "h02"), Role.HOUSEHOLD))
    people.append((village.person("sent", Role.GUARD, "beiguan"), Role.GUARD))
    ears = []
    for id_, role in people:
        if role in rights().actions["feed.read"]:
            ears.append(Ear(id_, role, stack.enter_context(Screen(village.live.port, token_of(id_)))))
        else:
            assert village.ask(id_, "GET", "/feed").status_code == 403, id_
    eventually(lambda: len(village.live.station.feed._viewers) == len(ears), "all listen")
    return ears


def test_the_feed_is_the_only_stream_there_is(village: Village) -> None:
    """Whoever adds one has to add it here, to what is judged."""
    document = village.http.get("/openapi.json").json()
    found = {
        path
        for path, methods in document["paths"].items()
        for method in methods.values()
        for answer in method.get("responses", {}).values()
        if "text/event-stream" in answer.get("content", {})
    }
    assert found == STREAMS


@pytest.mark.proves("N4", "G5", "F61")
def test_nobody_hears_what_http_would_not_show_him(village: Village) -> None:
    press: dict[str, str] = {}

    def pressed(name: str, kind: Kind, number: int, **where: Any) -> None:
        press[name] = village.event(kind=kind, press=f"u1:1:{number}", **where)

    far: dict[str, Any] = {"unit": "u-far", "place": "h-far", "group": "gr2", "door": 1, "label": "远处"}

    def at(name: str, verb: str, body: dict[str, Any] | None = None) -> Callable[[], object]:
        return lambda: village.do("li", f"/alarms/{press[name]}/{verb}", body or {})

    happenings: list[tuple[str, Callable[[], object]]] = [
        ("a press here", lambda: pressed("near", Kind.PANIC, 1)),
        ("a press elsewhere", lambda: pressed("far", Kind.FIRE, 2, **far)),
        ("duress here", lambda: pressed("duress", Kind.DURESS, 3, unit="u2", place="h02", door=102)),
        ("duress elsewhere", lambda: pressed("far-duress", Kind.DURESS, 4, **far)),
        ("taken here", at("near", "acknowledge")),
        ("duress taken", at("duress", "acknowledge")),
        ("taken elsewhere", at("far", "acknowledge")),
        ("note here", at("near", "notes", {"words": "只给民警看"})),
        ("note of duress", at("duress", "notes", {"words": "只给民警看"})),
        ("sent", at("near", "dispatch", {"accounts": ["sent"]})),
        ("sent to duress", at("duress", "dispatch", {"accounts": ["zhao"]})),
        ("on the way", lambda: village.do("sent", f"/alarms/{press['near']}/on-the-way", {})),
        ("stand back", at("near", "stand-back", {"words": "不要靠近"})),
        ("taken back", lambda: village.event(EventType.CANCEL, press="u1:1:1")),
        ("taken back elsewhere", lambda: village.event(EventType.CANCEL, press="u1:1:2", **far)),
        ("called back", at("near", "recall", {"account": "sent", "reason": "不用了"})),
        ("note after that", at("near", "notes", {"words": "只给民警看"})),
        ("of another kind", at("far", "kind", {"kind": "medical", "reason": "有人晕倒"})),
        ("a fault here", lambda: village.fault("u1", "north", "c1", "r1", "gr1")),
        ("a fault elsewhere", lambda: village.fault("u-far", "north", "c2", "r2", "gr2")),
        ("a fault of the station", lambda: village.fault("disk", "north")),
    ]
    with ExitStack() as stack:
        ears = everybody(village, stack)
        begun = ears[0].screen.hear("hello").id
        told: dict[str, dict[str, set[str]]] = {}
        for what, happen in happenings:
            happen()
            village.fence(ears)
            told[what] = {ear.id: judge(village, ear) for ear in ears}
            assert told[what]["li"], f"{what}: nobody was told, so nothing is shown by this"

        def who(what: str, topic: str = "alarm") -> set[str]:
            return {id_ for id_, about in told[what].items() if any(one.startswith(topic) for one in about)}

        police = {"li"} | {f"{role}-near" for role in POLICE}
        assert who("a press here") >= {"household-near", "next-door", "grid_worker-near", "community-near"}
        assert not {id_ for id_ in who("a press here") if id_.endswith("-far")}
        assert not {id_ for id_ in who("a press elsewhere") if id_.endswith("-near")}
        assert who("duress here") <= police, who("duress here")
        assert not who("duress taken") - police
        assert not who("note of duress") - police
        assert "sent" in who("on the way")
        assert "sent" not in who("sent to duress") | who("note after that")
        assert not {id_ for id_ in who("of another kind") if id_.endswith("-near")}
        assert "grid_worker-far" in who("a fault elsewhere", "fault")
        assert "grid_worker-near" not in who("a fault elsewhere", "fault") | who("a fault of the station", "fault")

        # With the place of somebody who heard everything: it says where to go on, and opens nothing.
        for ear in ears:
            again = Ear(ear.id, ear.role, Screen(village.live.port, token_of(ear.id), last=begun))
            with again.screen:
                village.fence([again])
                heard = judge(village, again)
            if ear.id == "li":
                assert {f"alarm:{one}" for one in press.values()} < heard
                assert len([one for one in heard if one.startswith("fault:")]) >= 3
            elif ear.id == "grid_worker-near":
                assert {one for one in heard if one.startswith("alarm:")} == {f"alarm:{press['near']}"}


@pytest.mark.proves("G5", "N4")
def test_from_the_moment_that_his_rights_account_or_session_end_he_hears_nothing(village: Village) -> None:
    station = village.live.station
    chief = village.person("chief", Role.ADMINISTRATOR, "")
    account(station, "wang", (Role.GRID_WORKER, "r1"))
    with httpx2.Client(base_url=village.http.base_url, timeout=60) as page, ExitStack() as stack:

        def number_of(id_: str) -> int:
            with station.database.read() as session:
                (grant,) = repository.grants(session, [id_])
                return int(grant.number)

        def closed(id_: str) -> None:
            with station.database.write() as session:
                station.office.shut(session, id_, by="li", reason="走了")

        def grant_taken(id_: str) -> None:
            village.do(chief, f"/grants/{number_of(id_)}/end", {"reason": "调走"})

        def token_revoked(id_: str) -> None:
            with station.database.write() as session:
                station.office.revoke_token(session, "li", id_, f"t-{id_}")

        def run_out(_id: str) -> None:
            village.dial.ahead_ms += HOUR_MS

        ends: dict[str, Callable[[str], None]] = {
            "closed": closed, "grant-taken": grant_taken, "token-revoked": token_revoked, "run-out": run_out,
        }  # fmt: skip
        stays = Ear("stays", Role.GRID_WORKER, stack.enter_context(
            Screen(village.live.port, token_of(village.person("stays", Role.GRID_WORKER, "r1")))))  # fmt: skip
        for number, (id_, end) in enumerate(ends.items(), 1):
            village.person(id_, Role.GRID_WORKER, "r1")
            if end is run_out:
                with station.database.write() as session:
                    repository.change(session, repository.GRANT, {"account": id_}, to_ms=station.clock() + HOUR_MS)
            with Screen(village.live.port, token_of(id_)) as screen:
                eventually(lambda: len(station.feed._viewers) == 2, "both listen")
                before = village.event(press=f"u1:9:{number}")
                screen.hear("alarm", of(before))
                end(id_)
                after = village.event(press=f"u1:8:{number}")
                stays.screen.hear("alarm", of(after))
                screen.ended()
                heard = {event.data["alarm"]["id"] for event in screen.named("alarm")}
                assert before in heard
                assert after not in heard, id_
                last = screen.named("alarm")[0].id
            refused = village.http.get("/api/v1/feed", headers=bearer(id_) | {"Last-Event-ID": last})
            assert refused.status_code in {401, 403}, id_
            eventually(lambda: len(station.feed._viewers) == 1, "it is gone")

        origin = {"Origin": str(village.http.base_url).rstrip("/")}
        began = page.post("/api/v1/session", json={"login": "wang", "password": PASSWORD}, headers=origin)
        assert began.is_success, began.text
        cookie = "; ".join(f"{name}={value}" for name, value in page.cookies.items())
        origin["X-CSRF-Token"] = began.json()["csrf"]
        with Screen(village.live.port, "", cookie=cookie) as screen:
            eventually(lambda: len(station.feed._viewers) == 2, "both listen")
            before = village.event(press="u1:9:77")
            screen.hear("alarm", of(before))
            out = page.delete("/api/v1/session", headers=origin)
            assert out.is_success, out.text
            after = village.event(press="u1:8:77")
            stays.screen.hear("alarm", of(after))
            screen.ended()
            assert after not in json.dumps([event.data for event in screen.events])
        assert page.get("/api/v1/feed", headers={"Cookie": cookie}).status_code == 401
