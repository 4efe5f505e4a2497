"""Whatever is in between goes away and comes back: the broker, the station, the gateway, a right at the broker."""

import json
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from broker.acl import Principal, acl_file
from broker.kinds import Lane
from faults.audiences import DOORS
from faults.town import Town, town

STATION_IS_AWAY_FOR = 1_100
USUAL_QUEUE = 1_000
"""What a mosquitto keeps for a station that is away unless it is told otherwise, as ours is."""

AT_ONCE = 550
"""Tags held before the units are waited for: a unit remembers 64 messages that nobody has answered."""


@pytest.fixture
def own_town(tmp_path: Path) -> Iterator[Town]:
    with town(tmp_path) as running:
        yield running


def alarms_owed(running: Town) -> int:
    """How many alarms the gateway still owes the station."""
    return sum(lane <= Lane.OLD_ALARM and target == "station" for lane, target in running.deliveries())


@contextmanager
def town_without_right(folder: Path, right: str) -> Iterator[Town]:
    """A town whose broker was given an ACL without one line."""

    def render(principals: Iterable[Principal]) -> str:
        text = acl_file(principals)
        assert text.count(f"{right}\n") == 1
        return text.replace(f"{right}\n", "")

    with town(folder, render_acl=render) as running:
        yield running


@pytest.mark.proves("N2", "N3", "N4", "N9", "F23")
def test_a_broker_killed_in_a_storm_costs_no_alarm(own_town: Town) -> None:
    for key in ("panic", "fire", "help"):
        for unit in DOORS:
            own_town.press(unit, key, hold_ms=50)
        if key == "panic":
            own_town.box.broker.kill()
    own_town.box.broker.start()
    own_town.settle()
    assert not own_town.verdict(timeout_s=0).wrong

    own_town.witnesses.wait_subscribed(times=2)
    own_town.press("u03", "intrusion")
    own_town.settle()
    verdict = own_town.verdict()
    assert not verdict.wrong
    assert not verdict.untold


@pytest.mark.proves("A1", "A4", "N2", "N3", "F18")
def test_a_press_reaches_the_station_by_https_while_the_broker_is_dead_and_is_one_alarm_by_both_roads(
    tmp_path: Path,
) -> None:
    with town(tmp_path, road_s=1) as cut:
        cut.wait_greeted()
        cut.box.broker.kill()
        message = cut.press("u03")
        cut.wait_siren("u08", message)
        cut.wait_confirmed(message)
        cut.box.wait_until(lambda: bool(cut.box.get("/api/v1/alarms")["items"]), "the police have it", timeout_s=60)
        cut.box.wait_until(lambda: not alarms_owed(cut), "its receipt closed it", timeout_s=60)
        # Nothing is retained, and so the gateway tells everybody of the press when everybody is there to hear it.
        cut.gateway.process.send_signal(signal.SIGSTOP)
        cut.box.broker.start()
        cut.witnesses.wait_subscribed(times=2)
        cut.gateway.process.send_signal(signal.SIGCONT)
        cut.settle()
        verdict = cut.verdict()
        assert not verdict.wrong
        assert not verdict.missing
        assert len(cut.box.get("/api/v1/alarms")["items"]) == 1
        assert [body["press"] for body in cut.stored("press")] == [message]


@pytest.mark.proves("N2", "N7", "N9", "F24")
def test_a_station_away_for_more_than_the_broker_keeps_gets_everything_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.acl.QUEUED_MESSAGES", USUAL_QUEUE)
    with town(tmp_path, baud=460_800) as away:
        away.press("u01")
        away.settle()
        before = len(away.stored("check_in"))
        away.station.kill()
        units = list(DOORS)
        for number in range(STATION_IS_AWAY_FOR):
            away.village.do("tag", unit=units[number % len(units)], tag=f"{number:010X}")
            if number % AT_ONCE == AT_ONCE - 1:
                away.wait_said("tag", number + 1)
                away.wait_confirmed()
        away.press("u02")
        away.wait_confirmed()
        away.box.start_station()
        away.settle(timeout_s=60)
        verdict = away.verdict()
        assert not verdict.wrong
        assert not verdict.missing
        assert len(away.stored("check_in")) - before == STATION_IS_AWAY_FOR


