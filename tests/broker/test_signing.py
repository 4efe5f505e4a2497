import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from broker import signing
from broker.ids import GatewayId, StationId, event_id
from broker.messages import MAX_PAYLOAD, AlarmView, Body, Command, alarm_view, parse_body, plain
from broker.policy import views
from broker.signing import Signer, Verifier, canonical, may_ring, ring_refusal
from tests.broker.bodies import ANY_BODY
from tests.broker.village import (
    ALARM,
    GATEWAY_SIGNER,
    MEMBERSHIP,
    NEXT_DOOR,
    OTHER_SIGNER,
    PANIC,
    SIGNERS,
    STATION_SIGNER,
    verifier,
)

ASCII_KEYS = st.text(st.characters(max_codepoint=0x7F), max_size=8)
SCALARS = st.none() | st.booleans() | st.integers(1 - 2**53, 2**53 - 1) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ASCII_KEYS, inner, max_size=4)
)
OBJECTS = st.dictionaries(ASCII_KEYS, VALUES, max_size=6)

VIEW = next(view for view in views(PANIC, MEMBERSHIP) if view.addressee == f"household:{NEXT_DOOR}")
ALARM_BODY = alarm_view(VIEW, alarm=ALARM, age_ms=3)
PAYLOAD = GATEWAY_SIGNER.envelope(ALARM_BODY)
HEAD = {"v": 1, "id": ALARM, "age_ms": 0}


def command(**fields: object) -> Command:
    body = {
        **HEAD,
        "type": "command",
        "topic": "sw1/north/gateway/gw1/command",
        "audience": "gateway:gw1",
        "session": "0" * 32,
        "counter": 1,
        **fields,
    }
    made = parse_body(json.dumps(body).encode())
    assert isinstance(made, Command)
    return made


ALERT = command(action="alert", alarm=ALARM, kind="panic", group="g07")


def by_the_book(body: Body) -> bytes:
    return rfc8785.dumps(json.loads(body.model_dump_json(exclude_none=True)))


def resealed(signer: Signer = GATEWAY_SIGNER, **changes: object) -> bytes:
    """A payload that was signed over something else than what the models make."""
    return signer.seal(canonical({**plain(ALARM_BODY), **changes}))


@given(OBJECTS)
def test_the_fast_canonical_form_is_that_of_rfc_8785(value: dict[str, Any]) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@given(ANY_BODY)
def test_the_canonical_form_of_every_body_is_that_of_rfc_8785(body: Body) -> None:
    assert canonical(plain(body)) == by_the_book(body)


@pytest.mark.parametrize(
    ("value", "octets"),
    [
        ({"b": 1, "a": [True, None]}, b'{"a":[true,null],"b":1}'),
        ({"s": '€$\x0f\nA\'B"\\\\"/'}, '{"s":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'.encode()),  # RFC 8785, 3.2.2
        ({"s": "\x08\x09\x0c\x0d\x1f\x7f\u2028\U0001f600"}, '{"s":"\\b\\t\\f\\r\\u001f\x7f\u2028\U0001f600"}'.encode()),
    ],
)
def test_the_canonical_form_is_as_the_rfc_writes_it(value: dict[str, Any], octets: bytes) -> None:
    assert canonical(value) == octets


def test_a_lone_surrogate_cannot_be_signed() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        canonical({"a": "\ud800"})


@given(ANY_BODY)
def test_an_envelope_is_json_of_body_kid_and_sig(body: Body) -> None:
    envelope = json.loads(GATEWAY_SIGNER.envelope(body))
    assert set(envelope) == {"body", "kid", "sig"}
    assert envelope["body"] == plain(body)
    assert envelope["kid"] == "gateway:gw1"
    key = Ed25519PublicKey.from_public_bytes(GATEWAY_SIGNER.public)
    key.verify(urlsafe_b64decode(envelope["sig"] + "=="), by_the_book(body))


def test_the_signature_is_that_of_rfc_8032() -> None:
    """RFC 8032, 7.1, test 2: the signature of the one octet 0x72."""
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    sealed = Signer("station", seed).seal(b"\x72")
    assert sealed.endswith(b'"sig":"' + urlsafe_b64encode(signature).rstrip(b"=") + b'"}')


def test_a_genuine_message_opens_to_its_body() -> None:
    assert verifier().open(VIEW.topic, PAYLOAD) == ALARM_BODY


