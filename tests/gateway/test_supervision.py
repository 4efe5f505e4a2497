from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.ids import UnitId
from devices.readings import Heartbeat, Part, Proof
from gateway.supervision import Change, Supervision
from tests.gateway.place import S

PERIOD_S = 100
SILENT_S = 220


def units(count: int, line: str = "line1") -> list[tuple[UnitId, str]]:
    return [(UnitId(f"{line}-{number}"), line) for number in range(count)]


def supervision(*lines: int) -> Supervision:
    everyone = [one for number, count in enumerate(lines, 1) for one in units(count, f"line{number}")]
    return Supervision(everyone, heartbeat_s=PERIOD_S, now_ns=0)


def beat(
    *, battery: int | None = 80, mains: bool = True, cover_open: bool = False, sounder_broken: bool = False
) -> Heartbeat:
    return Heartbeat(1, 1, 1, battery, mains, cover_open, sounder_broken, 1, 0, Proof.SEALED)


def brief(changes: list[Change]) -> list[tuple[str, str, bool]]:
    return [(change.fault, change.subject, change.over) for change in changes]


def run(watch: Supervision, to_s: int, *, since_s: int = 0, talking: list[UnitId] | None = None) -> list[Change]:
    """Let the time pass by seconds; `talking` send their heartbeats, spread over the period."""
    changes: list[Change] = []
    speakers = talking or []
    for second in range(since_s, to_s):
        for number, unit in enumerate(speakers):
            if second % PERIOD_S == number * PERIOD_S // max(len(speakers), 1):
                changes += watch.heard(unit, second * S)
        changes += watch.advance(second * S)
    return changes


@pytest.mark.proves("A10", "N8")
def test_a_unit_that_is_silent_for_two_periods_is_one_fault_and_its_voice_the_restore() -> None:
    watch = supervision(10)
    quiet, *others = [unit for unit, _ in units(10)]
    assert brief(run(watch, 1_000, talking=others)) == [("unit_silent", quiet, False)]
    assert [*watch.faults] == ["unit_silent"]
    assert brief(watch.heard(quiet, 1_000 * S)) == [("unit_silent", quiet, True)]
    assert not watch.faults


@pytest.mark.proves("A10", "N8")
@pytest.mark.parametrize("count", [5, 10, 200])
def test_a_line_that_falls_silent_is_one_fault_however_its_heartbeats_were_spread(count: int) -> None:
    watch = supervision(count)
    everybody = [unit for unit, _ in units(count)]
    assert not run(watch, 300, talking=everybody)
    changes = run(watch, 1_000, since_s=300)
    assert brief(changes) == [("line_silent", "line1", False)]


@pytest.mark.proves("A10", "F43")
def test_jamming_of_more_than_a_third_is_told_within_two_periods_and_a_bit() -> None:
    watch = supervision(10)
    everybody = [unit for unit, _ in units(10)]
    run(watch, 300, talking=everybody)
    changes = run(watch, 300 + SILENT_S + 2, since_s=300, talking=everybody[:6])
    assert ("line_silent", "line1", False) in brief(changes)
    back = run(watch, 900, since_s=300 + SILENT_S + 2, talking=everybody)
    assert ("line_silent", "line1", True) in brief(back)
    assert not watch.faults


def test_two_silent_units_of_a_small_line_are_two_faults() -> None:
    watch = supervision(4)
    everybody = [unit for unit, _ in units(4)]
    assert brief(run(watch, 800, talking=everybody[2:])) == [
        ("unit_silent", everybody[0], False),
        ("unit_silent", everybody[1], False),
    ]


def test_of_a_line_whose_port_is_gone_nothing_else_is_told_and_afterwards_its_units_have_time() -> None:
    watch = supervision(10)
    watch.state("line_lost", "line1", wrong=True)
    assert run(watch, 1_000) == []
    watch.state("line_lost", "line1", wrong=False)
    assert run(watch, 1_100, since_s=1_000) == []
    assert brief(run(watch, 1_300, since_s=1_100)) == [("line_silent", "line1", False)]


