"""What can be wrong with a database before anything is done with it.

    DatabaseError
    +-- DatabaseInUse           .path .pid: another process has it
    +-- DatabaseUnsafe          .setting: a commit would not survive a power cut, so nothing is begun
    +-- DatabaseNewer           a later version of the program has been here

What goes wrong later is SQLAlchemy's: OperationalError and InterfaceError when the database cannot be used at the
moment (`api.problems` answers 503, ingest keeps everything and tries again), IntegrityError for rows that cannot be.
"""

from collections.abc import Sequence
from pathlib import Path


class DatabaseError(Exception):
    """The tables cannot be used."""


class DatabaseInUse(DatabaseError):
    """Another process has it. Fields: `path`, and `pid` where the other one left it."""

    def __init__(self, path: Path, pid: str) -> None:
        self.path = path
        self.pid = pid
        super().__init__(f"{path} is in use by process {pid or '?'}: a second process needs PostgreSQL")


class DatabaseUnsafe(DatabaseError):
    """A setting that keeps commits could not be had. Field: `setting`."""

    def __init__(self, setting: str, found: object) -> None:
        self.setting = setting
        super().__init__(f"the database's setting {setting} is {found!r}: commits would not be safe")


class DatabaseNewer(DatabaseError):
    """Its tables are those of a later version of this program, which alone may use them.

    Field: `copies`, kept before they were brought forward; the last is the newest.
    """

    def __init__(self, copies: Sequence[Path] = ()) -> None:
        self.copies = tuple(copies)
        back = (
            f"`shouwang restore {copies[-1]} --replace`" if copies else "`shouwang restore` with the backup before it"
        )
        super().__init__(
            "the tables are those of a later version of Shouwang: start that one; or, to go back without what came "
            f"since, {back}"
        )
