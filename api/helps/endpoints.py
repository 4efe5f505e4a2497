"""Calls for help of people on patrol over HTTP."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query

from api.access import Authority, may
from api.alarms.doing import AlarmId
from api.alarms.raised import MustKey
from api.alarms.rules import COARSE, State
from api.alarms.schemas import state_words
from api.clock import iso
from api.helps import rules
from api.helps.rules import READS, Eyes, Seen
from api.helps.schemas import CalledForHelp, HelpAnswer, HelpPage, SeenAnswer, TakenBack
from api.helps.service import Called
from api.pages import PAGE, Cursor, Limit, below, cursor
from api.problems import answers
from api.shapes import words_answer
from api.station import CurrentStation
from broker.kinds import KIND_WORDS, Kind

router: Final = APIRouter(
    prefix="/api/v1",
    tags=["help"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)

Reads = Annotated[Authority, may("help.read")]
_HIDEABLE: Final = frozenset[str]().union(*READS.values())


@router.post("/help-calls", summary="Call for help for oneself (求助)", status_code=HTTPStatus.CREATED)
def call_for_help(
    station: CurrentStation, by: Annotated[Authority, may("help.call")], what: CalledForHelp, key: MustKey
) -> HelpAnswer:
    """An alarm for the police, whose place is his last check-in. The nearest on duty are told; no siren sounds.

    Presses of one kind within ten minutes are one alarm while it is open.
    """
    last = None if what.last is None else Seen(what.last.point, round(what.last.at.timestamp() * 1_000))
    with station.database.write() as session:
        done = _answer(
            station,
            station.helps.call(
                session, by, key=key, kind=Kind(what.kind), last=last, position=what.position, words=what.words,
                phone_now_ms=None if what.now is None else round(what.now.timestamp() * 1_000),
            ),
        )  # fmt: skip
    station.sender.wake()
    station.notifier.wake()
    return done


@router.get("/help-calls", summary="Calls for help")
def list_help_calls(
    station: CurrentStation,
    by: Reads,
    *,
    open: Annotated[bool, Query(description="Only what is not closed")] = False,  # noqa: A002 - a parameter of HTTP
    limit: Limit = PAGE,
    after: Cursor = None,
) -> HelpPage:
    """Newest first, as police, his company, who was told nearby while it is open, and he himself may read it."""
    with station.database.read() as session:
        found = station.helps.listed(session, by, below=below(after), only_open=open, limit=limit + 1)
        items = tuple(_answer(station, one) for one in found[:limit])
    return HelpPage(items=items, next=cursor(found[limit - 1].row.number or 0) if len(found) > limit else None)


@router.get("/help-calls/{alarm}", summary="The call for help that an alarm is")
def get_help_call(station: CurrentStation, by: Reads, alarm: AlarmId) -> HelpAnswer:
    """Where he was last, and how long ago that is now."""
    with station.database.read() as session:
        return _answer(station, station.helps.one(session, by, alarm))


@router.post("/help-calls/{alarm}/cancel", summary="Take one's own call for help back (本人撤销)")
def cancel_help_call(
    station: CurrentStation, by: Annotated[Authority, may("help.call")], alarm: AlarmId, what: TakenBack
) -> HelpAnswer:
    """As a household's: it closes nothing, and stays open until somebody has verified it. Twice is once."""
    with station.database.write() as session:
        known_ms = round(what.called.timestamp() * 1_000)
        done = _answer(station, station.helps.cancel(session, by, alarm, known_ms=known_ms))
    station.sender.wake()
    return done


def _answer(station: CurrentStation, one: Called) -> HelpAnswer:
    state = State(one.alarm.state) if one.eyes is Eyes.POLICE else COARSE[State(one.alarm.state)]
    row, person = one.row, one.person
    seen = None
    if row.point is not None and row.seen_ms is not None:
        minutes = rules.minutes_ago(row.seen_ms, station.clock())
        seen = SeenAnswer(point=row.point, name=one.place or row.point, at=iso(row.seen_ms), minutes=minutes)
    fields: dict[str, object] = {
        "alarm": row.alarm,
        "kind": one.alarm.kind,
        "words": words_answer(KIND_WORDS[Kind(one.alarm.kind)]),
        "called": iso(row.at_ms),
        "open": one.is_open,
        "state": state,
        "state_words": words_answer(state_words(state, himself=True)),
        "cancelled": None if one.alarm.cancelled_ms is None else iso(one.alarm.cancelled_ms),
        "own": one.own,
        "role": row.role,
        "guard": row.guard,
        "name": one.name,
        "service_number": None if person is None else person.service_number,
        "company": row.company,
        "on_duty": row.duty,
        "seen": seen,
        "told": one.told,
    }
    read = rules.only(fields, READS[one.eyes], _HIDEABLE)
    return HelpAnswer.model_validate(read)
