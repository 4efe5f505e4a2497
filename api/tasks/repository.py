"""Reading and writing matters, the admitted list and tasks. Never commits."""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, or_, update
from sqlmodel import Session, SQLModel, col, select

from api.accounts.models import Account, AccountGrant
from api.accounts.rules import State as AccountState
from api.alarms.rules import Action, State
from api.rights.rules import Role
from api.tasks.models import Admitted, Matter, MatterStep, Task
from api.tasks.rules import TaskState

_MATTER = SQLModel.metadata.tables["matter"]
_TASK = SQLModel.metadata.tables["task"]


def add_matter(session: Session, matter: Matter) -> Matter:
    """Insert one; the database numbers it."""
    session.add(matter)
    session.flush()
    return matter


def open_matter_like(session: Session, like: Matter, *, since_ms: int) -> Matter | None:
    """One that the same account reported in the same words since then, and that nobody has closed yet."""
    found = select(Matter).where(
        Matter.by == like.by,
        Matter.kind == like.kind,
        Matter.group == like.group,
        col(Matter.place).is_not_distinct_from(like.place),
        Matter.words == like.words,
        Matter.reported_ms >= since_ms,
        col(Matter.resolved_ms).is_(None),
    )
    return session.exec(found.order_by(col(Matter.number)).limit(1)).first()


def matter(session: Session, number: int) -> Matter | None:
    """The one of this number."""
    return session.get(Matter, number)


def move_matter(session: Session, row: Matter, values: dict[str, object]) -> bool:
    """Compare and set: write `values` unless somebody else was faster; the row is read anew."""
    done = session.connection().execute(
        update(_MATTER)
        .where(_MATTER.c.number == row.number, _MATTER.c.version == row.version)
        .values(**values, version=row.version + 1)
    )
    session.refresh(row)
    return done.rowcount == 1


def add_step(session: Session, step: MatterStep) -> None:
    """Insert what was done."""
    session.add(step)
    session.flush()


def steps(session: Session, number: int) -> list[MatterStep]:
    """What was done about a matter, in order."""
    found = select(MatterStep).where(MatterStep.matter == number).order_by(col(MatterStep.number))
    return [*session.exec(found)]


def handlers(session: Session, number: int) -> frozenset[str]:
    """Everybody who had a hand in a matter, beyond reporting it."""
    reported = Action.RECEIVE.value
    found = select(MatterStep.by).where(MatterStep.matter == number, MatterStep.action != reported).distinct()
    return frozenset(session.exec(found))


def matters(
    session: Session,
    *,
    groups: Collection[str],
    account: str | None,
    state: State | None,
    below: int | None,
    limit: int,
) -> Sequence[Matter]:
    """Matters in these groups or reported by this account, newest first."""
    near: list[ColumnElement[bool]] = [_MATTER.c.group.in_(groups)]
    if account is not None:
        near.append(_MATTER.c.by == account)
    found = select(Matter).where(or_(*near))
    if state is not None:
        found = found.where(Matter.state == state.value)
    if below is not None:
        found = found.where(col(Matter.number) < below)
    return session.exec(found.order_by(col(Matter.number).desc()).limit(limit)).all()


def admitted(session: Session, id: str) -> Admitted | None:  # noqa: A002 - an id is what it is
    """The entry of this id, in force or not."""
    return session.get(Admitted, id)


def admitted_at(session: Session, now_ms: int) -> Sequence[Admitted]:
    """The list as it is in force."""
    found = select(Admitted).where(
        Admitted.from_ms <= now_ms, or_(col(Admitted.to_ms).is_(None), col(Admitted.to_ms) > now_ms)
    )
    return session.exec(found.order_by(col(Admitted.id))).all()


def add(session: Session, row: Admitted | Task) -> None:
    """Insert a row."""
    session.add(row)
    session.flush()


def looks_after(session: Session, worker: str, areas: Collection[str], *, now_ms: int) -> bool:
    """Whether this account is a grid worker of one of these areas now."""
    found = select(AccountGrant.number).where(
        AccountGrant.account == worker,
        AccountGrant.role == Role.GRID_WORKER.value,
        col(AccountGrant.scope).in_(areas),
        AccountGrant.from_ms <= now_ms,
        or_(col(AccountGrant.to_ms).is_(None), col(AccountGrant.to_ms) > now_ms),
    )
    return session.exec(found.limit(1)).first() is not None


def workers(session: Session, areas: Collection[str], *, now_ms: int) -> list[tuple[str, str]]:
    """The grid workers of these areas now, each with his name, by name."""
    found = (
        select(Account.id, Account.name)
        .join(AccountGrant, col(AccountGrant.account) == col(Account.id))
        .where(
            Account.state == AccountState.ACTIVE.value,
            AccountGrant.role == Role.GRID_WORKER.value,
            col(AccountGrant.scope).in_(areas),
            AccountGrant.from_ms <= now_ms,
            or_(col(AccountGrant.to_ms).is_(None), col(AccountGrant.to_ms) > now_ms),
        )
    )
    return sorted({(account, name) for account, name in session.exec(found)}, key=lambda one: (one[1], one[0]))


def names(session: Session, accounts: Collection[str]) -> dict[str, str]:
    """What people are called, by account."""
    return dict(session.exec(select(Account.id, Account.name).where(col(Account.id).in_([*accounts]))).all())


def task(session: Session, number: int) -> Task | None:
    """The one of this number."""
    return session.get(Task, number)


def move_task(session: Session, row: Task, values: dict[str, object]) -> bool:
    """Compare and set, as for a matter."""
    done = session.connection().execute(
        update(_TASK)
        .where(_TASK.c.number == row.number, _TASK.c.version == row.version)
        .values(**values, version=row.version + 1)
    )
    session.refresh(row)
    return done.rowcount == 1


def tasks(
    session: Session,
    *,
    areas: Collection[str],
    worker: str | None,
    state: TaskState | None,
    matter: int | None,
    below: int | None,
    limit: int,
) -> Sequence[Task]:
    """Tasks in these areas or of this worker, newest first."""
    near: list[ColumnElement[bool]] = [_TASK.c.area.in_(areas)]
    if worker is not None:
        near.append(_TASK.c.worker == worker)
    found = select(Task).where(or_(*near))
    if state is not None:
        found = found.where(Task.state == state.value)
    if matter is not None:
        found = found.where(Task.matter == matter)
    if below is not None:
        found = found.where(col(Task.number) < below)
    return session.exec(found.order_by(col(Task.number).desc()).limit(limit)).all()
