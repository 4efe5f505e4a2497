"""Sends what is owed, after the commit that made it so.

A row is written in the transaction of its cause, sent by a worker, and marked when the broker has answered. A
station that is killed in between sends again: the message keeps its id, a command gets a higher counter, and
both are harmless to whoever has them already. Messages of one topic stay in order: what a topic refused holds
back what comes after it there, and nothing elsewhere.

Counters of commands are committed before they are used, so that none is used twice.
"""

import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from time import monotonic
from typing import Final

import structlog
from pydantic import ValidationError
from sqlmodel import Session

from api.clock import Clock
from api.database import Database
from api.mqtt import IN_FLIGHT, NO_SUBSCRIBERS, Link, LinkError
from api.outgoing import repository
from api.outgoing.models import OwedRecord
from api.steps import Wrap
from broker.ids import EventId, StationId
from broker.messages import Action, AlarmUpdate, Body, Command, ConfigPart, audience_of, parse_body
from broker.signing import Signer
from broker.topics import Name, build

AT_ONCE: Final = IN_FLIGHT
LOOK_S: Final = 5.0
"""How long the worker sleeps where everybody can wake it; also the pause after a refusal."""
ANSWER_S: Final = 10.0
"""How long the broker has for its answer. MQTT repeats nothing on a living connection, so after it the row waits."""

OWES: Final = "owes"
NOBODY_YET: Final = "0" * 32
"""Stands in a command for the session until it is sent: no gateway ever drew it."""

log = structlog.get_logger("api.outgoing")


def owe(
    session: Session,
    bodies: Iterable[AlarmUpdate | Command | ConfigPart],
    *,
    alarm: str | None,
    happened_ms: int,
    command_to: str | None = None,
) -> None:
    """Write messages to be sent once the caller's transaction is committed (then `wake` the sender)."""
    session.info[OWES] = True
    repository.add(
        session,
        [
            OwedRecord(
                id=body.id,
                topic=body.topic,
                command_to=command_to,
                alarm=alarm,
                body=body.model_dump_json(exclude_none=True),
                happened_ms=happened_ms,
            )
            for body in bodies
        ],
    )


def order(
    session: Session,
    gateway: str,
    action: Action,
    *,
    station: str,
    id: EventId,  # noqa: A002 - an id is what it is
    happened_ms: int,
    about: str | None = None,
    **fields: object,
) -> None:
    """Owe a gateway a command, whose session and counter are not known yet. `about`: the alarm it is filed under."""
    topic = build(Name.GATEWAY_COMMAND, StationId(station), gateway)
    head = {"topic": topic, "audience": audience_of(topic), "id": id, "age_ms": 0, "session": NOBODY_YET, "counter": 0}
    command = Command.model_validate(head | {"action": action} | fields)
    owe(session, [command], alarm=about, happened_ms=happened_ms, command_to=gateway)


def owes(session: Session) -> bool:
    """Whether the transaction of this session has written anything that is owed."""
    return OWES in session.info


def alarms_commanded(session: Session, gateway: str) -> set[str]:
    """The alarms of which a command to this gateway waits already."""
    return {alarm for alarm in repository.alarms_commanded(session, gateway) if alarm is not None}


@dataclass(frozen=True, slots=True)
class _Ready:
    number: int
    body: Body


