"""Whether the files of alarms are there: several machines need one folder, and a backup brings rows without it."""

import socket
from pathlib import Path
from typing import Final

from api.alarms import repository
from api.alarms.attaching import path_of
from api.clock import Clock
from api.database import Database
from api.faults.repository import present
from api.faults.service import clear_fault, raise_fault
from api.register.service import Register

LOOK_S: Final = 60.0
LOOKED_AT: Final = 20
"""So many of the newest are looked for."""
MISSING: Final = "attachments_missing"


class FolderWatch:
    """Looks, in each process, whether the newest files that the table names lie in this machine's folder."""

    def __init__(
        self, database: Database, register: Register, folder: Path, *, clock: Clock, host: str | None = None
    ) -> None:
        self._database = database
        self._register = register
        self._folder = folder
        self._clock = clock
        self._host = (host or socket.gethostname())[:64]

    def look(self, _now_ms: int = 0) -> None:
        """Look once; write only what has changed."""
        with self._database.read() as session:
            digests = repository.newest_files(session, limit=LOOKED_AT)
            raised = present(session, MISSING, "", self._host) is not None
        missing = sum(not path_of(self._folder, digest).is_file() for digest in digests)
        if bool(missing) == raised:
            return
        with self._database.write(patient=True) as session:
            now_ms = self._clock()
            if missing:
                areas = self._register.lies_in(self._register.station)
                detail = f"{missing}/{len(digests)}"
                raise_fault(session, MISSING, about=self._host, detail=detail, now_ms=now_ms, areas=areas)
            else:
                clear_fault(session, MISSING, about=self._host, now_ms=now_ms)
