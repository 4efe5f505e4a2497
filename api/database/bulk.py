"""Many rows at the speed of the driver."""

from collections.abc import Sequence
from itertools import chain
from typing import Final

from sqlalchemy import Connection, event
from sqlalchemy.orm import Session as PlainSession
from sqlmodel import Session, SQLModel

COPY: Final = "COPY "
TOGETHER: Final = (64, 16)
"""Rows in one statement of SQLite, which lets other threads have the interpreter at each statement and waits for it."""
LATER: Final = "bulk"


class Bulk:
    """Inserts many rows of one table.

    The statement is made once, and values go to the driver as they are, in the order of `names`: they must be what
    it takes (int, str, bytes, bool, None). Rows are numbered by the database in the order in which they are given.

    SQLite takes as many of TOGETHER in a statement as there are; PostgreSQL copies (`api.database.postgresql`).
    """

    def __init__(self, table: str, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._table = table
        self._sql: dict[tuple[str, int], str] = {}

    def insert(self, session: Session, rows: Sequence[tuple[object, ...]]) -> None:
        """Insert `rows` now."""
        if not rows:
            return
        connection = session.connection()
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(self._statement(connection, 1), [*rows])
            return
        done = 0
        for many in TOGETHER:
            while len(rows) - done >= many:
                values = tuple(chain.from_iterable(rows[done : done + many]))
                connection.exec_driver_sql(self._statement(connection, many), values)
                done += many
        if done < len(rows):
            connection.exec_driver_sql(self._statement(connection, 1), [*rows[done:]])

    def later(self, session: Session, rows: Sequence[tuple[object, ...]]) -> None:
        """Insert `rows` before the commit, together with what else is put off: for what nobody reads until then.

        Inside a savepoint they are inserted now, and go where it goes.
        """
        if session.in_nested_transaction():
            self.insert(session, rows)
        else:
            waiting: dict[Bulk, list[tuple[object, ...]]] = session.info.setdefault(LATER, {})
            waiting.setdefault(self, []).extend(rows)

    def _statement(self, connection: Connection, rows: int) -> str:
        name = connection.dialect.name, rows
        if name not in self._sql:
            self._sql[name] = self._compile(connection, rows)
        return self._sql[name]

    def _compile(self, connection: Connection, rows: int) -> str:
        table = SQLModel.metadata.tables[self._table]
        quote = connection.dialect.identifier_preparer.quote
        into = f"{quote(table.name)} ({', '.join(quote(table.c[name].name) for name in self.names)})"
        if connection.dialect.name == "postgresql":
            return f"{COPY}{into} FROM STDIN"
        row = f"({', '.join('?' * len(self.names))})"
        return f"INSERT INTO {into} VALUES {', '.join([row] * rows)}"  # noqa: S608 - names of ours


class BulkUpdate:
    """Updates many rows of one table, each by its key: `names` are set where `by` is so.

    Values go to the driver as they are, in the order of `names` and then `by`.
    """

    def __init__(self, table: str, names: Sequence[str], *, by: Sequence[str]) -> None:
        self._table = table
        self._names = tuple(names)
        self._by = tuple(by)
        self._sql: dict[str, str] = {}

    def update(self, session: Session, rows: Sequence[tuple[object, ...]]) -> None:
        """Update them now."""
        if rows:
            connection = session.connection()
            connection.exec_driver_sql(self._statement(connection), [*rows])

    def _statement(self, connection: Connection) -> str:
        name = connection.dialect.name
        if name not in self._sql:
            table = SQLModel.metadata.tables[self._table]
            quote = connection.dialect.identifier_preparer.quote
            here = "%s" if name == "postgresql" else "?"
            sets = ", ".join(f"{quote(table.c[one].name)} = {here}" for one in self._names)
            where = " AND ".join(f"{quote(table.c[one].name)} = {here}" for one in self._by)
            self._sql[name] = f"UPDATE {quote(table.name)} SET {sets} WHERE {where}"  # noqa: S608 - names of ours
        return self._sql[name]


def write_later(session: Session) -> None:
    """Insert what was put off; a commit does it by itself."""
    waiting: dict[Bulk, list[tuple[object, ...]]] = session.info.pop(LATER, {})
    for bulk, rows in waiting.items():
        bulk.insert(session, rows)


@event.listens_for(PlainSession, "before_commit")
def _before_commit(session: PlainSession) -> None:
    if LATER in session.info and isinstance(session, Session) and not session.in_nested_transaction():
        write_later(session)


@event.listens_for(PlainSession, "after_rollback")
def _after_rollback(session: PlainSession) -> None:
    if not session.in_nested_transaction():
        session.info.pop(LATER, None)