class Sender:
    """The worker, a thread of its own. `wake` it after a commit that may owe something."""

    def __init__(
        self, database: Database, link: Link, signer: Signer, *, clock: Clock, wrap: Wrap, look_s: float = LOOK_S
    ) -> None:
        """`look_s`: how long it sleeps when nobody wakes it, which only its own process can."""
        self._database = database
        self._look_s = look_s
        self._link = link
        self._signer = signer
        self._clock = clock
        self._publish = wrap("outgoing.publish", self._publish_all)
        self._wake = threading.Event()
        self._held: dict[str, float] = {}
        """Topics that the broker did not take a message for, and until when (monotonic) they are left alone."""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="outgoing", daemon=True)

    def start(self) -> None:
        """Begin with what an earlier run left behind."""
        self._thread.start()
        self.wake()

    def wake(self) -> None:
        """Look at the table now."""
        self._wake.set()

    def stop(self) -> None:
        """Finish what is on its way; what is not stays owed."""
        self._stopping = True
        self.wake()
        self._thread.join()

    @property
    def alive(self) -> bool:
        """Whether the worker works."""
        return self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(self._look_s)
            self._wake.clear()
            try:
                self._send_all()
            except Exception:  # the rows stay, and are looked at again
                log.exception("outgoing.failed")

    def _send_all(self) -> None:
        more = self._link.ready.is_set()
        while more and not self._stopping:
            more = self._send_some()

    def _send_some(self) -> bool:
        """Send up to AT_ONCE messages. True when there may be more that can be sent at once."""
        held = [topic for topic, until in self._held.items() if monotonic() < until]
        with self._database.read() as session:
            if not repository.waiting(session, limit=1, held=held):
                return False
        with self._database.write(patient=True) as session:
            rows = repository.waiting(session, limit=AT_ONCE, held=held)
            ready, failed = self._complete(session, rows)
        listened, refused = self._publish(ready)
        self._mark(listened, failed | refused)
        return len(rows) == AT_ONCE

    def _publish_all(self, ready: Sequence[_Ready]) -> tuple[dict[int, bool], dict[int, str]]:
        """Send, and wait for the broker's answers: by number, whether anybody listened, or why it was not taken."""
        sent: list[tuple[_Ready, Future[int]]] = []
        listened: dict[int, bool] = {}
        failed: dict[int, str] = {}
        for one in ready:
            try:
                sent.append((one, self._link.publish(one.body.topic, self._signer.envelope(one.body))))
            except LinkError as error:
                failed[one.number] = str(error)
                self._hold(one.body.topic)
        for one, answer in sent:
            try:
                listened[one.number] = answer.result(ANSWER_S) != NO_SUBSCRIBERS
            except (LinkError, TimeoutError) as error:
                failed[one.number] = str(error) or type(error).__name__
                self._hold(one.body.topic)
        return listened, failed

    def _hold(self, topic: str) -> None:
        self._held[topic] = monotonic() + LOOK_S

    def _complete(self, session: Session, rows: Sequence[OwedRecord]) -> tuple[list[_Ready], dict[int, str]]:
        """Fill in what is only known now."""
        now = self._clock()
        commands: dict[str, int] = {}
        for row in rows:
            if row.command_to is not None:
                commands[row.command_to] = commands.get(row.command_to, 0) + 1
        sessions = {gateway: repository.next_counters(session, gateway, many) for gateway, many in commands.items()}
        used: dict[str, int] = {}
        ready: list[_Ready] = []
        failed: dict[int, str] = {}
        for row in rows:
            assert row.number is not None
            try:
                body = parse_body(row.body.encode())
            except ValidationError:  # of another version of the messages
                failed[row.number] = "is no message any more"
                self._hold(row.topic)
                continue
            filled: dict[str, object] = {"age_ms": max(0, now - row.happened_ms)}
            if row.command_to is not None:
                known = sessions[row.command_to]
                if known is None:
                    continue
                filled |= {"session": known[0], "counter": known[1] + used.get(row.command_to, 0)}
                used[row.command_to] = used.get(row.command_to, 0) + 1
            ready.append(_Ready(row.number, body.model_copy(update=filled)))
        return ready, failed

    def _mark(self, listened: dict[int, bool], failed: dict[int, str]) -> None:
        now = self._clock()
        with self._database.write(patient=True) as session:
            repository.mark_sent(session, listened, sent_ms=now)
            repository.mark_failed(session, failed)
        for number, trouble in failed.items():
            log.warning("outgoing.failed", number=number, trouble=trouble)
