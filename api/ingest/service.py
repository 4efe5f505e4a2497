"""The consumer: takes what gateways send, keeps it, and only then says so.

Order is everything here, and is written once, in `Ingest._settle`:

1. signatures and topics are checked, outside any lock;
2. inbox rows and all their effects are written in one transaction, and committed with a sync (N2);
3. the broker may forget the messages (MQTT acknowledgement);
4. the gateways learn what became of each event (signed receipt, by event id).

Signatures are checked by a thread before it, a batch ahead, which leaves the work to a process of its own
(`api.ingest.checking`): meanwhile this one keeps the batch before.

Killed between any two of them, the broker or the gateway sends again, and the event is a duplicate: known, not
stored twice, and receipted again (N3).

Every message ends as exactly one of stored, duplicate, rejected with a reason, or status (N9, `Counts`). One that
cannot be verified, or that breaks the writing of itself three times, becomes a dead letter, and what may have been
a press is shown to the police as unverified (N13). A batch that cannot be written is tried again message by
message, so that a bad one spoils nothing but itself; a database that cannot be written at all is not the
messages' fault: then nothing is acknowledged, and everything is tried again.
"""

import json
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import groupby, islice
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Final

import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlmodel import Session

from api.alarms.service import Alarms
from api.audit.rules import Telling
from api.audit.witnesses import chain_head
from api.clock import Clock
from api.database import Database
from api.faults import repository as faults
from api.faults.rules import GATEWAY_OFFLINE
from api.faults.service import areas_of, clear_fault, end, raise_fault
from api.ingest import repository, rules
from api.ingest.checking import Checking
from api.ingest.models import DeadLetter, Gap, GatewayEpoch
from api.ingest.problems import NotBelieved
from api.ingest.repository import Heads, Place, Told
from api.ingest.rules import Claim
from api.mqtt import Arrival, Connected, Incoming, Link, LinkError, Stopped, Will
from api.outgoing import service as outgoing
from api.register.service import Register
from api.steps import Wrap, unwrapped
from broker.ids import EVENT_ID_RANDOM_BYTES, EventId, GatewayId, event_id
from broker.kinds import EventType
from broker.messages import (
    MAX_EPOCHS,
    MAX_MISSING,
    MAX_RESULTS,
    Body,
    GatewayEvent,
    GatewayStatus,
    Head,
    Missing,
    Receipt,
    Rejection,
    StationAudit,
    StationHello,
    StationStatus,
    audience_of,
)
from broker.signing import EnvelopeError, Message, Signer, Verifier
from broker.topics import Name, build, filter_of

TRIES: Final = 3
"""How often a message may break the writing of itself."""
DEAD_LETTERS_MOST: Final = 10_000
"""Rows kept of what could not be taken in; beyond it a refusal is only counted, so that nobody fills the disk."""
GREETED_BETWEEN: Final = 5
"""Hellos after a batch, while more arrives."""
PAUSE_S: Final = 0.5
PAUSE_MOST_S: Final = 2.0
"""Between attempts to write to a database that cannot be written."""
LET_PAST_S: Final = 0.02
"""Between batches while people are at work, so that their requests come to the processor; 500 events/s go on."""
SEEN_EACH_MS: Final = 5_000
"""How often it is written down that a gateway was heard of, beside its statuses."""
HISTORY_CHANGED: Final = "history_changed"
CLONE: Final = "clone"
CLONE_OVER_MS: Final = 600_000
"""A gateway that had one identity to itself for so long is the only one of its name."""
GAP: Final = "gap"
POISON: Final = "poison"
ID_REUSED: Final = "id_reused"
COME_AND_GO: Final = frozenset({EventType.FAULT, EventType.FAULT_RESTORED, EventType.TAMPER, EventType.RESTORE})
SAYS_NOTHING: Final = frozenset({"retained"})
"""Refusals after which nobody needs to look for a press: a copy that the broker kept."""

log = structlog.get_logger("api.ingest")


