"""The other road to the station: alarms without a receipt go by HTTPS too, as the same envelopes for the same receipts.

Theory. An alarm that was given to the broker's road, and for so long (30 s) has no receipt, goes to the station's
`POST /api/v1/gateways/{id}/events` as well, whatever it is that fails: no connection, a broker that refuses, a
station that does not hear its broker. It goes on trying the broker's road; the station knows an event by its id, so
that it is one alarm by both. A receipt closes the delivery whichever way it comes, when its signature is good.

One request at a time, with at most SLICE alarms, the oldest first. What fails is tried again after 2 s, doubling to a
minute, or when the station says. An alarm that the station can do nothing with stands before no other: it goes behind
them, and where a whole request could not be read, they go one by one. Check-ins, faults and telemetry wait for the
broker.

So that nobody finds out in an alarm that this road is closed, it is tried while nothing has to go by it: a minute
after the start and once a day, with the signed status, which the station answers with a signed receipt of nothing. A
second trial that fails is trouble (`trial_trouble`); it is tried again after a minute, doubling to an hour.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from broker.ids import EventId, GatewayId
from broker.messages import clean
from broker.signing import EnvelopeError, canonical
from gateway.events import Entry
from gateway.https import Answer, HttpError
from gateway.outbox import Outbox
from gateway.stamps import Clock

log = structlog.get_logger("gateway.road")

SLICE: Final = 10
"""So many are signed in one turn of the loop: about 1 ms."""
FIRST_PAUSE_S: Final = 2.0
LAST_PAUSE_S: Final = 60.0
FIRST_TRIAL_S: Final = 60.0
TRIAL_S: Final = 86_400.0
TRIAL_PAUSE_S: Final = 60.0
LAST_TRIAL_PAUSE_S: Final = 3_600.0
TRIALS_FAILED: Final = 2
"""So many in a row are trouble: one may meet a station that is being restarted."""
OK: Final = 200
UNREADABLE: Final = frozenset({413, 422})
"""What is said of a request as a whole, and may be due to one alarm in it."""


class Post(Protocol):
    """`gateway.https.Client`."""

    busy: bool

    async def post(self, path: str, body: bytes) -> Answer: ...


class Deliverer(Protocol):
    """The broker's road, which makes the same envelopes and hears the same receipts."""

    def envelope(self, entry: Entry) -> bytes:
        """The signed event. ValueError: no message can be made of it."""

    def presence(self) -> bytes:
        """The signed status, as it is now."""

    def receipted_elsewhere(self, payload: bytes) -> frozenset[EventId]:
        """Act on a signed receipt; which events it names. Raises EnvelopeError."""


@dataclass(slots=True)
class RoadCounts:
    """Since start."""

    requests: int = 0
    events: int = 0
    receipted: int = 0
    failed: int = 0
    trials: int = 0


