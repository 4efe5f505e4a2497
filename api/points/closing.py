"""Closing a month: nothing in it can change any more, and its digest goes into the next one's."""

from collections import Counter

from sqlmodel import Session

from api.audit.service import record
from api.points import repository
from api.points.models import PointsMonth
from api.points.problems import MonthClosed, NotOver
from api.points.service import Points
from api.points.states import BEGINNING, EntryState, month_digest
from api.problems import MayNot
from api.rights.rules import Authority, Subject


class Closing:
    """The months of one station."""

    def __init__(self, points: Points) -> None:
        self._points = points

    def closed(self, session: Session) -> list[PointsMonth]:
        """Closed months, the first one first."""
        return repository.closed(session, self._points.station)

    def close(self, session: Session, by: Authority, month: str) -> PointsMonth:
        """Close a month of which nothing is pending or under appeal. Raises NotOver, MonthClosed or MayNot."""
        station, now = self._points.station, self._points.clock()
        if not by.reach.covers(Subject(areas=frozenset((station,)))):
            raise MayNot(by.action)
        done = repository.closed(session, station)
        if done and month <= done[-1].month:
            raise MonthClosed(month)
        if repository.month_span(month, self._points.zone)[1] > now:
            raise NotOver(f"{month} is not over")
        first = repository.first_open(session, station)
        if first is not None and first < month:
            raise NotOver(f"{first} comes first")
        rows = repository.of_month(session, station, month)
        counted = Counter(self._points.states(session, rows).values())
        pending, appealed = counted[EntryState.PENDING], counted[EntryState.APPEALED]
        if pending or appealed:
            raise NotOver(
                f"{pending} entries can still be appealed, {appealed} appeals are open",
                pending=pending,
                appealed=appealed,
            )
        previous = done[-1].digest if done else BEGINNING
        row = PointsMonth(
            station=station,
            month=month,
            entries=len(rows),
            points_tenths=sum(one.points_tenths for one in rows),
            previous=previous,
            digest=month_digest(previous, month, (repository.line(one) for one in rows)),
            closed_ms=now,
            closed_by=by.principal.account,
        )
        repository.add(session, row)
        record(
            session,
            at_ms=now,
            by=by.principal.account,
            action=by.action,
            about=f"points_month:{month}",
            detail={"digest": row.digest},
        )
        return row
