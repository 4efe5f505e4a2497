"""Readers whose lamp calls whoever is called (点名): told to the gateways, without whom. Writes what is owed, no more.

A guard is looked for at the readers of his list's route; where his list has none, of its area; where he is on no list,
of the area of the call. After each call, repetition, answer and miss, each gateway that may be touched is told all of
its readers that call now, and until when the last of them does: so the last word counts, whatever was lost before it.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from sqlmodel import Session, select

from api.guards import service as guards
from api.outgoing import service as outgoing
from api.register.service import Register
from api.rollcalls.models import RollCall, RollCalled
from api.rollcalls.rules import AGAIN_MS, CalledState
from broker.ids import EVENT_ID_RANDOM_BYTES, event_id
from broker.messages import MAX_DRILL_UNITS, Action

Reader = tuple[str, str]
"""Gateway and reader."""


class ReadersAlong(Protocol):
    """Finds the readers at the checkpoints of a route, or where there is none, of areas."""

    def __call__(self, session: Session, *, areas: Collection[str], route: str | None) -> Sequence[Reader]:
        """Look now."""


def nowhere(session: Session, *, areas: Collection[str], route: str | None) -> Sequence[Reader]:
    """No reader hangs anywhere."""
    del session, areas, route
    return ()


class Lamps:
    """Tells gateways which of their readers call somebody."""

    def __init__(self, register: Register, along: ReadersAlong, *, random_bytes: Callable[[int], bytes]) -> None:
        self._register = register
        self._along = along
        self._random_bytes = random_bytes

    def tell(self, session: Session, changed: Sequence[RollCalled], now_ms: int) -> None:
        """Owe a command to each gateway on the way of those whose call began, was repeated, or is settled."""
        waiting = session.exec(select(RollCalled).where(RollCalled.state == CalledState.WAITING.value)).all()
        ways = self._ways(session, [*waiting, *changed], now_ms)
        touched = {gateway for row in changed for gateway, _ in ways[row.call, row.guard]}
        ends: dict[str, dict[str, int]] = {gateway: {} for gateway in touched if gateway in self._register.gateways}
        for row in waiting:
            assert row.due_ms is not None
            until_ms = row.due_ms + (0 if row.second_ms is not None else AGAIN_MS)
            for gateway, reader in ways[row.call, row.guard]:
                if gateway in ends:
                    ends[gateway][reader] = max(until_ms, ends[gateway].get(reader, 0))
        for gateway, readers in sorted(ends.items()):
            outgoing.order(
                session,
                gateway,
                Action.CALL,
                station=self._register.station,
                id=event_id(now_ms, self._random_bytes(EVENT_ID_RANDOM_BYTES)),
                happened_ms=now_ms,
                units=tuple(sorted(readers)[:MAX_DRILL_UNITS]),
                lasts_ms=max(0, max(readers.values(), default=0) - now_ms),
            )

    def _ways(
        self, session: Session, rows: Sequence[RollCalled], now_ms: int
    ) -> dict[tuple[int, str], Sequence[Reader]]:
        """The readers on the way of each of these, by call and guard."""
        found: dict[tuple[int, str], Sequence[Reader]] = {}
        known: dict[tuple[str, str | None], Sequence[Reader]] = {}
        duties = {one.duty: one for one in guards.servings(session, now_ms, now_ms + 1)}
        for row in rows:
            serving = None if row.duty is None else duties.get(row.duty)
            if serving is None:
                where: tuple[str, str | None] = (session.get_one(RollCall, row.call).area, None)
            else:
                where = (serving.area, serving.route)
            if where not in known:
                known[where] = self._along(session, areas=self._register.within(where[0]), route=where[1])
            found[row.call, row.guard] = known[where]
        return found
