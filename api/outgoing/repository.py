"""Reading and writing what is owed. Never commits."""

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import func, or_, update
from sqlmodel import Session, col, select

from api.ingest.models import Gateway
from api.outgoing.models import Outgoing


def add(session: Session, rows: Iterable[Outgoing]) -> None:
    """Insert rows now, in the order in which they will be sent."""
    session.add_all(rows)
    session.flush()


def waiting(session: Session, *, limit: int, held: Collection[str] = ()) -> Sequence[Outgoing]:
    """What can be sent now, oldest first: not to topics that are `held`, and commands only to gateways that listen."""
    listening = select(Gateway.id).where(col(Gateway.online).is_(True), col(Gateway.session).is_not(None))
    found = select(Outgoing).where(
        Outgoing.state == "waiting",
        col(Outgoing.topic).not_in(held),
        or_(col(Outgoing.command_to).is_(None), col(Outgoing.command_to).in_(listening)),
    )
    return session.exec(found.order_by(col(Outgoing.number)).limit(limit)).all()


def alarms_commanded(session: Session, gateway: str) -> Sequence[str | None]:
    """The alarms of which a command to this gateway waits."""
    found = select(Outgoing.alarm).where(Outgoing.state == "waiting", Outgoing.command_to == gateway)
    return session.exec(found).all()


def how_many_waiting(session: Session) -> int:
    """How many messages have not been sent."""
    return session.exec(select(func.count()).select_from(Outgoing).where(Outgoing.state == "waiting")).one()


def mark_sent(session: Session, number: int, *, listened: bool, sent_ms: int) -> None:
    """The broker has it."""
    session.connection().execute(
        update(Outgoing)
        .where(col(Outgoing.number) == number)
        .values(state="sent", listened=listened, sent_ms=sent_ms, tries=col(Outgoing.tries) + 1, trouble=None)
    )


def mark_failed(session: Session, number: int, *, trouble: str) -> None:
    """The broker has not taken it; it stays owed."""
    session.connection().execute(
        update(Outgoing)
        .where(col(Outgoing.number) == number)
        .values(tries=col(Outgoing.tries) + 1, trouble=trouble[:128])
    )


def next_counters(session: Session, gateway: str, how_many: int) -> tuple[str, int] | None:
    """The gateway's session and the first of `how_many` counters, used up from now on; None without a session."""
    row = session.get(Gateway, gateway)
    if row is None or row.session is None:
        return None
    first = row.command_counter + 1
    row.command_counter += how_many
    session.flush()
    return row.session, first
