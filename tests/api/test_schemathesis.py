"""Every operation of openapi.json, asked with what its own schema allows and with what it forbids.

Whoever asks and whatever he sends, an answer is one of those that the documentation names, in the documented form, and
never a server error. The requests are the same in every run.
"""

from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, Final

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from requests.exceptions import RequestException
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.rights.rules import Role
from tests.api.conftest import Served, only_sqlite
from tests.api.peers import COMMUNITY, GATEWAYS, GRID, HOUSEHOLDS, STATION
from tests.api.people import Somebody, somebody

Operation = APIOperation[Any, Any, Any, Any]
Sent = Case[Any]
ENDLESS: Final = "GET /api/v1/feed"
"""It answers for as long as somebody listens."""
CHECKS: Final[list[Any]] = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
]  # fmt: skip
ASKING: Final[Mapping[str, Role | None]] = {"admin": Role.ADMINISTRATOR, "duty": Role.DUTY_OFFICER, "nobody": None}
THERE: Final[Mapping[str, tuple[object, ...]]] = {
    "account": ("li", "somebody"),
    "area": (STATION, COMMUNITY, GRID, "gr1"),
    "gateway": GATEWAYS,
    "grid": (GRID,),
    "group": ("gr1",),
    "matter": (1, 2),
    "number": (1, 2, 3, 2**31 - 1),
    "occupant": (1, 2),
    "parent": (STATION, COMMUNITY, GRID),
    "place": HOUSEHOLDS,
    "receiver": ("somebody",),
    "scope": (STATION, *HOUSEHOLDS),
    "unit": ("u1",),
    "worker": ("somebody",),
}
"""What is there by that name, so that cases come further than to 404."""
ODD: Final[tuple[object, ...]] = (
    "", "\0", "a\0b", "\ud800", "\u202e", "9" * 5_000, "-1", "NaN", "0001-01-01T00:00:00+14:00", "0001-01-01",
    "9999-12-31T23:59:59.999999-14:00", "9999-12-31", "2027-01-15T16:00:00Z", "2027-01-15T16:00:00", 0, -1, 2**31,
    2**63, -(2**31) - 1, -(2**63) - 1, 10**400, 1e308, None, True, [], {},
)  # fmt: skip
"""What has broken a database, a calendar or a codec somewhere."""

pytestmark = [only_sqlite, pytest.mark.timeout(240)]


def operations(app: Any) -> Iterator[Operation]:
    """Every operation of the application, but the one that never ends."""
    for found in schemathesis.openapi.from_dict(app.openapi(), config=SchemathesisConfig()).get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        if operation.label != ENDLESS:
            yield operation


def cases(operation: Operation, mode: GenerationMode, most: int) -> list[Sent]:
    """The same few cases in every run; none where nothing can be said wrongly."""
    drawn: list[Sent] = []

    @settings(
        max_examples=most, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(operation.as_strategy(generation_mode=mode))
    def draw(case: Sent) -> None:
        drawn.append(case)

    try:
        draw()
    except Unsatisfiable:
        return []
    return drawn


def led(case: Sent, dice: Random, there: Mapping[str, tuple[object, ...]]) -> None:
    """Let it speak of what is there, as somebody who has read it."""
    for name in case.path_parameters:
        if name in there:
            case.path_parameters[name] = dice.choice(there[name])
    for name in case.headers:
        if name.lower() == "if-match":
            case.headers[name] = '"1"'
    case.body = _replaced(case.body, lambda name, value: dice.choice(there[name]) if name in there else value)


def spoilt(case: Sent, dice: Random) -> None:
    """Put something odd in one place of what is sent."""
    spots: list[tuple[Any, Any]] = [(case.query, name) for name in case.query or ()]
    _spots(case.body, spots)
    if spots:
        holder, key = dice.choice(spots)
        holder[key] = dice.choice(ODD)


def _spots(value: Any, spots: list[tuple[Any, Any]]) -> None:
    match value:
        case dict():
            spots += [(value, key) for key in value]
        case list():
            spots += [(value, key) for key in range(len(value))]
        case _:
            return
    for within in value.values() if isinstance(value, dict) else value:
        _spots(within, spots)


def _replaced(value: Any, by: Any, name: str = "") -> Any:
    match value:
        case dict():
            return {key: _replaced(within, by, str(key)) for key, within in value.items()}
        case list():
            return [_replaced(within, by, name) for within in value]
        case str() | int():
            return by(name, value)
        case _:
            return value


def answered(served: Served, case: Sent, asking: str) -> str | None:
    """What is wrong with the answer to this case; None when nothing is."""
    try:
        request = requests.Request(**case.as_transport_kwargs(base_url="http://testserver")).prepare()
    except (RequestException, UnicodeError, ValueError):
        return None  # no client could send it
    headers = {name: value for name, value in request.headers.items() if name.lower() != "content-length"}
    if ASKING[asking] is not None:
        headers["Authorization"] = f"Bearer token-of-{asking}"
    served.client.cookies.clear()
    body: Any = request.body
    said = f"{asking}: {request.method} {request.url} {headers} {body!r:.600}"
    try:
        answer = served.client.request(str(request.method), str(request.url), content=body, headers=_as_sent(headers))
    except Exception as error:  # noqa: BLE001 - whatever it is, it would have been a server error
        frame = error.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        where = frame.tb_frame.f_code.co_filename if frame else ""
        return f"{case.operation.label}: {type(error).__name__} {error!s:.300} in {where}\n    {said}"
    try:
        case.validate_response(answer, checks=CHECKS)
    except (FailureGroup, Failure) as failure:
        parts = failure.exceptions if isinstance(failure, FailureGroup) else [failure]
        return f"{case.operation.label}: {answer.status_code} {[str(part)[:300] for part in parts]}\n    {said}"
    return None


def _as_sent(headers: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    def octets(value: Any) -> bytes:
        return value if isinstance(value, bytes) else str(value).encode("latin-1", "replace")

    return [(octets(name), octets(value)) for name, value in headers.items()]


def furnished(served: Served) -> Mapping[str, tuple[object, ...]]:
    """Those who ask, somebody whom they may do things to, and an alarm. Yields what is there by its name."""
    for id_, role in ASKING.items():
        if role is not None:
            somebody(served, id_, role, "" if role is Role.ADMINISTRATOR else STATION)
    somebody(served, "somebody", Role.GRID_WORKER, GRID)
    called = Somebody(served, "duty").post("/api/v1/calls", {"kind": "panic", "place": HOUSEHOLDS[0]}, status=201)
    return {**THERE, "alarm": (called["id"],)}


def faults(served: Served, mode: GenerationMode, most: int) -> list[str]:
    """What is wrong with the answers of every operation to `most` cases each, whoever asks."""
    there = furnished(served)
    found = []
    for operation in operations(served.client.app):
        dice = Random(operation.label)
        for number, case in enumerate(cases(operation, mode, most)):
            if number % 3:
                led(case, dice, there)
            if number % 3 == 2:
                spoilt(case, dice)
            askers = ASKING if number == 0 else [asking for asking in ASKING if ASKING[asking] is not None]
            found += [fault for asking in askers if (fault := answered(served, case, asking)) is not None]
    return found


@pytest.mark.proves("G5")
def test_what_the_documentation_allows_is_answered_as_it_says(served: Served) -> None:
    assert faults(served, GenerationMode.POSITIVE, 3) == []


@pytest.mark.proves("G5")
def test_what_the_documentation_forbids_is_answered_as_it_says(served: Served) -> None:
    assert faults(served, GenerationMode.NEGATIVE, 1) == []
