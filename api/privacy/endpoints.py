"""The field register, and one household's data: to read, to take home, to have erased."""

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Response

from api.access import Authority, anybody, may
from api.privacy import rules, sheets
from api.privacy.schemas import Erase, Export, FieldList, field_answer
from api.problems import answers
from api.station import CurrentStation, Station

router: Final = APIRouter(prefix="/api/v1", tags=["privacy"])

ASKED: Final = answers(
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
PAGE: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"text/html": {}}, "description": "A page to print"}}

Id = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,32}$")]
Occupant = Annotated[
    str | None, Query(pattern=r"^[a-z0-9-]{1,32}$", description="Who lived there earlier; without it who lives there")
]
May = Annotated[Authority, may("privacy.export")]


@router.get(
    "/privacy/fields",
    summary="Which personal fields there are, why, and how long",
    responses=answers(HTTPStatus.SERVICE_UNAVAILABLE),
    dependencies=[anybody("privacy.fields")],
)
def list_fields() -> FieldList:
    """The whole field register, for everybody to read."""
    _, tables = rules.register()
    return FieldList(
        items=[
            field_answer(rule, column, class_) for rule in tables.values() for column, class_ in rule.personal.items()
        ]
    )


def _export(station: Station, by: Authority, place: str, occupant: str | None) -> dict[str, Any]:
    with station.database.write() as session:
        found = station.privacy.find(session, by, place, occupant)
        return station.privacy.export(session, by, found)


@router.get("/places/{place}/export", summary="Everything about one household (导出)", responses=ASKED)
def export_household(station: CurrentStation, by: May, place: Id, occupant: Occupant = None) -> Export:
    """What whoever asks may read of it; that it was asked for is recorded."""
    return Export.model_validate(_export(station, by, place, occupant))


@router.get(
    "/places/{place}/export.html",
    summary="The same as a page to print",
    responses=ASKED | PAGE,
    response_class=Response,
)
def print_household(station: CurrentStation, by: May, place: Id, occupant: Occupant = None) -> Response:
    """On A4."""
    page = sheets.export_page(_export(station, by, place, occupant), now_ms=station.clock(), zone=station.settings.zone)
    return Response(page, media_type="text/html; charset=utf-8")


@router.get(
    "/places/{place}/consent.html",
    summary="The consents of a household as a page to sign (同意书)",
    responses=ASKED | PAGE,
    response_class=Response,
)
def print_consent(station: CurrentStation, by: May, place: Id) -> Response:
    """What holds now for each purpose, and how it is taken back."""
    page = sheets.consent_page(_export(station, by, place, None), now_ms=station.clock(), zone=station.settings.zone)
    return Response(page, media_type="text/html; charset=utf-8")


@router.post(
    "/places/{place}/erase",
    summary="Erase one household (删除)",
    status_code=HTTPStatus.NO_CONTENT,
    responses=ASKED | answers(HTTPStatus.CONFLICT),
)
def erase_household(
    station: CurrentStation,
    by: Annotated[Authority, may("privacy.erase")],
    place: Id,
    asked: Erase,
    occupant: Occupant = None,
) -> None:
    """It moves out, and nothing is left by which it could be known; its alarms stay without names, as the law wants."""
    with station.database.write() as session:
        found = station.privacy.find(session, by, place, occupant)
        gone = station.privacy.erase(session, by, found, reason=asked.reason)
    station.privacy.after_erasure(gone)
