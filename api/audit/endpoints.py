"""The audit chain over HTTP: for those with the police's eyes, who may know of every alarm.

Auditors see of the chain what says nothing about alarms, and neither numbers nor heads: a number that is missing
between two others would tell that there is an alarm which they are not shown.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query
from sqlmodel import Session

from api.access import may, whole_station
from api.accounts.naming import names, serving_ever
from api.audit import repository, schemas, service
from api.audit.rules import Entry, Words
from api.pages import PAGE, Cursor, Limit, below, cursor
from api.problems import answers
from api.rights.rules import Authority, Role
from api.station import CurrentStation

router: Final = APIRouter(
    prefix="/api/v1/audit",
    tags=["audit"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)


About = Annotated[str | None, Query(max_length=80, description="Such as `place:h01` or `account:li`")]


@router.get("", summary="Who did what, newest first (审计)")
def list_entries(
    station: CurrentStation,
    by: Annotated[Authority, may("audit.read")],
    about: About = None,
    account: Annotated[str | None, Query(max_length=32)] = None,
    action: Annotated[str | None, Query(max_length=64)] = None,
    *,
    limit: Limit = PAGE,
    after: Cursor = None,
) -> schemas.EntryPage:
    """The whole chain of this station: for whoever is granted the whole station."""
    whole_station(station, by)
    with station.database.read() as session:
        rows = repository.page(
            session, below=below(after), about=about, account=account, action=action, limit=limit + 1
        )
        items = _answers(session, rows[:limit])
    more = len(rows) > limit
    return schemas.EntryPage(items=items, next=cursor(rows[limit - 1][0].seq) if more else None)


@router.get("/accounts", summary="What was done about accounts, rights and people, newest first")
def list_entries_about_accounts(
    station: CurrentStation,
    by: Annotated[Authority, may("audit.accounts")],
    before: Annotated[int | None, Query(ge=0, le=(1 << 53), description="Unix ms; `at` of the last one shown")] = None,
    limit: Limit = PAGE,
) -> list[schemas.EntryAnswer]:
    """Sessions, accounts, rights, tokens, desks, joining, privacy: nothing that has to do with an alarm."""
    whole_station(station, by)
    with station.database.read() as session:
        rows = repository.of_actions(session, schemas.WITHOUT_ALARMS, before_ms=before, limit=limit)
        return _answers(session, rows, homes=any(held.role is not Role.AUDITOR for held in by.reach.held))


def _answers(
    session: Session, rows: Sequence[tuple[Entry, Words | None]], *, homes: bool = True
) -> list[schemas.EntryAnswer]:
    """Entries with who acted by name. `homes`: of households as well; an auditor looks at those who serve (G7)."""
    called = names(session, {entry.account for entry, _ in rows if entry.account is not None})
    if not homes:
        serve = serving_ever(session, [*called])
        called = {account: name for account, name in called.items() if account in serve}
    return [schemas.entry_answer(entry, words, called) for entry, words in rows]


@router.get("/head", summary="Where the chain ends")
def get_head(station: CurrentStation, by: Annotated[Authority, may("audit.read")]) -> schemas.HeadAnswer:
    """Write it down elsewhere: from then on nobody can change what is before it unnoticed."""
    whole_station(station, by)
    with station.database.read() as session:
        return schemas.head_answer(service.head(session))


@router.get("/witnesses", summary="What the gateways were told of the chain, and whether it holds that")
def list_witnesses(station: CurrentStation, by: Annotated[Authority, may("audit.read")]) -> list[schemas.WitnessAnswer]:
    """Each gateway keeps the newest head that it was told and tells it back: nobody can change both unnoticed."""
    whole_station(station, by)
    with station.database.read() as session:
        return [schemas.witness_answer(row) for row in repository.witnesses(session)]


@router.post(
    "/witnesses/explain",
    summary="Answer for a chain that does not hold what gateways were told",
    responses=answers(HTTPStatus.CONFLICT),
    status_code=HTTPStatus.NO_CONTENT,
)
def explain_witnesses(
    station: CurrentStation, by: Annotated[Authority, may("audit.explain")], explanation: schemas.Explanation
) -> None:
    """After a copy was restored, say. It is an entry of the chain that names the heads; then the fault is over."""
    whole_station(station, by)
    with station.database.write() as session:
        station.witnesses.explain(session, by, {*explanation.gateways}, reason=explanation.reason)
