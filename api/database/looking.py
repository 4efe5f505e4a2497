"""Looking at a station's tables from a second program, whoever has them: nothing is taken, nothing is changed."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlmodel import Session

from api.database.door import Database
from api.database.errors import DatabaseError
from api.database.sqlite import _engine


@contextmanager
def looking(url: str, *, station: str | None = None) -> Iterator[Session]:
    """A session that only reads, at one moment. Raises DatabaseError, or what the database itself says."""
    if make_url(url).get_backend_name() == "postgresql":
        with closing(Database.kind(url).at(url, station)) as database, database.read() as session:
            yield session
        return
    path = Path(make_url(url).database or "").absolute()
    if not path.is_file():
        raise DatabaseError(f"{path}: there is no such file")
    engine = _engine(path, read_only=True)
    try:
        with Session(engine) as session:
            yield session
    finally:
        engine.dispose()
