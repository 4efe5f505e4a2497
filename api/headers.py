"""What every answer says to a browser, unless its route says otherwise: nothing is kept, framed, guessed or run.

Source: OWASP Secure Headers Project. A route says otherwise by setting the header itself: pages with scripts
(`console/page.py`), files of the pages that may be kept (`console/files.py`).
"""

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

NOTHING: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
PAPER: Final = f"{NOTHING}; style-src 'unsafe-inline'; img-src data:"
"""Of a sheet to print: it brings its own style, and runs nothing."""
SAID: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Harmless:
    """ASGI in front of every route: adds what the answer does not say."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def say(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SAID.items():
                    headers.setdefault(name, value)
                shown = headers.get("Content-Type", "").startswith("text/html")
                headers.setdefault("Content-Security-Policy", PAPER if shown else NOTHING)
            await send(message)

        await self._app(scope, receive, say)
