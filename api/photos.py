"""A photo over HTTP, whatever it is of: one form of giving it out, so that no route forgets what keeps it harmless."""

from typing import Any, Final

from fastapi import Response

from api.pictures import JPEG, PNG, WEBP

ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in (JPEG, PNG, WEBP)}}
}
"""What a route answers that gives one out."""


def give(content: bytes, *, kind: str, sha256: str) -> Response:
    """Never as anything but the picture that it is, to be saved under its digest, and kept by nobody between."""
    headers = {
        "Content-Disposition": f'attachment; filename="{sha256[:16]}.{kind.rpartition("/")[2]}"',
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return Response(content, media_type=kind, headers=headers)
