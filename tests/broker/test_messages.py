import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from broker.ids import GatewayId, epoch, event_id
from broker.kinds import EventType, Kind, UpdateState
from broker.messages import (
    BODIES,
    MAX_PAYLOAD,
    MAX_RESULTS,
    AlarmView,
    Body,
    GatewayEvent,
    Outcome,
    Receipt,
    Rejection,
    alarm_update,
    alarm_view,
    clean,
    parse_body,
    plain,
)
from broker.policy import views
from broker.signing import Signer, canonical, gateway_kid
from broker.topics import TABLE
from tests.broker.bodies import ANY_BODY, LARGEST, largest
from tests.broker.village import ALARM, AT_MS, GATEWAY, GROUP, MEMBERSHIP, PANIC, PRESSER

HEAD = {"v": 1, "topic": "sw1/north/police/alarm", "audience": "police", "id": ALARM, "age_ms": 0}
ALARM_BODY = {**HEAD, "type": "alarm", "kind": "panic", "word_zh": "紧急报警", "word_en": "panic"}
EVENT_BODY = {
    **HEAD,
    "type": "event",
    "topic": "sw1/north/gateway/gw1/event",
    "audience": "station",
    "gateway": "gw1",
    "epoch": "0123456789abcdef",
    "seq": 1,
    "event": "press",
    "at_ms": AT_MS,
    "mono_us": 5_000_000,
    "boot": "0f",
    "clock": "synced",
}
COMMAND_BODY = {
    **HEAD,
    "type": "command",
    "topic": "sw1/north/gateway/gw1/command",
    "audience": "gateway:gw1",
    "session": "0" * 32,
    "counter": 1,
}


def as_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def refused(value: object) -> str:
    with pytest.raises(ValidationError) as caught:
        parse_body(as_json(value))
    return str(caught.value)


@given(ANY_BODY)
def test_every_body_comes_back_from_its_canonical_form(body: Body) -> None:
    assert parse_body(canonical(plain(body))) == body


@given(ANY_BODY)
def test_every_body_names_version_type_topic_audience_id_and_age(body: Body) -> None:
    written = plain(body)
    assert written["v"] == 1
    assert {"type", "topic", "audience", "id", "age_ms"} <= set(written)
    assert None not in written.values()


def test_every_type_has_a_model_a_topic_and_a_largest_body() -> None:
    assert set(BODIES) == {type_ for row in TABLE for type_ in row.bodies} == set(LARGEST)
    assert {model.model_fields["type"].default for model in BODIES.values()} == set(BODIES)


@pytest.mark.parametrize("type_", BODIES)
def test_the_largest_body_of_each_type_fits_into_one_message(type_: str) -> None:
    body = largest(type_, as_json)
    unset = {name for name, value in body.model_dump().items() if value is None}
    assert not unset, "not the largest"
    envelope = Signer(gateway_kid(GatewayId("s" * 32), key=99), bytes(32)).envelope(body)
    assert len(envelope) <= MAX_PAYLOAD


@pytest.mark.parametrize("body", [ALARM_BODY, EVENT_BODY, {**COMMAND_BODY, "action": "readiness"}])
def test_a_body_with_an_unknown_field_is_refused(body: dict[str, Any]) -> None:
    assert "extra" in refused({**body, "phone": "13800000000"}).lower()


@pytest.mark.parametrize("missing", sorted(EVENT_BODY))
def test_a_body_without_a_required_field_is_refused(missing: str) -> None:
    body = {name: value for name, value in EVENT_BODY.items() if name != missing}
    with pytest.raises(ValueError, match=missing if missing != "type" else "discriminator"):
        parse_body(as_json(body))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("v", 2),
        ("v", "1"),
        ("type", "alarms"),
        ("topic", "sw2/north/police/alarm"),
        ("topic", "sw1/north/+/alarm"),
        ("audience", "Police"),
        ("id", "not-a-uuid"),
        ("age_ms", -1),
        ("age_ms", 1.5),
        ("age_ms", 1.0),
        ("age_ms", "1"),
        ("age_ms", True),
        ("age_ms", 2**53),
        ("seq", 0),
        ("epoch", "0123456789ABCDEF"),
        ("event", "presses"),
        ("kind", "riot"),
        ("kind", ""),
        ("unit", "U1"),
        ("unit", "a/b"),
        ("door", 10_000),
        ("door", "3"),
        ("label", "x" * 97),
        ("label", "a\x1b[31m"),
        ("label", "a\nb"),
        ("label", "1\u202e2"),
        ("press", "u1:2"),
        ("verified", 1),
        ("verified", "yes"),
        ("reason", "because of"),
        ("mark", "exercise"),
        ("clock", "ntp"),
        ("detail", {"Key": 1}),
        ("detail", {"key": 1.5}),
        ("detail", {"key": None}),
        ("detail", {"key": {"deep": 1}}),
        ("detail", {f"k{index}": index for index in range(17)}),
        ("detail", [1]),
    ],
)
def test_a_field_takes_nothing_but_its_own_values(field: str, value: object) -> None:
    refused({**EVENT_BODY, field: value})