@dataclass(slots=True)
class Counts:
    """Since the start. taken = stored + duplicate + rejected + statuses."""

    taken: int = 0
    stored: int = 0
    duplicate: int = 0
    rejected: int = 0
    statuses: int = 0
    unreceipted: int = 0
    """Events whose receipt could not go out; their gateway asks again."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """A message after the check of its envelope: a body, or the reason against it."""

    arrival: Arrival
    body: Body | None
    reason: str = ""
    detail: str = ""
    tries: int = 1
    envelope: str = ""
    digest: str = ""


@dataclass(slots=True)
class _Outcome:
    """What a committed batch leaves to be said."""

    stored: dict[GatewayId, list[EventId]] = field(default_factory=dict)
    duplicate: dict[GatewayId, list[EventId]] = field(default_factory=dict)
    rejected: dict[GatewayId, list[Rejection]] = field(default_factory=dict)
    holds: dict[GatewayId, Head | None] = field(default_factory=dict)
    greet: set[GatewayId] = field(default_factory=set)
    counts: Counts = field(default_factory=Counts)
    alarms: int = 0
    owes: bool = False
    tell: dict[GatewayId, Telling] = field(default_factory=dict)
    """Where the audit chain ends, for gateways that were told otherwise."""


class Ingest:
    """The consumer: a thread that opens what is in `link.incoming`, one that keeps it; and the other road, `take`."""

    def __init__(
        self,
        database: Database,
        link: Link,
        *,
        signer: Signer,
        verifier: Verifier,
        alarms: Alarms,
        register: Register,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        generation: int,
        owes: Callable[[], None],
        reported: Callable[[Session, GatewayStatus], None] = lambda _session, _status: None,
        judge: Callable[[Session, Sequence[GatewayEvent]], Sequence[GatewayEvent]] = lambda _session, events: events,
        witness: Callable[[Session, GatewayStatus], Telling | None] = lambda _session, _status: None,
        check_in: Callable[[Session, Sequence[GatewayEvent], int], None] = lambda _session, _events, _now_ms: None,
        wrap: Wrap = unwrapped,
    ) -> None:
        """`owes` is called after a commit that may have left something to be sent.

        `reported` hears every status of a gateway's present connection, in its transaction. `judge` takes new events
        out that are of no concern to a desk. `witness` says what a gateway that is there is told of the audit chain.
        `check_in` keeps what tags were read, in the transaction of their inbox rows.
        """
        self.counts = Counts()
        self.generation = generation
        self.trouble: str | None = None
        """Why nothing can be kept at the moment, in one word."""
        self._database = database
        self._link = link
        self._signer = signer
        self._verifier = verifier
        self._alarms = alarms
        self._register = register
        self._clock = clock
        self._random_bytes = random_bytes
        self._reported = reported
        self._judge = judge
        self._witness = witness
        self._check_in = check_in
        self._owes = owes
        self._limit = rules.BATCH_MOST
        self._check = Checking()
        self._opened: SimpleQueue[Connected | Stopped | _Opened] = SimpleQueue()
        self._backlog: deque[Connected | Stopped | _Opened] = deque()
        self._oldest: float | None = None
        self._seen: dict[str, int] = {}
        self._heads: dict[tuple[str, str], Heads] = {}
        self._chains: dict[GatewayId, tuple[str, Told | None] | None] = {}
        """The present epoch of a gateway, with what it told of its chain."""
        self._falls: dict[GatewayId, deque[int]] = {}
        """When the connections of a gateway went back, as far as this process saw it: two boxes go on doing so."""
        self._greeted = False
        self._ungreeted: dict[GatewayId, None] = {}
        """Whom a hello is owed, longest first: what arrives goes before them."""
        self._counting = threading.Lock()
        self._stopping = threading.Event()
        self._opener = threading.Thread(target=self._open_all, name="ingest-open", daemon=True)
        self._thread = threading.Thread(target=self._run, name="ingest", daemon=True)
        self._commit = wrap("ingest.commit", Session.commit)
        self._acknowledge = wrap("ingest.ack", link.acknowledge)
        self._send_receipt = wrap("ingest.receipt", self._publish_receipt)

    def start(self) -> None:
        """Begin to take what arrives."""
        self._opener.start()
        self._thread.start()

    def stop(self) -> None:
        """End after the batch in hand; what has arrived and was not taken comes again. The link is stopped first."""
        self._stopping.set()
        for worker in (self._opener, self._thread):
            if worker.is_alive():  # none was begun where only the other road was taken
                worker.join()
        self._check.close()

    @property
    def alive(self) -> bool:
        """Whether the consumer works."""
        return self._opener.is_alive() and self._thread.is_alive()

    @property
    def lag_ms(self) -> int:
        """How long the oldest message in hand has been waiting."""
        oldest = self._oldest
        return 0 if oldest is None else int((monotonic() - oldest) * 1_000)

    @property
    def waiting(self) -> int:
        """Messages that have arrived and are not taken yet."""
        return self._link.incoming.qsize() + self._opened.qsize() + len(self._backlog)

    def status(self, *, online: bool) -> Will:
        """The station's own presence, as it is published and as it stands in the will."""
        topic = build(Name.STATION_STATUS, self._register.station)
        body = StationStatus(
            topic=topic,
            audience=audience_of(topic),
            id=self._new_id(),
            age_ms=0,
            online=online,
            generation=self.generation,
        )
        return Will(topic, self._signer.envelope(body))

    def take(self, gateway: GatewayId, payloads: Sequence[bytes]) -> list[bytes]:
        """The other road: envelopes that came by HTTP, kept as those of the broker are. Returns signed receipts.

        Runs in the caller's thread, and returns after the commit. Raises NotBelieved when none of them is genuine,
        and OperationalError when the database cannot be written: then nothing was kept.
        """
        topic = build(Name.GATEWAY_EVENT, self._register.station, gateway)
        batch = self._open([Arrival(topic, payload, False, 0, 0, 0, monotonic()) for payload in payloads])
        if all(one.body is None for one in batch):
            self._turn_away(gateway, batch)
            raise NotBelieved({one.reason for one in batch})
        receipts: list[bytes] = []
        if not self.alive:  # another process has the broker, and counts
            self.generation = present_generation(self._database)
        for outcome in self._keep_each(batch):
            self._tell_counts(outcome)
            receipts += [
                self._signer.envelope(receipt)
                for receipt in self._receipts(
                    gateway,
                    outcome.stored.get(gateway, []),
                    outcome.duplicate.get(gateway, []),
                    outcome.rejected.get(gateway, []),
                    outcome.holds.get(gateway),
                )
            ]
            if outcome.owes:
                self._owes()
        return receipts

    def answer_trial(self, gateway: GatewayId, payload: bytes) -> bytes:
        """A gateway tries the other road with its signed status: a signed receipt of nothing, and nothing is kept.

        Raises NotBelieved when the status is not genuine.
        """
        topic = build(Name.GATEWAY_STATUS, self._register.station, gateway)
        (one,) = self._open([Arrival(topic, payload, False, 0, 0, 0, monotonic())])
        if one.body is None:
            self._turn_away(gateway, [one])
            raise NotBelieved({one.reason})
        return self._signer.envelope(self._receipt(gateway, (), (), (), None))

    def _turn_away(self, gateway: GatewayId, batch: Sequence[_Opened]) -> None:
        """Whoever can prove nothing may be anybody: it is counted, and neither kept nor shown to the police.

        Over the broker only a gateway's own account gets so far, so that there the same is kept and shown (N13).
        """
        now = self._clock()
        known = gateway if gateway in self._register.gateways else GatewayId("")
        with self._database.write(patient=True) as session:
            for one in batch:
                repository.count_rejection(session, known, one.reason, now_ms=now)
        self._count(Counts(taken=len(batch), rejected=len(batch)))

    def _keep_each(self, batch: Sequence[_Opened]) -> list[_Outcome]:
        """Keep a batch; if one of the messages breaks that, each by itself."""
        try:
            return [self._keep(batch)]
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            if len(batch) > 1:
                return [outcome for one in batch for outcome in self._keep_each([one])]
            if batch[0].body is None:
                raise
            return self._keep_each([_again(batch[0], error)])

    def _run(self) -> None:
        while not self._stopping.is_set():
            following = self._next()
            if isinstance(following, Stopped):
                return
            try:
                if following is None:
                    self._greet_some(1)
                elif isinstance(following, Connected):
                    self._announce_patiently(following)
                else:
                    self._oldest = following[0].arrival.at
                    self._settle(following)
                    self._greet_some(GREETED_BETWEEN)
                    if self._database.awaited:
                        self._stopping.wait(LET_PAST_S)
            except SQLAlchemyError:  # of a hello; the gateway stays on the list
                self.trouble = "database"
                log.exception("ingest.database")
                self._stopping.wait(PAUSE_S)
            except Exception:  # whatever it is, the next alarm must not find nobody here
                log.exception("ingest.bug")
            self._oldest = None

    def _open_all(self) -> None:
        """Open what arrives, as much at a time as is there, and pass everything on in the order in which it came."""
        while True:
            came: list[Incoming] = [self._link.incoming.get()]
            with suppress(Empty):
                while len(came) < rules.BATCH_MOST:
                    came.append(self._link.incoming.get_nowait())
            arrivals: list[Arrival] = []
            for one in came:
                if isinstance(one, Arrival):
                    arrivals.append(one)
                    continue
                self._put_opened(arrivals)
                arrivals = []
                self._opened.put(one)
            self._put_opened(arrivals)
            if isinstance(came[-1], Stopped):
                return

    def _put_opened(self, arrivals: Sequence[Arrival]) -> None:
        for opened in self._open(arrivals) if arrivals else ():
            self._opened.put(opened)

    def _next(self) -> Connected | Stopped | list[_Opened] | None:
        """What comes next: as many messages as are there, up to the limit, or one thing of another kind.

        None: nothing is there, and somebody is owed a hello.
        """
        if not self._backlog:
            try:
                self._backlog.append(self._opened.get(block=not self._ungreeted))
            except Empty:
                return None
        with suppress(Empty):
            while len(self._backlog) < self._limit:
                self._backlog.append(self._opened.get_nowait())
        batch: list[_Opened] = []
        while self._backlog and len(batch) < self._limit:
            one = self._backlog.popleft()
            if not isinstance(one, _Opened):
                if not batch:
                    return one
                self._backlog.appendleft(one)
                break
            batch.append(one)
        return batch

    def _open(self, arrivals: Sequence[Arrival]) -> list[_Opened]:
        """Take envelopes apart and check them. Whatever a stranger's bytes break, the others are opened."""
        messages = [Message(one.topic, one.payload, one.retained) for one in arrivals]
        try:
            found = self._verifier.open_all(messages, self._check)
        except Exception as error:  # noqa: BLE001 - the consumer goes on
            if len(arrivals) > 1:
                return [opened for one in arrivals for opened in self._open([one])]
            return [_Opened(arrivals[0], None, POISON, type(error).__name__)]
        return [_opened(*one) for one in zip(arrivals, found, strict=True)]

    def _settle(self, batch: Sequence[_Opened]) -> None:
        """Keep, then acknowledge, then say so."""
        outcome = self._keep_patiently(batch)
        if outcome is not None:
            self._acknowledge([one.arrival for one in batch])
            self._say(outcome)

    def _keep_patiently(self, batch: Sequence[_Opened]) -> _Outcome | None:
        """Keep a batch, whatever it takes. None when nothing is left to be said about it as a whole.

        Then each message was settled by itself, or we are told to stop and nothing was kept.
        """
        pause_s = PAUSE_S
        while True:
            try:
                outcome = self._keep(batch)
            except (OperationalError, InterfaceError):
                self.trouble = "database"
                log.exception("ingest.database")
                if self._stopping.wait(pause_s):
                    return None
                pause_s = min(PAUSE_MOST_S, pause_s * 2)
            except Exception as error:  # noqa: BLE001 - one of the messages did it
                self.trouble = None
                if len(batch) > 1:
                    for one in batch:  # singly, so that the bad one spoils nothing but itself
                        self._settle([one])
                    return None
                batch = [_again(batch[0], error)]
            else:
                self.trouble = None
                return outcome

    def _keep(self, batch: Sequence[_Opened]) -> _Outcome:
        """One batch in one transaction. Returns after the commit."""
        began = monotonic()

        def commit(session: Session) -> None:
            held_ms = (monotonic() - began) * 1_000
            awaited = self._database.awaited
            self._limit = rules.next_limit(self._limit, took=len(batch), held_ms=held_ms, awaited=awaited)
            with self._forgetting():
                self._commit(session)

        with self._database.write(patient=True, commit=commit) as session, self._forgetting():
            began = monotonic()
            return self._write(session, batch)

    @contextmanager
    def _forgetting(self) -> Iterator[None]:
        """What was remembered of heads is forgotten when it was not kept, while nobody else can write."""
        try:
            yield
        except BaseException:
            self._heads.clear()
            self._chains.clear()
            raise

    def _write(self, session: Session, batch: Sequence[_Opened]) -> _Outcome:
        if self._database.shared:  # another process may have written them
            self._heads.clear()
            self._chains.clear()
        now = self._clock()
        outcome = _Outcome()
        outcome.counts.taken = len(batch)
        refused = [one for one in batch if one.body is None]
        events = [(one, one.body) for one in batch if isinstance(one.body, GatewayEvent)]
        claims = {id(one): rules.claim(one.arrival.topic, one.arrival.payload) for one in refused}
        known = repository.held(
            session,
            {event.id for _, event in events} | {claim.event for claim in claims.values() if claim.event is not None},
        )
        fresh: dict[str, tuple[_Opened, GatewayEvent]] = {}
        for one, event in events:
            place = Place(event.gateway, event.epoch, event.seq)
            there = known.get(event.id) or (fresh.get(event.id) and _place(fresh[event.id][1]))
            if there is None:
                fresh[event.id] = (one, event)
            elif there == place:
                outcome.counts.duplicate += 1
                named = outcome.duplicate.setdefault(event.gateway, [])
                if event.id not in fresh and event.id not in named:  # once in a receipt is enough
                    named.append(event.id)
            else:
                detail = "its id is that of another event"
                refused.append(_Opened(one.arrival, None, ID_REUSED, detail))
                claims[id(refused[-1])] = rules.claim(one.arrival.topic, one.arrival.payload)
        self._add(session, [*fresh.values()], outcome, now_ms=now)
        for one in refused:
            self._refuse(session, one, claims[id(one)], outcome, known=known, now_ms=now)
        for one in batch:
            if isinstance(one.body, GatewayStatus):
                self._note_status(session, one.body, outcome, now_ms=now)
        for gateway in {*outcome.stored, *outcome.duplicate, *outcome.rejected}:
            outcome.holds[gateway] = self._holds(session, gateway, now_ms=now)
        outcome.owes = outgoing.owes(session) or bool(outcome.greet)  # what waited for a gateway may go to it now
        return outcome

    def _add(
        self,
        session: Session,
        fresh: Sequence[tuple[_Opened, GatewayEvent]],
        outcome: _Outcome,
        *,
        now_ms: int,
    ) -> None:
        """Put new events into the inbox, each with its place in its gateway's order, and let them have their effect."""
        if not fresh:
            return
        copies = self._place(session, [event for _, event in fresh], now_ms=now_ms)
        repository.add_inbox(
            session,
            [
                (
                    event.id,
                    event.gateway,
                    event.epoch,
                    event.seq,
                    copies[event.id],
                    event.event.value,
                    now_ms,
                    one.digest,
                    one.envelope,
                )
                for one, event in fresh
            ],
        )
        events = [event for _, event in fresh]
        now_come = {event.id for event in events}
        opened = self._alarms.absorb(session, self._judge(session, events), received_ms=now_ms)
        self._check_in(session, events, now_ms)
        for event in events:
            self._note_technical(session, event, now_come=now_come, now_ms=now_ms)
            outcome.stored.setdefault(event.gateway, []).append(event.id)
        outcome.alarms = len(opened)
        outcome.counts.stored += len(fresh)

    def _raise(
        self, session: Session, code: str, gateway: str, *, about: str = "", detail: str = "", now_ms: int
    ) -> None:
        """Something is wrong with a gateway, or with a unit of its."""
        areas = areas_of(self._register, gateway, about)
        raise_fault(session, code, gateway=gateway, about=about, detail=detail, now_ms=now_ms, areas=areas)

    def _place(self, session: Session, events: Sequence[GatewayEvent], *, now_ms: int) -> dict[EventId, int]:
        """How many others stand where each of these events says it stands: 0, or there are two gateways of one name."""
        copies: dict[EventId, int] = {}
        changed: dict[tuple[str, str], Heads] = {}
        seen: set[str] = set()
        ordered = sorted(events, key=_place)
        old = {
            _place(event)
            for event in ordered
            if event.seq <= self._heads_of(session, event.gateway, event.epoch, now_ms=now_ms).highest
        }
        taken = repository.copies(session, old)
        for (gateway, epoch), group in groupby(ordered, key=lambda event: (event.gateway, event.epoch)):
            members = [*group]
            heads = self._heads_of(session, gateway, epoch, now_ms=now_ms)
            for event in members:
                copies[event.id] = taken[_place(event)]
                taken[_place(event)] += 1
                if copies[event.id]:
                    detail = f"{event.seq} of {epoch} came with two ids"
                    self._raise(session, CLONE, gateway, detail=detail, now_ms=now_ms)
                if event.seq < heads.checked:
                    _fill(session, event, now_ms=now_ms)
            if now_ms - self._seen.get(gateway, 0) >= SEEN_EACH_MS:
                self._seen[gateway] = now_ms
                seen.add(gateway)
            after = Heads(max(heads.highest, members[-1].seq), heads.checked)
            if after != heads:
                changed[gateway, epoch] = after
            self._heads[gateway, epoch] = after
        repository.see(session, seen, now_ms=now_ms)
        repository.save_epochs(session, changed)
        return copies

    def _heads_of(self, session: Session, gateway: str, epoch: str, *, now_ms: int) -> Heads:
        """How far an epoch is held: remembered, since nobody else writes it, and forgotten when a commit fails."""
        heads = self._heads.get((gateway, epoch))
        if heads is None:
            repository.gateway(session, gateway, now_ms=now_ms)
            heads = repository.epoch(session, gateway, epoch, now_ms=now_ms)
            self._heads[gateway, epoch] = heads
        return heads

    def _note_technical(self, session: Session, event: GatewayEvent, *, now_come: Collection[str], now_ms: int) -> None:
        """Faults and their ends; ranges that a gateway dropped for room."""
        unit = event.unit or ""
        part = str(event.detail.get("part", ""))
        code = str(event.detail.get("fault", "fault"))
        about = unit or str(event.detail.get("subject", ""))
        if event.event in COME_AND_GO and _matter(event) in _newer_matters(session, event, but=now_come):
            return  # told again after a backup was restored: what became of it since came first
        match event.event:
            case EventType.TAMPER:
                self._raise(session, "tamper", event.gateway, about=f"{unit}:{part}", now_ms=now_ms)
            case EventType.RESTORE:
                clear_fault(session, "tamper", gateway=event.gateway, about=f"{unit}:{part}", now_ms=now_ms)
                clear_fault(session, part, gateway=event.gateway, about=unit, now_ms=now_ms)
            case EventType.FAULT:
                self._raise(session, code, event.gateway, about=about, now_ms=now_ms)
            case EventType.FAULT_RESTORED:
                clear_fault(session, code, gateway=event.gateway, about=about, now_ms=now_ms)
            case EventType.PRUNED:
                first, last = event.detail.get("first"), event.detail.get("last")
                if isinstance(first, int) and isinstance(last, int) and 1 <= first <= last:
                    epoch = str(event.detail.get("epoch", event.epoch))
                    _pruned(session, event.gateway, epoch, first, last, now_ms=now_ms)
            case _:
                pass

    def _refuse(
        self,
        session: Session,
        one: _Opened,
        claim: Claim,
        outcome: _Outcome,
        *,
        known: Mapping[str, Place],
        now_ms: int,
    ) -> None:
        """Keep what cannot be taken in where people can see it, with the reason, and say so to its gateway."""
        arrival = one.arrival
        outcome.counts.rejected += 1
        repository.count_rejection(session, claim.gateway, one.reason, now_ms=now_ms)
        digest = rules.identity(arrival.topic, arrival.payload, claim.event)
        letter = repository.dead_letter(session, digest)
        if letter is not None:
            letter.times += 1
            letter.last_ms = now_ms
        elif repository.how_many_dead_letters(session) < DEAD_LETTERS_MOST:
            letter = DeadLetter(
                digest=digest,
                topic=arrival.topic[:256],
                payload=arrival.payload[: rules.KEPT_PAYLOAD],
                reason=one.reason,
                detail=one.detail[:256],
                tries=one.tries,
                times=1,
                event=claim.event,
                gateway=claim.gateway,
                epoch=claim.epoch,
                seq=claim.seq,
                first_ms=now_ms,
                last_ms=now_ms,
            )
            repository.add(session, [letter])
        if not claim.is_event or one.reason in SAYS_NOTHING:
            return
        with suppress(SQLAlchemyError), session.begin_nested():  # the dead letter stays, whatever becomes of this
            self._alarms.unreadable(session, claim.gateway, reason=one.reason, event=claim.event, received_ms=now_ms)
        if claim.event is not None and claim.event not in known:
            rejection = Rejection(id=claim.event, reason=one.reason[:16])
            outcome.rejected.setdefault(GatewayId(claim.gateway), []).append(rejection)

    def _note_status(self, session: Session, status: GatewayStatus, outcome: _Outcome, *, now_ms: int) -> None:
        """Presence, heads and what is missing. A will of an earlier connection does not end the present one."""
        outcome.counts.statuses += 1
        row = repository.gateway(session, status.gateway, now_ms=now_ms)
        if not status.online and row.session != status.session:
            return
        new_session = status.online and (row.session != status.session or not row.online)
        new_epoch = status.online and row.epoch not in {None, status.epoch}
        another = row.session is not None and row.session != status.session
        if status.online and another and row.generation is not None and status.generation <= row.generation:
            self._note_fall(session, status.gateway, now_ms=now_ms)
        row.online = status.online
        row.session = status.session
        row.generation = status.generation
        row.epoch = status.epoch
        row.head = status.head
        row.low = status.low
        row.queued = status.queued
        row.clock = status.clock
        row.faults = " ".join(status.faults)
        row.seen_ms = now_ms
        session.flush()  # the receipts of this batch look it up
        if status.online:
            clear_fault(session, GATEWAY_OFFLINE, gateway=status.gateway, about="", now_ms=now_ms)
        elif faults.present(session, GATEWAY_OFFLINE, status.gateway) is None:
            self._raise(session, GATEWAY_OFFLINE, status.gateway, now_ms=now_ms)
        clone = faults.present(session, CLONE, status.gateway)
        if clone is not None and now_ms - clone.last_ms >= CLONE_OVER_MS:
            end(session, clone, now_ms=now_ms)
        self._reported(session, status)
        told = self._witness(session, status) if status.online else None
        if told is not None:
            outcome.tell[status.gateway] = told
        self._look_for_gaps(session, status, now_ms=now_ms)
        greeted = not new_session and status.gateway not in outcome.greet  # the hello goes when this batch is kept
        self._look_at_chain(session, status, greeted=greeted, now_ms=now_ms)
        if new_session:
            self._alarms.show_again(session, status.gateway)
        if new_session or new_epoch:
            outcome.greet.add(status.gateway)

    def _note_fall(self, session: Session, gateway: GatewayId, *, now_ms: int) -> None:
        falls = self._falls.setdefault(gateway, deque(maxlen=rules.FALLS))
        falls.append(now_ms)
        if rules.are_two(falls, now_ms):
            self._raise(session, CLONE, gateway, now_ms=now_ms)

    def _look_at_chain(self, session: Session, status: GatewayStatus, *, greeted: bool, now_ms: int) -> None:
        """Whether a gateway has another history than it had (N15). What it tells of its chain is kept, if not.

        The first status of a connection only shows: what was held before goes into the hello, so that the gateway can
        look in its own chain, before a later head takes the place of that.
        """
        gateway, epoch = status.gateway, status.epoch
        self._chains.pop(gateway, None)
        for fault in faults.present_of(session, HISTORY_CHANGED, gateway):
            if status.online and fault.about not in {epoch, "journal"}:  # this one is the gateway's own to end
                end(session, fault, now_ms=now_ms)  # there is a new journal
        known = repository.chain_heads(session, gateway).get(epoch)
        if known is not None and status.head == known.seq and status.digest != known.digest:
            detail = f"{status.head} of {epoch} has another digest"
            self._raise(session, HISTORY_CHANGED, gateway, about=epoch, detail=detail, now_ms=now_ms)
            return
        rose = status.head > (0 if known is None else known.seq)
        if rose and greeted and status.online and not faults.present_of(session, HISTORY_CHANGED, gateway):
            repository.save_chain_head(session, gateway, epoch, status.head, status.digest, now_ms=now_ms)

    def _holds(self, session: Session, gateway: GatewayId, *, now_ms: int) -> Head | None:
        """What is held of the epoch that a gateway's last status named."""
        if gateway not in self._chains:
            present = repository.present_epoch(session, gateway)
            told = None if present is None else repository.chain_heads(session, gateway).get(present)
            self._chains[gateway] = None if present is None else (present, told)
        chain = self._chains[gateway]
        if chain is None:
            return None
        epoch, told = chain
        return _head(epoch, self._heads_of(session, gateway, epoch, now_ms=now_ms).highest, told)

    def _look_for_gaps(self, session: Session, status: GatewayStatus, *, now_ms: int) -> None:
        """Everything below `low` is done, says the gateway: what is not here then is missing."""
        heads = self._heads_of(session, status.gateway, status.epoch, now_ms=now_ms)
        if status.low <= heads.checked:
            return
        for first, last in repository.missing(
            session, status.gateway, status.epoch, start=heads.checked, below=status.low
        ):
            if any(gap.reason for gap in repository.gaps_around(
                session, status.gateway, status.epoch, first=first, last=last)):  # fmt: skip
                continue
            gap = Gap(gateway=status.gateway, epoch=status.epoch, first=first, last=last, found_ms=now_ms)
            repository.add(session, [gap])
            detail = f"{first} to {last} of {status.epoch}"
            self._raise(session, GAP, status.gateway, detail=detail, now_ms=now_ms)
        after = Heads(heads.highest, status.low)
        repository.save_epochs(session, {(status.gateway, status.epoch): after})
        self._heads[status.gateway, status.epoch] = after

    def _say(self, outcome: _Outcome) -> None:
        """Count, log and tell; everything in it is committed."""
        self._tell_counts(outcome)
        for gateway in {*outcome.stored, *outcome.duplicate, *outcome.rejected}:
            self._send_receipt(
                gateway,
                outcome.stored.get(gateway, []),
                outcome.duplicate.get(gateway, []),
                outcome.rejected.get(gateway, []),
                outcome.holds.get(gateway),
            )
        self._ungreeted |= dict.fromkeys(sorted(outcome.greet))
        for gateway, told in outcome.tell.items():
            self._tell_audit(gateway, told)
        if outcome.owes:
            self._owes()

    def _tell_counts(self, outcome: _Outcome) -> None:
        self._count(outcome.counts)
        counts = outcome.counts
        log.info(
            "ingest.kept",
            stored=counts.stored,
            duplicate=counts.duplicate,
            rejected=counts.rejected,
            statuses=counts.statuses,
            alarms=outcome.alarms,
        )

    def _count(self, counts: Counts) -> None:
        with self._counting:
            self.counts.taken += counts.taken
            self.counts.stored += counts.stored
            self.counts.duplicate += counts.duplicate
            self.counts.rejected += counts.rejected
            self.counts.statuses += counts.statuses

    def _publish_receipt(
        self,
        gateway: GatewayId,
        stored: Sequence[EventId],
        duplicate: Sequence[EventId],
        rejected: Sequence[Rejection],
        holds: Head | None,
    ) -> None:
        """Tell a gateway what became of its events. Its loss costs a repetition and nothing else."""
        for receipt in self._receipts(gateway, stored, duplicate, rejected, holds):
            try:
                self._link.publish(receipt.topic, self._signer.envelope(receipt))
            except LinkError:
                self.counts.unreceipted += len(receipt.stored) + len(receipt.duplicate) + len(receipt.rejected)

    def _receipts(
        self,
        gateway: GatewayId,
        stored: Sequence[EventId],
        duplicate: Sequence[EventId],
        rejected: Sequence[Rejection],
        holds: Head | None,
    ) -> Iterator[Receipt]:
        for s, d, r in _portions(stored, duplicate, rejected):
            yield self._receipt(gateway, s, d, r, holds)

    def _receipt(
        self,
        gateway: GatewayId,
        stored: tuple[EventId, ...],
        duplicate: tuple[EventId, ...],
        rejected: tuple[Rejection, ...],
        holds: Head | None,
    ) -> Receipt:
        topic = build(Name.GATEWAY_RECEIPT, self._register.station, gateway)
        return Receipt(
            topic=topic,
            audience=audience_of(topic),
            id=self._new_id(),
            age_ms=0,
            generation=self.generation,
            stored=stored,
            duplicate=duplicate,
            rejected=rejected,
            holds=holds,
        )

    def _announce_patiently(self, connected: Connected) -> None:
        while True:
            try:
                self._announce(connected)
            except SQLAlchemyError:
                self.trouble = "database"
                log.exception("ingest.database")
                if self._stopping.wait(PAUSE_S):
                    return
            else:
                self.trouble = None
                return

    def _announce(self, connected: Connected) -> None:
        """Say that we are here, and to every gateway what we hold of it."""
        if self._greeted and not connected.resumed:
            self.generation = self._next_generation()  # what the broker held for us is gone: ask for it again
        self._greeted = True
        presence = self.status(online=True)
        with suppress(LinkError):
            self._link.publish(presence.topic, presence.payload, retain=True)
        with self._database.read() as session:
            known = {GatewayId(gateway.id) for gateway in repository.gateways(session)}
        self._ungreeted |= dict.fromkeys(sorted(known | self._register.gateways))
        self._owes()

    def _greet_some(self, most: int) -> None:
        """Say hello to whom it is owed longest. Five hundred at once would be seconds in which nothing is kept."""
        for gateway in [*islice(self._ungreeted, most)]:
            self._greet(gateway)
            del self._ungreeted[gateway]
            self.trouble = None

    def _greet(self, gateway: GatewayId) -> None:
        with self._database.read() as session:
            epochs = repository.epochs(session, gateway)[-MAX_EPOCHS:]
            chains = repository.chain_heads(session, gateway)
            present = epochs[-1].epoch if epochs else None
            highest = tuple(
                _head(row.epoch, row.highest, chains.get(row.epoch)).model_copy(
                    update={"missing": _missing(session, row) if row.epoch == present else None}
                )
                for row in epochs
            )
        topic = build(Name.GATEWAY_RECEIPT, self._register.station, gateway)
        hello = StationHello(
            topic=topic,
            audience=audience_of(topic),
            id=self._new_id(),
            age_ms=0,
            generation=self.generation,
            highest=highest,
        )
        with suppress(LinkError):
            self._link.publish(topic, self._signer.envelope(hello))

    def _tell_audit(self, gateway: GatewayId, told: Telling) -> None:
        """Let a gateway be a witness of who did what here. Its loss costs nothing: the next status is answered too."""
        topic = build(Name.GATEWAY_RECEIPT, self._register.station, gateway)
        body = StationAudit(
            topic=topic,
            audience=audience_of(topic),
            id=self._new_id(),
            age_ms=0,
            head=chain_head(told.head),
            follows=None if told.follows is None else chain_head(told.follows),
            rewritten=told.rewritten,
        )
        with suppress(LinkError):
            self._link.publish(topic, self._signer.envelope(body))

    def _next_generation(self) -> int:
        return next_generation(self._database, clock=self._clock)

    def _new_id(self) -> EventId:
        return event_id(self._clock(), self._random_bytes(EVENT_ID_RANDOM_BYTES))


