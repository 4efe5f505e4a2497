"""The road of the register: an edit at the station, a signed slice over the broker, and the next press rings by it."""

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.paths.town import Town, town


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
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - as above
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
    own_town.box.wait_until(lambda: runs(own_town) == 1, "the gateway runs the new slice", timeout_s=20)
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
    own_town.box.wait_until(lambda: runs(own_town) == before + 1, "the gateway runs the new slice", timeout_s=20)
    own_town.gateway.kill()
    exclude(own_town, "h06", "h01")
    own_town.restart(own_town.gateway)
    own_town.box.wait_until(lambda: runs(own_town) == before + 2, "the gateway runs what it missed", timeout_s=40)
    message = own_town.press("u05")
    own_town.wait_siren("u02", message)
    own_town.settle()
    assert not told_of(own_town, "u01", 505)
