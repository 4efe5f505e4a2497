"""A broker that lets everybody do everything: whoever is in it makes nothing ring and nothing show."""

import json
from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

import pytest

from broker import ids
from broker.acl import Principal
from broker.ids import GatewayId
from broker.kinds import Kind
from broker.messages import AlarmView
from broker.signing import STATION_KID, Signer, canonical, gateway_kid
from broker.topics import TABLE, Name, Role, build
from faults.audiences import DOORS
from faults.town import Town, town
from tests.deploy.mailbox import Arrival, Mailbox

INTRUDER = "north.gateway.gw2"
NEIGHBOUR = """
[[household]]
id = "h11"
group = "ten1"
door = 611
remote = true

[[gateway]]
id = "gw2"

[[gateway.line]]
name = "line1"
port = "line1"

[[gateway.unit]]
id = "u11"
line = "line1"
address = 11
household = "h11"
"""
IDS = {
    Role.COMMUNITY: ("c1",),
    Role.GRID: ("w1",),
    Role.HOUSEHOLD: tuple(f"h{number:02}" for number in range(1, 12)),
    Role.GATEWAY: ("gw1", "gw2"),
}
STRANGE = Signer(gateway_kid(GatewayId("gw9")), bytes(range(7, 39)))


def everything(accounts: Iterable[Principal]) -> str:
    return "".join(f"user {one.user}\ntopic readwrite #\n\n" for one in accounts)


@pytest.fixture(scope="module")
def open_town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("open"), render_acl=everything, more=NEIGHBOUR) as running:
        running.wait_greeted()
        yield running


def topics(running: Town) -> list[str]:
    station = running.box.site.station.id
    return [build(row.name, station, id_) for row in TABLE for id_ in (IDS[row.owner] if row.owner else ("",))]


def shown(running: Town) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """What every page of the station is made of: its alarms by id, and the presses that it stored."""
    found = running.box.get("/api/v1/alarms?limit=100")["items"]
    return {one["id"]: one for one in found}, sorted(row["id"] for row in running.stored("press"))


