"""Brings tables forward, by Alembic. `api.database.upgrade` imports it when there is something to bring forward."""

from alembic import command
from alembic.config import Config
from alembic.script.revision import ResolutionError
from alembic.util import CommandError
from sqlalchemy import Connection

from api.database.errors import DatabaseNewer
from api.database.upgrade import MIGRATIONS


def migrations(connection: Connection) -> Config:
    """Alembic's configuration, without a file, for work on `connection`."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def bring(connection: Connection, revision: str) -> None:
    """Bring the tables to `revision` in the transaction of `connection`. Raises DatabaseNewer."""
    try:
        command.upgrade(migrations(connection), revision)
    except CommandError as error:
        if isinstance(error.__cause__, ResolutionError):
            raise DatabaseNewer from None
        raise