@pytest.mark.proves("N2", "N5", "F19")
def test_a_broker_that_answers_nothing_for_five_seconds_delays_only_what_goes_through_it(own_town: Town) -> None:
    own_town.box.broker.suspend()
    try:
        message = own_town.press("u03")
        own_town.wait_siren("u08", message)
        own_town.wait_confirmed(message)
        own_town.wait_seconds(5.0)
    finally:
        own_town.box.broker.resume()
    own_town.settle()
    verdict = own_town.verdict()
    assert not verdict.wrong
    assert not verdict.missing


@pytest.mark.proves("N4", "N9", "N7")
def test_a_household_topic_that_the_broker_refuses_is_never_counted_as_told_and_holds_nobody_up(
    tmp_path: Path,
) -> None:
    with town_without_right(tmp_path, "topic write sw1/north/household/h09/alarm") as refusing:
        for unit in ("u03", "u01"):
            message = refusing.press(unit)
            refusing.wait_confirmed(message)
            refusing.wait_told("police", message)
            refusing.wait_told("household:h10", message)
            refusing.wait_told("household:h08", message)
        refusing.box.wait_until(lambda: refusing.owed() == ["household:h09"] * 2, "only h09 is owed", timeout_s=60)
        refusing.box.wait_until(
            lambda: "broker: Not authorized" in refusing.refused(), "the refusal is told", timeout_s=60
        )
        verdict = refusing.verdict(timeout_s=0)
        assert not verdict.wrong
        assert {one.partition(": ")[0] for one in verdict.untold} == {"household:h09"}


@pytest.mark.proves("N2", "N7", "N9", "F26")
def test_events_that_the_broker_refuses_stay_in_the_journal_until_it_takes_them(tmp_path: Path) -> None:
    with town_without_right(tmp_path, "topic write sw1/north/gateway/gw1/event") as refusing:
        messages = [refusing.press(unit) for unit in ("u03", "u01", "u02")]
        refusing.wait_confirmed(*messages)
        for message in messages:
            refusing.wait_told("household:h10", message)
        assert not refusing.stored("press")
        assert refusing.owed().count("station") >= len(messages)
        refusing.box.wait_until(
            lambda: "broker: Not authorized" in refusing.refused(), "the refusal is told", timeout_s=60
        )
        refusing.box.broker._render_acl = acl_file
        refusing.box.broker.restart()
        refusing.settle()
        assert not refusing.verdict(timeout_s=0).wrong
        assert len(refusing.stored("press")) == len(messages)


@pytest.mark.proves("N3", "N12", "A4")
@pytest.mark.parametrize("crash", [True, False], ids=["killed", "stopped"])
def test_a_gateway_restarted_in_an_alarm_rings_nobody_twice_and_still_obeys(own_town: Town, crash: bool) -> None:
    own_town.press("u03")
    own_town.settle()
    own_town.village.do("answer", unit="u05", answer="silence_mine")
    own_town.wait_quiet("u05")
    own_town.settle()
    if crash:
        own_town.gateway.kill()
    else:
        own_town.gateway.stop()
    own_town.restart(own_town.gateway)
    own_town.hold_tag("u09", "00112233")  # behind its answer, whatever was to be said first has been said
    own_town.settle()
    own_town.village.do("cancel", unit="u03")
    own_town.wait_quiet(*DOORS)
    own_town.settle()
    verdict = own_town.verdict()
    assert not verdict.wrong
    assert not verdict.missing
    assert sum(event["event"] == "siren" and event["unit"] == "u05" for event in own_town.village.events) == 1


@pytest.mark.proves("N1", "N14")
def test_the_command_itself_can_be_told_where_to_die(own_town: Town) -> None:
    """`--interfere` as `shouwang` has it, without the launcher of these tests."""
    own_town.gateway.stop()
    gateway = own_town.box.start_gateway(interfere=["link.write.line1:before:1"])
    message = own_town.press("u03")
    assert gateway.wait_dead(60) == -9
    own_town.restart(gateway)
    own_town.wait_confirmed(message)
    own_town.settle()
    assert not own_town.verdict().wrong
    assert json.loads((own_town.state / "health.json").read_text())["gateway"] == "gw1"
