"""Signed envelopes.

An envelope is `{"body": ..., "kid": "...", "sig": "..."}`, where `sig` is base64url without padding of the
Ed25519 signature over the RFC 8785 form of `body`, and `kid` names the key: the signer's role and id
(`gateway:g1`, `station`), and after a rotation `#` and a number (`gateway:g1#2`). Gateways sign their events,
their status and the views; the station signs everything else: a kid may sign for the topics which the table of
`broker.topics` lets its role publish, and for no id but its own.

What a receiver may be given instead of a body:

    EnvelopeError                   .topic .code
    +-- Malformed                   too large, not JSON, not an envelope, not one of our bodies
    +-- UnknownKey                  no public key by that kid
    +-- BadSignature
    +-- WrongTopic                  topic is not ours, or not the one (or the audience) that was signed
    +-- WrongSigner                 a good signature of somebody who may not publish there
    +-- RingRefused                 genuine, but nothing may ring because of it
        +-- Retained                a copy that the broker kept
        +-- NotAnAlarm              .type: neither an alarm nor the order to alert
        +-- TooOld                  .age_ms
        +-- NotAMember              .audience is not one of the receiver's own
        +-- AlreadyKnown            .id of the alarm
"""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple, Never

from pydantic import ValidationError

from broker.ed25519 import Check, Claim, check, private_key, public_key
from broker.ids import GatewayId, StationId
from broker.kinds import OLD_AFTER_MS
from broker.messages import MAX_PAYLOAD, Action, AlarmView, Body, Command, parse_body, plain
from broker.topics import Topic, TopicError, parse

STATION_KID: Final = "station"
SEED_BYTES: Final = 32


class EnvelopeError(Exception):
    """A payload that must not be acted on. `code` is one word, for counters."""

    code = "envelope"

    def __init__(self, topic: str, why: str) -> None:
        self.topic = topic[:128]
        self.why = why
        super().__init__(f"{self.topic!r}: {why}")


class Malformed(EnvelopeError):
    """Not an envelope, or not one of our bodies inside it."""

    code = "malformed"


class UnknownKey(EnvelopeError):
    """Signed under a kid whose public key the receiver does not have."""

    code = "unknown_key"

    def __init__(self, topic: str, kid: str) -> None:
        self.kid = kid[:64]
        super().__init__(topic, f"no public key {self.kid!r}")


class BadSignature(EnvelopeError):
    """The signature is not that of `kid` over this body."""

    code = "bad_signature"

    def __init__(self, topic: str, kid: str) -> None:
        self.kid = kid[:64]
        super().__init__(topic, f"signature is not that of {self.kid!r}")


class WrongTopic(EnvelopeError):
    """Arrived elsewhere than where its signer put it, or where such a body does not belong."""

    code = "wrong_topic"


class WrongSigner(EnvelopeError):
    """A good signature of somebody who may not publish there."""

    code = "wrong_signer"

    def __init__(self, topic: str, kid: str) -> None:
        self.kid = kid[:64]
        super().__init__(topic, f"{self.kid!r} may not sign for it")


class RingRefused(EnvelopeError):
    """Genuine, but nothing may ring because of it."""

    code = "ring_refused"


class Retained(RingRefused):
    """A copy that a broker kept: nobody knows how old."""

    code = "retained"

    def __init__(self, topic: str) -> None:
        super().__init__(topic, "is never retained, and this is a retained copy")


class NotAnAlarm(RingRefused):
    """Says something else than that there is an alarm."""

    code = "not_an_alarm"

    def __init__(self, topic: str, type: str) -> None:  # noqa: A002 - the field's name
        self.type = type
        super().__init__(topic, f"is a {type}")


class TooOld(RingRefused):
    """Older than what may ring."""

    code = "too_old"

    def __init__(self, topic: str, age_ms: int) -> None:
        self.age_ms = age_ms
        super().__init__(topic, f"is {age_ms} ms old")


class NotAMember(RingRefused):
    """For somebody else."""

    code = "not_a_member"

    def __init__(self, topic: str, audience: str) -> None:
        self.audience = audience
        super().__init__(topic, f"is for {audience}")


