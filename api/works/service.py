"""Long works: asked for, looked at, given up, asked for again. Takes a session, never commits.

A work is a row, so that every process shows the same of it; whichever process has time does it (`api.works.doing`).
Whoever asked, and administrators, see how it is. What came of it is for whoever asked, as long as he reaches what he
reached when it was done; and for administrators where the action is theirs over everything.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from hashlib import sha256
from typing import Any, Final

from sqlmodel import Session

from api.audit.service import record
from api.clock import Clock
from api.problems import NotThere
from api.register.service import Register
from api.rights.rules import Authority, Principal, Reach, Subject, rights
from api.works import repository
from api.works.models import LongWork, LongWorkFile
from api.works.problems import NoFile, NotAgain, NothingToTake, TooManyWorks
from api.works.rules import ACTIONS, ALSO, OPEN, Kind, State
from broker.ids import EVENT_ID_RANDOM_BYTES, event_id

UNFINISHED_MOST: Final = 5
"""Works of one account at a time."""
HEAVY_OCTETS: Final = 64 << 10
"""A larger file is not done before smaller ones."""
ASKED: Final = "asked"
MADE: Final = "made"


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file: what it is called, what it is, and its octets."""

    name: str
    media: str
    content: bytes


class Works:
    """The long works of one station."""

    def __init__(self, register: Register, *, clock: Clock, random_bytes: Callable[[int], bytes]) -> None:
        self._register = register
        self._clock = clock
        self._random_bytes = random_bytes

    def ask(
        self,
        session: Session,
        by: Authority,
        kind: Kind,
        asked: Mapping[str, Any],
        *,
        heavy: bool,
        file: File | None = None,
    ) -> LongWork:
        """Let it be done. Whoever asks for the same while it is under way has that. Raises TooManyWorks."""
        assert ACTIONS[kind] == by.action
        same = _digest(kind.value, asked, b"" if file is None else file.content)
        unfinished = repository.open_of(session, self._register.station, by.principal.account)
        there = next((row for row in unfinished if row.same == same and not row.stop), None)
        if there is not None:
            return there
        if len(unfinished) >= UNFINISHED_MOST:
            raise TooManyWorks(UNFINISHED_MOST)
        row = self._add(session, by.principal.account, kind, asked, same=same, heavy=heavy)
        assert row.number is not None
        if file is not None:
            repository.add(session, self._file(row.number, ASKED, file))
        self._record(session, row, by.principal.account, "work.begin", {"kind": kind.value})
        return row

    def take(self, session: Session, by: Authority, id_: str) -> LongWork:
        """Let the file of a trial be imported, as the trial said. Raises NothingToTake or NotThere."""
        trial = self.find(session, by, id_)
        report = json.loads(trial.result or "{}")
        good = trial.kind == Kind.IMPORT_TRIAL and trial.state == State.DONE and self.shows(by.principal, trial)
        if not good or report["wrong"] or not report["added"] + report["changed"] or not self._has_file(session, trial):
            raise NothingToTake
        asked = json.loads(trial.asked) | {"trial": trial.id, "version": report["version"]}
        return self.ask(session, by, Kind.IMPORT, asked, heavy=trial.heavy)

    def again(self, session: Session, by: Authority, id_: str) -> LongWork:
        """The same once more, after it has ended. Of an import it is the trial. Raises NotAgain or NotThere."""
        row = self.find(session, by, id_)
        asked, kind, source = json.loads(row.asked), Kind(row.kind), row
        if row.state in OPEN or row.by != by.principal.account:
            raise NotAgain
        if kind is Kind.IMPORT:
            trial = repository.find(session, self._register.station, asked["trial"])
            if trial is None:
                raise NotAgain
            kind, source, asked = Kind.IMPORT_TRIAL, trial, json.loads(trial.asked)
        authority = self.authority(by.principal, kind)
        if not authority.reach.held:
            raise NotAgain
        same = _digest(kind.value, asked, source.id.encode())
        if kind is Kind.IMPORT_TRIAL and not self._has_file(session, source):
            raise NotAgain
        if len(repository.open_of(session, self._register.station, row.by)) >= UNFINISHED_MOST:
            raise TooManyWorks(UNFINISHED_MOST)
        new = self._add(session, row.by, kind, asked, same=same, heavy=row.heavy)
        assert source.number is not None
        assert new.number is not None
        repository.move_file(session, source.number, new.number, kept_ms=self._clock())
        self._record(session, new, row.by, "work.begin", {"kind": kind.value, "again": row.id})
        return new

    def give_up(self, session: Session, by: Authority, id_: str) -> LongWork:
        """Let it not be done. What is under way ends at its next step; what has ended stays as it is."""
        row = self.find(session, by, id_)
        assert row.number is not None
        now = self._clock()
        if row.state == State.WAITING:
            repository.change(
                session, row.number, State.WAITING, None, state=State.GIVEN_UP.value, ended_ms=now, stop=True
            )  # fmt: skip
        elif row.state == State.RUNNING and not row.stop:
            repository.change(session, row.number, State.RUNNING, None, stop=True)
        else:
            return row
        self._record(session, row, by.principal.account, "work.give_up", {"kind": row.kind})
        return self.find(session, by, id_)

    def find(self, session: Session, by: Authority, id_: str) -> LongWork:
        """A work that this account may know of. Raises NotThere."""
        row = repository.find(session, self._register.station, id_)
        reach = self._own(by)
        if row is None or not reach.covers(Subject(accounts=frozenset((row.by,)))):
            raise NotThere(f"no long work {id_[:64]!r} of yours")
        return row

    def listed(
        self, session: Session, by: Authority, *, everybody: bool, below: int | None, limit: int
    ) -> Sequence[LongWork]:  # fmt: skip
        """Newest first: his own; for administrators, where they ask for that, everybody's."""
        whose = None if everybody and self._own(by).everything else by.principal.account
        return repository.page(session, self._register.station, by=whose, below=below, limit=limit)

    def shows(self, who: Principal, row: LongWork) -> bool:
        """Whether what came of a work is shown to somebody who may know of it."""
        kind = Kind(row.kind)
        reach = self.authority(who, kind).reach
        if row.by == who.account:
            return bool(reach.held) and row.reach in {"", self.reached(who, kind)}
        return reach.everything

    def file(self, session: Session, by: Authority, id_: str) -> LongWorkFile:
        """The file that came of a work. Raises NotThere or NoFile."""
        row = self.find(session, by, id_)
        assert row.number is not None
        found = repository.file(session, row.number, MADE)
        if found is None or row.state != State.DONE or not self.shows(by.principal, row):
            raise NoFile(f"no file of {id_!r} for you")
        return found

    def authority(self, who: Principal, kind: Kind) -> Authority:
        """How far somebody reaches with what a kind of work needs."""
        return self.authority_for(who, ACTIONS[kind])

    def authority_for(self, who: Principal, action: str) -> Authority:
        """How far somebody reaches with an action."""
        return Authority(who, action, rights().reach(who, action, groups=self._register.groups_of_places))

    def reached(self, who: Principal, kind: Kind) -> str:
        """A digest of all that somebody reaches and that makes the result of such a work what it is."""
        return reach_digest(*(self.authority_for(who, one).reach for one in (ACTIONS[kind], *ALSO.get(kind, ()))))

    def keep(self, session: Session, number: int, file: File) -> None:
        """Keep what came of a work."""
        repository.add(session, self._file(number, MADE, file))

    def _own(self, by: Authority) -> Reach:
        return rights().reach(by.principal, "work.own", groups=self._register.groups_of_places)

    def _has_file(self, session: Session, row: LongWork) -> bool:
        assert row.number is not None
        return (row.number, ASKED) in repository.files(session, [row.number])

    def _add(
        self, session: Session, by: str, kind: Kind, asked: Mapping[str, Any], *, same: str, heavy: bool
    ) -> LongWork:  # fmt: skip
        now = self._clock()
        row = LongWork(
            station=self._register.station,
            id=event_id(now, self._random_bytes(EVENT_ID_RANDOM_BYTES)),
            by=by,
            kind=kind.value,
            asked=json.dumps(asked, ensure_ascii=False, sort_keys=True),
            same=same,
            heavy=heavy,
            made_ms=now,
        )
        repository.add(session, row)
        return row

    def _file(self, work: int, role: str, file: File) -> LongWorkFile:
        return LongWorkFile(
            work=work, role=role, name=file.name, media=file.media, content=file.content, octets=len(file.content),
            kept_ms=self._clock(),
        )  # fmt: skip

    def _record(self, session: Session, row: LongWork, by: str, action: str, detail: Mapping[str, object]) -> None:
        record(session, at_ms=self._clock(), by=by, action=action, about=f"work:{row.id}", detail=detail)


def reach_digest(*reaches: Reach) -> str:
    """What tells reaches apart."""
    return sha256("\n".join(repr(sorted(map(repr, map(astuple, one.held)))) for one in reaches).encode()).hexdigest()


def _digest(kind: str, asked: Mapping[str, Any], content: bytes) -> str:
    words = json.dumps([kind, dict(asked)], ensure_ascii=False, sort_keys=True).encode()
    return sha256(sha256(words).digest() + content).hexdigest()
