"""What is open at this moment, for a sheet of handing over. For the police's eyes: a sheet names every alarm."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Table, select
from sqlmodel import Session, SQLModel, col
from sqlmodel import select as select_rows

from api.alarms import repository
from api.alarms.changing import Actor, Changing
from api.alarms.rules import CLOSED, Action, for_himself
from api.alarms.views import visible
from api.duty.service import ChangeOwner
from api.duty.sheets import OpenAlarm, OpenFault, Out, Sheet
from api.ingest.models import Fault
from api.rights.rules import Role
from broker.policy import Audience

ALARM: Final[Table] = SQLModel.metadata.tables["alarm"]
DISPATCH: Final[Table] = SQLModel.metadata.tables["alarm_dispatch"]
OVER: Final = tuple(state.value for state in CLOSED)


def opened(session: Session) -> Sheet:
    """Open alarms, open faults and people out, each oldest first."""
    return Sheet(alarms=_alarms(session), faults=_faults(session), out=_out(session))


def owners(changing: Changing) -> ChangeOwner:
    """Gives alarms to whoever takes over, each with a step that says so (`api.alarms.changing`)."""

    def change(session: Session, alarms: Sequence[str], giver: str, taker: str, at_ms: int) -> None:
        by = Actor(account=taker, role=Role.DUTY_OFFICER)
        for one in alarms:
            alarm = repository.find(session, one)
            if alarm is not None and alarm.owner == giver:  # what became somebody else's meanwhile stays his
                detail = {"handover_from": giver, "handover_to": taker}
                changing.change(session, alarm, Action.NOTE, at_ms=at_ms, by=by, detail=detail, now={"owner": taker})

    return change


def _alarms(session: Session) -> tuple[OpenAlarm, ...]:
    names = ("id", "number", "kind", "state", "owner", "received_ms")
    found = select(*(ALARM.c[name] for name in (*names, "source", "place"))).where(
        ALARM.c.state.not_in(OVER), visible(Audience.POLICE)
    )
    rows = session.connection().execute(found.order_by(ALARM.c.number)).mappings()
    return tuple(
        OpenAlarm(**{name: row[name] for name in names}, himself=for_himself(row["source"], row["place"]))
        for row in rows
    )


def _faults(session: Session) -> tuple[OpenFault, ...]:
    found = select_rows(Fault).where(col(Fault.cleared_ms).is_(None)).order_by(col(Fault.number))
    return tuple(
        OpenFault(number=row.number or 0, code=row.code, about=row.about or row.gateway, first_ms=row.first_ms)
        for row in session.exec(found)
    )


def _out(session: Session) -> tuple[Out, ...]:
    found = (
        select(DISPATCH.c.account, DISPATCH.c.service, DISPATCH.c.guard, DISPATCH.c.alarm, DISPATCH.c.at_ms)
        .join(ALARM, ALARM.c.id == DISPATCH.c.alarm)
        .where(DISPATCH.c.recalled_ms.is_(None), ALARM.c.state.not_in(OVER), visible(Audience.POLICE))
        .order_by(DISPATCH.c.number)
    )
    return tuple(
        Out(who=account or service or guard, alarm=alarm, since_ms=at_ms)
        for account, service, guard, alarm, at_ms in session.connection().execute(found)
    )
