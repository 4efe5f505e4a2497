import dataclasses
from pathlib import Path

import pytest

from broker.acl import BrokerSettings, Principal, Right, Tls, acl_file, broker_file, rights
from broker.ids import IdError, StationId
from broker.topics import TABLE, Role
from tests.broker.golden_files import assert_fresh
from tests.broker.village import STATION

PACKAGED = Path(__file__).parents[2] / "packaging/mosquitto/mosquitto.conf"
LOGGED = {"error", "warning", "notice"}
"""Of mosquitto's kinds of log lines: the others repeat topics of households, who came from where, and octets."""
GOLDEN = Path(__file__).parent / "golden"
PRIVATE = BrokerSettings(directory="/var/lib/shouwang/broker", port=18_830)


def principal(role: Role, id_: str = "", **more: object) -> Principal:
    return dataclasses.replace(Principal(station=STATION, role=role, id=id_), **more)  # type: ignore[arg-type] # checked by the class


EVERYBODY = [
    principal(Role.STATION),
    principal(Role.POLICE),
    principal(Role.POLICE, seat="desk-2"),
    principal(Role.OBSERVER),
    principal(Role.COMMUNITY, "guangming"),
    principal(Role.GRID, "grid-3"),
    principal(Role.HOUSEHOLD, "h01"),
    principal(Role.HOUSEHOLD, "h02"),
    principal(Role.GATEWAY, "gw1"),
    principal(
        Role.GATEWAY,
        "gw2",
        alerts=frozenset({"household:h02", "community:guangming"}),
        rings=frozenset({"h09"}),
    ),
]


def may(who: Principal) -> set[str]:
    return {f"{right.access} {right.filter}" for right in rights(who)}


@pytest.mark.proves("N4")
def test_the_rendered_acl_is_the_one_that_was_reviewed() -> None:
    assert_fresh(GOLDEN / "acl", acl_file(EVERYBODY))


def test_the_order_of_principals_does_not_change_the_acl() -> None:
    assert acl_file(reversed(EVERYBODY)) == acl_file(EVERYBODY)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("private.conf", dataclasses.replace(PRIVATE, run_as="root")),
        (
            "tls.conf",
            dataclasses.replace(
                PRIVATE,
                port=8_883,
                address="192.0.2.7",
                connections=6_000,
                tls=Tls(ca="/k/ca.pem", certificate="/k/broker.pem", key="/k/broker.key", revoked="/k/revoked.pem"),
            ),
        ),
    ],
)
def test_the_rendered_configuration_is_the_one_that_was_reviewed(name: str, settings: BrokerSettings) -> None:
    assert_fresh(GOLDEN / name, broker_file(settings))


@pytest.mark.parametrize("settings", [PRIVATE, dataclasses.replace(PRIVATE, tls=Tls(ca="a", certificate="b", key="c"))])
def test_no_configuration_is_open_or_falls_into_a_known_trap(settings: BrokerSettings) -> None:
    lines = broker_file(settings).splitlines()
    words = [line.split()[0] for line in lines]
    assert "allow_anonymous false" in lines
    assert "use_username_as_clientid true" in lines
    assert words.count("listener") == 1
    assert words.count("acl_file") == 1
    assert "per_listener_settings" not in words
    assert "message_size_limit" not in words
    assert {"require_certificate true", "use_identity_as_username true"} <= set(lines) or "password_file" in words


def test_a_household_hears_its_own_topics_and_can_say_nothing() -> None:
    assert may(principal(Role.HOUSEHOLD, "h01")) == {
        "read sw1/north/household/h01/alarm",
        "read sw1/north/household/h01/update",
    }


def test_the_police_hear_their_own_topics_and_can_say_nothing() -> None:
    expected = {"read sw1/north/police/alarm", "read sw1/north/police/update"}
    assert may(principal(Role.POLICE)) == may(principal(Role.POLICE, seat="desk-2")) == expected


def test_an_observer_may_do_nothing() -> None:
    assert may(principal(Role.OBSERVER)) == set()


