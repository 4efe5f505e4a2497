"""When the ladder wants to be asked again: with one alarm open as with five thousand."""

from __future__ import annotations

from broker.ids import EventId, UnitId
from broker.kinds import EventType, Kind, LadderState
from devices.commands import Lamp
from gateway.events import Event
from gateway.ladder import MOST_OPEN, Ladder, Show
from gateway.stamps import Stamp

S = 1_000_000_000
STAMP = Stamp(wall_ms=1_800_000_000_000, mono_ns=0, boot="b", quality="synced")


def press(number: int, unit: str = "u01") -> Event:
    return Event(id=EventId(f"e{number}"), type=EventType.PRESS, stamp=STAMP, kind=Kind.PANIC, unit=UnitId(unit))


def test_the_first_alarm_without_a_receipt_is_due_first() -> None:
    ladder = Ladder(not_reached_s=30)
    assert ladder.next_due() is None
    for number in (1, 2, 3):
        ladder.begin(press(number, f"u{number}"), number * S)
    assert ladder.next_due() == 31 * S
    ladder.receipted([EventId("e1")])
    assert ladder.next_due() == 32 * S
    ladder.moved(EventId("e2"), LadderState.CLOSED)
    assert ladder.next_due() == 33 * S
    assert ladder.advance(33 * S - 1) == []
    assert ladder.advance(33 * S) == [Show(UnitId("u3"), Lamp.NOT_REACHED)]
    assert ladder.next_due() is None


def test_an_alarm_that_gave_way_to_newer_ones_is_not_waited_for() -> None:
    ladder = Ladder(not_reached_s=30)
    for number in range(MOST_OPEN + 1):
        ladder.begin(press(number), number)
    assert ladder.next_due() == 30 * S + 1
    assert len(ladder.advance(60 * S)) == MOST_OPEN


def test_the_ladder_is_asked_without_going_through_all_that_is_open() -> None:
    ladder = Ladder(not_reached_s=30)
    for number in range(MOST_OPEN):
        ladder.begin(press(number), number)
    ladder.receipted([EventId(f"e{number}") for number in range(MOST_OPEN - 1)])
    assert ladder.next_due() == 30 * S + MOST_OPEN - 1
    assert len(ladder._dues) == 1
