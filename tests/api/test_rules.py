"""The pure parts: what may happen to an alarm, which events are one press, what is read from what is not believed."""

import json
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.alarms.rules import (
    ACKNOWLEDGEABLE,
    CLIMBS,
    CLOSED,
    FOLLOWERS,
    HANDLED,
    OPENERS,
    TABLE,
    Action,
    Outcome,
    State,
    age_ms,
    followed_keys,
    is_late,
    key_of,
    kind_of,
    mark_of,
    may_cancel,
    shows_on_lamp,
    told,
)
from api.alarms.schemas import STATE_WORDS
from api.ingest.rules import (
    BATCH_LEAST,
    BATCH_LEAST_ALONE,
    BATCH_MOST,
    HOLD_MOST_MS,
    HOLD_MS,
    claim,
    identity,
    next_limit,
)
from broker.kinds import EventType, Kind, Mark, UpdateState
from broker.messages import GatewayEvent
from tests.api.peers import Maker

g1, g2 = Maker("g1"), Maker("g2")


class TestTable:
    @pytest.mark.proves("F50")
    def test_every_state_has_an_answer_to_every_action(self) -> None:
        assert TABLE.keys() == {*product(State, Action)}
        assert STATE_WORDS.keys() == {*State}

    @pytest.mark.proves("A6")
    def test_nothing_that_a_household_does_changes_what_an_officer_did(self) -> None:
        assert TABLE[State.ACKNOWLEDGED, Action.CANCEL] is State.ACKNOWLEDGED

    def test_a_cancelled_alarm_can_still_be_acknowledged(self) -> None:
        assert {*ACKNOWLEDGEABLE} == {State.RECEIVED, State.CANCELLED_BY_HOUSEHOLD}

    def test_an_acknowledged_alarm_is_not_acknowledged_again(self) -> None:
        assert TABLE[State.ACKNOWLEDGED, Action.ACKNOWLEDGE] is None

    def test_audiences_and_lamps_know_how_far_every_state_is(self) -> None:
        assert {state for state in State if told(state) is None} == {State.RECEIVED}
        assert CLIMBS.keys() == {*HANDLED, *CLOSED}
        assert told(State.ARCHIVED, Outcome.FALSE) is UpdateState.FALSE_ALARM


@pytest.mark.parametrize("kind", Kind)
def test_duress_is_not_cancelled_and_shows_on_no_lamp(kind: Kind) -> None:
    assert may_cancel(kind, verified=True) is (kind is not Kind.DURESS)
    assert shows_on_lamp(kind) is (kind is not Kind.DURESS)


@pytest.mark.proves("N13")
@pytest.mark.parametrize("kind", Kind)
def test_a_cancel_that_is_not_verified_is_never_heard(kind: Kind) -> None:
    assert not may_cancel(kind, verified=False)


class TestKeys:
    @pytest.mark.proves("N3")
    def test_the_same_press_heard_by_two_gateways_has_one_key(self) -> None:
        assert key_of(g1.event(press="u1:1:7")) == key_of(g2.event(press="u1:1:7"))

    def test_two_presses_of_one_unit_have_two_keys(self) -> None:
        assert key_of(g1.event(press="u1:1:7")) != key_of(g1.event(press="u1:1:8"))

    @pytest.mark.proves("N13")
    def test_what_is_not_verified_never_has_the_key_of_what_is(self) -> None:
        genuine = g1.event(press="u1:1:7")
        forgeries = [
            g1.event(press="u1:1:7", verified=False, reason="possible_replay"),
            g1.event(EventType.UNVERIFIED, press="u1:1:7", kind=Kind.UNVERIFIED, verified=False),
            g2.event(EventType.UNVERIFIED, press="u1:1:7", verified=False),
        ]
        assert key_of(genuine).text not in {key_of(forgery).text for forgery in forgeries}

    def test_a_silent_alarm_never_has_the_key_of_a_visible_one(self) -> None:
        assert key_of(g1.event(press="u1:1:7", kind=Kind.DURESS)) != key_of(g1.event(press="u1:1:7"))

    def test_a_fixed_code_is_the_same_press_for_ten_seconds(self) -> None:
        code = key_of(g1.event(press=None, verified=False, unit="r1"))
        assert code == key_of(g2.event(press=None, verified=False, unit="r1"))
        assert code.within_ms == 10_000
        assert code != key_of(g1.event(press=None, verified=False, unit="r1", kind=Kind.HELP))

    @pytest.mark.parametrize("kind", Kind)
    def test_a_duration_or_cancel_looks_where_its_press_is(self, kind: Kind) -> None:
        press = g1.event(press="u1:1:7", kind=kind)
        for event in FOLLOWERS:
            found = followed_keys(g1.event(event, press="u1:1:7"))
            assert (key_of(press).text in found) is (kind is not Kind.UNVERIFIED)

    @pytest.mark.parametrize("press", [None, "u1:1:0"])
    def test_a_cancel_without_a_number_names_no_press(self, press: str | None) -> None:
        assert followed_keys(g1.event(EventType.CANCEL, press=press)) == ()


