"""`/docs`: every operation of the interface on one page, made of its own OpenAPI document."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from api.access import anybody
from api.manual.rules import chapters
from api.paper import page

router: Final = APIRouter(include_in_schema=False)


@router.get("/docs")
def read_manual(request: Request, _: Annotated[None, anybody("docs.read")]) -> HTMLResponse:
    """The page; it loads nothing from anywhere."""
    document: dict[str, Any] = request.app.openapi()
    text = page("api.manual", "manual.html", info=document["info"], chapters=chapters(document))
    return HTMLResponse(text)
