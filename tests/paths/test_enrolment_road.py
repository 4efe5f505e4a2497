"""The road of a second gateway: enrolled at the station while all runs, it takes presses at once."""

import contextlib
import json
import sqlite3
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from broker.ids import GatewayId
from broker.signing import SEED_BYTES, Signer, gateway_kid
from deploy.box import Village
from deploy.mosquitto import write_private
from faults.audiences import DOORS
from faults.town import Town, hang_up, town
from firmware_sim.settings import LineSettings, UnitSettings, VillageSettings

KEY = bytes(range(50, 50 + 16))
DOOR = 911
WITHIN_S = 60.0
LEADER = '\n[[officer]]\nid = "leader"\nlabel = "所长"\nrole = "duty_officer"\n'
SITE = """
[station]
id = "north"

[broker]
private = true

[[officer]]
id = "desk"

[[community]]
id = "c1"

[[grid]]
id = "w1"
community = "c1"

[[group]]
id = "ten9"
grid = "w1"
gateway = "gw2"

[[household]]
id = "h91"
group = "ten9"
door = 911

[[gateway]]
id = "gw2"
status_s = 5

[[gateway.line]]
name = "line1"
port = "line1"
baud = 115200
"""


def ask(running: Town, who: str, method: str, path: str, body: Any = None, *, if_match: str | None = None) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{running.box.http_port}/api/v1{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {running.box.tokens[who]}",
            "Content-Type": "application/json",
            **({} if if_match is None else {"If-Match": if_match}),
        },
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - our own address
        text = answer.read()
        return (json.loads(text) if text else None), answer.headers.get("ETag", "")


def promote(running: Town) -> None:
    """What an administrator does, whose second factor other tests show: the leader is the station's duty leader."""
    with contextlib.closing(sqlite3.connect(running.database, timeout=60)) as tables, tables:
        tables.execute(
            "INSERT INTO account_grant (account, role, scope, from_ms, given_ms)"
            " VALUES ('leader', 'duty_leader', 'north', 1, 1)"
        )


def enrol(running: Town, folder: Path) -> None:
    """What is done at the desk, and what is carried to the new box: its site file, its keys, its account."""
    signer = Signer(gateway_kid(GatewayId("gw2")), bytes(range(SEED_BYTES)))
    ask(running, "leader", "PUT", "/register/gateways/gw2", {"public_key": signer.public.hex()})
    ask(running, "desk", "POST", "/register/areas", {"id": "ten9", "level": "group", "parent": "w1", "gateway": "gw2"})
    new = {"id": "h91", "group": "ten9", "door": DOOR, "occupant": "新楼住户"}
    ask(running, "desk", "POST", "/register/places", new)
    unit = {"id": "u91", "gateway": "gw2", "line": "line1", "address": 11}
    ask(running, "desk", "POST", "/register/units", unit)
    ask(running, "desk", "PUT", "/register/units/u91/key", {"key": KEY.hex()})
    _, etag = ask(running, "desk", "GET", "/register/units/u91")
    ask(running, "desk", "POST", "/register/units/u91/install", {"place": "h91"}, if_match=etag)
    account, _ = ask(running, "desk", "POST", "/broker/accounts", {"role": "gateway", "id": "gw2"})

    (folder / "gw2.toml").write_text(SITE)
    own = folder / "keys" / "gateways" / "gw2"
    own.mkdir(mode=0o700, parents=True)
    for private in (folder / "keys", own.parent):
        private.chmod(0o700)
    public = (running.box.directory / "keys" / "public").read_text().splitlines()
    (station,) = (line for line in public if line.startswith("station "))
    write_private(folder / "keys" / "public", f"{station}\n{signer.kid} {signer.public.hex()}\n")
    write_private(own / "seed", f"{bytes(range(SEED_BYTES)).hex()}\n")
    write_private(own / "account", f"{account['user']} {account['password']}\n")


@contextmanager
def second_village(running: Town, folder: Path) -> Iterator[Village]:
    """The one unit that hangs on the new box's line."""
    unit = UnitSettings(name="u91", unit=11, key=KEY, door=DOOR)
    settings = VillageSettings(lines=(LineSettings(name="line1", baud=115_200, units=(unit,)),), seed=7, heartbeat_s=0)
    path = folder / "gw2.json"
    write_private(path, settings.to_json())
    port = folder / "state" / "line1"
    port.parent.mkdir(mode=0o700)
    arguments = ["sim", "--settings", str(path), "--memory", str(folder / "memory"), "--port", f"line1={port}"]
    village = Village(running.box._start("sim-gw2", arguments, pipes=True))
    threading.Thread(target=village.read, daemon=True).start()
    try:
        village.wait(lambda event: event.get("event") == "ready", timeout_s=WITHIN_S)
        yield village
    finally:
        hang_up(village)


def presses_at(running: Town, place: str) -> list[str]:
    found, _ = ask(running, "desk", "GET", "/alarms")
    return [alarm["kind"] for alarm in found["items"] if alarm["place"] == place]


@pytest.mark.proves("G1", "A1", "N13")
def test_a_second_gateway_is_enrolled_while_everything_runs_and_a_press_by_it_is_an_alarm(tmp_path: Path) -> None:
    """Neither station nor broker is started anew, no file of theirs is edited."""
    folder = tmp_path / "second"
    folder.mkdir()
    with town(tmp_path, more=LEADER) as running, contextlib.ExitStack() as stack:
        running.wait_said("hello", len(DOORS))
        station, broker = running.station, running.box.broker
        pid = station.process.pid
        promote(running)
        enrol(running, folder)
        village = stack.enter_context(second_village(running, folder))
        gateway = running.box._start(
            "gateway-gw2",
            ["gateway", "--site", str(folder / "gw2.toml"), "--id", "gw2", "--keys", str(folder / "keys"),
             "--state", str(folder / "state"), "--broker-port", str(broker.port)],
        )  # fmt: skip
        stack.callback(gateway.stop)

        def runs_its_slice() -> bool:
            wanted = {
                one["gateway"]: (one["version"], one["runs"])
                for one in ask(running, "desk", "GET", "/register/slices")[0]
            }
            version, runs = wanted["gw2"]
            assert gateway.alive, gateway.tail()
            return bool(version == runs)

        running.box.wait_until(runs_its_slice, "gw2 runs its slice", timeout_s=WITHIN_S)
        running.box.wait_until(
            lambda: any(one["event"] == "confirmed" for one in list(village.events)),
            "gw2 hears u91",
            timeout_s=WITHIN_S,
        )
        village.do("press", unit="u91", key="panic", hold_ms=200)
        running.box.wait_until(
            lambda: presses_at(running, "h91") == ["panic"], "the press is an alarm", timeout_s=WITHIN_S
        )
        assert (running.station.process.pid, station.alive, broker.running) == (pid, True, True)
        running.press("u03")
        running.box.wait_until(lambda: len(presses_at(running, "h03")) == 1, "gw1 works as before", timeout_s=WITHIN_S)
        ask(running, "leader", "POST", "/register/gateways/gw2/revoke")
        village.do("press", unit="u91", key="fire", hold_ms=200)
        running.press("u04")
        running.box.wait_until(lambda: len(presses_at(running, "h04")) == 1, "gw1 works on", timeout_s=WITHIN_S)
        assert presses_at(running, "h91") == ["panic"], "one that was revoked is believed no more"
