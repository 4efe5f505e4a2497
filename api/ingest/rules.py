"""Pure parts of taking in: what can be read from a message that cannot be believed, and sizes of batches."""

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from broker.ids import EventId, is_event_id
from broker.messages import MAX_PAYLOAD
from broker.topics import Name, TopicError, parse

BATCH_MOST: Final = 100
BATCH_LEAST: Final = 25
"""Below it the cost of a transaction is more than that of the messages in it, and nobody waits less."""
HOLD_MS: Final = 5.0
"""How long one batch may hold the write lock before its commit, so that an officer waits for no longer."""

KEPT_PAYLOAD: Final = 65_536
_EPOCH_LENGTH: Final = len("0" * 16)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a message says about itself, believed by nobody. Fields are None where it says nothing usable."""

    gateway: str
    """Whose topic it came on; empty when it was no gateway's."""
    event: EventId | None = None
    epoch: str | None = None
    seq: int | None = None
    is_event: bool = False
    """Whether it came where events come."""


def claim(topic: str, payload: bytes) -> Claim:
    """Read what can be read. Never raises."""
    try:
        place = parse(topic)
    except TopicError:
        return Claim("")
    gateway = place.id if place.row.name in {Name.GATEWAY_EVENT, Name.GATEWAY_STATUS} else ""
    is_event = place.row.name is Name.GATEWAY_EVENT
    body = _body(payload)
    said = body.get("id")
    event = EventId(said) if isinstance(said, str) and is_event_id(said) else None
    epoch, seq = body.get("epoch"), body.get("seq")
    in_order = isinstance(epoch, str) and isinstance(seq, int) and _is_epoch(epoch) and 0 < seq < 2**53
    return Claim(
        gateway,
        event,
        epoch if in_order and isinstance(epoch, str) else None,
        seq if in_order and isinstance(seq, int) else None,
        is_event,
    )


def identity(topic: str, payload: bytes, event: EventId | None) -> str:
    """What a dead letter is known by, so that the same message again is the same row: 64 hexadecimal digits."""
    return sha256(topic.encode() + b"\0" + (payload if event is None else event.encode())).hexdigest()


def next_limit(limit: int, *, took: int, held_ms: float) -> int:
    """The size of the next batch, when one of `took` messages held the lock for `held_ms`.

    Halved at once when it took too long, raised slowly when it was full and quick.
    """
    if held_ms > HOLD_MS:
        return max(BATCH_LEAST, min(limit, took) // 2)
    if took >= limit and held_ms < HOLD_MS / 2:
        return min(BATCH_MOST, limit + 10)
    return limit


def _body(payload: bytes) -> dict[str, object]:
    if len(payload) > MAX_PAYLOAD:
        return {}
    try:
        whole = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    body = whole.get("body") if isinstance(whole, dict) else None
    return body if isinstance(body, dict) else {}


def _is_epoch(text: str) -> bool:
    return len(text) == _EPOCH_LENGTH and all(digit in "0123456789abcdef" for digit in text)
