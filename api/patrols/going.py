"""Rounds that go on: what was read at their checkpoints already, before anybody has judged it."""

from collections.abc import Mapping, Sequence

from sqlmodel import Session

from api.checkins import service as checkins
from api.patrols import repository
from api.patrols.judging import listed
from api.patrols.models import PatrolRound, PatrolVisit
from api.patrols.schemas import RoundVisitsAnswer, round_with_visits
from api.register.service import Register


def going(
    session: Session, register: Register, rows: Sequence[PatrolRound], *, now_ms: int
) -> tuple[RoundVisitsAnswer, ...]:
    """Each round with its visits, and when somebody of it was first read at each."""
    if not rows:
        return ()
    visits = repository.visits(session, [row.number or 0 for row in rows])
    points = {visit.point for some in visits.values() for visit in some}
    read = checkins.at_points(session, points, min(row.opens_ms for row in rows), now_ms + 1)
    whose = listed(session, register, rows)
    names = repository.point_names(session, points)
    routes = repository.route_names(session, {row.route for row in rows})
    made = {visit.check_in for some in visits.values() for visit in some if visit.check_in is not None}
    weights = checkins.weights(session, made)
    found = []
    for row in rows:
        number = row.number or 0
        his = [one for one in read if not whose[number] or one.guard in whose[number]]
        found.append(
            round_with_visits(
                row,
                visits[number],
                _seen(visits[number], [(one.point, one.at_ms) for one in his]),
                points=names,
                routes=routes,
                weights=weights,
            )
        )
    return tuple(found)


def _seen(visits: Sequence[PatrolVisit], read: Sequence[tuple[str | None, int]]) -> Mapping[int, int]:
    """By `nth`; one reading is for one visit."""
    used: set[tuple[str | None, int]] = set()
    found: dict[int, int] = {}
    for visit in visits:
        for one in read:
            point, at_ms = one
            if point == visit.point and visit.opens_ms <= at_ms <= visit.closes_ms and one not in used:
                used.add(one)
                found[visit.nth] = at_ms
                break
    return found
