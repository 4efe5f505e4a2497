"""The road of rights and keys: what is put down at the station counts at the broker and on the gateway, by itself."""

import json
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from faults.audiences import DOORS
from faults.sets import confirmed
from faults.town import Town, town
from firmware_sim.settings import UnitSettings, VillageSettings
from tests.deploy.mailbox import Mailbox, Refused

KEY = bytes(range(100, 116))
DOOR = 511
WITHIN_S = 60.0
"""How long it may take from an answer of the station until it is so at the broker."""


def eleventh(settings: VillageSettings) -> VillageSettings:
    """One unit more on the line, with a key that is in no file of the gateway nor of the station."""
    line, *more = settings.lines
    unit = UnitSettings(name="u11", unit=11, key=KEY, door=DOOR)
    return replace(settings, lines=(replace(line, units=(*line.units, unit)), *more))


class Desk:
    """The station's desk over HTTP."""

    def __init__(self, running: Town) -> None:
        self._town = running

    def ask(self, method: str, path: str, body: Any = None, *, if_match: str | None = None) -> tuple[Any, str]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._town.box.http_port}/api/v1{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self._town.box.tokens['desk']}",
                "Content-Type": "application/json",
                **({} if if_match is None else {"If-Match": if_match}),
            },
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - our own address
            text = answer.read()
            return (json.loads(text) if text else None), answer.headers.get("ETag", "")

    def post(self, path: str, **body: Any) -> Any:
        return self.ask("POST", path, body)[0]

    def act(self, of: str, path: str = "", *, method: str = "POST", **body: Any) -> Any:
        """Change what was read last."""
        _, etag = self.ask("GET", of)
        return self.ask(method, of + path, body, if_match=etag)[0]


def let_in(running: Town, user: str, password: str) -> Mailbox:
    """The connection of an account that the station has just given out."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        try:
            return Mailbox(running.box.broker.port, user, password)
        except Refused:
            assert time.monotonic() < deadline, "the broker does not know the new account"


def sounded(running: Town, unit: str, door: int) -> bool:
    """Whether this unit ever sounded for that door."""
    return any(event.get("unit") == unit and door in event.get("doors", ()) for event in list(running.village.events))


def runs_what_it_should(running: Town, desk: Desk) -> bool:
    """Whether the gateway works with the newest slice."""
    ((wanted, _),) = [(one["version"], one["runs"]) for one in desk.ask("GET", "/register/slices")[0]]
    health = running.state / "health.json"
    return health.exists() and json.loads(health.read_text())["register"] == wanted


@pytest.mark.proves("G1", "G7", "N4", "A1", "F59")
def test_a_household_and_a_unit_that_are_put_down_at_the_station_count_within_seconds_and_leave_as_fast(
    tmp_path: Path,
) -> None:
    """No file is edited and nothing is started anew between the first line and the last."""
    with town(tmp_path, hung=eleventh) as running:
        desk = Desk(running)
        running.wait_said("hello", len(DOORS))
        desk.post("/register/areas", id="ten2", level="group", parent="w1")
        desk.post("/register/places", id="h11", group="ten1", door=DOOR, occupant="新住户")
        given = desk.post("/broker/accounts", role="household", id="h11")
        desk.post("/register/units", id="u11", gateway="gw1", line="line1", address=11)
        desk.ask("PUT", "/register/units/u11/key", {"key": KEY.hex()})
        desk.act("/register/units/u11", "/install", place="h11")
        running.box.wait_until(
            lambda: any(one.startswith("u11:") for one in confirmed(running.village.events)),
            "the gateway opens what u11 says",
            timeout_s=60,
        )
        with let_in(running, given["user"], given["password"]) as post:
            post.subscribe(*given["topics"])

            def heard() -> list[int]:
                bodies = [json.loads(one.payload)["body"] for one in list(post.arrived)]
                return [body["door"] for body in bodies if body["type"] == "alarm"]

            message = running.press("u03")
            running.wait_siren("u11", message)
            running.box.wait_until(lambda: heard() == [DOORS["u03"]], "h11 is told of it", timeout_s=WITHIN_S)
            running.press("u11")
            running.box.wait_until(lambda: sounded(running, "u05", DOOR), "u05 rings for h11", timeout_s=WITHIN_S)

            desk.act("/register/units/u11", "/removed")
            desk.act("/register/places/h11", method="PUT", group="ten2", door=DOOR)
            running.box.wait_until(lambda: runs_what_it_should(running, desk), "the gateway knows", timeout_s=60)
            message = running.press("u04")
            running.wait_siren("u08", message)
            running.settle()
            post.settled()
            assert heard() == [DOORS["u03"]], "of another group's alarm it is told nothing"
            assert not sounded(running, "u11", DOORS["u04"])
            assert not post.lost.is_set()
            desk.act("/register/places/h11", "/move-out")
            assert post.lost.wait(WITHIN_S), "with its people its account ends"
        with pytest.raises(Refused):
            Mailbox(running.box.broker.port, given["user"], given["password"])