@pytest.mark.parametrize("detail", [{"n": -5}, {"up": True}, {"what": "掉电"}, {}])
def test_details_are_small_values_that_keep_their_type(detail: dict[str, object]) -> None:
    body = parse_body(as_json({**EVENT_BODY, "detail": detail}))
    assert isinstance(body, GatewayEvent)
    assert body.detail == detail
    assert [type(value) for value in body.detail.values()] == [type(value) for value in detail.values()]


@pytest.mark.parametrize(
    ("action", "needed"),
    [
        ("ladder", {"alarm": ALARM, "state": "police_have_it"}),
        ("stop", {"alarm": ALARM, "by": "handler"}),
        ("stand_back", {"alarm": ALARM}),
        ("alert", {"alarm": ALARM, "kind": "panic", "group": "g07"}),
        ("readiness", {}),
        ("drill", {"group": "ten1", "units": ["u1"], "lasts_ms": 3_600_000}),
    ],
)
def test_a_command_carries_what_its_action_needs(action: str, needed: dict[str, str]) -> None:
    whole = {**COMMAND_BODY, "action": action, **needed}
    assert plain(parse_body(as_json(whole))) == whole
    for name in needed:
        assert name in refused({key: value for key, value in whole.items() if key != name})


def test_a_receipt_names_at_most_200_events_over_its_three_lists() -> None:
    ids = tuple(event_id(number, bytes(10)) for number in range(MAX_RESULTS + 1))

    def receipt(*, split: int, count: int) -> Receipt:
        return Receipt(
            topic="sw1/north/gateway/gw1/receipt",
            audience="gateway:gw1",
            id=ALARM,
            age_ms=0,
            generation=3,
            stored=ids[:split],
            duplicate=ids[split : count - 1],
            rejected=(Rejection(id=ids[count - 1], reason="clone"),),
        )

    full = receipt(split=120, count=MAX_RESULTS)
    outcomes = full.outcomes()
    assert len(outcomes) == MAX_RESULTS
    assert [outcomes[ids[index]] for index in (0, 120, 199)] == list(Outcome)
    with pytest.raises(ValidationError, match="at most 200"):
        receipt(split=120, count=MAX_RESULTS + 1)


def test_bodies_cannot_be_changed() -> None:
    body = parse_body(as_json(ALARM_BODY))
    with pytest.raises(ValidationError):
        body.age_ms = 7  # type: ignore[misc] # that it is frozen is the point


@given(st.text(max_size=300) | st.text(st.characters(min_codepoint=0xD7FE, max_codepoint=0xE001), max_size=5))
def test_any_text_fits_into_a_message_once_it_is_cleaned(text: str) -> None:
    body = parse_body(as_json({**ALARM_BODY, "label": clean(text)}))
    assert isinstance(body, AlarmView)
    assert body.label == clean(text)


def test_cleaning_leaves_what_people_write() -> None:
    assert clean("王家 3号 (小卖部) “平安” 🚪") == "王家 3号 (小卖部) “平安” 🚪"
    assert clean("a\x00b\x1b[1mc\u202ed\ud800") == "ab[1mcd"


def test_an_event_gives_the_policy_all_that_it_knows() -> None:
    event = GatewayEvent(
        topic="sw1/north/gateway/gw1/event",
        audience="station",
        id=ALARM,
        age_ms=0,
        gateway=GATEWAY,
        epoch=epoch(bytes(8)),
        seq=1,
        event=EventType.PRESS,
        at_ms=AT_MS,
        mono_us=1,
        boot="0f",
        clock="synced",
        kind=Kind.PANIC,
        unit=PANIC.unit,
        place=PRESSER,
        group=GROUP,
        door=PANIC.door,
        label=PANIC.label,
        press=PANIC.press,
        reason=PANIC.reason,
    )
    assert event.facts() == PANIC
    consenting = event.facts(medical_consent=True)
    assert consenting is not None
    assert consenting.medical_consent


def test_an_event_without_kind_is_no_alarm() -> None:
    event = parse_body(as_json({**EVENT_BODY, "event": "heartbeat"}))
    assert isinstance(event, GatewayEvent)
    assert event.facts() is None


def test_an_update_goes_where_the_alarm_went_with_an_id_of_its_own() -> None:
    update_id = event_id(AT_MS + 1, bytes(10))
    for view in views(PANIC, MEMBERSHIP):
        alarm = alarm_view(view, alarm=ALARM, age_ms=0)
        update = alarm_update(
            view, update=update_id, alarm=ALARM, age_ms=5, state=UpdateState.CANCELLED_BY_HOUSEHOLD, by="household"
        )
        assert update.audience == alarm.audience
        assert update.topic == alarm.topic.replace("/alarm", "/update")
        assert (update.alarm, update.id, update.word_zh) == (ALARM, update_id, "住户撤销·待核实")