def stirred(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Everything that a unit did by an order: sounded, was silenced, changed its lamp."""
    return [one for one in told if one["event"] in {"siren", "siren_changed", "siren_stopped", "lamp"}]


def body(payload: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(payload)["body"]
    return found


def bent(payload: bytes, topic: str) -> bytes:
    """The body made to fit another place, under the signature that it had."""
    envelope = json.loads(payload)
    return json.dumps(envelope | {"body": envelope["body"] | {"topic": topic, "audience": audience_of(topic)}}).encode()


def audience_of(topic: str) -> str:
    _, _, role, *more = topic.split("/")
    return f"{role}:{more[0]}" if len(more) == 2 else role


def alarm(topic: str, number: int) -> bytes:
    """The loudest thing that can be said on a topic."""
    now_ms = 1_900_000_000_000 + number
    view = AlarmView(
        topic=topic,
        audience=audience_of(topic),
        id=ids.event_id(now_ms, number.to_bytes(10, "big")),
        age_ms=0,
        kind=Kind.PANIC,
        word_zh="紧急报警",
        word_en="panic",
        door=611,
    )
    return canonical(view.model_dump(mode="json", exclude_none=True))


def forged(topic: str, number: int) -> list[bytes]:
    """It, and an order to ring, signed by one whom nobody knows and by one who says that he is somebody else."""
    body = alarm(topic, number)
    order = canonical({
        "v": 1, "type": "command", "topic": topic, "audience": audience_of(topic), "id": json.loads(body)["id"],
        "age_ms": 0, "session": "0" * 32, "counter": 9_999, "action": "alert", "alarm": json.loads(body)["id"],
        "kind": "panic", "door": 611,
    })  # fmt: skip
    made = [STRANGE.seal(body)]
    for kid in (STATION_KID, gateway_kid(GatewayId("gw1")), gateway_kid(GatewayId("gw2"))):
        liar = Signer(kid, bytes(range(9, 41)))
        made += [liar.seal(body), liar.seal(order)]
    return made


GARBAGE = (b"", b"\x00\xff" * 40, b"{", b"[]", b'{"body":{},"kid":"station","sig":""}', b"1" * 9_000)


@pytest.mark.proves("N4", "N12", "N13")
def test_whoever_may_publish_everything_makes_nothing_ring_and_nobody_but_the_police_see_that_he_speaks(
    open_town: Town,
) -> None:
    """He has an account, hears everything, and keeps what he hears; signing keys he has none."""
    running, box = open_town, open_town.box
    with Mailbox(box.broker.port, INTRUDER, box.keys.password(INTRUDER)) as intruder:
        intruder.subscribe("sw1/#")
        first = running.press("u03")
        running.wait_siren("u08", first)
        acknowledge(running)
        running.village.do("cancel", unit="u03")
        running.wait_quiet(*DOORS)
        running.settle()
        heard = [one for one in intruder.settled() if one.payload]
        assert {body(one.payload)["type"] for one in heard} >= {
            "event",
            "alarm",
            "receipt",
            "gateway_status",
            "command",
            "update",
        }

        before, since = shown(running), len(running.village.events)
        [first_id] = before[0]
        attack(running, heard=list(heard), by=intruder)
        assert not intruder.lost.is_set()

        # The same way works for whoever may go it; and what stands before it was judged before it.
        topic = build(Name.HOUSEHOLD_ALARM, box.site.station.id, "h01")
        neighbour = Signer(gateway_kid(GatewayId("gw2")), box.keys.seed(gateway_kid(GatewayId("gw2"))))
        intruder.publish(topic, neighbour.seal(alarm(topic, 900)))
        rung = running.village.wait(lambda one: one["event"] == "siren" and 611 in one["doors"], timeout_s=60)
    told = running.village.events
    assert stirred(told[since : told.index(rung)]) == [], "no unit sounds, is silenced or lit before"
    assert {one["unit"] for one in stirred(told[since:])} == {"u01"}
    second = running.press("u04")
    running.wait_siren("u08", second)
    running.settle()
    alarms, presses = shown(running)
    assert len(presses) == len(before[1]) + 1
    new = [one for one in alarms.values() if one["id"] not in before[0]]
    assert [one["place"] for one in new if one["verified"]] == ["h04"]
    unreadable = [one for one in new if not one["verified"]]
    assert {(one["kind"], one["source"], one["place"], one["door"], one["group"]) for one in unreadable} == {
        ("unverified", "unreadable", None, None, None)
    }, "the police alone are told that somebody speaks for a gateway whom nobody can verify (N13)"
    assert sorted(one["gateway"] for one in unreadable) == ["gw1", "gw2"], "once for each, whatever is said"
    assert [one["state"] for one in alarms.values() if one["place"] == "h03"] == [before[0][first_id]["state"]]
    every_way = {"unknown_key", "bad_signature", "wrong_topic", "malformed"}
    box.wait_until(lambda: running.refused().keys() >= every_way, "they came as far as the gateway", timeout_s=60)
    assert sum(running.refused().values()) > 100


def attack(running: Town, *, heard: list[Arrival], by: Mailbox) -> None:
    """Say everything again: where it was said, elsewhere, bent to fit, kept by the broker, made up, and nonsense."""
    places = topics(running)
    for one in heard:
        by.publish(one.topic, one.payload)
        by.publish(one.topic, one.payload, retain=True)
    kinds = list({(body(one.payload)["type"], one.topic.rpartition("/")[2]): one for one in heard}.values())
    for one, topic in product(kinds, places):
        if topic != one.topic:
            by.publish(topic, one.payload)
            by.publish(topic, bent(one.payload, topic))
    for number, topic in enumerate(places):
        for payload in (*forged(topic, number), *GARBAGE):
            by.publish(topic, payload)
        by.publish(topic, b"", retain=True)  # what the broker kept there, configuration too, is deleted


def acknowledge(running: Town) -> None:
    """An officer takes the alarm, so that there are commands, updates and lamps to be said again."""
    running.box.wait_until(lambda: bool(running.box.get("/api/v1/alarms")["items"]), "the alarm is there", timeout_s=60)
    [found] = running.box.get("/api/v1/alarms")["items"]
    running.box.post(f"/api/v1/alarms/{found['id']}/acknowledge")
    running.village.wait(lambda one: one["event"] == "lamp" and one["lamp"] == "police_have_it", timeout_s=60)