def test_spaces_and_another_order_of_keys_change_nothing() -> None:
    envelope = json.loads(PAYLOAD)
    other = {"sig": envelope["sig"], "kid": envelope["kid"], "body": dict(reversed(envelope["body"].items()))}
    assert verifier().open(VIEW.topic, json.dumps(other, indent=2).encode()) == ALARM_BODY


def test_a_signature_is_spelled_in_one_way_only() -> None:
    envelope = json.loads(PAYLOAD)
    sig = envelope["sig"]
    assert len(sig) == 86
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    same_octets = sig[:-1] + digits[digits.index(sig[-1]) + 1]  # four bits of the last digit are nothing
    for other in (
        same_octets,
        sig + "==",
        sig + "\n",
        sig[:40] + " " + sig[40:],
        sig[:-1],
        "+" + sig[1:],
        "é" + sig[1:],
        "",
    ):
        with pytest.raises(signing.Malformed):
            verifier().open(VIEW.topic, json.dumps(envelope | {"sig": other}).encode())


@pytest.mark.proves("N4")
def test_no_flipped_bit_gets_past_the_signature() -> None:
    receiver = verifier()
    for position in range(len(PAYLOAD) * 8):
        flipped = bytearray(PAYLOAD)
        flipped[position // 8] ^= 1 << position % 8
        with pytest.raises((signing.Malformed, signing.BadSignature, signing.UnknownKey)):
            receiver.open(VIEW.topic, bytes(flipped))


@given(st.binary(max_size=200) | st.text().map(str.encode))
def test_any_octets_are_malformed_and_never_a_traceback(payload: bytes) -> None:
    with pytest.raises(signing.Malformed):
        verifier().open(VIEW.topic, payload)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"body":{},"kid":"station"}',
        b'{"body":[],"kid":"station","sig":""}',
        b'{"body":{},"kid":1,"sig":""}',
        b'{"body":{},"kid":"station","sig":"","more":1}',
        b'{"body":{},"kid":"station","sig":"AA"}',
        b'{"body":{},"kid":"station","sig":"' + "é".encode() * 86 + b'"}',
        b'{"body":{"a":"\\ud800"},"kid":"station","sig":"' + b"A" * 86 + b'"}',
        b'{"body":{"a":1.0},"kid":"station","sig":"' + b"A" * 86 + b'"}',
        b'{"body":{"a":1e3},"kid":"station","sig":"' + b"A" * 86 + b'"}',
        b'{"body":{"a":NaN},"kid":"station","sig":"' + b"A" * 86 + b'"}',
        b'{"body":{"a":-Infinity},"kid":"station","sig":"' + b"A" * 86 + b'"}',
        b'{"body":{"a":' + b"9" * 5_000 + b'},"kid":"station","sig":"' + b"A" * 86 + b'"}',
        b"[" * MAX_PAYLOAD,
        b'{"a":' * (MAX_PAYLOAD // 5),
        b"\xff\xfe",
        PAYLOAD + b" {}",
        PAYLOAD[:-1],
    ],
    ids=lambda payload: repr(payload[:40]),
)
def test_what_is_no_envelope_is_malformed(payload: bytes) -> None:
    with pytest.raises(signing.Malformed) as caught:
        verifier().open(VIEW.topic, payload)
    assert caught.value.topic == VIEW.topic


def test_an_oversize_payload_is_not_even_read() -> None:
    assert verifier().open(VIEW.topic, PAYLOAD.ljust(MAX_PAYLOAD)) == ALARM_BODY
    with pytest.raises(signing.Malformed, match="16385 octets"):
        verifier().open(VIEW.topic, PAYLOAD.ljust(MAX_PAYLOAD + 1))


def test_a_signed_body_that_is_none_of_ours_is_malformed() -> None:
    with pytest.raises(signing.Malformed, match="phone"):
        verifier().open(VIEW.topic, resealed(phone="13800000000"))


def test_a_signed_body_that_does_not_say_its_version_is_malformed() -> None:
    body = {name: value for name, value in plain(ALARM_BODY).items() if name != "v"}
    with pytest.raises(signing.Malformed, match="version"):
        verifier().open(VIEW.topic, GATEWAY_SIGNER.seal(canonical(body)))


