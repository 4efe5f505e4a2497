"""An import from the file to the tables: what it would do is worked out while others write, and only then written.

Between the two the register may have changed. Then it is worked out again, and where that happens again and again, in
the transaction itself.
"""

from collections.abc import Callable, Sequence
from typing import Final

from sqlmodel import Session

from api.database import Database
from api.etags import expect
from api.progress import Tell, untold
from api.register import importing
from api.register.files import Table
from api.register.importing import Plan
from api.register.registrar import Registrar
from api.register.service import Register

TRIES: Final = 3


class _Moved(Exception):
    """The register is not what was worked with: nothing of the transaction is kept."""


class _Wrong(Exception):
    """What was worked out in the transaction cannot be: nothing of it is kept. Field: `made`."""

    def __init__(self, made: Plan) -> None:
        self.made = made
        super().__init__()


class Takes:
    """Imports of one station."""

    def __init__(self, database: Database, register: Register, registrar: Registrar) -> None:
        self._database = database
        self._register = register
        self._registrar = registrar

    def see(self, tables: Sequence[Table], *, tell: Tell = untold) -> tuple[Plan, int]:
        """What these tables would change, and of which version of the register that is so."""
        now = self._register.now
        gateways = frozenset(map(str, self._register.gateways))
        with self._database.read() as session:
            made = importing.plan(session, now, self._register.station, tables, gateways, tell=tell)
        return made, now.contents.version

    def take(
        self,
        tables: Sequence[Table],
        *,
        by: str,
        if_match: str | None = None,
        tell: Tell = untold,
        also: Callable[[Session, Plan], None] = lambda _session, _made: None,
    ) -> Plan:
        """All of it or nothing; nothing where anything is wrong, as the plan that comes back says.

        `also` is done in the same transaction. Raises StaleVersion, and what `tell` raises: then nothing is kept.
        """
        for once_more in (True,) * (TRIES - 1) + (False,):
            made, version = self.see(tables, tell=tell)
            if if_match is not None:
                expect(if_match, version)
            tell("writing", 0, len(made.changes))
            try:
                return self._write(tables, made, version if once_more else None, by=by, tell=tell, also=also)
            except _Moved:
                self._register.refresh(self._database)
            except _Wrong as wrong:
                return wrong.made
        raise AssertionError("the last time it is worked out where nobody else writes")

    def _write(
        self,
        tables: Sequence[Table],
        made: Plan,
        version: int | None,
        *,
        by: str,
        tell: Tell,
        also: Callable[[Session, Plan], None],
    ) -> Plan:
        """Write `made`, if the register is of `version` still; None: work it out anew, now that it stays as it is."""
        if made.problems:
            return made
        with self._database.write() as session:
            edit = self._registrar.within(session, by)
            if version is None:
                gateways = frozenset(map(str, self._register.gateways))
                made = importing.plan(session, edit.now, self._register.station, tables, gateways)
            elif edit.now.contents.version != version:
                raise _Moved
            if made.problems:
                raise _Wrong(made)
            importing.apply(edit, made, tell)
            also(session, made)
        self._registrar.done()
        return made
