import pytest

from broker.ids import Epoch
from broker.kinds import EventType, Kind
from devices.commands import Lamp
from gateway.alert import Alert, Play
from gateway.events import Entry, Event
from gateway.ladder import Ladder, Show
from gateway.resumption import Resumed, resume
from tests.gateway.place import GATEWAY, UNITS, Clock, plain, press, register


def resumed(clock: Clock, *events: tuple[Event, bool]) -> tuple[Resumed, Alert, Ladder]:
    alert = Alert(register(), siren_s=180, night=(22, 6), utc_offset_min=480)
    ladder = Ladder(not_reached_s=30)
    lately = [(Entry(Epoch("0" * 16), seq, event), owed) for seq, (event, owed) in enumerate(events, 1)]
    return resume(lately, alert=alert, ladder=ladder, gateway=GATEWAY, now=clock()), alert, ladder


def sounding(found: Resumed) -> dict[str, bool]:
    return {change.unit.id: change.siren is not None for change in found.sounds if isinstance(change, Play)}


@pytest.mark.proves("N5")
def test_an_alarm_that_a_restart_interrupted_goes_on_for_the_rest_of_its_time() -> None:
    clock = Clock()
    event = press(clock)
    clock.pass_s(20)
    found, alert, ladder = resumed(clock, (event, True))
    assert sounding(found) == {"u01": True, "u03": True, "u04": True}
    assert alert.next_due() == event.stamp.mono_ns + 180 * 10**9
    assert found.shows == [Show(UNITS[0], Lamp.KEPT)]
    assert ladder.next_due() is not None


@pytest.mark.proves("N12")
def test_after_a_reboot_or_a_minute_nothing_rings_again() -> None:
    clock = Clock()
    event = press(clock)
    clock.pass_s(61)
    assert sounding(resumed(clock, (event, True))[0]) == {}
    rebooted = Clock(boot="b2")
    found, _, ladder = resumed(rebooted, (event, False))
    assert sounding(found) == {}
    assert found.shows == [Show(UNITS[0], Lamp.KEPT)]
    assert ladder.next_due() is None


def test_what_was_taken_back_or_silenced_stays_so() -> None:
    clock = Clock()
    event = press(clock)
    cancel = plain(clock, EventType.CANCEL, press=event.press, unit=event.unit)
    found, alert, _ = resumed(clock, (event, True), (cancel, True))
    assert sounding(found) == {"u01": False, "u03": False, "u04": False}
    assert alert.ringing == ()
    silenced = plain(clock, EventType.SILENCED, unit=UNITS[2])
    assert sounding(resumed(clock, (event, True), (silenced, True))[0])["u03"] is False
    refused = plain(clock, EventType.CANCEL, press=event.press, unit=event.unit, verified=False)
    assert sounding(resumed(clock, (event, True), (refused, True))[0])["u03"] is True


@pytest.mark.proves("N4")
def test_duress_is_not_heard_after_a_restart_either() -> None:
    clock = Clock()
    found, _, _ = resumed(clock, (press(clock, kind=Kind.DURESS), True), (plain(clock, EventType.CHECK_IN), True))
    assert found == Resumed()


def test_a_lamp_is_lit_again_within_the_hour_only() -> None:
    clock = Clock()
    event = press(clock)
    clock.pass_s(3_601)
    assert resumed(clock, (event, True))[0].shows == []