def _opened(arrival: Arrival, found: Body | EnvelopeError) -> _Opened:
    if isinstance(found, EnvelopeError):
        return _Opened(arrival, None, found.code, found.why)
    return _Opened(arrival, found, envelope=arrival.payload.decode(), digest=sha256(arrival.payload).hexdigest())


def next_generation(database: Database, *, clock: Clock) -> int:
    """Raise the generation and keep it. The clock is in it so that it rises even over a lost database."""
    now = clock()
    with database.write() as session:
        row = repository.station(session, now_ms=now)
        row.generation = max(row.generation + 1, now)
        return row.generation


def present_generation(database: Database) -> int:
    """The generation as it stands; 0 before there was any."""
    with database.read() as session:
        return repository.generation(session)


def filters(register: Register) -> tuple[str, str]:
    """What the station receives: status first, so that who is there is known before what they say."""
    return filter_of(Name.GATEWAY_STATUS, register.station), filter_of(Name.GATEWAY_EVENT, register.station)


def _place(event: GatewayEvent) -> Place:
    return Place(event.gateway, event.epoch, event.seq)


def _head(epoch: str, highest: int, told: Told | None) -> Head:
    """What a gateway hears of an epoch."""
    chain = None if told is None else told._asdict()
    return Head.model_validate({"epoch": epoch, "seq": highest, "chain": chain})


