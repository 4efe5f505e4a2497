"""What belongs to the whole station is for whoever reaches all of it: one answer, on every route that asks."""

from typing import Any, Final

import pytest

from api.rights.rules import Role
from tests.api.conftest import Served, only_sqlite
from tests.api.people import somebody
from tests.api.test_register_import import NEW

SPAN: Final = {"begins": "2027-01-01T00:00:00Z", "ends": "2027-01-02T00:00:00Z", "text": "x"}
ROUTES: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("POST", "/register/import?format=toml", {"content": NEW}),
    ("GET", "/register/export?format=toml&reason=年度核对", {}),
    ("POST", "/works/imports?format=toml", {"content": NEW}),
    ("POST", "/works/exports", {"json": {"format": "toml", "reason": "年度核对"}}),
    ("POST", "/works/points", {}),
    ("GET", "/audit", {}),
    ("GET", "/reward-fund", {}),
    ("POST", "/points/rules/simulation", {"json": SPAN}),
)


@only_sqlite
@pytest.mark.proves("G5")
def test_whoever_reaches_a_part_only_is_refused_in_the_same_words_everywhere(served: Served) -> None:
    part = somebody(served, "part", Role.DUTY_LEADER, "c1")
    importing = somebody(served, "importing", Role.DUTY_OFFICER, "c1")
    for method, path, more in ROUTES:
        who = importing if "import" in path else part
        said = who.ask(method, f"/api/v1{path}", status=403, **more)
        assert said["type"] == "may_not", path
        assert said["detail"].endswith("over the whole station"), path
