"""Points over HTTP: the ledger, appeals, flags, merits, rules and months."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Response

from api.access import Authority, may
from api.etags import IfMatch, etag
from api.pages import PAGE, Cursor, Limit, below, cursor
from api.points.rules import read
from api.points.schemas import (
    MONTH,
    AppealAsked,
    BalanceAnswer,
    Decision,
    EntriesAnswer,
    EntryPage,
    ExplanationAnswer,
    FlagAnswer,
    FlagPage,
    MonthAnswer,
    MonthList,
    NewMerit,
    NewRules,
    RulesAnswer,
    SimulationAnswer,
    SimulationAsked,
    balance_answer,
    entry_answer,
    explanation_answer,
    flag_answer,
    month_answer,
    rules_answer,
    simulation_answer,
)
from api.problems import answers
from api.station import CurrentStation
from broker.ids import EVENT_ID

router: Final = APIRouter(
    prefix="/api/v1/points",
    tags=["points"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)

Id = Annotated[str, Path(pattern=EVENT_ID)]


@router.get("/entries", summary="The points ledger (积分台账), newest first")
def list_points(  # noqa: PLR0917 - parameters of HTTP
    station: CurrentStation,
    by: Annotated[Authority, may("points.read")],
    guard: Annotated[str | None, Query(pattern=EVENT_ID)] = None,
    rule: Annotated[str | None, Query(max_length=16)] = None,
    appealed: Annotated[bool, Query(description="Only appeals that nobody has decided")] = False,  # noqa: FBT002
    limit: Limit = PAGE,
    after: Cursor = None,
) -> EntryPage:
    """A guard sees his own entries, a company those of its people of that day, the station those of its area."""
    with station.database.read() as session:
        found = station.ledger.listed(
            session, by, guard=guard, rule=rule, appealed=appealed, below=below(after), limit=limit + 1
        )
        items = tuple(entry_answer(one) for one in found[:limit])
    return EntryPage(items=items, next=cursor(items[-1].number) if len(found) > limit else None)


@router.get("/entries/{entry}", summary="One entry explained")
def explain_points(
    station: CurrentStation, by: Annotated[Authority, may("points.read")], entry: Id
) -> ExplanationAnswer:
    """The text of the rule, the evidence, and what would have changed it."""
    with station.database.read() as session:
        return explanation_answer(station.ledger.explained(session, by, entry))


@router.post("/entries/{entry}/appeal", summary="Appeal (申诉)")
def appeal_points(
    station: CurrentStation, by: Annotated[Authority, may("points.appeal")], entry: Id, asked: AppealAsked
) -> ExplanationAnswer:
    """By the guard or his company, while the entry is pending; once."""
    with station.database.write() as session:
        return explanation_answer(station.ledger.appeal(session, by, entry, asked.words))


@router.post("/entries/{entry}/decision", summary="Decide about an appeal (复核)")
def decide_points(
    station: CurrentStation, by: Annotated[Authority, may("points.decide")], entry: Id, decision: Decision
) -> ExplanationAnswer:
    """Upheld: the entry is reversed (冲正) by one of its own. Whoever made the entry does not decide."""
    with station.database.write() as session:
        found = station.ledger.decide(session, by, entry, upheld=decision.yes, words=decision.words)
        return explanation_answer(found)


@router.get("/guards/{guard}", summary="A guard's balance")
def get_balance(
    station: CurrentStation,
    by: Annotated[Authority, may("points.read")],
    guard: Annotated[str, Path(pattern=EVENT_ID)],
) -> BalanceAnswer:
    """Cumulative points (累积积分), and by month."""
    with station.database.read() as session:
        return balance_answer(station.ledger.balance(session, by, guard))


@router.get("/flags", summary="What is suspected and costs nothing yet")
def list_flags(
    station: CurrentStation,
    by: Annotated[Authority, may("points.decide")],
    limit: Limit = PAGE,
    after: Cursor = None,
) -> FlagPage:
    """Newest first. The machine never punishes: an officer confirms or dismisses."""
    with station.database.read() as session:
        found = station.ledger.flags(session, by, below=below(after), limit=limit + 1)
        items = tuple(flag_answer(row, state) for row, state in found[:limit])
    return FlagPage(items=items, next=cursor(items[-1].number) if len(found) > limit else None)


@router.post("/flags/{flag}/decision", summary="Confirm or dismiss a flag")
def decide_flag(
    station: CurrentStation, by: Annotated[Authority, may("points.decide")], flag: Id, decision: Decision
) -> FlagAnswer:
    """Confirmed, its points are booked in the officer's name, and can be appealed like all others."""
    with station.database.write() as session:
        row, state = station.ledger.judge_flag(session, by, flag, confirmed=decision.yes, words=decision.words)
        return flag_answer(row, state)


