"""Files of the register over HTTP: import with a dry run, and export."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Response

from api.access import Authority, may, whole_station
from api.audit.service import record
from api.bodies import holds, whole
from api.problems import answers
from api.register import files
from api.register.endpoints import EDITED, REASON_CHARS, IfMatchIfThere, Reason
from api.register.exporting import MEDIA, exported
from api.register.files import BYTES_MOST, Format
from api.register.importing import ImportRefused
from api.register.problems import NeedsReason
from api.register.reporting import report
from api.register.schemas import ReportAnswer
from api.register.sheets import Sheet
from api.station import CurrentStation

router: Final = APIRouter(
    prefix="/api/v1/register",
    tags=["register"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)

OneSheet = Annotated[Sheet | None, Query(description="Which sheet a CSV file is")]
BODY: Final = {"content": {media: {"schema": {"type": "string", "format": "binary"}} for media in MEDIA.values()}}


@router.post(
    "/import",
    summary="Import a spreadsheet or a site file, or see what it would do",
    responses=EDITED,
    openapi_extra={**holds(BYTES_MOST), "requestBody": {"required": True, **BODY}},
)
def import_register(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.import")],
    data: Annotated[bytes, Depends(whole)],
    form: Annotated[Format, Query(alias="format")] = Format.XLSX,
    sheet: OneSheet = None,
    dry_run: bool = True,
    if_match: IfMatchIfThere = None,
) -> ReportAnswer:
    """All of it or nothing; a dry run changes nothing. It adds and changes, and ends nothing."""
    whole_station(station, by)
    tables = files.tables(data, form, sheet=sheet)
    if dry_run:
        made, version = station.takes.see(tables)
        return report(made, dry_run=True, applied=False, version=version)
    made = station.takes.take(tables, by=by.principal.account, if_match=if_match)
    applied = bool(made.changes) and not made.problems
    said = report(made, dry_run=False, applied=applied, version=station.register.version)
    if made.problems:
        raise ImportRefused(len(made.problems), said.model_dump(mode="json"))
    return said


@router.get(
    "/export",
    summary="The register as a spreadsheet, a CSV file or a site file",
    response_class=Response,
    responses={HTTPStatus.OK.value: {"description": "The file", **BODY}},
)
def export_register(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("register.export")],
    form: Annotated[Format, Query(alias="format")] = Format.XLSX,
    sheet: OneSheet = None,
    reason: Reason = None,
) -> Response:
    """It has names and phones in it: give a reason, which is recorded. Importing it again changes nothing."""
    whole_station(station, by)
    if len((reason or "").strip()) < REASON_CHARS:
        raise NeedsReason
    if form is Format.CSV and sheet is None:
        raise files.FileRefused("no_sheet")
    with station.database.write() as session:
        record(
            session, at_ms=station.clock(), by=by.principal.account, action=by.action, about="register", reason=reason
        )
        data = exported(session, station.register, form, sheet)
    name = f"register-{sheet.value}.{form.value}" if sheet is not None else f"register.{form.value}"
    return Response(data, media_type=MEDIA[form], headers={"Content-Disposition": f'attachment; filename="{name}"'})
