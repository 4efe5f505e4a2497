"""An officer quieted the neighbours' sirens for one place: nobody is told less, and whatever is not certain sounds."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.kinds import AUDIBLE, Kind
from broker.messages import alarm_view
from broker.policy import LONGEST_QUIET_MS, quieted
from broker.slices import RegisterSlice
from devices.readings import ButtonPressed, Key, Proof
from gateway.events import Event, event_from_json
from gateway.intake import Intake
from gateway.register import Register
from gateway.settings import GatewaySettings
from gateway.slices import apply, keep, load
from gateway.stamps import Quality
from tests.gateway.place import AT_MS, GATEWAY, PRESSER, STATION, Clock, Dice, S, press
from tests.gateway.place import settings as place
from tests.gateway.test_alert import alert, playing, ring, switched
from tests.gateway.test_slices import kept, slice_of, verifier

HOUR_MS = 3_600_000
QUIET = {"quiet": True}


def quieting(until_ms: int, *, version: int = 1, of: str = "h01") -> RegisterSlice:
    said = [one.model_dump(mode="json") for one in slice_of().households]
    households = [one | ({"quiet_until_ms": until_ms} if one["id"] == of else {}) for one in said]
    return slice_of(version, households=households)


def hear(settings: GatewaySettings, clock: Clock, key: Key = Key.PANIC, unit: int = 1) -> Event:
    intake = Intake(Register(settings), gateway=GATEWAY, random_bytes=Dice())
    pressed = ButtonPressed(unit=unit, boot=1, number=1, key=key, age_ms=0, proof=Proof.SEALED)
    event = intake.judge("line1", pressed, clock()).event
    assert event is not None
    return event


def messages(event: Event) -> dict[str, Any]:
    return {view.addressee: alarm_view(view, alarm=event.id, age_ms=0) for view in event.views(GATEWAY)}


@pytest.mark.proves("A7")
def test_a_press_of_a_quieted_place_sounds_at_nobodys_but_its_own_and_everybody_is_told() -> None:
    event = hear(apply(place(Path("/nowhere")), quieting(AT_MS + HOUR_MS)).settings, Clock())
    sounding = alert(sounders=[{"id": "all", "pin": 5}, {"id": "own", "pin": 6, "household": "h01"}])
    changes = ring(sounding, event)
    assert set(playing(changes)) == {"u01"}
    assert switched(changes) == {"own": True}
    told = messages(event)
    assert told.keys() == messages(press(Clock())).keys()
    assert {message.quiet for message in told.values()} == {True}
    assert {message.kind for message in told.values()} == {Kind.PANIC}


@pytest.mark.proves("A7", "N4")
@pytest.mark.parametrize("key", [Key.DURESS, Key.FIRE])
def test_duress_and_fire_are_what_they_are_without_it(key: Key) -> None:
    event = hear(apply(place(Path("/nowhere")), quieting(AT_MS + HOUR_MS)).settings, Clock(), key)
    assert event == hear(place(Path("/nowhere")), Clock(), key)
    assert bool(playing(ring(alert(), event))) is (key is Key.FIRE)


@pytest.mark.proves("A7", "N6")
@pytest.mark.parametrize(("left_ms", "quality"), [(0, "synced"), (-1, "synced"), (HOUR_MS, "unsynced"),
                                                  (LONGEST_QUIET_MS + 1, "synced")])  # fmt: skip
def test_past_its_end_by_the_gateways_own_clock_and_with_a_clock_that_is_not_sure_sirens_sound(
    left_ms: int, quality: Quality
) -> None:
    here = apply(place(Path("/nowhere")), quieting(AT_MS + left_ms)).settings
    event = hear(here, Clock(quality=quality))
    assert set(playing(ring(alert(), event))) == {"u01", "u03", "u04"}
    assert {message.quiet for message in messages(event).values()} == {None}


@pytest.mark.proves("A7", "N14")
def test_a_gateway_that_starts_anew_goes_on_with_it_until_its_end(tmp_path: Path) -> None:
    here, clock = place(tmp_path), Clock()
    keep(here, kept(quieting(AT_MS + HOUR_MS, version=3)))
    found = load(here, verifier(here))
    assert found.kept is not None
    assert not found.drift
    again = apply(here, found.kept.slice).settings
    assert hear(again, clock).detail == QUIET
    clock.pass_s(3_600)
    assert hear(again, clock).detail == {}


@pytest.mark.proves("A7")
def test_a_press_that_was_kept_quiet_is_resumed_quiet() -> None:
    event = press(Clock(), detail=QUIET)
    again = event_from_json(event.id, event.to_json(), station=STATION)
    assert again.facts(GATEWAY).quiet
    sounding = alert()
    assert set(playing(ring(sounding, again))) == {"u01"}


@pytest.mark.proves("A7")
def test_what_rings_when_it_is_quieted_goes_on_and_the_next_alarm_after_a_lift_sounds() -> None:
    sounding, clock = alert(), Clock()
    ring(sounding, press(clock))
    assert set(playing(ring(sounding, press(clock, number=2, detail=QUIET)))) == {"u01", "u03", "u04"}
    sounding.advance(200 * S)
    assert set(playing(ring(sounding, press(clock, number=3, detail=QUIET)))) == {"u01"}
    assert set(playing(ring(sounding, press(clock, number=4)))) == {"u01", "u03", "u04"}


@pytest.mark.proves("A7")
def test_a_household_at_another_gateway_is_told_and_not_rung() -> None:
    event = press(Clock(), detail=QUIET)
    view = messages(event)["household:h03"]
    assert alert().ring_view(view, PRESSER, now_ns=0) == []
    assert alert().ring_view(view.model_copy(update={"quiet": None}), PRESSER, now_ns=0) != []


@pytest.mark.proves("A7")
@given(st.sampled_from(list(Kind)), st.none() | st.integers(0, 10**14), st.integers(0, 10**14), st.booleans())
def test_only_what_is_certain_is_quiet(kind: Kind, until_ms: int | None, now_ms: int, synced: bool) -> None:
    if quieted(kind, until_ms, now_ms, clock="synced" if synced else "unsynced"):
        assert synced
        assert until_ms is not None
        assert 0 < until_ms - now_ms <= LONGEST_QUIET_MS
        assert kind in AUDIBLE - {Kind.FIRE}
