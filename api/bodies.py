"""How much a request may carry: looked at before anything else is, because rights are asked after a body was read.

FastAPI has a limit of its own (`max_body_size`), which answers some of this in plain text; here errors have one shape.

A body is small unless its route says otherwise with `openapi_extra={**holds(octets), ...}`, which openapi.json shows.

TooLarge                    413: .most; nothing beyond it was kept, and the connection is closed
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem, answer, answers

JSON_MOST: Final = 256 << 10
"""Octets of a request that is no file. The longest that a screen sends, a text of 4,000 characters, has a tenth."""
DECLARED: Final = "x-body-most"
LENGTH_DIGITS: Final = 18


class TooLarge(Problem):
    """A body of more octets than its route takes. Field: `most`."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    type = "too_large"
    title = "The request is too large"
    headers: Mapping[str, str] | None = {"Connection": "close"}

    def __init__(self, most: int) -> None:
        self.most = most
        super().__init__(f"at most {most} octets at a time", zh=f"内容太大，一次最多 {most} 字节", most=most)


def holds(most: int) -> dict[str, Any]:
    """For a route's `openapi_extra`: its body may have this many octets."""
    return {DECLARED: most}


def file_of(most: int) -> dict[str, Any]:
    """For the `openapi_extra` of a route that takes the octets of one file, this many at most (`whole`)."""
    octets = {"schema": {"type": "string", "format": "binary"}}
    return {**holds(most), "requestBody": {"required": True, "content": {"application/octet-stream": octets}}}


async def whole(request: Request) -> bytes:
    """A body that is no JSON, for a route that says with `holds` how long it may be."""
    return await request.body()


def install(app: FastAPI) -> None:
    """Let nothing of `app` read more than its route takes, and let every route that takes a body say so."""
    larger: list[Larger] = []
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if not isinstance(route, APIRoute):
            continue
        extra = route.openapi_extra or {}
        takes_one = route.body_field is not None or "requestBody" in extra
        if takes_one and TooLarge.status not in context.responses:
            context.responses.update(answers(TooLarge.status))  # of the route as it was included
        if DECLARED in extra:
            path, *_ = compile_path(context.path or route.path)
            larger.append(Larger(methods=frozenset(route.methods or ()), path=path, most=extra[DECLARED]))
    app.add_middleware(BodyLimit, larger=larger)


@dataclass(frozen=True)
class Larger:
    """A route that takes more than most do."""

    methods: frozenset[str]
    path: re.Pattern[str]
    most: int


class BodyLimit:
    """ASGI in front of everything: answers 413 by the length that is announced, and by counting what comes."""

    def __init__(self, app: ASGIApp, *, larger: Sequence[Larger], most: int = JSON_MOST) -> None:
        self._app = app
        self._larger = larger
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as far as it is not too large."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._most_for(scope)
        if _announced(scope) > most:
            await _refuse(scope, receive, send, most)
            return
        count = _Count(receive, send, most)
        try:
            await self._app(scope, count.receive, count.send)
        except TooLarge:
            if not count.over:
                raise
        if count.over and not count.answered:
            await _refuse(scope, receive, send, most)

    def _most_for(self, scope: Scope) -> int:
        for route in self._larger:
            if scope["method"] in route.methods and route.path.match(scope["path"]):
                return route.most
        return self._most


class _Count:
    """What one request has sent so far. Once it is too much, whatever is answered to it is ours."""

    def __init__(self, receive: Receive, send: Send, most: int) -> None:
        self._receive = receive
        self._send = send
        self._most = most
        self._octets = 0
        self.answered = False
        self.over = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._octets += len(message.get("body", b""))
            if self._octets > self._most:
                self.over = True
                raise TooLarge(self._most)
        return message

    async def send(self, message: Message) -> None:
        if self.over and not self.answered:
            return  # a parser that was interrupted says something else about it
        self.answered = True
        await self._send(message)


def _announced(scope: Scope) -> int:
    """What Content-Length says; more than anything takes where that is no number."""
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    if not all(value.isdigit() and len(value) <= LENGTH_DIGITS for value in lengths):
        return 10**LENGTH_DIGITS
    return max(map(int, lengths), default=0)


async def _refuse(scope: Scope, receive: Receive, send: Send, most: int) -> None:
    problem = TooLarge(most)
    said = answer(
        problem.status, kind=problem.type, title=problem.title, detail=problem.detail, headers=problem.headers,
        more=problem.more,
    )  # fmt: skip
    await said(scope, receive, send)
