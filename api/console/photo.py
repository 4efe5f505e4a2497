"""A photo that a form sends: what is too large is thrown away, and said beside the field."""

from http import HTTPStatus
from typing import Any, Final

from fastapi import Request
from starlette.datastructures import UploadFile

from api.albums import MOST
from api.bodies import JSON_MOST
from api.console.known import Typed

DRAINED: Final = 64 << 20
"""Octets of a form with a photo that are read to the end, so that a browser is answered and not cut off."""
FORM_MOST: Final = MOST + JSON_MOST
TOO_LARGE: Final[dict[str, Any]] = {"type": "too_large", "status": HTTPStatus.REQUEST_ENTITY_TOO_LARGE.value}


async def sent(request: Request) -> tuple[Typed, bytes | None]:
    """The form and its picture, b"" where none was chosen; without a picture (None) where it is TOO_LARGE."""
    text = request.headers.get("content-length", "")
    if not text.isdigit() or len(text) >= 18 or int(text) > FORM_MOST:
        async for _ in request.stream():
            pass  # only a browser that was heard to the end shows what it is answered
        return Typed(), None
    async with request.form(max_files=1, max_fields=4) as form:
        file = form.get("file")
        return Typed(form), await file.read() if isinstance(file, UploadFile) else b""
