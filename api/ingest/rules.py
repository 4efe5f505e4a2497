"""Pure parts of taking in: what can be read from a message that cannot be believed, and sizes of batches."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from broker.ids import EventId, is_event_id
from broker.messages import MAX_PAYLOAD
from broker.topics import Name, TopicError, parse

BATCH_MOST: Final = 200
"""As many as a receipt has room for."""
BATCH_LEAST: Final = 15
"""Below it the cost of a transaction is more than that of the messages in it, and nobody waits less."""
BATCH_LEAST_ALONE: Final = 50
"""While nobody is at work. A busy machine takes its time for a transaction of any size, so that small ones only fall
further behind: with 15, a day of check-ins cost three times as much."""
HOLD_MS: Final = 5.0
"""How long one batch may hold the write lock before its commit while people are at work."""
HOLD_MOST_MS: Final = 40.0
"""How long when nobody does: whoever comes first then waits for no longer, and large batches are a third
cheaper: a day of 120,000 check-ins took 60 s at 25 ms, and 50 s at 40."""

KEPT_PAYLOAD: Final = 65_536
_EPOCH_LENGTH: Final = len("0" * 16)


HTTP_MOST: Final = 200
"""Envelopes in one request: as many as a receipt has room for."""
HTTP_BYTES_MOST: Final = 1_048_576
GATEWAY_BURST: Final = 30
GATEWAY_RATE: Final = 5.0
"""Requests a second of one gateway, in the long run: 1,000 events. What is refused stays with the gateway."""
STRANGER_BURST: Final = 20
STRANGER_RATE: Final = 1.0
"""Requests a second of one address that prove nothing."""
ALLOWANCES_MOST: Final = 20_000


@dataclass(slots=True)
class Allowance:
    """How often somebody may: `burst` at once, `rate` a second in the long run."""

    burst: float
    rate: float
    left: float
    at: float

    def wait_s(self, now: float) -> float:
        """How long until once more is allowed; 0: now."""
        left = min(self.burst, self.left + (now - self.at) * self.rate)
        return 0.0 if left >= 1 else (1 - left) / self.rate

    def spend(self, now: float) -> None:
        """Count one."""
        self.left = max(0.0, min(self.burst, self.left + (now - self.at) * self.rate) - 1)
        self.at = now

    def whole(self, now: float) -> bool:
        """Whether nothing of it is spent, so that it need not be remembered."""
        return self.left + (now - self.at) * self.rate >= self.burst


class Allowances:
    """One allowance for each of many; whoever has not spent any of it is not remembered."""

    def __init__(self, *, burst: float, rate: float) -> None:
        self._burst = burst
        self._rate = rate
        self._of: dict[str, Allowance] = {}

    def wait_s(self, who: str, now: float) -> float:
        """How long until `who` may; 0: now."""
        allowance = self._of.get(who)
        return 0.0 if allowance is None else allowance.wait_s(now)

    def spend(self, who: str, now: float) -> None:
        """Count one of `who`."""
        if len(self._of) >= ALLOWANCES_MOST:
            self._of = {one: allowance for one, allowance in self._of.items() if not allowance.whole(now)}
        if len(self._of) < ALLOWANCES_MOST or who in self._of:
            self._of.setdefault(who, Allowance(self._burst, self._rate, self._burst, now)).spend(now)


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


def next_limit(limit: int, *, took: int, held_ms: float, awaited: bool) -> int:
    """The size of the next batch, when one of `took` messages held the lock for `held_ms`; `awaited`: by people.

    Halved at once when it took too long, raised slowly when it was full and quick.
    """
    most_ms, least = (HOLD_MS, BATCH_LEAST) if awaited else (HOLD_MOST_MS, BATCH_LEAST_ALONE)
    if held_ms > most_ms:
        return max(least, min(limit, took) // 2)
    if took >= limit and held_ms < most_ms * 0.8:
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


ONE_NAME_MS: Final = 60_000
FALLS: Final = 3
"""A box counts its connections up. One that was set back (a new card) does so once; two boxes that put each other out
do so with every other connection, the first ones within seconds of each other."""


def are_two(falls_ms: Collection[int], now_ms: int) -> bool:
    """Whether a gateway's connections went back so often lately that there are two of one identity."""
    return sum(0 <= now_ms - fell_ms <= ONE_NAME_MS for fell_ms in falls_ms) >= FALLS
