"""The road of a card: issued and lost at the station, told over the broker, and answered so at the checkpoint."""

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from faults.town import Town, town

CARD = "100086F444"
UNIT = "u02"


@pytest.fixture(scope="module")
def own_town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A town with a checkpoint at the reader of a unit."""
    with town(tmp_path_factory.mktemp("town")) as running:
        running.wait_greeted()
        point = {"id": "shed", "area": "w1", "name": "车棚", "gateway": "gw1", "reader": UNIT}
        ask(running, "/checkpoints", point)
        yield running


def ask(town: Town, path: str, body: Any) -> Any:
    """Post something as the station's officer."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{town.box.http_port}/api/v1{path}",
        method="POST",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {town.box.tokens['desk']}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
        return json.load(answer)


def runs(town: Town) -> int:
    """The slice that the gateway says it runs."""
    version: int = json.loads((town.state / "health.json").read_text())["register"]
    return version


def answered(town: Town) -> int:
    """Hold the card to the reader; the tones of the answer: one if it is known, two if not."""
    before = len(town.village.events)
    stored = len(town.stored("check_in"))
    town.wait_confirmed(town.hold_tag(UNIT, CARD))
    town.box.wait_until(lambda: len(town.stored("check_in")) > stored, "the check-in is stored", timeout_s=60)
    town.wait_seconds(1.5)  # the second tone comes 1.2 s after the first
    said = [one for one in town.village.events[before:] if one.get("unit") == UNIT]
    return sum(one.get("pattern") == "chirp" for one in said)


@pytest.mark.proves("P1", "N1")
def test_a_card_that_is_issued_at_the_station_is_known_at_the_reader_within_seconds_and_unknown_once_it_is_lost(
    own_town: Town,
) -> None:
    assert answered(own_town) == 2
    guard = ask(own_town, "/guards", {"force": "police", "service_number": "P001", "name": "钱七"})["id"]
    own_town.box.wait_until(lambda: runs(own_town) == 1, "the gateway knows of its reader", timeout_s=60)
    card = ask(own_town, f"/guards/{guard}/cards", {"tag": CARD})["number"]
    message = own_town.press("u05")  # somebody needs help while the slice is on its way
    own_town.box.wait_until(lambda: runs(own_town) == 2, "the gateway knows the card", timeout_s=60)
    own_town.wait_siren("u06", message)
    own_town.wait_told("police", message)
    own_town.village.do("cancel", unit="u05")
    own_town.settle()
    own_town.wait_quiet(UNIT)
    assert answered(own_town) == 1
    ask(own_town, f"/guards/{guard}/cards/{card}/end", {"how": "lost"})
    own_town.box.wait_until(lambda: runs(own_town) == 3, "the gateway knows it no more", timeout_s=60)
    assert answered(own_town) == 2
    own_town.settle()
    assert not own_town.verdict().wrong
