"""What came in, as HTTP shows it."""

import json
from datetime import datetime
from typing import Any

from api.clock import iso
from api.ingest.models import DeadLetter, Gap, Gateway, Inbox, Rejection
from api.shapes import Answer


class EnvelopeAnswer(Answer):
    """A signed message, as `docs/topics.md` describes it."""

    body: dict[str, Any]
    kid: str
    sig: str


class ReceiptsAnswer(Answer):
    """Signed receipts: what became of each event."""

    receipts: list[EnvelopeAnswer]


class EventAnswer(Answer):
    """An event as its gateway recorded it. `at` is by the gateway's clock, `received` by the station's."""

    id: str
    event: str
    gateway: str
    epoch: str
    seq: int
    unit: str | None
    place: str | None
    at: datetime
    received: datetime
    detail: dict[str, str | int | bool]


class EventList(Answer):
    """Events, newest first."""

    items: list[EventAnswer]


def event_answer(row: Inbox) -> EventAnswer:
    """An event of the inbox as it is answered."""
    body = json.loads(row.envelope)["body"] if row.envelope else {}  # what it said was erased after its period
    return EventAnswer(
        id=row.id,
        event=row.event,
        gateway=row.gateway,
        epoch=row.epoch,
        seq=row.seq,
        unit=body.get("unit"),
        place=body.get("place"),
        at=iso(body.get("at_ms", row.received_ms)),
        received=iso(row.received_ms),
        detail=body.get("detail", {}),
    )


class DeadLetterAnswer(Answer):
    """A message that could not be taken in. What it says about itself (event, order) nobody has verified."""

    number: int
    reason: str
    detail: str
    topic: str
    payload: str
    """As far as it is text; other octets as \\xNN."""
    tries: int
    times: int
    """How often it came."""
    event: str | None
    gateway: str | None
    first: datetime
    last: datetime


class RejectionAnswer(Answer):
    """How often something was refused for a reason, kept as a dead letter or not."""

    gateway: str
    reason: str
    times: int
    last: datetime


class DeadLetterPage(Answer):
    """Dead letters, newest first, with the counts of all refusals."""

    items: list[DeadLetterAnswer]
    next: str | None
    rejections: list[RejectionAnswer]


class GapAnswer(Answer):
    """Events `first` to `last` of a journal that never arrived; `pruned` says that the gateway dropped them."""

    gateway: str
    epoch: str
    first: int
    last: int
    reason: str
    found: datetime


class GatewayAnswer(Answer):
    """A gateway by its last status. `low`: everything below it is done."""

    id: str
    online: bool
    seen: datetime
    epoch: str | None
    head: int | None
    low: int | None
    queued: int | None
    clock: str | None
    faults: list[str]


class GatewayList(Answer):
    """Every gateway that ever said something."""

    gateways: list[GatewayAnswer]


def dead_letter_answer(row: DeadLetter) -> DeadLetterAnswer:
    """A dead letter as it is answered."""
    assert row.number is not None
    return DeadLetterAnswer(
        number=row.number,
        reason=row.reason,
        detail=row.detail,
        topic=row.topic,
        payload=row.payload.decode(errors="backslashreplace"),
        tries=row.tries,
        times=row.times,
        event=row.event,
        gateway=row.gateway,
        first=iso(row.first_ms),
        last=iso(row.last_ms),
    )


def rejection_answer(row: Rejection) -> RejectionAnswer:
    """A count as it is answered."""
    return RejectionAnswer(gateway=row.gateway, reason=row.reason, times=row.times, last=iso(row.last_ms))


def gap_answer(row: Gap) -> GapAnswer:
    """A gap as it is answered."""
    return GapAnswer(
        gateway=row.gateway,
        epoch=row.epoch,
        first=row.first,
        last=row.last,
        reason=row.reason,
        found=iso(row.found_ms),
    )


def gateway_answer(row: Gateway) -> GatewayAnswer:
    """A gateway as it is answered."""
    return GatewayAnswer(
        id=row.id,
        online=row.online,
        seen=iso(row.seen_ms),
        epoch=row.epoch,
        head=row.head,
        low=row.low,
        queued=row.queued,
        clock=row.clock,
        faults=row.faults.split(),
    )