def _matter(event: GatewayEvent) -> tuple[str, str, str]:
    """What a fault, or the end of one, is about."""
    detail = event.detail
    code = str(detail.get("part" if event.event in {EventType.TAMPER, EventType.RESTORE} else "fault", ""))
    return code, event.unit or "", str(detail.get("subject", ""))


def _newer_matters(session: Session, event: GatewayEvent, *, but: Collection[str]) -> set[tuple[str, str, str]]:
    """What faults and ends that happened later, and came earlier, are about."""
    later = repository.envelopes_after(session, event.gateway, event.epoch, event.seq, events=COME_AND_GO)
    return {
        _matter(GatewayEvent.model_validate_json(json.dumps(json.loads(envelope)["body"])))
        for id_, envelope in later
        if id_ not in but and envelope
    }


def _missing(session: Session, row: GatewayEpoch) -> tuple[Missing, ...] | None:
    """What is not here below the highest of an epoch: of what was looked for, and of what was not yet."""
    known = repository.riddles(session, row.gateway, row.epoch)
    found = repository.missing(session, row.gateway, row.epoch, start=row.checked, below=row.highest)
    ranges = sorted({*known, *found})
    if len(ranges) > MAX_MISSING:
        ranges = [*ranges[: MAX_MISSING - 1], (ranges[MAX_MISSING - 1][0], max(last for _, last in ranges))]
    return tuple(Missing(first=first, last=last) for first, last in ranges) or None


