"""Many rows at the speed of the driver."""

from collections.abc import Sequence

from sqlalchemy import Connection
from sqlmodel import Session, SQLModel


class Bulk:
    """Inserts many rows of one table.

    The statement is made once, and values go to the driver as they are, in the order of `names`: they must be what
    it takes (int, str, bytes, bool, None). Rows are numbered by the database in the order in which they are given.

    SQLite runs one statement for each row. PostgreSQL gets a column in one array each and one statement for all
    rows: one turn to the server, as quick as COPY, and an error that is like every other.
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
        name = connection.dialect.name
        sql = self._sql.get(name)
        if sql is None:
            sql = self._sql[name] = self._compile(connection)
        if name == "postgresql":
            connection.exec_driver_sql(sql, tuple([*column] for column in zip(*rows, strict=True)))
        else:
            connection.exec_driver_sql(sql, [*rows])

    def _compile(self, connection: Connection) -> str:
        table = SQLModel.metadata.tables[self._table]
        quote = connection.dialect.identifier_preparer.quote
        columns = [table.c[name] for name in self.names]
        into = f"INSERT INTO {quote(table.name)} ({', '.join(quote(column.name) for column in columns)})"
        if connection.dialect.name == "postgresql":
            types = [column.type.compile(connection.dialect) for column in columns]
            return f"{into} SELECT * FROM unnest({', '.join(f'%s::{type_}[]' for type_ in types)})"  # noqa: S608 - names of ours
        return f"{into} VALUES ({', '.join('?' * len(columns))})"
