"""Who has an account at the broker by the register, and what each may do there."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.brokers.rules import Given, access
from api.register.models import Meaning
from api.register.seed import contents_of
from api.register.snapshot import AreaNow, Contents, PlaceNow, Snapshot, UnitNow
from broker import access as texts
from broker.access import Access, NoAccess
from broker.acl import Principal, acl_file, password_digest
from broker.ids import GatewayId, GroupId, HouseholdId, StationId, UnitId
from broker.topics import Role
from deploy import accounts, assembly, check, keys
from deploy.stage import example
from tests.deploy.test_assembly import TWO

STATION = StationId("north")
KEYS = {"gateway:gw1": "1" * 64, "gateway:gw2": "2" * 64}


def group(id_: str, gateway: str | None, grid: str = "grid-1") -> AreaNow:
    home = None if gateway is None else GatewayId(gateway)
    return AreaNow(id=id_, level="group", meaning=Meaning.GROUP, parent=grid, gateway=home)


def place(id_: str, group_: str, *, occupant: str | None = "o") -> PlaceNow:
    return PlaceNow(
        id=HouseholdId(id_), group=GroupId(group_), occupant=None if occupant is None else f"{occupant}-{id_}"
    )


def unit(id_: str, at: str, gateway: str) -> UnitNow:
    return UnitNow(id=UnitId(id_), place=HouseholdId(at), gateway=GatewayId(gateway))


TOWN = Contents(
    station=STATION,
    areas=(
        AreaNow(id="c1", level="community", meaning=Meaning.COMMUNITY),
        AreaNow(id="grid-1", level="grid", meaning=Meaning.GRID, parent="c1"),
        AreaNow(id="grid-2", level="grid", meaning=Meaning.GRID, parent="c1"),
        group("a", "gw1"),
        group("b", "gw2", "grid-2"),
    ),
    places=(place("h1", "a"), place("h2", "a"), place("h3", "b")),
    units=(unit("u1", "h1", "gw1"), unit("u2", "h2", "gw1"), unit("u3", "h3", "gw2")),
)
H1 = Given(role=Role.HOUSEHOLD, id="h1", occupant="o-h1", digest=password_digest("x", salt=bytes(12)))


def made(contents: Contents, *given_: Given, gateways: tuple[str, ...] = ("gw1", "gw2")) -> dict[str, Principal]:
    believed = {kid: key for kid, key in KEYS.items() if kid.partition(":")[2] in gateways}
    return {one.user.removeprefix("north."): one for one in access(Snapshot(contents), believed, given_).principals}


def alerts(who: Principal) -> set[str]:
    assert who.alerts is not None
    return set(who.alerts)


@pytest.mark.proves("G1", "N4")
def test_who_is_there_has_an_account_and_people_have_none_unless_they_were_given_one() -> None:
    machines = {"station", "police", "gateway.gw1", "gateway.gw2", "community.c1", "grid.grid-1", "grid.grid-2"}
    assert set(made(TOWN)) == machines
    assert set(made(TOWN, H1)) == machines | {"household.h1"}
    assert set(made(TOWN, replace(H1, ended=True))) == machines
    seat = Given(role=Role.POLICE, seat="desk-2", digest=H1.digest)
    assert set(made(TOWN, seat)) == machines | {"police@desk-2"}
    assert set(made(TOWN, Given(role=Role.COMMUNITY, id="c1", ended=True))) == machines - {"community.c1"}
    assert set(made(TOWN, gateways=("gw1",))) == machines - {"gateway.gw2"}


@pytest.mark.proves("G1", "N4")
def test_a_household_that_moves_to_another_group_is_alerted_by_the_gateway_of_that_group_alone() -> None:
    before = made(TOWN)
    assert alerts(before["gateway.gw1"]) == {"household:h1", "household:h2", "grid:grid-1", "community:c1"}
    assert alerts(before["gateway.gw2"]) == {"household:h3", "grid:grid-2", "community:c1"}
    moved = replace(TOWN, places=(place("h1", "b"), *TOWN.places[1:]), units=(unit("u1", "h1", "gw2"), *TOWN.units[1:]))
    after = made(moved)
    assert alerts(after["gateway.gw1"]) == {"household:h2", "grid:grid-1", "community:c1"}
    assert alerts(after["gateway.gw2"]) == {"household:h1", "household:h3", "grid:grid-2", "community:c1"}
    assert {one.rings for one in after.values()} == {frozenset()}


@pytest.mark.proves("G1", "N4")
def test_one_whose_unit_hangs_on_another_gateway_is_heard_there_and_both_may_alert_the_group() -> None:
    found = made(replace(TOWN, units=(TOWN.units[0], unit("u2", "h2", "gw2"), TOWN.units[2])))
    assert found["gateway.gw2"].rings == {"h2"}
    assert found["gateway.gw1"].rings == {"h1"}
    assert {"household:h1", "household:h2", "grid:grid-1"} <= alerts(found["gateway.gw2"])


@pytest.mark.proves("G1", "N4")
def test_a_gateway_that_takes_a_group_over_gets_its_rights_and_the_one_before_loses_them() -> None:
    areas = tuple(group("a", "gw2") if area.id == "a" else area for area in TOWN.areas)
    units = tuple(replace(one, gateway=GatewayId("gw2")) for one in TOWN.units)
    found = made(replace(TOWN, areas=areas, units=units))
    assert alerts(found["gateway.gw1"]) == set()
    assert {"household:h1", "household:h2", "grid:grid-1", "household:h3"} <= alerts(found["gateway.gw2"])


@pytest.mark.proves("G1", "G7", "N4")
@pytest.mark.parametrize(
    "now",
    [
        replace(TOWN, places=(place("h1", "a", occupant="new"), *TOWN.places[1:])),
        replace(TOWN, places=(place("h1", "a", occupant=None), *TOWN.places[1:])),
        replace(TOWN, places=TOWN.places[1:], units=TOWN.units[1:]),
    ],
    ids=["somebody else moved in", "moved out", "the place is gone"],
)
def test_an_account_ends_with_those_who_were_given_it(now: Contents) -> None:
    found = access(Snapshot(now), KEYS, [H1])
    assert "north.household.h1" not in {one.user for one in found.principals}
    assert found.digests == {}
    assert "household.h1" not in acl_file(found.principals)


@pytest.mark.proves("G1")
@pytest.mark.parametrize("name", ["village", "two"])
def test_a_register_that_says_what_the_site_file_says_gives_the_same_rights(name: str, tmp_path: Path) -> None:
    site = TWO if name == "two" else check.load(example("village.toml"))
    made_keys = keys.provision(site, tmp_path / "keys").keys
    settings = assembly.station_settings(site, made_keys, state=tmp_path)
    given_ = [Given(role=Role.HOUSEHOLD, id=one, occupant=one) for one in settings.mqtt_households]
    found = access(Snapshot(contents_of(settings)), settings.gateway_keys, given_)
    assert acl_file(found.principals) == acl_file(accounts.principals(site))


segments = st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True)


@given(st.lists(segments, unique=True, max_size=6), st.sets(segments), st.sets(segments))
def test_the_text_for_whoever_runs_the_broker_is_read_as_it_was_written(
    names: list[str], alerted: set[str], rung: set[str]
) -> None:
    principals = [Principal(station=STATION, role=Role.HOUSEHOLD, id=name) for name in names]
    held = frozenset(f"household:{one}" for one in alerted)
    gateway = Principal(station=STATION, role=Role.GATEWAY, id="gw1", alerts=held, rings=frozenset(rung))
    said = Access(principals=(gateway, *principals), digests={one.user: H1.digest or "" for one in principals})
    found = texts.read(said.text())
    assert set(found.principals) == set(said.principals)
    assert found.digests == said.digests
    assert replace(said, principals=tuple(reversed(said.principals))).text() == said.text()


def principal_text(**changed: object) -> str:
    one = {"station": "n", "role": "gateway", "id": "g", "seat": "", "alerts": None, "rings": []} | changed
    return json.dumps({"v": 1, "principals": [one], "digests": {}})


def digest_text(digest: object) -> str:
    return json.dumps({"v": 1, "principals": [], "digests": {"a": digest}})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"v": 2, "principals": [], "digests": {}}',
        '{"v": 1, "principals": [{}], "digests": {}}',
        digest_text("$7$x\nroot:y"),
        digest_text(1),
        principal_text(alerts=["x:y"]),
        principal_text(alerts=[1]),
        principal_text(id="g/#"),
        principal_text(role="nobody"),
        principal_text(rings=[None]),
    ],
)
def test_a_text_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(NoAccess):
        texts.read(text)
