"""Reading what reports are made of. Writes nothing."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlmodel import Session

from api.accounts.models import AccountGrant
from api.alarms import views
from api.alarms.models import Alarm
from api.complaints.models import Complaint
from api.database import table_of
from api.ingest.models import Fault
from api.progress import Tell, told, untold
from api.register.models import AreaParent, Tree
from api.reports.rules import MATTER_WITHIN_MS, Case, Share, Span, Work, on_time
from api.rights.rules import Role
from api.tasks.models import Admitted, Matter, Task
from broker.policy import Audience

_ALARM = table_of(Alarm)
_PARENT = table_of(AreaParent)
_FAULT = table_of(Fault)
_TASK = table_of(Task)
_ADMITTED = table_of(Admitted)
_COMPLAINT = table_of(Complaint)
_GRANT = table_of(AccountGrant)
_MATTER = table_of(Matter)
_COLUMNS = (
    "id", "kind", "mark", "place", "group", "happened_ms", "received_ms", "acknowledged_ms", "on_scene_ms",
    "resolved_ms", "outcome", "due_ms", "followed_up_ms", "satisfaction",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Edge:
    """An area lay in another one of the same tree, from when until before when."""

    parent: str
    from_ms: int
    to_ms: int | None


class Trees:
    """What lay in what, at any time: areas are re-drawn, and an alarm stays where it was.

    The same rule as in `api.register.snapshot`: the nearest area of the government's chain that has a police parent
    says where a group lies for the police.
    """

    def __init__(self, edges: Iterable[tuple[Tree, str, Edge]], *, root: str) -> None:
        """`root`: the station's own area, in which everything lies."""
        self._root = root
        self._edges: dict[tuple[Tree, str], list[Edge]] = defaultdict(list)
        for tree, area, edge in edges:
            self._edges[tree, area].append(edge)

    def around(self, area: str | None, at_ms: int) -> frozenset[str]:
        """Every area in which this one lay then, itself and the root included."""
        if area is None:
            return frozenset((self._root,))
        chain = self._chain(Tree.GOVERNMENT, area, at_ms)
        police = next((found for one in chain if len(found := self._chain(Tree.POLICE, one, at_ms)) > 1), [])
        return frozenset((self._root, *chain, *police[1:]))

    def _chain(self, tree: Tree, area: str, at_ms: int) -> list[str]:
        """An area and what it lay in on one tree, from near to far."""
        chain = [area]
        while (above := self._parent(tree, chain[-1], at_ms)) is not None and above not in chain:
            chain.append(above)
        return chain

    def _parent(self, tree: Tree, area: str, at_ms: int) -> str | None:
        for edge in self._edges.get((tree, area), ()):
            if edge.from_ms <= at_ms and (edge.to_ms is None or at_ms < edge.to_ms):
                return edge.parent
        return None


def trees(session: Session, station: str) -> Trees:
    """Both trees with their history."""
    columns = (_PARENT.c.tree, _PARENT.c.area, _PARENT.c.parent, _PARENT.c.from_ms, _PARENT.c.to_ms)
    rows = session.connection().execute(select(*columns).where(_PARENT.c.station == station))
    return Trees(
        ((Tree(tree), area, Edge(parent, from_ms, to_ms)) for tree, area, parent, from_ms, to_ms in rows), root=station
    )


def cases(
    session: Session, span: Span, eyes: Audience | None, *, lay: Trees, tell: Tell = untold
) -> list[Case]:  # fmt: skip
    """The alarms that came in a time and that these eyes may know of, by the alarm table."""
    theirs = and_(_ALARM.c.received_ms >= span.from_ms, _ALARM.c.received_ms < span.to_ms), views.visible(eyes)
    found = select(*(_ALARM.c[name] for name in _COLUMNS), _ALARM.c.resolved_by).where(*theirs).order_by(_ALARM.c.id)
    many = session.connection().execute(select(func.count()).select_from(_ALARM).where(*theirs)).scalar_one()
    return [
        Case(
            **{name: row[name] for name in _COLUMNS},
            handler=row["resolved_by"],
            areas=lay.around(row["group"], row["happened_ms"]),
        )
        for row in told(session.connection().execute(found).mappings(), tell, "reading", of=many)
    ]


