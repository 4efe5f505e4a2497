"""Alarms to look at: pages whose gaps tell nothing, and one alarm with all that belongs to it and may be read."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlmodel import Session

from api.alarms import repository
from api.alarms.rules import COARSE, OPEN, State
from api.alarms.sight import Seen, look, ties, within
from api.problems import BadCursor
from api.register.service import Register
from api.rights.rules import Authority

CHUNK = 100


@dataclass(frozen=True, slots=True)
class Page:
    """Some alarms, newest first; `more`: there are others after them."""

    seen: list[Seen]
    more: bool


def page(
    session: Session,
    by: Authority,
    register: Register,
    *,
    after: str | None,
    states: Collection[State],
    limit: int,
    place: str | None = None,
    ids: Collection[str] | None = None,
) -> Page:
    """Alarms that this account may see, in one of these states as it may read them, of `place` where one is given.

    With `ids` no others than these. `after` is the id of the last one of the page before: a cursor that counts
    nothing. Raises BadCursor.
    """
    where = within(by, register)
    below = None
    if after is not None:
        last = repository.find(session, after)
        if last is None or last.number is None or look(by, last, register, ties(session, [last.id])) is None:
            raise BadCursor
        below = last.number
    stored = {state for state in State if state in states or COARSE[state] in states}
    found: list[Seen] = []
    many = limit + 1  # `within` lets little through that `look` does not
    while len(found) <= limit:
        chunk = repository.page(session, where=where, below=below, states=stored, limit=many, place=place, ids=ids)
        tied = ties(session, [alarm.id for alarm in chunk])
        for alarm in chunk:
            seen = look(by, alarm, register, tied)
            if seen is not None and seen.shown.state in states and place in {None, seen.shown.place}:
                found.append(seen)
        if len(chunk) < many:
            break
        below = chunk[-1].number
        many = max(CHUNK, many)
    return Page(found[:limit], len(found) > limit)


def states_of(state: State | None, *, only_open: bool) -> frozenset[State]:
    """The states that a reader asks for."""
    return frozenset(one for one in State if (state is None or one is state) and (not only_open or one in OPEN))
