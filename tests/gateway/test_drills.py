import pytest

from broker.ids import GroupId, UnitId
from broker.kinds import Kind, Mark
from broker.messages import Action, Command
from broker.policy import siren
from devices.readings import Key
from gateway.drills import Drills
from gateway.intake import Intake
from tests.gateway.place import GATEWAY, Clock, Dice, register
from tests.gateway.test_intake import LINE, event_of, pressed

GROUP = GroupId("g1")
UNIT = UnitId("u01")
MINUTE_NS = 60_000_000_000


def order(*units: str, lasts_ms: int = 600_000, age_ms: int = 0, group: str = "g1") -> Command:
    return Command.model_validate(
        {
            "topic": f"sw1/north/gateway/{GATEWAY}/command",
            "audience": f"gateway:{GATEWAY}",
            "id": "01900000-0000-7000-8000-000000000000",
            "age_ms": age_ms,
            "session": "0" * 32,
            "counter": 1,
            "action": Action.DRILL,
            "group": group,
            "units": units,
            "lasts_ms": lasts_ms,
        }
    )


@pytest.mark.proves("A11")
def test_a_drill_names_its_units_in_its_group_and_ends_by_itself() -> None:
    drills = Drills()
    drills.ordered(order("u01"), 0)
    assert drills.names(UNIT, GROUP, 10 * MINUTE_NS - 1)
    assert not drills.names(UNIT, GROUP, 10 * MINUTE_NS)
    assert not drills.names(UnitId("u02"), GROUP, 0)
    assert not drills.names(UNIT, GroupId("g2"), 0)
    assert not drills.names(UNIT, None, 0)


def test_an_order_that_was_on_its_way_for_long_lasts_so_much_less() -> None:
    drills = Drills()
    drills.ordered(order("u01", age_ms=540_000), 0)
    assert drills.names(UNIT, GROUP, MINUTE_NS - 1)
    assert not drills.names(UNIT, GROUP, MINUTE_NS)
    drills.ordered(order("u01", age_ms=700_000), 0)
    assert not drills.names(UNIT, GROUP, 0)


def test_the_last_order_about_a_group_counts_and_none_about_another() -> None:
    drills = Drills()
    drills.ordered(order("u01"), 0)
    drills.ordered(order("u02", group="g2"), 0)
    assert drills.names(UNIT, GROUP, 0)
    drills.ordered(order(lasts_ms=0), 0)
    assert not drills.names(UNIT, GROUP, 0)


def intake(drills: Drills) -> Intake:
    return Intake(register(), gateway=GATEWAY, random_bytes=Dice(), in_drill=drills.names)


@pytest.mark.proves("A11", "A3")
def test_a_press_of_a_named_unit_is_marked_and_rings_as_a_drill() -> None:
    drills, clock = Drills(), Clock()
    drills.ordered(order("u01"), clock().mono_ns)
    verdict = intake(drills).judge(LINE, pressed(key=Key.FIRE), clock())
    event = event_of(verdict)
    assert (event.kind, event.mark) == (Kind.FIRE, Mark.DRILL)
    assert verdict.rings
    assert event.membership is not None
    assert siren(event.facts(GATEWAY), event.membership) is Kind.DRILL


@pytest.mark.proves("A11")
def test_a_press_of_any_other_unit_during_a_drill_is_real() -> None:
    drills, clock = Drills(), Clock()
    drills.ordered(order("u02"), clock().mono_ns)
    event = event_of(intake(drills).judge(LINE, pressed(), clock()))
    assert event.mark is None
    assert event.membership is not None
    assert siren(event.facts(GATEWAY), event.membership) is Kind.PANIC


@pytest.mark.proves("A11", "N4")
def test_duress_is_real_whatever_is_drilled() -> None:
    drills, clock = Drills(), Clock()
    drills.ordered(order("u01"), clock().mono_ns)
    event = event_of(intake(drills).judge(LINE, pressed(key=Key.DURESS), clock()))
    assert (event.kind, event.mark) == (Kind.DURESS, None)


def test_a_press_from_before_the_drill_is_not_part_of_it() -> None:
    drills, clock = Drills(), Clock()
    drills.ordered(order("u01", lasts_ms=60_000), clock().mono_ns)
    later = clock.pass_s(70)
    assert event_of(intake(drills).judge(LINE, pressed(age_ms=5_000), later)).mark is None
