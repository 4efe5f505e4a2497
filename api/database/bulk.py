"""Many rows at the speed of the driver."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection
from sqlmodel import Session, SQLModel

COPY: Final = "COPY "


class Bulk:
    """Inserts many rows of one table.

    The statement is made once, and values go to the driver as they are, in the order of `names`: they must be what
    it takes (int, str, bytes, bool, None). Rows are numbered by the database in the order in which they are given.

    SQLite runs one statement for each row; PostgreSQL copies (`api.database.postgresql` says how).
    """

    def __init__(self, table: str, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._table = table
        self._sql: dict[str, str] = {}

    def insert(self, session: Session, rows: Sequence[tuple[object, ...]]) -> None:
        """Insert `rows` now."""
        if not rows:
            return
        connection = session.connection()
        sql = self._sql.get(connection.dialect.name)
        if sql is None:
            sql = self._sql[connection.dialect.name] = self._compile(connection)
        connection.exec_driver_sql(sql, [*rows])

    def _compile(self, connection: Connection) -> str:
        table = SQLModel.metadata.tables[self._table]
        quote = connection.dialect.identifier_preparer.quote
        into = f"{quote(table.name)} ({', '.join(quote(table.c[name].name) for name in self.names)})"
        if connection.dialect.name == "postgresql":
            return f"{COPY}{into} FROM STDIN"
        return f"INSERT INTO {into} VALUES ({', '.join('?' * len(self.names))})"  # noqa: S608 - names of ours
