"""The road of the register: an edit at the station, a signed slice over the broker, and the next press rings by it."""

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from faults.audiences import DOORS
from faults.town import Town, town
from gateway.stamps import kernel_synced


@pytest.fixture(scope="module")
def own_town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A town whose register these tests may change."""
    with town(tmp_path_factory.mktemp("town")) as running:
        yield running


def ask(town: Town, method: str, path: str, body: Any = None, *, if_match: str | None = None) -> tuple[Any, str]:
    """Ask the station as its officer; return the answer and its ETag."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{town.box.http_port}/api/v1/register{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {town.box.tokens['desk']}",
            "Content-Type": "application/json",
            **({} if if_match is None else {"If-Match": if_match}),
        },
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
        return json.load(answer), answer.headers.get("ETag", "")


def runs(town: Town) -> int:
    try:
        version: int = json.loads((town.state / "health.json").read_text())["register"]
    except FileNotFoundError:
        return -1
    return version


def exclude(town: Town, place: str, *excluded: str) -> None:
    _, etag = ask(town, "GET", f"/places/{place}")
    ask(town, "PUT", f"/places/{place}/exclusions", {"excludes": excluded}, if_match=etag)


def told_of(town: Town, unit: str, door: int) -> bool:
    """Whether this unit ever sounded for that door."""
    return any(event.get("unit") == unit and door in event.get("doors", ()) for event in list(town.village.events))


@pytest.mark.proves("G1", "G7", "N4")
def test_who_is_excluded_at_the_station_is_not_rung_by_the_next_press(own_town: Town) -> None:
    own_town.wait_greeted()
    assert runs(own_town) == 0
    exclude(own_town, "h03", "h01", "h02")
    own_town.box.wait_until(lambda: runs(own_town) == 1, "the gateway runs the new slice", timeout_s=60)
    message = own_town.press("u03")
    for unit in ("u04", "u05", "u06", "u07", "u08", "u09", "u10"):
        own_town.wait_siren(unit, message)
    own_town.settle()
    assert not told_of(own_town, "u01", 503)
    assert not told_of(own_town, "u02", 503)
    arrivals = {one: own_town.witnesses.arrivals(f"household:{one}") for one in ("h01", "h02")}
    assert all(not found for found in arrivals.values())
    listed, _ = ask(own_town, "GET", "/places/h03")
    assert listed["version"] == 2


@pytest.mark.proves("N1", "N14")
def test_a_gateway_that_is_killed_goes_on_with_its_slice_and_one_that_missed_it_gets_it(own_town: Town) -> None:
    own_town.wait_greeted()
    before = runs(own_town)
    exclude(own_town, "h05", "h01")
    own_town.box.wait_until(lambda: runs(own_town) == before + 1, "the gateway runs the new slice", timeout_s=60)
    own_town.gateway.kill()
    exclude(own_town, "h06", "h01")
    own_town.restart(own_town.gateway)
    own_town.box.wait_until(lambda: runs(own_town) == before + 2, "the gateway runs what it missed", timeout_s=60)
    message = own_town.press("u05")
    own_town.wait_siren("u02", message)
    own_town.settle()
    assert not told_of(own_town, "u01", 505)


def quieted(town: Town, place: str, verb: str = "quiet") -> None:
    body = {"reason": "一周内第三次误报"} | ({"minutes": 60} if verb == "quiet" else {})
    version = runs(town)
    ask(town, "POST", f"/places/{place}/{verb}", body)
    town.box.wait_until(lambda: runs(town) > version, f"the gateway knows of {verb} {place}", timeout_s=60)


@pytest.mark.proves("A7", "N6", "N14")
def test_of_a_quieted_place_everybody_is_told_and_no_siren_sounds_until_it_is_lifted(own_town: Town) -> None:
    own_town.wait_greeted()
    quieted(own_town, "h08")
    quieted(own_town, "h07")
    if not kernel_synced():  # nothing keeps this machine's clock right: then it sounds
        own_town.wait_siren("u01", own_town.press("u08"))
    own_town.settle()
    own_town.gateway.kill()
    own_town.box.mutations = {"gateway": "clock_is_kept_right"}
    own_town.restart(own_town.gateway)
    message = own_town.press("u07")
    for audience in ("police", "community:c1", "grid:w1", "household:h01", "household:h10"):
        own_town.wait_told(audience, message)
    own_town.wait_siren("u07", message)
    own_town.settle()
    neighbours = [f"u{number:02}" for number in range(1, 11) if number != 7]
    assert [unit for unit in neighbours if told_of(own_town, unit, DOORS["u07"])] == []
    assert told_of(own_town, "u07", DOORS["u07"])
    assert own_town.witnesses.arrivals("household:h01")[-1].body["quiet"] is True
    (alarm,) = [one for one in own_town.box.get("/api/v1/alarms")["items"] if one["door"] == DOORS["u07"]]
    assert (alarm["quiet"], alarm["state"]) == (True, "received")
    own_town.village.do("cancel", unit="u07")
    quieted(own_town, "h07", "quiet/lift")
    own_town.wait_siren("u01", own_town.press("u07"))