@pytest.mark.proves("A10")
def test_a_villages_power_cut_is_one_fault_over_all_lines() -> None:
    watch = supervision(100, 100)
    changes: list[Change] = []
    for number, (unit, _) in enumerate([*units(100, "line1"), *units(100, "line2")]):
        now_ns = (1 + number // 20) * S
        changes += watch.part(unit, Part.MAINS, works=False, now_ns=now_ns)
        changes += watch.told(unit, beat(mains=False), now_ns)
        changes += watch.advance(now_ns)
    changes += watch.advance(60 * S)
    assert brief(changes) == [("power_cut", "village", False)]
    for unit, _ in [*units(100, "line1"), *units(100, "line2")]:
        changes += watch.part(unit, Part.MAINS, works=True, now_ns=70 * S)
    assert brief(watch.advance(70 * S)) == [("power_cut", "village", True)]
    assert not watch.faults


def test_a_unit_without_mains_is_a_fault_by_itself_when_no_others_are() -> None:
    watch = supervision(10)
    unit = units(1)[0][0]
    assert watch.mains(unit, there=False, now_ns=S) == []
    assert watch.advance(10 * S) == []
    assert brief(watch.advance(11 * S)) == [("mains", unit, False)]
    assert brief(watch.mains(unit, there=True, now_ns=12 * S)) == [("mains", unit, True)]
    assert watch.mains(UnitId("stranger"), there=False, now_ns=S) == []


def test_a_mains_supply_that_only_flickers_is_no_fault() -> None:
    watch = supervision(10)
    unit = units(1)[0][0]
    watch.mains(unit, there=False, now_ns=S)
    watch.mains(unit, there=True, now_ns=9 * S)
    assert watch.advance(60 * S) == []


@pytest.mark.proves("A10")
def test_a_battery_is_low_below_twenty_and_good_again_from_thirty() -> None:
    watch = supervision(1)
    unit = units(1)[0][0]
    told = [brief(watch.told(unit, beat(battery=percent), S)) for percent in (80, 19, 25, 19, 29, 30, 25)]
    assert told == [[], [("battery", unit, False)], [], [], [], [("battery", unit, True)], []]
    assert watch.told(unit, beat(battery=None), S) == []


def test_an_open_cover_and_a_broken_sounder_are_faults_with_restores() -> None:
    watch = supervision(1)
    unit = units(1)[0][0]
    assert brief(watch.told(unit, beat(cover_open=True, sounder_broken=True), S)) == [
        ("cover", unit, False),
        ("sounder", unit, False),
    ]
    assert brief(watch.told(unit, beat(), S)) == [("cover", unit, True), ("sounder", unit, True)]
    assert brief(watch.part(unit, Part.SOUNDER, works=False, now_ns=S)) == [("sounder", unit, False)]
    assert brief(watch.part(unit, Part.BATTERY, works=False, now_ns=S)) == [("battery", unit, False)]
    assert watch.part(unit, Part.COVER, works=False, now_ns=S) == []
    assert {change.subject for change in watch.open} == {unit}


def test_whom_to_watch_can_change_without_forgetting_what_is_known() -> None:
    watch = supervision(2)
    first, second = (unit for unit, _ in units(2))
    watch.heard(first, 200 * S)
    watch.watch([(first, "line1"), (UnitId("new"), "line1")], now_ns=210 * S)
    assert brief(watch.advance(215 * S)) == []
    assert brief(watch.advance(425 * S)) == [("unit_silent", first, False)]
    assert watch.heard(second, 426 * S) == []


@given(said=st.lists(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["x", "y"]), st.booleans()), max_size=40))
def test_begins_and_ends_of_a_fault_take_turns(said: list[tuple[str, str, bool]]) -> None:
    watch = supervision(1)
    changes = [change for fault, subject, wrong in said for change in watch.state(fault, subject, wrong=wrong)]
    for key in {(change.fault, change.subject) for change in changes}:
        own = [change.over for change in changes if (change.fault, change.subject) == key]
        assert own[0] is False
        assert all(before != after for before, after in pairwise(own))