@pytest.mark.parametrize("event", sorted(OPENERS))
def test_an_opener_always_has_a_kind_even_if_it_says_none(event: EventType) -> None:
    said_nothing = g1.event(event, kind=None, press=None)
    assert kind_of(said_nothing) is (Kind.TEST if event is EventType.TEST else Kind.UNVERIFIED)
    assert (mark_of(said_nothing) is Mark.TEST) is (event is EventType.TEST)


class TestAge:
    @pytest.mark.proves("N12")
    def test_a_synchronised_clock_shows_what_a_broker_kept(self) -> None:
        assert age_ms(20, at_ms=1_000_000, synced=True, received_ms=1_090_000) == 90_000
        assert is_late(90_000)

    @pytest.mark.proves("N6")
    def test_a_wrong_clock_makes_nothing_old(self) -> None:
        assert age_ms(20, at_ms=0, synced=False, received_ms=1_795_000_000_000) == 20

    @given(said=st.integers(0, 2**40), at=st.integers(0, 2**45), synced=st.booleans(), received=st.integers(0, 2**45))
    def test_nothing_makes_it_younger_than_it_said(self, said: int, at: int, synced: bool, received: int) -> None:
        assert age_ms(said, at_ms=at, synced=synced, received_ms=received) >= said


class TestClaim:
    def test_an_event_is_read_without_being_believed(self) -> None:
        event = g1.event()
        payload = g1.signer.envelope(event).replace(b'"panic"', b'"drill"')
        read = claim(event.topic, payload)
        assert (read.gateway, read.event, read.epoch, read.seq) == ("g1", event.id, event.epoch, event.seq)
        assert read.is_event

    @given(topic=st.text(max_size=64), payload=st.binary(max_size=256))
    def test_no_octets_break_it(self, topic: str, payload: bytes) -> None:
        assert claim(topic, payload).event is None
        assert len(identity(topic, payload, None)) == 64

    @given(
        body=st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=8),
            lambda below: (
                st.lists(below, max_size=3)
                | st.dictionaries(st.sampled_from(["body", "id", "epoch", "seq"]), below, max_size=4)
            ),
        )
    )
    def test_no_json_breaks_it(self, body: object) -> None:
        read = claim("sw1/north/gateway/g1/event", json.dumps(body).encode())
        assert (read.epoch is None) == (read.seq is None)

    def test_repeats_of_one_event_are_one_letter_and_other_octets_are_another(self) -> None:
        event = g1.event()
        young, old = (g1.signer.envelope(event.model_copy(update={"age_ms": age})) for age in (1, 9))
        assert identity(event.topic, young, event.id) == identity(event.topic, old, event.id)
        assert identity(event.topic, young, None) != identity(event.topic, old, None)


class TestLimit:
    @given(
        limit=st.integers(BATCH_LEAST, BATCH_MOST),
        took=st.integers(1, BATCH_MOST),
        held=st.floats(0, 1_000),
        awaited=st.booleans(),
    )
    def test_it_stays_within_its_bounds(self, limit: int, took: int, held: float, *, awaited: bool) -> None:
        found = next_limit(limit, took=min(took, limit), held_ms=held, awaited=awaited)
        assert BATCH_LEAST <= found <= BATCH_MOST

    def test_it_falls_at_once_and_rises_slowly(self) -> None:
        assert next_limit(100, took=100, held_ms=HOLD_MOST_MS + 1, awaited=False) == 50
        assert next_limit(50, took=50, held_ms=HOLD_MOST_MS / 2, awaited=False) == 60

    @pytest.mark.proves("N11")
    def test_while_an_officer_waits_batches_are_shorter(self) -> None:
        assert next_limit(100, took=100, held_ms=HOLD_MS + 1, awaited=True) == 50
        assert next_limit(BATCH_MOST, took=BATCH_MOST, held_ms=HOLD_MS + 1, awaited=False) == BATCH_MOST

    def test_while_nobody_is_at_work_a_busy_machine_does_not_make_them_tiny(self) -> None:
        assert next_limit(60, took=60, held_ms=HOLD_MOST_MS * 10, awaited=False) == BATCH_LEAST_ALONE
        assert next_limit(60, took=60, held_ms=HOLD_MOST_MS * 10, awaited=True) == 30
        assert next_limit(15, took=15, held_ms=HOLD_MOST_MS * 10, awaited=False) == BATCH_LEAST_ALONE

    def test_a_small_quick_batch_says_nothing_about_large_ones(self) -> None:
        assert next_limit(50, took=3, held_ms=0.1, awaited=False) == 50


def test_events_of_the_maker_are_what_a_gateway_sends() -> None:
    assert GatewayEvent.model_validate_json(g1.event().model_dump_json()) is not None
