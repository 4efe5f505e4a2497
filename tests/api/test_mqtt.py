"""The one door to the broker: acknowledged by hand, never silently refused, back by itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from pydantic import SecretStr

from api.mqtt import Arrival, Connected, Incoming, Link, NotConnected, Refused, Stopped, Will
from api.settings import BrokerAccess, StationSettings
from broker.ids import EventId
from broker.kinds import UpdateState
from broker.messages import AlarmUpdate, StationStatus, audience_of
from broker.topics import Name, Role, build, filter_of
from deploy.mosquitto import PrivateBroker
from tests.api.conftest import Launch
from tests.api.peers import DEADLINE_S, STATION, STATION_KEY, Gateway, eventually, listener

EVENTS = filter_of(Name.GATEWAY_EVENT, STATION)
STATUS = build(Name.STATION_STATUS, STATION)
SOME_ID = "01a20124-9d1e-7dd3-acdc-c9a14d326c69"
T = TypeVar("T", Arrival, Connected, Stopped)


def presence(*, online: bool) -> Will:
    body = StationStatus(
        topic=STATUS,
        audience=audience_of(STATUS),
        id=EventId(SOME_ID),
        age_ms=0,
        online=online,
        generation=1,
    )
    return Will(STATUS, STATION_KEY.envelope(body))


def make_link(access: BrokerAccess) -> Link:
    return Link(access, filters=[EVENTS], will=lambda: presence(online=False))


@pytest.fixture
def link(settings: StationSettings) -> Iterator[Link]:
    made = make_link(settings.broker)
    made.start()
    yield made
    made.stop()


def following(link: Link, kind: type[T]) -> T:
    """What comes next, which must be of this kind."""
    found: Incoming = link.incoming.get(timeout=DEADLINE_S)
    assert isinstance(found, kind)
    return found


@pytest.mark.proves("N2")
def test_what_was_not_acknowledged_comes_again_and_what_was_does_not(
    settings: StationSettings, gateway: Gateway
) -> None:
    first = make_link(settings.broker)
    first.start()
    assert not following(first, Connected).resumed
    events = gateway.presses(3)
    gateway.send(events)
    arrivals = [following(first, Arrival) for _ in events]
    first.acknowledge(arrivals[:1])
    first.stop()
    following(first, Stopped)

    second = make_link(settings.broker)
    second.start()
    again: list[Arrival] = []
    while len(again) < 2:
        found = second.incoming.get(timeout=DEADLINE_S)
        if isinstance(found, Arrival):
            again.append(found)
    assert [one.payload for one in again] == [one.payload for one in arrivals[1:]]
    second.stop()


def test_an_acknowledgement_of_an_earlier_connection_touches_nothing(
    link: Link, gateway: Gateway, broker: PrivateBroker
) -> None:
    following(link, Connected)
    gateway.send([gateway.event()])
    old = following(link, Arrival)
    broker.restart()
    found = [link.incoming.get(timeout=DEADLINE_S) for _ in range(2)]
    (again,) = (one for one in found if isinstance(one, Arrival))
    link.acknowledge([old])
    assert again.connection == old.connection + 1
    link.acknowledge([again])
    assert link.publish(STATUS, b"x").result(DEADLINE_S) >= 0  # the connection is still in order


@pytest.mark.proves("N9")
def test_a_refused_publish_is_an_error_with_the_brokers_code(link: Link) -> None:
    following(link, Connected)
    with pytest.raises(Refused) as refused:
        link.publish(build(Name.POLICE_ALARM, STATION), b"x").result(DEADLINE_S)
    assert refused.value.code == 0x87


def test_a_message_that_nobody_hears_says_so(link: Link, broker: PrivateBroker) -> None:
    following(link, Connected)
    topic = build(Name.POLICE_UPDATE, STATION)
    assert link.publish(topic, b"x").result(DEADLINE_S) == 0x10
    with listener(broker, Role.POLICE) as police:
        update = AlarmUpdate(
            topic=topic,
            audience="police",
            id=EventId(SOME_ID),
            age_ms=0,
            alarm=EventId(SOME_ID),
            state=UpdateState.CLOSED,
            word_zh="办结",
            word_en="closed",
        )
        assert link.publish(topic, STATION_KEY.envelope(update)).result(DEADLINE_S) == 0
        assert police.hear(AlarmUpdate) == update


def test_without_a_connection_nothing_is_taken(settings: StationSettings, broker: PrivateBroker) -> None:
    broker.stop()
    link = make_link(settings.broker)
    link.start()
    with pytest.raises(NotConnected):
        link.publish(STATUS, b"x")
    assert not link.ready.is_set()
    link.stop()


def test_an_answer_that_can_no_longer_come_is_an_error(link: Link, broker: PrivateBroker) -> None:
    following(link, Connected)
    broker.suspend()
    answer = link.publish(STATUS, b"x")
    broker.resume()
    broker.kill()
    try:
        answer.result(DEADLINE_S)  # it may have answered in time
    except NotConnected:
        assert not link.ready.is_set()


@pytest.mark.proves("N14")
def test_it_comes_back_by_itself_and_resumes_the_session(link: Link, gateway: Gateway, broker: PrivateBroker) -> None:
    following(link, Connected)
    broker.restart()
    assert following(link, Connected).resumed
    event = gateway.event()
    gateway.send([event])
    assert event.id.encode() in following(link, Arrival).payload


@pytest.mark.proves("N14")
def test_a_broker_that_starts_later_is_found(settings: StationSettings, broker: PrivateBroker) -> None:
    broker.stop()
    link = make_link(settings.broker)
    link.start()
    eventually(lambda: link.trouble == "broker cannot be reached", "it has tried")
    broker.start()
    following(link, Connected)
    link.stop()


def test_a_wrong_password_is_told_in_words_and_tried_again(settings: StationSettings) -> None:
    wrong = settings.broker.model_copy(update={"password": SecretStr("wrong")})
    link = make_link(wrong)
    link.start()
    eventually(lambda: link.trouble == "broker refused the connection: Not authorized", "it has tried")
    assert link.alive
    link.stop()
    assert not link.alive


@pytest.mark.proves("N8")
def test_a_station_that_is_killed_is_announced_as_away_and_one_that_ends_says_so_itself(
    launch: Launch, gateway: Gateway
) -> None:
    def presences() -> list[tuple[int, bool]]:
        return [(status.generation, status.online) for status in gateway.bodies(StationStatus)]

    station = launch()
    station.ready()
    first = gateway.hear(StationStatus, lambda status: status.online).generation
    assert station.stop() == 0
    gateway.until(lambda: presences() == [(first, True), (first, False)], "a farewell")
    killed = launch()
    killed.ready()
    second = gateway.hear(StationStatus, lambda status: status.generation > first).generation
    killed.kill()
    gateway.until(lambda: presences()[-1] == (second, False), "the will")


def test_settings_without_a_readable_authority_fail_before_anything_runs(
    settings: StationSettings, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        make_link(settings.broker.model_copy(update={"ca": tmp_path / "none.pem"}))
