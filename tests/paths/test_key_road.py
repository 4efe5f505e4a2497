"""A unit gets another key from the desk while everybody presses: nothing is lost or refused, and a restart knows it."""

import contextlib
import json
import urllib.request
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest

from faults.town import Town, town

ROTATED = ("u03", "u04")
NEW = {unit: bytes(range(number * 16, number * 16 + 16)) for number, unit in enumerate(ROTATED, start=3)}
WITHIN_S = 60.0


def put_key(running: Town, unit: str, key: bytes) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{running.box.http_port}/api/v1/register/units/{unit}/key",
        method="PUT",
        data=json.dumps({"key": key.hex()}).encode(),
        headers={"Authorization": f"Bearer {running.box.tokens['desk']}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60):  # noqa: S310 - our own address
        pass


def health(running: Town) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        found: dict[str, Any] = json.loads((running.state / "health.json").read_text())
        return found
    return {}


def taken(running: Town) -> int:
    return running.gateway.said().count("a unit has taken its new key")


@pytest.mark.proves("N1", "N5", "N13")
def test_keys_are_renewed_under_presses_and_a_gateway_that_died_rings_with_the_new_ones(tmp_path: Path) -> None:
    with town(tmp_path) as running:
        running.wait_greeted()
        refused = health(running)["lines"]["line1"]["link"]["refused"]
        pressed = [running.press(unit) for unit in ROTATED]
        for unit, new in NEW.items():
            put_key(running, unit, new)
        for key in islice(cycle(("fire", "help", "medical", "panic")), 100):
            if taken(running) == len(ROTATED):
                break
            pressed += [running.press(unit, key, hold_ms=40) for unit in (*ROTATED, "u07")]
            running.wait_confirmed(*pressed)
        assert taken(running) == len(ROTATED), running.gateway.tail()
        assert len(pressed) > len(ROTATED)
        running.wait_confirmed(*pressed)
        running.gateway.kill()
        running.restart(running.gateway)
        last = running.press("u09", "help")  # a door that no siren names yet, however long the keys took
        for unit in ROTATED:
            running.wait_siren(unit, last)
        pressed += [running.press(unit) for unit in ROTATED]
        running.wait_confirmed(*pressed)
        running.settle()
        assert not running.verdict().wrong
        running.box.wait_until(lambda: health(running).get("keys_offered") == [], "no key is owed", timeout_s=WITHIN_S)
        assert health(running)["lines"]["line1"]["link"]["refused"] == 0
        assert refused == 0
        log = running.gateway.said() + (running.box.directory / "station.log").read_text()
        assert not [key for key in NEW.values() if key.hex() in log]
        assert not [key for key in NEW.values() if key.hex() in (running.state / "unit-keys").read_text()]
