"""`/docs`: every operation of the interface on one page, made of its own OpenAPI document."""

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from api.access import anybody
from api.manual.rules import chapters

router: Final = APIRouter(include_in_schema=False)

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


@router.get("/docs")
def read_manual(request: Request, _: Annotated[None, anybody("docs.read")]) -> HTMLResponse:
    """The page; it loads nothing from anywhere."""
    document: dict[str, Any] = request.app.openapi()
    page = _environment().get_template("manual.html").render(info=document["info"], chapters=chapters(document))
    return HTMLResponse(page, headers=HEADERS)


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")), autoescape=True, undefined=StrictUndefined
    )
