from dataclasses import replace
from typing import Any

import pytest

from broker.ids import EventId, GroupId, HouseholdId, UnitId
from broker.kinds import EventType, Kind, Mark
from broker.messages import Action, AlarmView, Command
from devices.commands import Pattern, Siren
from gateway.alert import Alert, Play, Switch
from gateway.events import Event
from tests.gateway.place import AT_MS, GATEWAY, REMOTE, Clock, S, new_id, press, register, unit

HOUR_MS = 3_600_000


def alert(**more: Any) -> Alert:
    return Alert(register(**more), siren_s=180, night=(22, 6), utc_offset_min=480)


def ring(sounding: Alert, event: Event, now_s: int = 0) -> list[Play | Switch]:
    return sounding.ring(event, facts=event.facts(GATEWAY), now_ns=now_s * S)


def playing(changes: list[Play | Switch]) -> dict[str, Siren | None]:
    return {change.unit.id: change.siren for change in changes if isinstance(change, Play)}


def switched(changes: list[Play | Switch]) -> dict[str, bool]:
    return {change.sounder.id: change.on for change in changes if isinstance(change, Switch)}


@pytest.mark.proves("A3", "N4", "N5")
def test_a_panic_sounds_at_the_neighbours_who_may_know_and_at_the_pressers_own_unit() -> None:
    sounding = alert()
    played = playing(ring(sounding, press(Clock())))
    assert set(played) == {"u01", "u03", "u04"}
    for who, siren in played.items():
        assert siren is not None
        assert siren.pattern is Pattern.PANIC
        assert siren.doors == (101,)
        assert siren.own is (who == "u01")
        assert siren.seconds == 180


@pytest.mark.proves("N4")
@pytest.mark.parametrize("more", [{"kind": Kind.DURESS}, {"kind": Kind.TEST}, {"kind": Kind.TAMPER},
                                  {"kind": Kind.UNVERIFIED}, {"mark": Mark.TEST}, {"membership": None}])  # fmt: skip
def test_what_is_not_to_be_heard_changes_nothing_anywhere(more: dict[str, Any]) -> None:
    sounding = alert(sounders=[{"id": "s1", "pin": 5}])
    assert ring(sounding, press(Clock(), **more)) == []
    assert sounding.ringing == ()
    assert sounding.next_due() is None


@pytest.mark.proves("N4")
def test_an_unknown_group_sounds_nowhere() -> None:
    assert ring(alert(), press(Clock(), unit="u05")) == []


@pytest.mark.proves("A6", "N4")
def test_taking_a_duress_back_stops_no_siren_of_another_alarm() -> None:
    sounding, clock = alert(), Clock()
    ring(sounding, press(clock))
    duress = press(clock, number=2, kind=Kind.DURESS)
    ring(sounding, duress)
    assert sounding.stop(duress.id) == []
    assert len(sounding.ringing) == 1


@pytest.mark.proves("N6")
def test_a_siren_ends_after_its_time_by_the_monotonic_clock_alone() -> None:
    sounding, clock = alert(), Clock()
    ring(sounding, press(clock), now_s=10)
    clock.wall_ms -= 10 * HOUR_MS
    assert sounding.next_due() == 190 * S
    assert sounding.advance(190 * S - 1) == []
    assert set(playing(sounding.advance(190 * S)).values()) == {None}
    assert sounding.next_due() is None


def test_another_press_there_prolongs_the_sound_with_the_same_reference() -> None:
    sounding, clock = alert(), Clock()
    first = press(clock)
    ring(sounding, first)
    (before,) = sounding.ringing
    ring(sounding, press(clock, number=2), now_s=100)
    (after,) = sounding.ringing
    assert after.reference == before.reference
    assert sounding.next_due() == 280 * S
    assert sounding.alarm_of(after.reference) == after.alarms[-1]
    assert sounding.alarm_of(0) is None
    assert set(playing(sounding.stop(first.id)).values()) == {None}


