"""Files of ours that pages load: style, scripts, pictures, and the libraries that `scripts/setup` put beside them."""

from http import HTTPStatus
from mimetypes import guess_type
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from api.access import anybody
from api.console.page import STATIC

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

FOR_EVER: Final = "public, max-age=31536000, immutable"


@router.get("/static/{name:path}")
def get_file(request: Request, name: str) -> Response:
    """A file, for ever where its address says which version it is."""
    path = (STATIC / name).resolve()
    if not path.is_relative_to(STATIC.resolve()) or not path.is_file():
        return Response(status_code=HTTPStatus.NOT_FOUND)
    kept = FOR_EVER if "v" in request.query_params else "no-cache"
    kind = guess_type(path.name)[0] or "application/octet-stream"
    return FileResponse(path, media_type=kind, headers={"Cache-Control": kept})
