"""Whoever has the right role over somebody else's area, home or company: no route, file or stream tells him anything.

Words and files that nobody else has are planted wherever people write, and then every route that reads is asked with
ids that are there. The verdict is the octets of the answer.
"""

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from itertools import product
from typing import Any, Final

import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from api.register.registrar import AreaFields, PlaceFields
from api.rights.rules import Role
from tests.api.conftest import Serve, Served, only_sqlite
from tests.api.people import Somebody, add_companies, somebody
from tests.api.signing_in import machine, scope_of
from tests.api.test_guards import duty, hire
from tests.api.test_inspections import form
from tests.api.test_pictures import jpeg
from tests.api.test_privacy import CANARY, HOUSE, Time, plant

FAR: Final = {"area": "c2", "place": "h-far", "company": "dongmen"}
NEAR: Final = {"area": "c1", "place": HOUSE, "company": "beiguan"}
PICTURE: Final = jpeg(behind=b"")[:-2] + b"\xff\xd9"
ROLES: Final = (
    Role.HOUSEHOLD, Role.GRID_WORKER, Role.COMMUNITY, Role.GUARD, Role.GUARD_COMPANY, Role.DUTY_LEADER,
)  # fmt: skip
"""Those that see different things: a township as a community, officers as their leader and less."""
ENDLESS: Final = "/api/v1/feed"
AS_ONE_IS: Final[dict[str, tuple[str, ...]]] = {
    "place": (HOUSE,), "area": ("c1", "r1", "gr1"), "grid": ("r1",), "group": ("gr1",), "company": ("beiguan",),
    "number": ("1", "2"), "account": (CANARY, "near-household"), "unit": ("u1",), "point": ("p1",), "stage": ("help",),
    "kind": ("panic",), "entry": ("1",), "comment": ("1",), "work": ("1",), "language": ("zh",), "name": ("x",),
    "text": ("x",),
}  # fmt: skip
"""Ids that are there, by the name that a route gives them; those that are drawn come to it."""

pytestmark = [only_sqlite, pytest.mark.timeout(180)]


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def station(serve: Serve, time: Time) -> Iterator[Served]:
    with serve(clock=time, wait=False) as one:
        yield one


@pytest.fixture
def there(station: Served, time: Time) -> dict[str, tuple[str, ...]]:
    """A household of which everything is known, and what was reported, found and filed around it: all ids by name."""
    plant(station, time)
    areas = {"c2": "community", "r2": "grid", "gr2": "group"}
    for (id_, level), above in zip(areas.items(), ("north", "c2", "r2"), strict=True):
        police = above == "north"
        fields = AreaFields(name="别处", parent=None if police else above, police_parent=above if police else None)
        with station.station.registrar.edit("li") as edit:
            edit.create_area(id_, level, fields)
    with station.station.registrar.edit("li") as edit:
        edit.create_place("h-far", PlaceFields(group="gr2", door=1, label="远处"))
    add_companies(station, "beiguan", "dongmen")
    officer = somebody(station, "near-officer", Role.OFFICER, "north")
    household = somebody(station, "near-household", Role.HOUSEHOLD, HOUSE)
    called = officer_of(station, "near-duty").post(
        "/api/v1/calls", {"kind": "panic", "place": HOUSE, "words": CANARY}, status=201
    )
    alarm = called["id"]
    li = Somebody(station, "li")
    li.post(f"/api/v1/alarms/{alarm}/acknowledge")
    li.post(f"/api/v1/alarms/{alarm}/notes", {"words": CANARY})
    file = station.client.post(
        f"/api/v1/alarms/{alarm}/attachments", params={"name": f"{CANARY}.jpg"}, content=PICTURE,
        headers={"Authorization": "Bearer token-of-li", "Content-Type": "application/octet-stream"},
    )  # fmt: skip
    assert file.is_success, file.text
    (attachment,) = li.get(f"/api/v1/alarms/{alarm}")["attachments"]
    matter = household.post(
        "/api/v1/matters", {"kind": "hazard", "group": "gr1", "place": HOUSE, "words": CANARY}, status=201
    )["number"]
    photo = household.ask("POST", f"/api/v1/matters/{matter}/photos", status=201, content=PICTURE)["id"]
    guard = hire(officer, "B1", CANARY, "beiguan")
    duty(officer, guard, area="c1")
    officer.post("/api/v1/inspections", form(guard, words=CANARY), status=201)
    station.client.post("/api/v1/boards/r1/complaints", json={"about": "grid_worker", "words": CANARY})
    return AS_ONE_IS | {
        "alarm": (alarm, "01a20124-9d1e-7dd3-acdc-000000000001"), "attachment": (attachment["id"],), "photo": (photo,),
        "guard": (guard,),
    }  # fmt: skip


def officer_of(station: Served, id_: str) -> Somebody:
    return somebody(station, id_, Role.DUTY_OFFICER, "north")


def reading(app: Any, there: dict[str, tuple[str, ...]]) -> list[str]:
    """Every address that is read, with every id that is there."""
    found = []
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute) and "GET" in (route.methods or ()):
            path = context.path or route.path
            names = re.findall(r"\{(\w+)", path)
            for ids in product(*(there[name] for name in names)):
                filled = path
                for id_ in ids:
                    filled = re.sub(r"\{\w+(:\w+)?\}", id_, filled, count=1)
                found.append(filled)
    return [path for path in found if path != ENDLESS]


def told(station: Served, role: Role, where: dict[str, str], paths: list[str]) -> list[str]:
    """What this role over this scope reads of what was planted."""
    scope = scope_of(role, **where)
    if role is Role.GROUP_LEADER:
        scope = {"c1": "gr1", "c2": "gr2"}[where["area"]]
    mine = machine(station.station, f"{role}-{scope}", (role, scope))
    words = (CANARY.encode(), json.dumps(CANARY)[1:-1].encode(), PICTURE, b64encode(PICTURE))
    found = []
    for path in paths:
        answer = station.client.get(path, params={"reason": "回访"}, headers=mine, follow_redirects=False)
        assert answer.status_code < 500, (path, answer.text)
        if any(word in answer.content for word in words):
            found.append(path)
    return found


@pytest.mark.proves("G5", "N4", "N16", "F61")
def test_whoever_has_a_role_elsewhere_reads_nothing_by_any_route_or_file(
    station: Served, there: dict[str, tuple[str, ...]]
) -> None:
    paths = reading(station.client.app, there)
    here = told(station, Role.OFFICER, {**NEAR, "area": "north"}, paths)
    assert len(here) > 12, f"nothing was planted where it is read: {here}"
    for kind in ("attachments", "photos", "register/places", "matters", "export", "inspections", "guards"):
        assert any(kind in path for path in here), f"{kind}: " + " ".join(here)
    for role in ROLES:
        assert told(station, role, FAR, paths) == [], role