class Road:
    """The HTTPS road of one gateway. Use from the event loop only."""

    def __init__(
        self,
        *,
        gateway: GatewayId,
        after_s: float,
        outbox: Outbox,
        deliverer: Deliverer,
        client: Post,
        clock: Clock,
        jitter: Callable[[], float],
    ) -> None:
        """`after_s`: so long an alarm has no receipt before it goes here. `jitter` returns a factor around 1."""
        self._path = f"/api/v1/gateways/{gateway}/events"
        self._trial_path = f"/api/v1/gateways/{gateway}/trial"
        self._after_ns = int(after_s * 1e9)
        self._outbox = outbox
        self._deliverer = deliverer
        self._client = client
        self._clock = clock
        self._jitter = jitter
        self._task: asyncio.Task[None] | None = None
        self._not_before_ns = 0
        self._pause_s = FIRST_PAUSE_S
        self._most = SLICE
        self._trial_ns = clock().mono_ns + int(FIRST_TRIAL_S * 1e9)
        self._trials_failed = 0
        self.counts = RoadCounts()
        self.trouble = ""
        """Why what should go here does not; empty while nothing has to, or when it does."""
        self.trial_trouble = ""
        """Why this road, which nothing has to take now, would not carry it; empty when it would."""
        self.failures = 0
        """Times that something of ours raised."""

    def look(self) -> None:
        """Send what is due, unless that was tried just now; where there is nothing to send, try the road."""
        if self._task is not None or self._client.busy:
            return
        now_ns = self._clock().mono_ns
        due = self._outbox.overdue(now_ns=now_ns, after_ns=self._after_ns, limit=self._most)
        if not due:
            self._is_well()
            self._most = SLICE
            if now_ns >= self._trial_ns and not self._outbox.overdue(now_ns=now_ns, after_ns=0, limit=1):
                self._task = asyncio.get_running_loop().create_task(self._try(), name="gateway.road.trial")
        elif now_ns >= self._not_before_ns:
            self._task = asyncio.get_running_loop().create_task(self._go(due), name="gateway.road")

    async def close(self) -> None:
        """Send nothing more."""
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _go(self, due: Sequence[Entry]) -> None:
        on = False
        try:
            await self._send(due)
            self._is_well()
            self._is_open()
            on = True
        except HttpError as error:
            self._pause(error.why, error.what)
        except _Refused as error:
            self._pause(f"http_{error.status}", f"the station answered {error.status} {error.title}", error.wait_s)
        except Exception as error:
            self.failures += 1
            log.exception("the road failed in a way that was not foreseen")
            self._pause("internal", type(error).__name__)
        finally:
            self._task = None
        if on:
            self.look()

    async def _try(self) -> None:
        self.counts.trials += 1
        try:
            answer = await self._client.post(self._trial_path, self._deliverer.presence())
            if answer.status != OK:
                raise _Refused(answer)
            self._hear(answer.body)
            self._is_open()
        except HttpError as error:
            self._is_closed(error.why, error.what)
        except _Refused as error:
            what = f"the station answered {error.status} {error.title}"
            self._is_closed(f"http_{error.status}", what, error.wait_s)
        except Exception as error:
            self.failures += 1
            log.exception("the road was tried and failed in a way that was not foreseen")
            self._is_closed("internal", type(error).__name__)
        finally:
            self._task = None

    def _is_open(self) -> None:
        self.trial_trouble, self._trials_failed = "", 0
        self._trial_ns = self._clock().mono_ns + int(TRIAL_S * self._jitter() * 1e9)

    def _is_closed(self, why: str, what: str, wait_s: float = 0.0) -> None:
        pause_s = min(TRIAL_PAUSE_S * 2.0**self._trials_failed, LAST_TRIAL_PAUSE_S)
        self._trials_failed += 1
        self._trial_ns = self._clock().mono_ns + int(max(pause_s * self._jitter(), wait_s) * 1e9)
        if self._trials_failed >= TRIALS_FAILED:
            if not self.trial_trouble:
                log.warning("the other road was tried and is closed", why=why, trouble=clean(what))
            self.trial_trouble = clean(f"{why}: {what}")

    async def _send(self, due: Sequence[Entry]) -> None:
        envelopes: list[bytes] = []
        for entry in due:
            try:
                envelopes.append(self._deliverer.envelope(entry))
            except ValueError:  # the broker's road says so; here it must not stand before others
                self._outbox.not_elsewhere(entry.event.id)
        if not envelopes:
            return
        self.counts.requests += 1
        self.counts.events += len(envelopes)
        answer = await self._client.post(self._path, b'{"events":[' + b",".join(envelopes) + b"]}")
        sent = [entry.event.id for entry in due]
        if answer.status != OK:
            if answer.status in UNREADABLE:
                self._most = 1
                self._outbox.behind_others(sent)
            raise _Refused(answer)
        named = self._hear(answer.body).intersection(sent)
        self.counts.receipted += len(named)
        self._outbox.behind_others(one for one in sent if one not in named)
        if not named:
            raise HttpError("no_receipt", "the answer has no receipt for any of them")

    def _hear(self, body: bytes) -> frozenset[EventId]:
        try:
            receipts = [canonical(receipt) for receipt in json.loads(body)["receipts"]]
            if not receipts:
                raise HttpError("no_receipt", "the answer holds no receipt")
            return frozenset().union(*(self._deliverer.receipted_elsewhere(receipt) for receipt in receipts))
        except EnvelopeError as error:
            raise HttpError(error.code, "a receipt that cannot be believed") from None
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise HttpError("bad_answer", "this is no list of receipts") from None

    def _is_well(self) -> None:
        self.trouble, self._pause_s, self._not_before_ns = "", FIRST_PAUSE_S, 0

    def _pause(self, why: str, what: str, wait_s: float = 0.0) -> None:
        self.counts.failed += 1
        if not self.trouble:
            log.warning("alarms cannot go by https either", why=why, trouble=clean(what))
        self.trouble = clean(f"{why}: {what}")
        pause_s = max(self._pause_s * self._jitter(), wait_s)
        self._not_before_ns = self._clock().mono_ns + int(pause_s * 1e9)
        self._pause_s = min(self._pause_s * 2, LAST_PAUSE_S)


class _Refused(Exception):
    """The station's answer is no receipt. Fields: `status`, `title`, `wait_s`."""

    def __init__(self, answer: Answer) -> None:
        self.status = answer.status
        self.wait_s = answer.wait_s
        self.title = ""
        with suppress(ValueError, LookupError, TypeError, RecursionError):
            self.title = str(json.loads(answer.body)["type"])[:32]
        super().__init__(f"{self.status} {self.title}")
