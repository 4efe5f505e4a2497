"""Boards: hung by the community, read by everybody."""

import json

from sqlalchemy import Table, select
from sqlmodel import Session, SQLModel

from api.audit.service import record
from api.board import models, rules
from api.board.models import Board
from api.board.schemas import BoardAnswer, BoardAsked, BoardListAnswer, EntryAsked
from api.clock import Clock, iso
from api.etags import expect
from api.problems import NotThere
from api.register.models import Meaning
from api.register.problems import Impossible
from api.register.rules import Fault
from api.register.service import Register
from api.rights.rules import Authority

assert models is not None  # it fills the metadata


class Boards:
    """The verbs of boards."""

    def __init__(self, register: Register, *, clock: Clock) -> None:
        self._register = register
        self._clock = clock
        self._table: Table = SQLModel.metadata.tables["board"]

    def listed(self, session: Session) -> list[BoardListAnswer]:
        """The grids that have a board, by id."""
        one = self._table
        found = select(one.c.grid).where(one.c.station == self._register.station, one.c.to_ms.is_(None))
        grids = session.connection().execute(found.order_by(one.c.grid)).scalars()
        return [BoardListAnswer(grid=grid, name=self._name(grid)) for grid in grids if self._is_grid(grid)]

    def board(self, session: Session, grid: str) -> BoardAnswer:
        """The board of a grid as it hangs now. Raises NotThere."""
        row = self._row(session, grid)
        if row is None or not self._is_grid(grid):
            raise NotThere(f"no board of {grid[:32]!r} here")
        register = self._register
        community = register.now.nearest(grid, Meaning.COMMUNITY)
        return BoardAnswer(
            grid=grid,
            name=self._name(grid),
            community="" if community is None else self._name(community),
            station=self._name(register.station),
            supervision_phone=row.supervision_phone,
            note=row.note,
            entries=[EntryAsked.model_validate(entry) for entry in json.loads(row.entries)],
            parts=[self._name(part) for part in self._parts(grid)],
            since=iso(row.from_ms),
            version=row.version,
        )

    def map(self, grid: str) -> list[rules.Shape]:
        """The outlines of a grid and of what is nested in it, as far as they are known."""
        areas = [area for one in (grid, *self._parts(grid)) if (area := self._register.area(one)) is not None]
        if not areas or areas[0].outline is None:
            return []
        return rules.shapes([(area.name or area.id, area.outline) for area in areas if area.outline is not None])

    def hang(self, session: Session, by: Authority, grid: str, asked: BoardAsked, *, if_match: str | None) -> None:
        """Hang a board, in place of the one before it. Raises NotThere, StaleVersion or Impossible."""
        if not self._is_grid(grid) or not by.reach.covers(self._register.subject_of_area(grid)):
            raise NotThere(f"no grid {grid!r} here")
        row = self._row(session, grid)
        now_ms = self._clock()
        if row is not None:
            if if_match is None:
                raise Impossible([Fault("taken", grid)])
            expect(if_match, row.version)
            row.to_ms = now_ms
            session.flush()
        session.add(
            Board(
                station=self._register.station,
                grid=grid,
                supervision_phone=asked.supervision_phone,
                note=asked.note,
                entries=json.dumps([entry.model_dump() for entry in asked.entries], ensure_ascii=False),
                version=1 if row is None else row.version + 1,
                by=by.principal.account,
                from_ms=now_ms,
            )
        )
        session.flush()
        record(session, at_ms=now_ms, by=by.principal.account, action=by.action, about=f"board:{grid}")

    def _row(self, session: Session, grid: str) -> Board | None:
        one = self._table
        found = select(one.c.number).where(
            one.c.station == self._register.station, one.c.grid == grid, one.c.to_ms.is_(None)
        )
        number = session.connection().execute(found).scalar_one_or_none()
        return None if number is None else session.get(Board, number)

    def _is_grid(self, area: str) -> bool:
        found = self._register.area(area)
        return found is not None and found.meaning is Meaning.GRID

    def _parts(self, grid: str) -> list[str]:
        return sorted(one for one in self._register.now.children.get(grid, ()) if self._is_grid(one))

    def _name(self, area: str) -> str:
        found = self._register.area(area)
        return area if found is None or not found.name else found.name
