"""What leaves the station about an alarm: every kind, every pair of eyes, every field."""

from dataclasses import fields, replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from api.alarms.models import AlarmRecord
from api.alarms.repository import add_alarms
from api.alarms.rules import COARSE, Outcome, State
from api.alarms.views import ALARM, DISPATCHED, LIFE, OWN, POLICY_FIELDS, Shown, may_know, show, visible
from api.database import Database
from broker.kinds import Kind, Mark
from broker.policy import POLICY, Audience

EYES = (*Audience, None)
SECRET = frozenset({Kind.DURESS, Kind.UNVERIFIED})
ALWAYS = {
    "id",
    "eyes",
    "own",
    "dispatched",
    "kind",
    "kind_words",
    "mark",
    "state",
    "received_ms",
    "happened_ms",
    "late",
}


def alarm(**changed: object) -> AlarmRecord:
    """An alarm of which every column says something."""
    whole = AlarmRecord(
        number=7, id="0" * 35 + "7", key="press:u1:1:1", kind="panic", state="on_scene", verified=True,
        reason="why", late=False, place="h01", group="gr1", door=101, label="老王家", unit="u1",
        gateway="g1", at_ms=1, clock="synced", age_ms=3, happened_ms=4, received_ms=5, presses=2,
        cancelled_ms=6, acknowledged_ms=7, acknowledged_by="li", version=8, source="phone",
        group_known=True, consent=False, excluded="", incident="0" * 36, first_kind="help", raised_by="h1",
        words="快来", address="槐树街1号", whereabouts="position", lat_e6=1, lon_e6=2, accuracy_m=3,
        ring="shown", during_drill=True, quiet=True, owner="zhao", checked_ms=9, dispatched_ms=10, on_the_way_ms=11,
        on_scene_ms=12, stood_back_ms=13, due_ms=14, police_number="110-1", resolved_ms=15,
        resolved_by="li", outcome="real", cause=None, followed_up_ms=16, followed_up_by="wang",
        satisfaction=5, archived_ms=17,
    )  # fmt: skip
    return replace(whole, **changed)  # type: ignore[arg-type] # each is a column


def read(shown: Shown) -> set[str]:
    """The fields of which something can be read."""
    return {
        field.name for field in fields(Shown) if getattr(shown, field.name) not in {None, False} or field.name in ALWAYS
    }


def expected(kind: Kind, eyes: Audience | None, *, own: bool, dispatched: bool) -> set[str] | None:
    """The matrix, written down again from its three tables."""
    named: set[str] = set()
    row = None if eyes is None else POLICY[kind][eyes]
    if eyes is not None and row is not None:
        named |= {name for name in row if name in POLICY_FIELDS} | {*LIFE[eyes]}
    beside = kind not in SECRET | {Kind.TAMPER}
    named |= {*OWN} if own and beside else set()
    named |= {*DISPATCHED} if dispatched and beside else set()
    return named or None


