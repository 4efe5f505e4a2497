"""Three gates at a real broker: its rights, the signed envelope, the receiver's own membership.

mosquitto grants every SUBSCRIBE and filters at delivery, so rights are judged by what arrives.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from broker import signing
from broker.acl import Principal, acl_file
from broker.ids import GatewayId, StationId, event_id
from broker.kinds import Kind
from broker.messages import AlarmView, alarm_view
from broker.policy import views
from broker.signing import Signer, Verifier, gateway_kid, ring_refusal
from broker.topics import TABLE, Name, Role, Row, build, parse
from deploy.mosquitto import Listener, PrivateBroker
from tests.broker.village import ALARM, GATEWAY_SIGNER, MEMBERSHIP, NEXT_DOOR, OTHER_SIGNER, PANIC, STATION, verifier
from tests.deploy.authorities import Certified
from tests.deploy.mailbox import Mailbox

NOT_AUTHORIZED = 0x87
IDS = {
    Role.COMMUNITY: ("guangming", "heping"),
    Role.GRID: ("grid-3", "grid-4"),
    Role.HOUSEHOLD: ("h01", "h02", "h03"),
    Role.GATEWAY: ("gw1", "gw2"),
}
REMOTE = "h03"  # its unit hangs on gw2
SERVED_BY_GW2 = frozenset({"household:h03", "community:heping"})

EVERYBODY = [
    Principal(station=STATION, role=Role.STATION),
    Principal(station=STATION, role=Role.POLICE),
    Principal(station=STATION, role=Role.POLICE, seat="desk-2"),
    Principal(station=STATION, role=Role.OBSERVER),
    Principal(station=STATION, role=Role.GATEWAY, id="gw1"),
    Principal(station=STATION, role=Role.GATEWAY, id="gw2", alerts=SERVED_BY_GW2, rings=frozenset({REMOTE})),
    *(
        Principal(station=STATION, role=role, id=id_)
        for role in (Role.COMMUNITY, Role.GRID, Role.HOUSEHOLD)
        for id_ in IDS[role]
    ),
    Principal(station=StationId("south"), role=Role.POLICE),
]
OURS = [build(row.name, STATION, id_) for row in TABLE for id_ in (IDS[row.owner] if row.owner else ("",))]
FOREIGN = [
    "sw1/south/police/alarm",
    "sw1/north/police/alarm/more",
    "sw1/north",
    "other/topic",
    "$SYS/broker/uptime",
    "$CONTROL/dynamic-security/v1",
]
GREEDY = ["#", "sw1/#", "sw1/+/+/alarm", "sw1/north/household/+/alarm", "$SYS/#", "$CONTROL/#", "$share/all/sw1/#"]


def own(row: Row, who: Principal, id_: str) -> bool:
    return row.owner is not who.role or id_ == who.id


def may_publish(who: Principal, topic: str) -> bool:
    """The rule as the architecture says it, written a second time."""
    if topic not in OURS or who.station != STATION:
        return False
    row, id_ = parse(topic).row, parse(topic).id
    if who.role is not row.publisher or not own(row, who, id_):
        return False
    serves_all = who.alerts is None or row.owner in {None, Role.GATEWAY}
    return serves_all or f"{row.owner}:{id_}" in (who.alerts or ())


def may_receive(who: Principal, topic: str) -> bool:
    if topic not in OURS or who.station != STATION:
        return topic == "sw1/south/police/alarm" and who.role is Role.POLICE and who.station == "south"
    row, id_ = parse(topic).row, parse(topic).id
    if who.role is Role.GATEWAY and row.owner is Role.HOUSEHOLD:
        return id_ in who.rings
    return who.role in row.receivers and own(row, who, id_)


@pytest.fixture(params=["password", "certificate"])
def posts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Mailbox]]:
    """Everybody connected, and greedy: each subscribes to every topic and to every wildcard.

    By password, as on one machine; or by certificate, and then each says that he is somebody else.
    """
    site = Certified.made(tmp_path) if request.param == "certificate" else None
    listener = None if site is None else site.listener()
    with PrivateBroker(tmp_path / "broker", EVERYBODY, listener=listener) as broker, ExitStack() as stack:
        yield {who.user: greedy(stack.enter_context(come(who, broker, site, listener))) for who in EVERYBODY}


def come(who: Principal, broker: PrivateBroker, site: Certified | None, listener: Listener | None) -> Mailbox:
    if site is None or listener is None:
        return Mailbox.of(broker, who)
    pretended = "north.station" if who.role is not Role.STATION else "north.police"
    return Mailbox(listener.port, pretended, broker.passwords[pretended], tls=site.client(who))


def greedy(post: Mailbox) -> Mailbox:
    post.subscribe(*GREEDY, *OURS, *FOREIGN)
    return post


@pytest.mark.proves("N4", "A1")
def test_every_principal_publishes_and_receives_what_the_table_says_and_nothing_else(
    posts: dict[str, Mailbox],
) -> None:
    allowed = set()
    for who in EVERYBODY:
        for topic in OURS + FOREIGN:
            code = posts[who.user].publish(topic, who.user.encode())
            assert (code != NOT_AUTHORIZED) is may_publish(who, topic), f"{who.user} publishes on {topic}: {code:#x}"
            if may_publish(who, topic):
                allowed.add((topic, who.user.encode()))
    arrived = {(who.user, arrival.topic, arrival.payload) for who in EVERYBODY for arrival in posts[who.user].settled()}
    assert arrived == {
        (who.user, topic, payload) for who in EVERYBODY for topic, payload in allowed if may_receive(who, topic)
    }
    assert {topic for _, topic, _ in arrived} == set(OURS), "every topic was tried with success too"


def test_an_observer_and_another_stations_police_receive_nothing_at_all(posts: dict[str, Mailbox]) -> None:
    assert posts["north.gateway.gw1"].publish("sw1/north/police/alarm", b"x") == 0
    assert [arrival.payload for arrival in posts["north.police"].settled()]
    assert posts["north.observer"].settled() == []
    assert posts["south.police"].settled() == []


def widened(user: str, line: str) -> Callable[[Iterable[Principal]], str]:
    """The rendered ACL with one line more in the block of `user`."""

    def render(principals: Iterable[Principal]) -> str:
        text = acl_file(principals)
        assert f"user {user}\n" in text
        return text.replace(f"user {user}\n", f"user {user}\n{line}\n")

    return render


MINE = {f"household:{NEXT_DOOR}"}


@pytest.mark.proves("N4")
@pytest.mark.parametrize("line", ["topic read sw1/north/household/h03/alarm", "topic read sw1/north/#", "topic read #"])
def test_a_neighbour_whose_rights_are_too_wide_receives_and_does_not_ring(tmp_path: Path, line: str) -> None:
    to_opposite = next(view for view in views(PANIC, MEMBERSHIP) if view.addressee == "household:h03")
    payload = GATEWAY_SIGNER.envelope(alarm_view(to_opposite, alarm=ALARM, age_ms=0))
    nosy = Principal(station=STATION, role=Role.HOUSEHOLD, id=NEXT_DOOR)
    gateway = Principal(station=STATION, role=Role.GATEWAY, id="gw1")
    with (
        PrivateBroker(tmp_path, [nosy, gateway], render_acl=widened(nosy.user, line)) as broker,
        Mailbox.of(broker, nosy) as post,
        Mailbox.of(broker, gateway) as sender,
    ):
        post.subscribe("#")
        assert sender.publish(to_opposite.topic, payload) == 0
        [leaked] = post.settled()
    body = verifier().open(leaked.topic, leaked.payload, retained=leaked.retained)
    refusal = ring_refusal(body, retained=leaked.retained, known_ids=(), member_of=MINE)
    assert isinstance(refusal, signing.NotAMember)


@pytest.mark.proves("N4", "N13")
def test_a_gateway_whose_rights_are_too_wide_is_not_believed(tmp_path: Path) -> None:
    """It may publish as another gateway and as the station; what it signs there is refused by every receiver."""
    wide = Principal(station=STATION, role=Role.GATEWAY, id="gw2")
    station = Principal(station=STATION, role=Role.STATION)
    forged = {
        build(Name.GATEWAY_EVENT, STATION, "gw1"): event_body("gw1"),
        build(Name.GATEWAY_COMMAND, STATION, "gw1"): command_body("gw1"),
    }
    line = "topic readwrite sw1/north/#"
    with (
        PrivateBroker(tmp_path, [wide, station], render_acl=widened(wide.user, line)) as broker,
        Mailbox.of(broker, station) as post,
        Mailbox.of(broker, wide) as sender,
    ):
        post.subscribe("#")
        sender.subscribe("#")
        for topic, body in forged.items():
            assert sender.publish(topic, OTHER_SIGNER.seal(signing.canonical(body))) == 0
        arrived = {arrival.topic: arrival for arrival in (*post.settled(), *sender.settled())}
    assert set(arrived) == set(forged)
    for arrival in arrived.values():
        with pytest.raises(signing.WrongSigner):
            verifier().open(arrival.topic, arrival.payload)


def head(type_: str, topic: str, audience: str) -> dict[str, object]:
    return {"v": 1, "type": type_, "topic": topic, "audience": audience, "id": ALARM, "age_ms": 0}


def event_body(gateway: str) -> dict[str, object]:
    return {
        **head("event", f"sw1/north/gateway/{gateway}/event", "station"),
        "gateway": gateway,
        "epoch": "0" * 16,
        "seq": 1,
        "event": "press",
        "at_ms": 0,
        "mono_us": 0,
        "boot": "0",
        "clock": "unsynced",
        "kind": Kind.PANIC,
    }


def command_body(gateway: str) -> dict[str, object]:
    return {
        **head("command", f"sw1/north/gateway/{gateway}/command", f"gateway:{gateway}"),
        "session": "0" * 32,
        "counter": 1,
        "action": "readiness",
    }


@pytest.mark.proves("N12")
def test_an_alarm_that_somebody_retained_rings_for_who_is_there_and_for_nobody_later(tmp_path: Path) -> None:
    household = Principal(station=STATION, role=Role.HOUSEHOLD, id=NEXT_DOOR)
    gateway = Principal(station=STATION, role=Role.GATEWAY, id="gw1")
    view = next(view for view in views(PANIC, MEMBERSHIP) if view.addressee == f"household:{NEXT_DOOR}")
    payload = GATEWAY_SIGNER.envelope(alarm_view(view, alarm=ALARM, age_ms=0))
    with PrivateBroker(tmp_path, [household, gateway]) as broker:
        with Mailbox.of(broker, household) as post, Mailbox.of(broker, gateway) as sender:
            post.subscribe(view.topic)
            assert sender.publish(view.topic, payload, retain=True) == 0
            [live] = post.settled()
        with Mailbox.of(broker, household) as post:
            post.subscribe(view.topic)
            [copy] = post.settled()
    assert isinstance(verifier().open(live.topic, live.payload, retained=live.retained), AlarmView)
    with pytest.raises(signing.Retained):
        verifier().open(copy.topic, copy.payload, retained=copy.retained)


@pytest.mark.proves("N12")
def test_what_was_sent_while_a_neighbour_was_away_does_not_wait_for_it(tmp_path: Path) -> None:
    """Whoever rings connects with a clean session."""
    household = Principal(station=STATION, role=Role.HOUSEHOLD, id=NEXT_DOOR)
    gateway = Principal(station=STATION, role=Role.GATEWAY, id="gw1")
    topic = build(Name.HOUSEHOLD_ALARM, STATION, NEXT_DOOR)
    with PrivateBroker(tmp_path, [household, gateway]) as broker, Mailbox.of(broker, gateway) as sender:
        with Mailbox.of(broker, household) as post:
            post.subscribe(topic)
        sender.publish(topic, b"while it was away")
        with Mailbox.of(broker, household) as post:
            post.subscribe(topic)
            assert post.settled() == []


def test_a_signature_made_for_one_station_opens_at_no_other() -> None:
    south = StationId("south")
    signer = Signer(gateway_kid(GatewayId("gw1")), bytes(range(32)))
    view = next(view for view in views(PANIC, MEMBERSHIP) if view.addressee == "police")
    body = alarm_view(view, alarm=event_id(0, bytes(10)), age_ms=0)
    payload = signer.envelope(body)
    with pytest.raises(signing.WrongTopic):
        Verifier(south, {signer.kid: signer.public}).open(body.topic.replace("north", "south"), payload)