def _again(one: _Opened, error: Exception) -> _Opened:
    """A message that broke the writing of itself: once more, or, after enough tries, as a dead letter."""
    if one.body is not None and one.tries < TRIES:
        return replace(one, tries=one.tries + 1)
    said = error.orig if isinstance(error, DBAPIError) else error  # without the values, which may be personal
    log.error("ingest.poison", error=type(error).__name__, topic=one.arrival.topic[:128])
    return _Opened(one.arrival, None, POISON, f"{type(error).__name__}: {said}"[:256], tries=one.tries)


def _portions(
    stored: Sequence[EventId], duplicate: Sequence[EventId], rejected: Sequence[Rejection]
) -> Iterable[tuple[tuple[EventId, ...], tuple[EventId, ...], tuple[Rejection, ...]]]:
    """Split what one receipt cannot hold."""
    if 0 < len(stored) + len(duplicate) + len(rejected) <= MAX_RESULTS:
        yield tuple(stored), tuple(duplicate), tuple(rejected)
        return
    rest = [*(("s", one) for one in stored), *(("d", one) for one in duplicate)]
    left = [*rejected]
    while rest or left:
        some, rest = rest[:MAX_RESULTS], rest[MAX_RESULTS:]
        room = MAX_RESULTS - len(some)
        refused, left = left[:room], left[room:]
        yield (
            tuple(one for what, one in some if what == "s"),
            tuple(one for what, one in some if what == "d"),
            tuple(refused),
        )