@pytest.mark.proves("N4")
@pytest.mark.parametrize(("own", "dispatched"), [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize(("kind", "eyes"), [*product(Kind, EYES)])
def test_each_pair_of_eyes_reads_exactly_the_fields_of_the_matrix(
    kind: Kind, eyes: Audience | None, *, own: bool, dispatched: bool
) -> None:
    changed = {"kind": kind.value, "cancelled_ms": None if kind is Kind.DURESS else 6}
    shown = show(alarm(**changed), eyes, own=own, dispatched=dispatched)
    named = expected(kind, eyes, own=own, dispatched=dispatched)
    if named is None:
        assert shown is None
        return
    assert shown is not None
    have = read(shown) - ALWAYS - {"do_not_call"}
    coarse = eyes in {None, Audience.NEIGHBOUR}
    absent = {"cause"} | ({"cancelled_ms"} if kind is Kind.DURESS else set()) | ({"outcome"} if coarse else set())
    assert have == named - ALWAYS - absent


@pytest.mark.proves("N4")
@pytest.mark.parametrize("kind", sorted(SECRET))
@pytest.mark.parametrize("eyes", [one for one in EYES if one is not Audience.POLICE])
@pytest.mark.parametrize(("own", "dispatched"), [*product([False, True], repeat=2)])
def test_nothing_is_shown_of_duress_and_of_what_is_not_verified_but_to_police(
    kind: Kind, eyes: Audience | None, *, own: bool, dispatched: bool
) -> None:
    hidden = alarm(kind=kind.value, cancelled_ms=None)
    assert show(hidden, eyes, own=own, dispatched=dispatched) is None
    assert may_know(hidden.kind, None, True, eyes, own=own, dispatched=dispatched) is False


def test_only_police_read_that_nobody_is_to_be_called_back() -> None:
    duress = show(alarm(kind="duress", cancelled_ms=None), Audience.POLICE)
    panic = show(alarm(), Audience.POLICE)
    assert duress is not None
    assert panic is not None
    assert (duress.do_not_call, panic.do_not_call) == (True, False)


@pytest.mark.proves("N4")
@pytest.mark.parametrize("eyes", Audience)
def test_an_unknown_group_leaves_the_police_alone(eyes: Audience) -> None:
    shown = show(alarm(group_known=False), eyes)
    assert (shown is not None) is (eyes is Audience.POLICE)


@pytest.mark.proves("G7")
def test_neighbours_cannot_tell_medical_from_help() -> None:
    both = [show(alarm(kind=kind), Audience.NEIGHBOUR) for kind in ("medical", "help")]
    assert both[0] == both[1]
    consented = show(alarm(kind="medical", consent=True), Audience.NEIGHBOUR)
    own = show(alarm(kind="medical"), Audience.NEIGHBOUR, own=True)
    sent = show(alarm(kind="medical"), None, dispatched=True)
    assert consented is not None
    assert own is not None
    assert sent is not None
    assert {one.kind for one in (consented, own, sent)} == {Kind.MEDICAL}


@pytest.mark.parametrize(("state", "outcome"), [*product(State, Outcome)])
def test_neighbours_read_states_no_finer_than_they_are_told(state: State, outcome: Outcome) -> None:
    neighbour = show(alarm(state=state.value, outcome=outcome.value), Audience.NEIGHBOUR)
    grid = show(alarm(state=state.value, outcome=outcome.value), Audience.GRID)
    assert neighbour is not None
    assert grid is not None
    assert (neighbour.state, grid.state) == (COARSE[state], state)
    assert neighbour.outcome is (Outcome.FALSE if outcome is Outcome.FALSE else None)


def test_no_neighbour_reads_a_number_that_counts() -> None:
    """What rises with every alarm, or with every step, tells of those that are not shown."""
    for shown in (show(alarm(), eyes) for eyes in (Audience.NEIGHBOUR, Audience.GRID, Audience.COMMUNITY)):
        assert shown is not None
        assert shown.number is None
    neighbour = show(alarm(), Audience.NEIGHBOUR)
    assert neighbour is not None
    assert (neighbour.version, neighbour.presses) == (None, None)


@given(st.sampled_from(Kind), st.sampled_from([None, *Mark]), st.booleans(), st.sampled_from(EYES), st.booleans())
def test_whoever_may_know_is_shown_and_nobody_else(
    kind: Kind, mark: Mark | None, group_known: bool, eyes: Audience | None, own: bool
) -> None:
    one = alarm(kind=kind.value, mark=mark, group_known=group_known, cancelled_ms=None)
    assert may_know(one.kind, one.mark, group_known, eyes, own=own) is (show(one, eyes, own=own) is not None)


@pytest.mark.proves("N4")
def test_the_condition_lets_through_exactly_what_may_be_known(database: Database) -> None:
    everything = [
        alarm(
            id=f"{number:036}", kind=kind.value, mark=mark, group_known=known, cancelled_ms=None, incident=None,
            outcome=None, state="received", acknowledged_ms=None, acknowledged_by=None, number=None,
        )
        for number, (kind, mark, known) in enumerate(product(Kind, [None, "test", "drill"], [True, False]))
    ]  # fmt: skip
    with database.write() as session:
        add_alarms(session, everything)
    with database.read() as session:
        for eyes, own in product(EYES, [False, True]):
            through = {*session.connection().execute(select(ALARM.c.id).where(visible(eyes, own=own))).scalars()}
            assert through == {
                one.id for one in everything if may_know(one.kind, one.mark, one.group_known, eyes, own=own)
            }
