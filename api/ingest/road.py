"""The other road over HTTP: the same signed envelopes, the same signed receipts, when a gateway's broker is away."""

import json
import threading
from collections.abc import Sequence
from http import HTTPStatus
from time import monotonic
from typing import Annotated, Any, Final

from anyio import to_thread
from fastapi import APIRouter, Path, Request

from api.access import anybody
from api.bodies import holds, whole
from api.ingest import rules
from api.ingest.problems import NotBelieved, NotEvents, TooOften
from api.ingest.rules import Allowances
from api.ingest.schemas import EnvelopeAnswer, ReceiptsAnswer
from api.problems import answers
from api.station import CurrentStation, Station
from broker.ids import SEGMENT, GatewayId
from broker.signing import canonical

router: Final = APIRouter(prefix="/api/v1", tags=["ingest"])

_ENVELOPE: Final = {
    "type": "object",
    "required": ["body", "kid", "sig"],
    "additionalProperties": False,
    "properties": {
        "body": {"type": "object", "description": "A gateway_event of docs/topics.md"},
        "kid": {"type": "string"},
        "sig": {"type": "string"},
    },
}
_BODY: Final[dict[str, Any]] = {
    **holds(rules.HTTP_BYTES_MOST),
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["events"],
                    "additionalProperties": False,
                    "properties": {
                        "events": {
                            "type": "array",
                            "minItems": 1,
                            "maxItems": rules.HTTP_MOST,
                            "items": _ENVELOPE,
                        }
                    },
                },
            }
        },
    },
}
_TRIAL: Final[dict[str, Any]] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": _ENVELOPE}}},
}


class Gate:
    """How often gateways, and strangers, may come."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gateways = Allowances(burst=rules.GATEWAY_BURST, rate=rules.GATEWAY_RATE)
        self._strangers = Allowances(burst=rules.STRANGER_BURST, rate=rules.STRANGER_RATE)

    def ask(self, gateway: str, address: str, now: float) -> None:
        """Raises TooOften. A stranger that uses a gateway's name spends nothing of the gateway's."""
        with self._lock:
            wait_s = max(self._gateways.wait_s(gateway, now), self._strangers.wait_s(address, now))
        if wait_s:
            raise TooOften(wait_s)

    def passed(self, gateway: str, now: float) -> None:
        """Somebody proved to be this gateway."""
        with self._lock:
            self._gateways.spend(gateway, now)

    def failed(self, address: str, now: float) -> None:
        """Somebody proved nothing."""
        with self._lock:
            self._strangers.spend(address, now)


@router.post(
    "/gateways/{gateway}/events",
    summary="Take a gateway's signed events, as the broker does",
    responses=answers(
        HTTPStatus.FORBIDDEN,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
    openapi_extra=_BODY,
)
async def post_events(
    request: Request,
    station: CurrentStation,
    _: Annotated[None, anybody("ingest.write")],
    gateway: Annotated[str, Path(pattern=SEGMENT, description="Id of the gateway that signed them")],
) -> ReceiptsAnswer:
    """Each event is stored, known already, or rejected with a reason; the receipts say which, by event id.

    They are sent after the commit. What has no receipt is sent again; sending twice does no harm.
    """
    gate: Gate = request.app.state.gate
    address = "" if request.client is None else request.client.host
    gate.ask(gateway, address, monotonic())
    payloads = _envelopes(await whole(request))
    return await to_thread.run_sync(_take, station, gate, gateway, address, payloads)


def _take(station: Station, gate: Gate, gateway: str, address: str, payloads: Sequence[bytes]) -> ReceiptsAnswer:
    try:
        receipts = station.ingest.take(GatewayId(gateway), payloads)
    except NotBelieved:
        gate.failed(address, monotonic())
        raise
    gate.passed(gateway, monotonic())
    return ReceiptsAnswer(receipts=[EnvelopeAnswer.model_validate_json(receipt) for receipt in receipts])


@router.post(
    "/gateways/{gateway}/trial",
    summary="Let a gateway try this road before it needs it",
    responses=answers(
        HTTPStatus.FORBIDDEN,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
    openapi_extra=_TRIAL,
)
async def post_trial(
    request: Request,
    station: CurrentStation,
    _: Annotated[None, anybody("ingest.write")],
    gateway: Annotated[str, Path(pattern=SEGMENT, description="Id of the gateway that signed it")],
) -> ReceiptsAnswer:
    """Its signed status, for a signed receipt that names no event. Nothing is kept."""
    gate: Gate = request.app.state.gate
    address = "" if request.client is None else request.client.host
    gate.ask(gateway, address, monotonic())
    try:
        payload = canonical(json.loads(await whole(request)))
    except (ValueError, RecursionError, TypeError):
        raise NotEvents("an envelope {body, kid, sig} is needed") from None
    return await to_thread.run_sync(_answer_trial, station, gate, gateway, address, payload)


def _answer_trial(station: Station, gate: Gate, gateway: str, address: str, payload: bytes) -> ReceiptsAnswer:
    try:
        receipt = station.ingest.answer_trial(GatewayId(gateway), payload)
    except NotBelieved:
        gate.failed(address, monotonic())
        raise
    gate.passed(gateway, monotonic())
    return ReceiptsAnswer(receipts=[EnvelopeAnswer.model_validate_json(receipt)])


def _envelopes(body: bytes) -> list[bytes]:
    """The envelopes in it, each as it would have come over the broker. Raises NotEvents."""
    try:
        match json.loads(body):
            case {"events": [*events], **more} if not more:
                pass
            case _:
                raise NotEvents('an object {"events": [...]} is needed')
        if not 1 <= len(events) <= rules.HTTP_MOST:
            raise NotEvents(f"1 to {rules.HTTP_MOST} events at a time, not {len(events)}")
        if not all(isinstance(event, dict) for event in events):
            raise NotEvents("an event is an envelope {body, kid, sig}")
        return [canonical(event) for event in events]
    except (ValueError, RecursionError):
        raise NotEvents("this is no JSON that can be sent on") from None