@pytest.mark.proves("A3")
def test_the_loudest_kind_plays_and_the_newest_doors_are_named_first() -> None:
    sounding, clock = alert(), Clock()
    ring(sounding, press(clock, unit="u03", kind=Kind.FIRE))
    played = playing(ring(sounding, press(clock, unit="u04", kind=Kind.HELP)))
    siren = played["u01"]
    assert siren is not None
    assert siren.pattern is Pattern.FIRE
    assert siren.doors == (104, 103)
    doors = [press(clock, unit=f"u{n:02}", kind=kind) for n in (1, 2, 3, 4) for kind in (Kind.PANIC, Kind.HELP)]
    for event in doors:
        played = playing(ring(sounding, event))
    assert max(len(siren.doors) for siren in played.values() if siren) <= 4


def test_medical_sounds_like_help_unless_the_household_consented() -> None:
    for consent, pattern in ((False, Pattern.HELP), (True, Pattern.MEDICAL)):
        played = playing(ring(alert(), press(Clock(), kind=Kind.MEDICAL, medical_consent=consent)))
        siren = played["u03"]
        assert siren is not None
        assert siren.pattern is pattern


def test_a_drill_has_its_own_pattern() -> None:
    siren = playing(ring(alert(), press(Clock(), mark=Mark.DRILL)))["u03"]
    assert siren is not None
    assert siren.pattern is Pattern.DRILL


def test_a_neighbours_key_silences_only_its_own_sounder_and_the_next_alarm_rings_there_again() -> None:
    sounding, clock = alert(), Clock()
    ring(sounding, press(clock))
    assert playing(sounding.silence(UnitId("u03"))) == {"u03": None}
    assert set(playing(sounding.advance(180 * S))) == {"u01", "u04"}
    assert playing(ring(sounding, press(clock, number=2), now_s=181))["u03"] is not None


@pytest.mark.proves("A9")
def test_stand_back_reaches_everybody_who_rings_for_it() -> None:
    sounding, clock = alert(), Clock()
    event = press(clock)
    ring(sounding, event)
    played = playing(sounding.stand_back(event.id))
    assert all(siren is not None and siren.stand_back for siren in played.values())
    assert sounding.stand_back(EventId("other")) == []
    assert sounding.stop(EventId("other")) == []


@pytest.mark.parametrize(
    ("local_hour", "quality", "kind", "volume"),
    [
        (23, "synced", Kind.PANIC, 1), (5, "synced", Kind.PANIC, 1), (6, "synced", Kind.PANIC, 3),
        (12, "synced", Kind.PANIC, 3), (23, "synced", Kind.FIRE, 3), (23, "unsynced", Kind.PANIC, 3),
    ],
)  # fmt: skip
def test_night_volume_counts_at_night_except_for_fire_and_for_a_clock_that_knows_no_night(
    local_hour: int, quality: Any, kind: Kind, volume: int
) -> None:
    midnight = AT_MS - AT_MS % (24 * HOUR_MS)
    clock = Clock(wall_ms=midnight + (local_hour - 8) * HOUR_MS, quality=quality)
    units = [unit(number, night_volume=1) for number in range(1, 5)]
    siren = playing(ring(alert(units=units), press(clock, kind=kind)))["u03"]
    assert siren is not None
    assert siren.volume == volume


def test_a_night_that_does_not_pass_midnight_is_one_too() -> None:
    sounding = Alert(register(units=[unit(1), unit(3, night_volume=0)]), siren_s=180, night=(1, 5), utc_offset_min=0)
    midnight = AT_MS - AT_MS % (24 * HOUR_MS)
    for hour, volume in ((0, 3), (1, 0), (4, 0), (5, 3)):
        siren = playing(ring(sounding, press(Clock(wall_ms=midnight + hour * HOUR_MS))))["u03"]
        assert siren is not None
        assert siren.volume == volume
        sounding.advance(10**15)


SOUNDERS = [
    {"id": "all", "pin": 2},
    {"id": "group", "pin": 3, "group": "g1"},
    {"id": "other", "pin": 4, "group": "g2"},
    {"id": "h01", "pin": 5, "household": "h01"},
    {"id": "h02", "pin": 6, "household": "h02"},
    {"id": "h03", "pin": 7, "household": "h03"},
]


@pytest.mark.proves("N4")
def test_wired_sounders_follow_whom_they_are_for_and_an_excluded_households_stays_silent() -> None:
    sounding, clock = alert(sounders=SOUNDERS), Clock()
    first = press(clock)
    assert switched(ring(sounding, first)) == {"all": True, "group": True, "h01": True, "h03": True}
    second = press(clock, unit="u03")
    assert switched(ring(sounding, second)) == {"h02": True}
    assert switched(sounding.stop(first.id)) == {}
    assert switched(sounding.stop(second.id)) == {
        "all": False, "group": False, "h01": False, "h02": False, "h03": False
    }  # fmt: skip


