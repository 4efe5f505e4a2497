"""Public boards over HTTP: read by anybody, as JSON and as a page that prints on one sheet."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path, Response
from fastapi.responses import HTMLResponse

from api import paper
from api.access import Authority, anybody, may
from api.board import rules
from api.board.schemas import BoardAnswer, BoardAsked, BoardListAnswer
from api.etags import etag
from api.problems import answers
from api.register.endpoints import EDITED, IfMatchIfThere
from api.station import CurrentStation
from broker.ids import SEGMENT

router: Final = APIRouter(
    prefix="/api/v1/boards",
    tags=["boards"],
    responses=answers(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE),
)

Grid = Annotated[str, Path(pattern=SEGMENT)]
Public = Annotated[None, anybody("board.read")]


@router.get("", summary="The grids that have a public board (公示牌)")
def list_boards(station: CurrentStation, _by: Public) -> list[BoardListAnswer]:
    """By id."""
    with station.database.read() as session:
        return station.boards.listed(session)


@router.get("/{grid}", summary="The public board of a grid")
def get_board(station: CurrentStation, _by: Public, grid: Grid, response: Response) -> BoardAnswer:
    """Names, duties, contacts and the supervision phone: whatever is on it is public, and nothing else is."""
    with station.database.read() as session:
        found = station.boards.board(session, grid)
    response.headers["ETag"] = etag(found.version)
    return found


@router.get("/{grid}/page", summary="The public board as a page to print", response_class=HTMLResponse)
def get_page(station: CurrentStation, _by: Public, grid: Grid) -> HTMLResponse:
    """One sheet of A4, without anything from elsewhere; the map is there where the grid's outline is."""
    with station.database.read() as session:
        found = station.boards.board(session, grid)
    page = paper.page(
        "api.board",
        "board.html",
        board=found,
        shapes=station.boards.map(grid),
        width=rules.WIDTH,
        height=rules.HEIGHT,
    )
    return HTMLResponse(page)


@router.put(
    "/{grid}",
    summary="Hang a board",
    responses=EDITED | answers(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN),
)
def put_board(
    station: CurrentStation,
    *,
    by: Annotated[Authority, may("board.edit")],
    grid: Grid,
    asked: BoardAsked,
    response: Response,
    if_match: IfMatchIfThere = None,
) -> BoardAnswer:
    """The first one without If-Match, each later one with it; what hung before is kept."""
    with station.database.write() as session:
        station.boards.hang(session, by, grid, asked, if_match=if_match)
        found = station.boards.board(session, grid)
    response.headers["ETag"] = etag(found.version)
    return found