class AlreadyKnown(RingRefused):
    """Rang before."""

    code = "already_known"

    def __init__(self, topic: str, id: str) -> None:  # noqa: A002 - an id is what it is
        self.id = id
        super().__init__(topic, f"{id} is known")


def gateway_kid(gateway: GatewayId, *, key: int = 1) -> str:
    """The name of the `key`-th key of a gateway."""
    return f"gateway:{gateway}" if key == 1 else f"gateway:{gateway}#{key}"


def gateway_of_kid(kid: str) -> GatewayId:
    """The gateway whose key that is."""
    return GatewayId(kid.partition("#")[0].partition(":")[2])


def _no_float(text: str) -> Never:
    raise ValueError(f"a float: {text[:32]}")


_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, sort_keys=True, separators=(",", ":")
).encode
_decode = json.JSONDecoder(parse_float=_no_float, parse_constant=_no_float).decode


def canonical(value: Mapping[str, object]) -> bytes:
    """The RFC 8785 form of `value`, for what our bodies are made of.

    That is: objects with ASCII keys, arrays, strings, booleans, None, and integers within 2**53. There the
    standard library's encoder writes the same octets in a fraction of the time (a property test compares them).
    Floats, larger integers and keys outside ASCII are the caller's error. Raises ValueError on lone surrogates.
    """
    return _encode(value).encode()


class Signer:
    """Signs as `kid` with a private key of 32 octets."""

    def __init__(self, kid: str, seed: bytes) -> None:
        self.kid = kid
        self._key = private_key(seed)
        self._tail = f',"kid":{json.dumps(kid)},"sig":"'.encode()

    @property
    def public(self) -> bytes:
        """The public key, 32 octets, for the receivers' registers."""
        return self._key.public_key().public_bytes_raw()

    def envelope(self, body: Body) -> bytes:
        """The payload to publish on `body.topic`."""
        return self.seal(canonical(plain(body)))

    def seal(self, body: bytes) -> bytes:
        """The payload around a body that is canonical already."""
        sig = _base64url(self._key.sign(body))
        return b'{"body":' + body + self._tail + sig + b'"}'


class Message(NamedTuple):
    """What arrived. `retained` is the flag of the packet."""

    topic: str
    payload: bytes
    retained: bool = False


class _Sealed(NamedTuple):
    """An envelope taken apart, of which is not known yet whether it is genuine."""

    place: Topic
    topic: str
    kid: str
    claim: Claim


class Verifier:
    """Opens what arrives at a receiver of one station, given the public keys (32 octets) of those it believes."""

    def __init__(self, station: StationId, keys: Mapping[str, bytes]) -> None:
        self._station = station
        self.believe(keys)

    def believe(self, keys: Mapping[str, bytes]) -> None:
        """Believe these and nobody else from now on. Any thread may ask meanwhile."""
        for key in keys.values():
            public_key(key)  # one that is none is the caller's error, now and not at the first message
        self._keys = dict(keys)

    def open(self, topic: str, payload: bytes, *, retained: bool = False) -> Body:
        """The body, when it is genuine and belongs on `topic`; else one of the errors above.

        This says nothing about whether the receiver is meant: whatever rings asks `may_ring` (or `ring_refusal`) as
        well.
        """
        (opened,) = self.open_all([Message(topic, payload, retained)])
        if isinstance(opened, EnvelopeError):
            raise opened
        return opened

    def open_all(self, messages: Iterable[Message], check: Check = check) -> list[Body | EnvelopeError]:
        """The body of each, or what there is against it; `check` is asked once, about all signatures together."""
        taken = [self._take_apart(message) for message in messages]
        claims = [one.claim for one in taken if isinstance(one, _Sealed)]
        verdicts = iter(check(claims) if claims else ())
        return [one if isinstance(one, EnvelopeError) else self._judge(one, genuine=next(verdicts)) for one in taken]

    def _take_apart(self, message: Message) -> _Sealed | EnvelopeError:
        topic = message.topic
        try:
            place = parse(topic)
        except TopicError:
            return WrongTopic(topic, "not a topic of ours")
        if message.retained and not place.row.retained:
            return Retained(topic)
        try:
            kid, signature, signed = _take_apart(topic, message.payload)
        except EnvelopeError as error:
            return error
        key = self._keys.get(kid)
        if key is None:
            return UnknownKey(topic, kid)
        return _Sealed(place, topic, kid, Claim(key, signature, signed))

    def _judge(self, one: _Sealed, *, genuine: bool) -> Body | EnvelopeError:
        if not genuine:
            return BadSignature(one.topic, one.kid)
        try:
            body = parse_body(one.claim.signed)
        except ValueError as error:
            return Malformed(one.topic, _first_error(error))
        try:
            self._check_place(one.place, one.topic, body)
            _check_signer(one.place, one.topic, one.kid, body)
        except EnvelopeError as error:
            return error
        return body

    def _check_place(self, place: Topic, topic: str, body: Body) -> None:
        if place.station != self._station:
            raise WrongTopic(topic, f"is not of station {self._station}")
        if body.topic != topic:
            raise WrongTopic(topic, f"was signed for {body.topic!r}")
        if body.audience != place.audience:
            raise WrongTopic(topic, f"was signed for audience {body.audience!r}")
        if body.type not in place.row.bodies:
            raise WrongTopic(topic, f"carries no {body.type!r}")