def view(household: str, alarm: EventId, **more: Any) -> AlarmView:
    values: dict[str, Any] = {
        "topic": f"sw1/north/household/{household}/alarm", "audience": f"household:{household}", "id": alarm,
        "age_ms": 0, "kind": Kind.PANIC, "word_zh": "紧急报警", "word_en": "panic", "door": 7,
    }  # fmt: skip
    return AlarmView.model_validate(values | more)


REMOTE_UNITS = [unit(8), unit(9)]


@pytest.mark.proves("A1")
def test_two_households_here_ring_for_the_same_alarm_of_another_gateway_and_stop_together() -> None:
    sounding = alert(units=REMOTE_UNITS)
    alarm = new_id()
    assert set(playing(sounding.ring_view(view("h08", alarm), REMOTE[0], now_ns=0))) == {"u08"}
    assert set(playing(sounding.ring_view(view("h09", alarm), REMOTE[1], now_ns=0))) == {"u08", "u09"}
    assert playing(sounding.stop(alarm)) == {"u08": None, "u09": None}


def test_a_view_that_has_no_sound_sounds_nothing() -> None:
    sounding = alert(units=REMOTE_UNITS)
    assert sounding.ring_view(view("h08", new_id(), kind=Kind.TAMPER), REMOTE[0], now_ns=0) == []
    drill = playing(sounding.ring_view(view("h08", new_id(), mark=Mark.DRILL), REMOTE[0], now_ns=0))["u08"]
    assert drill is not None
    assert drill.pattern is Pattern.DRILL


def order(**more: Any) -> Command:
    values: dict[str, Any] = {
        "topic": "sw1/north/gateway/gw1/command", "audience": "gateway:gw1", "id": new_id(), "age_ms": 0,
        "session": "0" * 32, "counter": 1, "action": Action.ALERT, "alarm": new_id(), "kind": Kind.PANIC, "group": "g1",
    }  # fmt: skip
    return Command.model_validate(values | more)


@pytest.mark.proves("A2", "N4")
def test_a_press_by_phone_follows_the_same_policy_as_a_key() -> None:
    sounding = alert()
    assert set(playing(sounding.ring_command(order(place=HouseholdId("h01"), door=101), now_ns=0))) == {
        "u01", "u03", "u04"
    }  # fmt: skip
    assert set(playing(alert().ring_command(order(), now_ns=0))) == {"u01", "u02", "u03", "u04"}
    assert set(playing(alert().ring_command(order(place=HouseholdId("h05")), now_ns=0))) == {
        "u01", "u02", "u03", "u04", "u05"
    }  # fmt: skip


@pytest.mark.proves("N4")
@pytest.mark.parametrize(
    "more", [{"kind": Kind.DURESS}, {"mark": Mark.TEST}, {"group": GroupId("nowhere")}, {"kind": Kind.TAMPER}]
)
def test_an_order_to_alert_that_the_policy_forbids_sounds_nothing(more: dict[str, Any]) -> None:
    assert alert().ring_command(order(**more), now_ns=0) == []
    assert alert().ring_command(order(action=Action.READINESS, alarm=None), now_ns=0) == []


def test_medical_by_phone_sounds_like_help_to_those_who_may_not_know_more() -> None:
    siren = playing(alert().ring_command(order(kind=Kind.MEDICAL, place=HouseholdId("h01")), now_ns=0))["u03"]
    assert siren is not None
    assert siren.pattern is Pattern.HELP


def test_a_place_that_presses_without_end_is_remembered_within_bounds() -> None:
    sounding, clock = alert(), Clock()
    events = [press(clock, number=number) for number in range(1, 100)]
    for event in events:
        ring(sounding, event)
    (ringing,) = sounding.ringing
    assert len(ringing.alarms) < 30
    sounding.stop(events[-1].id)
    assert sounding.ringing == ()


def test_an_event_of_no_place_rings_by_itself() -> None:
    event = replace(press(Clock()), place=None, type=EventType.PRESS)
    assert set(playing(ring(alert(), event))) == {"u01", "u03", "u04"}
