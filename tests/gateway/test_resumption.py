from collections.abc import Sequence

import pytest

from broker.ids import Epoch, PressKey
from broker.kinds import EventType, Kind
from devices.commands import Lamp
from gateway.alert import Alert, Play, Switch
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
    return told(found.sounds)


def told(changes: Sequence[Play | Switch]) -> dict[str, bool]:
    return {change.unit.id: change.siren is not None for change in changes if isinstance(change, Play)}


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


@pytest.mark.proves("N12", "F30")
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


@pytest.mark.proves("N12")
def test_what_may_still_play_by_itself_is_taken_up_without_a_sound_and_can_be_ended() -> None:
    clock = Clock()
    event = press(clock)
    for seconds in (61, 118):
        clock.pass_s(seconds)
        found, alert, _ = resumed(clock, (event, True))
        assert sounding(found) == {}
        assert [ringing.alarms for ringing in alert.ringing] == [[event.id]]
        assert alert.stand_back(event.id) == []
        assert told(alert.stop(event.id)) == {"u01": False, "u03": False, "u04": False}
        assert alert.ringing == ()
    found, alert, _ = resumed(clock, (event, True))
    assert told(alert.advance(clock.pass_s(1.1).mono_ns)) == {"u01": False, "u03": False, "u04": False}
    assert resumed(clock, (event, True))[1].ringing == ()


@pytest.mark.proves("N12")
def test_a_new_alarm_rings_beside_one_that_was_taken_up_and_does_not_wake_it() -> None:
    clock = Clock()
    old = press(clock)
    clock.pass_s(100)
    _, alert, _ = resumed(clock, (old, True))
    new = press(clock, unit="u03")
    sounds = alert.ring(new, facts=new.facts(GATEWAY), now_ns=clock().mono_ns)
    assert {change.siren.doors for change in sounds if isinstance(change, Play) and change.siren} == {(103,)}
    assert not any(told(alert.stop(new.id)).values())
    assert [ringing.alarms for ringing in alert.ringing] == [[old.id]]
    again = press(clock, number=2)
    sounds = alert.ring(again, facts=again.facts(GATEWAY), now_ns=clock().mono_ns)
    assert told(sounds) == {"u01": True, "u03": True, "u04": True}
    assert told(alert.stop(old.id)) == {"u01": False, "u03": False, "u04": False}


def test_after_a_reboot_what_may_still_play_is_ended_by_a_cancel_that_names_no_press() -> None:
    clock = Clock()
    event = press(clock)
    clock.pass_s(70)
    rebooted = Clock(boot="b2", wall_ms=clock.wall_ms)
    found, alert, _ = resumed(rebooted, (event, True))
    assert sounding(found) == {}
    assert found.last == {event.unit: event.id}
    cancel = plain(rebooted, EventType.CANCEL, press=PressKey(f"{event.unit}:2:0"), unit=event.unit)
    found, alert, _ = resumed(rebooted, (event, True), (cancel, True))
    assert sounding(found) == {"u01": False, "u03": False, "u04": False}
    assert alert.ringing == ()


@pytest.mark.proves("N12")
def test_what_the_station_had_stopped_does_not_ring_again() -> None:
    clock = Clock()
    event = press(clock)
    stopped = plain(clock, EventType.SILENCED, detail={"alarm": event.id, "by": "duty_officer"})
    clock.pass_s(5)
    found, alert, _ = resumed(clock, (event, True), (stopped, True))
    assert sounding(found) == {"u01": False, "u03": False, "u04": False}
    assert alert.ringing == ()


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
