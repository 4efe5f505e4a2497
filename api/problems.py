"""What can be wrong with a request, and the one shape in which every error is answered (RFC 9457).

Problem                         .status .title and what the answer carries beside them
+-- NotKnown                    401: no token, or nobody's
+-- MayNot                      403: .action, which no role of this account has
+-- NotThere                    404: no such thing, or none that this account may see
|   +-- NoSuchAlarm
+-- AlreadyAcknowledged         409: .by and .at of whoever was first
+-- BadCursor                   422
"""

from collections.abc import Mapping
from copy import deepcopy
from http import HTTPStatus
from traceback import extract_tb
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from starlette.exceptions import HTTPException

from api.clock import iso

MEDIA_TYPE: Final = "application/problem+json"

log = structlog.get_logger("api.http")


class ProblemAnswer(BaseModel):
    """An error, as every route answers it. More fields may say more about one kind of problem."""

    model_config = ConfigDict(extra="allow")

    type: str
    """`about:blank`, or a word for the kind of problem."""
    title: str
    status: int
    detail: str


_SCHEMA: Final = ProblemAnswer.model_json_schema()


class Problem(Exception):
    """A request that is understood and cannot be carried out. `more` is added to the answer."""

    status = HTTPStatus.BAD_REQUEST
    type = "about:blank"
    title = "Bad request"
    headers: Mapping[str, str] | None = None

    def __init__(self, detail: str, **more: Any) -> None:
        self.detail = detail
        self.more = more
        super().__init__(detail)


class NotKnown(Problem):
    """Nobody, or somebody whom we do not know."""

    status = HTTPStatus.UNAUTHORIZED
    type = "not_known"
    title = "Who are you?"
    headers: Mapping[str, str] | None = {"WWW-Authenticate": "Bearer"}

    def __init__(self) -> None:
        super().__init__("a bearer token of an officer of this station is needed")


class MayNot(Problem):
    """Nothing that this account is lets it do that, or not `over` so much. Field: `action`."""

    status = HTTPStatus.FORBIDDEN
    type = "may_not"
    title = "You may not do that"

    def __init__(self, action: str, *, over: str = "") -> None:
        self.action = action
        super().__init__(f"no role of yours has {action}{over and f' over {over}'}", action=action)


class NotThere(Problem):
    """No such thing, or none that this account may see: the two are not told apart."""

    status = HTTPStatus.NOT_FOUND
    type = "not_there"
    title = "There is no such thing"


class NoSuchAlarm(NotThere):
    """No alarm by that id."""

    type = "no_such_alarm"
    title = "There is no such alarm"

    def __init__(self, alarm: str) -> None:
        super().__init__(f"no alarm {alarm[:64]!r} here")


class AlreadyAcknowledged(Problem):
    """Somebody else was first. Fields: `alarm`, `by` (an officer's id), `at_ms`; the answer has the name as well."""

    status = HTTPStatus.CONFLICT
    type = "already_acknowledged"
    title = "Somebody has this alarm already"

    def __init__(self, alarm: str, *, by: str, name: str | None, at_ms: int) -> None:
        self.by = by
        self.at_ms = at_ms
        super().__init__(
            f"{name or by} acknowledged it first", alarm=alarm, by=by, name=name, at=iso(at_ms).isoformat()
        )


class BadCursor(Problem):
    """A cursor that was not ours."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    type = "bad_cursor"
    title = "This cursor was not given out here"

    def __init__(self) -> None:
        super().__init__("use `next` of an earlier answer as it is")


def answer(
    status: int, *, title: str, detail: str, kind: str = "about:blank", headers: Mapping[str, str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> JSONResponse:  # fmt: skip
    """The one shape."""
    return JSONResponse(
        {"type": kind, "title": title, "status": status, "detail": detail, **(more or {})},
        status_code=status,
        headers=headers,
        media_type=MEDIA_TYPE,
    )


def answers(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`: these problems, in the one shape and under its own media type."""
    return {
        status.value: {"description": status.phrase, "content": {MEDIA_TYPE: {"schema": deepcopy(_SCHEMA)}}}
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Let every error of `app` be answered in the one shape."""

    @app.exception_handler(Problem)
    async def _problem(_request: Request, problem: Problem) -> JSONResponse:
        return answer(
            problem.status,
            kind=problem.type,
            title=problem.title,
            detail=problem.detail,
            headers=problem.headers,
            more=problem.more,
        )

    @app.exception_handler(RequestValidationError)
    async def _malformed(_request: Request, error: RequestValidationError) -> JSONResponse:
        faults = [{"where": [str(part) for part in fault["loc"]], "why": fault["msg"]} for fault in error.errors()]
        return answer(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            kind="malformed",
            title="The request is malformed",
            detail="; ".join(f"{'.'.join(fault['where'])}: {fault['why']}" for fault in faults)[:512],
            more={"faults": faults},
        )

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == HTTPStatus.BAD_REQUEST:  # FastAPI's, for a body that is no text or no form at all
            fault = {"where": ["body"], "why": str(error.detail)}
            return answer(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                kind="malformed",
                title="The request is malformed",
                detail=f"body: {error.detail}"[:512],
                more={"faults": [fault]},
            )
        title = HTTPStatus(error.status_code).phrase
        return answer(error.status_code, title=title, detail=str(error.detail), headers=error.headers)

    @app.exception_handler(OperationalError)
    @app.exception_handler(InterfaceError)
    @app.exception_handler(NoConnection)
    def _database(_request: Request, error: OperationalError | InterfaceError | NoConnection) -> JSONResponse:
        lost = isinstance(error, DBAPIError) and error.connection_invalidated  # in COMMIT, perhaps
        log.error("http.database", error=type(getattr(error, "orig", error)).__name__)
        return answer(
            HTTPStatus.SERVICE_UNAVAILABLE,
            kind="database",
            title="The database cannot be used",
            detail="whether it was carried out is not known; look, or try again"
            if lost
            else "nothing was changed; try again",
        )

    @app.exception_handler(DataError)
    def _data(_request: Request, error: DataError) -> JSONResponse:
        log.warning("http.data", error=type(error.orig).__name__)
        return answer(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            kind="malformed",
            title="The request is malformed",
            detail="a value in it cannot be kept: a number that is too large, or a character that is none",
        )

    @app.exception_handler(Exception)
    def _bug(request: Request, error: Exception) -> JSONResponse:
        # Where it happened, without what the error says: that may be personal.
        frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in extract_tb(error.__traceback__)[-6:]]
        log.error("http.bug", path=request.url.path, error=type(error).__name__, frames=frames)
        return answer(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            title="Our mistake",
            detail="this could not be carried out, and has been logged",
        )
