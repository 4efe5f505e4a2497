"""Units on a line and the gateway's end of it, in virtual time."""

import pytest

from devices.readings import Key
from firmware_sim.diary import Confirmed, Pressed, SirenStarted
from firmware_sim.line import NativeLine
from tests.firmware_sim.gateway_end import MS, GatewayEnd, S, a_line, entries


def line_of(units: int, baud: int, *, seed: int = 0) -> NativeLine:
    return NativeLine(a_line(units, baud), seed=seed, heartbeat_ns=60 * S, faults=(), now_ns=0)


def press(gateway: GatewayEnd, unit: str, key: Key, at_ns: int) -> None:
    gateway.run(at_ns)
    gateway.line.act(unit, at_ns, lambda pressed: pressed.press(key, at_ns))


@pytest.mark.proves("A1", "A4", "N5")
def test_a_lone_press_is_kept_and_rings_the_whole_group_within_a_second() -> None:
    line = line_of(10, 9600)
    gateway = GatewayEnd(line)
    press(gateway, "u003", Key.PANIC, 8 * S)
    gateway.run(11 * S)
    [(presser, pressed)] = entries(line, Pressed)
    [confirmed] = [entry for name, entry in entries(line, Confirmed) if name == "u003" and entry.key == "panic"]
    rung = dict(entries(line, SirenStarted))
    assert presser == "u003"
    assert confirmed.at_ns > pressed.at_ns
    assert rung.keys() == line.units.keys()
    assert all(entry.doors == (103,) for entry in rung.values())
    assert max(entry.at_ns for entry in rung.values()) - pressed.at_ns < 1000 * MS
