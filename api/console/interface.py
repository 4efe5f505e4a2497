"""The interface as our own pages ask it: a request to `/api/v1` inside this process, by whoever asked for the page.

A page knows nothing that its reader could not ask for himself, and changes nothing past the interface: rights, eyes,
audit, transactions, limits and problems are there once (docs/adr/0014).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import Request
from starlette.types import Message

from api.access import CSRF_HEADER

PREFIX: Final = "/api/v1"
HANDED_ON: Final = frozenset({b"cookie", b"host", b"origin", b"user-agent", b"x-forwarded-for", b"x-forwarded-proto"})
"""Of the reader's headers: what shows who he is and where he comes from."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the interface answered. `body`: JSON, None for nothing and for what is none. `raw`: the octets."""

    status: int
    body: Any
    cookies: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes = b""

    @property
    def good(self) -> bool:
        """Whether it was done."""
        return self.status < 400

    @property
    def etag(self) -> str | None:
        """The version of what was answered, to be sent as If-Match."""
        return self.headers.get("etag")


class Interface:
    """Asks as the sender of `request` asks. What changes something needs `csrf`, the token of his page."""

    def __init__(self, request: Request, *, csrf: str | None = None) -> None:
        self._request = request
        self._csrf = csrf

    async def get(self, path: str, **query: object) -> Reply:
        """Read. None in a query is left out; a list is repeated."""
        return await self.ask("GET", path, query=query)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: object = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        prefix: str = PREFIX,
    ) -> Reply:
        """One request. `path` begins after `prefix`. `content`: a file instead of a JSON body."""
        kind = "application/json" if content is None else "application/octet-stream"
        if content is None:
            content = b"" if body is None else json.dumps(body).encode()
        scope = self._scope(method, prefix + path, query or {}, content, {"Content-Type": kind} | dict(headers or {}))
        started: dict[str, Any] = {}
        pieces: list[bytes] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                started.update(message)
            else:
                pieces.append(message.get("body", b""))

        await self._request.app(scope, receive, send)
        named = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in started["headers"]]
        text = b"".join(pieces)
        headed = dict(named)
        return Reply(
            started["status"],
            json.loads(text) if text and "json" in headed.get("content-type", "") else None,
            tuple(value for name, value in named if name == "set-cookie"),
            headed,
            text,
        )

    def _scope(
        self, method: str, path: str, query: Mapping[str, object], content: bytes, headers: Mapping[str, str]
    ) -> dict[str, Any]:
        kept = [(name, value) for name, value in self._request.headers.raw if name in HANDED_ON]
        own = {"accept": "application/json", **headers}
        if content:
            own["content-length"] = str(len(content))
        else:
            own.pop("Content-Type", None)
        if self._csrf is not None:
            own[CSRF_HEADER.lower()] = self._csrf
        outer = self._request.scope
        return {
            "type": "http",
            "asgi": outer.get("asgi", {"version": "3.0"}),
            "http_version": outer["http_version"],
            "method": method,
            "scheme": outer["scheme"],
            "path": path,
            "raw_path": path.encode(),
            "root_path": outer.get("root_path", ""),
            "query_string": urlencode({k: v for k, v in query.items() if v is not None}, doseq=True).encode(),
            "headers": kept + [(name.lower().encode(), value.encode("latin-1")) for name, value in own.items()],
            "client": outer.get("client"),
            "server": outer.get("server"),
            "state": outer.get("state", {}),
        }
