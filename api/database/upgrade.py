"""Brings tables forward, from whatever version they are of. There is no way back: that is what a backup is for."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from alembic.util import CommandError
from sqlalchemy import Connection

from api.database.errors import DatabaseNewer

MIGRATIONS: Final = Path(__file__).parents[1] / "migrations"


def migrations(connection: Connection) -> Config:
    """Alembic's configuration, without a file, for work on `connection`."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection, revision: str) -> None:
    """Bring the tables to `revision` in the transaction of `connection`. Raises DatabaseNewer."""
    try:
        command.upgrade(migrations(connection), revision)
    except CommandError as error:
        if isinstance(error.__cause__, ResolutionError):
            raise DatabaseNewer from None
        raise


def newest(connection: Connection) -> str:
    """The last revision that this program knows."""
    head = ScriptDirectory.from_config(migrations(connection)).get_current_head()
    assert head is not None, "there are migrations"
    return head
