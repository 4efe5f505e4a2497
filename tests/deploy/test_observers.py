"""Witnesses write down what the broker lets each audience have, with the time, and nothing else."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.topics import Role
from deploy import accounts
from deploy.box import Box, BoxError, observers
from deploy.check import load
from deploy.observers import Arrival, Witnesses
from deploy.stage import example
from tests.deploy.mailbox import Mailbox

WITHIN_S = 60.0


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    path = example("village.toml")
    with Box(load(path), path, tmp_path_factory.mktemp("box")) as running:
        running.broker.start()
        yield running


@pytest.fixture
def gateway(box: Box) -> Iterator[Mailbox]:
    """Speaks to the broker as the gateway may."""
    principal = next(one for one in accounts.principals(box.site) if one.role is Role.GATEWAY)
    with Mailbox(box.broker.port, principal.user, box.keys.password(principal.user)) as mailbox:
        yield mailbox


def test_there_is_a_witness_for_everybody_who_only_receives(box: Box) -> None:
    households = {f"household:h{number:02}" for number in range(1, 11)}
    assert set(observers(box.site)) == {"police", "community:c1", "grid:w1", *households}


@pytest.mark.proves("N4")
def test_a_witness_gets_its_own_topics_and_no_others(box: Box, gateway: Mailbox) -> None:
    with Witnesses(box) as witnesses:
        before = time.time()
        gateway.publish("sw1/north/household/h03/alarm", b'{"body": {"type": "alarm", "door": 503}}')
        arrival = witnesses.wait("household:h03", lambda _: True, timeout_s=WITHIN_S)
        gateway.publish("sw1/north/police/alarm", "纯文本 with spaces".encode())
        assert witnesses.wait("police", lambda _: True, timeout_s=WITHIN_S) is not None
        everything = witnesses.everything()
    assert arrival is not None
    assert arrival.topic == "sw1/north/household/h03/alarm"
    assert arrival.body == {"type": "alarm", "door": 503}
    assert not arrival.retained
    assert before - 0.1 <= arrival.at_s <= time.time()
    assert [arrival.payload for arrival in everything["police"]] == ["纯文本 with spaces"]
    assert {audience for audience, arrivals in everything.items() if arrivals} == {"household:h03", "police"}


def test_waiting_for_what_does_not_come_ends(box: Box) -> None:
    with Witnesses(box) as witnesses:
        assert witnesses.audiences == tuple(observers(box.site))
        assert witnesses.wait("police", lambda arrival: arrival.retained, timeout_s=0.05) is None


@pytest.mark.parametrize("payload", ["", "not JSON", "[]", "{}", '{"body": 3}', '{"body": null}', "3"])
def test_a_payload_that_is_no_envelope_has_an_empty_body(payload: str) -> None:
    assert Arrival(0.0, retained=False, topic="sw1/north/police/alarm", payload=payload).body == {}


def test_without_mosquitto_sub_it_says_what_to_install(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BoxError, match="apt-get install mosquitto-clients"), Witnesses(box):
        pass
