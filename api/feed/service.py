"""The live feed: rows are put in the transaction of what they tell, and handed out by one thread after its commit.

The thread looks at the table every LOOK_S while anybody listens. It finds what this process has committed and what
other processes have, so it is the same with one process and with several. It judges who hears what, once for all
viewers that sit alike, and passes ready frames to the loop. A viewer's queue is bounded (`rules.Queue`); nobody waits
for anybody.
"""

import asyncio
import json
import secrets
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from time import monotonic
from typing import Final

import structlog
from anyio import CancelScope
from fastapi.sse import format_sse_event
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from api.alarms.changes import Change
from api.alarms.models import AlarmRecord
from api.alarms.repository import by_ids as alarms_by_ids
from api.alarms.schemas import People, alarm_answer
from api.alarms.sight import Ties, look, ties
from api.audit import repository as chain
from api.audit import service as audit
from api.clock import Clock, iso
from api.database import Database
from api.feed import repository, rules
from api.feed.problems import TooManyViewers
from api.feed.rules import After, Entry, Queue, Seat, Since
from api.register.service import Register
from api.rights.rules import Subject
from broker.policy import Audience

LOOK_S: Final = 0.1
HEARTBEAT_S: Final = 10.0
AGAIN_S: Final = 3.0
"""How long a stream stays open that has nothing to tell, or a session's that ended by time alone."""
LEAVE_S: Final = 3.0
"""How long a viewer that is cut has to take the word of it."""
PRUNE_S: Final = 600.0
AT_ONCE: Final = 500
VIEWERS_MOST: Final = 1_000
VIEWERS_OF_ONE: Final = 50
RETRY_MS: Final = (1_000, 5_000)
"""When a viewer that was cut comes back: spread, so that they do not all come at once."""

log = structlog.get_logger("api.feed")


def put(
    session: Session,
    *,
    topic: str,
    about: str,
    body: Mapping[str, object],
    subject: Subject,
    eyes: Collection[Audience | None],
    at_ms: int,
) -> None:
    """Let screens hear of something once the caller's transaction is committed.

    `eyes`: whose eyes may read it. `rules.ANY_EYES` for what is made from no alarm.
    """
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    row = (
        secrets.token_hex(16),
        topic,
        about,
        text,
        repository.subject_text(subject),
        rules.eyes_text(frozenset(eyes)),
        at_ms,
    )
    repository.add(session, [row])


class Viewer:
    """One open stream. `offer` and `cut` are called on its loop; `frames` is what it is sent."""

    def __init__(
        self,
        seat: Seat,
        again: Callable[[], Seat | None],
        *,
        people: Callable[[Session], People],
        place: Since | After | None = None,
        lost: bool = False,
    ) -> None:
        """`again` says where the viewer sits now, None when he may not listen any more.

        `people`: who an account is. `place`: where he goes on; `lost`: he was somewhere that nobody knows.
        """
        self.seat = seat
        self.again = again
        self.people = people
        self.place = place
        self.lost = lost
        self.loop = asyncio.get_running_loop()
        self.scope = CancelScope()
        """Around the sending: it is cancelled when a viewer that was cut does not even take the word of it."""
        self._queue = Queue()
        self._ready = asyncio.Event()
        self._last: bytes | None = None

    def offer(self, frames: Sequence[bytes]) -> None:
        """Let frames wait; too many of them, and the viewer is told to look at the lists, and cut."""
        for frame in frames:
            if self._last is None and not self._queue.offer(frame):
                self.cut(resync())
        self._ready.set()

    def cut(self, last: bytes) -> None:
        """End the stream with this word."""
        if self._last is None:
            self._last = last
            self._ready.set()
            self.loop.call_later(LEAVE_S, self.scope.cancel)

    async def frames(self, clock: Clock) -> AsyncIterator[bytes]:
        """What is sent, until the viewer is cut; a heartbeat whenever nothing else was sent for a while."""
        yield _frame("hello", {"at": _now(clock)}, place=rules.at(clock()))
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._ready.wait()
            except TimeoutError:
                yield _frame("heartbeat", {"at": _now(clock)}, place=rules.at(clock()))
                continue
            self._ready.clear()
            if waiting := self._queue.take():
                yield waiting
            if self._last is not None:
                yield self._last
                return


@dataclass(frozen=True, slots=True)
class _Batch:
    """Entries with the alarms that they tell of, as those are now."""

    session: Session
    entries: Sequence[Entry]
    alarms: Mapping[str, AlarmRecord]
    tied: Ties

    @classmethod
    def of(cls, session: Session, entries: Sequence[Entry]) -> "_Batch":
        """Fetch what is needed, in one go."""
        ids = {entry.about.partition(":")[2] for entry in entries if entry.topic == rules.ALARM}
        if not ids:
            return cls(session, entries, {}, Ties())
        alarms = {alarm.id: alarm for alarm in alarms_by_ids(session, ids)}
        return cls(session, entries, alarms, ties(session, ids))

    @property
    def named(self) -> frozenset[str]:
        """Accounts that hear of something because it is theirs, or because they were sent to it."""
        own = (entry.subject.accounts | entry.subject.dispatched for entry in self.entries)
        return frozenset[str]().union(*own, *self.tied.sent.values())