def _take_apart(topic: str, payload: bytes) -> tuple[str, bytes, bytes]:
    if len(payload) > MAX_PAYLOAD:
        raise Malformed(topic, f"{len(payload)} octets")
    try:
        match _decode(payload.decode()):
            case {"body": dict(body), "kid": str(kid), "sig": str(sig), **more} if not more:
                return kid, _signature(sig), canonical(body)
    except (ValueError, RecursionError) as error:
        raise Malformed(topic, str(error)[:128]) from None
    raise Malformed(topic, "not an envelope {body, kid, sig}")


_SIGNATURE: Final = re.compile(r"[A-Za-z0-9_-]{85}[AQgw]")
"""64 octets: 85 digits and one of which four bits are nothing."""


def _signature(text: str) -> bytes:
    """The 64 octets of a signature, spelled in the one way that base64url without padding has for them."""
    if _SIGNATURE.fullmatch(text) is None:
        raise ValueError(f"no signature: {text[:96]!r}")
    return urlsafe_b64decode(text + "==")


def _base64url(octets: bytes) -> bytes:
    return urlsafe_b64encode(octets).rstrip(b"=")


def _first_error(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)[:128]
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"[:128]


def _check_signer(place: Topic, topic: str, kid: str, body: Body) -> None:
    """A kid signs as its role, on the topics of its own id, and about itself."""
    role, _, id_ = kid.partition("#")[0].partition(":")
    topic_is_its_own = place.row.owner is not place.row.publisher or place.id == id_
    if role != place.row.publisher or not topic_is_its_own or getattr(body, "gateway", None) not in {None, id_}:
        raise WrongSigner(topic, kid)


def ring_refusal(
    body: Body,
    *,
    retained: bool,
    known_ids: Collection[str],
    member_of: Collection[str],
    max_age_ms: int = OLD_AFTER_MS,
) -> RingRefused | None:
    """Why nothing may ring because of a genuine `body`, or None: then it may.

    `member_of` are the receiver's own audiences (`household:h03`, ...), `known_ids` the event ids of alarms that
    rang before. `age_ms` is the age at sending: MQTT to somebody who is connected adds little, and whoever rings
    connects with a clean session.
    """
    if retained:
        return Retained(body.topic)
    match body:
        case AlarmView(id=alarm) | Command(action=Action.ALERT, alarm=str(alarm)):
            pass
        case _:
            return NotAnAlarm(body.topic, body.type)
    if body.audience not in member_of:
        return NotAMember(body.topic, body.audience)
    if body.age_ms > max_age_ms:
        return TooOld(body.topic, body.age_ms)
    if alarm in known_ids:
        return AlreadyKnown(body.topic, alarm)
    return None


def may_ring(
    body: Body,
    *,
    retained: bool,
    known_ids: Collection[str],
    member_of: Collection[str],
    max_age_ms: int = OLD_AFTER_MS,
) -> bool:
    """Whether something may ring because of `body`: the last of the three gates (`ring_refusal` says why not)."""
    refusal = ring_refusal(body, retained=retained, known_ids=known_ids, member_of=member_of, max_age_ms=max_age_ms)
    return refusal is None