def test_a_gateway_may_be_held_to_the_audiences_that_it_serves() -> None:
    narrow = principal(Role.GATEWAY, "gw1", alerts=frozenset({"household:h02", "grid:grid-3"}))
    alarms = {right.filter for right in rights(narrow) if right.filter.endswith("/alarm")}
    assert alarms == {"sw1/north/police/alarm", "sw1/north/household/h02/alarm", "sw1/north/grid/grid-3/alarm"}


def test_a_gateway_hears_households_only_for_its_remote_units() -> None:
    plain = principal(Role.GATEWAY, "gw1")
    remote = principal(Role.GATEWAY, "gw1", rings=frozenset({"h09"}))
    assert may(remote) - may(plain) == {"read sw1/north/household/h09/alarm", "read sw1/north/household/h09/update"}
    assert may(plain) < may(remote)


@pytest.mark.parametrize("who", EVERYBODY, ids=lambda who: who.user)
def test_nobody_has_a_right_outside_the_own_station_or_a_hash_filter(who: Principal) -> None:
    for right in rights(who):
        assert right.access in {"read", "write"}
        assert right.filter.startswith("sw1/north/")
        assert "#" not in right.filter
        assert "+" not in right.filter or who.role in {Role.STATION, Role.GATEWAY}


def test_every_row_gives_at_least_one_write_and_one_read() -> None:
    given = {right for who in EVERYBODY for right in rights(who)}
    for row in TABLE:
        leaf = row.template.split("/")[-1]
        branch = row.template.split("/")[0]
        shapes = {(r.access, r.filter.split("/")[2], r.filter.split("/")[-1]) for r in given}
        assert {("write", branch, leaf), ("read", branch, leaf)} <= shapes


@pytest.mark.parametrize(
    ("who", "user", "audience"),
    [
        (principal(Role.STATION), "north.station", "station"),
        (principal(Role.POLICE, seat="desk-2"), "north.police@desk-2", "police"),
        (principal(Role.HOUSEHOLD, "h01"), "north.household.h01", "household:h01"),
        (principal(Role.GATEWAY, "gw1"), "north.gateway.gw1", "gateway:gw1"),
    ],
)
def test_a_principal_has_one_name_for_user_client_and_certificate(who: Principal, user: str, audience: str) -> None:
    assert who.user == user
    assert who.audience == audience
    assert ":" not in user, "it ends the user name in a password file"


def test_the_same_id_at_two_stations_is_two_users() -> None:
    assert len({Principal(station=StationId(s), role=Role.GATEWAY, id="gw1").user for s in ("north", "south")}) == 2


@pytest.mark.parametrize("id_", ["", "A", "h/1", "h+", "#", "h:1", "h\nuser root"])
def test_no_principal_is_made_of_what_would_break_the_file(id_: str) -> None:
    with pytest.raises(IdError):
        principal(Role.HOUSEHOLD, id_)
    with pytest.raises(IdError):
        Principal(station=StationId(id_), role=Role.POLICE)
    if id_:
        with pytest.raises(IdError):
            principal(Role.POLICE, seat=id_)
        with pytest.raises(IdError):
            acl_file([principal(Role.GATEWAY, "gw1", rings=frozenset({id_}))])


def test_a_role_that_a_station_has_once_takes_no_id() -> None:
    with pytest.raises(ValueError, match="has no id"):
        principal(Role.POLICE, "p1")


def test_a_right_is_a_value() -> None:
    assert Right("read", "a") == Right("read", "a")


@pytest.mark.proves("N16")
@pytest.mark.parametrize("path", [GOLDEN / "private.conf", GOLDEN / "tls.conf", PACKAGED], ids=lambda path: path.stem)
def test_the_brokers_log_is_told_to_say_little(path: Path) -> None:
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    assert {line[1] for line in lines if line[:1] == ["log_type"]} == LOGGED
    assert ["connection_messages", "false"] in lines
    assert not [line for line in lines if line[:1] == ["log_dest"] and line[1] not in {"stderr", "syslog"}]
