import asyncio
import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from broker.kinds import EventType, Kind
from deploy.mosquitto import SBIN
from gateway.intake import ZigbeeAction
from gateway.links.zigbee import MOST_BYTES, read_action
from gateway.mqtt import Arrived
from tests.gateway.place import settings
from tests.gateway.running import journalled, running, until_fault
from tests.gateway.waiting import PATIENCE_S, until

TOPIC = "zigbee2mqtt/hall"


def said(payload: bytes, *, retained: bool = False) -> ZigbeeAction | None:
    return read_action("hall", Arrived(TOPIC, payload, retained))


def test_an_action_is_read_from_a_state_message() -> None:
    assert said(b'{"action":"emergency","battery":100,"linkquality":84}') == ZigbeeAction("hall", "emergency")


@pytest.mark.proves("N12")
@pytest.mark.parametrize(
    "payload",
    [
        b"", b'{"action":""}', b'{"action":null}', b'{"action":5}', b'{"battery":100}', b'["emergency"]', b"emergency",
        b"\xff\xfe", b'{"action":"emergency"', b"[" * 8_000,
        b'{"action":"emergency","x":"' + b"y" * MOST_BYTES + b'"}',
    ],
)  # fmt: skip
def test_what_is_no_press_is_not_read(payload: bytes) -> None:
    assert said(payload) is None


@pytest.mark.proves("N12")
def test_a_copy_that_the_broker_kept_is_no_press() -> None:
    assert said(b'{"action":"emergency"}', retained=True) is None


@pytest.fixture
def coordinator(tmp_path: Path) -> Iterator[int]:
    """A broker without accounts on loopback, as Zigbee2MQTT has it on a box; returns its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    file = tmp_path / "zigbee.conf"
    file.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n")
    process = subprocess.Popen(
        ["mosquitto", "-c", str(file)],
        env={"PATH": f"/usr/bin:/bin:{SBIN}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield port
    process.terminate()
    process.wait()


class Zigbee2Mqtt:
    def __init__(self, port: int) -> None:
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def say(self, name: str, *, retain: bool = False, **state: Any) -> None:
        self._client.publish(f"zigbee2mqtt/{name}", json.dumps(state), qos=1, retain=retain).wait_for_publish(
            PATIENCE_S
        )

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.mark.anyio
@pytest.mark.proves("A2", "N8")
async def test_a_zigbee_button_rings_and_is_kept_and_a_lost_coordinator_is_a_fault(
    coordinator: int, tmp_path: Path
) -> None:
    more = {
        "lines": [], "zigbee": {"port": coordinator},
        "zigbee_buttons": [{"id": "z1", "name": "hall", "household": "h01"}],
    }  # fmt: skip
    async with running(settings(tmp_path / "state", **more)) as gateway:
        zigbee = gateway._zigbee
        assert zigbee is not None
        await until(lambda: zigbee.link.up)
        button = await asyncio.to_thread(Zigbee2Mqtt, coordinator)
        button.say("hall", battery=90)
        button.say("attic", action="emergency")
        button.say("hall", action="single")
        button.say("hall", action="emergency")
        await until(lambda: gateway._alert.ringing)
        await until(lambda: gateway._own.unkept == 0 and gateway._own._keeping is None)
        presses = [event for event in await journalled(gateway) if event.type is EventType.PRESS]
        assert [(event.kind, event.unit, event.verified) for event in presses] == [(Kind.PANIC, "z1", True)]
        assert zigbee.unread == 1
        assert zigbee.link.publish("a", b"b") is not None
        button.close()
        await zigbee.link.close()
        await until_fault(gateway, "zigbee_lost")
