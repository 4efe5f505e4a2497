"""What somebody who goes on patrol sees of it himself: his rounds of today, the next point, where he was last."""

from collections.abc import Callable, Sequence
from typing import Final

from sqlmodel import Session

from api.checkins import service as checkins
from api.checkins.rules import CheckIn
from api.checkins.uploading import NoGuard
from api.guards import service as guards
from api.patrols import repository
from api.patrols.judging import listed
from api.patrols.models import PatrolRound, PatrolVisit
from api.patrols.schemas import OwnGroup, OwnPoint, OwnRound, OwnRounds, OwnVisit, last_seen, own_round, own_visit
from api.register.service import Register
from api.rights.rules import Authority

HOUR_MS: Final = 3_600_000
BEFORE_MS: Final = 12 * HOUR_MS
AHEAD_MS: Final = 18 * HOUR_MS
GROUPS_MOST: Final = 100


def own_rounds(session: Session, register: Register, by: Authority, *, now_ms: int) -> OwnRounds:
    """Of whoever signs in with this account. Raises NoGuard."""
    guard = guards.guard_of_account(session, by.principal.account)
    person = None if guard is None else guards.guard(session, guard)
    if guard is None or person is None:
        raise NoGuard
    from_ms, to_ms = now_ms - BEFORE_MS, now_ms + AHEAD_MS
    serves = guards.servings_of(session, guard, from_ms, to_ms)
    areas = frozenset[str]().union(*({one.area} | register.within(one.area) for one in serves))
    rows = repository.rounds_in(session, register.station, areas, from_ms, to_ms) if areas else []
    whose = listed(session, register, rows) if rows else {}
    mine = [row for row in rows if guard in whose[row.number or 0]]
    visits = repository.visits(session, [row.number or 0 for row in mine])
    people = sorted({one for row in mine for one in whose[row.number or 0]} | {guard})
    read = checkins.of_guards(session, people, from_ms, now_ms + HOUR_MS)
    ids = {one.point for some in visits.values() for one in some} | {one.point for one in read if one.point}
    points = repository.checkpoints_named(session, ids)
    routes = {row.id: row.name for row in repository.routes(session, {row.area for row in mine}, ended=True)}
    shown = {
        id_: OwnPoint(id=id_, name=row.name, group=_group(register, row.place, row.area)) for id_, row in points.items()
    }

    def named(id_: str) -> OwnPoint:
        return shown.get(id_, OwnPoint(id=id_, name=id_, group=None))

    def shown_round(row: PatrolRound) -> OwnRound:
        number = row.number or 0
        walked = [one for one in read if one.guard in whose[number]]
        return own_round(row, routes.get(row.route, row.route), _visits(visits[number], walked, named))

    last = next((one for one in reversed(read) if one.guard == guard and one.point), None)
    around = sorted(frozenset[str]().union(*(register.groups_in(one.area) for one in serves)))[:GROUPS_MOST]
    return OwnRounds(
        guard=guard,
        service_number=person.service_number,
        name=person.name,
        rounds=tuple(shown_round(row) for row in mine),
        last=None if last is None or last.point is None else last_seen(named(last.point), last.at_ms),
        groups=tuple(
            OwnGroup(id=one, name=found.name or one) for one in around if (found := register.group(one)) is not None
        ),
    )


def _group(register: Register, place: str | None, area: str) -> str | None:
    """In which group a checkpoint hangs, where that is known."""
    found = register.groups_of_places.get(place or "", area)
    return found if register.group(found) is not None else None


def _visits(
    rows: Sequence[PatrolVisit], read: Sequence[CheckIn], named: Callable[[str], OwnPoint]
) -> tuple[OwnVisit, ...]:
    """Each with the first check-in of somebody of this round that may count for it, judged or not."""
    used: set[str] = set()
    found = []
    for row in rows:
        there = next(
            (
                one
                for one in read
                if one.point == row.point and row.opens_ms <= one.at_ms <= row.closes_ms and one.id not in used
            ),
            None,
        )
        if there is not None:
            used.add(there.id)
        found.append(own_visit(row, named(row.point), None if there is None else there.at_ms))
    return tuple(found)