def test_an_unknown_key_is_told_from_a_bad_signature() -> None:
    stranger = Signer("gateway:gw9", bytes(32))
    with pytest.raises(signing.UnknownKey) as unknown:
        verifier().open(VIEW.topic, stranger.envelope(ALARM_BODY))
    assert unknown.value.kid == "gateway:gw9"
    impostor = Signer(GATEWAY_SIGNER.kid, bytes(32))
    with pytest.raises(signing.BadSignature) as bad:
        verifier().open(VIEW.topic, impostor.envelope(ALARM_BODY))
    assert bad.value.kid == GATEWAY_SIGNER.kid


@pytest.mark.proves("N4")
@pytest.mark.parametrize(
    "topic",
    [
        "sw1/north/household/h03/alarm",  # a neighbour's
        "sw1/north/household/h02/update",
        "sw1/north/police/alarm",
        "sw1/south/household/h02/alarm",
        "sw1/north/household/h02",
        "",
    ],
)
def test_a_message_does_not_open_anywhere_but_on_the_topic_that_was_signed(topic: str) -> None:
    with pytest.raises(signing.WrongTopic):
        verifier().open(topic, PAYLOAD)


def test_a_message_of_another_station_is_refused_even_when_all_else_is_right() -> None:
    with pytest.raises(signing.WrongTopic, match="not of station south"):
        verifier(StationId("south")).open(VIEW.topic, PAYLOAD)


@pytest.mark.proves("N4")
def test_a_body_for_another_audience_than_its_topic_is_refused() -> None:
    with pytest.raises(signing.WrongTopic, match="audience"):
        verifier().open(VIEW.topic, resealed(audience="household:h03"))


def test_a_topic_carries_only_its_own_types() -> None:
    update = {
        **HEAD,
        "type": "update",
        "topic": VIEW.topic,
        "audience": VIEW.addressee,
        "alarm": ALARM,
        "state": "closed",
        "word_zh": "办结",
        "word_en": "closed",
    }
    with pytest.raises(signing.WrongTopic, match="carries no 'update'"):
        verifier().open(VIEW.topic, GATEWAY_SIGNER.seal(canonical(update)))


@pytest.mark.parametrize("signer", SIGNERS, ids=lambda signer: signer.kid)
def test_any_gateway_may_sign_a_view_and_the_station_may_not(signer: Signer) -> None:
    payload = signer.envelope(ALARM_BODY)
    if signer is STATION_SIGNER:
        with pytest.raises(signing.WrongSigner) as caught:
            verifier().open(VIEW.topic, payload)
        assert caught.value.kid == "station"
    else:
        assert verifier().open(VIEW.topic, payload) == ALARM_BODY


def test_a_gateway_signs_no_event_of_another_gateway() -> None:
    status = {
        **HEAD,
        "type": "gateway_status",
        "topic": "sw1/north/gateway/gw1/status",
        "audience": "station",
        "gateway": "gw1",
        "online": True,
        "generation": 1,
        "session": "0" * 32,
        "epoch": "0" * 16,
        "head": 1,
        "digest": "0" * 64,
        "low": 1,
        "clock": "synced",
        "queued": 0,
        "faults": [],
    }
    topic = "sw1/north/gateway/gw1/status"
    assert plain(verifier().open(topic, GATEWAY_SIGNER.seal(canonical(status)))) == status
    with pytest.raises(signing.WrongSigner):
        verifier().open(topic, OTHER_SIGNER.seal(canonical(status)))
    for signer in (GATEWAY_SIGNER, OTHER_SIGNER):
        with pytest.raises(signing.WrongSigner):
            verifier().open(topic, signer.seal(canonical({**status, "gateway": "gw2"})))
    with pytest.raises(signing.WrongTopic, match="was signed for"):
        verifier().open("sw1/north/gateway/gw2/status", GATEWAY_SIGNER.seal(canonical(status)))


def test_a_gateway_says_of_no_view_that_it_came_from_another() -> None:
    police = next(view for view in views(PANIC, MEMBERSHIP) if view.addressee == "police")
    body = alarm_view(police, alarm=ALARM, age_ms=0)
    assert verifier().open(police.topic, GATEWAY_SIGNER.envelope(body)) == body
    with pytest.raises(signing.WrongSigner):
        verifier().open(police.topic, OTHER_SIGNER.envelope(body))


