"""Brings tables forward, from whatever version they are of. There is no way back: that is what a backup is for."""

import re
from importlib import import_module
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect

MIGRATIONS: Final = Path(__file__).parents[1] / "migrations"
HEAD: Final = "head"
_VERSION: Final = re.compile(r"v(\d{4})_\w+\.py")


def upgrade(connection: Connection, revision: str = HEAD) -> None:
    """Bring the tables to `revision` in the transaction of `connection`. Raises DatabaseNewer.

    Tables that are where they should be cost one look: Alembic is 35 MiB, which most starts do not need.
    """
    if revision != HEAD or not is_newest(connection):
        import_module("api.database.migrating").bring(connection, revision)


def is_newest(connection: Connection) -> bool:
    """Whether the tables are of the last version that this program knows."""
    return present(connection) == newest()


def present(connection: Connection) -> str | None:
    """Of which version the tables are; None when there are none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one_or_none()
    return found


def newest() -> str:
    """The last revision that this program knows: migrations are one line, and each file begins with its number."""
    return max(found[1] for path in (MIGRATIONS / "versions").iterdir() if (found := _VERSION.fullmatch(path.name)))