class Feed:
    """Hands out entries to viewers, in a thread of its own."""

    def __init__(self, database: Database, register: Register, *, clock: Clock) -> None:
        self._database = database
        self._register = register
        self._clock = clock
        self._lock = threading.Lock()
        self._viewers: set[Viewer] = set()
        self._joining: list[Viewer] = []
        self._top = 0
        """The highest number that was handed out. A higher one was committed later (`api.database`)."""
        self._asked = monotonic()
        self._known = 0
        """Up to where the record of who did what was looked at for changes of rights."""
        self._pruned = 0.0
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """End every stream; they resume where they were when they come back. May be called from any thread."""
        self._stopping = True
        with self._lock:
            everybody = [*self._viewers, *self._joining]
        for viewer in everybody:
            viewer.loop.call_soon_threadsafe(viewer.cut, ended("stopping"))

    def stop(self) -> None:
        """End the thread."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def alive(self) -> bool:
        """Whether entries are handed out."""
        return self._thread.is_alive()

    @property
    def viewers(self) -> int:
        """How many listen."""
        return len(self._viewers) + len(self._joining)

    def follow(self, session: Session, changes: Sequence[Change]) -> None:
        """Let screens hear of changes of alarms. Who hears it, and what, is judged when it is told."""
        for change in changes:
            body = {
                "action": change.action.value,
                "before": None if change.before is None else change.before.value,
                "state": change.alarm.state,
            }
            put(session, topic=rules.ALARM, about=f"alarm:{change.alarm.id}", body=body, subject=Subject(),
                eyes=rules.ANY_EYES, at_ms=change.at_ms)  # fmt: skip

    def join(self, viewer: Viewer) -> None:
        """Let a viewer listen. Raises TooManyViewers."""
        with self._lock:
            everybody = [*self._viewers, *self._joining]
            of_one = Counter(one.seat.account for one in everybody)[viewer.seat.account]
            if self._stopping or len(everybody) >= VIEWERS_MOST or of_one >= VIEWERS_OF_ONE:
                raise TooManyViewers
            self._joining.append(viewer)
        self._wake.set()

    def leave(self, viewer: Viewer) -> None:
        """It listens no more."""
        with self._lock:
            self._viewers.discard(viewer)
            if viewer in self._joining:
                self._joining.remove(viewer)

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(LOOK_S)
            self._wake.clear()
            try:
                if self._viewers or self._joining:
                    self._look()
                    if monotonic() - self._asked >= AGAIN_S:
                        self._ask_again()
                if monotonic() - self._pruned >= PRUNE_S:
                    self._prune()
            except SQLAlchemyError as error:  # the rows stay, and are looked at again
                log.warning("feed.database", error=type(error).__name__)
            except Exception:  # whatever it is, the next entry must not find nobody here
                log.exception("feed.bug")

    def _look(self) -> None:
        """Hand out what is new, and let those in who wait to be; those wait on where the database does not answer."""
        with self._lock:
            joining = [*self._joining]
            viewers = [*self._viewers]
        told: dict[Viewer, list[bytes]] = {}
        with self._database.read() as session:
            if not viewers:  # nobody has listened: what is there is old
                self._top = repository.top(session)
            fresh = repository.after(session, self._top, limit=AT_ONCE)
            if fresh or joining:
                viewers, joining = self._still(session, viewers, joining)
            self._tell(_Batch.of(session, fresh), viewers, told)
            if fresh:
                self._top = fresh[-1].number
            for viewer in joining:
                if viewer.place is not None or viewer.lost:
                    self._resume(session, viewer, told)
        with self._lock:
            still = [one for one in joining if one in self._joining]  # who left meanwhile is not let in
            self._joining = [one for one in self._joining if one not in still]
            self._viewers.update(still)
        for loop in {viewer.loop for viewer in told}:
            loop.call_soon_threadsafe(_offer, {one: frames for one, frames in told.items() if one.loop is loop})
        if len(fresh) == AT_ONCE:
            self._wake.set()

    def _still(
        self, session: Session, viewers: Sequence[Viewer], joining: list[Viewer]
    ) -> tuple[list[Viewer], list[Viewer]]:
        """Those who still may listen, and sit where they sit now, as of the moment of this batch or later."""
        known, now_ms = audit.head(session).seq, self._clock()
        changed = known != self._known and chain.changed_after(
            session, self._known, rules.RIGHTS_CHANGE, but=rules.READING
        )

        def stays(viewer: Viewer) -> bool:
            ended = any(not grant.holds(now_ms) for grant in viewer.seat.principal.grants)
            return self._sits(viewer) if changed or ended else True

        still = [one for one in viewers if stays(one)], [one for one in joining if stays(one)]
        self._known = known  # not before everybody was asked
        return still

    def _tell(self, batch: _Batch, viewers: Sequence[Viewer], told: dict[Viewer, list[bytes]]) -> None:
        """Judge each entry once for all viewers that sit alike."""
        alike: dict[object, list[Viewer]] = {}
        named = batch.named
        for viewer in viewers:
            alone = viewer.seat.account if viewer.seat.account in named else ""
            alike.setdefault((alone, viewer.seat.key), []).append(viewer)
        for together in alike.values():
            frames = self._frames(batch, together[0])
            if frames:
                told.update(dict.fromkeys(together, frames))

    def _frames(self, batch: _Batch, viewer: Viewer) -> list[bytes]:
        frames: list[bytes] = []
        for entry in batch.entries:
            told = self._told(entry, batch, viewer)
            if told is not None:
                about = {"about": entry.about, "at": iso(entry.at_ms).isoformat()}
                frames.append(_frame(entry.topic, about | told, place=entry.id))
        return frames

    def _told(self, entry: Entry, batch: _Batch, viewer: Viewer) -> dict[str, object] | None:
        """What a viewer hears of an entry; None: nothing, for him it does not exist."""
        if entry.topic != rules.ALARM:
            return None if rules.hears(entry, viewer.seat.reach(entry.topic)) is None else {**entry.body}
        alarm = batch.alarms.get(entry.about.partition(":")[2])
        by = viewer.seat.authority(entry.topic)
        seen = None if alarm is None else look(by, alarm, self._register, batch.tied)
        if seen is None or seen.held.eyes not in entry.eyes:
            return None
        answer = alarm_answer(seen.shown, viewer.people(batch.session)).model_dump(mode="json", exclude_none=True)
        if seen.held.eyes in {None, Audience.NEIGHBOUR}:
            return {"alarm": answer} if rules.coarse(entry.body) else None
        return {**entry.body, "alarm": answer}

    def _resume(self, session: Session, viewer: Viewer, told: dict[Viewer, list[bytes]]) -> None:
        """Give a viewer what he missed, if it is known and not too much; else tell him to look at the lists."""
        number = None if viewer.lost else self._behind(session, viewer.place)
        frames: list[bytes] = []
        while number is not None and len(frames) <= rules.REPLAY_MOST:
            entries = repository.after(session, number, until=self._top, limit=AT_ONCE)
            frames += self._frames(_Batch.of(session, entries), viewer)
            if len(entries) < AT_ONCE:
                break
            number = entries[-1].number
        if number is None or len(frames) > rules.REPLAY_MOST:
            told[viewer] = [resync(stay=True)]
        elif frames:
            told[viewer] = [b"".join(frames)]

    def _behind(self, session: Session, place: Since | After | None) -> int | None:
        """The number behind which a viewer goes on; None when that is not known any more."""
        match place:
            case Since() if rules.too_old(place, now_ms=self._clock()):
                return None
            case Since():
                return repository.before(session, place.at_ms - rules.OVERLAP_MS)
            case After():
                return repository.number(session, place.id)
            case None:
                return None

    def _ask_again(self) -> None:
        """Whether those who listen still may, and how far."""
        self._asked = monotonic()
        with self._lock:
            viewers = [*self._viewers]
        for viewer in viewers:
            self._sits(viewer)

    def _sits(self, viewer: Viewer) -> bool:
        """Ask whether a viewer still may listen, and how far; if not, it is cut."""
        seat = viewer.again()
        if seat is None:
            viewer.loop.call_soon_threadsafe(viewer.cut, ended("not_known"))
            self.leave(viewer)
            return False
        viewer.seat = seat
        return True

    def _prune(self) -> None:
        self._pruned = monotonic()
        with self._database.write(patient=True) as session:
            repository.prune(session, before_ms=self._clock() - rules.KEPT_MS)


def resync(*, stay: bool = False) -> bytes:
    """The word that entries were missed: look at the lists. Without `stay` the stream ends, to be opened again."""
    return _frame("resync", {"stay": stay}, retry_ms=None if stay else _retry_ms())


def ended(why: str) -> bytes:
    """The word that the stream ends."""
    return _frame("end", {"why": why}, retry_ms=_retry_ms())


def _retry_ms() -> int:
    return Random().randint(*RETRY_MS)  # noqa: S311 - spreads load, hides nothing


def _offer(told: Mapping[Viewer, Sequence[bytes]]) -> None:
    for viewer, frames in told.items():
        viewer.offer(frames)


def _now(clock: Clock) -> str:
    return iso(clock()).isoformat()


def _frame(event: str, told: Mapping[str, object], *, place: str | None = None, retry_ms: int | None = None) -> bytes:
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    return format_sse_event(event=event, data_str=text, id=place, retry=retry_ms)
