"""Reading and writing faults. Never commits."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import and_, func, or_
from sqlmodel import Session, col, select

from api.faults.models import FaultStep
from api.faults.rules import AREA_OUTAGE, Act, Work
from api.ingest.models import Fault, Gateway


def present(session: Session, code: str, gateway: str, about: str = "") -> Fault | None:
    """The fault of this name that is there now."""
    found = select(Fault).where(
        Fault.code == code, Fault.gateway == gateway, Fault.about == about, col(Fault.cleared_ms).is_(None)
    )
    return session.exec(found).first()


def latest(session: Session, code: str, gateway: str, about: str) -> Fault | None:
    """The last fault of this name, there or over."""
    found = select(Fault).where(Fault.code == code, Fault.gateway == gateway, Fault.about == about)
    return session.exec(found.order_by(col(Fault.number).desc()).limit(1)).first()


def present_of(session: Session, code: str, gateway: str) -> Sequence[Fault]:
    """Those of one kind of a gateway that are there, whatever each is about."""
    found = select(Fault).where(Fault.code == code, Fault.gateway == gateway, col(Fault.cleared_ms).is_(None))
    return session.exec(found).all()


def silent(session: Session, codes: Collection[str]) -> Sequence[Fault]:
    """Those of these kinds that are there, oldest first."""
    found = select(Fault).where(col(Fault.code).in_(codes), col(Fault.cleared_ms).is_(None))
    return session.exec(found.order_by(col(Fault.number))).all()


def outages(session: Session) -> Sequence[Fault]:
    """Outages that are there."""
    return session.exec(select(Fault).where(Fault.code == AREA_OUTAGE, col(Fault.cleared_ms).is_(None))).all()


def parts(session: Session, number: int) -> Sequence[Fault]:
    """What a greater fault is made of."""
    return session.exec(select(Fault).where(Fault.part_of == number).order_by(col(Fault.number))).all()


def fault(session: Session, number: int) -> Fault | None:
    """The fault of this number."""
    return session.get(Fault, number)


def page(session: Session, *, everything: bool, below: int | None, limit: int) -> Sequence[Fault]:
    """Faults, newest first: those that are there or that somebody sees to, and are no part of another; or all."""
    found = select(Fault)
    if not everything:
        here = col(Fault.cleared_ms).is_(None)
        in_hand = col(Fault.work).in_([Work.ACKNOWLEDGED.value, Work.ASSIGNED.value])
        found = found.where(or_(and_(here, col(Fault.work) != Work.DONE.value), in_hand), col(Fault.part_of).is_(None))
    if below is not None:
        found = found.where(col(Fault.number) < below)
    return session.exec(found.order_by(col(Fault.number).desc()).limit(limit)).all()


def how_many(session: Session) -> Mapping[str, int]:
    """How many are there now, by code."""
    found = select(Fault.code, func.count()).where(col(Fault.cleared_ms).is_(None)).group_by(col(Fault.code))
    return dict(session.exec(found).all())


def steps(session: Session, number: int) -> Sequence[FaultStep]:
    """What was done about a fault, in order."""
    return session.exec(select(FaultStep).where(FaultStep.fault == number).order_by(col(FaultStep.number))).all()


def step_asked(session: Session, number: int, asked: str) -> FaultStep | None:
    """The step that a request with this key made."""
    return session.exec(select(FaultStep).where(FaultStep.fault == number, FaultStep.asked == asked)).first()


def heard(session: Session) -> Sequence[tuple[str, int]]:
    """Every gateway that ever said something, and when it did last."""
    return [(id_, seen_ms) for id_, seen_ms in session.exec(select(Gateway.id, Gateway.seen_ms))]


def add(session: Session, row: Fault) -> None:
    """Insert a fault, and give it its number."""
    session.add(row)
    session.flush()


def add_step(
    session: Session,
    row: Fault,
    act: Act,
    *,
    at_ms: int,
    account: str | None = None,
    assignee: str | None = None,
    words: str = "",
    asked: str | None = None,
) -> None:
    """Write down what was done, and that the fault has changed."""
    assert row.number is not None
    session.add(
        FaultStep(
            fault=row.number, act=act.value, account=account, assignee=assignee, words=words, asked=asked, at_ms=at_ms
        )
    )
    session.flush()


def between(session: Session, gateways: Collection[str], *, from_ms: int, to_ms: int) -> Sequence[Fault]:
    """Faults of these gateways that were there at any moment of a span, oldest first."""
    found = select(Fault).where(
        col(Fault.gateway).in_(gateways),
        Fault.first_ms < to_ms,
        or_(col(Fault.cleared_ms).is_(None), col(Fault.cleared_ms) > from_ms),
    )
    return session.exec(found.order_by(col(Fault.number))).all()


def spans(session: Session, faults: Collection[Fault]) -> dict[int, list[tuple[int, int | None]]]:
    """From when until when each of these was there (None: it still is): one that comes back was away in between."""
    found: dict[int, list[tuple[int, int | None]]] = {row.number or 0: [] for row in faults}
    things = [act.value for act in (Act.BEGAN, Act.CAME_BACK, Act.RESTORED)]
    rows = select(FaultStep).where(col(FaultStep.fault).in_([*found]), col(FaultStep.act).in_(things))
    for step in session.exec(rows.order_by(col(FaultStep.number))):
        mine = found[step.fault]
        if step.act != Act.RESTORED.value:
            mine.append((step.at_ms, None))
        elif mine:
            mine[-1] = mine[-1][0], step.at_ms
    for row in faults:
        found[row.number or 0] = found[row.number or 0] or [(row.first_ms, row.cleared_ms)]
    return found


def began_after(session: Session, number: int, limit: int) -> list[tuple[int, Fault, int]]:
    """Faults that began or came back, as steps of higher numbers than this say: step, fault, and when."""
    began = [Act.BEGAN.value, Act.CAME_BACK.value]
    rows = (
        select(FaultStep, Fault)
        .join(Fault, col(Fault.number) == col(FaultStep.fault))
        .where(col(FaultStep.number) > number, col(FaultStep.act).in_(began))
        .order_by(col(FaultStep.number))
        .limit(limit)
    )
    return [(step.number or 0, fault, step.at_ms) for step, fault in session.exec(rows)]
