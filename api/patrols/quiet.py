"""Readers that say nothing: those that cannot be asked (RDM6300, Wiegand) are judged by what they should have said.

Theory. A reader that only talks is silent when it is broken and when nobody comes. So silence counts only against what
was to be expected there: rounds that were walked, since it last read anything, and had a visit at its checkpoint. It
is quiet once `WALKED_PAST` such rounds went by, or after `quiet_days` with at least one visit that was due. It is a
fault for whoever mends things, and excuses nobody: of a reader to which nobody goes nothing else is heard. It is over
with the next card.
"""

from dataclasses import dataclass
from typing import Final

from sqlmodel import Session

from api.checkins import service as checkins
from api.clock import Clock
from api.database import Database
from api.faults.service import clear_fault, quiet_about, raise_fault
from api.patrols import repository
from api.register.service import Register

LOOK_S: Final = 600.0
DAY_MS: Final = 86_400_000
WALKED_PAST: Final = 3
READER_QUIET: Final = "reader_quiet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a reader should have said since it last said anything. `walked`: rounds with a check-in somewhere."""

    last_ms: int
    visits: int
    walked: int


def is_quiet(expected: Expected, *, quiet_days: int, now_ms: int) -> bool:
    """Whether a reader says less than it should; with `quiet_days` 0 only rounds that were walked count."""
    long = quiet_days > 0 and now_ms - expected.last_ms >= quiet_days * DAY_MS
    return expected.walked >= WALKED_PAST or (long and expected.visits > 0)


class QuietReaders:
    """Looks at every reader that hangs at a checkpoint."""

    def __init__(self, register: Register, *, clock: Clock, quiet_days: int) -> None:
        self._register = register
        self._clock = clock
        self._quiet_days = quiet_days

    def look(self, database: Database, _now_ms: int = 0) -> None:
        """Look once; write only what has changed."""
        now_ms = self._clock()
        with database.read() as session:
            before = quiet_about(session, READER_QUIET)
            quiet = self._quiet(session, now_ms)
        if quiet.keys() == before:
            return
        with database.write(patient=True) as session:
            for reader in quiet.keys() - before:
                areas = self._register.lies_in(quiet[reader])
                raise_fault(session, READER_QUIET, gateway=reader[0], about=reader[1], now_ms=now_ms, areas=areas)
            for gateway, about in before - quiet.keys():
                clear_fault(session, READER_QUIET, gateway=gateway, about=about, now_ms=now_ms)

    def _quiet(self, session: Session, now_ms: int) -> dict[tuple[str, str], str]:
        """The quiet readers (gateway, reader), with the area of each."""
        found: dict[tuple[str, str], str] = {}
        for point in repository.with_reader(session):
            assert point.gateway is not None
            assert point.reader is not None
            read_ms = checkins.last_read(session, point.id, point.gateway, point.reader, from_ms=point.from_ms)
            since_ms = point.from_ms if read_ms is None else read_ms
            visits, walked = repository.expected_at(session, point.id, since_ms, now_ms)
            expected = Expected(last_ms=since_ms, visits=visits, walked=walked)
            if is_quiet(expected, quiet_days=self._quiet_days, now_ms=now_ms):
                found[point.gateway, point.reader] = point.area
        return found
