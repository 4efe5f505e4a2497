"""Wands (巡更棒): what their programs write into spreadsheets, and what is read out of one. Imported twice, it is once.

CheckinProblem
+-- OtherForm               422: the headings of the six columns are not there
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from http import HTTPStatus
from typing import Final
from zoneinfo import ZoneInfo

from sqlmodel import Session

from api.audit.service import record
from api.checkins import repository
from api.checkins.models import WandImport, WandRow
from api.checkins.rules import STALE_MS, CheckIn, Flag, Source, same
from api.checkins.service import Checkins, Said
from api.checkins.sheets import Bad, BadRow, Row, read, unix_ms
from api.clock import Clock
from api.guards import service as guards
from api.problems import NotThere, Problem
from api.register.files import Format, grid
from api.register.service import Register
from api.rights.rules import Authority

BAD_MOST: Final = 500
"""Bad rows that are kept of one file one by one; the others are counted."""
EMPTY_GUARD: Final = 0xFFFF
"""What a wand gives while no guard's card was read."""
FUTURE_MS: Final = 300_000


class OtherForm(Problem):
    """The headings of the six columns are not there."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "other_form"
    title = "This is not the form of a wand's file"

    def __init__(self) -> None:
        super().__init__("no columns for time and chip in the first rows", zh="前几行没有巡检时间和编号两列")


@dataclass(frozen=True, slots=True)
class Stored:
    """A record out of a wand. `civil`: its own clock, None where it showed none. `is_guard`: somebody's card."""

    serial: int
    guard_number: int
    civil: datetime | None
    is_guard: bool
    card: str


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file or a store. `number` None: a dry run, nothing was kept.

    `unknown_people`: as they were written there; `gaps`: serial numbers [first, last] that no reading has.
    """

    number: int | None
    rows: int
    added: int
    known: int
    named: int
    bad: tuple[BadRow, ...]
    bad_in_all: int
    unknown_people: tuple[str, ...]
    unknown_tags: int
    gaps: tuple[tuple[int, int], ...]
    wrapped: bool


class Wands:
    """Takes in what wands read."""

    def __init__(self, register: Register, checkins: Checkins, *, clock: Clock, zone: ZoneInfo) -> None:
        self._register = register
        self._checkins = checkins
        self._clock = clock
        self._zone = zone

    def spreadsheet(self, session: Session, by: Authority, data: bytes, form: Format, *, dry_run: bool) -> Imported:
        """Import a file. A dry run does everything and undoes it. Raises NotThere, FileRefused or OtherForm."""
        self._all(by)
        sheet = read(grid(data, form), self._zone)
        if sheet is None:
            raise OtherForm
        if not dry_run:
            return self._spreadsheet(session, by, data, sheet.rows, sheet.bad)
        trial = session.begin_nested()
        try:
            found = self._spreadsheet(session, by, data, sheet.rows, sheet.bad)
        finally:
            trial.rollback()
        return replace(found, number=None)

    def _spreadsheet(
        self, session: Session, by: Authority, data: bytes, rows: Sequence[Row], bad: Sequence[BadRow]
    ) -> Imported:
        now = self._clock()
        people = guards.written_as(session, self._register.station, {row.person for row in rows if row.person})
        said = {
            one.id: one
            for one in (
                Said(
                    id=same(row.at_ms // 1_000 * 1_000, "sheet", row.wand, row.chip, row.person),
                    source=Source.WAND,
                    tag=row.chip,
                    at_ms=row.at_ms,
                    device_ms=row.at_ms,
                    reader=row.wand or None,
                    guard=people.get(row.person),
                    flags=_odd(row.at_ms, now),
                )
                for row in rows
            )
        }
        named = self._checkins.name(session, {one.id: one.guard for one in said.values() if one.guard is not None})
        made = self._checkins.add(session, [*said.values()], now)
        unknown = sorted({row.person for row in rows if row.person and row.person not in people})
        errors = [one for one in bad if one.why is not Bad.EVENT]
        number = self._note(
            session, by, data, kind="spreadsheet", rows=len(rows) + len(errors), added=len(made), bad=len(errors)
        )
        repository.add_bad(session, number, [(one.row, one.why.value, json.dumps(one.cells, ensure_ascii=False))
                                             for one in bad[:BAD_MOST]])  # fmt: skip
        return Imported(
            number=number,
            rows=len(rows) + len(errors),
            added=len(made),
            known=len(rows) - len(made),
            named=len(named),
            bad=tuple(bad[:BAD_MOST]),
            bad_in_all=len(bad),
            unknown_people=tuple(unknown),
            unknown_tags=_unknown(made),
            gaps=(),
            wrapped=False,
        )

    def store(
        self, session: Session, by: Authority, wand: str, records: Sequence[Stored], *, wrapped: bool
    ) -> Imported:
        """Take in what was read out of a wand, and say which serial numbers are missing. Raises NotThere."""
        self._all(by)
        now = self._clock()
        ordered = [*records]  # as the wand gave them: where its ring began anew, that is not by serial number
        people = guards.written_as(session, self._register.station, {str(one.guard_number) for one in ordered})
        said: list[Said] = []
        bad: list[BadRow] = []
        at_card: str | None = None
        for one in ordered:
            at_ms = None if one.civil is None else unix_ms(one.civil, self._zone)
            if at_ms is None:
                why = Bad.TIME if one.civil is None else Bad.NO_SUCH_TIME
                bad.append(BadRow(one.serial, why, (str(one.civil or ""), str(one.guard_number), one.card)))
                continue
            if one.is_guard:
                at_card = self._checkins.whose(session, one.card, at_ms)
                continue
            number = None if one.guard_number == EMPTY_GUARD else people.get(str(one.guard_number))
            said.append(
                Said(
                    id=same(at_ms, "wand", wand, one.serial, one.card),
                    source=Source.WAND,
                    tag=one.card,
                    at_ms=at_ms,
                    device_ms=at_ms,
                    reader=wand,
                    guard=at_card or number,
                    flags=_odd(at_ms, now),
                )
            )
        made = self._checkins.add(session, said, now)
        gaps = self._gaps(session, wand, [one.serial for one in ordered])
        data = json.dumps([wand, [[one.serial, str(one.civil), one.card] for one in ordered]]).encode()
        note = self._note(
            session, by, data, kind="store", rows=len(ordered), added=len(made), bad=len(bad), wand=wand,
            serials=(ordered[0].serial, ordered[-1].serial) if ordered else None,
            missing=sum(last - first + 1 for first, last in gaps), wrapped=wrapped,
        )  # fmt: skip
        repository.add_bad(
            session, note, [(one.row, one.why.value, json.dumps(one.cells, ensure_ascii=False)) for one in bad]
        )
        return Imported(
            number=note,
            rows=len(ordered),
            added=len(made),
            known=len(said) - len(made),
            named=0,
            bad=tuple(bad),
            bad_in_all=len(bad),
            unknown_people=(),
            unknown_tags=_unknown(made),
            gaps=gaps,
            wrapped=wrapped,
        )

    def bad_rows(self, session: Session, by: Authority, number: int) -> Sequence[WandRow]:
        """Rows of an import that somebody should look at. Raises NotThere."""
        self._all(by)
        if session.get(WandImport, number) is None:
            raise NotThere(f"no import {number} here")
        return repository.bad_rows(session, number)

    def imports(self, session: Session, by: Authority, *, below: int | None, limit: int) -> Sequence[WandImport]:
        """Imports, newest first. Raises NotThere."""
        self._all(by)
        return repository.imports(session, below=below, limit=limit)

    def _gaps(self, session: Session, wand: str, serials: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """What is missing inside these, and between them and what was read of this wand before."""
        if not serials:
            return ()
        before = repository.last_serial(session, wand, below=serials[0])
        return gaps(serials if before is None else [before, *serials])

    def _note(
        self,
        session: Session,
        by: Authority,
        data: bytes,
        *,
        kind: str,
        rows: int,
        added: int,
        bad: int,
        wand: str | None = None,
        serials: tuple[int, int] | None = None,
        missing: int = 0,
        wrapped: bool = False,
    ) -> int:
        now = self._clock()
        first, last = serials or (None, None)
        row = WandImport(
            digest=sha256(data).hexdigest(), kind=kind, wand=wand, rows=rows, added=added, bad=bad,
            first_serial=first, last_serial=last, missing=missing, wrapped=wrapped,
            made_ms=now, made_by=by.principal.account,
        )  # fmt: skip
        session.add(row)
        session.flush()
        assert row.number is not None
        detail: Mapping[str, object] = {"kind": kind, "rows": rows, "added": added, "missing": missing}
        record(
            session, at_ms=now, by=by.principal.account, action=by.action, about=f"wand_import:{row.number}",
            detail=detail,
        )  # fmt: skip
        return row.number

    def _all(self, by: Authority) -> None:
        if not by.reach.covers(self._register.subject_of_area(self._register.station)):
            raise NotThere("nothing of this station is yours to look after")


def gaps(serials: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Numbers missing between these, as [first, last]. Numbers that begin anew are no gap: the store was emptied."""
    found: list[tuple[int, int]] = []
    before: int | None = None
    for serial in serials:
        if before is not None and serial > before + 1:
            found.append((before + 1, serial - 1))
        before = serial
    return tuple(found)


def _odd(at_ms: int, now_ms: int) -> frozenset[Flag]:
    found = {Flag.FUTURE} if at_ms > now_ms + FUTURE_MS else set()
    return frozenset(found | ({Flag.STALE} if at_ms < now_ms - STALE_MS else set()))


def _unknown(made: Sequence[CheckIn]) -> int:
    return len({one.tag for one in made if Flag.UNKNOWN_TAG.value in one.flags})