def _fill(session: Session, event: GatewayEvent, *, now_ms: int) -> None:
    """An event that was missed has come after all: take it out of its gap."""
    for gap in repository.gaps_around(session, event.gateway, event.epoch, first=event.seq, last=event.seq):
        _cut(session, gap, event.seq, event.seq)
    _end_of_gaps(session, event.gateway, now_ms=now_ms)


def _end_of_gaps(session: Session, gateway: str, *, now_ms: int) -> None:
    """Nothing is missing any more of which nobody knows why."""
    if not repository.has_riddles(session, gateway):
        clear_fault(session, GAP, gateway=gateway, about="", now_ms=now_ms)


def _pruned(session: Session, gateway: str, epoch: str, first: int, last: int, *, now_ms: int) -> None:
    """A range that the gateway says it dropped is no riddle any more."""
    for gap in repository.gaps_around(session, gateway, epoch, first=first, last=last):
        _cut(session, gap, first, last)
    repository.add(
        session,
        [Gap(gateway=gateway, epoch=epoch, first=first, last=last, reason="pruned", found_ms=now_ms)],
    )
    _end_of_gaps(session, gateway, now_ms=now_ms)


def _cut(session: Session, gap: Gap, first: int, last: int) -> None:
    """Take [first, last] out of `gap`, which may leave nothing, one piece or two."""
    pieces = [(gap.first, min(gap.last, first - 1)), (max(gap.first, last + 1), gap.last)]
    rest = [
        Gap(gateway=gap.gateway, epoch=gap.epoch, first=a, last=b, reason=gap.reason, found_ms=gap.found_ms)
        for a, b in pieces
        if a <= b
    ]
    session.delete(gap)
    session.flush()
    repository.add(session, rest)