def faulty(session: Session, gateways: Collection[str]) -> set[str]:
    """What open faults of these gateways are about."""
    found = select(_FAULT.c.about).where(_FAULT.c.gateway.in_(gateways), _FAULT.c.cleared_ms.is_(None)).distinct()
    return {str(about).partition(":")[0] for about in session.connection().execute(found).scalars()}


def complaints(session: Session, span: Span, areas: Collection[str]) -> list[dict[str, Any]]:
    """The complaints of a time and some areas: what they were about, how they came, when they were answered."""
    names = ("about", "way", "made_ms", "due_ms", "answered_ms", "finding")
    found = select(*(_COMPLAINT.c[name] for name in names)).where(
        _COMPLAINT.c.area.in_(areas), _COMPLAINT.c.made_ms >= span.from_ms, _COMPLAINT.c.made_ms < span.to_ms
    )
    return [dict(row) for row in session.connection().execute(found).mappings()]


def workers(session: Session, span: Span, areas: Collection[str]) -> list[str]:
    """The accounts that were grid workers of these areas at any moment of a time."""
    one = _GRANT
    found = select(one.c.account).where(
        one.c.role == Role.GRID_WORKER.value,
        one.c.scope.in_(areas),
        one.c.from_ms < span.to_ms,
        or_(one.c.to_ms.is_(None), one.c.to_ms > span.from_ms),
    )
    return [*session.connection().execute(found.distinct().order_by(one.c.account)).scalars()]


def work(session: Session, span: Span, worker: str, *, areas: Collection[str] | None, now_ms: int) -> Work:
    """What one grid worker was given to do in a time; `areas`: only what lay there (None: wherever)."""
    connection = session.connection()
    here = [] if areas is None else sorted(areas)
    tasks = select(_TASK.c.due_ms, _TASK.c.done_ms).where(
        _TASK.c.worker == worker, _TASK.c.assigned_ms >= span.from_ms, _TASK.c.assigned_ms < span.to_ms,
        *(() if areas is None else (_TASK.c.area.in_(here),)),
    )  # fmt: skip
    laid = [(row.done_ms, row.due_ms) for row in connection.execute(tasks)]
    took = select(_MATTER.c.acknowledged_ms, _MATTER.c.resolved_ms, _MATTER.c.satisfaction).where(
        _MATTER.c.owner == worker, _MATTER.c.acknowledged_ms >= span.from_ms, _MATTER.c.acknowledged_ms < span.to_ms,
        *(() if areas is None else (_MATTER.c.group.in_(here),)),
    )  # fmt: skip
    matters = [*connection.execute(took)]
    said = [row.satisfaction for row in matters if row.satisfaction is not None]
    return Work(
        tasks_on_time=on_time(laid, now_ms=now_ms),
        matters=len(matters),
        matters_on_time=on_time(
            ((row.resolved_ms, row.acknowledged_ms + MATTER_WITHIN_MS) for row in matters), now_ms=now_ms
        ),
        satisfied=Share(sum(value >= 4 for value in said), len(said)),
    )


def department_tasks(
    session: Session, span: Span, areas: Collection[str], *, now_ms: int
) -> Sequence[tuple[str, Share]]:
    """By department: tasks that were assigned in a time and are due or done, and how many of them were done on time."""
    good = and_(_TASK.c.done_ms.is_not(None), _TASK.c.done_ms <= _TASK.c.due_ms)
    rows = session.connection().execute(
        select(_ADMITTED.c.department, good.label("on_time"), func.count())
        .join(_ADMITTED, _ADMITTED.c.id == _TASK.c.admitted)
        .where(
            _TASK.c.area.in_(areas),
            _TASK.c.assigned_ms >= span.from_ms,
            _TASK.c.assigned_ms < span.to_ms,
            _TASK.c.done_ms.is_not(None) | (_TASK.c.due_ms <= now_ms),
        )
        .group_by(_ADMITTED.c.department, good)
    )
    found: dict[str, Share] = {}
    for department, was_good, many in rows:
        before = found.get(department, Share(0, 0))
        found[department] = Share(before.part + (many if was_good else 0), before.whole + many)
    return sorted(found.items())