@pytest.mark.proves("N13")
@pytest.mark.parametrize("signer", SIGNERS, ids=lambda signer: signer.kid)
def test_only_the_station_gives_commands(signer: Signer) -> None:
    payload = signer.envelope(ALERT)
    if signer is STATION_SIGNER:
        assert verifier().open(ALERT.topic, payload) == ALERT
    else:
        with pytest.raises(signing.WrongSigner):
            verifier().open(ALERT.topic, payload)


def test_a_rotated_key_signs_for_the_same_gateway() -> None:
    second = Signer(signing.gateway_kid(GatewayId("gw1"), key=2), bytes(range(9, 41)))
    assert second.kid == "gateway:gw1#2"
    keys = {signer.kid: signer.public for signer in (GATEWAY_SIGNER, second)}
    police = next(view for view in views(PANIC, MEMBERSHIP) if view.addressee == "police")
    body = alarm_view(police, alarm=ALARM, age_ms=0)
    for signer in (GATEWAY_SIGNER, second):
        assert Verifier(StationId("north"), keys).open(police.topic, signer.envelope(body)) == body


@pytest.mark.proves("N12")
def test_a_retained_copy_of_an_event_does_not_open_but_a_status_does() -> None:
    with pytest.raises(signing.Retained):
        verifier().open(VIEW.topic, PAYLOAD, retained=True)
    status = {
        **HEAD,
        "type": "station_status",
        "topic": "sw1/north/station/status",
        "audience": "gateway",
        "online": True,
        "generation": 1,
    }
    topic = "sw1/north/station/status"
    payload = STATION_SIGNER.seal(canonical(status))
    assert plain(verifier().open(topic, payload, retained=True)) == status


MINE = frozenset({f"household:{NEXT_DOOR}"})


def test_a_fresh_alarm_for_me_rings() -> None:
    assert may_ring(ALARM_BODY, retained=False, known_ids=(), member_of=MINE)


@pytest.mark.proves("N12")
@pytest.mark.parametrize(("age_ms", "rings"), [(0, True), (60_000, True), (60_001, False), (2**53 - 1, False)])
def test_an_alarm_over_a_minute_old_does_not_ring(age_ms: int, *, rings: bool) -> None:
    old = ALARM_BODY.model_copy(update={"age_ms": age_ms})
    assert may_ring(old, retained=False, known_ids=(), member_of=MINE) is rings


@pytest.mark.proves("N12", "N4")
@pytest.mark.parametrize(
    ("body", "retained", "known", "refusal"),
    [
        (ALARM_BODY, True, (), signing.Retained),
        (ALARM_BODY.model_copy(update={"audience": "household:h03"}), False, (), signing.NotAMember),
        (ALARM_BODY.model_copy(update={"age_ms": 60_001}), False, (), signing.TooOld),
        (ALARM_BODY, False, (ALARM,), signing.AlreadyKnown),
        (command(action="ladder", alarm=ALARM, state="kept"), False, (), signing.NotAnAlarm),
        (command(action="readiness"), False, (), signing.NotAnAlarm),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_may_not_ring_says_why(
    body: AlarmView | Command,
    *,
    retained: bool,
    known: tuple[str, ...],
    refusal: type[signing.RingRefused],
) -> None:
    member_of = MINE | {"gateway:gw1"}
    refused = ring_refusal(body, retained=retained, known_ids=known, member_of=member_of)
    assert type(refused) is refusal
    assert not may_ring(body, retained=retained, known_ids=known, member_of=member_of)


def test_an_order_to_alert_rings_once_however_often_it_is_given() -> None:
    """The station gives it again under a new id when it is unsure; the alarm is the same."""
    again = ALERT.model_copy(update={"id": event_id(1, bytes(10))})
    mine = {"gateway:gw1"}
    assert may_ring(ALERT, retained=False, known_ids=(), member_of=mine)
    assert not may_ring(again, retained=False, known_ids={ALARM}, member_of=mine)


def every_error(root: type[signing.EnvelopeError]) -> list[type[signing.EnvelopeError]]:
    return [root, *(leaf for child in root.__subclasses__() for leaf in every_error(child))]


def test_every_error_has_a_code_of_its_own_and_stands_in_the_tree() -> None:
    errors = every_error(signing.EnvelopeError)
    assert len({error.code for error in errors}) == len(errors)
    assert signing.__doc__ is not None
    for error in errors:
        assert error.__name__ in signing.__doc__


def test_an_error_does_not_repeat_a_flood() -> None:
    assert len(str(signing.UnknownKey("x" * 60_000, "k" * 60_000))) < 300