@router.post("/merits", summary="Enter a merit (加分事项)", status_code=HTTPStatus.CREATED)
def enter_merit(station: CurrentStation, by: Annotated[Authority, may("points.enter")], new: NewMerit) -> EntriesAnswer:
    """After it was verified. The same thing pays the same guard once."""
    with station.database.write() as session:
        found = station.ledger.merit(
            session,
            by,
            what=new.what,
            guard=new.guard,
            reference=new.reference,
            occurred_ms=round(new.occurred.timestamp() * 1_000),
            tenths=new.points_tenths,
        )
        return EntriesAnswer(items=tuple(entry_answer(one) for one in found))


@router.get("/rules", summary="The rules, newest version")
def get_rules(
    station: CurrentStation, _by: Annotated[Authority, may("points.rules")], response: Response
) -> RulesAnswer:
    """What is worth what, as text and as data. The ETag is the version."""
    with station.database.read() as session:
        row = station.switching.all(session)[-1]
        response.headers["ETag"] = etag(row.version)
        return rules_answer(row, read(row.text))


@router.post("/rules/simulation", summary="Try rules on the past (试算)")
def simulate_rules(
    station: CurrentStation, by: Annotated[Authority, may("points.rules.edit")], asked: SimulationAsked
) -> SimulationAnswer:
    """What the same facts would have been worth: by rule, guard and company, before and after. Changes nothing."""
    begins, ends = (round(moment.timestamp() * 1_000) for moment in (asked.begins, asked.ends))
    with station.database.write() as session:
        digest, trial = station.switching.simulate(session, by, asked.text, from_ms=begins, to_ms=ends)
    return simulation_answer(digest, trial)


@router.put("/rules", summary="Switch rules on", responses=answers(HTTPStatus.PRECONDITION_FAILED))
def switch_rules(
    station: CurrentStation,
    by: Annotated[Authority, may("points.rules.edit")],
    new: NewRules,
    if_match: IfMatch,
    response: Response,
) -> RulesAnswer:
    """From the beginning of a month that is to come. Exactly this text must have been simulated."""
    with station.database.write() as session:
        row = station.switching.switch_on(session, by, new.text, month=new.month, reason=new.reason, if_match=if_match)
        response.headers["ETag"] = etag(row.version)
        return rules_answer(row, read(row.text))


@router.get("/months", summary="Closed months")
def list_months(station: CurrentStation, _by: Annotated[Authority, may("points.months")]) -> MonthList:
    """Each with its digest, which the next one contains."""
    with station.database.read() as session:
        return MonthList(items=tuple(month_answer(row) for row in station.closing.closed(session)))


@router.post("/months/{month}/closing", summary="Close a month", status_code=HTTPStatus.CREATED)
def close_month(
    station: CurrentStation,
    by: Annotated[Authority, may("points.close")],
    month: Annotated[str, Path(pattern=MONTH)],
) -> MonthAnswer:
    """Once nothing in it is pending or under appeal. What comes later is in a later month's account."""
    with station.database.write() as session:
        return month_answer(station.closing.close(session, by, month))
