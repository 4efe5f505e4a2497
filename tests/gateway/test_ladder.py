import pytest

from broker.ids import EventId
from broker.kinds import Kind, LadderState
from devices.commands import Lamp
from gateway.ladder import Ladder, Show
from tests.gateway.place import UNITS, Clock, S, press

U1 = UNITS[0]


@pytest.mark.proves("A5")
def test_the_presser_sees_how_far_it_got() -> None:
    ladder = Ladder(not_reached_s=30)
    event = press(Clock())
    assert ladder.begin(event, 0) == Show(U1, Lamp.KEPT)
    assert ladder.receipted([event.id]) == []
    assert ladder.moved(event.id, LadderState.POLICE_HAVE_IT) == [Show(U1, Lamp.POLICE_HAVE_IT)]
    assert ladder.moved(event.id, LadderState.SOMEBODY_COMING) == [Show(U1, Lamp.COMING)]
    assert ladder.moved(event.id, LadderState.CLOSED) == [Show(U1, Lamp.IDLE)]
    assert ladder.moved(event.id, LadderState.POLICE_HAVE_IT) == []


@pytest.mark.proves("A5")
def test_police_who_are_not_reached_are_said_to_be_so_until_they_are() -> None:
    ladder = Ladder(not_reached_s=30)
    event = press(Clock())
    ladder.begin(event, 0)
    assert ladder.advance(30 * S) == [Show(U1, Lamp.NOT_REACHED)]
    assert ladder.receipted([event.id, EventId("other")]) == [Show(U1, Lamp.KEPT)]
    assert ladder.advance(300 * S) == []


@pytest.mark.proves("N4")
@pytest.mark.parametrize("kind", [Kind.DURESS, Kind.TEST, Kind.TAMPER, Kind.UNVERIFIED])
def test_there_is_no_ladder_for_what_no_lamp_may_show(kind: Kind) -> None:
    ladder = Ladder(not_reached_s=30)
    event = press(Clock(), kind=kind)
    assert ladder.begin(event, 0) is None
    assert ladder.moved(event.id, LadderState.POLICE_HAVE_IT) == []
    assert ladder.advance(300 * S) == []


def test_the_newest_press_of_a_unit_shows_and_the_older_one_when_that_is_over() -> None:
    ladder, clock = Ladder(not_reached_s=30), Clock()
    first, second = press(clock), press(clock, number=2)
    ladder.begin(first, 0)
    ladder.moved(first.id, LadderState.SOMEBODY_COMING)
    assert ladder.begin(second, S) == Show(U1, Lamp.KEPT)
    assert ladder.moved(second.id, LadderState.CLOSED) == [Show(U1, Lamp.COMING)]


def test_a_press_without_a_unit_has_no_lamp() -> None:
    assert Ladder(not_reached_s=30).begin(press(Clock(), unit="u01"), 0) is not None
    nobody = press(Clock())
    object.__setattr__(nobody, "unit", None)
    assert Ladder(not_reached_s=30).begin(nobody, 0) is None
