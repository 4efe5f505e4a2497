"""What both databases have in common, which is all that the rest of the station may use.

One writer at a time (`write`), many readers (`read`), each of which sees one moment. Inside a process `Turns` says
whose turn it is. SQLite has no other process; on PostgreSQL an advisory lock orders the writers of one station in all
processes. So whatever a transaction has read is still true when it writes: "look, decide, write" is right without
locking rows, a number that is higher was committed later, and neither a serialization failure nor a deadlock can
arise between our own transactions. That is the rule for retries: there are none here. Where an outsider's lock stands
in the way, or the connection is lost, OperationalError comes out of the block and nothing of it is kept, with one
exception: a connection that is lost in COMMIT leaves it open whether the commit was done. Everything that asks twice
is therefore made to be asked twice: events by their id, actions by their Idempotency-Key or by compare-and-set.

Times in tables are Unix milliseconds in UTC. Table models do not validate, so every table has CHECK constraints.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import ClassVar, Final

from sqlalchemy import Engine
from sqlalchemy.engine import make_url
from sqlmodel import Session

from api.database.errors import DatabaseError
from api.database.turns import Turns

Commit = Callable[[Session], None]
_KINDS: Final = {"sqlite": "api.database.sqlite", "postgresql": "api.database.postgresql"}
"""Where each kind is. The driver of the one that is not used is not loaded."""


class Database(ABC):
    """All tables of one station. Use `open`; `close` when done."""

    _kinds: ClassVar[dict[str, type["Database"]]] = {}
    shared: ClassVar[bool]
    """Whether several processes may have it at a time."""

    def __init__(self, writer: Engine, readers: Engine) -> None:
        self.fence: Callable[[Session], None] | None = None
        """Asked before each commit, in the same transaction; raises where this process may not write any more."""
        self.begun: Callable[[Session], None] | None = None
        """Called first in each transaction, where other processes write as well: what is remembered may be old."""
        self._turns = Turns()
        self._writer = writer
        self._readers = readers

    def __init_subclass__(cls, *, backend: str, shared: bool) -> None:
        """Serve URLs of this backend."""
        cls.shared = shared
        Database._kinds[backend] = cls

    @classmethod
    def open(cls, url: str, *, station: str | None = None) -> "Database":
        """Open the tables of a station in the database at `url`, and bring them up to date.

        A SQLite file holds one station, whichever it is; in PostgreSQL each has tables of its own.

        Raises DatabaseInUse, DatabaseUnsafe, DatabaseNewer, or what the database itself says.
        """
        database = cls.kind(url).at(url, station)
        try:
            database.migrate()
        except BaseException:
            database.close()
            raise
        return database

    @classmethod
    def kind(cls, url: str) -> "type[Database]":
        """Which database is behind a URL. Raises DatabaseError."""
        backend = make_url(url).get_backend_name()
        if backend not in _KINDS:
            raise DatabaseError(f"{make_url(url).drivername}: use {' or '.join(_KINDS)}")
        import_module(_KINDS[backend])
        return cls._kinds[backend]

    @classmethod
    @abstractmethod
    def at(cls, url: str, station: str | None) -> "Database":
        """The tables of a station as they are."""

    @abstractmethod
    def migrate(self, revision: str = "head") -> None:
        """Bring the tables forward to `revision`, the record of it included, in one transaction."""

    @abstractmethod
    def scrub(self) -> None:
        """Let what was deleted be in no file of the database any more, as far as the database can."""

    @abstractmethod
    def forget_copies(self, now_ms: int) -> None:
        """Take away copies that were kept before an update, when nothing personal may stay in them any longer."""

    @property
    def awaited(self) -> bool:
        """Whether a person of this process waits to write, or did within the last second."""
        return self._turns.people_lately

    def close(self) -> None:
        """Give everything back. The last connection to close is the writer."""
        self._readers.dispose()
        self._writer.dispose()

    @contextmanager
    def write(self, *, patient: bool = False, commit: Commit = Session.commit) -> Iterator[Session]:
        """One transaction: `commit` at the end of the block, nothing at all when it raises.

        The only place in the program that commits. `patient` waits until no person waits.
        """
        with self._turns.mine(patient=patient), Session(self._writer, autoflush=False) as session:
            self._begin(session)
            yield session
            if self.fence is not None:
                self.fence(session)
            commit(session)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Look, at one moment of the tables. Keep it short: a long reader keeps old rows from being cleared away."""
        with Session(self._readers) as session:
            self._begin(session)
            yield session

    def _begin(self, session: Session) -> None:
        if self.begun is not None:
            self.begun(session)
