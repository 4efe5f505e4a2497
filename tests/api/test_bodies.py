"""How much a request may carry, before anybody asks who sent it."""

from collections.abc import Iterator
from typing import Annotated, Any

import anyio
import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel

from api import bodies, problems
from api.bodies import JSON_MOST, holds, whole
from tests.api.conftest import Served, only_sqlite
from tests.api.test_http import operations

FILE_MOST = 1_000_000
PIECE = bytes(1_000)


class Said(BaseModel):
    text: str


@pytest.fixture
def app() -> FastAPI:
    """Two routes: one takes JSON, one a file."""
    router = APIRouter()

    @router.post("/texts")
    def text(said: Said) -> int:
        return len(said.text)

    @router.post("/files/{name}", openapi_extra={**holds(FILE_MOST), "requestBody": {"content": {}}})
    def file(name: str, content: Annotated[bytes, Depends(whole)]) -> int:
        return len(content) if name else 0

    made = FastAPI()
    problems.install(made)
    made.include_router(router)
    bodies.install(made)
    return made


def in_pieces(octets: int) -> Iterator[bytes]:
    """So many octets, of which nobody is told beforehand how many they are."""
    for _ in range(octets // len(PIECE)):
        yield PIECE


@pytest.mark.parametrize(("path", "most"), [("/texts", JSON_MOST), ("/files/a", FILE_MOST)])
@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "counted"])
def test_a_body_beyond_what_its_route_takes_is_one_problem(app: FastAPI, path: str, most: int, chunked: bool) -> None:
    body = in_pieces(most + 2 * len(PIECE)) if chunked else bytes(most + 1)
    answer = TestClient(app).post(path, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (413, problems.MEDIA_TYPE)
    assert (answer.json()["type"], answer.json()["most"]) == ("too_large", most)
    assert answer.headers["connection"] == "close"


def test_what_fits_is_taken_whole(app: FastAPI) -> None:
    client = TestClient(app)
    assert client.post("/texts", json={"text": "x" * (JSON_MOST - 100)}).json() == JSON_MOST - 100
    assert client.post("/files/a", content=in_pieces(FILE_MOST)).json() == FILE_MOST


def ask(app: FastAPI, headers: list[tuple[bytes, bytes]]) -> tuple[int, list[int]]:
    """Ask with a body that never ends; how many pieces of it were read, and the answers' states."""
    read = 0
    states: list[int] = []

    async def receive() -> dict[str, Any]:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": PIECE, "more_body": True}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            states.append(message["status"])

    scope = {
        "type": "http", "method": "POST", "path": "/texts", "raw_path": b"/texts", "root_path": "", "query_string": b"",
        "scheme": "http", "headers": [(b"content-type", b"application/json"), *headers], "http_version": "1.1",
        "server": ("station", 80), "client": ("10.0.0.1", 1),
    }  # fmt: skip

    async def one() -> None:
        await app(scope, receive, send)

    anyio.run(one)
    return read, states


@pytest.mark.proves("N7")
def test_of_a_body_without_end_no_more_is_read_than_may_be_there(app: FastAPI) -> None:
    assert ask(app, []) == (JSON_MOST // len(PIECE) + 1, [413])


@pytest.mark.proves("N7")
@pytest.mark.parametrize("length", [b"%d" % (JSON_MOST + 1), b"9" * 5_000, b"-1", b"many"])
def test_of_a_body_that_is_announced_as_too_large_nothing_is_read(app: FastAPI, length: bytes) -> None:
    assert ask(app, [(b"content-length", length)]) == (0, [413])


@only_sqlite
def test_nobody_has_to_be_known_to_be_refused_and_every_route_with_a_body_says_so(served: Served) -> None:
    refused = served.client.post("/api/v1/session", content=in_pieces(JSON_MOST + 2_000))
    assert (refused.status_code, refused.json()["type"]) == (413, "too_large")
    for method, path, operation in operations(served.client):
        if "requestBody" in operation:
            assert "413" in operation["responses"], (method, path)
