import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.ids import Epoch, EventId
from broker.kinds import EventType, Kind, Mark
from broker.messages import AlarmView, GatewayEvent
from broker.messages import plain as plain_body
from broker.signing import Verifier, canonical
from gateway.events import STATION as TO_STATION
from gateway.events import Composer, Entry, Event, event_from_json
from gateway.stamps import Stamp
from tests.gateway.place import GATEWAY, GATEWAY_SIGNER, STATION, Clock, plain, press

EPOCH = Epoch("0123456789abcdef")


def details() -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(
        st.from_regex(r"[a-z_]{1,12}", fullmatch=True),
        st.booleans() | st.integers(-(2**40), 2**40) | st.text("abc门 ", max_size=20),
        max_size=8,
    )


@given(
    kind=st.none() | st.sampled_from(Kind),
    type_=st.sampled_from(EventType),
    mark=st.none() | st.sampled_from(Mark),
    verified=st.booleans(),
    late_ms=st.integers(0, 10**9),
    detail=details(),
    unit=st.sampled_from(["u01", "u05"]),
)
def test_an_event_reads_back_as_it_was_written(**values: Any) -> None:
    unit, type_ = values.pop("unit"), values.pop("type_")
    event = press(Clock(), unit=unit, type=type_, medical_consent=values["verified"], **values)
    back = event_from_json(event.id, event.to_json(), station=STATION)
    assert replace(back, message=event.message) == event


def test_events_that_are_read_back_share_what_they_have_in_common() -> None:
    clock = Clock()
    first, second = (
        event_from_json(event.id, event.to_json(), station=STATION) for event in (press(clock), press(clock, number=2))
    )
    assert first.membership is second.membership


@pytest.mark.parametrize("damage", [b"", b"[]", b'"x"', b"{}", b'{"wall_ms":1}', b"\xff", b'{"type":"press"}'])
def test_what_is_no_event_does_not_read(damage: bytes) -> None:
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        event_from_json(EventId("x"), damage, station=STATION)


@pytest.mark.proves("N4")
def test_targets_are_the_station_and_the_audiences_of_the_policy() -> None:
    assert press(Clock()).targets(GATEWAY) == [
        TO_STATION, "police", "community:c1", "grid:r1", "household:h03", "household:h04"
    ]  # fmt: skip
    assert press(Clock(), kind=Kind.DURESS).targets(GATEWAY) == [TO_STATION, "police"]
    assert press(Clock(), unit="u05").targets(GATEWAY) == [TO_STATION, "police"]
    assert plain(Clock(), EventType.FAULT).targets(GATEWAY) == [TO_STATION]


def entry(event: Event) -> Entry:
    return Entry(EPOCH, 7, event)


def test_a_message_tells_how_old_the_thing_was_when_it_came_and_since() -> None:
    event = press(Clock(), late_ms=4_000)
    composer = Composer(STATION, GATEWAY)
    told = composer.compose(entry(event), TO_STATION, age_ms=500)
    view = composer.compose(entry(event), "household:h03", age_ms=500)
    assert isinstance(told, GatewayEvent)
    assert isinstance(view, AlarmView)
    assert told.age_ms == view.age_ms == 4_500
    assert told.at_ms == event.stamp.wall_ms - 4_000


@pytest.mark.proves("N4")
def test_an_audience_that_the_policy_does_not_name_gets_no_message() -> None:
    composer = Composer(STATION, GATEWAY)
    assert composer.compose(entry(press(Clock())), "household:h02", age_ms=0) is None
    assert composer.compose(entry(press(Clock(), kind=Kind.DURESS)), "community:c1", age_ms=0) is None


@pytest.mark.proves("N6")
def test_messages_can_be_made_with_a_clock_at_1970() -> None:
    event = press(Clock(wall_ms=5_000, quality="unsynced"), late_ms=60_000)
    composer = Composer(STATION, GATEWAY)
    verifier = Verifier(STATION, {GATEWAY_SIGNER.kid: GATEWAY_SIGNER.public})
    for target in event.targets(GATEWAY):
        body = composer.compose(entry(event), target, age_ms=0)
        assert body is not None
        assert verifier.open(body.topic, GATEWAY_SIGNER.envelope(body)) == body
        assert getattr(body, "clock", None) in {"unsynced", None}


@pytest.mark.proves("N4")
@given(
    kind=st.sampled_from(Kind),
    mark=st.none() | st.sampled_from(Mark),
    late_ms=st.integers(0, 10**9),
    age_ms=st.integers(0, 10**9),
    label=st.none() | st.text('abc门"\\:,{}', max_size=20) | st.just('","audience":"police","topic":"sw1/x"'),
    door=st.none() | st.integers(0, 9_999),
    consent=st.booleans(),
)
def test_what_is_written_for_an_audience_is_octet_for_octet_what_its_model_says(
    age_ms: int, *, consent: bool, **values: Any
) -> None:
    event = press(Clock(), medical_consent=consent, **values)
    assert event.targets(GATEWAY) == [TO_STATION, *(view.addressee for view in event.views(GATEWAY))]
    composer = Composer(STATION, GATEWAY)
    for target in (*event.targets(GATEWAY), "household:nobody"):
        body = composer.compose(entry(event), target, age_ms=age_ms)
        written = composer.write(entry(event), target, age_ms=age_ms)
        assert (written is None) == (body is None)
        if body is not None and written is not None:
            assert (written.topic, written.body) == (body.topic, canonical(plain_body(body)))


COMPOSER = Composer(STATION, GATEWAY)
"""One for all examples: what it keeps of one event must not show in the next."""


@given(
    type_=st.sampled_from(EventType),
    kind=st.none() | st.sampled_from(Kind),
    unit=st.sampled_from(["u01", "u03"]),
    number=st.integers(0, 99),
    seq=st.integers(1, 2**40),
    late_ms=st.integers(0, 10**9),
    pressed=st.booleans(),
    detail=details() | st.just({"seq": 7, "id": '"seq":7', "per%cent": "%(id)b"}) | st.just({"text": "a\nb"}),
    reason=st.none() | st.just("possible_replay") | st.just("No Word"),
    label=st.none() | st.just('"seq":7,"id":"x" 100%') | st.just("\u2028"),
)
def test_what_is_written_to_the_station_is_octet_for_octet_what_its_model_says(
    type_: EventType, seq: int, *, pressed: bool, **values: Any
) -> None:
    event = press(Clock(), type=type_, **values)
    told = Entry(EPOCH, seq, event if pressed else replace(event, press=None))
    try:
        body = COMPOSER.compose(told, TO_STATION, age_ms=5)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011 - whatever it says, no message is made
            COMPOSER.write(told, TO_STATION, age_ms=5)
    else:
        written = COMPOSER.write(told, TO_STATION, age_ms=5)
        assert body is not None
        assert written is not None
        assert (written.topic, written.body) == (body.topic, canonical(plain_body(body)))


def test_the_journals_form_has_one_order_so_that_a_digest_can_be_taken() -> None:
    event = press(Clock(), detail={"b": 1, "a": 2})
    same = press(Clock(), detail={"a": 2, "b": 1}, id=event.id)
    assert event.to_json() == same.to_json()
    assert list(json.loads(event.to_json())) == sorted(json.loads(event.to_json()))


def test_facts_of_an_event_without_a_kind_are_nobodys_business() -> None:
    event = Event(id=EventId("x"), type=EventType.PRESS, stamp=Stamp(1, 2, "b", "synced"))
    assert event.views(GATEWAY) == []
    assert press(Clock(), membership=None).views(GATEWAY) == []
