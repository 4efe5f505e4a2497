"""Installing over HTTP."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path

from api.access import Authority, may
from api.installing.schemas import (
    InstallationAnswer,
    InstallationPage,
    ReadBackAsked,
    RecordAnswer,
    SirenHeard,
    WindowAnswer,
    WindowAsked,
)
from api.pages import PAGE, Limit
from api.problems import answers
from api.register.endpoints import After
from api.station import CurrentStation
from broker.ids import SEGMENT

router: Final = APIRouter(
    prefix="/api/v1/installations",
    tags=["installing"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)

Number = Annotated[int, Path(ge=1, le=(1 << 63) - 1)]
Unit = Annotated[str, Path(pattern=SEGMENT)]


@router.get("", summary="The installation list: units that are not handed over, and what is left to do")
def list_installations(
    station: CurrentStation, by: Annotated[Authority, may("install.read")], limit: Limit = PAGE, after: After = None
) -> InstallationPage:
    """By the unit's id. What stands here is on no desk."""
    with station.database.read() as session:
        items = station.installing.listed(session, by, after=after, limit=limit + 1)
    return InstallationPage(items=items[:limit], next=items[limit - 1].unit if len(items) > limit else None)


@router.get("/windows", summary="Installation windows that are open")
def list_windows(station: CurrentStation, by: Annotated[Authority, may("install.read")]) -> list[WindowAnswer]:
    """Of places and gateways that you reach."""
    with station.database.read() as session:
        return station.installing.windows(session, by)


@router.post("/windows", summary="Open an installation window", status_code=HTTPStatus.CREATED)
def open_window(
    station: CurrentStation, by: Annotated[Authority, may("install.window")], asked: WindowAsked
) -> WindowAnswer:
    """Its gateway is told by a signed command. A unit that is handed over is real all the same."""
    with station.database.write() as session:
        opened = station.installing.open(session, by, asked)
    station.sender.wake()
    return opened


@router.post("/windows/{number}/close", summary="Close an installation window early")
def close_window(
    station: CurrentStation, by: Annotated[Authority, may("install.window")], number: Number
) -> WindowAnswer:
    """From now on every press is real. Closing it twice is once."""
    with station.database.write() as session:
        closed = station.installing.close(session, by, number)
    station.sender.wake()
    return closed


@router.get("/{unit}", summary="What was done about a unit wherever it was installed")
def list_records(
    station: CurrentStation, by: Annotated[Authority, may("install.read")], unit: Unit
) -> list[RecordAnswer]:
    """Also of one that is handed over; of places that you reach, by their ids."""
    with station.database.read() as session:
        return station.installing.records(session, by, unit)


@router.post("/{unit}/siren", summary="Say whether the siren sounded at the test press")
def hear_siren(
    station: CurrentStation, by: Annotated[Authority, may("install.sign")], unit: Unit, asked: SirenHeard
) -> RecordAnswer:
    """The last that was heard counts, whenever it arrives; also after the unit was handed over."""
    with station.database.write() as session:
        return station.installing.hear(session, by, unit, asked)


@router.post(
    "/{unit}/read-back",
    summary="Sign that the address was read back at the door",
    responses=answers(HTTPStatus.CONFLICT),
)
def read_back(
    station: CurrentStation, by: Annotated[Authority, may("install.sign")], unit: Unit, asked: ReadBackAsked
) -> InstallationAnswer:
    """It must be the address of the register; who signed, and when, is kept."""
    with station.database.write() as session:
        return station.installing.read_back(session, by, unit, asked.address)


@router.post(
    "/{unit}/hand-over",
    summary="Hand a unit over (移交): from now on it is always real",
    status_code=HTTPStatus.NO_CONTENT,
    responses=answers(HTTPStatus.CONFLICT),
)
def hand_over(station: CurrentStation, by: Annotated[Authority, may("install.sign")], unit: Unit) -> None:
    """Its key was pressed within a window, and the address was read back."""
    with station.registrar.edit(by.principal.account) as edit:
        station.installing.hand_over(edit, by, unit)
